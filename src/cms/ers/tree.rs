//! The hash tree of an archive time-stamp, and the part of it that proves one leaf (RFC 4998 4.2).
//!
//! A leaf is the digest of an object, or of a group of objects: their digests in ascending order, one behind the other,
//! hashed. Two neighbours make a node in the same way, and the last of an odd number rises as it is. So a tree of one leaf is
//! that leaf, and no proof ever has a first list of a single value, which readers understand in two ways.
//!
//! The tree is its octets, the same in memory and in a file, at positions that are computed: the leaves and every fourth
//! level above, 1.07 digests for each leaf. What lies between is hashed again when a proof is cut, at most seven
//! hashes a level. A proof of one neighbour a level is the shortest there is, and it is what travels and stays with a document.

use super::super::algorithm::{ContentDigest, DigestAlgorithm};
use super::GROUP_MAX;

/// Most leaves of one tree: four times the largest night that is planned for; 256 MB of SHA-512.
pub const LEAVES_MAX: u32 = 1 << 22;
/// Most objects in the groups of one tree, for the same reason.
pub const MEMBERS_MAX: u32 = 1 << 22;
/// Levels from one that is kept to the next.
const STEP: u32 = 4;
/// Nodes of a kept level below one node of the next.
const FAN: usize = 1 << STEP;
const DIGEST_MAX_OCTETS: usize = 64;
/// Octets before the leaves: the mark, the algorithm, and how many leaves, groups and members there are.
const HEADER_OCTETS: usize = 24;
/// Says what the octets are, and their version.
const MARK: [u8; 8] = *b"kepdERT\x01";
/// A group in the table behind the levels: its leaf, its first member, how many.
const GROUP_OCTETS: usize = 12;

/// Why there is no tree or no proof.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TreeError {
    #[error("a hash tree of no leaves")]
    Empty,
    #[error("a hash tree has at most {LEAVES_MAX} leaves and {MEMBERS_MAX} members of groups")]
    TooLarge,
    #[error("a group has from 1 to {GROUP_MAX} objects")]
    Group,
    #[error("the hash tree is over {0:?} digests")]
    OtherAlgorithm(DigestAlgorithm),
    #[error("the hash tree has {leaves} leaves, none at {leaf}")]
    NoLeaf { leaf: u32, leaves: u32 },
    #[error("the octets are no hash tree, or damaged")]
    Damaged,
    #[error("the hash tree cannot be read: {0}")]
    Read(String),
}

/// Where the octets of a tree are: memory, or a file that somebody else has opened.
pub trait Octets {
    /// Fills `out` from `offset` on; an error when there are not so many.
    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), TreeError>;
}

impl Octets for [u8] {
    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), TreeError> {
        let start = usize::try_from(offset).map_err(|_| TreeError::Damaged)?;
        let part = start.checked_add(out.len()).and_then(|end| self.get(start..end));
        out.copy_from_slice(part.ok_or(TreeError::Damaged)?);
        Ok(())
    }
}

impl Octets for Vec<u8> {
    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), TreeError> {
        self.as_slice().read(offset, out)
    }
}

impl<T: Octets + ?Sized> Octets for &T {
    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), TreeError> {
        (**self).read(offset, out)
    }
}

/// The lists of digests that lead from a leaf to the root: `reducedHashtree`. Each list lies flat, in ascending order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    algorithm: DigestAlgorithm,
    lists: Vec<Vec<u8>>,
}

impl Proof {
    /// The proof of the only leaf of a tree: no list.
    pub fn of_root(algorithm: DigestAlgorithm) -> Self {
        Self {
            algorithm,
            lists: Vec::new(),
        }
    }

