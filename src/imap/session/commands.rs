//! Commands to asks: legality by state (RFC 9051 6), and sequence numbers to UIDs.

use super::super::ask::{Ask, Code, FetchAsk, ListAsk, Member, Refusal, StoreAsk};
use super::super::command::*;
use super::super::flag::Flag;
use super::super::name::{MailboxName, Spelling};
use super::super::parse::{BadCommand, is_atom};
use super::super::partial::PartialRange;
use super::super::set::SequenceSet;
use super::super::view::{Expunging, Resolved};
use super::{About, Doing, Phase, Session, expunge_issued, expunging_for, resync};

/// Where a command may be given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Where {
    Anywhere,
    BeforeLogin,
    LoggedIn,
    /// Logged in, and nothing selected (RFC 5161 3.1).
    NothingSelected,
    Selected,
}

impl Session {
    pub(super) fn command(&mut self, tagged: Tagged) -> Option<Ask> {
        let Tagged { tag, command } = tagged;
        let wrong = match (place(&command), &self.phase) {
            (Where::Anywhere, _) => None,
            (Where::BeforeLogin, Phase::NotAuthenticated) => None,
            (Where::BeforeLogin, _) => Some("you are logged in already"),
            (_, Phase::NotAuthenticated) => Some("log in first"),
            (Where::Selected, Phase::Authenticated) => Some("select a mailbox first"),
            (Where::NothingSelected, Phase::Selected(_)) => Some("a mailbox is selected already"),
            _ => None,
        };
        if let Some(text) = wrong.or_else(|| self.refused_by_mode(&command)) {
            return self.bad(BadCommand { tag: Some(tag), text });
        }
        self.notice_condstore(&command);
        match place(&command) {
            Where::Selected => self.in_mailbox(tag, command),
            _ => self.outside(tag, command),
        }
    }

    fn outside(&mut self, tag: String, command: Command) -> Option<Ask> {
        match command {
            Command::Capability => {
                self.out.untagged(format!("CAPABILITY {}", self.capabilities()));
                self.done(&tag, "CAPABILITY done")
            }
            Command::Noop if self.selected().is_some() => self.ask(tag, About::Poll("NOOP done"), Ask::Poll),
            Command::Noop => self.done(&tag, "NOOP done"),
            Command::Logout => {
                self.out.untagged("BYE Goodbye");
                self.out.tagged(&tag, "OK", "LOGOUT done");
                self.phase = Phase::Logout;
                None
            }
            Command::Id(fields) => {
                let id = self.settings.id.clone();
                self.out.id(&id);
                self.ask(tag, About::ClientId, Ask::ClientId(fields))
            }
            Command::StartTls => self.start_tls(tag),
            Command::Login { login, password } => match self.login_refused() {
                Some(refusal) => self.no(&tag, &refusal),
                None => self.ask(tag, About::Login, Ask::Login { login, password }),
            },
            Command::Authenticate { mechanism, initial } => self.authenticate(tag, mechanism, initial),
            Command::Enable(wanted) => self.enable(&tag, &wanted),
            Command::Namespace => {
                self.out.untagged("NAMESPACE ((\"\" \"/\")) NIL NIL");
                self.done(&tag, "NAMESPACE done")
            }
            Command::List(list) => self.list(tag, list),
            Command::Notify(set) => self.notify(tag, set),
            Command::Property(property) => {
                self.ask(tag, About::Property(property.done()), Ask::Property(property))
            }
            Command::Compress(mechanism) => self.compress(tag, &mechanism),
            Command::Unauthenticate => self.ask(tag, About::Unauthenticate, Ask::Unauthenticate),
            Command::Idle if self.selected().is_some() => self.ask(tag, About::IdlePoll, Ask::Poll),
            Command::Idle => {
                self.start_idling(tag);
                None
            }
            other => self.about_mailboxes(tag, other),
        }
    }

