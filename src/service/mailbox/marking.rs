//! Marks on items: the flags of one user, the keywords that report, and the labels, which are keywords too.
//!
//! Setting a mark may do more than note it: `$KepOnay` and `$KepRet` decide the job, `$KepKabul` and `$KepGeriCevir`
//! declare that a mail which came in is accepted or refused, a label's keyword files. What the server reports cannot be
//! set, and replacing all marks never takes a label away: labels are the tenant's.

use super::accounting::Account;
use super::conditions::{Condition, read_at};
use super::{ATTEMPTS, Mailboxes, Opened, conflict};
use crate::domain::audit::AuditRoute;
use crate::domain::item::{Item, ItemKind, KEYWORDS_MAX, LABELS_MAX, Report, UserFlags};
use crate::domain::job::{Act, Route};
use crate::domain::mail::Declared;
use crate::domain::org::{Organisation, Permission};
use crate::domain::selector::Viewer;
use crate::id::{ItemId, LabelId, ModSeq};
use crate::service::account::Principal;
use crate::service::approval::DecisionAsked;
use crate::service::declaring::DeclarationAsked;
use crate::service::failure::{Failure, Kind};
use crate::service::time_slice::TimeSlice;
use crate::store::db::{Batch, CommitError};
use crate::store::tables::flags::FlagEdits;
use crate::store::tables::items;
use std::borrow::Cow;
use std::collections::BTreeSet;

/// What somebody decides by filing or marking a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Of the job it stands for.
    Job(Act),
    /// Of the mail itself, which came in.
    Mail(Declared),
}

impl Decision {
    pub fn word(self) -> &'static str {
        match self {
            Decision::Job(act) => act.word(),
            Decision::Mail(declared) => declared.word(),
        }
    }
}

/// Keywords by which something is decided.
pub const DECISIONS: [(&str, Decision); 9] = [
    ("$KepOnay", Decision::Job(Act::Approve)),
    ("$KepRet", Decision::Job(Act::Reject)),
    ("$KepIade", Decision::Job(Act::Return)),
    ("$KepGonder", Decision::Job(Act::Release)),
    ("$KepGeriCek", Decision::Job(Act::Withdraw)),
    ("$KepIptal", Decision::Job(Act::Cancel)),
    ("$KepGeriAl", Decision::Job(Act::Undo)),
    ("$KepKabul", Decision::Mail(Declared::Accepted)),
    ("$KepGeriCevir", Decision::Mail(Declared::Refused)),
];

/// The decision that setting the keyword is, if it is one.
pub(super) fn decision(keyword: &str) -> Option<Decision> {
    let named = DECISIONS
        .iter()
        .find(|(word, _)| keyword.eq_ignore_ascii_case(word));
    named.map(|(_, decision)| *decision)
}

/// Items changed in one batch: at most some nine rows and conditions each, below what a batch may hold.
pub(super) const CHUNK: usize = 1000;

/// What a user sees marked on an item.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Marks {
    pub seen: bool,
    pub answered: bool,
    pub flagged: bool,
    pub draft: bool,
    pub deleted: bool,
    /// His own, the reporting ones, and those of labels.
    pub keywords: BTreeSet<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MarkHow {
    Replace,
    Add,
    Remove,
}

/// What came of marking: those done, and why others were not.
#[derive(Debug, Default)]
pub struct Marked {
    pub done: Vec<Done>,
    /// The UIDs of those left alone because they had changed behind the commit that was named.
    pub changed_since: Vec<u32>,
    pub refused: Option<Failure>,
    /// Commits by which nothing was changed but flags of the user's own, on what is among those done.
    pub his_alone: Vec<ModSeq>,
}

/// One that was marked.
#[derive(Debug)]
pub struct Done {
    pub item: ItemId,
    /// In the mailbox that was named; 0 where none was.
    pub uid: u32,
    /// As they are now.
    pub marks: Marks,
    /// The commit at which it last changed for who marked it.
    pub changed_at: ModSeq,
    /// The number of the message itself and of its marks before that: of what else happened to it.
    pub read_at: ModSeq,
    /// Whether something was changed that others see, too.
    pub of_all: bool,
}

/// The marks of an item as one user sees them.
pub(super) fn marks(org: &Organisation, item: &Item, flags: Option<UserFlags>) -> Marks {
    let flags = flags.unwrap_or_default();
    let mut keywords = flags.keywords;
    keywords.extend(item.reports.iter().map(|r| r.keyword().to_owned()));
    let labels = item.labels.iter().filter_map(|l| org.labels.get(l));
    keywords.extend(labels.map(|l| l.keyword()));
    Marks {
        seen: flags.seen,
        answered: flags.answered,
        flagged: flags.flagged,
        draft: flags.draft || item.kind == ItemKind::Draft,
        deleted: flags.deleted,
        keywords,
    }
}

