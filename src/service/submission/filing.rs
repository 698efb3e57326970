//! A complete, stored submission becomes a mail, a job or a draft, in one commit.

use super::releasing::{Compared, Release};
use super::signing::Signed;
use super::{Accepted, Submission, composer, cut_text};
use crate::address::KepAddress;
use crate::clock::UtcTime;
use crate::domain::audit::{AuditRecord, AuditRoute, Matter};
use crate::domain::audit_chain::hex;
use crate::domain::item::{Filed, Item, ItemKind};
use crate::domain::job::{Deed, Happening, Job, JobStart, JobState, Moved, Route};
use crate::domain::mail::{Mail, MailEvent, MailState, Recipient, RecipientState};
use crate::domain::org::Organisation;
use crate::domain::policy::{Asked, Disposition, dispose, may_pick};
use crate::domain::receipt::ReceiptForm;
use crate::domain::rule::Rule;
use crate::id::{ItemId, JobId, MailId, RuleId, UserId};
use crate::service::account::Principal;
use crate::service::credit;
use crate::service::failure::{Failure, Kind};
use crate::service::organisation::OrgStanding;
use crate::service::outline::{Outline, read_by_rules};
use crate::service::owing::Owing;
use crate::store::db::{Batch, CommitError};
use crate::store::spool::BlobRef;
use crate::store::tables::items::{Content, Stamped};
use crate::store::tables::mails::Known;
use crate::store::tables::work::{self, JobAlarm};
use crate::store::tables::{Stored, audit, drafts, items, jobs, mails};
use std::collections::BTreeSet;
use std::sync::Arc;

/// How often a mail is filed against others with the same Message-ID.
pub(super) const COMMIT_ATTEMPTS: usize = 8;

/// A complete, stored message about to become a mail, a job or a draft.
pub(super) struct Filing {
    pub(super) station: Arc<Submission>,
    pub(super) by: Principal,
    pub(super) recipients: Vec<KepAddress>,
    pub(super) outline: Outline,
    pub(super) blind: BTreeSet<KepAddress>,
    pub(super) original: BlobRef,
    pub(super) has_8bit: bool,
    /// The draft that is being sent.
    pub(super) draft: Option<ItemId>,
    pub(super) asked: Asked,
    /// In which form it asks for evidence of its delivery; `None`: as the account has it.
    pub(super) receipts: Option<ReceiptForm>,
    /// What was found of a person's signature.
    pub(super) signed: Signed,
    /// The job that it says it releases, and the one that it does.
    pub(super) signs: Option<JobId>,
    pub(super) releases: Option<Compared>,
    /// By which route it is handed in.
    pub(super) route: AuditRoute,
}

fn is_draft(disposition: &Disposition) -> bool {
    matches!(disposition, Disposition::Draft { .. })
}

/// The refusal of a wish for a rule that is not there; names those the user could have wished for.
pub(super) fn no_such_rule(organisation: &Organisation, user: UserId, name: &str) -> Failure {
    let user = organisation.users.get(&user);
    let offered = organisation
        .rules_in_order()
        .into_iter()
        .filter(|r| user.is_some_and(|u| may_pick(organisation, r, u)));
    let rules: Vec<&str> = offered.map(|r| r.name.as_str()).collect();
    let say = format!("there is no rule \"{name}\"; the rules are: {}", rules.join(", "));
    Failure::refused(Kind::NotFound, say)
}

/// The refusal of a draft whose mail is not with its author any more.
fn in_approval_again(job: &Job) -> Failure {
    let say = format!(
        "this draft was made of a mail that is in approval again (job {}): that it was given back has been undone; \
         withdraw that job first, or wait until it is given back or ends",
        job.id
    );
    Failure::refused(Kind::WrongState, say)
}

/// The refusal of a mail that was given back to its author, and would release another job.
fn two_jobs(released: JobId, returned: JobId) -> Failure {
    let say = format!(
        "this would release job {released}, and is the mail that was given back to you as job {returned}; write it under another \
         Message-ID, or end that job first"
    );
    Failure::refused(Kind::WrongState, say)
}

