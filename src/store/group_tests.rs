//! Who commits: he who comes alone does it himself, for others a thread does, and nobody else waits for either.

use super::conformance::{put, run};
use super::*;
use crate::store::db;
use crate::store::probe::NoProbe;
use std::io::{Read as _, Write as _};
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::task::JoinHandle;

/// Far beyond what any of it takes: who waits so long waits for ever.
const FOR_EVER: Duration = Duration::from_secs(20);

/// Says on which thread a group is written, and holds it before the sync until it is let go.
struct Gate {
    reached: Sender<String>,
    open: Mutex<Receiver<()>>,
}

impl Probe for Gate {
    fn reached(&self, point: &'static str) {
        if point == probe::BEFORE_SYNC {
            let name = std::thread::current().name().unwrap_or_default().to_owned();
            self.reached.send(name).unwrap();
            self.open.lock().unwrap().recv_timeout(FOR_EVER).unwrap();
        }
    }
}

struct Gated {
    _dir: tempfile::TempDir,
    db: Arc<dyn Db>,
    at_gate: Receiver<String>,
    go: Sender<()>,
}

impl Gated {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let ((reached, at_gate), (go, open)) = (channel(), channel());
        let open = Mutex::new(open);
        let gate = Arc::new(Gate { reached, open });
        let db = db::open(EngineKind::Fjall, dir.path(), gate).unwrap();
        Self {
            _dir: dir,
            db,
            at_gate,
            go,
        }
    }

    /// A commit in a task of its own.
    fn commit(&self, key: &'static str) -> JoinHandle<CommitSeq> {
        let db = self.db.clone();
        tokio::spawn(async move { db.commit(put(key, "1")).await.unwrap() })
    }

    fn go(&self) {
        self.go.send(()).unwrap();
    }

    /// The thread that has come to the gate.
    fn who_writes(&self) -> String {
        self.at_gate.recv_timeout(FOR_EVER).unwrap()
    }
}

fn workers(count: usize) -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(count)
        .thread_name("worker")
        .enable_all()
        .build()
        .unwrap()
}

/// A task behind those that were spawned before; it comes to its turn only if some thread works.
async fn who_was_before_has_had_his_turn() {
    let last = tokio::time::timeout(FOR_EVER, tokio::spawn(async {}));
    last.await.expect("another thread takes over").unwrap();
}

#[test]
fn who_comes_alone_writes_himself_and_who_comes_meanwhile_is_of_one_group() {
    let gated = Gated::new();
    workers(2).block_on(async {
        let first = gated.commit("a");
        assert_eq!(gated.who_writes(), "worker");
        assert_eq!(gated.db.begun(), CommitSeq(1), "it may be seen from now on");
        assert_eq!(gated.db.get(b"a").unwrap(), None);
        // One worker waits for the disk. The other does what there is to do.
        let (second, third) = (gated.commit("b"), gated.commit("c"));
        who_was_before_has_had_his_turn().await;
        gated.go();
        assert_eq!(first.await.unwrap(), CommitSeq(1));
        assert_eq!(gated.who_writes(), "committer");
        assert_eq!(gated.db.begun(), CommitSeq(3));
        gated.go();
        assert_eq!(second.await.unwrap(), CommitSeq(2));
        assert_eq!(third.await.unwrap(), CommitSeq(3));
        assert!(gated.at_gate.try_recv().is_err(), "both were one write");
        let fourth = gated.commit("d");
        assert_eq!(gated.who_writes(), "worker", "nobody waits any more");
        gated.go();
        assert_eq!(fourth.await.unwrap(), CommitSeq(4));
    });
}

#[test]
fn nobody_gets_before_who_waits() {
    let gated = Gated::new();
    workers(2).block_on(async {
        let db = gated.db.clone();
        let twice = tokio::spawn(async move {
            db.commit(put("a", "1")).await.unwrap();
            db.commit(put("c", "1")).await.unwrap()
        });
        assert_eq!(gated.who_writes(), "worker");
        let waits = gated.commit("b");
        who_was_before_has_had_his_turn().await;
        gated.go();
        assert_eq!(gated.who_writes(), "committer");
        gated.go();
        gated.go();
        assert_eq!(waits.await.unwrap(), CommitSeq(2));
        assert_eq!(twice.await.unwrap(), CommitSeq(3));
    });
}

