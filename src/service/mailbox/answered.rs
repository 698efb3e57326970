//! What a user was answered about messages that he marked himself: it is no news to him.

use crate::id::{ItemId, ModSeq};

/// Marked messages with the commits by which they were, as they came; mostly they come in order.
#[derive(Debug, Clone, Default)]
pub(super) struct Answered(Vec<(ItemId, ModSeq)>);

impl Answered {
    pub fn note(&mut self, marked: impl IntoIterator<Item = (ItemId, ModSeq)>) {
        self.0.extend(marked);
    }

    pub fn forget(&mut self) {
        self.0.clear();
    }

    pub fn in_order(&mut self) -> InOrder<'_> {
        self.0.sort_unstable();
        InOrder(&self.0)
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
}
