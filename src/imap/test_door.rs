//! A small door in memory for the dialogues: a few mailboxes, three fixed messages, one user.

use super::ask::*;
use super::command::{FetchItem, StoreHow};
use super::flag::{Flag, Flags};
use super::name::MailboxName;
use super::session::Session;
use super::set::UidRanges;
use super::structure::{Address, BodyStructure, Envelope, SingleKind, SinglePart};
use super::test_content::{binary, section};
use super::test_folders;
use super::test_mailbox::{Folder, Message};
use super::test_search::{self, header, now, split};
use crate::clock::UtcTime;
use std::collections::BTreeMap;

const FIRST: &str =
    "From: Ayse <ayse@example.test>\r\nTo: onay@example.test\r\nSubject: Teklif\r\n\r\nMerhaba\r\nDunya\r\n";
const SECOND: &str =
    "From: b@example.test\r\nSubject: ikinci\r\nDate: Wed, 4 Nov 2026 10:00:00 +0300\r\n\r\nKisa";

/// A message of an APPEND.
#[derive(Debug)]
struct Coming {
    flags: Flags,
    date: Option<UtcTime>,
    size: u64,
    literal8: bool,
    octets: Vec<u8>,
}

#[derive(Debug, Default)]
pub struct Door {
    folders: BTreeMap<String, Folder>,
    appending: Option<(AppendOpen, Vec<Coming>)>,
    /// Names that are subscribed and not there.
    subscribed: Vec<MailboxName>,
    pending: Changes,
}

fn flags(text: &str) -> Flags {
    text.split_whitespace().filter_map(Flag::parse).collect()
}

fn member(uid: u32) -> Member {
    Member {
        uid,
        key: u64::from(uid),
    }
}

pub(super) fn encoding(message: &Message) -> Option<String> {
    header(&message.octets, "Content-Transfer-Encoding")
}

