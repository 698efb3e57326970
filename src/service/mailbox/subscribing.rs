//! Subscriptions: without a word every mailbox is subscribed; what a user says otherwise is kept, by name.
//!
//! A name may be subscribed that is not there (RFC 9051 6.3.7), and what is kept is never dropped because a mailbox went.

use super::{ATTEMPTS, Mailboxes, conflict};
use crate::service::account::Principal;
use crate::service::failure::{Failure, Kind};
use crate::store::db::{Batch, CommitError};
use crate::store::tables::insert;
use crate::store::tables::subscriptions::{self, Subscription};
use std::collections::BTreeMap;

/// Words about subscriptions one user has kept: more than there are mailboxes anywhere, and LIST reads them all.
pub const SUBSCRIPTIONS_MAX: usize = 1000;

/// What a user has said.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Subscriptions(BTreeMap<String, bool>);

impl Subscriptions {
    /// Whether a mailbox that is there is subscribed.
    pub fn to_mailbox(&self, name: &str) -> bool {
        self.0.get(name).copied().unwrap_or(true)
    }

    /// Names that are subscribed whether they are there or not.
    pub fn said(&self) -> impl Iterator<Item = &str> {
        self.0
            .iter()
            .filter(|(_, on)| **on)
            .map(|(name, _)| name.as_str())
    }
}

impl Mailboxes {
    pub fn subscriptions(&self, by: &Principal) -> Result<Subscriptions, Failure> {
        let rows = subscriptions::of_user(&*self.db, by.tenant, by.user)?;
        Ok(Subscriptions(
            rows.into_iter().map(|s| (s.row.name, s.row.subscribed)).collect(),
        ))
    }

    /// Subscribes to a name, or no more.
    pub async fn subscribe(&self, by: &Principal, name: &str, subscribed: bool) -> Result<(), Failure> {
        for _ in 0..ATTEMPTS {
            let there = self.list(by)?.iter().any(|listed| listed.name == name);
            let said = subscriptions::one(&*self.db, by.tenant, by.user, name)?;
            let mut batch = Batch::new();
            match said {
                Some(said) if said.row.subscribed == subscribed => return Ok(()),
                // What is so without a word needs none; but a mailbox that is not there may come.
                Some(said) if there == subscribed => said.remove(&mut batch),
                Some(said) => {
                    let mut row = said.row.clone();
                    row.subscribed = subscribed;
                    said.replace(&mut batch, &row)?;
                }
                None if there == subscribed => return Ok(()),
                None => {
                    self.room_for_subscription(by)?;
                    let row = Subscription {
                        name: name.to_owned(),
                        subscribed,
                    };
                    insert(&mut batch, subscriptions::key(by.tenant, by.user, name), &row)?;
                }
            }
            match self.db.commit(batch).await {
                Ok(_) => {
                    self.bells.mailboxes.ring(by.tenant);
                    return Ok(());
                }
                Err(CommitError::Conflict { .. }) => continue,
                Err(other) => return Err(other.into()),
            }
        }
        Err(conflict())
    }

    fn room_for_subscription(&self, by: &Principal) -> Result<(), Failure> {
        if subscriptions::of_user(&*self.db, by.tenant, by.user)?.len() < SUBSCRIPTIONS_MAX {
            return Ok(());
        }
        let say = format!("at most {SUBSCRIPTIONS_MAX} subscriptions of one user are kept");
        Err(Failure::refused(Kind::TooMany, say))
    }
}
