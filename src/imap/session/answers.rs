//! Answers to responses (RFC 9051 6 and 7): untagged data, then what happened meanwhile, then the tagged end.

use super::super::ask::{Answer, AppendUid, Changes, Code, CopiedUid, Refusal, Selected};
use super::super::command::{Numbering, SearchReturns};
use super::super::flag::{Flag, Flags};
use super::super::limits::FAILED_LOGINS_MAX;
use super::super::name::MailboxName;
use super::super::set::{UidRanges, in_order};
use super::super::view::{Expunging, View};
use super::commands::SYSTEM_FLAGS;
use super::{About, Doing, Open, Phase, Session, expunge_issued, expunging_for, listing};
use base64::Engine;
use std::fmt::Write as _;

impl Session {
    pub(super) fn answered(&mut self, tag: String, about: About, answer: Answer) {
        match (about, answer) {
            (About::StartTls, Answer::Done) => self.settings.tls = true,
            (About::StartTls, _) => self.bye("TLS could not be begun"),
            (About::Compress, Answer::Done) => self.compressed = true,
            (About::Compress, _) => self.bye("compression could not be begun"),
            (About::Unauthenticate, Answer::Done) => self.unauthenticated(&tag),
            (About::ClientId, _) => self.finish(&tag, Expunging::Allowed, "ID done"),
            (About::Login | About::Authenticate, Answer::LoggedIn) => self.logged_in(&tag),
            (About::Authenticate, Answer::Challenge(octets)) => self.challenge(tag, &octets),
            (About::Login | About::Authenticate, Answer::Refused(refusal)) => {
                self.login_failed(&tag, &refusal)
            }
            (
                About::AppendOpen {
                    synchronising,
                    utf8,
                    replaces,
                },
                Answer::Done,
            ) => {
                self.framer.accept();
                if synchronising {
                    self.out.continuation("Ready for the message");
                }
                self.doing = Doing::Streaming { tag, utf8, replaces };
            }
            (About::AppendOpen { .. }, other) => {
                self.framer.refuse();
                self.refused(&tag, Expunging::Allowed, other);
            }
            (About::AppendAbort, _) => {
                self.tell(Expunging::Allowed);
                self.out.tagged(&tag, "BAD", "something follows the message");
            }
            (About::IdlePoll, Answer::Changed(changes)) => {
                self.apply(changes);
                self.start_idling(tag);
            }
            (about, answer) => self.answered_mailbox(&tag, about, answer),
        }
    }

