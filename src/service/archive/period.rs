//! The bundles of a period, step by step: each step does a bounded amount of work and says where the next one begins.
//!
//! Mail is walked in the order of its keys, tenant by tenant, what was sent before what came in; the index tells the times. Memory
//! and time of a step are bounded, and all steps together read each row once. An export that broke off begins again at the
//! start and passes over the folders that are there; a bundle that is there is made anew only if its contents would be others now
//! (`contents`). What a crash left beside a bundle is taken away then. A mail that cannot be exported, because something of it is lost or damaged, stands in the index with the reason,
//! and does not stop the others.
//!
//! Counted are mails that were accepted for sending in the period, and mails delivered in it. What still waits for
//! approval, or was never sent, is no mail of the period.

use super::{Archive, EXPORTING, There, hex, unwritable};
use crate::clock::UtcTime;
use crate::domain::mail::{Consignment, Mail, MailState};
use crate::id::{MailId, TenantId};
use crate::service::archive::summing::Sums;
use crate::service::aside::aside;
use crate::service::failure::Failure;
use crate::store::many_folders::ManyFolders;
use crate::store::tables::mails;
use serde::Serialize;
use std::path::Path;
use std::sync::Arc;

/// Bundles written in one step: some seconds, so that who waits sees it go on.
const STEP_BUNDLES_MAX: usize = 25;
/// Mails looked at in one step.
const STEP_MAILS_MAX: usize = 5_000;
/// Mails read at a time.
const PAGE_MAILS: usize = 100;

/// From (inclusive) until (exclusive), of these tenants.
#[derive(Debug, Clone)]
pub struct Period {
    pub since: UtcTime,
    pub until: UtcTime,
    /// In ascending order.
    pub tenants: Vec<TenantId>,
    /// Says in one line what is asked for, with who asks: two questions do not go into one folder.
    pub wish: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum PeriodSide {
    Sent,
    Received,
}

/// How far a step came: the last mail it looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PeriodMark {
    pub tenant: TenantId,
    pub side: PeriodSide,
    pub mail: MailId,
    /// Which attempt at this export it belongs to.
    pub turn: u64,
}

/// Whether who asks may see a mail of a tenant.
pub type Visible<'a> = &'a (dyn Fn(MailId) -> Result<bool, Failure> + Send + Sync);

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Bundles written.
    pub written: usize,
    /// Of these, how many took the place of an older one.
    pub remade: usize,
    /// Bundles that were there.
    pub there: usize,
    /// Mails that could not be exported.
    pub faults: usize,
    /// None: it is done, and the index is there.
    pub next: Option<PeriodMark>,
}

/// A line of `index.json`.
#[derive(Serialize)]
struct Line<'a> {
    /// None: it could not be exported.
    folder: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fault: Option<String>,
    mail_id: &'a str,
    side: &'static str,
    subject: &'a str,
    from: String,
    to: Vec<String>,
    submitted_at: Option<String>,
    delivered_at: Option<String>,
    original_sha256: String,
    manifest_sha256: Option<String>,
}

/// A mail of either side, as far as the index tells of it.
struct Candidate {
    id: MailId,
    /// When it belongs to; none when it belongs to no period.
    at: Option<UtcTime>,
    side: PeriodSide,
    subject: String,
    from: String,
    to: Vec<String>,
    submitted_at: Option<UtcTime>,
    delivered_at: Option<UtcTime>,
    original_sha256: [u8; 32],
}

impl From<Mail> for Candidate {
    fn from(mail: Mail) -> Self {
        let sent = !matches!(mail.state, MailState::Held | MailState::Dropped);
        Self {
            id: mail.id,
            at: sent.then_some(mail.submitted_at),
            side: PeriodSide::Sent,
            subject: mail.subject,
            from: mail.sender.to_string(),
            to: mail.recipients.iter().map(|r| r.address.to_string()).collect(),
            submitted_at: Some(mail.submitted_at),
            delivered_at: None,
            original_sha256: mail.original_sha256,
        }
    }
}

impl From<Consignment> for Candidate {
    fn from(mail: Consignment) -> Self {
        Self {
            id: mail.id,
            at: Some(mail.delivered_at),
            side: PeriodSide::Received,
            subject: mail.subject,
            from: mail.sender.to_string(),
            to: vec![mail.recipient.to_string()],
            submitted_at: mail.submitted_at,
            delivered_at: Some(mail.delivered_at),
            original_sha256: mail.original_sha256,
        }
    }
}

impl Archive {
    /// One step into the folder `out`. `after` is what the step before said; the first has none.
    pub async fn export_step(
        &self,
        period: &Period,
        after: Option<PeriodMark>,
        out: &Path,
        visible: Visible<'_>,
    ) -> Result<Step, Failure> {
        let folder = match after {
            None => ManyFolders::begin(out, &period.wish),
            Some(after) => ManyFolders::go_on(out, &period.wish, after.turn),
        };
        let mut walk = Walk {
            archive: self,
            period,
            folder: folder.map_err(unwritable)?,
            visible,
            sums: Arc::new(Sums::begin()?),
            lines: Vec::new(),
            looked_at: 0,
            step: Step {
                written: 0,
                remade: 0,
                there: 0,
                faults: 0,
                next: None,
            },
        };
        walk.go(after).await?;
        let Walk {
            folder, lines, step, ..
        } = walk;
        let done = step.next.is_none();
        aside(EXPORTING, move || {
            folder.note(&lines).map_err(unwritable)?;
            if done {
                folder.close().map_err(unwritable)
            } else {
                Ok(())
            }
        })
        .await??;
        Ok(step)
    }