    fn about_mailboxes(&mut self, tag: String, command: Command) -> Option<Ask> {
        let (about, ask) = match command {
            Command::Select {
                mailbox,
                read_only,
                with,
            } => {
                if matches!(self.phase, Phase::Selected(_)) {
                    self.phase = Phase::Authenticated;
                    self.out.untagged("OK [CLOSED] the mailbox is no longer selected");
                }
                (
                    About::Select {
                        name: mailbox.clone(),
                        read_only,
                        with,
                    },
                    Ask::Select { mailbox, read_only },
                )
            }
            Command::Status { mailbox, items } => (
                About::Status {
                    name: mailbox.clone(),
                    items,
                },
                Ask::Status { mailbox, items },
            ),
            Command::Create { mailbox, special_use } => {
                if let Some(refusal) = unusable(&mailbox) {
                    return self.no(&tag, &refusal);
                }
                (About::Plain("CREATE done"), Ask::Create { mailbox, special_use })
            }
            Command::Delete(mailbox) if mailbox.is_inbox() => {
                return self.no(&tag, &Refusal::new(Code::Cannot, "INBOX cannot be deleted"));
            }
            Command::Delete(mailbox) => (About::Plain("DELETE done"), Ask::Delete(mailbox)),
            Command::Rename { from, to } => {
                if let Some(refusal) = unusable(&to).or_else(|| below_itself(&from, &to)) {
                    return self.no(&tag, &refusal);
                }
                let about = About::Rename {
                    from: from.clone(),
                    to: to.clone(),
                };
                (about, Ask::Rename { from, to })
            }
            Command::Subscribe(mailbox) => (About::Plain("SUBSCRIBE done"), Ask::Subscribe(mailbox)),
            Command::Unsubscribe(mailbox) => (About::Plain("UNSUBSCRIBE done"), Ask::Unsubscribe(mailbox)),
            _ => {
                return self.bad(BadCommand {
                    tag: Some(tag),
                    text: "that command is not known",
                });
            }
        };
        self.ask(tag, about, ask)
    }

    fn in_mailbox(&mut self, tag: String, command: Command) -> Option<Ask> {
        // Answers may speak only of messages the client has heard of: EXISTS comes first.
        self.tell(Expunging::Held);
        let Phase::Selected(open) = &self.phase else {
            return None;
        };
        let read_only = open.read_only;
        match command {
            Command::Check => self.ask(tag, About::Poll("CHECK done"), Ask::Poll),
            Command::Close if !read_only => self.ask(tag, About::Close, Ask::Expunge(None)),
            Command::Close | Command::Unselect => {
                self.phase = Phase::Authenticated;
                self.done(&tag, "the mailbox is no longer selected")
            }
            Command::Search { .. } | Command::Sort { .. } | Command::Thread { .. } => {
                self.search(tag, command)
            }
            Command::Fetch {
                numbering,
                set,
                items,
                changed,
                partial,
            } => self.fetch(tag, numbering, &set, items, (changed, partial)),
            Command::Copy {
                numbering,
                set,
                mailbox,
            } => self.copy(tag, numbering, &set, mailbox),
            _ if read_only => self.no(&tag, &Refusal::plain("the mailbox is open for reading only")),
            Command::Expunge(None) => self.ask(tag, About::Expunge, Ask::Expunge(None)),
            Command::Expunge(Some(set)) => {
                let members = open.view.by_uid(&set).members;
                self.ask(tag, About::Expunge, Ask::Expunge(Some(members)))
            }
            Command::Store {
                numbering,
                set,
                how,
                silent,
                flags,
                unchanged_since,
            } => {
                let found = self.resolve(&tag, numbering, &set)?;
                if found.members.is_empty() {
                    return self.nothing(&tag, numbering, found.some_gone);
                }
                let about = About::Store {
                    numbering,
                    silent,
                    some_gone: gone(numbering, &found),
                };
                let flags = flags.into_iter().collect::<super::super::flag::Flags>();
                self.ask(
                    tag,
                    about,
                    Ask::Store(StoreAsk {
                        members: found.members,
                        how,
                        flags,
                        silent,
                        unchanged_since,
                    }),
                )
            }
            Command::Move {
                numbering,
                set,
                mailbox,
            } => {
                let found = self.resolve(&tag, numbering, &set)?;
                if found.members.is_empty() {
                    return self.nothing(&tag, numbering, found.some_gone);
                }
                let about = About::Move {
                    some_gone: gone(numbering, &found),
                };
                self.ask(
                    tag,
                    about,
                    Ask::Move {
                        members: found.members,
                        mailbox,
                    },
                )
            }
            _ => self.bad(BadCommand {
                tag: Some(tag),
                text: "that command is not known",
            }),
        }
    }

