//! What a move of a job means: its rows, its item, its mail, what is owed, and the audit record, in one batch.

use super::Approval;
use crate::clock::UtcTime;
use crate::domain::audit::{AuditRecord, Author};
use crate::domain::item::{Filed, Item, ItemKind, Report};
use crate::domain::job::{Job, JobRefusal, JobState, Moved};
use crate::domain::mail::{Mail, MailEvent};
use crate::domain::org::Organisation;
use crate::domain::rule::Direction;
use crate::id::{ItemId, UserId};
use crate::service::credit::{self, Wanted};
use crate::service::failure::{Failure, Kind};
use crate::service::owing::Owing;
use crate::store::db::Batch;
use crate::store::tables::drafts::{self, LatestDraft};
use crate::store::tables::items::Stamped;
use crate::store::tables::work::{self, JobAlarm};
use crate::store::tables::{Stored, audit, credit as accounts, items, jobs, mails};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Who moves a job, and when.
pub(super) struct Cause {
    pub author: Author,
    pub at: UtcTime,
}

impl Approval {
    /// Adds all that follows from a move to the batch. Gives the job as it is written.
    pub(super) fn settle(
        &self,
        batch: &mut Batch,
        organisation: &Organisation,
        stored: &Stored<Job>,
        moved: Moved,
        cause: &Cause,
    ) -> Result<Job, Failure> {
        let before = &stored.row;
        let (was, is) = (before.standing.state, moved.job.standing.state);
        self.give_back(batch, before, &moved.job, cause)?;
        jobs::replace(batch, stored, &moved)?;
        record(batch, organisation, before, &moved, cause)?;
        let job = moved.job;
        if was.is_ended() && !is.is_ended() && job.direction == Direction::Incoming {
            self.not_declared(batch, &job)?;
        }
        self.mark_item(batch, organisation, &job)?;
        self.set_alarm(batch, &job)?;
        if was != is && job.direction == Direction::Outgoing {
            let event = match (is, is_dropped(was)) {
                (JobState::Released, _) => Some(MailEvent::Released),
                (state, false) if is_dropped(state) => Some(MailEvent::Dropped),
                (state, true) if !is_dropped(state) => Some(MailEvent::Restored),
                _ => None,
            };
            if let Some(event) = event {
                self.move_mail(batch, organisation, &job, event, cause)?;
            }
        }
        Ok(job)
    }

    /// What the account has told the sender about a mail is not contradicted: the job of one that was accepted or refused
    /// does not come back.
    fn not_declared(&self, batch: &mut Batch, job: &Job) -> Result<(), Failure> {
        let Some(consignment) = mails::consignment(&*self.db, job.tenant, job.mail)? else {
            return Ok(());
        };
        consignment.require_unchanged(batch);
        if let Some(declaration) = &consignment.row.declaration {
            let say = format!(
                "this cannot be undone: the sender was told meanwhile that the mail is {}",
                declaration.declared.done()
            );
            return Err(Failure::refused(Kind::WrongState, say));
        }
        Ok(())
    }

    fn mark_item(&self, batch: &mut Batch, organisation: &Organisation, job: &Job) -> Result<(), Failure> {
        let Some(old) = items::item(&*self.db, job.tenant, job.item)? else {
            return Ok(());
        };
        let mut item = old.row.clone();
        item.job = Some(Box::new(job.facet(organisation)));
        if !job.is_ended() {
            // What lives again is not left in the bin, where nobody would find it among his jobs.
            item.trashed = None;
        }
        if job.standing.late {
            item.reports.insert(Report::Late);
        } else {
            item.reports.remove(&Report::Late);
        }
        Ok(items::replace(batch, job.tenant, &old, &item)?)
    }

    pub(super) fn set_alarm(&self, batch: &mut Batch, job: &Job) -> Result<(), Failure> {
        if let Some(alarm) = job.next_alarm(&self.terms) {
            let row = JobAlarm {
                tenant: job.tenant,
                job: job.id,
            };
            work::add(batch, alarm.at, &row)?;
        }
        Ok(())
    }

