//! The tree against the words of the RFC, groups, and damaged octets.

use super::*;
use proptest::prelude::*;

fn digest(algorithm: DigestAlgorithm, n: u32) -> ContentDigest {
    ContentDigest::of(algorithm, &n.to_be_bytes())
}

fn tree_of(algorithm: DigestAlgorithm, leaves: u32) -> Tree<Vec<u8>> {
    let mut builder = TreeBuilder::with_capacity(algorithm, leaves);
    for n in 0..leaves {
        assert_eq!(builder.push(&digest(algorithm, n)), Ok(n));
    }
    builder.finish().unwrap()
}

/// The root by the words of RFC 4998 4.2 alone, on lists of digests.
fn plain_root(mut level: Vec<Vec<u8>>, algorithm: DigestAlgorithm) -> Vec<u8> {
    while level.len() > 1 {
        level = level
            .chunks(2)
            .map(|pair| match pair {
                [one] => one.clone(),
                pair => {
                    let mut pair = pair.to_vec();
                    pair.sort();
                    algorithm.digest(&pair.concat())
                }
            })
            .collect();
    }
    level.remove(0)
}

#[test]
fn every_leaf_of_every_small_tree_is_proved() {
    for algorithm in [DigestAlgorithm::Sha256, DigestAlgorithm::Sha512] {
        for leaves in (1..70).chain([255, 256, 257, 4097]) {
            let tree = tree_of(algorithm, leaves);
            let all = (0..leaves).map(|n| digest(algorithm, n).octets().to_vec());
            let root = tree.root().unwrap();
            assert_eq!(root.octets(), plain_root(all.collect(), algorithm), "{leaves}");
            assert_eq!(tree.octets().len() as u64, tree.shape.octets());
            for leaf in (0..leaves).step_by(if leaves > 70 { 61 } else { 1 }) {
                let proof = tree.proof(leaf).unwrap();
                let own = digest(algorithm, leaf);
                assert_eq!(tree.leaf(leaf), Ok(own));
                if leaves == 1 {
                    assert!(proof.is_empty() && proof.root().is_none());
                    assert_eq!(root, own);
                    continue;
                }
                assert!(proof.first_list().any(|d| d == own.octets()));
                assert_eq!(proof.first_list().count(), 2, "never a list of one value first");
                assert_eq!(proof.root(), Some(root));
                assert!(proof.lists.len() <= 13);
            }
        }
    }
}

#[test]
fn a_group_is_one_leaf_and_its_first_list_is_the_group() {
    let algorithm = DigestAlgorithm::Sha256;
    for others in 0..40u32 {
        let mut builder = TreeBuilder::new(algorithm);
        let group: Vec<_> = (1000..1003).map(|n| digest(algorithm, n)).collect();
        for n in 0..others {
            if n % 3 == 0 {
                let pair = [digest(algorithm, n), digest(algorithm, 500 + n)];
                builder.push_group(&pair).unwrap();
            } else {
                builder.push(&digest(algorithm, n)).unwrap();
            }
        }
        let leaf = builder.push_group(&group).unwrap();
        let tree = builder.finish().unwrap();
        let mut wanted: Vec<&[u8]> = group.iter().map(ContentDigest::octets).collect();
        wanted.sort();
        let proof = tree.proof(leaf).unwrap();
        assert_eq!(proof.first_list().collect::<Vec<_>>(), wanted);
        assert_eq!(proof.root(), Some(tree.root().unwrap()));
        assert_eq!(
            tree.leaf(leaf).unwrap().octets(),
            algorithm.digest(&wanted.concat())
        );
        for n in 0..others {
            assert_eq!(tree.proof(n).unwrap().root(), Some(tree.root().unwrap()));
        }
    }
}

#[test]
fn a_group_of_one_is_the_object_and_what_does_not_fit_is_refused() {
    let one = digest(DigestAlgorithm::Sha256, 1);
    let mut builder = TreeBuilder::new(DigestAlgorithm::Sha256);
    assert_eq!(builder.push_group(&[]), Err(TreeError::Group));
    assert_eq!(
        builder.push_group(&vec![one; GROUP_MAX + 1]),
        Err(TreeError::Group)
    );
    let other = digest(DigestAlgorithm::Sha512, 1);
    let refused = Err(TreeError::OtherAlgorithm(DigestAlgorithm::Sha256));
    assert_eq!(builder.push(&other), refused);
    assert_eq!(builder.push_group(&[one, other]), refused);
    assert_eq!(
        TreeBuilder::new(DigestAlgorithm::Sha256).finish().unwrap_err(),
        TreeError::Empty
    );
    builder.push_group(&[one]).unwrap();
    let tree = builder.finish().unwrap();
    assert_eq!(tree.root(), Ok(one));
    assert_eq!(tree.proof(1), Err(TreeError::NoLeaf { leaf: 1, leaves: 1 }));
}

#[test]
fn a_first_list_of_one_value_is_that_value() {
    let algorithm = DigestAlgorithm::Sha256;
    let (a, b) = (digest(algorithm, 1), digest(algorithm, 2));
    let alone = Proof::from_lists(algorithm, &[vec![a.octets()]]).unwrap();
    assert_eq!(alone.root(), Some(a));
    let two = Proof::from_lists(algorithm, &[vec![a.octets()], vec![b.octets()]]).unwrap();
    assert_eq!(two.root(), Some(parent(&a, &b)));
    assert_eq!(Proof::from_lists(algorithm, &[vec![]]), None);
    assert_eq!(Proof::from_lists(algorithm, &[vec![&a.octets()[1..]]]), None);
}

#[test]
fn what_is_kept_is_little_more_than_the_leaves() {
    let tree = tree_of(DigestAlgorithm::Sha256, 4096);
    let leaves = 4096 * 32;
    assert!(tree.octets().len() < leaves * 107 / 100);
    let again = Tree::open(tree.octets()).unwrap();
    assert_eq!(again.proof(77), tree.proof(77));
}

proptest! {
    #[test]
    fn damaged_octets_are_refused_or_lead_elsewhere(
        leaves in 2u32..80, leaf in 0u32..80, at in any::<prop::sample::Index>(), bit in 0u8..8, cut in any::<prop::sample::Index>(),
    ) {
        let leaf = leaf % leaves;
        let tree = tree_of(DigestAlgorithm::Sha256, leaves);
        let (root, own) = (tree.root().unwrap(), tree.leaf(leaf).unwrap());
        let mut octets = tree.octets().to_vec();
        prop_assert!(Tree::open(&octets[..cut.index(octets.len())]).is_err());
        let at = at.index(octets.len());
        octets[at] ^= 1 << bit;
        // Never a panic, and never another proof that leads to the root.
        if let Ok(changed) = Tree::open(&octets)
            && let Ok(proof) = changed.proof(leaf)
            && proof.root() == Some(root)
        {
            prop_assert!(proof.first_list().any(|d| d == own.octets()));
            prop_assert_eq!(proof, tree.proof(leaf).unwrap());
        }
    }

    #[test]
    fn any_octets_may_be_opened(octets in proptest::collection::vec(any::<u8>(), 0..200), leaf in any::<u32>()) {
        let mut marked = MARK.to_vec();
        marked.extend(256u32.to_be_bytes());
        marked.extend(&octets);
        for octets in [&octets, &marked] {
            if let Ok(tree) = Tree::open(octets) {
                let _ = tree.proof(leaf % tree.leaves());
            }
        }
    }
}
