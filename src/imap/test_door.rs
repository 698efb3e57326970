//! A small door in memory for the dialogues: a few mailboxes, three fixed messages, one user.

use super::ask::*;
use super::command::{FetchItem, Section, SectionText, StoreHow};
use super::flag::{Flag, Flags};
use super::name::MailboxName;
use super::search::{Date, SearchKey, When};
use super::session::Session;
use super::set::UidRanges;
use super::structure::{Address, BodyStructure, Envelope, SingleKind, SinglePart};
use super::test_folders;
use crate::clock::UtcTime;
use std::collections::BTreeMap;

const FIRST: &str =
    "From: Ayse <ayse@example.test>\r\nTo: onay@example.test\r\nSubject: Teklif\r\n\r\nMerhaba\r\nDunya\r\n";
const SECOND: &str =
    "From: b@example.test\r\nSubject: ikinci\r\nDate: Wed, 4 Nov 2026 10:00:00 +0300\r\n\r\nKisa";

#[derive(Debug, Clone)]
struct Message {
    uid: u32,
    flags: Flags,
    date: UtcTime,
    octets: Vec<u8>,
}

#[derive(Debug, Default, Clone)]
struct Folder {
    messages: Vec<Message>,
    uid_next: u32,
    subscribed: bool,
    special_use: Option<SpecialUse>,
}

#[derive(Debug, Default)]
pub struct Door {
    folders: BTreeMap<String, Folder>,
    appending: Option<(AppendOpen, Vec<u8>)>,
    /// Names that are subscribed and not there.
    subscribed: Vec<MailboxName>,
    pending: Changes,
}

fn flags(text: &str) -> Flags {
    text.split_whitespace().filter_map(Flag::parse).collect()
}

impl Folder {
    fn put(&mut self, octets: &[u8], flags: Flags, date: UtcTime) -> u32 {
        let uid = self.uid_next.max(1);
        self.uid_next = uid + 1;
        self.messages.push(Message {
            uid,
            flags,
            date,
            octets: octets.to_vec(),
        });
        uid
    }

    fn get(&mut self, uid: u32) -> Option<&mut Message> {
        self.messages.iter_mut().find(|m| m.uid == uid)
    }

    fn status(&self) -> Status {
        let count = |flag, want| {
            self.messages
                .iter()
                .filter(|m| m.flags.contains(&flag) == want)
                .count() as u32
        };
        Status {
            messages: self.messages.len() as u32,
            uid_next: self.uid_next.max(1),
            uid_validity: 7,
            unseen: count(Flag::Seen, false),
            deleted: count(Flag::Deleted, true),
            size: self.messages.iter().map(|m| m.octets.len() as u64).sum(),
            deleted_storage: 0,
        }
    }
}

fn no(code: Code) -> Answer {
    Answer::Refused(Refusal::new(code, "hayır, olmaz"))
}

impl Door {
    pub fn new() -> Self {
        let mut door = Self::default();
        let date = UtcTime::from_unix_s(1_793_781_000);
        let mut inbox = Folder {
            subscribed: true,
            ..Folder::default()
        };
        inbox.put(FIRST.as_bytes(), flags("\\Seen"), date);
        inbox.put(SECOND.as_bytes(), flags("$Onemli"), date);
        inbox.put(SECOND.as_bytes(), flags("\\Flagged"), date);
        door.folders.insert("INBOX".to_owned(), inbox);
        let trash = Folder {
            special_use: Some(SpecialUse::Trash),
            ..Folder::default()
        };
        door.folders.insert("Çöp Kutusu".to_owned(), trash);
        let waiting = Folder {
            subscribed: true,
            ..Folder::default()
        };
        door.folders
            .insert("İşlerim/Başkasında Bekleyen".to_owned(), waiting);
        door
    }

    fn folder(&mut self, name: &MailboxName) -> Option<&mut Folder> {
        self.folders.get_mut(name.as_str())
    }