impl Filing {
    /// Files the message by the rights and rules that hold when it is committed. `begun`: what was decided when its header
    /// came in, by which the header was edited.
    pub(super) async fn file(mut self, begun: &Disposition) -> Result<Accepted, Failure> {
        if !is_draft(begun) {
            match self.release_asked().await? {
                Release::Nothing => {}
                Release::Job(compared) => self.releases = Some(compared),
                Release::Done(earlier) => return Ok(earlier),
            }
        }
        let matchable = read_by_rules(&self.outline.summary, &self.recipients);
        for _ in 0..COMMIT_ATTEMPTS {
            let standing = self.station.organisations.standing(self.by.tenant)?;
            let organisation = &*standing.organisation;
            let user = composer(organisation, &self.by)?;
            let disposition = dispose(organisation, user, &self.asked, &matchable);
            if is_draft(&disposition) != is_draft(begun) {
                let say =
                    "the rules or rights changed while the message came in; it is not kept, send it again";
                return Err(Failure::Unavailable(say.into()));
            }
            let filed = match disposition {
                Disposition::NoSuchRule(name) => return Err(no_such_rule(organisation, self.by.user, &name)),
                Disposition::Draft { notice } => self.file_draft(&standing, notice.map(|n| n.rules)).await?,
                Disposition::Send => self.file_mail(&standing, None).await?,
                // What was approved is not approved again.
                Disposition::Flow(_) if self.releases.is_some() => self.file_mail(&standing, None).await?,
                Disposition::Flow(rule) => self.file_mail(&standing, Some(rule)).await?,
            };
            if let Some(accepted) = filed {
                return Ok(accepted);
            }
        }
        Err(Failure::Unavailable(
            "too many submissions of one Message-ID, or changes of the organisation, at once".into(),
        ))
    }

    /// The audit record of a job that begins, or of the one it takes the place of.
    pub(super) fn record(
        &self,
        batch: &mut Batch,
        organisation: &Organisation,
        before: Option<&Job>,
        moved: &Moved,
        now: UtcTime,
    ) -> Result<(), Failure> {
        let author = self.by.author(self.route);
        // Both stand in one commit: the old job's record first.
        let nth = if before.is_some() { 0 } else { 100 };
        for (entry, nth) in moved.entries.iter().zip(nth..) {
            let record = AuditRecord::of_job(organisation, before, &moved.job, entry, &author, now);
            audit::append(batch, self.by.tenant, nth, &record)?;
        }
        Ok(())
    }

    /// Who handed a mail in and from where. The evidence of it speaks of the address; what was said and to whom is not told here.
    fn record_mail(&self, batch: &mut Batch, mail: &Mail, item: &Item, now: UtcTime) -> Result<(), Failure> {
        let about = vec![Matter::Mail(mail.id), Matter::Item(item.id)];
        let what = serde_json::json!({
            "original_sha256": hex(&mail.original_sha256),
            "octets": mail.original_size_bytes,
            "recipients": mail.recipients.len(),
        });
        let author = self.by.author(self.route);
        let record = AuditRecord::of_deed(now, author, "mail submit", about, &what);
        // Behind those of jobs.
        Ok(audit::append(batch, self.by.tenant, 200, &record)?)
    }

    pub(super) fn message_id(&self) -> &str {
        self.outline.summary.message_id.as_deref().unwrap_or_default()
    }

    /// The same octets under the same Message-ID to the same recipients were accepted before: a client that never
    /// saw our 250 tries again, and the mail must not be doubled. One that was rejected or withdrawn may be handed in anew.
    pub(super) fn seen_before(&self, known: Option<&Stored<Known>>) -> Result<Option<Accepted>, Failure> {
        let (db, tenant) = (&*self.station.db, self.by.tenant);
        let Some(mail) = known.and_then(|k| k.row.mail) else {
            return Ok(None);
        };
        let Some(mail) = mails::mail(db, tenant, mail)?.map(|m| m.row) else {
            return Ok(None);
        };
        let same_recipients = mail
            .recipients
            .iter()
            .map(|r| &r.address)
            .eq(self.recipients.iter());
        if mail.original_sha256 != self.original.id.0 || !same_recipients || mail.author != self.by.user {
            return Ok(None);
        }
        let job = mail.job.map(|j| jobs::job(db, tenant, j)).transpose()?.flatten();
        let state = job.as_ref().map(|job| job.row.standing.state);
        // What an officer signed left for one that was not sent itself.
        let is_dropped = mail.state == MailState::Dropped && state != Some(JobState::Released);
        // Given back, it is handed in anew, even unchanged.
        if is_dropped || state == Some(JobState::Returned) {
            return Ok(None);
        }
        Ok(Some(match job {
            Some(job) => Accepted::Job {
                mail: mail.id,
                job: job.row.id,
                rule: job.row.rule_name,
            },
            None => Accepted::Sent { mail: mail.id },
        }))
    }

