//! What a user was answered about messages that he marked himself: it is no news to him.
//!
//! Where all that happened is what he did, and was answered, there is nothing to look for. Who marks one message after the
//! other would look behind each.

use crate::id::{ItemId, ModSeq};

/// Marked messages with the commits by which they were, as they came; mostly they come in order.
#[derive(Debug, Clone, Default)]
pub(super) struct Answered {
    marked: Vec<(ItemId, ModSeq)>,
    /// Commits that are known whole: all they changed is flags of his, and of that he was answered all.
    whole: Vec<ModSeq>,
}

impl Answered {
    pub fn note(&mut self, marked: impl IntoIterator<Item = (ItemId, ModSeq)>) {
        self.marked.extend(marked);
    }

    /// Each commit once.
    pub fn note_whole(&mut self, commits: impl IntoIterator<Item = ModSeq>) {
        self.whole.extend(commits);
    }

    pub fn forget(&mut self) {
        self.marked.clear();
        self.whole.clear();
    }

    pub fn in_order(&mut self) -> InOrder<'_> {
        self.marked.sort_unstable();
        InOrder(&self.marked)
    }

    /// Whether something was committed behind the one and by the other, and each of these commits is known whole.
    pub fn is_all_between(&self, behind: ModSeq, by: ModSeq) -> bool {
        let between = self.whole.iter().filter(|at| behind < **at && **at <= by);
        by > behind && between.count() as u64 == by.0 - behind.0
    }
}

/// The same by message, for who asks about many.
pub(super) struct InOrder<'a>(&'a [(ItemId, ModSeq)]);

impl InOrder<'_> {
    /// Whether he was answered this change of a message, or a later one.
    pub fn covers(&self, item: ItemId, change: ModSeq) -> bool {
        let at = self.0.partition_point(|marked| *marked < (item, change));
        self.0.get(at).is_some_and(|(marked, _)| *marked == item)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_answered_covers_what_was_before_it() {
        let mut answered = Answered::default();
        assert!(!answered.in_order().covers(ItemId(7), ModSeq(0)));
        answered.note([(9, 4), (7, 5), (8, 3), (7, 2)].map(|(item, at)| (ItemId(item), ModSeq(at))));
        let highest = |item: u64| {
            let mut answered = answered.clone();
            let covered = (1..9).filter(|at| answered.in_order().covers(ItemId(item), ModSeq(*at)));
            covered.collect::<Vec<_>>()
        };
        assert_eq!(highest(7), [1, 2, 3, 4, 5]);
        assert_eq!(highest(8), [1, 2, 3]);
        assert_eq!(highest(9), [1, 2, 3, 4]);
        assert!(highest(6).is_empty());
        answered.forget();
        assert!(!answered.in_order().covers(ItemId(7), ModSeq(1)));
    }

    #[test]
    fn all_is_known_only_where_no_commit_is_missing() {
        let mut answered = Answered::default();
        let all = |answered: &Answered, behind, by| answered.is_all_between(ModSeq(behind), ModSeq(by));
        assert!(
            !all(&answered, 4, 4),
            "nothing was committed, and nothing is known"
        );
        answered.note_whole([5, 6, 8].map(ModSeq));
        let known = |answered: &Answered| {
            let pairs = (3..=9).flat_map(|behind| (behind..=9).map(move |by| (behind, by)));
            pairs
                .filter(|(behind, by)| all(answered, *behind, *by))
                .collect::<Vec<_>>()
        };
        assert_eq!(known(&answered), [(4, 5), (4, 6), (5, 6), (7, 8)]);
        answered.note([(ItemId(1), ModSeq(7))]);
        assert_eq!(
            known(&answered),
            [(4, 5), (4, 6), (5, 6), (7, 8)],
            "a message is no commit"
        );
        answered.forget();
        assert!(known(&answered).is_empty());
    }
}
