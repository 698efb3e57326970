//! The IMAP engine with a door that answers by chance: what fits, what does not, and refusals.

use super::chance::Chance;
use super::grammar::{Corpus, utterance};
use bytes::BytesMut;
use kepd::imap::ask::{
    AppendUid, Code, Content, CopiedUid, Mailbox, Member, Row, Selected, SpecialUse, Status, Told,
};
use kepd::imap::flag::{Flag, Flags};
use kepd::imap::limits::{
    LINE_MAX, LINE_MAX_BEFORE_LOGIN, LITERALS_MAX, LITERALS_MAX_BEFORE_LOGIN, OUTPUT_HELD_MAX,
};
use kepd::imap::name::MailboxName;
use kepd::imap::structure::{BodyStructure, Envelope};
use kepd::imap::{Answer, Ask, Changes, Out, Refusal, Session, Settings};

/// One answer on top of what may be held: a response line of the small mailboxes here is shorter.
const ANSWER_MAX: usize = 64 * 1024;

/// One session; gives how many commands were said, and how many lines were answered.
pub fn session(chance: &mut Chance, corpus: &Corpus) -> (u64, u64) {
    let mut client = Client::new(chance);
    let mut tag = 0;
    if !chance.one_in(4) {
        client.say(chance, b"a LOGIN ayse gizli\r\nb SELECT INBOX\r\n");
    }
    for _ in 0..60 {
        if client.session.is_closing() {
            break;
        }
        let octets = utterance(chance, corpus, &mut tag, true);
        client.say(chance, &octets);
        if chance.one_in(8) {
            let changes = changes(chance);
            client.session.mailbox_changed(changes);
            client.collect();
        }
    }
    (tag, client.answered)
}

struct Client {
    session: Session,
    input: BytesMut,
    answered: u64,
}

impl Client {
    fn new(chance: &mut Chance) -> Self {
        let settings = Settings {
            tls: true,
            starttls: true,
            login_in_clear: false,
            mechanisms: vec!["PLAIN".to_owned()],
            greeting: "hazir".to_owned(),
            append_max_bytes: 100_000,
            id: vec![("name".to_owned(), "kepd".to_owned())],
            rev2: chance.one_in(2),
            resync: chance.one_in(2),
            compress: chance.one_in(2),
            quota_resources: &["V-KEPD-CREDIT"],
        };
        let mut client = Self {
            session: Session::new(settings),
            input: BytesMut::new(),
            answered: 0,
        };
        client.collect();
        client
    }

    fn say(&mut self, chance: &mut Chance, octets: &[u8]) {
        for piece in chance.pieces(octets) {
            self.input.extend_from_slice(piece);
            loop {
                while let Some(ask) = self.session.receive(&mut self.input) {
                    if let Some(answer) = answer(chance, &mut self.session, ask) {
                        self.session.answer(answer);
                    }
                    self.collect();
                }
                self.collect();
                if !self.session.is_held_back() {
                    break;
                }
            }
            let held_max = match self.session.is_authenticated() {
                true => LINE_MAX + LITERALS_MAX as usize,
                false => LINE_MAX_BEFORE_LOGIN + LITERALS_MAX_BEFORE_LOGIN as usize,
            };
            assert!(self.session.held_octets() <= held_max + 64);
            assert!(
                self.input.is_empty() || self.session.is_closing(),
                "something is left unread"
            );
        }
    }

    fn collect(&mut self) {
        let mut octets = 0;
        for out in self.session.take_output() {
            if let Out::Bytes(bytes) = out {
                octets += bytes.len();
                self.answered += bytes.iter().filter(|b| **b == b'\n').count() as u64;
            }
        }
        assert!(
            octets <= OUTPUT_HELD_MAX + ANSWER_MAX,
            "{octets} octets of output"
        );
    }
}

fn member(chance: &mut Chance) -> Member {
    let uid = chance.below(15) as u32;
    Member {
        uid,
        key: u64::from(uid),
    }
}

fn members(chance: &mut Chance) -> Vec<Member> {
    (0..chance.below(12)).map(|_| member(chance)).collect()
}

fn flags(chance: &mut Chance) -> Flags {
    let all = ["\\Seen", "\\Deleted", "etiket", "$KepOnay"];
    (0..chance.below(4))
        .filter_map(|_| Flag::parse(chance.pick::<&str>(&all)))
        .collect()
}

fn told(chance: &mut Chance, uid: u32) -> Told {
    Told {
        uid,
        flags: flags(chance),
        modseq: chance.below(50) as u64,
    }
}

fn changes(chance: &mut Chance) -> Changes {
    Changes {
        added: members(chance),
        removed: members(chance).iter().map(|m| m.uid).collect(),
        flags: members(chance).iter().map(|m| told(chance, m.uid)).collect(),
        highest_modseq: chance.below(50) as u64,
        recent_from: chance.one_in(3).then(|| chance.below(15) as u32),
        ..Changes::default()
    }
}

