//! The one table from what clients do with folders to attributes and decisions.
//!
//! ```text
//! to \ item            draft             notice    outgoing              incoming  evidence
//! INBOX                -                 restore   -                     restore   -
//! Giden Kutusu         -                 -         restore               -         -
//! Taslaklar            restore           -         -                     -         -
//! Deliller             -                 -         -                     -         restore
//! Tüm Postalar         restore           restore   restore               restore   -
//! Arşiv                -                 archive   archive               archive   archive
//! Çöp Kutusu           trash             trash     trash (no open job)   trash     trash
//! Önemli               flag              flag      flag                  flag      flag
//! Etiketler/x          label             label     label                 label     label
//! İşlerim/Onayla...    -                 -         by name (below)       -         -
//! İşlerim/Gönder       send (officer)    -         release               -         -
//! İşlerim/Kabul Et     -                 -         -                     accept    -
//! İşlerim/Geri Çevir   -                 -         -                     refuse    -
//! İş Akışları/RULE     start the flow    -         -                     -         -
//! İşlerim/(others), Birimler: refused, they follow from decisions and labels
//! ```
//! Moving out of a label or of `Önemli` takes the label or the flag away as well, unless the way leads to the bin, to
//! the archive or to a decision. Moving anywhere out of the bin restores. What expunging comes to is said by `expunging`.

use super::marking::{CHUNK, Decision, Marked, check_change, check_labels, keep_first, not_come_in};
use super::{Mailboxes, Opened};
use crate::domain::audit::AuditRoute;
use crate::domain::item::{Filed as FiledAway, Item, ItemKind, JobPhase, UserFlags};
use crate::domain::job::Route;
use crate::domain::org::UserKind;
use crate::domain::policy::Asked;
use crate::domain::selector::{Mailbox, Viewer};
use crate::id::{ItemId, LabelId, RuleId};
use crate::service::account::Principal;
use crate::service::failure::{Failure, Kind};
use crate::service::time_slice::TimeSlice;
use std::collections::BTreeSet;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    Copy,
    Move,
}

/// What filing one item comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Deed {
    Edit(Edit),
    Decide(Decision),
    Flow(RuleId),
    Send,
}

/// Attributes to change; `None` leaves one as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Edit {
    pub archived: Option<bool>,
    pub trashed: Option<bool>,
    pub label: Option<LabelId>,
    pub unlabel: Option<LabelId>,
    pub flagged: Option<bool>,
    /// A draft or notice that nobody wants any more.
    pub gone: bool,
    /// The user's `\Deleted` has been obeyed.
    pub obeyed: bool,
}

/// What came of copying, moving or expunging.
#[derive(Debug, Default)]
pub struct Filed {
    /// (UID here, UID there or 0) of those done.
    pub pairs: Vec<(u32, u32)>,
    pub uid_validity: u32,
    /// Why the others were not.
    pub refused: Option<Failure>,
}

pub(super) fn no<T>(kind: Kind, say: &str) -> Result<T, Failure> {
    Err(Failure::refused(kind, say))
}

fn open_job(item: &Item) -> bool {
    item.job.as_ref().is_some_and(|job| job.phase != JobPhase::Ended)
}

