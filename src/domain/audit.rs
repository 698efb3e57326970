//! The audit record: who did what, by which route, from where, when, and what it was before and after.
//!
//! Changes, decisions, logins, readings, enquiries and what the daemon itself goes through. Never in it: texts and subjects of
//! mails, passwords, identity numbers.

use crate::clock::UtcTime;
use crate::domain::job::Route;
use crate::domain::job::{Entry, Job};
use crate::domain::org::Organisation;
use crate::domain::rule::Who;
use crate::id::{ItemId, JobId, LabelId, MailId, RoleId, RuleId, TenantId, UnitId, UserId};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// Longest account of how something was, or is now, in octets; with both, and all else, a record fits its row.
pub const ACCOUNT_MAX_OCTETS: usize = 6000;

/// Where the provider's own records stand: no tenant has this number. What concerns no account is written here.
pub const PROVIDER: TenantId = TenantId(0);

/// From where somebody acts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Origin {
    /// The daemon itself: the clock, a station.
    Inside,
    /// A connection over the network.
    Network(IpAddr),
    /// A process at the control socket, by its user's number.
    Process(u32),
}

/// By which route a change came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AuditRoute {
    Clock,
    Imap,
    Smtp,
    Kepctl,
}

impl AuditRoute {
    pub fn word(self) -> &'static str {
        match self {
            AuditRoute::Clock => "clock",
            AuditRoute::Imap => "imap",
            AuditRoute::Smtp => "smtp",
            AuditRoute::Kepctl => "kepctl",
        }
    }
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Origin::Inside => f.write_str("inside"),
            Origin::Network(address) => address.fmt(f),
            Origin::Process(uid) => write!(f, "uid {uid}"),
        }
    }
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
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
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
    Mail(MailId),
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

/// Most characters of a name in the account of a job: all parties of a step fit, though each is a unit by its whole path.
const NAMED_MAX_CHARS: usize = 150;

/// The end of a long path says more than its beginning.
fn shortened(name: &str) -> String {
    let chars = name.chars().count();
    match chars.checked_sub(NAMED_MAX_CHARS) {
        None | Some(0) => name.to_owned(),
        Some(over) => format!("…{}", name.chars().skip(over + 1).collect::<String>()),
    }
}

impl AuditRecord {
    /// The record of something that changes nothing that could be told as before and after: a login, a reading, an export.
    pub fn of_deed(
        at: UtcTime,
        author: Author,
        deed: &str,
        about: Vec<Matter>,
        what: &serde_json::Value,
    ) -> Self {
        Self {
            at,
            author,
            deed: deed.into(),
            about,
            before: String::new(),
            after: what.to_string(),
        }
    }

    /// The record of an entry of a job's history: how the job stood before and stands after, for whom it waits, and whom
    /// the deed names. `before` is left out when the job begins.
    pub fn of_job(
        org: &Organisation,
        before: Option<&Job>,
        after: &Job,
        entry: &Entry,
        author: &Author,
        at: UtcTime,
    ) -> Self {
        let happening = &entry.happening;
        let named = happening.deed.named();
        let mut about = vec![Matter::Job(entry.job), Matter::Rule(after.rule)];
        about.extend(happening.actor.map(Matter::User));
        about.extend(named.map(|who| match who {
            Who::Role(id) => Matter::Role(id),
            Who::Unit(id) => Matter::Unit(id),
            Who::User(id) => Matter::User(id),
        }));
        let standing = |word: &str, job: &Job| {
            let facet = job.facet(org);
            let waits_for = facet.open.iter().map(|o| shortened(&org.who(o.who)));
            serde_json::json!({
                "state": word,
                "step": job.standing.state.step(),
                "approvals": job.standing.given.len(),
                "waits_for": waits_for.collect::<Vec<_>>(),
            })
        };
        let mut is = standing(&entry.state, after);
        if let (Some(to), Some(is)) = (&happening.to, is.as_object_mut()) {
            is.insert("to".into(), shortened(to).into());
        }
        Self {
            at,
            author: author.clone(),
            deed: format!("job {}", happening.deed.word()),
            about,
            before: before.map_or_else(String::new, |job| {
                standing(job.standing.state.word(), job).to_string()
            }),
            after: is.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_name_keeps_its_end() {
        assert_eq!(shortened("Genel Müdürlük/Satış"), "Genel Müdürlük/Satış");
        let long = format!("{}/Satış", "ş".repeat(400));
        let short = shortened(&long);
        assert!(
            short.chars().count() == NAMED_MAX_CHARS && short.starts_with('…') && short.ends_with("/Satış")
        );
        // Eight parties, before and after, are well below what an account may have.
        const { assert!(8 * 4 * NAMED_MAX_CHARS + 200 < ACCOUNT_MAX_OCTETS) };
    }
}