    /// A mail that is given back stands among its author's drafts. When its job goes on or ends without being handed in
    /// anew, whatever its author has made of it goes as well: he could hand it in beside the job.
    fn give_back(&self, batch: &mut Batch, before: &Job, job: &Job, cause: &Cause) -> Result<(), Failure> {
        let returned = |job: &Job| job.standing.state == JobState::Returned;
        if returned(before) == returned(job) {
            return Ok(());
        }
        let Some(author) = job.author else { return Ok(()) };
        let mut drafts = drafts::resuming(&*self.db, job.tenant, job.id)?;
        drafts.retain(|draft| draft.row.author == Some(author));
        if returned(before) {
            let by = cause.author.user.unwrap_or(author);
            return self.take_drafts_away(batch, job, &drafts, Filed { by, at: cause.at });
        }
        let handed_in = |draft: &Arc<Stamped<Item>>| draft.row.gone && draft.row.trashed.is_none();
        if before.is_ended() && drafts.iter().any(handed_in) {
            return Err(handed_in_anew());
        }
        let newest = newest(&drafts);
        match newest {
            Some(_) if drafts.iter().any(|draft| draft.row.is_current_draft()) => Ok(()),
            Some(newest) if before.is_ended() => self.bring_draft_back(batch, job, newest),
            _ => self.add_draft(batch, job, author, newest.map(|newest| newest.row.id), cause.at),
        }
    }

    /// Their author can bring them back, as what he removed himself: his work is not lost.
    fn take_drafts_away(
        &self,
        batch: &mut Batch,
        job: &Job,
        drafts: &[Arc<Stamped<Item>>],
        hand: Filed,
    ) -> Result<(), Failure> {
        for draft in drafts.iter().filter(|draft| !draft.row.gone) {
            items::replace(batch, job.tenant, draft, &draft.row.ended(hand))?;
        }
        Ok(())
    }

    /// The job that ended with its author is with him again, and so is what he had made of the mail.
    fn bring_draft_back(&self, batch: &mut Batch, job: &Job, newest: &Stamped<Item>) -> Result<(), Failure> {
        let back = Item {
            gone: false,
            trashed: None,
            ..newest.row.clone()
        };
        Ok(items::replace(batch, job.tenant, newest, &back)?)
    }

    /// A draft of the octets that were given back. What the author has once made of them is its earlier version.
    fn add_draft(
        &self,
        batch: &mut Batch,
        job: &Job,
        author: UserId,
        before: Option<ItemId>,
        now: UtcTime,
    ) -> Result<(), Failure> {
        let Some(body) = items::body(&*self.db, job.tenant, job.item)? else {
            return Err(Failure::Broken(format!("item {} has no content", job.item)));
        };
        let id = self.items.next(job.tenant)?;
        let draft = Item {
            author: Some(author),
            resumes: Some(job.id),
            supersedes: before,
            ..Item::new(id, ItemKind::Draft, now)
        };
        items::add(batch, job.tenant, &draft, &body.row)?;
        // Saved anew under its Message-ID, the draft is a new version of this one and does not stand beside it.
        if !job.thread.is_empty() {
            let known = drafts::latest(&*self.db, job.tenant, author, &job.thread)?;
            let new = LatestDraft::saved(id);
            drafts::set_latest(batch, job.tenant, author, &job.thread, known.as_ref(), new)?;
        }
        Ok(())
    }