/// The table.
pub(super) fn translate(
    viewer: &Viewer<'_>,
    item: &Item,
    from: Mailbox,
    to: Mailbox,
    verb: Verb,
) -> Result<Deed, Failure> {
    use ItemKind as K;
    let restore = Edit {
        archived: Some(false),
        trashed: Some(false),
        ..Edit::default()
    };
    let out_of_bin = (item.trashed.is_some() && verb == Verb::Move).then_some(false);
    let mut edit = match (to, item.kind) {
        (Mailbox::Inbox, K::Incoming | K::Notice)
        | (Mailbox::Sent, K::Outgoing)
        | (Mailbox::Drafts, K::Draft)
        | (Mailbox::Evidence, K::Evidence) => restore,
        (Mailbox::All, kind) if kind != K::Evidence => restore,
        (Mailbox::Inbox, _) => return no(Kind::Invalid, "only mail that came in stands in INBOX"),
        (Mailbox::Sent, _) => return no(Kind::Invalid, "only mail that was submitted stands there"),
        (Mailbox::Drafts, _) => return no(Kind::Invalid, "only a draft can stand among the drafts"),
        (Mailbox::Evidence, _) => return no(Kind::Invalid, "only evidence stands there"),
        (Mailbox::All, _) => return no(Kind::Invalid, "evidence stands in its own mailbox"),
        (Mailbox::Archive, K::Draft) => {
            return no(Kind::Invalid, "a draft is not archived; send it or drop it");
        }
        (Mailbox::Archive, _) => Edit {
            archived: Some(true),
            trashed: Some(false),
            ..Edit::default()
        },
        (Mailbox::Trash, _) => return trash(item).map(Deed::Edit),
        (Mailbox::Important, _) => Edit {
            flagged: Some(true),
            trashed: out_of_bin,
            ..Edit::default()
        },
        (Mailbox::Label(label), _) => Edit {
            label: Some(label),
            trashed: out_of_bin,
            ..Edit::default()
        },
        (to, _) if to.shows_nothing() => return decision(viewer, item, to),
        (Mailbox::Unit(_), _) => {
            return no(
                Kind::Invalid,
                "mail comes to a unit by its labels; move it to a label of the unit",
            );
        }
        // Where a job stands.
        (_, _) => {
            return no(
                Kind::Invalid,
                "where a job stands follows from decisions; move it to İşlerim/Onayla or İşlerim/Reddet",
            );
        }
    };
    if verb == Verb::Move && to != from && to != Mailbox::Archive {
        match from {
            Mailbox::Label(label) => edit.unlabel = Some(label),
            Mailbox::Important => edit.flagged = Some(false),
            _ => {}
        }
    }
    Ok(Deed::Edit(edit))
}

pub(super) fn trash(item: &Item) -> Result<Edit, Failure> {
    if open_job(item) {
        return no(
            Kind::WrongState,
            "this mail waits for a decision; decide or withdraw it before it goes to the bin",
        );
    }
    Ok(Edit {
        trashed: Some(true),
        ..Edit::default()
    })
}

/// Moving a job, a draft or a mail that came in to where moving means deciding.
fn decision(viewer: &Viewer<'_>, item: &Item, to: Mailbox) -> Result<Deed, Failure> {
    let draft = item.kind == ItemKind::Draft;
    if let Some(declared) = to.declares() {
        return match item.kind {
            ItemKind::Incoming => Ok(Deed::Decide(Decision::Mail(declared))),
            _ => Err(not_come_in()),
        };
    }
    match to {
        Mailbox::Flow(rule) if draft => Ok(Deed::Flow(rule)),
        Mailbox::Flow(_) => no(Kind::Invalid, "only a draft can start a flow"),
        Mailbox::Release if draft && viewer.user.kind == UserKind::Officer => Ok(Deed::Send),
        Mailbox::Release if draft => no(
            Kind::NoPermission,
            "only an officer (işlem yetkilisi) may send without approval; move the draft to İş Akışları",
        ),
        _ if item.job.is_none() => no(
            Kind::Invalid,
            "this message is not a job; there is nothing to decide",
        ),
        _ => match to.act() {
            Some(act) => Ok(Deed::Decide(Decision::Job(act))),
            None => no(Kind::Invalid, "moving a message there decides nothing"),
        },
    }
}