    /// Carries an ask out. `None`: no answer is wanted.
    pub fn carry_out(&mut self, session: &mut Session, ask: Ask) -> Option<Answer> {
        let selected = session.selected().cloned().unwrap_or_default();
        Some(match ask {
            Ask::StartTls | Ask::AppendAbort | Ask::Compress | Ask::Unauthenticate | Ask::ClientId(_) => {
                Answer::Done
            }
            Ask::Login { login, password } if login == "ayse" && password.reveal() == b"gizli" => {
                Answer::LoggedIn
            }
            Ask::Login { .. } => no(Code::AuthenticationFailed),
            Ask::AuthenticateStart { initial: None, .. } => Answer::Challenge(Vec::new()),
            Ask::AuthenticateStart {
                initial: Some(response),
                ..
            }
            | Ask::AuthenticateResponse(response) => {
                if response.reveal() == b"\0ayse\0gizli" {
                    Answer::LoggedIn
                } else {
                    no(Code::AuthenticationFailed)
                }
            }
            Ask::List(_) => Answer::Mailboxes(self.list()),
            Ask::Select { mailbox, .. } => self.select(&mailbox),
            Ask::Status { mailbox, .. } => self
                .folder(&mailbox)
                .map_or_else(|| no(Code::NonExistent), |f| Answer::Status(f.status())),
            Ask::Create { mailbox, .. } => {
                self.folders
                    .insert(mailbox.as_str().to_owned(), Folder::default());
                Answer::Done
            }
            Ask::Delete(mailbox) => match self.folders.remove(mailbox.as_str()) {
                Some(_) => Answer::Done,
                None => no(Code::NonExistent),
            },
            Ask::Rename { from, to } => match self.folders.remove(from.as_str()) {
                Some(folder) => {
                    self.folders.insert(to.as_str().to_owned(), folder);
                    Answer::Done
                }
                None => no(Code::NonExistent),
            },
            Ask::Subscribe(mailbox) => self.subscribe(&mailbox, true),
            Ask::Unsubscribe(mailbox) => self.subscribe(&mailbox, false),
            Ask::AppendOpen(open) => match self.folder(&open.mailbox) {
                None => no(Code::TryCreate),
                Some(_) => {
                    self.appending = Some((open, Vec::new()));
                    Answer::Done
                }
            },
            Ask::AppendChunk(octets) => {
                self.appending.as_mut().unwrap().1.extend_from_slice(&octets);
                return None;
            }
            Ask::AppendEnd => {
                let (open, octets) = self.appending.take().unwrap();
                assert_eq!(open.size, octets.len() as u64);
                let date = open.date.unwrap_or_default();
                let uid = self.folder(&open.mailbox).unwrap().put(&octets, open.flags, date);
                if let (Some(old), Some(folder)) = (open.replaces, self.folder(&selected)) {
                    folder.messages.retain(|m| m.uid != old.uid);
                }
                if open.mailbox == selected {
                    let member = Member {
                        uid,
                        key: u64::from(uid),
                    };
                    session.mailbox_changed(Changes {
                        added: vec![member],
                        ..Changes::default()
                    });
                }
                Answer::Appended(Some(AppendUid { uid_validity: 7, uid }))
            }
            Ask::Poll => Answer::Changed(std::mem::take(&mut self.pending)),
            Ask::Property(property) => test_folders::property(property),
            Ask::Watch(set) => {
                let open = session.selected().map(MailboxName::as_str);
                let others = self.folders.iter();
                let folders = others.filter(|(name, _)| Some(name.as_str()) != open);
                let folders =
                    folders.map(|(name, folder)| (name.as_str(), folder.subscribed, folder.status()));
                Answer::Watching {
                    first: test_folders::first(set.as_ref(), folders),
                    changes: std::mem::take(&mut self.pending),
                }
            }
            other => self.in_mailbox(session, &selected, other),
        })
    }

    /// What [`Out::Content`] asks for.
    pub fn stored(&mut self, name: &MailboxName, member: Member, offset: u64, len: u64) -> Vec<u8> {
        let message = self.folder(name).unwrap().get(member.uid).unwrap();
        message.octets[offset as usize..(offset + len) as usize].to_vec()
    }

    fn in_mailbox(&mut self, session: &mut Session, selected: &MailboxName, ask: Ask) -> Answer {
        match ask {
            Ask::Expunge(among) => {
                let Some(folder) = self.folder(selected) else {
                    return no(Code::NonExistent);
                };
                let meant = |m: &Message| {
                    m.flags.contains(&Flag::Deleted)
                        && among
                            .as_ref()
                            .is_none_or(|among| among.iter().any(|x| x.uid == m.uid))
                };
                let uids = folder
                    .messages
                    .iter()
                    .filter(|m| meant(m))
                    .map(|m| m.uid)
                    .collect();
                folder.messages.retain(|m| !meant(m));
                Answer::Expunged { uids, refused: None }
            }
            Ask::Search(key) => {
                let Some(folder) = self.folder(selected) else {
                    return no(Code::NonExistent);
                };
                let found = folder
                    .messages
                    .iter()
                    .filter(|m| key.holds(&mut |leaf| holds(leaf, m)));
                Answer::Found(found.map(|m| m.uid).collect())
            }
            Ask::Fetch(ask) => {
                let Some(folder) = self.folder(selected) else {
                    return no(Code::NonExistent);
                };
                for member in &ask.members {
                    if let Some(message) = folder.get(member.uid) {
                        session.fetched(row(message, &ask));
                    }
                }
                Answer::Done
            }
            Ask::Store(ask) => {
                let Some(folder) = self.folder(selected) else {
                    return no(Code::NonExistent);
                };
                let mut rows = Vec::new();
                for member in &ask.members {
                    if let Some(message) = folder.get(member.uid) {
                        store(&mut message.flags, &ask);
                        rows.push((member.uid, message.flags.clone()));
                    }
                }
                Answer::Stored { rows, refused: None }
            }
            Ask::Copy { members, mailbox } => self.copy(selected, &members, &mailbox, false),
            Ask::Move { members, mailbox } => self.copy(selected, &members, &mailbox, true),
            other => panic!("{other:?}"),
        }
    }