    fn fetch(
        &mut self,
        tag: String,
        numbering: Numbering,
        set: &SequenceSet,
        items: Vec<FetchItem>,
        (changed, partial): (Option<ChangedSince>, Option<PartialRange>),
    ) -> Option<Ask> {
        let mut found = self.resolve(&tag, numbering, set)?;
        if let Some(range) = partial {
            // RFC 9394 3.3 and 3.4: the range is taken before anything else narrows what is told.
            let wanted = range.of(found.members.len());
            found.members = found.members.get(wanted).unwrap_or_default().to_vec();
        }
        let since = changed.map(|changed| resync::since(changed, set));
        let vanished = changed.is_some_and(|changed| changed.vanished);
        if found.members.is_empty() && !vanished {
            return self.nothing(&tag, numbering, found.some_gone);
        }
        let writable = matches!(&self.phase, Phase::Selected(open) if !open.read_only);
        let reads = items.iter().any(|item| {
            matches!(
                item,
                FetchItem::Section(SectionItem { peek: false, .. })
                    | FetchItem::Binary(BinaryItem { peek: false, .. })
            )
        });
        let mark_seen = writable && reads;
        let extra = self.resync.extra(numbering, mark_seen);
        let some_gone = gone(numbering, &found);
        let about = About::Fetch {
            numbering,
            items: items.clone(),
            extra,
            some_gone,
        };
        self.ask(
            tag,
            about,
            Ask::Fetch(FetchAsk {
                members: found.members,
                items,
                mark_seen,
                with_modseq: extra.modseq,
                since,
            }),
        )
    }

    fn copy(
        &mut self,
        tag: String,
        numbering: Numbering,
        set: &SequenceSet,
        mailbox: MailboxName,
    ) -> Option<Ask> {
        let found = self.resolve(&tag, numbering, set)?;
        if found.members.is_empty() {
            return self.nothing(&tag, numbering, found.some_gone);
        }
        let about = About::Copy {
            some_gone: gone(numbering, &found),
        };
        self.ask(
            tag,
            about,
            Ask::Copy {
                members: found.members,
                mailbox,
            },
        )
    }

    /// The members a set stands for, or a BAD that has been said.
    fn resolve(&mut self, tag: &str, numbering: Numbering, set: &SequenceSet) -> Option<Resolved> {
        let Phase::Selected(open) = &self.phase else {
            return None;
        };
        let found = match numbering {
            Numbering::Uid => Ok(open.view.by_uid(set)),
            Numbering::Sequence => open.view.by_number(set),
        };
        if found.is_err() {
            self.bad(BadCommand {
                tag: Some(tag.to_owned()),
                text: "there is no message with that number",
            });
        }
        found.ok()
    }

    /// The message a REPLACE names, or the framer's refusal and why it cannot be (RFC 8508 3.1: in the selected state).
    pub(super) fn replaced(&mut self, tag: &str, replaces: Replaces) -> Option<Member> {
        self.tell(Expunging::Held);
        let (open, bad) = match &self.phase {
            Phase::Selected(open) => (Some(open), ""),
            Phase::NotAuthenticated => (None, "log in first"),
            _ => (None, "select a mailbox first"),
        };
        let set = SequenceSet(vec![(replaces.which, replaces.which)]);
        let found = open.map(|open| match replaces.numbering {
            Numbering::Uid => Ok(open.view.by_uid(&set)),
            Numbering::Sequence => open.view.by_number(&set),
        });
        let by_number = replaces.numbering == Numbering::Sequence;
        let why = match (found, open.is_some_and(|open| open.read_only)) {
            (None, _) => Err(bad),
            _ if by_number && self.resync.uid_only => Err(resync::UID_REQUIRED),
            (_, true) => Ok(Refusal::plain("the mailbox is open for reading only")),
            (Some(Err(_)), _) => Err("there is no message with that number"),
            (Some(Ok(found)), _) => match found.members.first() {
                Some(member) => return Some(*member),
                None if found.some_gone => Ok(expunge_issued()),
                None => Ok(Refusal::new(
                    Code::NonExistent,
                    "there is no such message; nothing was replaced",
                )),
            },
        };
        self.framer.refuse();
        match why {
            Ok(refusal) => self.no(tag, &refusal),
            Err(text) => self.bad(BadCommand {
                tag: Some(tag.to_owned()),
                text,
            }),
        };
        None
    }

    /// A set without members: for UIDs that is no error (RFC 9051 6.4.9).
    fn nothing(&mut self, tag: &str, numbering: Numbering, some_gone: bool) -> Option<Ask> {
        let expunging = expunging_for(numbering);
        if some_gone && numbering == Numbering::Sequence {
            self.refuse(tag, expunging, &expunge_issued());
        } else {
            self.finish(tag, expunging, "nothing to do");
        }
        None
    }

    fn start_tls(&mut self, tag: String) -> Option<Ask> {
        if self.settings.tls || !self.settings.starttls {
            return self.bad(BadCommand {
                tag: Some(tag),
                text: "STARTTLS is not offered",
            });
        }
        self.out.tagged(&tag, "OK", "begin TLS negotiation now");
        self.ask(tag, About::StartTls, Ask::StartTls)
    }

