//! Answers to responses (RFC 9051 6 and 7): untagged data, then what happened meanwhile, then the tagged end.

use super::super::ask::{Answer, AppendUid, Changes, Code, CopiedUid, Refusal, Selected};
use super::super::command::SelectWith;
use super::super::flag::{Flag, Flags};
use super::super::limits::FAILED_LOGINS_MAX;
use super::super::name::MailboxName;
use super::super::recent::Recent;
use super::super::set::in_order;
use super::super::view::{Expunging, View};
use super::commands::SYSTEM_FLAGS;
use super::{About, Doing, Open, Phase, Session, expunge_issued, expunging_for, listing, resync};
use base64::Engine;
use std::collections::BTreeSet;

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
                    coming,
                },
                Answer::Done,
            ) => {
                self.framer.accept();
                if synchronising {
                    self.out.continuation("Ready for the message");
                }
                self.doing = Doing::Streaming { tag, coming };
            }
            (About::AppendOpen { .. }, other) => {
                self.framer.refuse();
                self.refused(&tag, Expunging::Allowed, other);
            }
            (
                About::Select {
                    name,
                    read_only,
                    with,
                },
                Answer::Selected(selected),
            ) => {
                self.now_selected(tag, name, read_only, &with, *selected);
            }
            (About::AppendAbort(said), _) => self.append_aborted(tag, said),
            (About::IdlePoll, Answer::Changed(changes)) => {
                self.apply(changes);
                self.start_idling(tag);
            }
            (about, answer) => self.answered_mailbox(&tag, about, answer),
        }
    }

    /// What came of mailboxes as such.
    fn answered_mailbox(&mut self, tag: &str, about: About, answer: Answer) {
        use Expunging::Allowed;
        match (about, answer) {
            (About::List(list), Answer::Mailboxes(mailboxes)) => {
                listing::write(&mut self.out, &list, mailboxes);
                self.finish(tag, Allowed, if list.lsub { "LSUB done" } else { "LIST done" });
            }
            (About::Resync { text, .. }, Answer::Done) => self.out.tagged(tag, "OK", &text),
            (About::Resync { .. }, Answer::Refused(refusal)) => {
                self.phase = Phase::Authenticated;
                self.out.refused(tag, &refusal);
            }
            (About::Status { name, items }, Answer::Status(status)) => {
                self.out.status(&name, items, &status);
                self.finish(tag, Allowed, "STATUS done");
            }
            (About::Plain(text), Answer::Done) => self.finish(tag, Allowed, text),
            (About::Plain(text), Answer::Created(id)) => {
                self.finish(tag, Allowed, &format!("[MAILBOXID ({id})] {text}"));
            }
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
            (about, answer) => self.answered_change(tag, about, answer),
        }
    }

    /// What came of messages that were brought, copied, moved or expunged.
    fn answered_change(&mut self, tag: &str, about: About, answer: Answer) {
        use Expunging::Allowed;
        match (about, answer) {
            (About::AppendEnd { replaces: None }, Answer::Appended(uid)) => {
                self.finish(tag, Allowed, &format!("{}APPEND done", append_uid(uid.as_ref())));
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
                let some = !uids.is_empty();
                self.apply(Changes {
                    removed: uids,
                    ..Changes::default()
                });
                let text = self.expunged_text(some, "EXPUNGE done");
                self.end(tag, Allowed, refused, &text);
            }
            (About::Close, _) => {
                self.phase = Phase::Authenticated;
                self.out.tagged(tag, "OK", "CLOSE done");
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
                    self.out.untagged(format!("OK {code}moved"));
                }
                let removed: Vec<u32> = pairs.iter().map(|p| p.from).collect();
                let some = !removed.is_empty();
                self.apply(Changes {
                    removed,
                    ..Changes::default()
                });
                let text = self.expunged_text(some, "MOVE done");
                let refused = refused.or_else(|| some_gone.then(expunge_issued));
                self.end(tag, Allowed, refused, &text);
                self.brought_itself();
            }
            (about, answer) => self.answered_messages(tag, about, answer),
        }
    }

    /// What was asked, or set, of the messages of the open mailbox.
    fn answered_messages(&mut self, tag: &str, about: About, answer: Answer) {
        match (about, answer) {
            (
                About::Search {
                    kind,
                    numbering,
                    returns,
                },
                Answer::Found(uids),
            ) => self.found(tag, kind, numbering, returns, uids),
            (About::Thread { numbering }, Answer::Threaded(threads)) => {
                self.threaded(tag, numbering, &threads);
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
            (
                About::Search {
                    numbering, returns, ..
                },
                Answer::Refused(refusal),
            ) => {
                self.forget_saved(returns);
                self.refuse(tag, expunging_for(numbering), &refusal);
            }
            (About::Thread { numbering }, Answer::Refused(refusal)) => {
                self.refuse(tag, expunging_for(numbering), &refusal);
            }
            (
                About::Store {
                    numbering,
                    silent,
                    some_gone,
                },
                Answer::Stored {
                    rows,
                    modified,
                    refused,
                },
            ) => {
                self.stored(numbering, silent, rows);
                let refused = refused.or_else(|| some_gone.then(expunge_issued));
                let modified = self.modified(numbering, &modified);
                self.stored_end(tag, numbering, &modified, refused);
            }
            (_, other) => self.refused(tag, Expunging::Allowed, other),
        }
    }

    /// RFC 8508 3.4: APPENDUID is told before the EXPUNGE, in an untagged OK; the new message is there first.
    fn replaced_by(&mut self, tag: &str, old: u32, uid: Option<AppendUid>) {
        let code = append_uid(uid.as_ref());
        if !code.is_empty() {
            self.out.untagged(format!("OK {code}the new message is here"));
        }
        self.tell(Expunging::Held);
        self.apply(Changes {
            removed: vec![old],
            ..Changes::default()
        });
        let text = self.expunged_text(true, "REPLACE done");
        self.finish(tag, Expunging::Allowed, &text);
        self.brought_itself();
    }

    fn apply(&mut self, changes: Changes) {
        if let Phase::Selected(open) = &mut self.phase {
            open.apply(changes);
        }
    }

    pub(super) fn end(&mut self, tag: &str, expunging: Expunging, refused: Option<Refusal>, text: &str) {
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

    fn now_selected(
        &mut self,
        tag: String,
        name: MailboxName,
        examine: bool,
        with: &SelectWith,
        selected: Selected,
    ) {
        let read_only = examine || selected.read_only;
        let view = View::new(selected.members);
        let recent = Recent::new(selected.recent_from, &view);
        let known: Flags = SYSTEM_FLAGS.into_iter().chain(selected.keywords).collect();
        self.out.untagged(format!("FLAGS {known}"));
        self.out.untagged(format!("{} EXISTS", view.len()));
        if !self.rev2 {
            self.out.untagged(format!("{} RECENT", recent.count()));
            let unseen = selected.first_unseen.filter(|_| !self.resync.uid_only);
            if let Some(number) = unseen.and_then(|uid| view.number_of(uid)) {
                self.out.untagged(format!("OK [UNSEEN {number}] first unseen"));
            }
        }
        let permanent = if read_only { Vec::new() } else { selected.permanent };
        let mut permanent: Vec<&str> = permanent.iter().map(Flag::as_str).collect();
        if selected.new_keywords && !read_only {
            permanent.push("\\*");
        }
        self.out
            .untagged(format!("OK [PERMANENTFLAGS ({})] kept", permanent.join(" ")));
        self.out.untagged(format!(
            "OK [UIDVALIDITY {}] UIDs valid",
            selected.uid_validity.max(1)
        ));
        self.out.untagged(format!(
            "OK [UIDNEXT {}] predicted next UID",
            selected.uid_next.max(1)
        ));
        if self.settings.resync {
            self.out.untagged(resync::highest_text(selected.highest_modseq));
        }
        if let Some(id) = &selected.mailbox_id {
            self.out.untagged(format!("OK [MAILBOXID ({id})] its id"));
        }
        if self.rev2 {
            self.out.list("LIST", &[], &name, "");
        }
        let (code, word) = (
            if read_only { "READ-ONLY" } else { "READ-WRITE" },
            if examine { "EXAMINE" } else { "SELECT" },
        );
        let text = format!("[{code}] {word} done");
        self.phase = Phase::Selected(Open {
            name,
            read_only,
            view,
            seen: resync::Seen::new(selected.highest_modseq),
            recent,
        });
        if let Some(ask) = self.resync_ask(with, selected.uid_validity.max(1)) {
            return self.ask_to_resync(tag, ask, text);
        }
        self.out.tagged(&tag, "OK", &text);
    }
}

/// `[APPENDUID validity uid] ` (RFC 4315 3), or nothing when a message has no UID where it went, or two of them have one: what
/// was brought twice and stands there once. A client pairs its messages with the UIDs by their order, and a set that names
/// one UID twice may be read as naming it once (RFC 9051 9); without the code it looks for its messages itself.
fn append_uid(uid: Option<&AppendUid>) -> String {
    let Some(AppendUid { uid_validity, uids }) = uid else {
        return String::new();
    };
    let different: BTreeSet<u32> = uids.iter().copied().collect();
    if different.len() < uids.len() {
        return String::new();
    }
    format!("[APPENDUID {uid_validity} {}] ", in_order(uids.iter().copied()))
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