/// A wish about marks, with its keywords told apart.
#[derive(Debug)]
pub(super) struct Wish {
    how: MarkHow,
    marks: Marks,
    labels: BTreeSet<LabelId>,
    reports: BTreeSet<Report>,
    own: BTreeSet<String>,
    decision: Option<Decision>,
}

impl Wish {
    pub fn new(org: &Organisation, how: MarkHow, wanted: &Marks) -> Result<Self, Failure> {
        let mut wish = Self {
            how,
            marks: wanted.clone(),
            labels: BTreeSet::new(),
            reports: BTreeSet::new(),
            own: BTreeSet::new(),
            decision: None,
        };
        let decisions: BTreeSet<&str> = wanted
            .keywords
            .iter()
            .filter_map(|k| decision(k))
            .map(Decision::word)
            .collect();
        if how != MarkHow::Remove && decisions.len() > 1 {
            let say = "two decisions at once are none; nothing was done";
            return Err(Failure::refused(Kind::Invalid, say));
        }
        for keyword in &wanted.keywords {
            let is = |other: &str| keyword.eq_ignore_ascii_case(other);
            let label = org.labels.values().find(|l| is(&l.keyword()));
            if let Some(decision) = decision(keyword) {
                wish.decision = Some(decision);
            } else if let Some(report) = Report::ALL.into_iter().find(|r| is(r.keyword())) {
                wish.reports.insert(report);
            } else if let Some(label) = label {
                wish.labels.insert(label.id);
            } else {
                wish.own.insert(keyword.clone());
            }
        }
        if how == MarkHow::Remove {
            // A decision cannot be taken back by taking its word away; there is nothing to remove either.
            wish.decision = None;
        }
        Ok(wish)
    }

    /// What the wish makes of an item, which is copied only if it changes, and of the user's flags on it.
    pub fn apply(&self, item: &mut Cow<'_, Item>, flags: &mut UserFlags) -> Result<(), Failure> {
        if self.reports.iter().any(|r| match self.how {
            MarkHow::Add => !item.reports.contains(r),
            MarkHow::Remove => item.reports.contains(r),
            MarkHow::Replace => false,
        }) {
            let say = "this keyword is a report of the server; it cannot be set or taken away";
            return Err(Failure::refused(Kind::Invalid, say));
        }
        let put = |slot: &mut bool, wanted: bool| match self.how {
            MarkHow::Replace => *slot = wanted,
            MarkHow::Add => *slot |= wanted,
            MarkHow::Remove => *slot &= !wanted,
        };
        put(&mut flags.seen, self.marks.seen);
        put(&mut flags.answered, self.marks.answered);
        put(&mut flags.flagged, self.marks.flagged);
        put(&mut flags.draft, self.marks.draft);
        put(&mut flags.deleted, self.marks.deleted);
        let named = |k: &String| self.own.iter().any(|o| o.eq_ignore_ascii_case(k));
        match self.how {
            MarkHow::Replace => flags.keywords = self.own.clone(),
            MarkHow::Remove => flags.keywords.retain(|k| !named(k)),
            MarkHow::Add => {
                for keyword in &self.own {
                    if !flags.keywords.iter().any(|k| k.eq_ignore_ascii_case(keyword)) {
                        flags.keywords.insert(keyword.clone());
                    }
                }
            }
        }
        if flags.keywords.len() > KEYWORDS_MAX {
            let say = format!("a message has at most {KEYWORDS_MAX} keywords of one user");
            return Err(Failure::refused(Kind::TooMany, say));
        }
        if self.labels.is_empty() {
            return Ok(());
        }
        let item = item.to_mut();
        match self.how {
            MarkHow::Remove => item.labels.retain(|l| !self.labels.contains(l)),
            _ => item.labels.extend(self.labels.iter().copied()),
        }
        check_labels(item)
    }
}

pub(super) fn not_come_in() -> Failure {
    let say = "only mail that has come in can be accepted or refused";
    Failure::refused(Kind::Invalid, say)
}

pub(super) fn check_labels(item: &Item) -> Result<(), Failure> {
    if item.labels.len() > LABELS_MAX {
        let say = format!("a message has at most {LABELS_MAX} labels");
        return Err(Failure::refused(Kind::TooMany, say));
    }
    Ok(())
}

/// Labels, the archive and the bin are the tenant's, and a label decides who sees a mail: who only reads changes none
/// of them. A user's own flags are not part of the item.
pub(super) fn check_change(viewer: &Viewer<'_>, before: &Item, after: &Item) -> Result<(), Failure> {
    let own = before.author == Some(viewer.user.id);
    if before == after || own || viewer.org.may(viewer.user, Permission::Jobs) {
        return Ok(());
    }
    let say = "labelling, archiving and binning change this mail for everybody; its author, an officer, or a role \
               with the permission \"jobs\", may";
    Err(Failure::refused(Kind::NoPermission, say))
}

