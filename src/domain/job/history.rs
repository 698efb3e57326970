//! What happened to a job, entry by entry: written once, never changed. It is exported with the evidence of the mail.

use super::{Act, Route};
use crate::clock::UtcTime;
use crate::domain::rule::Who;
use crate::id::{JobId, UserId};
use serde::{Deserialize, Serialize};

/// What was done, by somebody or by the clock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Deed {
    Started,
    /// A decision; whom it names, by the name of that time.
    Decided(Act),
    /// Words about the job that decide nothing.
    Noted,
    Reminded,
    BecameLate,
    Escalated,
    /// Nobody is left who could decide.
    Stuck,
    Expired,
    /// The release took effect.
    Left,
    HandedInAnew,
}

impl Deed {
    /// Whom a decision hands the step to.
    pub fn named(&self) -> Option<Who> {
        match self {
            Deed::Decided(Act::Delegate(to)) => Some(Who::User(*to)),
            Deed::Decided(Act::Reassign(to)) => Some(*to),
            _ => None,
        }
    }

    /// The word of `approvals.json` and of `kepctl`.
    pub fn word(&self) -> &'static str {
        match self {
            Deed::Started => "start",
            Deed::Decided(act) => act.word(),
            Deed::Noted => "note",
            Deed::Reminded => "remind",
            Deed::BecameLate => "late",
            Deed::Escalated => "escalate",
            Deed::Stuck => "stuck",
            Deed::Expired => "expire",
            Deed::Left => "leave",
            Deed::HandedInAnew => "resubmit",
        }
    }
}

/// Who did what, when, by which route and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Happening {
    pub deed: Deed,
    pub at: UtcTime,
    /// `None`: by the clock, or by a change of the organisation.
    pub actor: Option<UserId>,
    /// The login at that time.
    pub actor_login: String,
    /// The login of whom he stood for.
    pub in_name_of: Option<String>,
    /// The step it was done at, counted from 1; the release has none.
    pub step: Option<u16>,
    /// The role, unit or user he decided as, by its name at that time.
    pub role: Option<String>,
    /// To whom the step was handed, by the name of that time.
    pub to: Option<String>,
    pub route: Option<Route>,
    pub note: String,
}

impl Happening {
    /// Nobody's doing.
    pub fn by_itself(deed: Deed, at: UtcTime) -> Self {
        Self {
            deed,
            at,
            actor: None,
            actor_login: String::new(),
            in_name_of: None,
            step: None,
            role: None,
            to: None,
            route: None,
            note: String::new(),
        }
    }
}

/// An entry of a job's history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Counted from 0.
    pub n: u32,
    pub job: JobId,
    pub happening: Happening,
    /// The word of the state it led to.
    pub state: String,
    pub original_sha256: [u8; 32],
}