    /// From lists as a record has them; None when a list is empty or has a digest of another length.
    pub fn from_lists(algorithm: DigestAlgorithm, lists: &[Vec<&[u8]>]) -> Option<Self> {
        let length = algorithm.length();
        let sound = |l: &Vec<&[u8]>| !l.is_empty() && l.iter().all(|d| d.len() == length);
        lists.iter().all(sound).then(|| Self {
            algorithm,
            lists: lists.iter().map(|l| l.concat()).collect(),
        })
    }

    pub fn algorithm(&self) -> DigestAlgorithm {
        self.algorithm
    }

    /// List by list, the first one has the leaf.
    pub fn lists(&self) -> impl Iterator<Item = impl Iterator<Item = &[u8]>> {
        let length = self.algorithm.length();
        self.lists.iter().map(move |l| l.chunks_exact(length))
    }

    pub fn is_empty(&self) -> bool {
        self.lists.is_empty()
    }

    /// The digests of the first list, in which those of the objects must be.
    pub fn first_list(&self) -> impl Iterator<Item = &[u8]> {
        let octets = self.lists.first().map(Vec::as_slice).unwrap_or_default();
        octets.chunks_exact(self.algorithm.length())
    }

    /// RFC 4998 4.3, step 3: hashes list after list up to the root. None without a list: then the root is the leaf itself.
    pub fn root(&self) -> Option<ContentDigest> {
        let mut root: Option<ContentDigest> = None;
        for list in self.lists() {
            let mut digests: Vec<&[u8]> = list.collect();
            let below = root;
            if let Some(below) = &below {
                digests.push(below.octets());
            } else if let [only] = digests.as_slice() {
                // A first list of one value is that value (RFC 6283 3.1.1 says it; records after RFC 4998 are made so).
                root = ContentDigest::from_octets(self.algorithm, only);
                continue;
            }
            root = Some(node_of(self.algorithm, &mut digests));
        }
        root
    }
}

/// RFC 4998 4.2, step 4: in binary ascending order, one behind the other, hashed.
fn node_of(algorithm: DigestAlgorithm, digests: &mut [&[u8]]) -> ContentDigest {
    digests.sort_unstable();
    ContentDigest::of(algorithm, &digests.concat())
}

/// The same for two, which is what a tree is made of.
fn parent(left: &ContentDigest, right: &ContentDigest) -> ContentDigest {
    let (a, b) = (left.octets(), right.octets());
    let (low, high) = if a <= b { (a, b) } else { (b, a) };
    let mut both = [0; 2 * DIGEST_MAX_OCTETS];
    let length = a.len();
    both[..length].copy_from_slice(low);
    both[length..2 * length].copy_from_slice(high);
    ContentDigest::of(left.algorithm(), &both[..2 * length])
}

/// The node above up to [`FAN`] neighbours, level by level; the last of an odd number rises as it is.
fn fold(algorithm: DigestAlgorithm, flat: &[u8]) -> Option<ContentDigest> {
    let mut nodes = [None; FAN];
    let mut count: usize = 0;
    for (slot, octets) in nodes.iter_mut().zip(flat.chunks_exact(algorithm.length())) {
        *slot = ContentDigest::from_octets(algorithm, octets);
        count += 1;
    }
    while count > 1 {
        for i in 0..count.div_ceil(2) {
            nodes[i] = match (nodes[2 * i], nodes.get(2 * i + 1).copied().flatten()) {
                (Some(left), Some(right)) if 2 * i + 1 < count => Some(parent(&left, &right)),
                (risen, _) => risen,
            };
        }
        count = count.div_ceil(2);
    }
    nodes[0]
}

/// The shape of a tree: everything about it that is not a digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Shape {
    algorithm: DigestAlgorithm,
    leaves: u32,
    groups: u32,
    members: u32,
}

impl Shape {
    /// Nodes of a level.
    fn count(&self, level: u32) -> u32 {
        self.leaves.div_ceil(1 << level)
    }

    /// The level of the root.
    fn height(&self) -> u32 {
        self.leaves.next_power_of_two().trailing_zeros()
    }

