//! Many who idle in one mailbox: it is caught up once for all, who has nothing to hear reads nothing, and what could not be
//! told is told later.

use super::folders::Client;
use super::mailbox_house::{House, start};
use super::watched::watched;
use kepd::domain::item::Filed;
use kepd::domain::selector::Mailbox;
use kepd::id::UserId;
use kepd::service::mailbox::{MarkHow, Marks};
use kepd::store::db::CommitError;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

const MAIL: &[u8] = b"From: a@hs02.kep.test\r\nSubject: x\r\n\r\nbody\r\n";
const MANY: usize = 40;

#[tokio::test]
async fn one_catching_up_serves_all_who_listen() {
    let house = House::build().await;
    let (db, mailboxes) = watched(&house);
    let by = [house.user("mudur"), house.user("muavin")];
    let mut bell = mailboxes.bells.mailboxes.listen(house.tenant);
    house.put(MAIL, |_| {}).await;
    let mut here = Vec::new();
    let mut elsewhere = Vec::new();
    for n in 0..MANY {
        here.push(mailboxes.open(&by[n % 2], Mailbox::Inbox).await.unwrap());
        elsewhere.push(mailboxes.open(&by[n % 2], Mailbox::Archive).await.unwrap());
    }
    // A mail comes in: each hears of it, and its view is written once.
    bell.borrow_and_update();
    let item = house.put(MAIL, |_| {}).await;
    assert!(bell.has_changed().unwrap());
    let stroke = *bell.borrow_and_update();
    db.commits.store(0, Ordering::SeqCst);
    for (n, opened) in here.iter_mut().enumerate() {
        let news = mailboxes.hear(&by[n % 2], opened, stroke).await.unwrap();
        assert_eq!(news.added, [(2, item)]);
    }
    assert_eq!(db.commits.load(Ordering::SeqCst), 1);
    // Who idles elsewhere hears nothing, and after the first of them nothing is read for it.
    let mut first = 0;
    for (n, opened) in elsewhere.iter_mut().enumerate() {
        let news = mailboxes.hear(&by[n % 2], opened, stroke).await.unwrap();
        assert_eq!(news, Default::default());
        let scans = db.scans.load(Ordering::SeqCst);
        if n == 0 {
            first = scans;
        }
        assert_eq!(scans, first, "reader {n} read the store");
    }
    // What one of them flags is news for nobody else; what is archived is news for all, here and there.
    let flagged = Marks {
        flagged: true,
        ..Marks::default()
    };
    mailboxes
        .mark(&by[0], &[item], MarkHow::Add, &flagged)
        .await
        .unwrap();
    let stroke = *bell.borrow_and_update();
    for (n, opened) in here.iter_mut().enumerate() {
        let news = mailboxes.hear(&by[n % 2], opened, stroke).await.unwrap();
        assert_eq!(news.marks.len(), usize::from(n % 2 == 0), "{n}");
    }
    let filed = Filed {
        by: UserId(1),
        at: start(),
    };
    house.change(item, |item| item.archived = Some(filed)).await;
    let stroke = *bell.borrow_and_update();
    for n in 0..MANY {
        let news = mailboxes.hear(&by[n % 2], &mut here[n], stroke).await.unwrap();
        assert_eq!((news.added, news.removed), (vec![], vec![2]));
        let news = mailboxes
            .hear(&by[n % 2], &mut elsewhere[n], stroke)
            .await
            .unwrap();
        assert_eq!((news.added, news.removed), (vec![(1, item)], vec![]));
    }
    // A stroke that was heard already has nothing more to say, and the next one has.
    assert_eq!(
        mailboxes.hear(&by[0], &mut here[0], stroke).await.unwrap(),
        Default::default()
    );
    let item = house.put(MAIL, |_| {}).await;
    let stroke = *bell.borrow_and_update();
    let news = mailboxes.hear(&by[0], &mut here[0], stroke).await.unwrap();
    assert_eq!(news.added, [(3, item)]);
}

#[tokio::test]
async fn strokes_are_numbered_on_though_nobody_listened_meanwhile() {
    let house = House::build().await;
    let bell = &house.mailboxes.bells.mailboxes;
    let first = bell.listen(house.tenant);
    bell.ring(house.tenant);
    let heard = *first.borrow();
    drop(first);
    bell.ring(house.tenant);
    let again = bell.listen(house.tenant);
    assert!(*again.borrow() > heard);
}

#[tokio::test]
async fn what_could_not_be_told_is_told_later() {
    let house = House::build().await.with_passwords().await;
    let (db, mailboxes) = watched(&house);
    let door = Arc::new(crate::mailbox_house::door(mailboxes, house.accounts.clone()));
    let mut client = Client::connect(door).await;
    client.login("mudur").await;
    client.ok("SELECT INBOX").await;
    client.write("i IDLE\r\n").await;
    client.hears("+ idling").await;
    db.fail_once(CommitError::Unavailable("the disk is full".into()));
    // One stroke only: nobody rings again.
    house.put(MAIL, |_| {}).await;
    assert_eq!(client.line().await, "* 1 EXISTS");
    assert!(db.has_failed(), "the failure was met");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowd_that_idles_hears_every_mail() {
    let house = House::build().await.with_passwords().await;
    let door = super::imap_client::door(&house, Duration::ZERO);
    let mut clients = Vec::new();
    for n in 0..12 {
        let mut client = Client::connect(door.clone()).await;
        client.login(if n % 2 == 0 { "mudur" } else { "muavin" }).await;
        client.ok("SELECT INBOX").await;
        client.write("i IDLE\r\n").await;
        client.hears("+ idling").await;
        clients.push(client);
    }
    for _ in 0..5 {
        house.put(MAIL, |_| {}).await;
    }
    for client in &mut clients {
        client.hears("* 5 EXISTS").await;
    }
}
