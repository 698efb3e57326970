//! `\Recent` (RFC 3501 2.3.2): which messages of the selected mailbox this session is the first to be told of.
//!
//! IMAP4rev2 knows it no more (RFC 9051 appendix E); who enabled that is told nothing of it. Who was told first is the
//! door's knowledge ([`super::ask::Selected::recent_from`], [`super::ask::Changes::recent_from`]); here it is only kept.

use super::flag::Flags;
use super::search::SearchKey;
use super::set::UidRanges;
use super::view::View;

/// The recent messages of the selected mailbox.
#[derive(Debug, Clone, Default)]
pub struct Recent {
    uids: UidRanges,
    /// How many the client was told there are.
    told: u32,
}

impl Recent {
    /// The mailbox has just been selected; SELECT itself tells the number.
    pub fn new(from: Option<u32>, view: &View) -> Self {
        let mut recent = Self::default();
        recent.add(from, view.last_uid());
        recent.told = view.count_within(&recent.uids);
        recent
    }

    /// What arrived from `from` on, up to `last`, is news to this session first.
    pub fn add(&mut self, from: Option<u32>, last: u32) {
        if let Some(from) = from.filter(|from| *from <= last) {
            let known = self.uids.ranges().map(|r| (*r.start(), *r.end()));
            self.uids = UidRanges::from_pairs(known.chain([(from, last)]));
        }
    }

    pub fn count(&self) -> u32 {
        self.told
    }

    /// The new number, if the client does not know it yet.
    pub fn news(&mut self, view: &View) -> Option<u32> {
        let now = view.count_within(&self.uids);
        (std::mem::replace(&mut self.told, now) != now).then_some(now)
    }

    pub fn contains(&self, uid: u32) -> bool {
        self.uids.contains(uid)
    }

    /// The key with RECENT turned into UIDs: nobody behind the session knows what is recent in it.
    pub fn resolve(&self, key: SearchKey<UidRanges>) -> SearchKey<UidRanges> {
        match key {
            SearchKey::Recent => SearchKey::Set(self.uids.clone()),
            SearchKey::And(keys) => SearchKey::And(keys.into_iter().map(|key| self.resolve(key)).collect()),
            SearchKey::Or(a, b) => SearchKey::Or(Box::new(self.resolve(*a)), Box::new(self.resolve(*b))),
            SearchKey::Not(key) => SearchKey::Not(Box::new(self.resolve(*key))),
            other => other,
        }
    }
}

/// The flags of a message as a session tells them: `(\Recent \Seen)`.
pub struct ToldFlags<'f> {
    pub flags: &'f Flags,
    pub recent: bool,
}

#[cfg(test)]
mod tests {
    use super::super::ask::{Changes, Member, Out};
    use super::super::flag::Flag;
    use super::super::response::Writer;
    use super::super::view::Expunging;
    use super::*;

    fn members(uids: std::ops::RangeInclusive<u32>) -> Vec<Member> {
        uids.map(|uid| Member { uid, key: 0 }).collect()
    }

    #[test]
    fn what_others_were_told_of_first_is_not_recent() {
        let mut view = View::new(members(1..=3).into_iter().collect());
        let mut recent = Recent::new(Some(3), &view);
        assert_eq!(recent.count(), 1);
        let mut arrive = |uids: std::ops::RangeInclusive<u32>, from| {
            let last = *uids.end();
            view.apply(Changes {
                added: members(uids),
                ..Changes::default()
            });
            recent.add(from, last);
            view.news(Expunging::Held);
            recent.news(&view)
        };
        assert_eq!(arrive(4..=5, None), None);
        assert_eq!(arrive(6..=9, Some(8)), Some(3));
        let is: Vec<u32> = (1..=9).filter(|uid| recent.contains(*uid)).collect();
        assert_eq!(is, [3, 8, 9]);
        let key = SearchKey::Not(Box::new(SearchKey::And(vec![SearchKey::Recent, SearchKey::All])));
        let found = |uid: u32| {
            let resolved = recent.resolve(key.clone());
            resolved.holds(&mut |leaf| matches!(leaf, SearchKey::Set(uids) if uids.contains(uid)))
        };
        assert!(found(7) && !found(8));
    }

    fn written(write: impl FnOnce(&mut Writer)) -> String {
        let mut out = Writer::default();
        write(&mut out);
        let [Out::Bytes(octets)] = &out.take()[..] else {
            panic!("one run of octets");
        };
        String::from_utf8(octets.to_vec()).unwrap()
    }

    #[test]
    fn flags_are_written_with_it() {
        let some: Flags = [Flag::Seen, Flag::parse("work").unwrap()].into_iter().collect();
        let text = |flags: &Flags, recent| written(|out| out.flags(ToldFlags { flags, recent }));
        assert_eq!(text(&some, true), "(\\Recent \\Seen work)");
        assert_eq!(text(&some, false), "(\\Seen work)");
        assert_eq!(text(&Flags::default(), true), "(\\Recent)");
        assert_eq!(text(&Flags::default(), false), "()");
    }

    #[test]
    fn numbers_are_written_as_they_are_formatted() {
        for number in [0, 7, 10, 99, 100, 1_000_007, u64::from(u32::MAX), u64::MAX] {
            assert_eq!(written(|out| out.number(number)), number.to_string());
        }
    }
}
