//! What NOTIFY asked about mailboxes that are not selected (RFC 5465): watched here, told by the engine.
//!
//! The bell of the tenant says that something happened. Which of the watched mailboxes it was in is found by hearing
//! each of them, which reads nothing where nothing was. Names are looked at only when the organisation or the user's
//! subscriptions changed.

use super::listing::special_use;
use super::{Connection, ImapDoor, property};
use crate::domain::selector::Mailbox;
use crate::imap::ask::Mailbox as ListedMailbox;
use crate::imap::ask::{Answer, Changes, Code, Notice, Refusal, Status};
use crate::imap::command::StatusItems;
use crate::imap::name::MailboxName;
use crate::imap::notify::{Events, NotifySet};
use crate::service::account::Principal;
use crate::service::failure::Failure;
use crate::service::mailbox::{Opened, Subscriptions};
use crate::service::time_slice::TimeSlice;
use std::collections::BTreeMap;

/// Mailboxes one session watches. A client that wants more is better served by asking.
const WATCHED_MAX: usize = 256;
/// Messages of all watched mailboxes together. Who is in a mailbox is shared by all who watch it, or have it open; when the
/// shared copy makes room for others a session goes on with its own, which is twelve octets for each message: 24 MB.
const WATCHED_MESSAGES_MAX: u64 = 2_000_000;

/// What is watched for one session.
pub(super) struct Watch {
    set: NotifySet,
    /// By name.
    names: BTreeMap<MailboxName, Named>,
    watched: BTreeMap<MailboxName, Watched>,
    /// Where evidence comes, when somebody wants to know of which mail.
    evidence: Option<Opened>,
    organisation_version: u64,
    subscriptions: Subscriptions,
}

/// A mailbox as it was listed last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Named {
    mailbox: Option<Mailbox>,
    subscribed: bool,
}

struct Watched {
    opened: Opened,
    messages: u32,
}

/// Too much is watched.
struct TooMuch;

fn overflow() -> Answer {
    let say = "that is too much to watch; ask for fewer mailboxes";
    Answer::Refused(Refusal::new(Code::NotificationOverflow, say))
}

/// RFC 5465 5.2: UIDNEXT and MESSAGES; UIDVALIDITY says of which UIDs.
fn status(name: &MailboxName, watched: &Watched) -> Notice {
    Notice::Status {
        name: name.clone(),
        items: StatusItems {
            messages: true,
            uid_next: true,
            uid_validity: true,
            ..StatusItems::default()
        },
        status: Status {
            messages: watched.messages,
            uid_next: watched.opened.uid_next,
            uid_validity: watched.opened.uid_validity,
            highest_modseq: watched.opened.known_to().0,
            ..Status::default()
        },
    }
}

/// Whether what happens to messages there is asked for.
fn of_messages(events: Option<&Events>) -> bool {
    events.is_some_and(|e| e.messages.is_some() || e.mailbox_metadata)
}

impl Connection<'_> {
    /// NOTIFY. What was watched before is watched no more when this succeeds.
    pub(super) async fn watch(&mut self, by: &Principal, set: Option<NotifySet>) -> Result<Answer, Failure> {
        let Some(set) = set else {
            self.watch = None;
            return self.watching(Vec::new()).await;
        };
        let (names, subscriptions) = self.door.names(by)?;
        let mut watch = Watch {
            organisation_version: self.door.mailboxes.seat(by)?.organisation.version,
            names,
            watched: BTreeMap::new(),
            evidence: None,
            subscriptions,
            set,
        };
        if watch.set.groups.iter().any(|g| g.events.mailbox_metadata) {
            watch.evidence = Some(self.door.mailboxes.open(by, Mailbox::Evidence).await?);
        }
        if self.door.open_watched(by, &mut watch).await?.is_err() {
            return Ok(overflow());
        }
        let selected = self.session.selected().cloned();
        let mut first = Vec::new();
        for (name, watched) in &watch.watched {
            let subscribed = watch.names.get(name).is_some_and(|n| n.subscribed);
            let events = watch.set.other(name, subscribed);
            // RFC 5465 3.1: STATUS of all but the selected one, where events of messages are asked for.
            if watch.set.status
                && events.is_some_and(|e| e.messages.is_some())
                && Some(name) != selected.as_ref()
            {
                first.push(status(name, watched));
            }
        }
        // RFC 5465 3.1: a mailbox that is listed and of which the events cannot be had. What is not there is ignored.
        let named = watch.set.groups.iter().filter(|g| g.events.messages.is_some());
        for name in named.flat_map(|g| g.filter.named()) {
            if watch.names.get(name).is_some_and(|n| n.mailbox.is_none()) {
                first.push(Notice::NoAccess(name.clone()));
            }
        }
        self.watch = Some(watch);
        self.watching(first).await
    }

    async fn watching(&mut self, first: Vec<Notice>) -> Result<Answer, Failure> {
        let changes: Changes = self.news().await?;
        Ok(Answer::Watching { first, changes })
    }

    /// After a stroke of the bell: what happened in the watched mailboxes, and to their names. Also after a failure
    /// `notices` has what was found before it.
    pub(super) async fn watched(
        &mut self,
        by: &Principal,
        stroke: u64,
        notices: &mut Vec<Notice>,
    ) -> Result<(), Failure> {
        let Some(mut watch) = self.watch.take() else {
            return Ok(());
        };
        let selected = self.session.selected().cloned();
        let looked = self
            .door
            .look_around(by, &mut watch, selected.as_ref(), (stroke, &mut *notices))
            .await;
        if !notices.contains(&Notice::Overflow) {
            self.watch = Some(watch);
        }
        looked
    }
}

