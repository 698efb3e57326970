//! The approval queue: jobs are decided by folder, keyword or `kepctl`, become late by the clock, and end.
//!
//! Every decision is one conditional batch: the job, its history, its item, the mail, the audit record and what follows
//! change together or not at all, so two approvers at the same moment give one decision. A decision is bound to the
//! digest of the exact octets. What a move means for everything beside the job is in `settling`, what the clock and
//! changes of the organisation do in `clockwork`, what is only looked at in `listing`.

mod clockwork;
mod figures;
mod listing;
mod settling;

pub use listing::JobList;

use crate::clock::Clock;
use crate::domain::audit::Author;
use crate::domain::job::{Act, Job, JobRefusal, Moved, Route, Terms, Wish};
use crate::domain::org::{Organisation, User};
use crate::id::{IdSource, JobId, TenantId};
use crate::service::account::Principal;
use crate::service::bell::Bells;
use crate::service::failure::{Failure, Kind};
use crate::service::identity::Identity;
use crate::service::item_numbers::ItemNumbers;
use crate::service::organisation::Organisations;
use crate::store::db::{Batch, CommitError, Db};
use settling::Cause;
use std::sync::Arc;

/// How often a decision is tried against others on the same job.
const DECIDE_ATTEMPTS: usize = 8;

pub struct Approval {
    pub db: Arc<dyn Db>,
    pub clock: Arc<dyn Clock>,
    pub ids: Arc<dyn IdSource>,
    pub organisations: Arc<Organisations>,
    pub identity: Arc<Identity>,
    pub items: Arc<ItemNumbers>,
    pub bells: Bells,
    pub terms: Arc<Terms>,
}

/// What else is written by the commit that moves a job; asked anew for each attempt.
pub type With<'a> = &'a (dyn Fn(&mut Batch) -> Result<(), Failure> + Sync);

/// A decision asked for.
#[derive(Debug, Clone)]
pub struct DecisionAsked<'a> {
    pub job: JobId,
    pub act: Act,
    pub route: Route,
    pub note: &'a str,
    /// The digest of what the decider saw. Without one, what the job holds now.
    pub original_sha256: Option<[u8; 32]>,
}

impl Approval {
    /// Decides a job, and gives it as it stands afterwards.
    pub async fn decide(&self, by: &Principal, asked: DecisionAsked<'_>) -> Result<Job, Failure> {
        let moved = |job: &Job, organisation: &Organisation, wish: &Wish<'_>| {
            job.decide(organisation, &self.terms, wish)
        };
        self.commit_move(by, &asked, moved, &|_| Ok(())).await
    }

    /// Leaves words with a job that decide nothing.
    pub async fn note(&self, by: &Principal, job: JobId, note: &str, route: Route) -> Result<Job, Failure> {
        self.note_with(by, job, note, route, &|_| Ok(())).await
    }

    /// The same, in one commit with something else.
    pub async fn note_with(
        &self,
        by: &Principal,
        job: JobId,
        note: &str,
        route: Route,
        with: With<'_>,
    ) -> Result<Job, Failure> {
        if note.trim().is_empty() {
            let say = "the note is empty; say something, or decide";
            return Err(Failure::refused(Kind::Invalid, say));
        }
        let asked = DecisionAsked {
            job,
            // Not obeyed: the words are taken as they are.
            act: Act::Approve,
            route,
            note,
            original_sha256: None,
        };
        let moved = |job: &Job, organisation: &Organisation, wish: &Wish<'_>| job.note(organisation, wish);
        self.commit_move(by, &asked, moved, with).await
    }

    async fn commit_move(
        &self,
        by: &Principal,
        asked: &DecisionAsked<'_>,
        make: impl Fn(&Job, &Organisation, &Wish<'_>) -> Result<Moved, JobRefusal>,
        with: With<'_>,
    ) -> Result<Job, Failure> {
        for _ in 0..DECIDE_ATTEMPTS {
            let organisation = self.organisations.of(by.tenant)?;
            let actor = live_user(&organisation, by)?;
            let stored = self.visible_job(&organisation, actor, asked.job)?;
            let now = self.clock.now();
            let wish = Wish {
                act: asked.act,
                actor,
                actor_login: &by.login.to_string(),
                route: asked.route,
                note: asked.note,
                original_sha256: asked.original_sha256.unwrap_or(stored.row.original_sha256),
                at: now,
            };
            let moved = make(&stored.row, &organisation, &wish)?;
            // What was done, which for a note is not what was wished.
            let deed = moved
                .entries
                .first()
                .map_or("nothing", |e| e.happening.deed.word());
            let mut batch = Batch::new();
            with(&mut batch)?;
            let cause = Cause {
                author: by.author(asked.route.into()),
                at: now,
            };
            let job = self.settle(&mut batch, &organisation, &stored, moved, &cause)?;
            match self.db.commit(batch).await {
                Ok(_) => {
                    tracing::info!(job = %job.id, mail = %job.mail, by = %by.login, act = deed,
                        route = asked.route.word(), state = job.standing.state.word(), "decided");
                    self.ring_bells(by.tenant);
                    return Ok(job);
                }
                Err(CommitError::Conflict { key }) => {
                    self.lacks_credit(&organisation, &stored.row, by.user, &key)?
                }
                Err(other) => return Err(other.into()),
            }
        }
        Err(Failure::Unavailable("too many decide on this job at once".into()))
    }

    fn ring_bells(&self, tenant: TenantId) {
        self.bells.mailboxes.ring(tenant);
        self.bells.notary.ring();
        self.bells.timers.ring();
        self.bells.herald.ring();
    }
}

/// The daemon by itself, now.
fn by_clock(at: crate::clock::UtcTime) -> Cause {
    Cause {
        author: Author::clock(),
        at,
    }
}

/// The user behind a principal, as he stands now: a right lost in mid-flight counts at once.
fn live_user<'a>(organisation: &'a Organisation, by: &Principal) -> Result<&'a User, Failure> {
    organisation
        .users
        .get(&by.user)
        .filter(|u| !u.removed)
        .ok_or_else(|| Failure::refused(Kind::NoPermission, "this user has been removed"))
}