    /// The next mails of one side of a tenant, in the order of their keys.
    fn page(
        &self,
        tenant: TenantId,
        side: PeriodSide,
        after: Option<MailId>,
    ) -> Result<Vec<Candidate>, Failure> {
        Ok(match side {
            PeriodSide::Sent => mails::after(&*self.db, tenant, after, PAGE_MAILS)?
                .into_iter()
                .map(|m| m.row.into())
                .collect(),
            PeriodSide::Received => mails::consignments_after(&*self.db, tenant, after, PAGE_MAILS)?
                .into_iter()
                .map(|c| c.row.into())
                .collect(),
        })
    }
}

struct Walk<'a> {
    archive: &'a Archive,
    period: &'a Period,
    folder: ManyFolders,
    visible: Visible<'a>,
    sums: Arc<Sums>,
    /// With the moment each belongs to.
    lines: Vec<(i64, String)>,
    looked_at: usize,
    step: Step,
}

impl Walk<'_> {
    async fn go(&mut self, after: Option<PeriodMark>) -> Result<(), Failure> {
        for tenant in &self.period.tenants {
            for side in [PeriodSide::Sent, PeriodSide::Received] {
                let place = after.map(|a| (a.tenant, a.side));
                if place.is_some_and(|place| (*tenant, side) < place) {
                    continue;
                }
                let last = after.filter(|_| place == Some((*tenant, side))).map(|a| a.mail);
                if self.side(*tenant, side, last).await? {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Walks one side of a tenant; true when the step is full.
    async fn side(
        &mut self,
        tenant: TenantId,
        side: PeriodSide,
        mut last: Option<MailId>,
    ) -> Result<bool, Failure> {
        loop {
            let page = self.archive.page(tenant, side, last)?;
            let is_last = page.len() < PAGE_MAILS;
            for candidate in page {
                last = Some(candidate.id);
                self.look_at(tenant, &candidate).await?;
                if self.step.written >= STEP_BUNDLES_MAX || self.looked_at >= STEP_MAILS_MAX {
                    self.step.next = Some(PeriodMark {
                        tenant,
                        side,
                        mail: candidate.id,
                        turn: self.folder.turn(),
                    });
                    return Ok(true);
                }
            }
            if is_last {
                return Ok(false);
            }
        }
    }

    async fn look_at(&mut self, tenant: TenantId, mail: &Candidate) -> Result<(), Failure> {
        self.looked_at += 1;
        let inside = |at: &UtcTime| self.period.since <= *at && *at < self.period.until;
        let Some(at) = mail.at.filter(inside) else {
            return Ok(());
        };
        if !(self.visible)(mail.id)? {
            return Ok(());
        }
        let name = mail.id.to_string();
        let (manifest_sha256, fault) = match self.bundle(tenant, mail.id, &name).await {
            Ok(sha256) => (Some(sha256), None),
            // Something of this mail is lost or damaged. That is told, here and in the log, and the others go on.
            Err(Failure::Broken(why)) => {
                tracing::error!(mail = %mail.id, why, "a mail cannot be exported");
                self.step.faults += 1;
                (None, Some(why))
            }
            Err(other) => return Err(other),
        };
        let line = Line {
            folder: fault.is_none().then_some(name.as_str()),
            fault,
            mail_id: &name,
            side: match mail.side {
                PeriodSide::Sent => "sent",
                PeriodSide::Received => "received",
            },
            subject: &mail.subject,
            from: mail.from.clone(),
            to: mail.to.clone(),
            submitted_at: mail.submitted_at.map(UtcTime::rfc3339),
            delivered_at: mail.delivered_at.map(UtcTime::rfc3339),
            original_sha256: hex(&mail.original_sha256),
            manifest_sha256,
        };
        let line = serde_json::to_string(&line).map_err(|e| Failure::Broken(e.to_string()))?;
        self.lines.push((at.unix_ms(), line));
        Ok(())
    }

    /// The bundle of a mail, as it is there or made; gives the digest of its manifest.
    async fn bundle(&mut self, tenant: TenantId, mail: MailId, name: &str) -> Result<String, Failure> {
        // What a crash left beside it, or the older one that a newer had taken the place of.
        self.folder.tidy(name).map_err(unwritable)?;
        let mut there = There::No;
        if let Some(manifest) = self.folder.manifest(name).map_err(unwritable)? {
            if self.archive.is_current(tenant, mail, &manifest).await? {
                self.step.there += 1;
                return Ok(hex(&mails::digest(&manifest)));
            }
            there = There::Old;
        }
        let place = self.folder.place(name);
        let exported = self
            .archive
            .export_with(&self.sums, tenant, mail, place, there)
            .await?;
        self.step.written += 1;
        self.step.remade += usize::from(there == There::Old);
        Ok(exported.manifest_sha256)
    }
}