    fn answered_mailbox(&mut self, tag: &str, about: About, answer: Answer) {
        use Expunging::Allowed;
        match (about, answer) {
            (About::List(list), Answer::Mailboxes(mailboxes)) => {
                listing::write(&mut self.out, &list, mailboxes);
                self.finish(tag, Allowed, if list.lsub { "LSUB done" } else { "LIST done" });
            }
            (About::Select { name, read_only }, Answer::Selected(selected)) => {
                self.now_selected(tag, name, read_only, *selected);
            }
            (About::Status { name, items }, Answer::Status(status)) => {
                self.out.status(&name, items, &status);
                self.finish(tag, Allowed, "STATUS done");
            }
            (About::Plain(text), Answer::Done) => self.finish(tag, Allowed, text),
            (About::Rename { from, to }, Answer::Done) => {
                if self.rev2 {
                    // RFC 9051 6.3.6, 7.3.1: the new name with its OLDNAME.
                    let old = listing::old_name_item(&self.out, &from);
                    self.out.list("LIST", &[], &to, &old);
                }
                self.finish(tag, Allowed, "RENAME done");
            }
            (About::Watch(attention), Answer::Watching { first, changes }) => {
                self.attention = Some(attention);
                self.apply(changes);
                self.push(first);
                self.finish(tag, Allowed, "NOTIFY done");
            }
            (About::Property(text), Answer::Told { lines, longest_bytes }) => {
                self.properties(tag, &lines, longest_bytes, text);
            }
            (About::AppendEnd { replaces: None }, Answer::Appended(uid)) => {
                self.finish(tag, Allowed, &format!("{}APPEND done", append_uid(uid)));
                self.brought_itself();
            }
            (About::AppendEnd { replaces: Some(old) }, Answer::Appended(uid)) => {
                self.replaced_by(tag, old, uid);
            }
            (About::Poll(text), Answer::Changed(changes)) => {
                self.apply(changes);
                self.finish(tag, Allowed, text);
            }
            (About::Expunge, Answer::Expunged { uids, refused }) => {
                self.apply(Changes {
                    removed: uids,
                    ..Changes::default()
                });
                self.end(tag, Allowed, refused, "EXPUNGE done");
            }
            (About::Close, _) => {
                self.phase = Phase::Authenticated;
                self.out.tagged(tag, "OK", "CLOSE done");
            }
            (About::Search { numbering, returns }, Answer::Found(uids)) => {
                self.found(tag, numbering, returns, uids);
            }
            (
                About::Fetch {
                    numbering, some_gone, ..
                },
                Answer::Done,
            ) => {
                self.end(
                    tag,
                    expunging_for(numbering),
                    some_gone.then(expunge_issued),
                    "FETCH done",
                );
            }
            (About::Fetch { numbering, .. } | About::Store { numbering, .. }, Answer::Refused(refusal)) => {
                self.refuse(tag, expunging_for(numbering), &refusal);
            }
            (About::Search { numbering, .. }, Answer::Refused(refusal)) => {
                self.refuse(tag, expunging_for(numbering), &refusal);
            }
            (
                About::Store {
                    numbering,
                    silent,
                    some_gone,
                },
                Answer::Stored { rows, refused },
            ) => {
                self.stored(numbering, silent, rows);
                let refused = refused.or_else(|| some_gone.then(expunge_issued));
                self.end(tag, expunging_for(numbering), refused, "STORE done");
            }
            (
                About::Copy { some_gone },
                Answer::Copied {
                    uid_validity,
                    pairs,
                    refused,
                },
            ) => {
                let refused = refused.or_else(|| some_gone.then(expunge_issued));
                let text = format!("{}COPY done", copy_uid(uid_validity, &pairs));
                self.end(tag, Allowed, refused, &text);
                self.brought_itself();
            }
            (
                About::Move { some_gone },
                Answer::Copied {
                    uid_validity,
                    pairs,
                    refused,
                },
            ) => {
                // RFC 6851 4.3: COPYUID comes before the EXPUNGEs.
                let code = copy_uid(uid_validity, &pairs);
                if !code.is_empty() {
                    self.out.untagged(&format!("OK {code}moved"));
                }
                let removed = pairs.iter().map(|p| p.from).collect();
                self.apply(Changes {
                    removed,
                    ..Changes::default()
                });
                self.end(
                    tag,
                    Allowed,
                    refused.or_else(|| some_gone.then(expunge_issued)),
                    "MOVE done",
                );
                self.brought_itself();
            }
            (_, other) => self.refused(tag, Allowed, other),
        }
    }

    /// RFC 8508 3.4: APPENDUID is told before the EXPUNGE, in an untagged OK; the new message is there first.
    fn replaced_by(&mut self, tag: &str, old: u32, uid: Option<AppendUid>) {
        let code = append_uid(uid);
        if !code.is_empty() {
            self.out.untagged(&format!("OK {code}the new message is here"));
        }
        self.tell(Expunging::Held);
        self.apply(Changes {
            removed: vec![old],
            ..Changes::default()
        });
        self.finish(tag, Expunging::Allowed, "REPLACE done");
        self.brought_itself();
    }

    fn apply(&mut self, changes: Changes) {
        if let Phase::Selected(open) = &mut self.phase {
            open.view.apply(changes);
        }
    }

    fn end(&mut self, tag: &str, expunging: Expunging, refused: Option<Refusal>, text: &str) {
        match refused {
            Some(refusal) => self.refuse(tag, expunging, &refusal),
            None => self.finish(tag, expunging, text),
        }
    }

    /// A refusal, or an answer that does not fit its ask: then the door has a bug.
    fn refused(&mut self, tag: &str, expunging: Expunging, answer: Answer) {
        let refusal = match answer {
            Answer::Refused(refusal) => refusal,
            _ => Refusal::new(Code::ServerBug, "that could not be answered"),
        };
        self.refuse(tag, expunging, &refusal);
    }

    fn logged_in(&mut self, tag: &str) {
        self.phase = Phase::Authenticated;
        self.framer.logged_in();
        self.out.tagged(
            tag,
            "OK",
            &format!("[CAPABILITY {}] welcome", self.capabilities()),
        );
    }

    fn challenge(&mut self, tag: String, octets: &[u8]) {
        self.out
            .continuation(&base64::engine::general_purpose::STANDARD.encode(octets));
        self.framer.expect_raw(true);
        self.doing = Doing::SaslLine { tag };
    }

    fn login_failed(&mut self, tag: &str, refusal: &Refusal) {
        self.out.refused(tag, refusal);
        self.failed_logins += 1;
        if self.failed_logins >= FAILED_LOGINS_MAX {
            self.bye("too many failed logins");
        }
    }

