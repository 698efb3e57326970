//! SEARCH, SORT and THREAD: what is asked, and what is answered (RFC 9051 6.4.4 and 7.3.4, RFC 5256, 5267, 9394); what is
//! kept of it for `$` (RFC 5182); and word that a long command is still in work (RFC 9585).
//!
//! The door finds, orders and threads by UID. Here UIDs become the numbers the client counts in, and results take the
//! form that was asked for.

use super::super::ask::{Ask, Code, Refusal};
use super::super::command::{Command, Numbering, SearchReturns};
use super::super::limits::SAVED_RANGES_MAX;
use super::super::parse::BadCommand;
use super::super::search::{Charset, SearchKey};
use super::super::set::{SearchSet, UidRanges, in_order};
use super::super::thread::{self, Threads};
use super::super::view::Expunging;
use super::{About, Doing, Open, Phase, Session, expunging_for};
use std::fmt::Write as _;

/// Which of the three commands is answered, as far as its answer differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Search,
    Sort,
}

impl Session {
    /// One of the three commands, with a mailbox selected.
    pub(super) fn search(&mut self, tag: String, command: Command) -> Option<Ask> {
        if self.utf8_accept && matches!(command, Command::Search { charset: Some(_), .. }) {
            // RFC 6855 3: what it says would conflict with what was agreed on.
            return self.bad(BadCommand {
                tag: Some(tag),
                text: "after UTF8=ACCEPT a search names no charset",
            });
        }
        let Phase::Selected(open) = &self.phase else {
            return None;
        };
        let (about, ask) = match command {
            Command::Search {
                numbering,
                returns,
                charset,
                key,
            } => (
                About::Search {
                    kind: Kind::Search,
                    numbering,
                    returns,
                },
                Ask::Search {
                    charset: charset.unwrap_or_else(|| self.unnamed(&key)),
                    key: resolve_key(open, key),
                },
            ),
            Command::Sort {
                numbering,
                returns,
                order,
                charset,
                key,
            } => (
                About::Search {
                    kind: Kind::Sort,
                    numbering,
                    returns,
                },
                Ask::Sort {
                    order,
                    charset,
                    key: resolve_key(open, key),
                },
            ),
            Command::Thread {
                numbering,
                algorithm,
                charset,
                key,
            } => (
                About::Thread { numbering },
                Ask::Thread {
                    algorithm,
                    charset,
                    key: resolve_key(open, key),
                },
            ),
            _ => return None,
        };
        self.ask(tag, about, ask)
    }

    /// The charset of a search that names none: UTF-8 where that was agreed on (RFC 9051 6.4.4, RFC 6855 3), and where the
    /// client sends it. Else what RFC 3501 6.4.4 says.
    fn unnamed(&self, key: &SearchKey<SearchSet>) -> Charset {
        let agreed = self.rev2 || self.utf8_accept;
        if agreed || !key.is_ascii() {
            Charset::Utf8
        } else {
            Charset::UsAscii
        }
    }

    /// Word to the client that an answer lacks something, beside the answer (RFC 9051 7.1.2).
    pub fn warn(&mut self, code: Code, text: &str) {
        self.out.untagged(format!("NO [{}] {text}", code.as_str()));
    }

    /// Word to the client of what an answer leaves out as it should (RFC 9051 7.1.1).
    pub fn inform(&mut self, text: &str) {
        let text = self.out.readable(text);
        self.out.untagged(format!("OK {text}"));
    }

