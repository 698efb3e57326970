//! The account as rows: movements of one batch, many at once, and stores that are opened anew.

use super::*;
use crate::domain::credit::{MovementKind, UNITS_MAX};
use crate::store::db::{CommitError, EngineKind, open};
use crate::store::probe::NoProbe;
use proptest::prelude::*;
use std::path::Path;

const TENANT: TenantId = TenantId(7);
const TERMS: CreditTerms = CreditTerms {
    overdraft: 0,
    warn_below: 3,
};

fn engine(dir: &Path, kind: EngineKind) -> Arc<dyn Db> {
    open(kind, dir, Arc::new(NoProbe)).unwrap()
}

fn posting(kind: MovementKind, units: u64) -> Posting {
    Posting {
        tenant: TENANT,
        terms: Some(TERMS),
        movement: Movement { kind, units },
        mail: None,
        by: Author::clock(),
        at: UtcTime::from_unix_s(1_795_000_000),
        note: String::new(),
    }
}

async fn commit(db: &dyn Db, postings: Vec<Posting>) -> Result<(), CommitError> {
    let mut batch = Batch::new();
    for posting in postings {
        post(&mut batch, posting);
    }
    db.commit(batch).await.map(drop)
}

fn owed_rows(db: &dyn Db) -> usize {
    work::all::<LowCredit>(db).unwrap().len()
}

#[tokio::test]
async fn movements_of_one_batch_follow_each_other_or_none_is_made() {
    let dir = tempfile::tempdir().unwrap();
    let db = engine(dir.path(), EngineKind::Fjall);
    use MovementKind::*;
    commit(&*db, vec![posting(Added, 5), posting(Reserved, 5)])
        .await
        .unwrap();
    assert_eq!(owed_rows(&*db), 1, "told in the commit that made it low");
    // What is given back in a batch can be claimed in it.
    commit(&*db, vec![posting(Released, 5), posting(Charged, 4)])
        .await
        .unwrap();
    let stands = account(&*db, TENANT).unwrap();
    assert_eq!((stands.balance, stands.reserved, stands.movements), (1, 0, 4));
    let refused = commit(&*db, vec![posting(Charged, 1), posting(Charged, 1)]).await;
    let Err(CommitError::Conflict { key }) = refused else {
        panic!("{refused:?}")
    };
    assert!(is_account(TENANT, &key) && !is_account(TenantId(8), &key));
    assert_eq!(account(&*db, TENANT).unwrap(), stands);
    let history = back(&*db, TENANT, None, 10).unwrap();
    let told: Vec<_> = history
        .iter()
        .map(|e| (e.number, e.movement.units, e.balance, e.reserved))
        .collect();
    assert_eq!(told, [(4, 4, 1, 0), (3, 5, 5, 0), (2, 5, 5, 5), (1, 5, 5, 0)]);
    assert_eq!(back(&*db, TENANT, Some(3), 1).unwrap()[0].number, 2);
    assert_eq!(owed_rows(&*db), 1);
}

/// The committer decides by what is there: none of many at once waits for another, and none spends what another has.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_at_once_spend_each_unit_once_and_nobody_is_turned_away_before() {
    let dir = tempfile::tempdir().unwrap();
    let db = engine(dir.path(), EngineKind::Fjall);
    commit(&*db, vec![posting(MovementKind::Added, 40)])
        .await
        .unwrap();
    let mut all = tokio::task::JoinSet::new();
    for _ in 0..60 {
        let db = db.clone();
        all.spawn(async move {
            commit(&*db, vec![posting(MovementKind::Charged, 1)])
                .await
                .is_ok()
        });
    }
    let mut charged = 0;
    while let Some(done) = all.join_next().await {
        charged += usize::from(done.unwrap());
    }
    assert_eq!(charged, 40, "each at its first attempt");
    let stands = account(&*db, TENANT).unwrap();
    assert_eq!((stands.balance, stands.movements), (0, 41));
    assert_eq!(back(&*db, TENANT, None, 100).unwrap().len(), 41);
    assert_eq!(owed_rows(&*db), 1);
}