    /// Where a kept level begins.
    fn level_offset(&self, level: u32) -> u64 {
        let below: u64 = (0..level)
            .step_by(STEP as usize)
            .map(|l| u64::from(self.count(l)))
            .sum();
        HEADER_OCTETS as u64 + below * self.algorithm.length() as u64
    }

    fn groups_offset(&self) -> u64 {
        // The first level that is not kept: the lowest multiple of STEP that is no longer below the root, but not the leaves.
        let above = self.height().div_ceil(STEP).max(1) * STEP;
        self.level_offset(above)
    }

    fn members_offset(&self) -> u64 {
        self.groups_offset() + u64::from(self.groups) * GROUP_OCTETS as u64
    }

    fn octets(&self) -> u64 {
        self.members_offset() + u64::from(self.members) * self.algorithm.length() as u64
    }

    fn header(&self) -> [u8; HEADER_OCTETS] {
        let algorithm: u32 = match self.algorithm {
            DigestAlgorithm::Sha256 => 256,
            DigestAlgorithm::Sha384 => 384,
            DigestAlgorithm::Sha512 => 512,
        };
        let mut out = [0; HEADER_OCTETS];
        out[..8].copy_from_slice(&MARK);
        for (place, value) in
            out[8..]
                .chunks_exact_mut(4)
                .zip([algorithm, self.leaves, self.groups, self.members])
        {
            place.copy_from_slice(&value.to_be_bytes());
        }
        out
    }

    fn read(header: &[u8; HEADER_OCTETS]) -> Option<Self> {
        let number = |at: usize| {
            header[at..at + 4]
                .iter()
                .fold(0u32, |n, octet| (n << 8) | u32::from(*octet))
        };
        let algorithm = match number(8) {
            256 => DigestAlgorithm::Sha256,
            384 => DigestAlgorithm::Sha384,
            512 => DigestAlgorithm::Sha512,
            _ => return None,
        };
        let shape = Self {
            algorithm,
            leaves: number(12),
            groups: number(16),
            members: number(20),
        };
        let sound = header[..8] == MARK
            && (1..=LEAVES_MAX).contains(&shape.leaves)
            && shape.groups <= shape.leaves
            && shape.members <= MEMBERS_MAX;
        sound.then_some(shape)
    }
}

/// Collects leaves in their order; nothing is kept of an object but its digest.
#[derive(Debug)]
pub struct TreeBuilder {
    algorithm: DigestAlgorithm,
    /// The header's place, the leaves, and at the end the levels above.
    octets: Vec<u8>,
    leaves: u32,
    groups: Vec<u8>,
    members: Vec<u8>,
}

impl TreeBuilder {
    pub fn new(algorithm: DigestAlgorithm) -> Self {
        Self::with_capacity(algorithm, 0)
    }

    /// Takes the memory for so many leaves at once, so that it is not moved while it grows.
    pub fn with_capacity(algorithm: DigestAlgorithm, leaves: u32) -> Self {
        let shape = Shape {
            algorithm,
            leaves: leaves.clamp(1, LEAVES_MAX),
            groups: 0,
            members: 0,
        };
        let mut octets = Vec::with_capacity(usize::try_from(shape.octets()).unwrap_or(0));
        octets.resize(HEADER_OCTETS, 0);
        Self {
            algorithm,
            octets,
            leaves: 0,
            groups: Vec::new(),
            members: Vec::new(),
        }
    }

    pub fn algorithm(&self) -> DigestAlgorithm {
        self.algorithm
    }

    /// Adds an object's digest; its position is what a proof is asked by.
    pub fn push(&mut self, digest: &ContentDigest) -> Result<u32, TreeError> {
        if digest.algorithm() != self.algorithm {
            return Err(TreeError::OtherAlgorithm(self.algorithm));
        }
        if self.leaves >= LEAVES_MAX {
            return Err(TreeError::TooLarge);
        }
        self.octets.extend_from_slice(digest.octets());
        self.leaves += 1;
        Ok(self.leaves - 1)
    }