    fn copy(&mut self, from: &MailboxName, members: &[Member], to: &MailboxName, moving: bool) -> Answer {
        if self.folder(to).is_none() {
            return no(Code::TryCreate);
        }
        let mut pairs = Vec::new();
        for member in members {
            let Some(message) = self.folder(from).and_then(|f| f.get(member.uid)).cloned() else {
                continue;
            };
            let uid = self
                .folder(to)
                .unwrap()
                .put(&message.octets, message.flags, message.date);
            pairs.push(CopiedUid {
                from: member.uid,
                to: uid,
            });
            if moving {
                self.folder(from)
                    .unwrap()
                    .messages
                    .retain(|m| m.uid != member.uid);
            }
        }
        Answer::Copied {
            uid_validity: 7,
            pairs,
            refused: None,
        }
    }

    fn list(&self) -> Vec<Mailbox> {
        let mailbox = |(name, folder): (&String, &Folder)| Mailbox {
            name: MailboxName::new(name).unwrap(),
            subscribed: folder.subscribed,
            special_use: folder.special_use,
            status: Some(folder.status()),
            rights: Some("lrs".to_owned()),
            ..Mailbox::default()
        };
        let mut list: Vec<Mailbox> = self.folders.iter().map(mailbox).collect();
        list.extend(self.subscribed.iter().map(|name| Mailbox {
            name: name.clone(),
            subscribed: true,
            non_existent: true,
            ..Mailbox::default()
        }));
        list
    }

    fn subscribe(&mut self, name: &MailboxName, subscribed: bool) -> Answer {
        match self.folder(name) {
            Some(folder) => {
                folder.subscribed = subscribed;
                Answer::Done
            }
            // A name may be subscribed that is not there (RFC 9051 6.3.7).
            None => {
                self.subscribed.retain(|n| n != name);
                self.subscribed.extend(subscribed.then(|| name.clone()));
                Answer::Done
            }
        }
    }

    /// The attributes of new messages that NOTIFY asked for.
    pub fn tell_owed(&mut self, session: &mut Session) {
        let selected = session.selected().cloned().unwrap_or_default();
        let Some(ask) = session.owed_rows() else { return };
        for member in &ask.members {
            let row = self
                .folder(&selected)
                .and_then(|f| f.get(member.uid))
                .map(|m| row(m, &ask));
            if let Some(row) = row {
                session.row_pushed(row);
            }
        }
    }

    fn select(&mut self, name: &MailboxName) -> Answer {
        let Some(folder) = self.folder(name) else {
            return no(Code::NonExistent);
        };
        Answer::Selected(Box::new(Selected {
            uid_validity: 7,
            uid_next: folder.uid_next.max(1),
            members: folder
                .messages
                .iter()
                .map(|m| Member {
                    uid: m.uid,
                    key: u64::from(m.uid),
                })
                .collect(),
            permanent: flags("\\Seen \\Flagged \\Deleted").iter().cloned().collect(),
            new_keywords: true,
            first_unseen: folder
                .messages
                .iter()
                .find(|m| !m.flags.contains(&Flag::Seen))
                .map(|m| m.uid),
            ..Selected::default()
        }))
    }

    /// `D: arrive`, `D: vanish UID`, `D: flag UID FLAGS`, `D: shutdown`. `D: push` hands over what has gathered.
    pub fn event(&mut self, session: &mut Session, text: &str) {
        let words: Vec<&str> = text.split(' ').collect();
        let inbox = self.folders.get_mut("INBOX").unwrap();
        match words[..] {
            ["arrive"] => {
                let uid = inbox.put(SECOND.as_bytes(), Flags::default(), UtcTime::default());
                self.pending.added.push(Member {
                    uid,
                    key: u64::from(uid),
                });
            }
            ["vanish", uid] => {
                let uid = uid.parse().unwrap();
                inbox.messages.retain(|m| m.uid != uid);
                self.pending.removed.push(uid);
            }
            ["flag", uid, ref new @ ..] => {
                let uid = uid.parse().unwrap();
                inbox.get(uid).unwrap().flags = flags(&new.join(" "));
                self.pending.flags.push((uid, flags(&new.join(" "))));
            }
            ["push"] => session.mailbox_changed(std::mem::take(&mut self.pending)),
            ["shutdown"] => session.shut_down("going down"),
            _ => test_folders::event(session, &words),
        }
    }
}

