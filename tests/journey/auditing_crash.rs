//! The process ends at every durable step of sealing a day: what was left is sealed by the next start, once, and the chain
//! is whole.

use crate::auditing::{auditing, turn_to_the_next_night};
use crate::provider::{Provider, START, Wires, admin, shared_pki};
use kepd::clock::{Clock as _, ManualClock, UtcTime};
use kepd::domain::tenant::TenantKind;
use kepd::store::probe::{CRASH_POINTS, NoProbe, Probe};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

const ORDERS: &str = "KEPD_AUDIT_CRASH_CHILD";
const DOMAIN: &str = "hs01.kep.test";
/// A step of a kind is reached a few times in one sealing.
const REACHED_MAX: u64 = 12;

#[derive(Serialize, Deserialize)]
struct Orders {
    dir: PathBuf,
    clock_ms: i64,
    point: String,
    nth: u64,
    label: String,
}

/// Ends the process at the `left`th reach of its point, once it is set.
struct Trap {
    point: String,
    left: AtomicU64,
}

impl Probe for Trap {
    fn reached(&self, point: &'static str) {
        if point == self.point && self.left.fetch_sub(1, Ordering::SeqCst) == 1 {
            std::process::abort();
        }
    }
}

struct Served {
    provider: Provider,
    wires: Wires,
    clock: Arc<ManualClock>,
}

impl Served {
    fn open(dir: &Path, at: UtcTime, probe: Arc<dyn Probe>) -> Self {
        shared_pki(DOMAIN, dir);
        let (clock, wires) = (Arc::new(ManualClock::at(at)), Wires::default());
        let provider = Provider::open_probed(DOMAIN, &dir.join("hs01"), &clock, &wires, probe);
        Self {
            provider,
            wires,
            clock,
        }
    }

    async fn add_label(&self, name: &str) {
        let tenant = self.provider.tenant("ornekas");
        let change = self.provider.organisations.by(admin());
        change.add_label(tenant, name).await.unwrap();
    }

    /// Lets go of the store: the wires hold the provider.
    fn close(self) {
        self.wires.cut(DOMAIN);
    }
}

/// Not a test of its own: what the child process runs. Without orders it returns at once.
#[tokio::test(flavor = "multi_thread")]
async fn sealing_child() {
    let Ok(orders) = std::env::var(ORDERS) else { return };
    let orders: Orders = serde_json::from_str(&orders).unwrap();
    let trap = Arc::new(Trap {
        point: orders.point,
        left: AtomicU64::new(0),
    });
    let served = Served::open(&orders.dir, UtcTime::from_unix_ms(orders.clock_ms), trap.clone());
    served.add_label(&orders.label).await;
    turn_to_the_next_night(&served.provider);
    trap.left.store(orders.nth, Ordering::SeqCst);
    auditing(&served.provider).run_due().await.unwrap();
    // Nothing is due any more: what is reached now is the end of the process.
    trap.left.store(0, Ordering::SeqCst);
    println!("sealed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_ends_while_it_seals_loses_and_doubles_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let served = Served::open(dir.path(), START, Arc::new(NoProbe));
    served.provider.add_tenant("ornekas", TenantKind::Tuzel).await;
    let sealed = auditing(&served.provider).run_due().await.unwrap();
    assert_eq!(sealed, 1);
    let mut now = served.clock.now();
    served.close();
    let (mut days, mut deaths, mut open) = (1, 0, 1);
    for point in CRASH_POINTS {
        for nth in 1..=REACHED_MAX {
            let label = format!("{point} {nth}");
            let orders = Orders {
                dir: dir.path().to_owned(),
                clock_ms: now.unix_ms(),
                point: point.into(),
                nth,
                label: label.clone(),
            };
            let died = run(&orders);
            deaths += usize::from(died);
            days += 1;
            let served = Served::open(dir.path(), now, Arc::new(NoProbe));
            turn_to_the_next_night(&served.provider);
            let auditing = auditing(&served.provider);
            // Done already if it died behind its commit.
            assert!(auditing.run_due().await.unwrap() <= 1, "{label}");
            assert_eq!(auditing.run_due().await.unwrap(), 0, "{label}: once a day");
            let found = auditing.book.verify(None).await.unwrap();
            assert!(found.is_ok(), "{label}: {found:?}");
            assert_eq!(found.segments.len(), days, "{label}: one segment a day");
            // Of this day: the label, and that the day before was sealed.
            let last = found.segments.last().unwrap().checked.as_ref().unwrap();
            assert_eq!((last.records, found.open_records), (1 + open, 1), "{label}");
            open = found.open_records;
            now = served.clock.now();
            served.close();
            if !died {
                break;
            }
            assert!(nth < REACHED_MAX, "{point} has no end");
        }
    }
    assert!(deaths >= CRASH_POINTS.len(), "every point was reached: {deaths}");
}

/// Whether the child died at its point; it must not end otherwise.
fn run(orders: &Orders) -> bool {
    let child = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "auditing_crash::sealing_child",
            "--nocapture",
            "--test-threads=1",
        ])
        .env(ORDERS, serde_json::to_string(orders).unwrap())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&child.stdout);
    if said.contains("sealed") {
        return false;
    }
    use std::os::unix::process::ExitStatusExt as _;
    let why = String::from_utf8_lossy(&child.stderr);
    assert!(child.status.signal().is_some(), "{said} {why}");
    true
}