impl Edit {
    /// Writes the attributes.
    pub(super) fn apply(
        self,
        item: &mut Item,
        flags: &mut UserFlags,
        hand: FiledAway,
    ) -> Result<(), Failure> {
        if let Some(archived) = self.archived {
            // What lay in the bin is put into the archive anew, also where it had been before.
            let since = item.archived.filter(|_| item.trashed.is_none());
            item.archived = archived.then(|| since.unwrap_or(hand));
        }
        match self.trashed {
            Some(true) => {
                item.trashed.get_or_insert(hand);
            }
            Some(false) => item.trashed = None,
            None => {}
        }
        if let Some(label) = self.unlabel {
            item.labels.remove(&label);
        }
        if let Some(label) = self.label {
            item.labels.insert(label);
        }
        if let Some(flagged) = self.flagged {
            flags.set_important(flagged);
        }
        if self.gone {
            *item = item.ended(hand);
        }
        flags.deleted &= !self.obeyed;
        check_labels(item)
    }
}

/// Refuses now what changing the item would refuse, before anything is done to others.
pub(super) fn foreseen(
    viewer: &Viewer<'_>,
    item: &Item,
    deed: Deed,
    hand: FiledAway,
) -> Result<Deed, Failure> {
    if let Deed::Edit(edit) = &deed {
        let mut after = item.clone();
        edit.apply(&mut after, &mut UserFlags::default(), hand)?;
        check_change(viewer, item, &after)?;
    }
    Ok(deed)
}

impl Mailboxes {
    /// Copies or moves messages of an open mailbox. Copying is refused as a whole when one of them cannot be.
    pub async fn file(
        &self,
        by: &Principal,
        opened: &mut Opened,
        which: &[(u32, ItemId)],
        to: Mailbox,
        verb: Verb,
    ) -> Result<Filed, Failure> {
        let from = opened.mailbox;
        let seat = self.seat(by)?;
        let viewer = seat.viewer();
        let (mut edits, mut others) = (Vec::new(), Vec::new());
        let mut marked = Marked::default();
        let now = self.clock.now();
        let hand = FiledAway { by: by.user, at: now };
        for (_, id) in which {
            let Some(item) = self.visible(&viewer, *id)? else {
                continue;
            };
            let deed = translate(&viewer, &item.row, from, to, verb);
            match deed.and_then(|deed| foreseen(&viewer, &item.row, deed, hand)) {
                Ok(Deed::Edit(_)) => edits.push(*id),
                Ok(other) => others.push((*id, other)),
                Err(failure) if verb == Verb::Copy => return Err(failure),
                Err(failure) => keep_first(&mut marked.refused, failure)?,
            }
        }
        let mut slice = TimeSlice::begin();
        for chunk in edits.chunks(CHUNK) {
            slice.share().await;
            self.change(
                by,
                AuditRoute::Imap,
                chunk,
                &mut marked,
                |viewer, item, flags| match translate(viewer, item, from, to, verb)? {
                    Deed::Edit(edit) => edit.apply(item, flags, hand),
                    _ => no(Kind::WrongState, "the message changed meanwhile; try again"),
                },
            )
            .await?;
        }
        let mut refused = marked.refused;
        let mut done: BTreeSet<ItemId> = marked.done.iter().map(|done| done.item).collect();
        for (id, deed) in others {
            match self.do_deed(by, id, deed).await {
                Ok(()) => drop(done.insert(id)),
                Err(failure) => keep_first(&mut refused, failure)?,
            }
        }
        let moved: Vec<(u32, ItemId)> = which
            .iter()
            .filter(|(_, id)| done.contains(id))
            .copied()
            .collect();
        self.filed(by, opened, moved, to, verb, refused).await
    }

    async fn do_deed(&self, by: &Principal, id: ItemId, deed: Deed) -> Result<(), Failure> {
        match deed {
            Deed::Decide(decision) => self.decide_by(by, id, decision, Route::Folder).await,
            Deed::Flow(rule) => {
                let seat = self.seat(by)?;
                let rule = seat.organisation.rules.get(&rule).map(|r| r.name.clone());
                let rule = rule.ok_or_else(|| Failure::refused(Kind::NotFound, "there is no such rule"))?;
                self.send_draft(by, id, Some(Asked::Flow(Some(rule))), AuditRoute::Imap)
                    .await
                    .map(drop)
            }
            Deed::Send => self
                .send_draft(by, id, Some(Asked::Send), AuditRoute::Imap)
                .await
                .map(drop),
            Deed::Edit(_) => Err(Failure::Broken("an edit is not done alone".into())),
        }
    }