    /// Adds a group of objects as one leaf (RFC 4998 4.2, step 3). A group of one is that object.
    pub fn push_group(&mut self, digests: &[ContentDigest]) -> Result<u32, TreeError> {
        if let [only] = digests {
            return self.push(only);
        }
        if digests.is_empty() || digests.len() > GROUP_MAX {
            return Err(TreeError::Group);
        }
        if digests.iter().any(|d| d.algorithm() != self.algorithm) {
            return Err(TreeError::OtherAlgorithm(self.algorithm));
        }
        let known = self.members.len() / self.algorithm.length();
        if known + digests.len() > MEMBERS_MAX as usize {
            return Err(TreeError::TooLarge);
        }
        let mut sorted: Vec<&[u8]> = digests.iter().map(ContentDigest::octets).collect();
        let leaf = self.push(&node_of(self.algorithm, &mut sorted))?;
        for number in [leaf, known as u32, digests.len() as u32] {
            self.groups.extend_from_slice(&number.to_be_bytes());
        }
        self.members.extend(sorted.iter().copied().flatten());
        Ok(leaf)
    }

    /// Hashes the levels.
    pub fn finish(mut self) -> Result<Tree<Vec<u8>>, TreeError> {
        if self.leaves == 0 {
            return Err(TreeError::Empty);
        }
        let length = self.algorithm.length();
        let shape = Shape {
            algorithm: self.algorithm,
            leaves: self.leaves,
            groups: (self.groups.len() / GROUP_OCTETS) as u32,
            members: (self.members.len() / length) as u32,
        };
        self.octets[..HEADER_OCTETS].copy_from_slice(&shape.header());
        let mut below = HEADER_OCTETS..self.octets.len();
        for level in (STEP..shape.height()).step_by(STEP as usize) {
            let start = self.octets.len();
            for i in 0..shape.count(level) as usize {
                let from = below.start + i * FAN * length;
                let to = (from + FAN * length).min(below.end);
                let node = fold(self.algorithm, &self.octets[from..to]).ok_or(TreeError::Damaged)?;
                self.octets.extend_from_slice(node.octets());
            }
            below = start..self.octets.len();
        }
        self.octets.extend_from_slice(&self.groups);
        self.octets.extend_from_slice(&self.members);
        Ok(Tree {
            shape,
            source: self.octets,
        })
    }
}

/// A hash tree, in memory or in a file.
#[derive(Debug, Clone)]
pub struct Tree<S> {
    shape: Shape,
    source: S,
}

impl Tree<Vec<u8>> {
    /// What is kept. [`Tree::open`] takes it back.
    pub fn octets(&self) -> &[u8] {
        &self.source
    }
}

impl<S: Octets> Tree<S> {
    /// Reads the header only. A damaged digest is noticed when a proof does not lead to the root that was stamped.
    pub fn open(source: S) -> Result<Self, TreeError> {
        let mut header = [0; HEADER_OCTETS];
        source.read(0, &mut header)?;
        let shape = Shape::read(&header).ok_or(TreeError::Damaged)?;
        // The last octet must be there, and a file that was cut short is not.
        source.read(shape.octets() - 1, &mut [0])?;
        Ok(Self { shape, source })
    }

    pub fn algorithm(&self) -> DigestAlgorithm {
        self.shape.algorithm
    }

    pub fn leaves(&self) -> u32 {
        self.shape.leaves
    }

    /// What a time-stamp is asked for.
    pub fn root(&self) -> Result<ContentDigest, TreeError> {
        self.node(self.shape.height(), 0)
    }

    pub fn leaf(&self, leaf: u32) -> Result<ContentDigest, TreeError> {
        self.check(leaf)?;
        self.node(0, leaf)
    }

