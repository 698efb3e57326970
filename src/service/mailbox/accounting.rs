//! What changes of items leave on the audit record: who archived, binned, restored or labelled what, and when.
//!
//! Items changed alike in one batch share a record, so that a label on thousands of mails costs a row each and not
//! three. Drafts are their author's own papers and leave none; flags are each user's own and leave none either.

use crate::clock::UtcTime;
use crate::domain::audit::{AuditRecord, Author, Matter};
use crate::domain::item::{Item, ItemKind};
use crate::domain::org::Organisation;
use crate::id::{ItemId, LabelId, TenantId};
use crate::store::db::Batch;
use crate::store::row::RowError;
use crate::store::tables::audit;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Items one record is about: with the numbers of all of them it still fits its row.
const TOGETHER_MAX: usize = 500;
/// Labels one record names on each side; the others are counted.
const LABELS_TOLD_MAX: usize = 16;

/// What was done to an item, as far as it is told.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Told {
    deed: &'static str,
    before: String,
    after: String,
    labels: BTreeSet<LabelId>,
}

/// The changes of one batch.
#[derive(Debug, Default)]
pub(super) struct Account(BTreeMap<Told, Vec<ItemId>>);

impl Account {
    /// Notes how an item was, and is.
    pub fn tell(&mut self, org: &Organisation, before: &Item, after: &Item) {
        if before.kind == ItemKind::Draft {
            return;
        }
        if let Some(told) = told(org, before, after) {
            self.0.entry(told).or_default().push(after.id);
        }
    }

    /// Adds the records to the batch of the change.
    pub fn write(
        self,
        batch: &mut Batch,
        tenant: TenantId,
        author: &Author,
        at: UtcTime,
    ) -> Result<(), RowError> {
        let mut nth = 0;
        for (told, items) in self.0 {
            for items in items.chunks(TOGETHER_MAX) {
                let mut about: Vec<Matter> = items.iter().map(|id| Matter::Item(*id)).collect();
                about.extend(told.labels.iter().map(|id| Matter::Label(*id)));
                let record = AuditRecord {
                    at,
                    author: author.clone(),
                    deed: told.deed.into(),
                    about,
                    before: told.before.clone(),
                    after: told.after.clone(),
                };
                audit::append(batch, tenant, nth, &record)?;
                nth += 1;
            }
        }
        Ok(())
    }
}

/// `None`: nothing that others see has changed. Labels whose definition is gone are nobody's business any more.
fn told(org: &Organisation, before: &Item, after: &Item) -> Option<Told> {
    let defined = |of: &Item, other: &Item| -> BTreeSet<LabelId> {
        let differing = of.labels.difference(&other.labels);
        differing
            .filter(|l| org.labels.contains_key(l))
            .copied()
            .collect()
    };
    let (lost, gained) = (defined(before, after), defined(after, before));
    let (archived, trashed) = (
        (before.archived.is_some(), after.archived.is_some()),
        (before.trashed.is_some(), after.trashed.is_some()),
    );
    let deed = match (archived, trashed) {
        _ if !before.gone && after.gone => "mail destroy",
        (_, (false, true)) => "mail trash",
        ((false, true), _) => "mail archive",
        ((true, false), _) | (_, (true, false)) => "mail restore",
        _ if !gained.is_empty() => "label apply",
        _ if !lost.is_empty() => "label clear",
        _ => return None,
    };
    let side = |item: &Item, labels: &BTreeSet<LabelId>| {
        let mut told = Map::new();
        let mut put = |name: &str, differs: bool, value: Value| {
            if differs {
                told.insert(name.into(), value);
            }
        };
        put(
            "archived",
            archived.0 != archived.1,
            json!(item.archived.is_some()),
        );
        put("trashed", trashed.0 != trashed.1, json!(item.trashed.is_some()));
        put("gone", before.gone != after.gone, json!(item.gone));
        let names = labels.iter().filter_map(|l| org.labels.get(l));
        let names: Vec<&str> = names.take(LABELS_TOLD_MAX).map(|l| l.name.as_str()).collect();
        put("labels", !labels.is_empty(), json!(names));
        let more = labels.len().saturating_sub(LABELS_TOLD_MAX);
        put("more_labels", more > 0, json!(more));
        Value::Object(told).to_string()
    };
    Some(Told {
        deed,
        before: side(before, &lost),
        after: side(after, &gained),
        labels: lost.union(&gained).take(LABELS_TOLD_MAX).copied().collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::item::Filed;
    use crate::domain::label::Label;
    use crate::domain::samples::organisation;
    use crate::id::UserId;

    #[test]
    fn a_record_says_what_differs_and_items_changed_alike_share_it() {
        let mut org = organisation();
        for n in 0..40 {
            let (id, name) = (LabelId(100 + n), format!("{}{n}", "ğ".repeat(98)));
            org.labels.insert(id, Label { id, name });
        }
        let at = UtcTime::from_unix_s(0);
        let plain = |n| Item::new(ItemId(n), ItemKind::Incoming, at);
        let hand = Filed { by: UserId(1), at };
        let mut account = Account::default();
        for n in 1..=1200 {
            let mut labelled = plain(n);
            labelled.labels = (0..40).map(|n| LabelId(100 + n)).collect();
            account.tell(&org, &plain(n), &labelled);
        }
        let binned = Item {
            trashed: Some(hand),
            ..plain(7)
        };
        account.tell(&org, &plain(7), &binned);
        account.tell(&org, &binned, &plain(7));
        // Neither flags, nor a label nobody knows, nor what becomes of a draft.
        account.tell(&org, &plain(8), &plain(8));
        let mut dangling = plain(8);
        dangling.labels.insert(LabelId(9999));
        account.tell(&org, &dangling, &plain(8));
        let draft = Item::new(ItemId(9), ItemKind::Draft, at);
        let gone = Item {
            gone: true,
            ..draft.clone()
        };
        account.tell(&org, &draft, &gone);
        let told: Vec<(&str, &str, &str, usize)> = account
            .0
            .iter()
            .map(|(t, items)| (t.deed, t.before.as_str(), t.after.as_str(), items.len()))
            .collect();
        assert_eq!(told.len(), 3, "{told:?}");
        assert_eq!((told[0].0, told[0].1, told[0].3), ("label apply", "{}", 1200));
        assert!(told[0].2.contains("\"more_labels\":24"), "{told:?}");
        assert_eq!(
            told[1],
            ("mail restore", "{\"trashed\":true}", "{\"trashed\":false}", 1)
        );
        assert_eq!(
            told[2],
            ("mail trash", "{\"trashed\":false}", "{\"trashed\":true}", 1)
        );
        // However many items and labels, each record fits its row.
        let mut batch = Batch::new();
        let author = Author::administrator(0);
        account.write(&mut batch, TenantId(1), &author, at).unwrap();
        assert!(!batch.is_empty());
    }
}