    fn login_refused(&self) -> Option<Refusal> {
        (!self.may_log_in()).then(|| Refusal::new(Code::PrivacyRequired, "log in under TLS only"))
    }

    fn authenticate(&mut self, tag: String, mechanism: String, initial: Option<Secret>) -> Option<Ask> {
        if let Some(refusal) = self.login_refused() {
            return self.no(&tag, &refusal);
        }
        if !is_atom(&mechanism) || !self.settings.mechanisms.contains(&mechanism) {
            return self.no(&tag, &Refusal::new(Code::Cannot, "that mechanism is not offered"));
        }
        self.ask(
            tag,
            About::Authenticate,
            Ask::AuthenticateStart { mechanism, initial },
        )
    }

    /// RFC 5161; what is not known is passed over.
    fn enable(&mut self, tag: &str, wanted: &[String]) -> Option<Ask> {
        let mut enabled = String::new();
        for capability in wanted {
            match capability.as_str() {
                "UTF8=ACCEPT" => {
                    self.utf8_accept = true;
                    enabled.push_str(" UTF8=ACCEPT");
                }
                "IMAP4REV2" if self.settings.rev2 => {
                    self.rev2 = true;
                    enabled.push_str(" IMAP4rev2");
                }
                other => {
                    enabled.push_str(self.enable_resync(other));
                    continue;
                }
            }
            self.out.spelling = Spelling::Utf8;
        }
        self.out.untagged(format!("ENABLED{enabled}"));
        self.done(tag, "ENABLE done")
    }

    fn list(&mut self, tag: String, list: ListCommand) -> Option<Ask> {
        if list.root_only {
            // RFC 9051 6.3.9: an empty pattern asks for the delimiter and the root of the reference.
            self.out.untagged("LIST (\\Noselect) \"/\" \"\"");
            return self.done(&tag, "LIST done");
        }
        let ask = ListAsk {
            patterns: list.patterns.clone(),
            select: list.select,
            returns: list.returns.clone(),
        };
        self.ask(tag, About::List(list), Ask::List(ask))
    }

    pub(super) fn start_idling(&mut self, tag: String) {
        self.tell(Expunging::Allowed);
        self.out.continuation("idling");
        self.framer.expect_raw(true);
        self.doing = Doing::Idling { tag };
    }

    /// The command is finished without the door.
    fn done(&mut self, tag: &str, text: &str) -> Option<Ask> {
        self.finish(tag, Expunging::Allowed, text);
        None
    }

    fn no(&mut self, tag: &str, refusal: &Refusal) -> Option<Ask> {
        self.refuse(tag, Expunging::Allowed, refusal);
        None
    }
}

fn place(command: &Command) -> Where {
    match command {
        Command::Capability | Command::Noop | Command::Logout | Command::Id(_) => Where::Anywhere,
        Command::StartTls | Command::Login { .. } | Command::Authenticate { .. } => Where::BeforeLogin,
        Command::Enable(_) => Where::NothingSelected,
        Command::Check
        | Command::Close
        | Command::Unselect
        | Command::Expunge(_)
        | Command::Search { .. }
        | Command::Sort { .. }
        | Command::Thread { .. }
        | Command::Fetch { .. }
        | Command::Store { .. }
        | Command::Copy { .. }
        | Command::Move { .. } => Where::Selected,
        _ => Where::LoggedIn,
    }
}

/// Whether "some are gone" is worth a NO: only where the client named numbers.
fn gone(numbering: Numbering, found: &Resolved) -> bool {
    found.some_gone && numbering == Numbering::Sequence
}

/// Names that no client could ask for again, or that exist already.
fn unusable(name: &MailboxName) -> Option<Refusal> {
    if name.is_inbox() {
        return Some(Refusal::new(Code::AlreadyExists, "INBOX exists already"));
    }
    let wild = name.as_str().contains(['*', '%']);
    wild.then(|| Refusal::new(Code::Cannot, "a mailbox name cannot hold * or %"))
}

fn below_itself(from: &MailboxName, to: &MailboxName) -> Option<Refusal> {
    to.is_below(from)
        .then(|| Refusal::new(Code::Cannot, "a mailbox cannot move below itself"))
}

/// The flags every mailbox has.
pub(super) const SYSTEM_FLAGS: [Flag; 5] = [
    Flag::Answered,
    Flag::Flagged,
    Flag::Deleted,
    Flag::Seen,
    Flag::Draft,
];
