//! Seats: a user in his organisation, worked out once and kept until one of both changes or a deputy's time turns.
//!
//! Every look asks for the seat anew, so that a right lost in mid-flight counts at once; what is kept only saves
//! working out the same audience for each message.

use super::Mailboxes;
use crate::clock::UtcTime;
use crate::domain::org::{Organisation, User};
use crate::domain::selector::{Place, Viewer};
use crate::id::{TenantId, UserId};
use crate::service::account::Principal;
use crate::service::failure::{Failure, Kind};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Seats kept: more users than are connected at a time. Beyond, all are worked out anew.
const SEATS_MAX: usize = 4096;

/// A user in his organisation as both stand now.
#[derive(Debug, Clone)]
pub struct Seat {
    pub organisation: Arc<Organisation>,
    pub(super) user: User,
    place: Place,
}

impl Seat {
    fn new(organisation: Arc<Organisation>, user: User, now: UtcTime) -> Self {
        let place = Place::new(&organisation, &user, now);
        Self {
            organisation,
            user,
            place,
        }
    }

    pub fn viewer(&self) -> Viewer<'_> {
        Viewer::placed(&self.organisation, &self.user, &self.place)
    }

    pub fn tenant(&self) -> TenantId {
        self.organisation.tenant.id
    }
}

/// The seats that were asked for lately.
#[derive(Debug, Default)]
pub struct Seats(Mutex<HashMap<(TenantId, UserId), Arc<Seat>>>);

impl Seats {
    fn kept(&self, by: &Principal, version: u64, now: UtcTime) -> Option<Arc<Seat>> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.get(&(by.tenant, by.user))
            .filter(|seat| seat.organisation.version == version && seat.place.holds_at(now))
            .cloned()
    }

    fn keep(&self, by: &Principal, seat: &Arc<Seat>) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= SEATS_MAX {
            kept.clear();
        }
        kept.insert((by.tenant, by.user), seat.clone());
    }
}

impl Mailboxes {
    /// The user's seat now; refused when he was removed or the account is closed.
    pub fn seat(&self, by: &Principal) -> Result<Arc<Seat>, Failure> {
        let organisation = self.organisations.of(by.tenant)?;
        let now = self.clock.now();
        if let Some(seat) = self.seats.kept(by, organisation.version, now) {
            return Ok(seat);
        }
        let user = organisation.users.get(&by.user).filter(|u| !u.removed).cloned();
        let user = user.ok_or_else(|| Failure::refused(Kind::NoPermission, "this user has been removed"))?;
        if !organisation.tenant.life.may_read() {
            return Err(Failure::refused(Kind::AccountClosed, "this account is closed"));
        }
        let seat = Arc::new(Seat::new(organisation, user, now));
        self.seats.keep(by, &seat);
        Ok(seat)
    }
}