#[test]
fn who_gave_up_is_committed_all_the_same_and_waits_no_more() {
    let gated = Gated::new();
    workers(2).block_on(async {
        let first = gated.commit("a");
        assert_eq!(gated.who_writes(), "worker");
        let gives_up = gated.commit("b");
        who_was_before_has_had_his_turn().await;
        gives_up.abort();
        assert!(gives_up.await.is_err());
        gated.go();
        first.await.unwrap();
        assert_eq!(gated.who_writes(), "committer", "it was handed in");
        gated.go();
        // Behind the one before it, which nobody waits for.
        let (behind, queued) = (gated.commit("c"), gated.at_gate.recv_timeout(FOR_EVER).unwrap());
        gated.go();
        assert_eq!(behind.await.unwrap(), CommitSeq(3), "{queued}");
        let alone = gated.commit("d");
        assert_eq!(gated.who_writes(), "worker");
        gated.go();
        assert_eq!(alone.await.unwrap(), CommitSeq(4));
    });
}

#[test]
fn where_nobody_would_take_over_a_thread_writes() {
    let gated = Gated::new();
    gated.go();
    run(gated.db.commit(put("a", "1"))).unwrap();
    assert_eq!(gated.who_writes(), "committer");
    // Nor is there another where the runtime has only one worker,
    gated.go();
    let seq = workers(1).block_on(async { gated.commit("b").await.unwrap() });
    assert_eq!(seq, CommitSeq(2));
    assert_eq!(gated.who_writes(), "committer");
    // or is he one of many who is only waited for.
    gated.go();
    let runtime = workers(2);
    std::thread::scope(|scope| {
        let aside = scope.spawn(|| runtime.handle().block_on(gated.db.commit(put("c", "1"))));
        assert_eq!(aside.join().unwrap().unwrap(), CommitSeq(3));
    });
    assert_eq!(gated.who_writes(), "committer");
}

/// Two ends of a socket: one outside, which may wait, and one within the runtime.
fn socket() -> (std::os::unix::net::UnixStream, UnixStream) {
    let (outside, inside) = std::os::unix::net::UnixStream::pair().unwrap();
    outside.set_read_timeout(Some(FOR_EVER)).unwrap();
    inside.set_nonblocking(true).unwrap();
    (outside, UnixStream::from_std(inside).unwrap())
}

/// Whoever looks after the sockets is the one that now waits for the disk, and the other worker sleeps.
#[test]
fn while_one_waits_for_the_disk_sockets_are_answered() {
    let gated = Gated::new();
    let runtime = workers(2);
    let guard = runtime.enter();
    let ((mut asks, mut asked), (mut calls, mut called)) = (socket(), socket());
    drop(guard);
    let db = gated.db.clone();
    let commits = runtime.spawn(async move {
        while asked.read_u8().await.unwrap() == 0 {
            asked.write_u8(0).await.unwrap();
        }
        db.commit(put("a", "1")).await.unwrap();
    });
    let answers = runtime.spawn(async move {
        let octet = called.read_u8().await.unwrap();
        called.write_u8(octet).await.unwrap();
    });
    let mut answer = [0];
    // Until one alone goes to and fro between the socket and the task.
    for _ in 0..200 {
        asks.write_all(&[0]).unwrap();
        asks.read_exact(&mut answer).unwrap();
    }
    asks.write_all(&[1]).unwrap();
    assert_eq!(gated.who_writes(), "worker");
    calls.write_all(&[2]).unwrap();
    calls.read_exact(&mut answer).expect("another worker is woken");
    assert_eq!(answer, [2]);
    gated.go();
    runtime.block_on(async { tokio::try_join!(commits, answers).unwrap() });
}