    /// What SEARCH or SORT found, in the order in which it is to be told.
    pub(super) fn found(
        &mut self,
        tag: &str,
        kind: Kind,
        numbering: Numbering,
        returns: Option<SearchReturns>,
        mut uids: Vec<u32>,
    ) {
        // What arrived during the search may be among the found, and must be known by its number.
        self.tell(Expunging::Held);
        if kind == Kind::Search {
            uids.sort_unstable();
            uids.dedup();
        }
        let Phase::Selected(open) = &mut self.phase else {
            return;
        };
        uids.retain(|uid| open.view.number_of(*uid).is_some());
        if let Some(returns) = returns.filter(|r| r.save) {
            let saved = UidRanges::from_numbers(kept(returns, &uids).into_iter());
            if saved.len() > SAVED_RANGES_MAX {
                self.forget_saved(Some(returns));
                let refusal = Refusal::new(
                    Code::NotSaved,
                    "too many messages apart from each other to be saved",
                );
                return self.refuse(tag, expunging_for(numbering), &refusal);
            }
            open.view.save(saved);
        }
        // RFC 7162 3.1.6.
        let modseq = self.resync.highest_found(&uids, returns);
        let numbers: Vec<u32> = match numbering {
            Numbering::Uid => uids,
            Numbering::Sequence => uids.iter().filter_map(|uid| open.view.number_of(*uid)).collect(),
        };
        let all = SearchReturns {
            all: true,
            ..SearchReturns::default()
        };
        // RFC 9051 7.3.4: with IMAP4rev2 a SEARCH is always answered by ESEARCH. SORT is not of it.
        let extended = self.rev2 && kind == Kind::Search;
        let (word, done) = match kind {
            Kind::Search => ("SEARCH", "SEARCH done"),
            Kind::Sort => ("SORT", "SORT done"),
        };
        match returns.or(extended.then_some(all)) {
            None => {
                let modseq = modseq.map(|modseq| format!(" (MODSEQ {modseq})"));
                let text = listed(word, &numbers) + &modseq.unwrap_or_default();
                self.out.untagged(&text);
            }
            // RFC 5182 1: SAVE alone suppresses the answer.
            Some(returns) if tells_nothing(returns) => {}
            Some(returns) => {
                let modseq = modseq.map(|modseq| format!(" MODSEQ {modseq}"));
                let text = esearch(tag, numbering, returns, &numbers) + &modseq.unwrap_or_default();
                self.out.untagged(&text);
            }
        }
        self.finish(tag, expunging_for(numbering), done);
    }

    pub(super) fn threaded(&mut self, tag: &str, numbering: Numbering, threads: &Threads) {
        self.tell(Expunging::Held);
        let Phase::Selected(open) = &self.phase else {
            return;
        };
        let text = thread::write(threads, |uid| match numbering {
            Numbering::Uid => open.view.number_of(uid).map(|_| uid),
            Numbering::Sequence => open.view.number_of(uid),
        });
        let space = if text.is_empty() { "" } else { " " };
        self.out.untagged(format!("THREAD{space}{text}"));
        self.finish(tag, expunging_for(numbering), "THREAD done");
    }

    /// RFC 5182 2.1: a search with SAVE that is answered with NO leaves nothing saved.
    pub(super) fn forget_saved(&mut self, returns: Option<SearchReturns>) {
        if let (Some(SearchReturns { save: true, .. }), Phase::Selected(open)) = (returns, &mut self.phase) {
            open.view.save(UidRanges::default());
        }
    }

    /// Word to the client that the command it waits for is still in work: so many done of so many, as far as that is
    /// known (RFC 9585 4). Take the output at once.
    pub fn progress(&mut self, counted: Option<(u64, u64)>) {
        let Doing::Asked { tag, .. } = &self.doing else {
            return;
        };
        // A tag has neither quotes nor backslashes, so it can be quoted as it is. It may have the bracket at which
        // simple readers see the end of the code.
        let tag = match tag.contains(']') {
            true => "NIL".to_owned(),
            false => format!("\"{tag}\""),
        };
        let state = match counted {
            Some((done, of)) if of > 0 => format!("{} {of}", done.min(of)),
            _ => "NIL NIL".to_owned(),
        };
        let text = format!("OK [INPROGRESS ({tag} {state})] still at it");
        self.out.untagged(&text);
    }
}

