//! An officer lets an approved mail leave by handing it in anew, signed (`SignatureDemand::Officer`).
//!
//! The octets that were approved cannot be signed by somebody else's card afterwards, so the officer's mail reader makes new
//! ones: the same content with a signature around it. They become a mail of their own that follows the job; what was
//! approved stays on record beside it. Which job is meant is said by a header (`X-KEP-Is`), by the thread, or by the content
//! alone; whether it is the same content says `sameness`.

use super::Accepted;
use super::filing::Filing;
use super::sameness::Sameness;
use super::signing::Signed;
use crate::clock::UtcTime;
use crate::domain::audit::AuditRoute;
use crate::domain::item::Item;
use crate::domain::job::{Act, Job, Route, Wish};
use crate::domain::mail::{Mail, MailEvent};
use crate::domain::org::{Organisation, UserKind};
use crate::domain::rule::Direction;
use crate::domain::signature::SignatureDemand;
use crate::id::JobId;
use crate::service::credit;
use crate::service::failure::{Failure, Kind};
use crate::service::outline::Outline;
use crate::store::db::Batch;
use crate::store::tables::{Stored, items, jobs, mails};
use std::collections::BTreeSet;
use std::time::Duration;

/// Mails whose content is compared with one that comes in: beyond so many alike to the same recipients, the header says
/// which is meant.
const COMPARED_MAX: usize = 8;
/// How far the clock of the officer's computer may be behind.
const CLOCK_BEHIND: Duration = Duration::from_secs(300);

/// What a submission releases.
pub(super) enum Release {
    Nothing,
    Job(Compared),
    /// It did before: the client never heard so.
    Done(Accepted),
}

/// A job that is ready, and whose approved content is that of the submission. There is none without a comparison.
#[derive(Debug, Clone, Copy)]
pub(super) struct Compared {
    pub(super) job: JobId,
    /// What it was compared with; held against the job once more when it ends.
    approved_sha256: [u8; 32],
}

/// A mail that waits for an officer's signature.
struct Ready {
    job: Job,
    mail: Mail,
}

impl Filing {
    /// Which job the submission releases.
    pub(super) async fn release_asked(&self) -> Result<Release, Failure> {
        let organisation = self.station.organisations.of(self.by.tenant)?;
        if let Some(named) = self.signs {
            return self.release_named(&organisation, named).await;
        }
        let is_officer = organisation
            .users
            .get(&self.by.user)
            .is_some_and(|u| u.kind == UserKind::Officer && !u.removed);
        let asks = organisation.tenant.signature == SignatureDemand::Officer;
        if !asks || !is_officer || !matches!(self.signed, Signed::Holds(_)) {
            return Ok(Release::Nothing);
        }
        let (answered, others): (Vec<Ready>, Vec<Ready>) = self
            .ready()?
            .into_iter()
            .partition(|ready| self.is_in_thread_of(&ready.job));
        // What is answered is meant, whatever else is alike.
        let is_answer = !answered.is_empty();
        let mut meant = if is_answer { answered } else { others };
        meant.retain(|ready| is_answer || self.is_alike(&ready.mail));
        meant.sort_by_key(|ready| ready.job.started_at);
        let mut first = None;
        for ready in meant.into_iter().take(COMPARED_MAX) {
            match self.compare(&ready).await? {
                Ok(same) => return Ok(Release::Job(same)),
                Err(what) => first = first.or(Some((ready.job.id, what))),
            }
        }
        match first {
            // Sent beside the job, the same matter would leave twice.
            Some((job, what)) if is_answer => Err(not_the_same(job, &what)),
            _ => Ok(Release::Nothing),
        }
    }

