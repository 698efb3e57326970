//! What a move of a job means: its rows, its item, its mail, what is owed, and the audit record, in one batch.

use super::Approval;
use crate::clock::UtcTime;
use crate::domain::audit::{AuditRecord, Author};
use crate::domain::item::{Item, ItemKind, Report};
use crate::domain::job::{Job, JobRefusal, JobState, Moved};
use crate::domain::mail::{Mail, MailEvent};
use crate::domain::org::Organisation;
use crate::domain::rule::Direction;
use crate::id::ItemId;
use crate::service::failure::{Failure, Kind};
use crate::service::owing::Owing;
use crate::store::db::Batch;
use crate::store::tables::work::{self, JobAlarm};
use crate::store::tables::{Stored, audit, drafts, items, jobs, mails};

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
        mut moved: Moved,
        cause: &Cause,
    ) -> Result<Job, Failure> {
        let before = &stored.row;
        let (was, is) = (before.standing.state, moved.job.standing.state);
        self.give_back(batch, before, &mut moved.job, cause)?;
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
                self.move_mail(batch, organisation, &job, event, cause.at)?;
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
        item.job = Some(job.facet(organisation));
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

    /// A mail that is given back becomes a draft of its author, of the same octets; when that is undone the draft goes
    /// again.
    fn give_back(
        &self,
        batch: &mut Batch,
        before: &Job,
        job: &mut Job,
        cause: &Cause,
    ) -> Result<(), Failure> {
        let (was, is) = (before.standing.state, job.standing.state);
        if was == is {
            return Ok(());
        }
        if was == JobState::Returned
            && !is.is_ended()
            && let Some(draft) = job.returned_as.take()
        {
            self.take_draft_away(batch, job, draft)?;
        }
        if is != JobState::Returned {
            return Ok(());
        }
        let Some(body) = items::body(&*self.db, job.tenant, job.item)? else {
            return Err(Failure::Broken(format!("item {} has no content", job.item)));
        };
        let id = self.items.next(job.tenant)?;
        let draft = Item {
            author: job.author,
            resumes: Some(job.id),
            ..Item::new(id, ItemKind::Draft, cause.at)
        };
        items::add(batch, job.tenant, &draft, &body.row)?;
        job.returned_as = Some(id);
        // Saved anew under its Message-ID, the draft is a new version of this one and does not stand beside it.
        if let Some(author) = job.author.filter(|_| !job.thread.is_empty()) {
            let known = drafts::latest(&*self.db, job.tenant, author, &job.thread)?;
            drafts::set_latest(batch, job.tenant, author, &job.thread, known.as_ref(), id)?;
        }
        Ok(())
    }

    fn take_draft_away(&self, batch: &mut Batch, job: &Job, draft: ItemId) -> Result<(), Failure> {
        if let Some(old) = items::item(&*self.db, job.tenant, draft)?
            && !old.row.gone
        {
            let gone = Item {
                gone: true,
                ..old.row.clone()
            };
            items::replace(batch, job.tenant, &old, &gone)?;
        }
        Ok(())
    }

    fn move_mail(
        &self,
        batch: &mut Batch,
        organisation: &Organisation,
        job: &Job,
        event: MailEvent,
        now: UtcTime,
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
            MailEvent::Released => self.owe_submission(batch, organisation, &mail, now)?,
            MailEvent::Restored => self.still_the_only(batch, &mail)?,
            _ => {}
        }
        stored.replace(batch, &mail)?;
        Ok(())
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
        let known = mails::known(&*self.db, mail.tenant, &mail.message_id)?;
        match known.filter(|known| known.row.mail == Some(mail.id)) {
            Some(known) => {
                known.require_unchanged(batch);
                Ok(())
            }
            None => {
                let say = "this cannot be undone: the mail has been handed in anew meanwhile";
                Err(Failure::refused(Kind::WrongState, say))
            }
        }
    }
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