fn resolve_key(open: &Open, key: SearchKey<SearchSet>) -> SearchKey<UidRanges> {
    open.recent.resolve(key.map_sets(&mut |set| match set {
        SearchSet::Sequence(set) => open.view.number_ranges(&set),
        SearchSet::Uid(set) => open.view.uid_ranges(&set),
    }))
}

/// The old form: `SEARCH 1 2 3`.
fn listed(word: &str, numbers: &[u32]) -> String {
    numbers.iter().fold(word.to_owned(), |mut text, n| {
        // Writing to a String cannot fail.
        let _ = write!(text, " {n}");
        text
    })
}

fn tells_nothing(returns: SearchReturns) -> bool {
    !(returns.min || returns.max || returns.all || returns.count || returns.partial.is_some())
}

/// What SAVE saves: the table of RFC 5182 2.4, with PARTIAL as RFC 9394 3.2 adds it.
fn kept(returns: SearchReturns, found: &[u32]) -> Vec<u32> {
    let everything = returns.all || returns.count || tells_nothing(returns);
    if everything {
        return found.to_vec();
    }
    let mut kept: Vec<u32> = match returns.partial {
        Some(range) => found.get(range.of(found.len())).unwrap_or_default().to_vec(),
        None => Vec::new(),
    };
    kept.extend(found.first().filter(|_| returns.min));
    kept.extend(found.last().filter(|_| returns.max));
    kept
}

