//! What follows from each user's place at one moment: as what he may decide, and what he sees.
//!
//! Who stands in for whom is written down with those who are stood in for. Whoever asks about many users would look at
//! everybody for each of them; a roll looks at everybody once. It is good for its moment and its organisation only.

use super::{Audience, Capacity, Organisation, Permission, Under, User, UserKind, walk};
use crate::clock::UtcTime;
use crate::id::UserId;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

/// A deputy's turn: for whom, from when, and until when.
type Turn<'a> = (&'a User, UtcTime, UtcTime);

#[derive(Debug)]
pub struct Roll<'a> {
    org: &'a Organisation,
    now: UtcTime,
    /// The turns of each deputy, past and coming ones too.
    turns: BTreeMap<UserId, Vec<Turn<'a>>>,
    below: OnceLock<Under>,
    merged: OnceLock<Under>,
}

impl<'a> Roll<'a> {
    /// For questions about anybody.
    pub fn of_all(org: &'a Organisation, now: UtcTime) -> Self {
        Self::of(org, now, |_| true)
    }

    /// For questions about one user.
    pub fn of_one(org: &'a Organisation, user: UserId, now: UtcTime) -> Self {
        Self::of(org, now, |deputy| deputy == user)
    }

    fn of(org: &'a Organisation, now: UtcTime, asked: impl Fn(UserId) -> bool) -> Self {
        let mut turns: BTreeMap<UserId, Vec<Turn<'a>>> = BTreeMap::new();
        for user in org.live_users() {
            for deputy in user.deputies.iter().filter(|d| asked(d.user)) {
                let turn = (user, deputy.from, deputy.until);
                turns.entry(deputy.user).or_default().push(turn);
            }
        }
        Self {
            org,
            now,
            turns,
            below: OnceLock::new(),
            merged: OnceLock::new(),
        }
    }

    /// As what the user may decide at this moment: himself first, then those whose deputy he is. A deputy needs no
    /// permission of his own, but whom he stands for must hold it.
    pub fn capacities(&self, user: &User) -> Vec<Capacity> {
        if user.removed {
            return Vec::new();
        }
        let mut stood_for: BTreeMap<UserId, &User> = BTreeMap::new();
        for (other, from, until) in self.turns.get(&user.id).into_iter().flatten() {
            if other.id != user.id && *from <= self.now && self.now < *until {
                stood_for.insert(other.id, other);
            }
        }
        std::iter::once(user)
            .chain(stood_for.into_values())
            .filter(|u| self.org.may(u, Permission::Approve))
            .map(|u| Capacity {
                user: u.id,
                roles: u.roles.clone(),
                units: walk(&u.units, || self.merged.get_or_init(|| self.org.merged())),
            })
            .collect()
    }

    /// The one function that says who sees what.
    pub fn audience(&self, user: &User) -> Audience {
        if user.kind == UserKind::Officer {
            return Audience::Tenant;
        }
        let units = if self.org.may(user, Permission::View) {
            walk(&user.units, || self.below.get_or_init(|| self.org.below()))
        } else {
            BTreeSet::new()
        };
        Audience::Limited {
            user: user.id,
            labels: self.org.labels_of(&units),
            units,
            capacities: self.capacities(user),
        }
    }

    /// The moments between which this holds for the user, as long as the organisation stays as it is.
    pub fn holds_between(&self, user: UserId) -> (Option<UtcTime>, Option<UtcTime>) {
        let turns = self.turns.get(&user).into_iter().flatten();
        let moments = turns.flat_map(|(_, from, until)| [*from, *until]);
        let (past, ahead): (Vec<UtcTime>, Vec<UtcTime>) = moments.partition(|turn| *turn <= self.now);
        (past.into_iter().max(), ahead.into_iter().min())
    }
}
