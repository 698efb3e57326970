//! Threads of messages by their references (RFC 5256 3, REFERENCES), all six steps.
//!
//! Messages are added one by one in the order of their numbers; each costs a node, its references one node for each
//! message that is not here. Nothing recurses: a thread may be as deep as a mailbox is long.

use super::threading::{Branch, Digest, Digests, Letter, Rank, bracketed, ids_of};
use std::collections::HashMap;

/// Messages that are referred to but not here. Mailboxes have fewer than messages; beyond, references to such
/// messages are passed over, so that memory does not grow with what senders write.
const ABSENT_MAX: usize = 200_000;
/// Steps from children to parents, all together, to keep loops out. Ordinary mailboxes take some for each message; it
/// takes references made to that end to use them up, and then links that might make a loop are not made.
const STEPS_MAX: u64 = 50_000_000;

type At = usize;

#[derive(Debug, Clone, Copy)]
struct Message {
    uid: u32,
    rank: Rank,
    /// `None` when the base subject is empty.
    subject: Option<Digest>,
    is_reply: bool,
}

/// A message, or one that is only referred to.
#[derive(Debug, Default)]
struct Node {
    message: Option<Message>,
    parent: Option<At>,
    /// How many have this one as their parent.
    children: u32,
}

/// Collects messages and threads them.
#[derive(Debug)]
pub struct References {
    digests: Digests,
    by_id: HashMap<Digest, At>,
    nodes: Vec<Node>,
    count: u32,
    absent_left: usize,
    steps_left: u64,
}

impl Default for References {
    fn default() -> Self {
        Self {
            digests: Digests::default(),
            by_id: HashMap::new(),
            nodes: Vec::new(),
            count: 0,
            absent_left: ABSENT_MAX,
            steps_left: STEPS_MAX,
        }
    }
}

impl References {
    /// Step 1 for one message. `references` and `in_reply_to` are the texts of these fields.
    pub fn add(
        &mut self,
        letter: Letter<'_>,
        message_id: Option<&str>,
        references: &[String],
        in_reply_to: Option<&str>,
    ) {
        let own = self.place(letter, message_id);
        let mut ids: Vec<String> = references.iter().flat_map(|text| ids_of(text)).collect();
        if ids.is_empty() {
            ids = in_reply_to.map(bracketed).unwrap_or_default();
            ids.truncate(1);
        }
        let chain: Vec<At> = ids.iter().filter_map(|id| self.referred(id)).collect();
        // (A)
        for pair in chain.windows(2) {
            if let [parent, child] = *pair
                && self.nodes[child].parent.is_none()
            {
                self.link(parent, child);
            }
        }
        // (B)
        self.unlink(own);
        if let Some(parent) = chain.last() {
            self.link(*parent, own);
        }
    }

    /// The node of a message: the one that was referred to, unless an earlier message has that id already.
    fn place(&mut self, letter: Letter<'_>, message_id: Option<&str>) -> At {
        let message = Message {
            uid: letter.uid,
            rank: (letter.sent, self.count),
            subject: (!letter.subject.is_empty()).then(|| self.digests.of(letter.subject)),
            is_reply: letter.is_reply,
        };
        self.count = self.count.saturating_add(1);
        let id = message_id.and_then(|text| ids_of(text).into_iter().next());
        let digest = id.map(|id| self.digests.of(&id));
        let known = digest.and_then(|digest| self.by_id.get(&digest).copied());
        if let Some(node) = known.and_then(|at| self.nodes.get_mut(at))
            && node.message.is_none()
        {
            node.message = Some(message);
            self.absent_left += 1;
            return known.unwrap_or_default();
        }
        let at = self.nodes.len();
        self.nodes.push(Node {
            message: Some(message),
            ..Node::default()
        });
        if let (Some(digest), None) = (digest, known) {
            self.by_id.insert(digest, at);
        }
        at
    }

    fn referred(&mut self, id: &str) -> Option<At> {
        let digest = self.digests.of(id);
        if let Some(at) = self.by_id.get(&digest) {
            return Some(*at);
        }
        self.absent_left = self.absent_left.checked_sub(1)?;
        let at = self.nodes.len();
        self.nodes.push(Node::default());
        self.by_id.insert(digest, at);
        Some(at)
    }

    fn unlink(&mut self, child: At) {
        if let Some(parent) = self.nodes[child].parent.take() {
            self.nodes[parent].children -= 1;
        }
    }

    /// Unless that would make a loop.
    fn link(&mut self, parent: At, child: At) {
        if !self.is_below(parent, child) {
            self.nodes[child].parent = Some(parent);
            self.nodes[parent].children += 1;
        }
    }

    /// Whether `node` is `above` or one of its descendants.
    fn is_below(&mut self, node: At, above: At) -> bool {
        if self.nodes[above].children == 0 {
            return node == above;
        }
        let mut at = node;
        while at != above {
            let Some(parent) = self.nodes[at].parent else {
                return false;
            };
            match self.steps_left.checked_sub(1) {
                Some(left) => self.steps_left = left,
                None => return true,
            }
            at = parent;
        }
        true
    }

    /// Steps 2 to 6.
    pub fn threads(self) -> Vec<Branch> {
        let mut tree = Tree::of(&self.nodes);
        tree.prune();
        tree.sort();
        tree.gather();
        tree.sort();
        tree.branches()
    }
}

