//! The session: states, what is legal when, and the translation between commands, asks and answers.
//!
//! One command is in work at a time; the next is not even read before the last is answered, so responses never mix.
//! `session/commands` turns commands into asks, `session/answers` turns answers into responses, `session/listing`
//! knows LIST, `session/searching` SEARCH and its kind. Policy is never decided here: the door is asked.

mod answers;
mod appending;
mod commands;
mod listing;
mod notify;
mod property;
mod resync;
mod searching;

use super::ask::{Answer, Ask, Changes, Code, Out, Refusal, Row};
use super::command::{FetchItem, ListCommand, Numbering, SearchReturns, Secret, SelectWith, StatusItems};
use super::framer::{Frame, Framer};
use super::limits::{BAD_COMMANDS_MAX, COMMANDS_MAX_BEFORE_LOGIN, OUTPUT_HELD_MAX};
use super::name::{MailboxName, Spelling};
use super::parse::{self, BadCommand};
use super::parse_search::{BAD_CHARSET, BAD_CHARSET_SAVING};
use super::recent::Recent;
use super::response::{Extra, Writer};
use super::set::UidRanges;
use super::view::{Expunging, View};
use appending::{Coming, Said};
use bytes::BytesMut;

/// What the engine has to know about the server.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The connection is under TLS from its first octet.
    pub tls: bool,
    /// STARTTLS is offered while it is not. Login is never offered without TLS.
    pub starttls: bool,
    /// Allows LOGIN and AUTHENTICATE without TLS: tests and a trusted proxy only.
    pub login_in_clear: bool,
    /// SASL mechanisms, in upper case (`PLAIN`).
    pub mechanisms: Vec<String>,
    /// Behind `* OK [CAPABILITY ...]`.
    pub greeting: String,
    /// Largest message APPEND may bring, in octets.
    pub append_max_bytes: u64,
    /// What the server says to ID.
    pub id: Vec<(String, String)>,
    /// Offer IMAP4rev2 (RFC 9051).
    pub rev2: bool,
    /// The door keeps mod-sequences: offer CONDSTORE and QRESYNC (RFC 7162), and UIDONLY (RFC 9586).
    pub resync: bool,
    /// Offer COMPRESS=DEFLATE (RFC 4978).
    pub compress: bool,
    /// Resources of quotas that the door tells beside STORAGE and MESSAGE (RFC 9208 3.1.1).
    pub quota_resources: &'static [&'static str],
}

/// One connection's engine.
#[derive(Debug)]
pub struct Session {
    settings: Settings,
    framer: Framer,
    out: Writer,
    phase: Phase,
    doing: Doing,
    /// IMAP4rev2 was enabled: no RECENT, ESEARCH always.
    rev2: bool,
    /// UTF8=ACCEPT was enabled.
    utf8_accept: bool,
    resync: resync::Resync,
    /// What NOTIFY asked for; `None`: it was never given.
    attention: Option<notify::Attention>,
    compressed: bool,
    bad_commands: u32,
    failed_logins: u32,
    /// Commands of a client that has not logged in yet.
    commands_before_login: u32,
    /// Commands are left unread until the output has been taken.
    held_back: bool,
}

/// RFC 9051 3.
#[derive(Debug)]
enum Phase {
    NotAuthenticated,
    Authenticated,
    Selected(Open),
    Logout,
}

/// The selected mailbox.
#[derive(Debug)]
struct Open {
    name: MailboxName,
    read_only: bool,
    view: View,
    seen: resync::Seen,
    recent: Recent,
}

/// What the session waits for.
#[derive(Debug)]
enum Doing {
    /// The next command.
    Nothing,
    /// An answer from the door.
    Asked { tag: String, about: About },
    /// The rest of the message of an APPEND or REPLACE, from the client.
    Streaming { tag: String, coming: Coming },
    /// The client's line in a SASL exchange.
    SaslLine { tag: String },
    /// DONE.
    Idling { tag: String },
}