/// The first refusal of several; anything worse than a refusal is given at once.
pub(super) fn keep_first(first: &mut Option<Failure>, next: Failure) -> Result<(), Failure> {
    if !matches!(next, Failure::Refused(_)) {
        return Err(next);
    }
    first.get_or_insert(next);
    Ok(())
}

impl Mailboxes {
    /// Sets, adds or removes marks. Each item is changed wholly or not at all; what is reported done is durable.
    pub async fn mark(
        &self,
        by: &Principal,
        which: &[ItemId],
        how: MarkHow,
        wanted: &Marks,
    ) -> Result<Marked, Failure> {
        let which = which.iter().map(|id| (0, *id)).collect::<Vec<_>>();
        self.mark_in(by, None, &which, how, wanted, None).await
    }

    /// The same in an open mailbox; only those that have not changed behind `unchanged_since`, where that is named
    /// (RFC 7162 3.1.3). The condition is part of each batch: what changes in the last moment is left alone, too.
    pub async fn mark_in(
        &self,
        by: &Principal,
        opened: Option<&Opened>,
        which: &[(u32, ItemId)],
        how: MarkHow,
        wanted: &Marks,
        unchanged_since: Option<ModSeq>,
    ) -> Result<Marked, Failure> {
        let wish = Wish::new(&self.seat(by)?.organisation, how, wanted)?;
        let mut marked = Marked::default();
        let mut condition = Condition::new(opened, unchanged_since);
        let mut rest = Cow::Borrowed(which);
        // A decision is a commit of its own, with conditions of its own; the mark that goes with it follows from it.
        if let Some(decision) = wish.decision {
            if let Some(condition) = condition.take() {
                let seat = self.seat(by)?;
                let sorted = self.unchanged(&seat.viewer(), which, &condition)?;
                (rest, marked.changed_since) = (Cow::Owned(sorted.same), sorted.changed);
            }
            let mut decided = Vec::with_capacity(rest.len());
            for member in rest.iter() {
                match self.decide_by(by, member.1, decision, Route::Keyword).await {
                    Ok(()) => decided.push(*member),
                    Err(failure) => keep_first(&mut marked.refused, failure)?,
                }
            }
            rest = Cow::Owned(decided);
        }
        let mut slice = TimeSlice::begin();
        for chunk in rest.chunks(CHUNK) {
            slice.share().await;
            let wished =
                |_: &Viewer<'_>, item: &mut Cow<'_, Item>, flags: &mut UserFlags| wish.apply(item, flags);
            self.change_if(
                by,
                AuditRoute::Imap,
                chunk,
                condition.as_ref(),
                &mut marked,
                wished,
            )
            .await?;
        }
        Ok(marked)
    }

    /// Decides what an item stands for: its job, or itself.
    pub(super) async fn decide_by(
        &self,
        by: &Principal,
        id: ItemId,
        decision: Decision,
        route: Route,
    ) -> Result<(), Failure> {
        let seat = self.seat(by)?;
        let item = self.visible(&seat.viewer(), id)?.map(|shown| shown.row.clone());
        let act = match decision {
            Decision::Job(act) => act,
            Decision::Mail(declared) => return self.declare_by(by, item, declared, route).await,
        };
        let job = item.and_then(|item| item.job);
        let job = job.ok_or_else(|| {
            Failure::refused(
                Kind::Invalid,
                "this message is not a job; there is nothing to decide",
            )
        })?;
        let asked = DecisionAsked {
            job: job.id,
            act,
            route,
            note: "",
            original_sha256: None,
        };
        self.approval.decide(by, asked).await.map(|_| ())
    }

    async fn declare_by(
        &self,
        by: &Principal,
        item: Option<Item>,
        declared: Declared,
        route: Route,
    ) -> Result<(), Failure> {
        let came_in = item.filter(|item| item.kind == ItemKind::Incoming);
        let mail = came_in.and_then(|item| item.mail).ok_or_else(not_come_in)?;
        let asked = DeclarationAsked {
            mail,
            declared,
            route,
            note: "",
            original_sha256: None,
        };
        self.declaring.declare(by, asked).await.map(|_| ())
    }