impl ImapDoor {
    /// All mailboxes of the user by name.
    fn names(&self, by: &Principal) -> Result<(BTreeMap<MailboxName, Named>, Subscriptions), Failure> {
        let mailboxes = &self.mailboxes;
        let subscriptions = mailboxes.subscriptions(by)?;
        let mut names = BTreeMap::new();
        for listed in mailboxes.list(by)? {
            let named = Named {
                mailbox: listed.mailbox,
                subscribed: subscriptions.to_mailbox(&listed.name),
            };
            if let Ok(name) = MailboxName::new(&listed.name) {
                names.insert(name, named);
            }
        }
        Ok((names, subscriptions))
    }

    /// Opens what is to be watched and is not yet.
    async fn open_watched(&self, by: &Principal, watch: &mut Watch) -> Result<Result<(), TooMuch>, Failure> {
        let Watch {
            set, names, watched, ..
        } = watch;
        watched.retain(|name, _| names.contains_key(name));
        let mut messages: u64 = watched.values().map(|w| u64::from(w.messages)).sum();
        let mut slice = TimeSlice::begin();
        for (name, named) in names {
            let Some(mailbox) = named.mailbox.filter(|m| !m.shows_nothing()) else {
                continue;
            };
            if !of_messages(set.other(name, named.subscribed)) {
                watched.remove(name);
                continue;
            }
            if watched.contains_key(name) {
                continue;
            }
            slice.share().await;
            let opened = self.mailboxes.open(by, mailbox).await?;
            let there = u32::try_from(opened.roster().len()).unwrap_or(u32::MAX);
            messages += u64::from(there);
            let one = Watched {
                opened,
                messages: there,
            };
            watched.insert(name.clone(), one);
            if watched.len() > WATCHED_MAX || messages > WATCHED_MESSAGES_MAX {
                return Ok(Err(TooMuch));
            }
        }
        Ok(Ok(()))
    }

    async fn look_around(
        &self,
        by: &Principal,
        watch: &mut Watch,
        selected: Option<&MailboxName>,
        (stroke, notices): (u64, &mut Vec<Notice>),
    ) -> Result<(), Failure> {
        let mailboxes = self.mailboxes.clone();
        let version = mailboxes.seat(by)?.organisation.version;
        let subscriptions = mailboxes.subscriptions(by)?;
        if version != watch.organisation_version || subscriptions != watch.subscriptions {
            let (names, subscriptions) = self.names(by)?;
            notices.extend(renamed(&watch.set, &watch.names, &names));
            notices.extend(resubscribed(watch, &names, &subscriptions));
            carry_over(watch, &names);
            (watch.names, watch.subscriptions, watch.organisation_version) = (names, subscriptions, version);
            if self.open_watched(by, watch).await?.is_err() {
                notices.push(Notice::Overflow);
                return Ok(());
            }
        }
        let mut slice = TimeSlice::begin();
        for (name, watched) in &mut watch.watched {
            slice.share().await;
            let news = mailboxes.hear(by, &mut watched.opened, stroke).await?;
            let (came, went) = (news.added.len(), news.removed.len());
            watched.messages = (watched.messages as usize + came).saturating_sub(went) as u32;
            let subscribed = watch.names.get(name).is_some_and(|n| n.subscribed);
            let events = watch.set.other(name, subscribed);
            let tell = events.is_some_and(|e| {
                let moved = came + went > 0 && e.messages.is_some();
                moved || (e.flags && !news.marks.is_empty())
            });
            if tell && Some(name) != selected {
                notices.push(status(name, watched));
            }
        }
        let held: u64 = watch.watched.values().map(|w| u64::from(w.messages)).sum();
        if held > WATCHED_MESSAGES_MAX {
            notices.push(Notice::Overflow);
            return Ok(());
        }
        notices.extend(self.evidence_came(by, watch, stroke).await?);
        Ok(())
    }