/// Undoes what [`Out::Decoded`] names; strict, as the dialogues are.
pub fn decoded(octets: &[u8], how: Transfer) -> Vec<u8> {
    use base64::Engine as _;
    assert_eq!(how, Transfer::Base64);
    let line: Vec<u8> = octets
        .iter()
        .copied()
        .filter(|b| !b.is_ascii_whitespace())
        .collect();
    base64::engine::general_purpose::STANDARD.decode(line).unwrap()
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
                match mailbox.as_str().strip_prefix("Kimlik") {
                    Some(number) => Answer::Created(format!("F{number}")),
                    None => Answer::Done,
                }
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
                    let first = Coming {
                        flags: open.flags.clone(),
                        date: open.date,
                        size: open.size,
                        literal8: open.literal8,
                        octets: Vec::new(),
                    };
                    self.appending = Some((open, vec![first]));
                    Answer::Done
                }
            },
            Ask::AppendNext(next) => {
                let (_, coming) = self.appending.as_mut().unwrap();
                coming.push(Coming {
                    flags: next.flags,
                    date: next.date,
                    size: next.size,
                    literal8: next.literal8,
                    octets: Vec::new(),
                });
                Answer::Done
            }
            Ask::AppendChunk(octets) => {
                let (_, coming) = self.appending.as_mut().unwrap();
                coming.last_mut().unwrap().octets.extend_from_slice(&octets);
                return None;
            }
            Ask::AppendEnd => {
                let (open, coming) = self.appending.take().unwrap();
                if coming.iter().any(|c| c.literal8 && c.octets.contains(&0)) {
                    return Some(no(Code::UnknownCte));
                }
                let mut uids = Vec::new();
                for message in coming {
                    assert_eq!(message.size, message.octets.len() as u64);
                    let date = message.date.unwrap_or_default();
                    let folder = self.folder(&open.mailbox).unwrap();
                    uids.push(folder.put_in(&message.octets, message.flags, date, now()));
                }
                if let (Some(old), Some(folder)) = (open.replaces, self.folder(&selected)) {
                    folder.take_out(|m| m.uid == old.uid);
                }
                if open.mailbox == selected {
                    let highest_modseq = self.folder(&selected).map_or(0, |f| f.highest_modseq);
                    session.mailbox_changed(Changes {
                        added: uids.iter().map(|&uid| member(uid)).collect(),
                        highest_modseq,
                        ..Changes::default()
                    });
                }
                Answer::Appended(Some(AppendUid {
                    uid_validity: 7,
                    uids,
                }))
            }
            Ask::Poll => Answer::Changed(self.pending()),
            Ask::Property(property) => test_folders::property(property),
            Ask::Watch(set) => {
                let open = session.selected().map(MailboxName::as_str);
                let others = self.folders.iter();
                let folders = others.filter(|(name, _)| Some(name.as_str()) != open);
                let folders =
                    folders.map(|(name, folder)| (name.as_str(), folder.subscribed, folder.status()));
                Answer::Watching {
                    first: test_folders::first(set.as_ref(), folders),
                    changes: self.pending(),
                }
            }
            other => self.in_mailbox(session, &selected, other),
        })
    }

    fn pending(&mut self) -> Changes {
        Changes {
            highest_modseq: self.folders["INBOX"].highest_modseq,
            ..std::mem::take(&mut self.pending)
        }
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
                let uids = folder.take_out(meant);
                session.mailbox_changed(folder.news());
                Answer::Expunged { uids, refused: None }
            }
            Ask::Search { key, .. } => match self.folder(selected) {
                Some(folder) => {
                    test_search::tell_modseqs(session, &folder.messages, &key);
                    test_search::search(&folder.messages, &key)
                }
                None => no(Code::NonExistent),
            },
            Ask::Sort { order, key, .. } => match self.folder(selected) {
                Some(folder) => {
                    test_search::tell_modseqs(session, &folder.messages, &key);
                    test_search::sort(&folder.messages, &order, &key)
                }
                None => no(Code::NonExistent),
            },
            Ask::Thread { algorithm, key, .. } => match self.folder(selected) {
                Some(folder) => test_search::thread(&folder.messages, algorithm, &key),
                None => no(Code::NonExistent),
            },
            Ask::Fetch(ask) => {
                let Some(folder) = self.folder(selected) else {
                    return no(Code::NonExistent);
                };
                if let Some(within) = ask.since.as_ref().and_then(|s| s.vanished.as_ref()) {
                    let since = ask.since.as_ref().map_or(0, |s| s.modseq);
                    let gone = folder
                        .left
                        .iter()
                        .filter(|(at, uid)| *at > since && within.contains(*uid));
                    let gone = UidRanges::from_numbers(gone.map(|(_, uid)| *uid));
                    session.vanished_earlier(&gone);
                }
                let mut unknown = false;
                for member in &ask.members {
                    // Only a row that sets \Seen uses it up.
                    let seen = folder.highest_modseq + 1;
                    let since = ask.since.as_ref().map_or(0, |s| s.modseq);
                    match folder.get(member.uid).filter(|m| m.modseq > since) {
                        // Nobody knows how to decode it (RFC 3516 4.3).
                        Some(m) if ask.binaries().next().is_some() && encoding(m) == Some("x-odd".into()) => {
                            unknown = true;
                        }
                        Some(message) => {
                            let row = row(message, &ask, seen);
                            let used = row.modseq == Some(seen);
                            session.fetched(row);
                            folder.highest_modseq += u64::from(used);
                        }
                        None => {}
                    }
                }
                session.mailbox_changed(folder.news());
                if unknown {
                    no(Code::UnknownCte)
                } else {
                    Answer::Done
                }
            }
            Ask::Store(ask) => {
                let Some(folder) = self.folder(selected) else {
                    return no(Code::NonExistent);
                };
                let (mut rows, mut modified) = (Vec::new(), Vec::new());
                for member in &ask.members {
                    let modseq = folder.highest_modseq + 1;
                    if let Some(message) = folder.get(member.uid) {
                        if ask.unchanged_since.is_some_and(|since| message.modseq > since) {
                            modified.push(member.uid);
                            continue;
                        }
                        message.modseq = modseq;
                        store(&mut message.flags, &ask);
                        rows.push(Told {
                            uid: member.uid,
                            flags: message.flags.clone(),
                            modseq,
                        });
                        folder.highest_modseq = modseq;
                    }
                }
                session.mailbox_changed(folder.news());
                Answer::Stored {
                    rows,
                    modified,
                    refused: None,
                }
            }
            Ask::Copy { members, mailbox } => self.copy(selected, &members, &mailbox, false),
            Ask::Move { members, mailbox } => {
                let answer = self.copy(selected, &members, &mailbox, true);
                let news = self.folder(selected).map(|f| f.news());
                session.mailbox_changed(news.unwrap_or_default());
                answer
            }
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
                .put_in(&message.octets, message.flags, message.date, now());
            pairs.push(CopiedUid {
                from: member.uid,
                to: uid,
            });
            if moving {
                self.folder(from).unwrap().take_out(|m| m.uid == member.uid);
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
            // Nothing is set by it: the number is not used up.
            let row = self
                .folder(&selected)
                .and_then(|f| f.get(member.uid))
                .map(|m| row(m, &ask, 0));
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
            highest_modseq: folder.highest_modseq,
            members: folder
                .messages
                .iter()
                .map(|m| Member {
                    uid: m.uid,
                    key: u64::from(m.uid),
                })
                .collect(),
            mailbox_id: name
                .as_str()
                .strip_prefix("Kimlik")
                .map(|number| format!("F{number}")),
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

    /// `D: arrive`, `D: arrive recent`, `D: vanish UID`, `D: flag UID FLAGS`, `D: shutdown`. `D: push` hands over what has gathered.
    pub fn event(&mut self, session: &mut Session, text: &str) {
        let words: Vec<&str> = text.split(' ').collect();
        let inbox = self.folders.get_mut("INBOX").unwrap();
        match words[..] {
            ["arrive"] | ["arrive", "recent"] => {
                let uid = inbox.put(SECOND.as_bytes(), Flags::default(), UtcTime::default());
                self.pending.added.push(member(uid));
                if words.len() > 1 {
                    self.pending.recent_from.get_or_insert(uid);
                }
            }
            ["vanish", uid] => {
                let uid = uid.parse().unwrap();
                inbox.take_out(|m| m.uid == uid);
                self.pending.removed.push(uid);
            }
            ["flag", uid, ref new @ ..] => {
                let uid = uid.parse().unwrap();
                let modseq = inbox.next_modseq();
                let message = inbox.get(uid).unwrap();
                (message.flags, message.modseq) = (flags(&new.join(" ")), modseq);
                self.pending.flags.push(Told {
                    uid,
                    flags: message.flags.clone(),
                    modseq,
                });
            }
            ["push"] => {
                let pending = self.pending();
                session.mailbox_changed(pending);
            }
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

fn row(message: &mut Message, ask: &FetchAsk, seen: u64) -> Row {
    let fresh = ask.mark_seen && message.flags.insert(Flag::Seen);
    if fresh {
        message.modseq = seen;
    }
    let text = |name: &str| header(&message.octets, name).map(String::into_bytes);
    let body_at = split(&message.octets);
    Row {
        uid: message.uid,
        modseq: Some(message.modseq),
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
        binaries: ask
            .binaries()
            .map(|b| binary(message, &b.part, body_at))
            .collect(),
        binary_sizes: ask
            .binary_sizes()
            .map(|part| match binary(message, part, body_at) {
                Content::Stored { len, .. } => Some(len),
                Content::Decoded { octets, .. } => Some(octets),
                _ => None,
            })
            .collect(),
        preview: match ask.asks_for(&FetchItem::Preview { lazy: true })
            && message.flags.contains(&Flag::Flagged)
        {
            true => None,
            false => Some(
                String::from_utf8_lossy(&message.octets[body_at..])
                    .replace("\r\n", " ")
                    .trim()
                    .to_owned(),
            ),
        },
        email_id: Some(format!("M{}", message.uid)),
        thread_id: (message.uid != 3).then(|| format!("T{}", message.uid)),
        save_date: (message.uid != 3).then_some(message.saved),
    }
}