    /// The draft this was made from ends in the same commit: moved twice, or by two sessions, it is sent once.
    pub(super) fn end_draft(&self, batch: &mut Batch, ended: impl Fn(&Item) -> Item) -> Result<(), Failure> {
        let Some(draft) = self.draft else { return Ok(()) };
        let sent = || {
            Failure::refused(
                Kind::NotFound,
                "the draft is not there any more; it has been sent or removed",
            )
        };
        let old = items::item(&*self.station.db, self.by.tenant, draft)?.ok_or_else(sent)?;
        if old.row.gone {
            return Err(sent());
        }
        Ok(items::replace(batch, self.by.tenant, &old, &ended(&old.row))?)
    }

    /// The draft this mail was: the versions of that stay with it.
    fn written_as(&self) -> Result<Option<ItemId>, Failure> {
        let (db, tenant) = (&*self.station.db, self.by.tenant);
        let latest = drafts::latest(db, tenant, self.by.user, self.message_id())?;
        Ok(self.draft.or(latest.map(|latest| latest.row.item)))
    }

    pub(super) fn hand(&self, now: UtcTime) -> Filed {
        Filed {
            by: self.by.user,
            at: now,
        }
    }

    pub(super) fn item(&self, id: ItemId, kind: ItemKind, now: UtcTime) -> Item {
        Item {
            author: Some(self.by.user),
            ..Item::new(id, kind, now)
        }
    }

    pub(super) fn content(&self) -> Content {
        Content::whole(self.original.id, self.original.size_bytes)
    }

    /// `None`: something it rests on changed meanwhile.
    async fn file_mail(
        &self,
        standing: &OrgStanding,
        rule: Option<RuleId>,
    ) -> Result<Option<Accepted>, Failure> {
        let station = &self.station;
        self.check_signed(&standing.organisation.tenant, rule.is_some())?;
        let known = mails::known(&*station.db, self.by.tenant, self.by.user, self.message_id())?;
        let mut batch = Batch::new();
        self.end_draft(&mut batch, Item::handed_in)?;
        // The very octets that were approved, signed when they were handed in, release their own job.
        let is_released = |earlier: &Accepted| matches!(earlier, Accepted::Job { job, .. } if self.releases.is_some_and(|r| r.job == *job));
        let earlier = self.seen_before(known.as_ref())?;
        let accepted = match earlier.filter(|earlier| !is_released(earlier)) {
            Some(earlier) if batch.is_empty() => return Ok(Some(earlier)),
            Some(earlier) => earlier,
            None => {
                self.room(&standing.organisation).await?;
                self.write_mail(&mut batch, &standing.organisation, rule, known)?
            }
        };
        standing.require(&mut batch);
        match station.db.commit(batch).await {
            Ok(_) => {
                tracing::info!(outcome = ?accepted, by = %self.by.login, size = self.original.size_bytes,
                    recipients = self.recipients.len(), "submission accepted");
                station.bells.notary.ring();
                station.bells.timers.ring();
                station.bells.herald.ring();
                station.bells.mailboxes.ring(self.by.tenant);
                Ok(Some(accepted))
            }
            // The same Message-ID on another connection was faster, or somebody changed the organisation.
            // Or another was faster to spend what was left.
            Err(CommitError::Conflict { key }) => {
                self.lacks_credit(&standing.organisation, &key)?;
                Ok(None)
            }
            Err(other) => Err(other.into()),
        }
    }

    /// Whether what the user brings may still be kept. What he has here already, as a draft, he sends whatever there is.
    pub(super) async fn room(&self, organisation: &Organisation) -> Result<(), Failure> {
        if self.draft.is_some() {
            return Ok(());
        }
        let usage = self.station.items.usage(&organisation.tenant).await?;
        usage.room_for(self.original.size_bytes)
    }