#[test]
fn who_commits_and_commits_lets_others_in() {
    let dir = tempfile::tempdir().unwrap();
    let db = db::open(EngineKind::Sled, dir.path(), Arc::new(NoProbe)).unwrap();
    workers(2).block_on(async {
        let done = Arc::new(AtomicBool::new(false));
        let other = done.clone();
        let commits = tokio::spawn(async move {
            let mut in_one_go = 0;
            let never = async {
                while !other.load(Ordering::SeqCst) {
                    db.commit(put("a", "1")).await.unwrap();
                    in_one_go += 1;
                }
            };
            // In one task: what is not polled does not come to its turn.
            tokio::select! {
                biased;
                () = never => panic!("only the other ends it"),
                () = std::future::ready(()) => {}
            }
            assert!(
                in_one_go <= 8,
                "{in_one_go} commits before anybody else came to his turn"
            );
        });
        let ended = tokio::time::timeout(FOR_EVER, commits).await;
        done.store(true, Ordering::SeqCst);
        ended.expect("it lets the other in").unwrap();
    });
}

/// A row that was seen stems from a commit that has begun, whoever reads.
#[test]
fn what_is_seen_has_begun() {
    for kind in [EngineKind::Fjall, EngineKind::Sled] {
        let dir = tempfile::tempdir().unwrap();
        let db = db::open(kind, dir.path(), Arc::new(NoProbe)).unwrap();
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    while !done.load(Ordering::SeqCst) {
                        let Some(row) = db.get(b"s").unwrap() else {
                            continue;
                        };
                        let seen = u64::from_be_bytes(row.try_into().unwrap());
                        let begun = db.begun().0;
                        assert!(seen <= begun, "{kind:?}: {seen} was seen, {begun} had begun");
                    }
                });
            }
            for _ in 0..300 {
                let mut batch = Batch::new();
                batch.put_stamped(b"s".to_vec(), None, vec![0; 8], Some(0));
                run(db.commit(batch)).unwrap();
            }
            done.store(true, Ordering::SeqCst);
        });
    }
}

#[test]
fn nothing_has_begun_that_was_refused() {
    let dir = tempfile::tempdir().unwrap();
    let db = db::open(EngineKind::Fjall, dir.path(), Arc::new(NoProbe)).unwrap();
    let seq = run(db.commit(put("a", "1"))).unwrap();
    let mut refused = put("b", "1");
    refused.require_absent(b"a".to_vec());
    assert!(matches!(
        run(db.commit(refused)),
        Err(CommitError::Conflict { .. })
    ));
    assert_eq!(db.begun(), seq);
    drop(db);
    let db = db::open(EngineKind::Fjall, dir.path(), Arc::new(NoProbe)).unwrap();
    assert_eq!(
        db.begun(),
        seq,
        "what was there before is known from the beginning"
    );
}

struct Fails;

impl Probe for Fails {
    fn reached(&self, point: &'static str) {
        assert_ne!(
            point,
            probe::BEFORE_ACK,
            "a fault of the program behind the write"
        );
    }
}

#[test]
fn after_a_panic_nothing_more_is_taken() {
    let dir = tempfile::tempdir().unwrap();
    let db = db::open(EngineKind::Fjall, dir.path(), Arc::new(Fails)).unwrap();
    workers(2).block_on(async {
        for (key, panics) in [("a", true), ("b", false), ("c", false)] {
            let db = db.clone();
            let committed = tokio::spawn(async move { db.commit(put(key, "1")).await }).await;
            match panics {
                true => assert!(committed.is_err()),
                false => assert!(matches!(committed.unwrap(), Err(CommitError::Broken(_)))),
            }
        }
    });
    assert_eq!(db.get(b"b").unwrap(), None);
    drop(db);
    // The same where the committer's own thread meets it.
    let db = db::open(EngineKind::Fjall, dir.path(), Arc::new(Fails)).unwrap();
    for key in ["d", "e"] {
        assert!(matches!(
            run(db.commit(put(key, "1"))),
            Err(CommitError::Broken(_))
        ));
    }
    assert_eq!(db.get(b"e").unwrap(), None);
}