    /// Of which watched messages there is new evidence (RFC 5465 5.6): their entry has changed.
    async fn evidence_came(
        &self,
        by: &Principal,
        watch: &mut Watch,
        stroke: u64,
    ) -> Result<Vec<Notice>, Failure> {
        let Some(evidence) = &mut watch.evidence else {
            return Ok(Vec::new());
        };
        let mailboxes = &self.mailboxes;
        let news = mailboxes.hear(by, evidence, stroke).await?;
        let mut entries: BTreeMap<&MailboxName, Vec<String>> = BTreeMap::new();
        for (_, item) in news.added {
            let Some(about) = mailboxes.spoken_of(by, item)? else {
                continue;
            };
            for (name, watched) in &watch.watched {
                let subscribed = watch.names.get(name).is_some_and(|n| n.subscribed);
                let asked = watch
                    .set
                    .other(name, subscribed)
                    .is_some_and(|e| e.mailbox_metadata);
                let known = mailboxes.known_uid(by, &watched.opened, about.id)?;
                if let (true, Some(uid)) = (asked, known) {
                    entries
                        .entry(name)
                        .or_default()
                        .push(format!("{}/{uid}", property::EVIDENCE));
                }
            }
        }
        let notice = |(name, mut entries): (&MailboxName, Vec<String>)| {
            entries.sort();
            entries.dedup();
            Notice::Metadata {
                mailbox: Some(name.clone()),
                entries,
            }
        };
        Ok(entries.into_iter().map(notice).collect())
    }
}

fn listed(name: &MailboxName, named: &Named, all: &BTreeMap<MailboxName, Named>) -> ListedMailbox {
    ListedMailbox {
        name: name.clone(),
        subscribed: named.subscribed,
        no_select: named.mailbox.is_none(),
        has_children: all.keys().any(|other| other.is_below(name)),
        special_use: named.mailbox.and_then(special_use),
        ..ListedMailbox::default()
    }
}

fn gone(name: &MailboxName, subscribed: bool) -> ListedMailbox {
    ListedMailbox {
        name: name.clone(),
        subscribed,
        non_existent: true,
        ..ListedMailbox::default()
    }
}

/// RFC 5465 5.4: those that came, those that went, and those that have another name. Getting a right to see a mailbox
/// is the same as its coming.
fn renamed(
    set: &NotifySet,
    before: &BTreeMap<MailboxName, Named>,
    after: &BTreeMap<MailboxName, Named>,
) -> Vec<Notice> {
    let asked =
        |name: &MailboxName, named: &Named| set.other(name, named.subscribed).is_some_and(|e| e.names);
    let old_names: BTreeMap<Mailbox, &MailboxName> = before
        .iter()
        .filter_map(|(name, named)| Some((named.mailbox?, name)))
        .collect();
    let mut notices = Vec::new();
    for (name, named) in after.iter().filter(|(name, _)| !before.contains_key(*name)) {
        let old = named.mailbox.and_then(|m| old_names.get(&m)).copied();
        if asked(name, named) || old.is_some_and(|old| asked(old, named)) {
            notices.push(Notice::Listed {
                mailbox: listed(name, named, after),
                old_name: old.cloned(),
            });
        }
    }
    let kept: Vec<Mailbox> = after.values().filter_map(|named| named.mailbox).collect();
    for (name, named) in before.iter().filter(|(name, _)| !after.contains_key(*name)) {
        let moved = named.mailbox.is_some_and(|m| kept.contains(&m));
        if !moved && asked(name, named) {
            notices.push(Notice::Listed {
                mailbox: gone(name, false),
                old_name: None,
            });
        }
    }
    notices
}

/// RFC 5465 5.5: names that are subscribed now and were not, and the other way.
fn resubscribed(watch: &Watch, names: &BTreeMap<MailboxName, Named>, now: &Subscriptions) -> Vec<Notice> {
    let asked =
        |name: &MailboxName, subscribed| watch.set.other(name, subscribed).is_some_and(|e| e.subscriptions);
    let mut notices = Vec::new();
    for (name, named) in names {
        let before = watch.names.get(name).map(|n| n.subscribed);
        let changed = before.is_some_and(|before| before != named.subscribed);
        if changed && (asked(name, true) || asked(name, named.subscribed)) {
            notices.push(Notice::Listed {
                mailbox: listed(name, named, names),
                old_name: None,
            });
        }
    }
    for (said, subscribed) in changed_words(&watch.subscriptions, now) {
        let Ok(name) = MailboxName::new(&said) else {
            continue;
        };
        if !names.contains_key(&name) && asked(&name, true) {
            notices.push(Notice::Listed {
                mailbox: gone(&name, subscribed),
                old_name: None,
            });
        }
    }
    notices
}

/// Names subscribed without being there: those that came, and those that went.
fn changed_words(before: &Subscriptions, after: &Subscriptions) -> Vec<(String, bool)> {
    let came = after.said().filter(|name| !before.said().any(|b| b == *name));
    let went = before.said().filter(|name| !after.said().any(|a| a == *name));
    let came = came.map(|name| (name.to_owned(), true));
    came.chain(went.map(|name| (name.to_owned(), false))).collect()
}

/// A mailbox that has another name now is the one that was watched under the old one.
fn carry_over(watch: &mut Watch, names: &BTreeMap<MailboxName, Named>) {
    let mut watched = std::mem::take(&mut watch.watched);
    for (name, named) in names {
        let Some(mailbox) = named.mailbox else { continue };
        let old = watched.iter().find(|(_, w)| w.opened.mailbox == mailbox);
        if let Some(old) = old.map(|(old, _)| old.clone())
            && let Some(one) = watched.remove(&old)
        {
            watch.watched.insert(name.clone(), one);
        }
    }
}
