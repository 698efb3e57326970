//! Pages against a naive model: a row for each user and item, and a log of when each was last changed.

use super::*;
use crate::store::db::{CommitError, EngineKind, ROW_MAX_BYTES};
use crate::store::group::conformance::{KINDS, fresh, run};
use crate::store::tables::items::{ChangeOf, changes_after};
use proptest::prelude::*;
use std::collections::HashMap;

const TENANT: TenantId = TenantId(3);

fn seen() -> UserFlags {
    UserFlags {
        seen: true,
        ..UserFlags::default()
    }
}

/// What a draw makes of flags: the five, and some of a few words.
fn drawn(draw: u16) -> UserFlags {
    let word = |n: u16| format!("söz{n}").repeat(1 + usize::from(n) * 3);
    UserFlags {
        seen: draw & 1 != 0,
        answered: draw & 2 != 0,
        flagged: draw & 4 != 0,
        draft: draw & 8 != 0,
        deleted: draw & 16 != 0,
        keywords: (0..4).filter(|n| draw >> (5 + n) & 1 != 0).map(word).collect(),
        modseq: ModSeq(0),
    }
}

/// The naive model: what each user last said about each item, and by which commit.
type Model = HashMap<(u32, u64), UserFlags>;

/// Which items of whom were changed behind a commit, with their numbers.
fn behind(model: &Model, since: ModSeq) -> BTreeSet<(u64, u32, u64)> {
    let all = model
        .iter()
        .map(|((user, item), flags)| (flags.modseq.0, *user, *item));
    all.filter(|(at, _, _)| *at > since.0).collect()
}

