//! The bin of a whole daemon empties itself when its clock says so, and who idles in it hears it.

use super::mailbox_house::found;
use kepd::clock::{Clock, ManualClock, SystemClock};
use kepd::config::Config;
use kepd::daemon::{House, Surroundings};
use kepd::domain::audit::{AuditRoute, Origin};
use kepd::domain::selector::Mailbox;
use kepd::init::{NewProvider, Ports, init};
use kepd::service::account::Principal;
use kepd::service::mailbox::{Handling, Marks};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

const DRAFT: &[u8] = b"From: ornekas@hs01.kep.test\r\nSubject: x\r\n\r\nx\r\n";
/// Far longer than anything takes, so that what never comes fails the test instead of holding it up.
const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_daemon_empties_its_bin_when_its_clock_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let new = NewProvider {
        domain: "hs01.kep.test".parse().unwrap(),
        name: "HS01".into(),
        ports: Ports::Free,
    };
    let data = dir.path().join("hs01");
    init(&data, &new, SystemClock.now()).unwrap();
    let clock = Arc::new(ManualClock::at(SystemClock.now()));
    let around = Surroundings {
        clock: clock.clone(),
        ..Surroundings::default()
    };
    let config = Config::load(&data.join("kepd.toml")).unwrap();
    let house = House::open(config, around).await.unwrap();
    let services = house.services();
    let tenant = found(&services.organisations, "ornekas").await;
    let user = services.organisations.of(tenant).unwrap();
    let by = Principal {
        tenant,
        user: user.user_by_name("ayse").unwrap().id,
        login: "ayse@ornekas".parse().unwrap(),
        from: Origin::Inside,
    };
    let mailboxes = &services.mailboxes;
    let mut saving = mailboxes
        .append(&by, Mailbox::Drafts, DRAFT.len() as u64)
        .await
        .unwrap();
    saving.write(DRAFT).await.unwrap();
    saving.finish(&Marks::default(), None).await.unwrap().unwrap();
    let drafts = mailboxes.open(&by, Mailbox::Drafts).await.unwrap();
    let which: Vec<_> = drafts.members().map(|(_, id)| id).collect();
    let thrown = mailboxes.handle(&by, &which, Handling::Trash, AuditRoute::Kepctl);
    thrown.await.unwrap();
    let mut bin = mailboxes.open(&by, Mailbox::Trash).await.unwrap();
    assert_eq!(bin.roster().len(), 1);
    let mut bell = mailboxes.bells.mailboxes.listen(tenant);
    bell.borrow_and_update();
    clock.advance(Duration::from_secs(30 * 24 * 3600));
    let emptied = async {
        while mailboxes.poll(&by, &mut bin).await.unwrap().removed.is_empty() {
            bell.changed().await.unwrap();
        }
    };
    timeout(PATIENCE, emptied).await.unwrap();
    assert_eq!(
        mailboxes.open(&by, Mailbox::Trash).await.unwrap().roster().len(),
        0
    );
    house.close().await;
}