    fn now_selected(&mut self, tag: &str, name: MailboxName, examine: bool, selected: Selected) {
        let read_only = examine || selected.read_only;
        let view = View::new(selected.members);
        let known: Flags = SYSTEM_FLAGS.into_iter().chain(selected.keywords).collect();
        self.out.untagged(&format!("FLAGS {known}"));
        self.out.untagged(&format!("{} EXISTS", view.len()));
        if !self.rev2 {
            self.out.untagged("0 RECENT");
            if let Some(number) = selected.first_unseen.and_then(|uid| view.number_of(uid)) {
                self.out.untagged(&format!("OK [UNSEEN {number}] first unseen"));
            }
        }
        let permanent = if read_only { Vec::new() } else { selected.permanent };
        let mut permanent: Vec<&str> = permanent.iter().map(Flag::as_str).collect();
        if selected.new_keywords && !read_only {
            permanent.push("\\*");
        }
        self.out
            .untagged(&format!("OK [PERMANENTFLAGS ({})] kept", permanent.join(" ")));
        self.out.untagged(&format!(
            "OK [UIDVALIDITY {}] UIDs valid",
            selected.uid_validity.max(1)
        ));
        self.out.untagged(&format!(
            "OK [UIDNEXT {}] predicted next UID",
            selected.uid_next.max(1)
        ));
        if self.rev2 {
            self.out.list("LIST", &[], &name, "");
        }
        let (code, word) = (
            if read_only { "READ-ONLY" } else { "READ-WRITE" },
            if examine { "EXAMINE" } else { "SELECT" },
        );
        self.out.tagged(tag, "OK", &format!("[{code}] {word} done"));
        self.phase = Phase::Selected(Open {
            name,
            read_only,
            view,
        });
    }

    fn found(&mut self, tag: &str, numbering: Numbering, returns: Option<SearchReturns>, mut uids: Vec<u32>) {
        // What arrived during the search may be among the found, and must be known by its number.
        self.tell(Expunging::Held);
        let Phase::Selected(open) = &self.phase else {
            return;
        };
        uids.sort_unstable();
        uids.dedup();
        let number = |uid: &u32| match numbering {
            Numbering::Uid => open.view.number_of(*uid).map(|_| *uid),
            Numbering::Sequence => open.view.number_of(*uid),
        };
        let found: Vec<u32> = uids.iter().filter_map(number).collect();
        let all = SearchReturns {
            all: true,
            ..SearchReturns::default()
        };
        let text = match returns.or(self.rev2.then_some(all)) {
            None => found.iter().fold("SEARCH".to_owned(), |mut text, n| {
                // Writing to a String cannot fail.
                let _ = write!(text, " {n}");
                text
            }),
            Some(returns) => esearch(tag, numbering, returns, &found),
        };
        self.out.untagged(&text);
        self.finish(tag, expunging_for(numbering), "SEARCH done");
    }

    fn stored(&mut self, numbering: Numbering, silent: bool, rows: Vec<(u32, Flags)>) {
        let Phase::Selected(open) = &mut self.phase else {
            return;
        };
        for (uid, flags) in rows {
            let Some(number) = open.view.number_of(uid) else {
                continue;
            };
            open.view.told_flags(uid);
            match (silent, numbering) {
                (true, _) => {}
                (false, Numbering::Uid) => self
                    .out
                    .untagged(&format!("{number} FETCH (UID {uid} FLAGS {flags})")),
                (false, Numbering::Sequence) => self.out.untagged(&format!("{number} FETCH (FLAGS {flags})")),
            }
        }
    }
}

/// `ESEARCH (TAG "a") UID MIN 1 ...` (RFC 4731 3.1). MIN, MAX and ALL are left out when nothing was found.
fn esearch(tag: &str, numbering: Numbering, returns: SearchReturns, found: &[u32]) -> String {
    // A tag has neither quotes nor backslashes, so it can be quoted as it is.
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
            text.push_str(&format!(
                " ALL {}",
                UidRanges::from_numbers(found.iter().copied())
            ));
        }
    }
    if returns.count {
        text.push_str(&format!(" COUNT {}", found.len()));
    }
    text
}

/// `[APPENDUID validity uid] ` (RFC 4315 3), or nothing when the message has no UID where it went.
fn append_uid(uid: Option<AppendUid>) -> String {
    uid.map_or(String::new(), |AppendUid { uid_validity, uid }| {
        format!("[APPENDUID {uid_validity} {uid}] ")
    })
}

/// `[COPYUID validity from to] ` (RFC 4315 3), or nothing when no target UID is known.
fn copy_uid(uid_validity: u32, pairs: &[CopiedUid]) -> String {
    let known: Vec<&CopiedUid> = pairs.iter().filter(|p| p.to != 0).collect();
    if known.is_empty() || uid_validity == 0 {
        return String::new();
    }
    let from = in_order(known.iter().map(|p| p.from));
    let to = in_order(known.iter().map(|p| p.to));
    format!("[COPYUID {uid_validity} {from} {to}] ")
}