    /// Adds the mail with all that follows: its item, its job or the evidence owed for it.
    fn write_mail(
        &self,
        batch: &mut Batch,
        organisation: &Organisation,
        rule: Option<RuleId>,
        known: Option<Stored<Known>>,
    ) -> Result<Accepted, Failure> {
        let (station, tenant) = (&self.station, self.by.tenant);
        let now = station.clock.now();
        self.check_signed_lately(&organisation.tenant, rule.is_some(), now)?;
        let mut item = self.item(station.items.next(tenant)?, ItemKind::Outgoing, now);
        item.units = organisation
            .users
            .get(&self.by.user)
            .map(|u| u.units.clone())
            .unwrap_or_default();
        let mut mail = self.mail(organisation, item.id, now);
        item.mail = Some(mail.id);
        item.supersedes = self.written_as()?;
        let returned = self.returned(batch, known.as_ref())?;
        let follows = returned.as_ref().map(|old| old.row.id);
        mail.follows = follows;
        if let Some(old) = &returned {
            self.keep_wish(&mut mail, old.row.mail)?;
            self.end_returned(batch, organisation, old, now)?;
        }
        match (self.releases, &returned) {
            (Some(compared), None) => {
                self.release(batch, organisation, compared, &mut mail, &mut item, now)?
            }
            // It follows one job, and one audit record of each commit tells what ended.
            (Some(compared), Some(old)) => return Err(two_jobs(compared.job, old.row.id)),
            (None, _) => {}
        }
        self.use_signature(batch, &mail)?;
        let job = rule
            .and_then(|r| organisation.rules.get(&r))
            .map(|rule| self.job(organisation, &mail, rule, follows, now));
        let accepted = match &job {
            Some(moved) => {
                let job = &moved.job;
                mail.job = Some(job.id);
                item.job = Some(Box::new(job.facet(organisation)));
                jobs::add(batch, moved)?;
                self.record(batch, organisation, None, moved, now)?;
                if let Some(alarm) = job.next_alarm(&station.terms) {
                    let row = JobAlarm { tenant, job: job.id };
                    work::add(batch, alarm.at, &row)?;
                }
                Accepted::Job {
                    mail: mail.id,
                    job: job.id,
                    rule: job.rule_name.clone(),
                }
            }
            None => {
                mail.state = MailState::Accepted;
                let owing = Owing {
                    identity: &station.identity,
                    ids: &*station.ids,
                };
                for copy in mail.copies() {
                    owing.submission(batch, &organisation.tenant, &mail, &copy, now)?;
                }
                match self.releases {
                    Some(compared) => Accepted::Released {
                        mail: mail.id,
                        job: compared.job,
                    },
                    None => Accepted::Sent { mail: mail.id },
                }
            }
        };
        let author = self.by.author(self.route);
        match self.releases {
            Some(_) => credit::follow_promised(batch, &mail, &author, now),
            None => credit::follow(batch, &organisation.tenant, None, &mail, &author, now),
        }
        self.record_mail(batch, &mail, &item, now)?;
        mails::add(batch, &mail)?;
        mails::set_known(
            batch,
            tenant,
            mail.author,
            &mail.message_id,
            known,
            Known {
                item: item.id,
                mail: Some(mail.id),
            },
        )?;
        items::add(batch, tenant, &item, &self.outline.body(self.content()))?;
        Ok(accepted)
    }

    /// The job that was given back to the author for this mail: its draft says so, or its Message-ID. A draft that was
    /// made of a mail whose job goes on is refused: it would be sent beside that.
    pub(super) fn returned(
        &self,
        batch: &mut Batch,
        known: Option<&Stored<Known>>,
    ) -> Result<Option<Stored<Job>>, Failure> {
        let (db, tenant) = (&*self.station.db, self.by.tenant);
        let job = |id: Option<JobId>| -> Result<Option<Stored<Job>>, Failure> {
            let found = id.map(|id| jobs::job(db, tenant, id)).transpose()?.flatten();
            Ok(found.filter(|job| job.row.author == Some(self.by.user)))
        };
        let is_returned = |job: &Stored<Job>| job.row.standing.state == JobState::Returned;
        let draft = self.written_as()?.map(|draft| items::item(db, tenant, draft));
        let draft = draft.transpose()?.flatten();
        if let Some(resumed) = job(draft.as_ref().and_then(|draft| draft.row.resumes))? {
            if is_returned(&resumed) {
                return Ok(Some(resumed));
            }
            if !resumed.row.is_ended() {
                return Err(in_approval_again(&resumed.row));
            }
            // That it ended may be undone at this moment: then this decides again. Later the draft says why not.
            resumed.require_unchanged(batch);
            if let Some(draft) = draft.filter(|draft| !draft.row.gone && self.draft.is_none()) {
                items::replace(batch, tenant, &draft, &draft.row.handed_in())?;
            }
        }
        let mail = known.and_then(|known| known.row.mail);
        let mail = mail
            .map(|mail| mails::mail(db, tenant, mail))
            .transpose()?
            .flatten();
        Ok(job(mail.and_then(|mail| mail.row.job))?.filter(is_returned))
    }

