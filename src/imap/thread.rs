//! Threads as THREAD tells them (RFC 5256 4): message numbers in nested parentheses. How messages come to be threaded
//! is not decided here.

use std::fmt;
use std::fmt::Write as _;

/// How messages are put into threads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ThreadAlgorithm {
    OrderedSubject,
    References,
}

impl ThreadAlgorithm {
    pub const ALL: [(ThreadAlgorithm, &'static str); 2] = [
        (ThreadAlgorithm::OrderedSubject, "ORDEREDSUBJECT"),
        (ThreadAlgorithm::References, "REFERENCES"),
    ];
}

impl fmt::Display for ThreadAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = Self::ALL.iter().find(|(algorithm, _)| algorithm == self);
        f.write_str(named.map_or("", |(_, word)| word))
    }
}

/// A message in its threads; the roots are at depth 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Threaded {
    pub depth: u32,
    /// `None`: a parent that is not among the messages.
    pub uid: Option<u32>,
}

/// All threads, each message before its children. A flat list, for threads may be as deep as a mailbox is long.
pub type Threads = Vec<Threaded>;

/// `(2)(3 6 (4 23)(44 7 96))`, with each UID as `number` shows it.
pub fn write(threads: &[Threaded], number: impl Fn(u32) -> Option<u32>) -> String {
    let children = children(threads);
    let mut text = String::new();
    // Depths at which a parenthesis is open.
    let mut open: Vec<u32> = Vec::new();
    // Children of the last message at each depth.
    let mut above: Vec<u32> = Vec::new();
    for (node, count) in threads.iter().zip(children) {
        while open.last().is_some_and(|depth| *depth >= node.depth) {
            open.pop();
            text.push(')');
        }
        above.truncate(node.depth as usize);
        // An only child goes on in its parent's list; siblings get lists of their own.
        if above.last().is_none_or(|siblings| *siblings > 1) {
            separate(&mut text);
            text.push('(');
            open.push(node.depth);
        }
        above.push(count);
        if let Some(number) = node.uid.and_then(&number) {
            separate(&mut text);
            // Writing to a String cannot fail.
            let _ = write!(text, "{number}");
        }
    }
    text.extend(open.iter().map(|_| ')'));
    text
}

fn separate(text: &mut String) {
    if text.ends_with(|c: char| c.is_ascii_digit()) {
        text.push(' ');
    }
}

/// How many children each has.
fn children(threads: &[Threaded]) -> Vec<u32> {
    let mut counts = vec![0; threads.len()];
    let mut path: Vec<usize> = Vec::new();
    for (at, node) in threads.iter().enumerate() {
        path.truncate(node.depth as usize);
        if let Some(count) = path.last().and_then(|parent| counts.get_mut(*parent)) {
            *count += 1;
        }
        path.push(at);
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(nodes: &[(u32, u32)]) -> String {
        let threads: Threads = nodes
            .iter()
            .map(|&(depth, uid)| Threaded {
                depth,
                uid: Some(uid).filter(|uid| *uid > 0),
            })
            .collect();
        write(&threads, Some)
    }

    #[test]
    fn the_examples_of_the_standard() {
        let nested = [(0, 2), (0, 3), (1, 6), (2, 4), (3, 23), (2, 44), (3, 7), (4, 96)];
        assert_eq!(written(&nested), "(2)(3 6 (4 23)(44 7 96))");
        assert_eq!(written(&[(0, 0), (1, 3), (1, 5)]), "((3)(5))");
        let subjects = [(0, 194), (1, 195), (0, 196), (1, 197), (1, 198), (0, 199)];
        assert_eq!(written(&subjects), "(194 195)(196 (197)(198))(199)");
        let split = [(0, 0), (1, 188), (2, 184), (2, 189), (1, 185), (2, 186), (1, 187)];
        assert_eq!(written(&split), "((188 (184)(189))(185 186)(187))");
        assert_eq!(written(&[]), "");
    }

    #[test]
    fn a_long_chain_is_one_list() {
        let chain: Vec<(u32, u32)> = (0..100_000).map(|n| (n, n + 1)).collect();
        let text = written(&chain);
        assert!(text.starts_with("(1 2 3 ") && text.ends_with(" 99999 100000)"));
        assert_eq!(text.matches('(').count(), 1);
    }

    #[test]
    fn a_missing_parent_of_one_child_leaves_no_empty_list() {
        assert_eq!(written(&[(0, 0), (1, 3), (2, 4)]), "(3 4)");
    }
}
