//! LIST, LSUB, STATUS and subscriptions: from the user's mailboxes to the engine's.

use super::status::counting;
use super::{Connection, property};
use crate::domain::selector::Mailbox;
use crate::imap::ask::Mailbox as ListedMailbox;
use crate::imap::ask::{Answer, ListAsk, SpecialUse};
use crate::imap::name::MailboxName;
use crate::imap::property::{Depth, GetMetadata};
use crate::service::account::Principal;
use crate::service::failure::Failure;
use crate::service::time_slice::TimeSlice;
use std::collections::BTreeSet;

impl Connection<'_> {
    pub(super) async fn list(&mut self, by: &Principal, ask: &ListAsk) -> Result<Answer, Failure> {
        let mailboxes = self.door.mailboxes.clone();
        let subscriptions = mailboxes.subscriptions(by)?;
        let mut answer = Vec::new();
        let mut there = BTreeSet::new();
        let mut slice = TimeSlice::begin();
        for listed in mailboxes.list(by)? {
            slice.share().await;
            let Ok(name) = MailboxName::new(&listed.name) else {
                continue;
            };
            let mut mailbox = ListedMailbox {
                subscribed: subscriptions.to_mailbox(&listed.name),
                no_select: listed.mailbox.is_none(),
                special_use: listed.mailbox.and_then(special_use),
                ..ListedMailbox::default()
            };
            if ask.wants(&name) {
                if let (Some(items), Some(which)) = (ask.returns.status, listed.mailbox) {
                    let status = mailboxes.status(by, which, counting(items)).await?;
                    mailbox.status = Some(self.door.status_of(by, which, items, &status).await?);
                }
                if ask.returns.my_rights {
                    mailbox.rights = Some(property::letters(&mailboxes.rights_of(by, &listed)?));
                }
                if !ask.returns.metadata.is_empty() {
                    let get = GetMetadata {
                        mailbox: Some(name.clone()),
                        entries: ask.returns.metadata.clone(),
                        size_max_bytes: None,
                        depth: Depth::Itself,
                    };
                    mailbox.metadata = self.door.entries_of(by, listed.mailbox, &get).await?;
                }
            }
            mailbox.name = name;
            there.insert(listed.name);
            answer.push(mailbox);
        }
        // RFC 5258 3.1: a subscription to what is not there.
        for said in subscriptions.said().filter(|said| !there.contains(*said)) {
            if let Ok(name) = MailboxName::new(said) {
                answer.push(ListedMailbox {
                    name,
                    subscribed: true,
                    non_existent: true,
                    ..ListedMailbox::default()
                });
            }
        }
        Ok(Answer::Mailboxes(answer))
    }

    pub(super) async fn subscribe(
        &mut self,
        by: &Principal,
        name: &MailboxName,
        subscribed: bool,
    ) -> Result<Answer, Failure> {
        self.door
            .mailboxes
            .subscribe(by, name.as_str(), subscribed)
            .await?;
        Ok(Answer::Done)
    }
}

pub(super) fn special_use(mailbox: Mailbox) -> Option<SpecialUse> {
    let text = mailbox.special_use()?;
    [
        SpecialUse::All,
        SpecialUse::Archive,
        SpecialUse::Drafts,
        SpecialUse::Flagged,
        SpecialUse::Sent,
        SpecialUse::Trash,
    ]
    .into_iter()
    .find(|s| s.as_str() == text)
}
