//! The audit record: who changed what, by which route, from where, when, and what it was before and after.

use crate::clock::UtcTime;
use crate::domain::job::Route;
use crate::id::{ItemId, JobId, LabelId, RoleId, RuleId, UnitId, UserId};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// Longest account of how something was, or is now, in octets; with both, and all else, a record fits its row.
pub const ACCOUNT_MAX_OCTETS: usize = 6000;

/// From where somebody acts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Origin {
    /// The daemon itself: the clock, a station.
    Inside,
    /// A connection over the network.
    Network(IpAddr),
    /// A process at the control socket, by its user's number.
    Process(u32),
}

/// By which route a change came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AuditRoute {
    Clock,
    Imap,
    Smtp,
    Kepctl,
}

impl From<Route> for AuditRoute {
    fn from(route: Route) -> Self {
        match route {
            Route::Folder | Route::Keyword => AuditRoute::Imap,
            Route::Kepctl => AuditRoute::Kepctl,
            Route::Mail => AuditRoute::Smtp,
        }
    }
}

/// Who made a change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Author {
    /// A user of the tenant, or of nobody's: the administrator, the clock.
    pub user: Option<UserId>,
    /// The login at that time; `administrator` or `kepd` when it was no user.
    pub login: String,
    pub route: AuditRoute,
    pub from: Origin,
}

impl Author {
    /// The daemon by itself.
    pub fn clock() -> Self {
        Self {
            user: None,
            login: "kepd".into(),
            route: AuditRoute::Clock,
            from: Origin::Inside,
        }
    }

    /// The administrator at the control socket.
    pub fn administrator(uid: u32) -> Self {
        Self {
            user: None,
            login: "administrator".into(),
            route: AuditRoute::Kepctl,
            from: Origin::Process(uid),
        }
    }
}

/// What a record is about; it is found again by each of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Matter {
    Tenant,
    Unit(UnitId),
    Role(RoleId),
    User(UserId),
    Label(LabelId),
    Rule(RuleId),
    Job(JobId),
    Item(ItemId),
}

/// One change, written once and never changed itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditRecord {
    pub at: UtcTime,
    pub author: Author,
    /// What was done, in `kepctl`'s words: `unit move`, `job approve`.
    pub deed: String,
    pub about: Vec<Matter>,
    /// JSON of how it was before; only what differs. Empty when there was nothing.
    pub before: String,
    pub after: String,
}