    async fn release_named(&self, organisation: &Organisation, named: JobId) -> Result<Release, Failure> {
        let (db, tenant) = (&*self.station.db, self.by.tenant);
        if organisation.tenant.signature != SignatureDemand::Officer {
            let say = "X-KEP-Is names a job that an officer signs, and this account does not ask its officers to; release it with \
                       \"İşlerim/Gönder\"";
            return Err(Failure::refused(Kind::WrongState, say));
        }
        self.check_signed(&organisation.tenant, false)?;
        let job = jobs::job(db, tenant, named)?.map(|job| job.row);
        let Some(job) = job.filter(|job| job.direction == Direction::Outgoing) else {
            let say = format!("X-KEP-Is: there is no job {named} of a mail that is to be sent");
            return Err(Failure::refused(Kind::NotFound, say));
        };
        if let Err(not_now) = job.awaits_signature() {
            let known = mails::known(db, tenant, self.by.user, self.message_id())?;
            let seen = self.seen_before(known.as_ref())?;
            // Not looked at, it releases nothing, whatever the job may be when it is committed.
            return seen.map(Release::Done).ok_or(not_now.into());
        }
        let Some(mail) = mails::mail(db, tenant, job.mail)?.map(|mail| mail.row) else {
            return Err(Failure::Broken(format!("mail {}: its row is missing", job.mail)));
        };
        match self.compare(&Ready { job, mail }).await? {
            Ok(same) => Ok(Release::Job(same)),
            Err(what) => Err(not_the_same(named, &what)),
        }
    }

    /// Mails that wait for an officer.
    fn ready(&self) -> Result<Vec<Ready>, Failure> {
        let (db, tenant) = (&*self.station.db, self.by.tenant);
        let mut found = Vec::new();
        for id in jobs::open(db, tenant)? {
            let Some(job) = jobs::job(db, tenant, id)?.map(|job| job.row) else {
                continue;
            };
            if job.awaits_signature().is_err() {
                continue;
            }
            if let Some(mail) = mails::mail(db, tenant, job.mail)?.map(|mail| mail.row)
                && (self.is_in_thread_of(&job) || self.is_alike(&mail))
            {
                found.push(Ready { job, mail });
            }
        }
        Ok(found)
    }

    /// To the same recipients under the same subject.
    fn is_alike(&self, mail: &Mail) -> bool {
        self.recipients_differ(mail).is_none()
            && words(&mail.subject) == words(&super::cut_text(&self.outline.summary.subject))
    }

    fn recipients_differ(&self, mail: &Mail) -> Option<String> {
        let before: BTreeSet<_> = mail.recipients.iter().map(|r| (&r.address, r.blind)).collect();
        let now: BTreeSet<_> = self
            .recipients
            .iter()
            .map(|r| (r, self.blind.contains(r)))
            .collect();
        (before != now).then(|| "the recipients are others".to_owned())
    }

    fn is_in_thread_of(&self, job: &Job) -> bool {
        let seen = &self.outline.summary;
        let mut answered = seen.in_reply_to.iter().chain(&seen.references);
        let thread = job.thread.trim();
        match thread.starts_with('<') && thread.ends_with('>') {
            true => answered.any(|ids| ids.contains(thread)),
            // An identifier as none should be: a part of another is not it.
            false => !thread.is_empty() && answered.any(|ids| ids.split_whitespace().any(|id| id == thread)),
        }
    }

    /// Whether the submission is the mail that was approved; what is not as it was.
    async fn compare(&self, ready: &Ready) -> Result<Result<Compared, String>, Failure> {
        let (db, spool) = (&*self.station.db, &self.station.spool);
        if let Some(what) = self.recipients_differ(&ready.mail) {
            return Ok(Err(what));
        }
        let Some(body) = items::body(db, ready.job.tenant, ready.job.item)?.map(|body| body.row) else {
            return Err(Failure::Broken(format!("item {} has no content", ready.job.item)));
        };
        let approved_sha256 = ready.job.original_sha256;
        if body
            .content
            .pieces
            .iter()
            .any(|piece| piece.blob.0 != approved_sha256)
        {
            let say = format!(
                "item {} does not hold what was approved as job {}",
                ready.job.item, ready.job.id
            );
            return Err(Failure::Broken(say));
        }
        let outline = Outline::of_body(spool, &body).await?;
        let approved = Sameness::of(spool, &body.content, &outline).await?;
        let signed = Sameness::of(spool, &self.content(), &self.outline).await?;
        Ok(match approved.difference(&signed) {
            Some(what) => Err(what),
            None => Ok(Compared {
                job: ready.job.id,
                approved_sha256,
            }),
        })
    }