    /// Changes items, and the user's flags on them, in one batch; tried until nobody else's change comes between, so the
    /// edit may be asked more than once.
    /// Items the user does not see are passed over; those he may only read are refused ([`check_change`]). What others
    /// see of it is on the audit record.
    pub(super) async fn change(
        &self,
        by: &Principal,
        route: AuditRoute,
        chunk: &[ItemId],
        marked: &mut Marked,
        mut edit: impl FnMut(&Viewer<'_>, &mut Item, &mut UserFlags) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let edit = |viewer: &Viewer<'_>, item: &mut Cow<'_, Item>, flags: &mut UserFlags| {
            edit(viewer, item.to_mut(), flags)
        };
        let chunk: Vec<(u32, ItemId)> = chunk.iter().map(|id| (0, *id)).collect();
        self.change_if(by, route, &chunk, None, marked, edit).await
    }

    /// The same for those that fulfil a condition when the batch is committed.
    async fn change_if(
        &self,
        by: &Principal,
        route: AuditRoute,
        chunk: &[(u32, ItemId)],
        condition: Option<&Condition>,
        marked: &mut Marked,
        mut edit: impl FnMut(&Viewer<'_>, &mut Cow<'_, Item>, &mut UserFlags) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        for _ in 0..ATTEMPTS {
            let seat = self.seat(by)?;
            let viewer = seat.viewer();
            let (mut batch, mut account) = (Batch::new(), Account::default());
            let (mut done, mut refused) = (Vec::with_capacity(chunk.len()), None);
            let mut stale = Vec::new();
            let mut reader = self.mark_reader(by, condition.map_or(ModSeq(0), Condition::as_of));
            let mut edits = FlagEdits::new(by.tenant, by.user);
            let limit = condition.filter(|c| c.is_set());
            for (uid, id) in chunk {
                reader.turn_to(*id)?;
                let Some(old) = self.visible(&viewer, *id)? else {
                    continue;
                };
                let old_flags = reader.flags(&old.row)?;
                let read_at = read_at(&viewer, &old, old_flags.as_ref());
                let came_in = || self.came_in(&viewer, *uid, condition);
                if let Some(limit) = limit
                    && limit.is_broken_by(read_at.max(came_in()?))
                {
                    stale.push(*uid);
                    continue;
                }
                // A label whose definition is gone is on no mail; it goes for good when the mail changes anyway.
                let mut base = Cow::Borrowed(&old.row);
                if base
                    .labels
                    .iter()
                    .any(|l| !seat.organisation.labels.contains_key(l))
                {
                    base.to_mut()
                        .labels
                        .retain(|l| seat.organisation.labels.contains_key(l));
                }
                let mut item = Cow::Borrowed(&*base);
                let mut flags = old_flags.clone().unwrap_or_default();
                if let Err(failure) = edit(&viewer, &mut item, &mut flags) {
                    keep_first(&mut refused, failure)?;
                    continue;
                }
                let of_all = matches!(item, Cow::Owned(_)) && item != base;
                if of_all {
                    if let Err(failure) = check_change(&viewer, &base, &item) {
                        keep_first(&mut refused, failure)?;
                        continue;
                    }
                    account.tell(&seat.organisation, &base, &item);
                    items::replace(&mut batch, by.tenant, &old, &item)?;
                }
                let of_his = old_flags
                    .as_ref()
                    .map_or_else(|| flags != UserFlags::default(), |old| *old != flags);
                if of_his {
                    edits.put(*id, old_flags.as_ref(), &flags)?;
                }
                if limit.is_some() && (of_all || of_his) {
                    old.require_unchanged(&mut batch);
                    edits.require_unchanged(*id, old_flags.as_ref());
                }
                done.push(Done {
                    item: *id,
                    uid: *uid,
                    // What is changed here has the number of the commit, which is known behind it.
                    changed_at: match of_all || of_his {
                        true => ModSeq(0),
                        false => read_at.max(came_in()?),
                    },
                    read_at,
                    marks: marks(&seat.organisation, &item, Some(flags)),
                    of_all,
                });
            }
            edits.write_into(&mut batch);
            if !batch.is_empty() {
                account.write(&mut batch, by.tenant, &by.author(route), self.clock.now())?;
                match self.db.commit(batch).await {
                    Ok(seq) => {
                        if !done.iter().any(|one| one.of_all) {
                            marked.his_alone.push(ModSeq(seq.0));
                        }
                        let changed = done.iter_mut().filter(|one| one.changed_at == ModSeq(0));
                        changed.for_each(|one| one.changed_at = ModSeq(seq.0));
                        self.bells.mailboxes.ring(by.tenant);
                    }
                    Err(CommitError::Conflict { .. }) => continue,
                    Err(other) => return Err(other.into()),
                }
            }
            // Mostly there is one chunk, and a thousand of them are moved as they are.
            match marked.done.is_empty() {
                true => marked.done = done,
                false => marked.done.append(&mut done),
            }
            marked.changed_since.append(&mut stale);
            if let Some(failure) = refused {
                marked.refused.get_or_insert(failure);
            }
            return Ok(());
        }
        Err(conflict())
    }
}