    /// What was given back has been handed in anew: its job and its mail end, and the draft it was given back as.
    fn end_returned(
        &self,
        batch: &mut Batch,
        organisation: &Organisation,
        old: &Stored<Job>,
        now: UtcTime,
    ) -> Result<(), Failure> {
        let (db, tenant) = (&*self.station.db, self.by.tenant);
        let happening = Happening {
            actor: Some(self.by.user),
            actor_login: self.by.login.to_string(),
            route: Some(Route::Mail),
            ..Happening::by_itself(Deed::HandedInAnew, now)
        };
        let Some(moved) = old.row.resubmitted(happening) else {
            return Ok(());
        };
        jobs::replace(batch, old, &moved)?;
        self.record(batch, organisation, Some(&old.row), &moved, now)?;
        if let Some(item) = items::item(db, tenant, old.row.item)? {
            let ended = Item {
                job: Some(Box::new(moved.job.facet(organisation))),
                ..item.row.clone()
            };
            items::replace(batch, tenant, &item, &ended)?;
        }
        // The draft it was given back as, and whatever its author has made of that meanwhile.
        let written = self.written_as()?;
        let there = |draft: &Arc<Stamped<Item>>| !draft.row.gone && self.draft != Some(draft.row.id);
        let mut drafts = drafts::resuming(db, tenant, old.row.id)?;
        drafts.retain(there);
        for draft in drafts {
            let ended = match written == Some(draft.row.id) {
                true => draft.row.handed_in(),
                false => draft.row.ended(self.hand(now)),
            };
            items::replace(batch, tenant, &draft, &ended)?;
        }
        if let Some(stored) = mails::mail(db, tenant, old.row.mail)? {
            let mut mail = stored.row.clone();
            mail.state = mail.state.after(MailEvent::Dropped).unwrap_or(mail.state);
            let (before, author) = (Some(stored.row.state), self.by.author(self.route));
            credit::follow(batch, &organisation.tenant, before, &mail, &author, now);
            stored.replace(batch, &mail)?;
        }
        Ok(())
    }

    fn job(
        &self,
        organisation: &Organisation,
        mail: &Mail,
        rule: &Rule,
        follows: Option<JobId>,
        now: UtcTime,
    ) -> Moved {
        let start = JobStart {
            id: JobId::fresh(&*self.station.ids),
            tenant: mail.tenant,
            mail: mail.id,
            item: mail.item,
            author: Some(self.by.user),
            rule,
            original_sha256: mail.original_sha256,
            subject: mail.subject.clone(),
            thread: mail.message_id.clone(),
            follows,
            at: now,
        };
        Job::start(start, organisation, &self.station.terms)
    }

    /// What was wished for when the mail was handed in first holds, unless it says otherwise now.
    pub(super) fn keep_wish(&self, mail: &mut Mail, earlier: MailId) -> Result<(), Failure> {
        if self.receipts.is_none()
            && let Some(earlier) = mails::mail(&*self.station.db, self.by.tenant, earlier)?
        {
            mail.receipts = earlier.row.receipts;
        }
        Ok(())
    }

    fn mail(&self, organisation: &Organisation, item: ItemId, now: UtcTime) -> Mail {
        Mail {
            id: MailId::fresh(&*self.station.ids),
            tenant: self.by.tenant,
            author: self.by.user,
            item,
            job: None,
            follows: None,
            original_sha256: self.original.id.0,
            original_size_bytes: self.original.size_bytes,
            original_8bit: self.has_8bit,
            cost_units: self.cost(organisation),
            subject: cut_text(&self.outline.summary.subject),
            message_id: self.message_id().to_owned(),
            sender: organisation.tenant.address.clone(),
            submitted_at: now,
            signature: self.signed.signature(),
            receipts: self.receipts.unwrap_or(organisation.tenant.receipts),
            state: MailState::Held,
            recipients: self
                .recipients
                .iter()
                .map(|r| Recipient {
                    declared: None,
                    address: r.clone(),
                    blind: self.blind.contains(r),
                    state: RecipientState::Waiting,
                })
                .collect(),
        }
    }
}
