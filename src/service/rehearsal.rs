//! Rules tried on the mail that is stored: what they would have caught, and what would have followed. Nothing is changed.
//!
//! The verdicts are those of the real road (`domain::policy`), on the organisation as it stands today: whose mail a rule
//! speaks of is asked of the author's units and roles of today. Header summaries kept beside the items are read, no
//! bodies. What a sender asked for is not kept with a mail; the verdict is for one who asks for nothing.

use crate::clock::UtcTime;
use crate::domain::item::{Item, ItemKind};
use crate::domain::org::Organisation;
use crate::domain::policy::{self, Verdict};
use crate::domain::rule::{Direction, RuleBook};
use crate::id::{ItemId, JobId, MailId, RuleId, TenantId, UserId};
use crate::service::failure::{Failure, Kind};
use crate::service::organisation::{Organisations, unknown};
use crate::service::outline::{Outline, read_by_rules};
use crate::store::db::Db;
use crate::store::spool::Spool;
use crate::store::tables::{items, jobs, mails};
use std::sync::Arc;
use std::time::Duration;

/// Most mails that one rehearsal looks at: the answer holds all that was caught, and with 1,000 rules it takes seconds.
pub const MAILS_MAX: usize = 10_000;
/// Mails looked at when no number is given.
pub const MAILS_USUAL: usize = 1_000;
/// Entries of the item log that are passed over for each mail that may be looked at. A mail has a few evidence
/// messages; a log of drafts must not be walked for ever.
const ITEMS_PER_MAIL: usize = 50;
/// Items read before others get a turn.
const STEP_ITEMS: usize = 64;
/// Items are numbered a moment before they are dated, and a clock may be set back a little: the walk goes on so far
/// behind the moment that is asked for.
const OUT_OF_ORDER_MAX: Duration = Duration::from_secs(3600);

pub struct Rehearsal {
    pub db: Arc<dyn Db>,
    pub spool: Arc<Spool>,
    pub organisations: Arc<Organisations>,
}

/// What is to be rehearsed.
#[derive(Debug, Clone, Default)]
pub struct Rehearse {
    /// This rule as if it were switched on, among the others; only what it catches is told. Without one, all rules.
    pub rule: Option<String>,
    pub since: Option<UtcTime>,
    /// Mails to look at; at most [`MAILS_MAX`].
    pub limit: usize,
}

/// What came out, newest mail first.
#[derive(Debug)]
pub struct Rehearsed {
    /// The organisation the verdicts speak of.
    pub organisation: Arc<Organisation>,
    pub looked_at: usize,
    /// Whether there is older mail that was not looked at.
    pub more: bool,
    pub caught: Vec<Caught>,
}

/// A stored mail that is caught.
#[derive(Debug, Clone)]
pub struct Caught {
    pub item: ItemId,
    pub mail: MailId,
    pub at: UtcTime,
    pub direction: Direction,
    pub subject: String,
    /// Who wrote it; nobody here wrote what came in.
    pub author: Option<UserId>,
    pub verdict: Verdict,
    /// Name and version of the rule whose flow it really started.
    pub was: Option<(String, u32)>,
}

impl Rehearsal {
    /// Asks the rules about the stored mail of a tenant.
    pub async fn over_stored(&self, tenant: TenantId, asked: &Rehearse) -> Result<Rehearsed, Failure> {
        if asked.limit == 0 || asked.limit > MAILS_MAX {
            let say = format!("between 1 and {MAILS_MAX} mails are looked at; say from when on instead");
            return Err(Failure::refused(Kind::Invalid, say));
        }
        let (organisation, only) = self.stage(tenant, asked)?;
        let direction = only
            .and_then(|id| organisation.rules.get(&id))
            .map(|r| r.direction);
        let stage = Stage {
            organisation: &organisation,
            only,
            direction,
            since: asked.since,
        };
        let (caught, looked_at, more) = self.walk(&stage, asked.limit).await?;
        Ok(Rehearsed {
            organisation,
            looked_at,
            more,
            caught,
        })
    }

    /// The organisation as it stands; with the named rule switched on if it is not.
    fn stage(
        &self,
        tenant: TenantId,
        asked: &Rehearse,
    ) -> Result<(Arc<Organisation>, Option<RuleId>), Failure> {
        let standing = self.organisations.of(tenant)?;
        let Some(name) = &asked.rule else {
            return Ok((standing, None));
        };
        let Some(rule) = standing.rule_by_name(name) else {
            let names = standing.rules.values().map(|r| r.name.as_str());
            return Err(Failure::refused(Kind::NotFound, unknown("rule", name, names)));
        };
        let id = rule.id;
        if rule.enabled {
            return Ok((standing, Some(id)));
        }
        let mut staged = Organisation::clone(&standing);
        if let Some(rule) = staged.rules.get_mut(&id) {
            rule.enabled = true;
        }
        staged.rulebook = RuleBook::new(&staged.rules_in_order());
        Ok((Arc::new(staged), Some(id)))
    }