    /// The lists that lead from a leaf to the root (RFC 4998 4.2, reduction).
    pub fn proof(&self, leaf: u32) -> Result<Proof, TreeError> {
        self.check(leaf)?;
        let mut proof = Proof::of_root(self.shape.algorithm);
        let own = self.node(0, leaf)?;
        // The first list has the object's own digest among its neighbours; a group's first list is the group.
        let mut alone = Some(own);
        if let Some(members) = self.members(leaf)? {
            proof.lists.push(members);
            alone = None;
        }
        let mut index = leaf;
        for level in 0..self.shape.height() {
            let neighbour = index ^ 1;
            if neighbour < self.shape.count(level) {
                let neighbour = self.node(level, neighbour)?;
                let own = alone.take();
                let mut list: Vec<&[u8]> = [Some(&neighbour), own.as_ref()]
                    .into_iter()
                    .flatten()
                    .map(ContentDigest::octets)
                    .collect();
                list.sort_unstable();
                proof.lists.push(list.concat());
            }
            index /= 2;
        }
        Ok(proof)
    }

    fn check(&self, leaf: u32) -> Result<(), TreeError> {
        let leaves = self.shape.leaves;
        if leaf < leaves {
            Ok(())
        } else {
            Err(TreeError::NoLeaf { leaf, leaves })
        }
    }

    /// A node of any level, from the kept level below it.
    fn node(&self, level: u32, index: u32) -> Result<ContentDigest, TreeError> {
        let length = self.shape.algorithm.length();
        // The root is never kept: it has a level of its own only when it is the leaf.
        let kept = if level > 0 && level == self.shape.height() {
            (level - 1) / STEP * STEP
        } else {
            level / STEP * STEP
        };
        let first = index << (level - kept);
        let count = (1 << (level - kept)).min(self.shape.count(kept).saturating_sub(first)) as usize;
        let mut flat = [0; FAN * DIGEST_MAX_OCTETS];
        let flat = flat.get_mut(..count * length).ok_or(TreeError::Damaged)?;
        let offset = self.shape.level_offset(kept) + u64::from(first) * length as u64;
        self.source.read(offset, flat)?;
        fold(self.shape.algorithm, flat).ok_or(TreeError::Damaged)
    }

    /// The digests of a leaf's group in ascending order, flat; None when the leaf is a single object.
    fn members(&self, leaf: u32) -> Result<Option<Vec<u8>>, TreeError> {
        let (mut low, mut high) = (0, self.shape.groups);
        while low < high {
            let middle = low + (high - low) / 2;
            let (of, first, count) = self.group(middle)?;
            if of == leaf {
                return self.member_digests(first, count).map(Some);
            }
            if of < leaf {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        Ok(None)
    }

    fn group(&self, index: u32) -> Result<(u32, u32, u32), TreeError> {
        let mut octets = [0; GROUP_OCTETS];
        let offset = self.shape.groups_offset() + u64::from(index) * GROUP_OCTETS as u64;
        self.source.read(offset, &mut octets)?;
        let mut numbers = octets
            .chunks_exact(4)
            .map(|c| c.iter().fold(0u32, |n, o| (n << 8) | u32::from(*o)));
        let mut next = || numbers.next().unwrap_or(0);
        Ok((next(), next(), next()))
    }

    fn member_digests(&self, first: u32, count: u32) -> Result<Vec<u8>, TreeError> {
        let inside = first
            .checked_add(count)
            .is_some_and(|end| end <= self.shape.members);
        if !inside || count as usize > GROUP_MAX {
            return Err(TreeError::Damaged);
        }
        let length = self.shape.algorithm.length();
        let mut octets = vec![0; count as usize * length];
        let offset = self.shape.members_offset() + u64::from(first) * length as u64;
        self.source.read(offset, &mut octets)?;
        Ok(octets)
    }
}

#[cfg(test)]
#[path = "tree_tests.rs"]
mod tests;