/// Parents with their children.
#[derive(Debug)]
struct Tree {
    messages: Vec<Option<Message>>,
    children: Vec<Vec<At>>,
    roots: Vec<At>,
}

impl Tree {
    /// Step 2.
    fn of(nodes: &[Node]) -> Self {
        let mut tree = Self {
            messages: nodes.iter().map(|node| node.message).collect(),
            children: vec![Vec::new(); nodes.len()],
            roots: Vec::new(),
        };
        for (at, node) in nodes.iter().enumerate() {
            match node.parent {
                Some(parent) => tree.children[parent].push(at),
                None => tree.roots.push(at),
            }
        }
        tree
    }

    /// All nodes, parents before their children.
    fn downwards(&self) -> Vec<At> {
        let mut order = self.roots.clone();
        let mut next = 0;
        while let Some(at) = order.get(next) {
            order.extend_from_slice(&self.children[*at]);
            next += 1;
        }
        order
    }

    /// Step 3: who is not here goes, and his children take his place; at the root only an only child does.
    fn prune(&mut self) {
        for at in self.downwards().into_iter().rev() {
            let mut kept: Vec<At> = Vec::new();
            for child in std::mem::take(&mut self.children[at]) {
                if self.messages[child].is_some() {
                    kept.push(child);
                    continue;
                }
                let mut promoted = std::mem::take(&mut self.children[child]);
                // The shorter list moves, so that a long chain of the absent costs little. All are sorted later.
                if promoted.len() > kept.len() {
                    std::mem::swap(&mut promoted, &mut kept);
                }
                kept.append(&mut promoted);
            }
            self.children[at] = kept;
        }
        let mut roots = Vec::with_capacity(self.roots.len());
        for at in std::mem::take(&mut self.roots) {
            match (self.messages[at], &self.children[at][..]) {
                (None, []) => {}
                (None, [only]) => roots.push(*only),
                _ => roots.push(at),
            }
        }
        self.roots = roots;
    }

    /// Where a node stands: who is not here stands where his first child does.
    fn rank(&self, at: At) -> Option<Rank> {
        match self.messages[at] {
            Some(message) => Some(message.rank),
            None => self.children[at]
                .iter()
                .filter_map(|c| self.messages[*c])
                .map(|m| m.rank)
                .min(),
        }
    }

    /// Steps 4 and 6: siblings by sent date. Below the roots all are here, so it does not matter which set goes first.
    fn sort(&mut self) {
        let Self {
            messages, children, ..
        } = self;
        for siblings in children.iter_mut().filter(|siblings| siblings.len() > 1) {
            siblings.sort_unstable_by_key(|at| messages[*at].map(|m| m.rank));
        }
        let mut roots: Vec<(Option<Rank>, At)> = self.roots.iter().map(|at| (self.rank(*at), *at)).collect();
        roots.sort_unstable();
        self.roots = roots.into_iter().map(|(_, at)| at).collect();
    }

    /// The message whose subject is that of the thread; the children of those not here must be sorted.
    fn speaker(&self, root: At) -> Option<Message> {
        self.messages[root].or_else(|| self.messages[*self.children[root].first()?])
    }

    fn is_reply(&self, root: At) -> bool {
        self.messages[root].is_some_and(|m| m.is_reply)
    }

    fn is_absent(&self, at: At) -> bool {
        self.messages[at].is_none()
    }

    /// Step 5: threads of one subject become one.
    fn gather(&mut self) {
        let mut table: HashMap<Digest, At> = HashMap::new();
        // (B)
        for &root in &self.roots {
            let Some(subject) = self.speaker(root).and_then(|m| m.subject) else {
                continue;
            };
            let held = table.entry(subject).or_insert(root);
            let rather = self.is_absent(root) || (self.is_reply(*held) && !self.is_reply(root));
            if *held != root && !self.is_absent(*held) && rather {
                *held = root;
            }
        }
        // (C)
        let mut merged = vec![false; self.messages.len()];
        let mut made = Vec::new();
        for root in self.roots.clone() {
            let Some(subject) = self.speaker(root).and_then(|m| m.subject) else {
                continue;
            };
            let Some(&held) = table.get(&subject) else {
                continue;
            };
            if held == root || merged[root] {
                continue;
            }
            merged[root] = true;
            if self.is_absent(held) && self.is_absent(root) {
                let mut children = std::mem::take(&mut self.children[root]);
                self.children[held].append(&mut children);
            } else if self.is_absent(held) || (self.is_reply(root) && !self.is_reply(held)) {
                self.children[held].push(root);
            } else {
                merged[held] = true;
                let parent = self.messages.len();
                self.messages.push(None);
                self.children.push(vec![held, root]);
                merged.push(false);
                made.push(parent);
                table.insert(subject, parent);
            }
        }
        self.roots.extend(made);
        self.roots.retain(|root| !merged[*root]);
    }

    fn branches(&self) -> Vec<Branch> {
        let mut branches = Vec::with_capacity(self.messages.len());
        let mut left: Vec<(u32, At)> = self.roots.iter().rev().map(|at| (0, *at)).collect();
        while let Some((depth, at)) = left.pop() {
            let uid = self.messages[at].map(|m| m.uid);
            branches.push(Branch { depth, uid });
            left.extend(self.children[at].iter().rev().map(|child| (depth + 1, *child)));
        }
        branches
    }
}

#[cfg(test)]
#[path = "references_tests.rs"]
mod tests;