/// What an ask was about: all that is needed to make a response of its answer.
#[derive(Debug)]
enum About {
    StartTls,
    Login,
    Authenticate,
    List(ListCommand),
    Select {
        name: MailboxName,
        read_only: bool,
        with: SelectWith,
    },
    /// What changed since a client last had the mailbox open; then SELECT ends with the text.
    Resync {
        items: Vec<FetchItem>,
        extra: Extra,
        text: String,
    },
    Status {
        name: MailboxName,
        items: StatusItems,
    },
    /// Only done or refused; the word is the command's.
    Plain(&'static str),
    Rename {
        from: MailboxName,
        to: MailboxName,
    },
    /// ID: the tagged answer follows whatever the door does with it.
    ClientId,
    Watch(notify::Attention),
    Property(&'static str),
    Compress,
    Unauthenticate,
    AppendOpen {
        synchronising: bool,
        coming: Coming,
    },
    AppendEnd {
        replaces: Option<u32>,
    },
    AppendAbort(Said),
    Poll(&'static str),
    IdlePoll,
    Expunge,
    Close,
    /// SEARCH or SORT.
    Search {
        kind: searching::Kind,
        numbering: Numbering,
        returns: Option<SearchReturns>,
    },
    Thread {
        numbering: Numbering,
    },
    Fetch {
        numbering: Numbering,
        items: Vec<FetchItem>,
        extra: Extra,
        some_gone: bool,
    },
    Store {
        numbering: Numbering,
        silent: bool,
        some_gone: bool,
    },
    Copy {
        some_gone: bool,
    },
    Move {
        some_gone: bool,
    },
}

impl Session {
    /// The greeting is already among the output.
    pub fn new(settings: Settings) -> Self {
        let mut session = Self::fresh(settings);
        let greeting = session.out.readable(&session.settings.greeting);
        session
            .out
            .untagged(format!("OK [CAPABILITY {}] {greeting}", session.capabilities()));
        session
    }

    /// A session before its greeting.
    fn fresh(settings: Settings) -> Self {
        let out = Writer::new(settings.append_max_bytes);
        Self {
            settings,
            framer: Framer::default(),
            out,
            phase: Phase::NotAuthenticated,
            doing: Doing::Nothing,
            rev2: false,
            utf8_accept: false,
            resync: resync::Resync::default(),
            attention: None,
            compressed: false,
            bad_commands: 0,
            failed_logins: 0,
            commands_before_login: 0,
            held_back: false,
        }
    }

    /// Takes what it can from `input` and gives the next thing to be done. `None`: write the output, then read more, or,
    /// if it [is held back](Self::is_held_back), call again at once.
    pub fn receive(&mut self, input: &mut BytesMut) -> Option<Ask> {
        self.held_back = false;
        if let Some(ask) = self.resync.next_ask() {
            return Some(ask);
        }
        loop {
            if self.out.line_octets() >= OUTPUT_HELD_MAX {
                self.held_back = true;
                return None;
            }
            if matches!(self.phase, Phase::Logout) || matches!(self.doing, Doing::Asked { .. }) {
                return None;
            }
            let frame = self.framer.next(input)?;
            let ask = self.frame(frame);
            if matches!(ask, Some(Ask::StartTls | Ask::Compress)) {
                // RFC 9051 6.2.1: nothing sent in the clear may be taken as if it came under TLS. Nor is what came
                // before compression taken as if it were compressed (RFC 4978 3 forbids to send it).
                input.clear();
            }
            if ask.is_some() {
                return ask;
            }
        }
    }

    /// The last [`Self::receive`] stopped because much has to be written first; there may be more in the input.
    pub fn is_held_back(&self) -> bool {
        self.held_back
    }

    /// Octets of the client held here that are no whole command yet; never above the bounds of `limits`.
    pub fn held_octets(&self) -> usize {
        self.framer.held_octets()
    }

    /// One message of the FETCH being answered. Take the output between rows.
    pub fn fetched(&mut self, row: Row) {
        let (
            Doing::Asked {
                about: About::Fetch { items, extra, .. } | About::Resync { items, extra, .. },
                ..
            },
            Phase::Selected(open),
        ) = (&self.doing, &mut self.phase)
        else {
            return;
        };
        let Some((number, member)) = open.view.place_of(row.uid) else {
            return;
        };
        if row.flags.is_some() && (extra.flags || items.contains(&FetchItem::Flags)) {
            open.view.told_flags(row.uid, row.modseq.unwrap_or(u64::MAX));
        }
        let extra = Extra {
            recent: !self.rev2 && open.recent.contains(row.uid),
            ..*extra
        };
        self.out.fetch(number, member, items, extra, row);
    }

    /// What became of the last ask.
    pub fn answer(&mut self, answer: Answer) {
        match std::mem::replace(&mut self.doing, Doing::Nothing) {
            Doing::Asked { tag, about } => self.answered(tag, about, answer),
            other => self.doing = other,
        }
    }

    /// Something happened in the selected mailbox; told at once to who idles or asked for it, else when it may be.
    pub fn mailbox_changed(&mut self, changes: Changes) {
        if let Phase::Selected(open) = &mut self.phase {
            open.apply(changes);
        }
        self.tell_unasked();
    }

    /// Octets that wait to be taken, contents aside.
    pub fn output_octets(&self) -> usize {
        self.out.line_octets()
    }

    /// What is to be written, in order.
    pub fn take_output(&mut self) -> Vec<Out> {
        self.out.take()
    }

    /// The selected mailbox. Watch it to know which changes to report.
    pub fn selected(&self) -> Option<&MailboxName> {
        match &self.phase {
            Phase::Selected(open) => Some(&open.name),
            _ => None,
        }
    }

    pub fn is_idling(&self) -> bool {
        matches!(self.doing, Doing::Idling { .. })
    }

    pub fn is_authenticated(&self) -> bool {
        matches!(self.phase, Phase::Authenticated | Phase::Selected(_))
    }

    /// Write the output and close.
    pub fn is_closing(&self) -> bool {
        matches!(self.phase, Phase::Logout)
    }

    /// The server wants to end: `* BYE [UNAVAILABLE]`.
    pub fn shut_down(&mut self, text: &str) {
        let text = self.out.readable(text);
        self.bye(&format!("[{}] {text}", Code::Unavailable.as_str()));
    }

    fn bye(&mut self, text: &str) {
        if !self.is_closing() {
            self.out.untagged(format!("BYE {text}"));
            self.phase = Phase::Logout;
            self.doing = Doing::Nothing;
        }
    }

    /// RFC 9051 6.1.1: what is offered depends on the state.
    fn capabilities(&self) -> String {
        let mut offered = vec!["IMAP4rev1".to_owned()];
        if self.settings.rev2 {
            offered.push("IMAP4rev2".to_owned());
        }
        // RFC 7888 5: before login little is taken unasked, and a client is told so; later it may send what it likes.
        let literal = if self.is_authenticated() {
            "LITERAL+"
        } else {
            "LITERAL-"
        };
        offered.extend([literal, "SASL-IR", "ID", "ENABLE"].map(str::to_owned));
        if self.is_authenticated() {
            let rest = [
                "IDLE",
                "NAMESPACE",
                "UIDPLUS",
                "UNSELECT",
                "CHILDREN",
                "LIST-EXTENDED",
                "LIST-STATUS",
                "SPECIAL-USE",
                "STATUS=SIZE",
                "MOVE",
                "REPLACE",
                "ESEARCH",
                "SEARCHRES",
                "WITHIN",
                "PARTIAL",
                "SORT",
                "SORT=DISPLAY",
                "ESORT",
                "THREAD=ORDEREDSUBJECT",
                "THREAD=REFERENCES",
                "INPROGRESS",
                "UTF8=ACCEPT",
                "MULTIAPPEND",
                "BINARY",
                "PREVIEW",
                "OBJECTID",
                "SAVEDATE",
            ];
            offered.extend(rest.map(str::to_owned));
            if self.settings.resync {
                offered.extend(["CONDSTORE", "QRESYNC", "UIDONLY"].map(str::to_owned));
            }
            offered.extend(property::CAPABILITIES.map(str::to_owned));
            let resources = self.settings.quota_resources.iter();
            offered.extend(resources.map(|name| format!("QUOTA=RES-{name}")));
            if self.settings.compress && !self.compressed {
                offered.push("COMPRESS=DEFLATE".to_owned());
            }
            offered.push(format!("APPENDLIMIT={}", self.settings.append_max_bytes));
            return offered.join(" ");
        }
        if self.settings.starttls && !self.settings.tls {
            offered.push("STARTTLS".to_owned());
        }
        if self.may_log_in() {
            offered.extend(self.settings.mechanisms.iter().map(|m| format!("AUTH={m}")));
        } else {
            offered.push("LOGINDISABLED".to_owned());
        }
        offered.join(" ")
    }

    /// Offers these SASL mechanisms from now on: what TLS brought may allow more.
    pub fn offer(&mut self, mechanisms: Vec<String>) {
        self.settings.mechanisms = mechanisms;
    }

    fn may_log_in(&self) -> bool {
        self.settings.tls || self.settings.login_in_clear
    }

    fn spelling(&self) -> Spelling {
        self.out.spelling
    }

    fn frame(&mut self, frame: Frame) -> Option<Ask> {
        if matches!(self.phase, Phase::NotAuthenticated)
            && matches!(frame, Frame::Command(_) | Frame::Bad { .. })
        {
            self.commands_before_login += 1;
            if self.commands_before_login > COMMANDS_MAX_BEFORE_LOGIN {
                self.bye("too many commands without logging in");
                return None;
            }
        }
        match frame {
            Frame::Command(octets) => match parse::parse(&octets, self.spelling()) {
                Ok(tagged) => {
                    self.bad_commands = 0;
                    self.command(tagged)
                }
                Err(bad) => self.bad(bad),
            },
            Frame::Continue => {
                self.out.continuation("Ready");
                None
            }
            Frame::Append(head) => self.append(head),
            Frame::Chunk(octets) => Some(Ask::AppendChunk(octets)),
            Frame::AppendNext(head) => self.append_next(head),
            Frame::AppendTail(tail) => self.append_tail(&tail),
            Frame::Raw(line) => self.raw_line(line),
            Frame::Bad { tag, text } => self.bad(BadCommand { tag, text }),
            Frame::Fatal(text) => {
                self.bye(text);
                None
            }
        }
    }

    fn bad(&mut self, bad: BadCommand) -> Option<Ask> {
        if bad.text == BAD_CHARSET_SAVING
            && let Phase::Selected(open) = &mut self.phase
        {
            open.view.save(UidRanges::default());
        }
        // RFC 9051 6.4.4: an unknown charset is a NO, with what is known.
        let (condition, text) = match bad.text {
            BAD_CHARSET | BAD_CHARSET_SAVING => ("NO", format!("[BADCHARSET (US-ASCII UTF-8)] {}", bad.text)),
            text => ("BAD", text.to_owned()),
        };
        self.out
            .tagged(bad.tag.as_deref().unwrap_or("*"), condition, &text);
        self.bad_commands += 1;
        if self.bad_commands >= BAD_COMMANDS_MAX {
            self.bye("too many malformed commands");
        }
        None
    }

    fn raw_line(&mut self, line: Vec<u8>) -> Option<Ask> {
        self.framer.expect_raw(false);
        match std::mem::replace(&mut self.doing, Doing::Nothing) {
            Doing::Idling { tag } => {
                if line.eq_ignore_ascii_case(b"DONE") {
                    self.finish(&tag, Expunging::Allowed, "IDLE ended");
                } else {
                    self.bad(BadCommand {
                        tag: Some(tag),
                        text: "DONE was expected",
                    });
                }
                None
            }
            Doing::SaslLine { tag } => self.sasl_line(tag, &Secret::new(line)),
            other => {
                self.doing = other;
                None
            }
        }
    }

    fn sasl_line(&mut self, tag: String, line: &Secret) -> Option<Ask> {
        if line.reveal() == b"*" {
            return self.bad(BadCommand {
                tag: Some(tag),
                text: "the exchange was given up",
            });
        }
        match parse::sasl_octets(line.reveal()) {
            Ok(octets) => self.ask(tag, About::Authenticate, Ask::AuthenticateResponse(octets)),
            Err(error) => self.bad(BadCommand {
                tag: Some(tag),
                text: error.0,
            }),
        }
    }

    fn ask(&mut self, tag: String, about: About, ask: Ask) -> Option<Ask> {
        self.doing = Doing::Asked { tag, about };
        Some(ask)
    }

    /// Untagged news, then the tagged OK.
    fn finish(&mut self, tag: &str, expunging: Expunging, text: &str) {
        self.tell(expunging);
        self.say_how_far();
        self.out.tagged(tag, "OK", text);
    }

    fn refuse(&mut self, tag: &str, expunging: Expunging, refusal: &Refusal) {
        self.tell(expunging);
        self.say_how_far();
        self.out.refused(tag, refusal);
    }

    /// What happened in the mailbox, as far as it may be told now.
    fn tell(&mut self, expunging: Expunging) {
        let Phase::Selected(open) = &mut self.phase else {
            return;
        };
        let news = open.view.news(expunging);
        open.seen.told(open.view.holds_back());
        if self.resync.says_vanished() {
            if !news.vanished.is_empty() {
                let uids = UidRanges::from_numbers(news.vanished.into_iter());
                self.out.untagged(format!("VANISHED {uids}"));
            }
        } else {
            for number in news.expunged {
                self.out.untagged(format!("{number} EXPUNGE"));
            }
        }
        if let Some(exists) = news.exists {
            self.out.untagged(format!("{exists} EXISTS"));
            if let Some(recent) = open.recent.news(&open.view).filter(|_| !self.rev2) {
                self.out.untagged(format!("{recent} RECENT"));
            }
        }
        for (number, told) in news.flags {
            let recent = !self.rev2 && open.recent.contains(told.uid);
            let line = self.resync.line(number, &told, true);
            line.with_flags(recent).tell(&mut self.out);
        }
        self.heard_of(news.fresh);
    }
}

/// While a command with sequence numbers is answered, they must not move (RFC 9051 7.5.1).
fn expunging_for(numbering: Numbering) -> Expunging {
    match numbering {
        Numbering::Sequence => Expunging::Held,
        Numbering::Uid => Expunging::Allowed,
    }
}

/// Some of the messages named by number are gone, and the client could not know (RFC 2180 4.1, RFC 5530).
fn expunge_issued() -> Refusal {
    Refusal::new(Code::ExpungeIssued, "some of the messages do not exist any more")
}