    /// UIDs there; and here, those that stayed after they were moved get new ones.
    async fn filed(
        &self,
        by: &Principal,
        opened: &mut Opened,
        moved: Vec<(u32, ItemId)>,
        to: Mailbox,
        verb: Verb,
        refused: Option<Failure>,
    ) -> Result<Filed, Failure> {
        if verb == Verb::Move && !moved.is_empty() {
            self.catch_up(by, opened.mailbox, None).await?;
            self.renumber(by, opened.mailbox, &moved).await?;
            for (uid, _) in &moved {
                opened.forget(*uid);
            }
        }
        let ids: Vec<ItemId> = moved.iter().map(|(_, id)| *id).collect();
        let (uid_validity, there) = self.uids_in(by, to, &ids).await?;
        Ok(Filed {
            pairs: moved.iter().map(|(uid, _)| *uid).zip(there).collect(),
            uid_validity,
            refused,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::UtcTime;
    use crate::domain::samples::{facet, organisation};
    use crate::id::{UnitId, UserId};

    const KINDS: [ItemKind; 5] = [
        ItemKind::Draft,
        ItemKind::Notice,
        ItemKind::Outgoing,
        ItemKind::Incoming,
        ItemKind::Evidence,
    ];
    const LABEL: LabelId = LabelId(4);

    fn item(kind: ItemKind) -> Item {
        Item {
            author: Some(UserId(1)),
            job: (kind == ItemKind::Outgoing).then(|| Box::new(facet(JobPhase::Ended))),
            ..Item::new(ItemId(1), kind, UtcTime::from_unix_s(0))
        }
    }

    fn word(deed: Result<Deed, Failure>) -> &'static str {
        match deed {
            Err(_) => "-",
            Ok(Deed::Decide(decision)) => decision.word(),
            Ok(Deed::Flow(RuleId(5))) => "start the flow",
            Ok(Deed::Flow(_)) => "another flow",
            Ok(Deed::Send) => "send",
            Ok(Deed::Edit(edit)) => match edit {
                Edit {
                    label: Some(LABEL), ..
                } => "label",
                Edit {
                    flagged: Some(true), ..
                } => "flag",
                Edit {
                    trashed: Some(true), ..
                } => "trash",
                Edit {
                    archived: Some(true), ..
                } => "archive",
                Edit {
                    archived: Some(false),
                    trashed: Some(false),
                    ..
                } => "restore",
                _ => "nothing",
            },
        }
    }

    /// The drawn table: row name, and one cell for each of [`KINDS`].
    fn drawn() -> Vec<(String, Vec<String>)> {
        let text = include_str!("filing.rs");
        let mut lines = text.lines().skip_while(|l| !l.starts_with("//! to"));
        let head = lines.next().unwrap();
        let columns: Vec<usize> = ["draft", "notice", "outgoing", "incoming", "evidence"]
            .iter()
            .map(|name| head[..head.find(name).unwrap()].chars().count())
            .collect();
        let rows = lines.take_while(|l| !l.starts_with("//! İşlerim/(others)"));
        rows.map(|line| {
            let line: Vec<char> = line.chars().collect();
            let cell = |from: usize, to: usize| {
                let cut: String = line[from.min(line.len())..to.min(line.len())].iter().collect();
                cut.trim().to_owned()
            };
            let cells = (0..columns.len()).map(|n| {
                let end = columns.get(n + 1).copied().unwrap_or(usize::MAX);
                cell(columns[n], end)
            });
            (cell(4, columns[0]), cells.collect())
        })
        .collect()
    }

    #[test]
    fn every_cell_is_as_drawn() {
        let org = organisation();
        let viewer = Viewer::new(&org, &org.users[&UserId(1)], UtcTime::from_unix_s(0));
        let rows = drawn();
        let mut all = Mailbox::FIXED.to_vec();
        all.extend([
            Mailbox::Label(LABEL),
            Mailbox::Flow(RuleId(5)),
            Mailbox::Unit(UnitId(6)),
        ]);
        let mut used = BTreeSet::new();
        for to in all {
            let name = match to {
                Mailbox::Flow(_) => "İş Akışları/RULE".to_owned(),
                Mailbox::Release => "İşlerim/Gönder".to_owned(),
                to if to.act().is_some() => "İşlerim/Onayla...".to_owned(),
                Mailbox::Label(_) => "Etiketler/x".to_owned(),
                other => other.name(&org).unwrap_or_default(),
            };
            let row = rows.iter().find(|(n, _)| *n == name);
            for (column, kind) in KINDS.into_iter().enumerate() {
                let got = word(translate(
                    &viewer,
                    &item(kind),
                    Mailbox::Label(LabelId(9)),
                    to,
                    Verb::Copy,
                ));
                let want = row.map_or("-", |(_, cells)| cells[column].as_str());
                let want = match (want, to.act()) {
                    ("by name (below)", Some(act)) => act.word(),
                    (want, _) => want,
                };
                let fits = want.split('(').next().unwrap_or("").trim() == got;
                assert!(fits, "{name} {kind:?}: drawn {want:?}, done {got:?}");
            }
            used.extend(row.map(|(name, _)| name.clone()));
        }
        assert_eq!(used.len(), rows.len(), "a drawn row was never asked: {rows:?}");
    }

    #[test]
    fn where_it_comes_from_matters() {
        let org = organisation();
        let officer = Viewer::new(&org, &org.users[&UserId(1)], UtcTime::from_unix_s(0));
        let limited = Viewer::new(&org, &org.users[&UserId(2)], UtcTime::from_unix_s(0));
        let incoming = item(ItemKind::Incoming);
        let edit = |from, to, verb, item: &Item| match translate(&officer, item, from, to, verb) {
            Ok(Deed::Edit(edit)) => edit,
            other => panic!("{other:?}"),
        };
        let (a, b) = (Mailbox::Label(LabelId(1)), Mailbox::Label(LabelId(2)));
        assert_eq!(edit(a, b, Verb::Move, &incoming).unlabel, Some(LabelId(1)));
        assert_eq!(edit(a, b, Verb::Copy, &incoming).unlabel, None);
        assert_eq!(edit(a, Mailbox::Trash, Verb::Move, &incoming).unlabel, None);
        assert_eq!(
            edit(Mailbox::Important, Mailbox::Inbox, Verb::Move, &incoming).flagged,
            Some(false)
        );
        let mut binned = item(ItemKind::Incoming);
        binned.trashed = Some(FiledAway {
            by: UserId(1),
            at: UtcTime::from_unix_s(0),
        });
        assert_eq!(edit(Mailbox::Trash, a, Verb::Move, &binned).trashed, Some(false));
        // A job that waits does not disappear into the bin.
        let mut waiting = item(ItemKind::Outgoing);
        if let Some(job) = &mut waiting.job {
            job.phase = JobPhase::Ready;
        }
        assert_eq!(
            word(translate(
                &officer,
                &waiting,
                Mailbox::Sent,
                Mailbox::Trash,
                Verb::Move
            )),
            "-"
        );
        // Only an officer sends a draft without approval.
        let draft = item(ItemKind::Draft);
        assert_eq!(
            word(translate(
                &limited,
                &draft,
                Mailbox::Drafts,
                Mailbox::Release,
                Verb::Move
            )),
            "-"
        );
    }
}