fn status(chance: &mut Chance) -> Status {
    Status {
        messages: chance.next() as u32,
        size: chance.next(),
        ..Status::default()
    }
}

fn refusal(chance: &mut Chance) -> Refusal {
    let code = *chance.pick(&[
        Code::Cannot,
        Code::NonExistent,
        Code::TryCreate,
        Code::Unavailable,
    ]);
    Refusal::new(code, "hayır,\r\nolmaz")
}

/// `None`: no answer is wanted.
fn answer(chance: &mut Chance, session: &mut Session, ask: Ask) -> Option<Answer> {
    if matches!(ask, Ask::AppendChunk(_)) {
        return None;
    }
    if chance.one_in(10) && !matches!(ask, Ask::StartTls) {
        return Some(Answer::Refused(refusal(chance)));
    }
    // What does not fit the ask must do no harm.
    if chance.one_in(200) {
        return Some(Answer::Done);
    }
    Some(match ask {
        Ask::Login { .. } => Answer::LoggedIn,
        Ask::AuthenticateStart { .. } | Ask::AuthenticateResponse(_) => match chance.below(2) {
            0 => Answer::Challenge(b"one?".to_vec()),
            _ => Answer::LoggedIn,
        },
        Ask::List(_) => Answer::Mailboxes(mailboxes(chance)),
        Ask::Select { .. } => Answer::Selected(Box::new(Selected {
            uid_validity: chance.below(2) as u32,
            uid_next: 16,
            members: members(chance).into_iter().collect(),
            highest_modseq: chance.below(50) as u64,
            new_keywords: true,
            ..Selected::default()
        })),
        Ask::Status { .. } => Answer::Status(status(chance)),
        Ask::AppendEnd => Answer::Appended(Some(AppendUid {
            uid_validity: 1,
            uids: vec![1, 2],
        })),
        Ask::Poll => Answer::Changed(changes(chance)),
        Ask::Expunge(_) => Answer::Expunged {
            uids: members(chance).iter().map(|m| m.uid).collect(),
            refused: chance.one_in(4).then(|| refusal(chance)),
        },
        Ask::Search { .. } => Answer::Found(members(chance).iter().map(|m| m.uid).collect()),
        Ask::Fetch(ask) => {
            for member in ask.members.iter().take(20) {
                let sections = ask.sections().count();
                let mut row = row(chance, member.uid);
                row.sections = (0..sections.min(300)).map(|_| content(chance)).collect();
                session.fetched(row);
            }
            // The door takes the output between rows.
            drop(session.take_output());
            Answer::Done
        }
        Ask::Store(ask) => Answer::Stored {
            rows: ask.members.iter().map(|m| told(chance, m.uid)).collect(),
            modified: members(chance).iter().map(|m| m.uid).collect(),
            refused: chance.one_in(4).then(|| refusal(chance)),
        },
        Ask::Copy { members, .. } | Ask::Move { members, .. } => Answer::Copied {
            uid_validity: 1,
            pairs: members
                .iter()
                .map(|m| CopiedUid {
                    from: m.uid,
                    to: chance.below(3) as u32,
                })
                .collect(),
            refused: None,
        },
        _ => Answer::Done,
    })
}

fn mailboxes(chance: &mut Chance) -> Vec<Mailbox> {
    let names = [
        "INBOX",
        "Çöp Kutusu",
        "İşlerim/Bekleyen",
        "a/b/c",
        "a",
        "Etiketler/Finans",
    ];
    let mut mailboxes = Vec::new();
    for name in names {
        if let Ok(name) = MailboxName::new(name) {
            mailboxes.push(Mailbox {
                name,
                subscribed: chance.one_in(2),
                no_select: chance.one_in(4),
                special_use: chance.one_in(2).then_some(SpecialUse::Trash),
                status: chance.one_in(2).then(|| status(chance)),
                ..Mailbox::default()
            });
        }
    }
    mailboxes
}

fn row(chance: &mut Chance, uid: u32) -> Row {
    Row {
        uid,
        flags: chance.one_in(2).then(|| flags(chance)),
        size: chance.one_in(2).then(|| chance.next()),
        envelope: chance.one_in(2).then(|| Box::new(Envelope::default())),
        structure: chance
            .one_in(2)
            .then(|| Box::new(BodyStructure::Single(Box::default()))),
        ..Row::default()
    }
}

fn content(chance: &mut Chance) -> Content {
    match chance.below(3) {
        0 => Content::Nil,
        1 => Content::Octets(vec![chance.octet(); chance.below(50)]),
        _ => Content::Stored {
            offset: chance.below(100) as u64,
            len: chance.below(100) as u64,
        },
    }
}
