//! The same for the store alone, under both engines: batches of several rows and a blob, from several callers at once.

use super::check::stored_blobs;
use super::{Draws, ORDERS, Orders, fresh_dir, number_from_env, run_to_death, tell};
use kepd::store::db::{Batch, Db, EngineKind, open};
use kepd::store::probe::{CRASH_POINTS, NoProbe};
use kepd::store::spool::Spool;
use kepd::store::tables::mails::digest;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Callers at once: their batches share groups.
const CALLERS: u64 = 4;
const ROWS: u8 = 5;
const BATCHES_MAX: u64 = 4000;

fn row_key(n: u64, row: u8) -> Vec<u8> {
    [b"n".as_slice(), &n.to_be_bytes(), &[row]].concat()
}

fn octets(n: u64) -> Vec<u8> {
    // The larger ones go through a file of their own.
    let len = if n % 5 == 4 { 100_000 } else { 3_000 };
    format!("{n:08} ").into_bytes().repeat(len / 9)
}

/// Not a test of its own: what the child process runs.
#[tokio::test]
async fn child() {
    let Ok(orders) = std::env::var(ORDERS) else { return };
    let orders: Orders = serde_json::from_str(&orders).unwrap();
    let db = open(orders.engine, &orders.dir.join("store"), orders.probe()).unwrap();
    let spool = Spool::open(&orders.dir.join("spool"), orders.probe()).unwrap();
    tell("\nready");
    let caller = |first: u64| {
        let (db, spool) = (db.clone(), spool.clone());
        async move {
            for n in (first..first + BATCHES_MAX).step_by(CALLERS as usize) {
                let blob = spool.store(&octets(n)).await.unwrap();
                let mut batch = Batch::new();
                for row in 0..ROWS {
                    batch.require_absent(row_key(n, row));
                    batch.put_stamped(
                        row_key(n, row),
                        None,
                        [vec![0; 8], blob.id.0.to_vec()].concat(),
                        Some(0),
                    );
                }
                db.commit(batch).await.unwrap();
                tell(&format!("ack {n}"));
            }
        }
    };
    let callers: Vec<_> = (0..CALLERS)
        .map(|k| tokio::spawn(caller(orders.first + k)))
        .collect();
    for caller in callers {
        caller.await.unwrap();
    }
}

/// Every acknowledged batch is there, and every batch is there whole or not at all.
fn check(db: &dyn Db, blobs: &BTreeSet<String>, acknowledged: &BTreeSet<u64>) -> u64 {
    let rows = db.range(b"n", b"o", usize::MAX).unwrap();
    let mut whole = BTreeSet::new();
    for batch in rows.chunks(usize::from(ROWS)) {
        let n = u64::from_be_bytes(batch[0].0[1..9].try_into().unwrap());
        for (row, (key, value)) in batch.iter().enumerate() {
            assert_eq!(*key, row_key(n, row as u8), "batch {n} is half there");
            assert_eq!(value[..8], batch[0].1[..8], "batch {n} has two numbers");
            assert_eq!(value[8..], digest(&octets(n)));
        }
        assert_eq!(batch.len(), usize::from(ROWS), "batch {n} is half there");
        let name: String = batch[0].1[8..].iter().map(|o| format!("{o:02x}")).collect();
        assert!(blobs.contains(&name), "the blob of batch {n} is missing");
        whole.insert(n);
    }
    let lost: Vec<_> = acknowledged.difference(&whole).collect();
    assert!(lost.is_empty(), "acknowledged and lost: {lost:?}");
    whole.last().map_or(0, |n| n + 1)
}

#[test]
fn crash_of_the_store_keeps_every_batch_whole() {
    if std::env::var(ORDERS).is_ok() {
        return;
    }
    let seed = number_from_env("KEPD_CRASH_SEED", 1);
    let kills = number_from_env("KEPD_CRASH_KILLS", 3);
    for engine in [EngineKind::Fjall, EngineKind::Sled] {
        let mut draws = Draws(seed);
        let dir = fresh_dir();
        let (mut first, mut acknowledged) = (0, BTreeSet::new());
        let points = CRASH_POINTS.map(|point| Some((point.to_owned(), 1 + draws.below(40))));
        for point in points.into_iter().chain((0..kills).map(|_| None)) {
            println!("seed {seed}, {engine:?}, kill at {point:?}, from batch {first}");
            let orders = Orders {
                dir: dir.path().to_owned(),
                first,
                clock_ms: 0,
                point,
                engine,
            };
            run_to_death("crash::rows::child", &orders, &mut draws, |line| {
                if let Some(n) = line.strip_prefix("ack ").and_then(|n| n.parse().ok()) {
                    acknowledged.insert(n);
                }
            });
            let db = open(engine, &dir.path().join("store"), Arc::new(NoProbe)).unwrap();
            drop(Spool::open(&dir.path().join("spool"), Arc::new(NoProbe)).unwrap());
            first = check(&*db, &stored_blobs(&dir.path().join("spool")), &acknowledged).max(first);
        }
        assert!(
            acknowledged.len() > 20,
            "{engine:?}: only {} batches",
            acknowledged.len()
        );
    }
}