    /// Adds the release to the batch: the job ends, the mail that was approved is not sent itself, and the signed one
    /// stands for it, seen by whoever saw that.
    pub(super) fn release(
        &self,
        batch: &mut Batch,
        organisation: &Organisation,
        compared: Compared,
        mail: &mut Mail,
        item: &mut Item,
        now: UtcTime,
    ) -> Result<(), Failure> {
        let (db, tenant, job) = (&*self.station.db, self.by.tenant, compared.job);
        let gone = || Failure::refused(Kind::NotFound, format!("there is no job {job} any more"));
        let old: Stored<Job> = jobs::job(db, tenant, job)?.ok_or_else(gone)?;
        made_for(
            self.signed.signature().and_then(|s| s.claimed_at),
            old.row.started_at,
        )?;
        let user = organisation.users.get(&self.by.user).ok_or_else(gone)?;
        let note = format!("handed in anew with the officer's signature, as mail {}", mail.id);
        let wish = Wish {
            act: Act::Release,
            actor: user,
            actor_login: &self.by.login.to_string(),
            route: match self.route {
                AuditRoute::Kepctl => Route::Kepctl,
                AuditRoute::Imap => Route::Folder,
                AuditRoute::Smtp | AuditRoute::Clock => Route::Mail,
            },
            note: &note,
            original_sha256: compared.approved_sha256,
            at: now,
        };
        let moved = old.row.release_signed(organisation, &wish)?;
        jobs::replace(batch, &old, &moved)?;
        self.record(batch, organisation, Some(&old.row), &moved, now)?;
        if let Some(shown) = items::item(db, tenant, old.row.item)? {
            let ended = Item {
                job: Some(Box::new(moved.job.facet(organisation))),
                ..shown.row.clone()
            };
            items::replace(batch, tenant, &shown, &ended)?;
            item.units = shown.row.units.clone();
            item.labels = shown.row.labels.clone();
        }
        item.author = old.row.author.or(item.author);
        mail.follows = Some(job);
        self.keep_wish(mail, old.row.mail)?;
        let broken = || Failure::Broken(format!("mail {}: not there, or not held", old.row.mail));
        let approved = mails::mail(db, tenant, old.row.mail)?.ok_or_else(broken)?;
        let mut not_sent = approved.row.clone();
        not_sent.state = not_sent.state.after(MailEvent::Dropped).ok_or_else(broken)?;
        // What was reserved for it pays for the signed one, in this batch: a signature makes it larger, not dearer.
        mail.cost_units = approved.row.cost_units;
        let (before, author) = (Some(approved.row.state), self.by.author(self.route));
        credit::follow(batch, &organisation.tenant, before, &not_sent, &author, now);
        approved.replace(batch, &not_sent)?;
        Ok(())
    }
}

/// A signature from before the job began was made for something else, whatever it says.
fn made_for(claimed_at: Option<UtcTime>, started_at: UtcTime) -> Result<(), Failure> {
    let refused = |say: String| Err(Failure::refused(Kind::BadSignature, say));
    match claimed_at {
        Some(claimed) if claimed.plus(CLOCK_BEHIND) >= started_at => Ok(()),
        Some(claimed) => refused(format!(
            "the signature is of {claimed}, and the mail was handed in for approval at {started_at}; sign it again"
        )),
        None => {
            refused("the signature does not say when it was made; set your signing program to say so".into())
        }
    }
}

/// A subject without what folding and encoding may move.
fn words(text: &str) -> Vec<&str> {
    text.split_whitespace().collect()
}

fn not_the_same(job: JobId, what: &str) -> Failure {
    let say = format!(
        "this is not the mail that was approved as job {job}: {what}; sign what was approved without changes, or give the job back \
         to its author"
    );
    Failure::refused(Kind::WrongState, say)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_from_before_the_job_is_not_for_it() {
        let moment = UtcTime::from_unix_s;
        let started = moment(1_795_000_000);
        for (claimed, fits) in [
            (Some(started), true),
            (Some(started.plus(CLOCK_BEHIND)), true),
            (Some(started.minus(CLOCK_BEHIND)), true),
            (Some(moment(1_795_000_000 - 301)), false),
            (None, false),
        ] {
            assert_eq!(made_for(claimed, started).is_ok(), fits, "{claimed:?}");
        }
    }
}