    async fn walk(&self, stage: &Stage<'_>, limit: usize) -> Result<(Vec<Caught>, usize, bool), Failure> {
        let tenant = stage.organisation.tenant.id;
        let earliest = stage.since.map(|since| since.minus(OUT_OF_ORDER_MAX));
        let (mut caught, mut looked_at, mut passed) = (Vec::new(), 0, 0);
        let mut before = ItemId(u64::MAX);
        loop {
            let step = items::step_back(&*self.db, tenant, before, STEP_ITEMS)?;
            let Some(last) = step.last() else {
                return Ok((caught, looked_at, false));
            };
            before = last.id;
            for item in &step {
                if passed >= limit.saturating_mul(ITEMS_PER_MAIL) {
                    return Ok((caught, looked_at, true));
                }
                passed += 1;
                let Some(mail) = stage.concerns(item) else {
                    continue;
                };
                if earliest.is_some_and(|earliest| item.internal_date < earliest) {
                    return Ok((caught, looked_at, false));
                }
                if stage.since.is_some_and(|since| item.internal_date < since) {
                    continue;
                }
                if looked_at == limit {
                    return Ok((caught, looked_at, true));
                }
                looked_at += 1;
                let verdict = self.look(stage, item, mail).await?;
                caught.extend(verdict.filter(|c| stage.tells(&c.verdict)));
            }
            tokio::task::yield_now().await;
        }
    }

    /// What the rules say to one mail. `None`: its rows are not there.
    async fn look(&self, stage: &Stage<'_>, item: &Item, id: MailId) -> Result<Option<Caught>, Failure> {
        let (db, org) = (&*self.db, stage.organisation);
        let tenant = org.tenant.id;
        if item.kind == ItemKind::Incoming {
            let Some(consignment) = mails::consignment(db, tenant, id)?.map(|c| c.row) else {
                return Ok(None);
            };
            return Ok(Some(Caught {
                item: item.id,
                mail: id,
                at: consignment.delivered_at,
                direction: Direction::Incoming,
                verdict: policy::rehearse_incoming(org, &policy::readable(&consignment)),
                subject: consignment.subject,
                author: None,
                was: self.was(tenant, item.job.as_ref().map(|facet| facet.id))?,
            }));
        }
        let mail = mails::mail(db, tenant, id)?.map(|m| m.row);
        let body = items::body(db, tenant, item.id)?;
        let author = mail.as_ref().and_then(|m| org.users.get(&m.author));
        let (Some(mail), Some(body), Some(author)) = (mail, body, author) else {
            return Ok(None);
        };
        let summary = Outline::summary_of(&self.spool, &body.row).await?;
        let read = read_by_rules(&summary, mail.recipients.iter().map(|r| &r.address));
        Ok(Some(Caught {
            item: item.id,
            mail: id,
            at: mail.submitted_at,
            direction: Direction::Outgoing,
            verdict: policy::rehearse(org, author, &read),
            subject: mail.subject,
            author: Some(mail.author),
            was: self.was(tenant, mail.job)?,
        }))
    }

    fn was(&self, tenant: TenantId, job: Option<JobId>) -> Result<Option<(String, u32)>, Failure> {
        let job = job
            .map(|job| jobs::job(&*self.db, tenant, job))
            .transpose()?
            .flatten();
        Ok(job.map(|job| (job.row.rule_name, job.row.rule_version)))
    }
}

/// On what is rehearsed.
struct Stage<'a> {
    organisation: &'a Organisation,
    only: Option<RuleId>,
    /// The only direction that is looked at.
    direction: Option<Direction>,
    since: Option<UtcTime>,
}

impl Stage<'_> {
    /// The mail of an item that rules are asked about.
    fn concerns(&self, item: &Item) -> Option<MailId> {
        let direction = match item.kind {
            ItemKind::Incoming => Direction::Incoming,
            ItemKind::Outgoing => Direction::Outgoing,
            ItemKind::Draft | ItemKind::Evidence | ItemKind::Notice => return None,
        };
        item.mail
            .filter(|_| self.direction.is_none_or(|only| only == direction))
    }

    fn tells(&self, verdict: &Verdict) -> bool {
        match self.only {
            Some(rule) => verdict.caught.contains(&rule),
            None => !verdict.caught.is_empty(),
        }
    }
}