/// Reads the log to its end in steps.
fn read_log(db: &dyn Db, since: ModSeq, step: usize) -> Vec<(u64, u32, u64)> {
    let (mut at, mut all) = (since, Vec::new());
    loop {
        let changes = changes_after(db, TENANT, at, step).unwrap();
        let Some(last) = changes.last() else { return all };
        at = last.modseq;
        all.extend(changes.iter().map(|c| {
            let ChangeOf::FlagsOf(user) = c.of else {
                panic!("only flags were changed")
            };
            (c.modseq.0, user.0, c.item.0)
        }));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn pages_are_as_rows_for_each_item(
        batches in prop::collection::vec(
            (1u32..4, prop::collection::vec((0u64..300, 0u16..512), 1..40)), 1..25),
        steps in prop::collection::vec(1usize..50, 1..6),
    ) {
        let (_dir, db) = fresh(EngineKind::Fjall);
        let mut model = Model::new();
        let mut commits = vec![ModSeq(0)];
        for (user, changes) in &batches {
            let mut edits = FlagEdits::new(TENANT, UserId(*user));
            let mut reader = FlagReader::new(&*db, TENANT, UserId(*user));
            let mut made = HashMap::new();
            for (item, draw) in changes {
                let old = reader.flags(ItemId(*item)).unwrap();
                prop_assert_eq!(old.as_ref(), model.get(&(*user, *item)));
                edits.put(ItemId(*item), old.as_ref(), &drawn(*draw)).unwrap();
                made.insert((*user, *item), drawn(*draw));
            }
            let mut batch = Batch::new();
            edits.write_into(&mut batch);
            let at = ModSeq(run(db.commit(batch)).unwrap().0);
            commits.push(at);
            model.extend(made.into_iter().map(|(of, flags)| (of, UserFlags { modseq: at, ..flags })));
            // Somebody who has read up to any commit before reads on.
            let since = commits[steps[0] * 7 % commits.len()];
            let read = read_log(&*db, since, steps[commits.len() % steps.len()]);
            prop_assert!(read.is_sorted());
            let found: BTreeSet<_> = read.iter().copied().collect();
            prop_assert_eq!(found.len(), read.len());
            prop_assert_eq!(found, behind(&model, since));
        }
        let mut all = Model::new();
        for_each(&*db, TENANT, |user, item, flags| drop(all.insert((user.0, item.0), flags))).unwrap();
        prop_assert_eq!(&all, &model);
        for user in 1..4 {
            let mut reader = FlagReader::new(&*db, TENANT, UserId(user));
            for item in 0..300 {
                let told = reader.said(ItemId(item)).unwrap();
                let flags = model.get(&(user, item)).cloned().unwrap_or_default();
                prop_assert_eq!((told.seen, told.deleted), (flags.seen, flags.deleted));
            }
        }
    }
}

/// The reader of the log stops between commits while items of the page move on: none is passed over.
#[test]
fn a_page_that_moves_up_leaves_behind_who_did_not_change() {
    for kind in KINDS {
        let (_dir, db) = fresh(kind);
        let user = UserId(7);
        let put = |item: u64| {
            let mut batch = Batch::new();
            let old = flags(&*db, TENANT, user, ItemId(item)).unwrap();
            put_flags(&mut batch, TENANT, user, ItemId(item), old.as_ref(), &seen()).unwrap();
            run(db.commit(batch)).unwrap().0
        };
        let numbers: Vec<u64> = (1..=5).map(put).collect();
        let first = changes_after(&*db, TENANT, ModSeq(0), 2).unwrap();
        assert_eq!(first.iter().map(|c| c.item.0).collect::<Vec<_>>(), [1, 2]);
        let again = put(4);
        assert!(again > numbers[4]);
        let rest = read_log(&*db, first[1].modseq, 1);
        let places: Vec<(u64, u64)> = rest.iter().map(|(at, _, item)| (*at, *item)).collect();
        assert_eq!(places, [(numbers[2], 3), (numbers[4], 5), (again, 4)]);
    }
}

/// Many who change other items of one page at once: nobody meets a conflict, and nothing is lost. Of those who change the
/// same item as it was, one does.
#[test]
fn who_changes_other_items_is_in_nobodys_way() {
    for kind in KINDS {
        let (_dir, db) = fresh(kind);
        let user = UserId(1);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .build()
            .unwrap();
        runtime.block_on(async {
            let change = |db: Arc<dyn Db>, item: u64| async move {
                for _ in 0..8 {
                    let old = flags(&*db, TENANT, user, ItemId(item)).unwrap();
                    let mut new = old.clone().unwrap_or_default();
                    new.seen = !new.seen;
                    let mut batch = Batch::new();
                    put_flags(&mut batch, TENANT, user, ItemId(item), old.as_ref(), &new).unwrap();
                    db.commit(batch).await.unwrap();
                }
            };
            let tasks: Vec<_> = (0..16)
                .map(|item| tokio::spawn(change(db.clone(), item)))
                .collect();
            for task in tasks {
                task.await.unwrap();
            }
            let mut results = Vec::new();
            for _ in 0..3 {
                let mut batch = Batch::new();
                put_flags(&mut batch, TENANT, user, ItemId(99), None, &seen()).unwrap();
                results.push(db.commit(batch).await);
            }
            assert!(results[0].is_ok());
            for late in &results[1..] {
                assert!(matches!(late, Err(CommitError::Conflict { .. })), "{late:?}");
            }
        });
        let mut reader = FlagReader::new(&*db, TENANT, user);
        let numbers: BTreeSet<u64> = (0..16)
            .map(|item| reader.flags(ItemId(item)).unwrap().unwrap().modseq.0)
            .collect();
        assert_eq!(numbers.len(), 16, "each has the number of its own last commit");
    }
}

#[test]
fn a_batch_that_rests_on_flags_is_refused_as_a_whole() {
    let (_dir, db) = fresh(EngineKind::Fjall);
    let user = UserId(1);
    let commit = |mut batch: Batch, edits: FlagEdits| {
        edits.write_into(&mut batch);
        run(db.commit(batch))
    };
    let mut edits = FlagEdits::new(TENANT, user);
    edits.put(ItemId(1), None, &seen()).unwrap();
    commit(Batch::new(), edits).unwrap();
    // It rests on item 1 as it was before, and would write another page and another row.
    let mut edits = FlagEdits::new(TENANT, user);
    edits.put(ItemId(1000), None, &seen()).unwrap();
    edits.require_unchanged(ItemId(1), None);
    let mut batch = Batch::new();
    batch.put(b"x".to_vec(), b"x".to_vec());
    assert!(matches!(commit(batch, edits), Err(CommitError::Conflict { .. })));
    assert_eq!(flags(&*db, TENANT, user, ItemId(1000)).unwrap(), None);
    assert_eq!(db.get(b"x").unwrap(), None);
    // As it is now, it passes, and item 1 keeps its number.
    let old = flags(&*db, TENANT, user, ItemId(1)).unwrap();
    let mut edits = FlagEdits::new(TENANT, user);
    edits.require_unchanged(ItemId(1), old.as_ref());
    edits.put(ItemId(2), None, &seen()).unwrap();
    commit(Batch::new(), edits).unwrap();
    assert_eq!(flags(&*db, TENANT, user, ItemId(1)).unwrap(), old);
}

/// Pages stay small whatever a client sets: what does not fit stands apart, and comes back when there is room.
#[test]
fn keywords_without_end_stand_in_rows_of_their_own() {
    let (_dir, db) = fresh(EngineKind::Fjall);
    let user = UserId(1);
    let wordy = |item: u64, count: usize| UserFlags {
        keywords: (0..count).map(|n| format!("{item:03}-{n:060}")).collect(),
        ..UserFlags::default()
    };
    let put = |item: u64, new: &UserFlags| {
        let old = flags(&*db, TENANT, user, ItemId(item)).unwrap();
        let mut batch = Batch::new();
        put_flags(&mut batch, TENANT, user, ItemId(item), old.as_ref(), new).unwrap();
        run(db.commit(batch)).unwrap();
    };
    let words = |item: u64| flags(&*db, TENANT, user, ItemId(item)).unwrap().unwrap().keywords;
    for item in 0..PAGE_ITEMS {
        put(item, &wordy(item, 64));
    }
    for item in 0..PAGE_ITEMS {
        assert_eq!(words(item), wordy(item, 64).keywords);
    }
    let page = db.get(&key(TENANT, user, 0)).unwrap().unwrap();
    assert!(page.len() < 4096, "{} octets", page.len());
    let apart = |item: u64| {
        db.get(&keywords_key(TENANT, user, ItemId(item)))
            .unwrap()
            .is_some()
    };
    assert!(apart(5) && apart(127));
    put(5, &wordy(5, 1));
    assert!(!apart(5) && apart(127));
    assert_eq!(words(5), wordy(5, 1).keywords);
    put(127, &UserFlags::default());
    assert!(!apart(127) && words(127).is_empty());
    // More than any row holds is refused before anything is written.
    let mut edits = FlagEdits::new(TENANT, user);
    let huge = edits.put(ItemId(0), None, &wordy(0, ROW_MAX_BYTES / 60));
    assert!(huge.is_err_and(|error| error.too_large));
}

/// A page that was read and the keywords beside it that are read later are of one moment, or read again.
#[test]
fn keywords_apart_are_of_their_page() {
    let (_dir, db) = fresh(EngineKind::Fjall);
    let user = UserId(1);
    let wordy = |count: usize| UserFlags {
        keywords: (0..count).map(|n| format!("{n:060}")).collect(),
        ..UserFlags::default()
    };
    let put = |new: &UserFlags| {
        let old = flags(&*db, TENANT, user, ItemId(5)).unwrap();
        let mut batch = Batch::new();
        put_flags(&mut batch, TENANT, user, ItemId(5), old.as_ref(), new).unwrap();
        run(db.commit(batch)).unwrap();
    };
    put(&wordy(60));
    for new in [
        UserFlags {
            seen: true,
            ..wordy(61)
        },
        wordy(2),
        seen(),
        wordy(60),
    ] {
        let mut reader = FlagReader::new(&*db, TENANT, user);
        reader.said(ItemId(5)).unwrap();
        let before = flags(&*db, TENANT, user, ItemId(5)).unwrap().unwrap();
        put(&new);
        let after = flags(&*db, TENANT, user, ItemId(5)).unwrap().unwrap();
        let read = reader.flags(ItemId(5)).unwrap().unwrap();
        assert!(read == before || read == after, "{read:?}");
    }
    // Keywords that no page speaks of are damage.
    let mut batch = Batch::new();
    batch.delete(keywords_key(TENANT, user, ItemId(5)));
    run(db.commit(batch)).unwrap();
    assert!(matches!(
        flags(&*db, TENANT, user, ItemId(5)),
        Err(StoreError::Unreadable { .. })
    ));
}

#[test]
fn a_full_page_is_a_small_row() {
    let (_dir, db) = fresh(EngineKind::Fjall);
    let user = UserId(1);
    for item in 0..PAGE_ITEMS {
        let mut batch = Batch::new();
        put_flags(&mut batch, TENANT, user, ItemId(item), None, &seen()).unwrap();
        run(db.commit(batch)).unwrap();
    }
    let one_by_one = db.get(&key(TENANT, user, 0)).unwrap().unwrap().len();
    let mut edits = FlagEdits::new(TENANT, user);
    for item in (0..PAGE_ITEMS).map(ItemId) {
        let old = flags(&*db, TENANT, user, item).unwrap();
        edits.put(item, old.as_ref(), &UserFlags::default()).unwrap();
    }
    let mut batch = Batch::new();
    edits.write_into(&mut batch);
    run(db.commit(batch)).unwrap();
    let at_once = db.get(&key(TENANT, user, 0)).unwrap().unwrap().len();
    assert!(one_by_one < 400 && at_once < 64, "{one_by_one}, {at_once}");
    assert_eq!(read_log(&*db, ModSeq(0), 9).len(), 128);
}

#[test]
fn a_damaged_page_is_told_and_not_read() {
    let page = FlagPage {
        at: 9,
        known: 3,
        earlier: 1,
        behind: vec![4],
        ..FlagPage::default()
    };
    assert_eq!((page.number(1), page.number(2), page.number(4)), (5, 9, 0));
    let damaged = [
        FlagPage {
            earlier: 4,
            ..page.clone()
        },
        FlagPage {
            behind: Vec::new(),
            ..page.clone()
        },
        FlagPage {
            behind: vec![9],
            ..page.clone()
        },
    ];
    assert!(FlagPage::decode(&row::encode(&page).unwrap()).is_ok());
    for damaged in damaged {
        assert!(FlagPage::decode(&row::encode(&damaged).unwrap()).is_err());
    }
    // Who would change it hears the same as who reads it: it is damaged, and will be so the next time.
    let (_dir, db) = fresh(EngineKind::Fjall);
    let (user, item) = (UserId(1), ItemId(1));
    let damaged = row::encode(&FlagPage {
        behind: Vec::new(),
        ..page
    });
    let mut batch = Batch::new();
    batch.put(key(TENANT, user, page_of(item)), damaged.unwrap());
    run(db.commit(batch)).unwrap();
    let read = flags(&*db, TENANT, user, item).unwrap_err();
    assert!(matches!(read, StoreError::Unreadable { .. }), "{read}");
    let mut edits = FlagEdits::new(TENANT, user);
    edits.put(item, None, &seen()).unwrap();
    let mut batch = Batch::new();
    edits.write_into(&mut batch);
    let refused = run(db.commit(batch)).unwrap_err();
    assert_eq!(refused, CommitError::Unreadable(read.to_string()));
}