/// To try again is of no use: it is no conflict.
#[tokio::test]
async fn an_account_that_is_not_what_its_mails_claim_is_damaged_and_said_to_be() {
    let dir = tempfile::tempdir().unwrap();
    let db = engine(dir.path(), EngineKind::Fjall);
    use MovementKind::*;
    commit(&*db, vec![posting(Added, 5), posting(Reserved, 1)])
        .await
        .unwrap();
    let stands = account(&*db, TENANT).unwrap();
    for kind in [Released, Settled] {
        let refused = commit(&*db, vec![posting(kind, 2)]).await.unwrap_err();
        let why = "more is given back than was reserved";
        assert!(
            matches!(&refused, CommitError::Unreadable(said) if said.contains(why)),
            "{refused:?}"
        );
    }
    // Bad input is no damage.
    for (kind, units) in [
        (Reserved, 5),
        (Charged, 5),
        (Added, UNITS_MAX),
        (Corrected, u64::MAX),
    ] {
        let refused = commit(&*db, vec![posting(kind, units)]).await;
        assert!(matches!(refused, Err(CommitError::Conflict { .. })), "{kind:?}");
    }
    assert_eq!(account(&*db, TENANT).unwrap(), stands);
    let mut batch = Batch::new();
    batch.put(account_key(TENANT), b"no row".to_vec());
    db.commit(batch).await.unwrap();
    let refused = commit(&*db, vec![posting(Released, 1)]).await;
    assert!(matches!(refused, Err(CommitError::Unreadable(_))), "{refused:?}");
}

#[tokio::test]
async fn other_terms_find_anew_whether_it_is_low() {
    let dir = tempfile::tempdir().unwrap();
    let db = engine(dir.path(), EngineKind::Fjall);
    let at = UtcTime::from_unix_s(1_795_000_000);
    let judged = |warn_below: Option<u64>| {
        let mut batch = Batch::new();
        let terms = warn_below.map(|warn_below| CreditTerms {
            overdraft: 0,
            warn_below,
        });
        judge(&mut batch, TENANT, terms, at);
        batch
    };
    let warned = || account(&*db, TENANT).unwrap().warned;
    // Where nothing ever moved there is nothing to judge.
    db.commit(judged(Some(9))).await.unwrap();
    assert_eq!((warned(), owed_rows(&*db)), (false, 0));
    commit(&*db, vec![posting(MovementKind::Added, 5)]).await.unwrap();
    for (mark, is_warned, rows) in [
        (Some(9), true, 1),
        (Some(10), true, 1),
        (Some(5), false, 1),
        (None, false, 1),
    ] {
        db.commit(judged(mark)).await.unwrap();
        assert_eq!((warned(), owed_rows(&*db)), (is_warned, rows), "{mark:?}");
    }
    let mut batch = Batch::new();
    require_not_warned(&mut batch, TENANT);
    assert!(db.commit(batch.clone()).await.is_ok());
    db.commit(judged(Some(6))).await.unwrap();
    assert!(matches!(
        db.commit(batch).await,
        Err(CommitError::Conflict { .. })
    ));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    /// On both engines, fjall closed and opened at any moment (threads of sled may hold its lock for a moment longer than
    /// its handle): the account is the sum of its history, entry by entry.
    #[test]
    fn the_account_is_the_sum_of_its_history_whenever_the_store_is_opened(
        steps in proptest::collection::vec((0..6usize, 0..6u64, any::<bool>()), 1..40),
        sled in any::<bool>(),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let kind = if sled { EngineKind::Sled } else { EngineKind::Fjall };
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let mut db = engine(dir.path(), kind);
        for (step, units, reopen) in steps {
            let _ = runtime.block_on(commit(&*db, vec![posting(MovementKind::ALL[step], units)]));
            if reopen && kind == EngineKind::Fjall {
                drop(db);
                db = engine(dir.path(), kind);
            }
            let (mut balance, mut reserved) = (0i64, 0i64);
            let mut history = back(&*db, TENANT, None, 100).unwrap();
            history.reverse();
            for (n, entry) in (1..).zip(&history) {
                let units = entry.movement.units as i64;
                match entry.movement.kind {
                    MovementKind::Added => balance += units,
                    MovementKind::Corrected | MovementKind::Charged => balance -= units,
                    MovementKind::Reserved => reserved += units,
                    MovementKind::Released => reserved -= units,
                    MovementKind::Settled => (balance, reserved) = (balance - units, reserved - units),
                }
                prop_assert_eq!((entry.number, entry.balance, entry.reserved as i64), (n, balance, reserved));
            }
            let stands = account(&*db, TENANT).unwrap();
            prop_assert_eq!((stands.balance, stands.reserved as i64, stands.movements), (balance, reserved, history.len() as u64));
        }
    }
}