fn store(flags: &mut Flags, ask: &StoreAsk) {
    if ask.how == StoreHow::Replace {
        *flags = Flags::default();
    }
    for flag in ask.flags.iter() {
        match ask.how {
            StoreHow::Remove => flags.remove(flag),
            _ => flags.insert(flag.clone()),
        };
    }
}

fn split(octets: &[u8]) -> usize {
    octets
        .windows(4)
        .position(|w| w == b"\r\n\r\n")
        .map_or(octets.len(), |at| at + 4)
}

fn header(octets: &[u8], name: &str) -> Option<String> {
    let head = String::from_utf8_lossy(&octets[..split(octets)]).into_owned();
    let line = head
        .split("\r\n")
        .find(|l| l.split(':').next().unwrap().eq_ignore_ascii_case(name))?;
    line.split_once(':').map(|(_, value)| value.trim().to_owned())
}

fn holds(key: &SearchKey<UidRanges>, message: &Message) -> bool {
    let within = |text: &str, part: &str| text.to_ascii_lowercase().contains(&part.to_ascii_lowercase());
    let all = String::from_utf8_lossy(&message.octets).into_owned();
    match key {
        SearchKey::Set(uids) => uids.contains(message.uid),
        SearchKey::Flag(flag) => message.flags.contains(flag),
        SearchKey::Header(name, text) => {
            header(&message.octets, name).is_some_and(|value| within(&value, text))
        }
        SearchKey::Body(text) => within(&all[split(&message.octets)..], text),
        SearchKey::Text(text) => within(&all, text),
        SearchKey::LargerThan(octets) => message.octets.len() as u64 > *octets,
        SearchKey::SmallerThan(octets) => (message.octets.len() as u64) < *octets,
        SearchKey::Internal(when, day) => {
            let (year, month, date) = message.date.date();
            let own = Date {
                year,
                month,
                day: date,
            };
            match when {
                When::Before => own < *day,
                When::On => own == *day,
                When::Since => own >= *day,
            }
        }
        _ => false,
    }
}

fn row(message: &mut Message, ask: &FetchAsk) -> Row {
    let fresh = ask.mark_seen && message.flags.insert(Flag::Seen);
    let text = |name: &str| header(&message.octets, name).map(String::into_bytes);
    let body_at = split(&message.octets);
    Row {
        uid: message.uid,
        flags: (fresh || ask.asks_for(&FetchItem::Flags)).then(|| message.flags.clone()),
        internal_date: Some(message.date),
        size: Some(message.octets.len() as u64),
        envelope: Some(Box::new(Envelope {
            subject: text("Subject"),
            date: text("Date"),
            from: vec![Address {
                name: None,
                mailbox: Some(b"ayse".to_vec()),
                host: Some(b"example.test".to_vec()),
            }],
            ..Envelope::default()
        })),
        structure: Some(Box::new(BodyStructure::Single(Box::new(SinglePart {
            media_type: b"text".to_vec(),
            subtype: b"plain".to_vec(),
            parameters: vec![(b"charset".to_vec(), b"utf-8".to_vec())],
            size_octets: (message.octets.len() - body_at) as u64,
            kind: SingleKind::Text { lines: 2 },
            ..SinglePart::default()
        })))),
        sections: ask.sections().map(|s| section(message, s, body_at)).collect(),
    }
}

fn section(message: &Message, section: &Section, body_at: usize) -> Content {
    let (len, head) = (message.octets.len() as u64, body_at as u64);
    let fields = |wanted: &dyn Fn(&str) -> bool| {
        let text = String::from_utf8_lossy(&message.octets[..body_at]).into_owned();
        let lines = text
            .split_inclusive("\r\n")
            .filter(|l| wanted(l.split(':').next().unwrap()) || *l == "\r\n");
        Content::Octets(lines.collect::<String>().into_bytes())
    };
    match (&section.part[..], &section.text) {
        ([], SectionText::All) => Content::Stored { offset: 0, len },
        ([], SectionText::Header) => Content::Stored { offset: 0, len: head },
        ([], SectionText::Text) | ([1], SectionText::All) => Content::Stored {
            offset: head,
            len: len - head,
        },
        ([], SectionText::Fields(names)) => fields(&|n| names.iter().any(|x| x.eq_ignore_ascii_case(n))),
        ([], SectionText::FieldsNot(names)) => {
            fields(&|n| n != "\r\n" && !names.iter().any(|x| x.eq_ignore_ascii_case(n)))
        }
        _ => Content::Nil,
    }
}