    fn move_mail(
        &self,
        batch: &mut Batch,
        organisation: &Organisation,
        job: &Job,
        event: MailEvent,
        cause: &Cause,
    ) -> Result<(), Failure> {
        let broken = |what: &str| Failure::Broken(format!("mail {}: {what}", job.mail));
        let stored =
            mails::mail(&*self.db, job.tenant, job.mail)?.ok_or_else(|| broken("its row is missing"))?;
        let mut mail = stored.row.clone();
        if mail.original_sha256 != job.original_sha256 {
            return Err(JobRefusal::OtherOctets.into());
        }
        mail.state = mail
            .state
            .after(event)
            .ok_or_else(|| broken("is not in a state for that"))?;
        match event {
            MailEvent::Released => self.owe_submission(batch, organisation, &mail, cause.at)?,
            MailEvent::Restored => self.still_the_only(batch, &mail)?,
            _ => {}
        }
        let before = Some(stored.row.state);
        credit::follow(
            batch,
            &organisation.tenant,
            before,
            &mail,
            &cause.author,
            cause.at,
        );
        stored.replace(batch, &mail)?;
        Ok(())
    }

    /// A mail that was dropped claims credit again when that is undone; what it had may have been spent meanwhile.
    pub(super) fn lacks_credit(
        &self,
        organisation: &Organisation,
        job: &Job,
        by: UserId,
        conflict: &[u8],
    ) -> Result<(), Failure> {
        if !accounts::is_account(job.tenant, conflict) {
            return Ok(());
        }
        let mail = mails::mail(&*self.db, job.tenant, job.mail)?;
        let wanted = Wanted {
            organisation,
            by,
            cost_units: mail.map_or(0, |mail| mail.row.cost_units),
            given_back: 0,
        };
        wanted.check(&*self.db)
    }

    fn owe_submission(
        &self,
        batch: &mut Batch,
        organisation: &Organisation,
        mail: &Mail,
        now: UtcTime,
    ) -> Result<(), Failure> {
        if !organisation.tenant.life.may_send() {
            let say = "the account does not send now (suspended or closing)";
            return Err(Failure::refused(Kind::AccountClosed, say));
        }
        let owing = Owing {
            identity: &self.identity,
            ids: &*self.ids,
        };
        for copy in mail.copies() {
            owing.submission(batch, &organisation.tenant, mail, &copy, now)?;
        }
        Ok(())
    }

    /// A mail that was dropped may have been handed in anew: then it does not come back beside the new one.
    fn still_the_only(&self, batch: &mut Batch, mail: &Mail) -> Result<(), Failure> {
        let known = mails::known(&*self.db, mail.tenant, mail.author, &mail.message_id)?;
        match known.filter(|known| known.row.mail == Some(mail.id)) {
            Some(known) => {
                known.require_unchanged(batch);
                Ok(())
            }
            None => Err(handed_in_anew()),
        }
    }
}

fn handed_in_anew() -> Failure {
    let say = "this cannot be undone: the mail has been handed in anew meanwhile";
    Failure::refused(Kind::WrongState, say)
}

/// Of the drafts made of one mail, the one whose place no other took.
fn newest(drafts: &[Arc<Stamped<Item>>]) -> Option<&Arc<Stamped<Item>>> {
    let old: BTreeSet<ItemId> = drafts.iter().filter_map(|draft| draft.row.supersedes).collect();
    let current = drafts.iter().filter(|draft| !old.contains(&draft.row.id));
    current.max_by_key(|draft| draft.row.id)
}

/// Whether a mail whose job stands so will not be sent.
fn is_dropped(state: JobState) -> bool {
    matches!(
        state,
        JobState::Rejected
            | JobState::Withdrawn
            | JobState::Cancelled
            | JobState::Expired
            | JobState::Resubmitted
    )
}

/// The audit record of each decision, note and ending.
fn record(
    batch: &mut Batch,
    organisation: &Organisation,
    before: &Job,
    moved: &Moved,
    cause: &Cause,
) -> Result<(), Failure> {
    for (nth, entry) in (0u32..).zip(&moved.entries) {
        let record = AuditRecord::of_job(
            organisation,
            Some(before),
            &moved.job,
            entry,
            &cause.author,
            cause.at,
        );
        audit::append(batch, before.tenant, nth, &record)?;
    }
    Ok(())
}