/// `ESEARCH (TAG "a") UID MIN 1 ...` (RFC 4731 3.1). MIN, MAX and ALL are left out when nothing was found. For a SORT
/// they go by its order (RFC 5267 3.1).
fn esearch(tag: &str, numbering: Numbering, returns: SearchReturns, found: &[u32]) -> String {
    let mut text = format!("ESEARCH (TAG \"{tag}\")");
    if numbering == Numbering::Uid {
        text.push_str(" UID");
    }
    if let (Some(min), Some(max)) = (found.first(), found.last()) {
        if returns.min {
            text.push_str(&format!(" MIN {min}"));
        }
        if returns.max {
            text.push_str(&format!(" MAX {max}"));
        }
        if returns.all {
            text.push_str(&format!(" ALL {}", in_order(found.iter().copied())));
        }
    }
    if let Some(range) = returns.partial {
        let part = found.get(range.of(found.len())).unwrap_or_default();
        // RFC 9394 3.1: NIL when the whole range lies beyond the results.
        let shown = match part {
            [] => "NIL".to_owned(),
            part => in_order(part.iter().copied()),
        };
        text.push_str(&format!(" PARTIAL ({range} {shown})"));
    }
    if returns.count {
        text.push_str(&format!(" COUNT {}", found.len()));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::imap::ask::{Member, Out};
    use crate::imap::grammar::Cursor;
    use crate::imap::name::MailboxName;
    use crate::imap::partial::PartialRange;
    use crate::imap::recent::Recent;
    use crate::imap::session::Settings;
    use crate::imap::set::SequenceSet;
    use crate::imap::view::View;

    fn returns(words: &str) -> SearchReturns {
        let mut returns = SearchReturns::default();
        for word in words.split(' ') {
            match word {
                "MIN" => returns.min = true,
                "MAX" => returns.max = true,
                "ALL" => returns.all = true,
                "COUNT" => returns.count = true,
                "SAVE" => returns.save = true,
                range => returns.partial = PartialRange::read(&mut Cursor(range.as_bytes())).ok(),
            }
        }
        returns
    }

    #[test]
    fn what_is_saved_is_as_the_tables_say() {
        let found = [2, 10, 11, 12, 21];
        let kept =
            |words: &str| UidRanges::from_numbers(kept(returns(words), &found).into_iter()).to_string();
        assert_eq!(kept("SAVE"), "2,10:12,21");
        assert_eq!(kept("SAVE ALL"), "2,10:12,21");
        assert_eq!(kept("SAVE MIN"), "2");
        assert_eq!(kept("SAVE MAX"), "21");
        assert_eq!(kept("MAX SAVE MIN"), "2,21");
        assert_eq!(kept("MAX SAVE MIN COUNT"), "2,10:12,21");
        assert_eq!(kept("SAVE MIN ALL"), "2,10:12,21");
        assert_eq!(kept("SAVE 2:3"), "10:11");
        assert_eq!(kept("SAVE 2:3 MIN"), "2,10:11");
        assert_eq!(kept("SAVE -1:-2 MIN MAX"), "2,12,21");
        assert_eq!(kept("SAVE 2:3 COUNT"), "2,10:12,21");
        assert_eq!(kept("SAVE 9:10"), "");
    }

    /// A session with these UIDs selected.
    fn selected(uids: impl Iterator<Item = u32>) -> Session {
        let mut session = Session::new(Settings {
            tls: true,
            starttls: false,
            login_in_clear: false,
            mechanisms: Vec::new(),
            greeting: String::new(),
            append_max_bytes: 0,
            id: Vec::new(),
            rev2: false,
            resync: false,
            compress: false,
            quota_resources: &[],
        });
        session.phase = Phase::Selected(Open {
            name: MailboxName::inbox(),
            read_only: false,
            view: View::new(uids.map(|uid| Member { uid, key: 0 }).collect()),
            seen: super::super::resync::Seen::new(0),
            recent: Recent::default(),
        });
        session.take_output();
        session
    }

    fn said(session: &mut Session) -> String {
        let octets = session.take_output().into_iter().map(|out| match out {
            Out::Bytes(octets) => octets,
            Out::Content { .. } | Out::Decoded { .. } => Vec::new(),
        });
        String::from_utf8(octets.flatten().collect()).unwrap()
    }

    #[test]
    fn what_is_too_scattered_is_not_saved_and_leaves_nothing_saved() {
        let scattered = |count: u32| (0..count).map(|n| n * 2 + 1);
        let most = SAVED_RANGES_MAX as u32;
        let mut session = selected(scattered(most + 1));
        let mut found = |count: u32| {
            let uids = scattered(count).collect();
            session.found("a", Kind::Search, Numbering::Uid, Some(returns("SAVE")), uids);
            let Phase::Selected(open) = &session.phase else {
                panic!("nothing is selected")
            };
            let saved = open.view.by_uid(&SequenceSet::saved()).members.len();
            (said(&mut session), saved)
        };
        assert_eq!(found(most), ("a OK SEARCH done\r\n".to_owned(), most as usize));
        let (refused, saved) = found(most + 1);
        assert!(refused.starts_with("a NO [NOTSAVED] "), "{refused}");
        assert_eq!(saved, 0);
    }

    #[test]
    fn progress_is_told_only_of_a_command_in_work() {
        let mut session = selected(1..2);
        session.progress(Some((1, 2)));
        assert_eq!(said(&mut session), "");
        let about = About::Poll("NOOP done");
        session.ask("A001".to_owned(), about, Ask::Poll);
        session.progress(Some((454, 1000)));
        session.progress(None);
        let told = "* OK [INPROGRESS (\"A001\" 454 1000)] still at it\r\n* OK [INPROGRESS (\"A001\" NIL NIL)] still at it\r\n";
        assert_eq!(said(&mut session), told);
        session.ask("a]".to_owned(), About::Poll("NOOP done"), Ask::Poll);
        session.progress(None);
        assert_eq!(
            said(&mut session),
            "* OK [INPROGRESS (NIL NIL NIL)] still at it\r\n"
        );
    }

    #[test]
    fn a_hundred_thousand_numbers_are_written_in_one_go() {
        let odd: Vec<u32> = (0..100_000).map(|n| n * 2 + 1).collect();
        let text = esearch("a", Numbering::Uid, returns("ALL COUNT"), &odd);
        assert!(
            text.starts_with("ESEARCH (TAG \"a\") UID ALL 1,3,5,") && text.ends_with(",199999 COUNT 100000")
        );
        assert!(listed("SORT", &odd).ends_with(" 199997 199999"));
    }
}
