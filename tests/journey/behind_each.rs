//! What is done behind each command of many that follow each other: nothing is looked for behind a mark of one's own, and a
//! draft comes in by one commit.

use super::folders::Client;
use super::mailbox_house::{House, door};
use super::watched::{Watched, watched};
use kepd::clock::Clock as _;
use kepd::domain::selector::Mailbox;
use kepd::service::mailbox::{Mailboxes, Marks};
use kepd::service::organisation::Deputising;
use kepd::store::db::CommitError;
use std::sync::Arc;

const MAIL: &[u8] = b"From: a@hs02.kep.test\r\nSubject: x\r\n\r\nbody\r\n";
const DAY: std::time::Duration = std::time::Duration::from_secs(24 * 3600);

async fn opened(house: &House, user: &str, mailbox: &str) -> (Arc<Watched>, Client) {
    let (db, mailboxes) = watched(house);
    let mut client = Client::connect(Arc::new(door(mailboxes, house.accounts.clone()))).await;
    client.login(user).await;
    client.ok(&format!("SELECT {mailbox}")).await;
    (db, client)
}

#[tokio::test]
async fn who_marks_one_message_after_the_other_looks_for_nothing_behind_each() {
    let house = House::build().await.with_passwords().await;
    for _ in 0..3 {
        house.put(MAIL, |_| {}).await;
    }
    let (db, mut client) = opened(&house, "mudur", "INBOX").await;
    let mut numbers = Vec::new();
    for command in [
        "STORE 1 +FLAGS (\\Flagged)",
        "STORE 2 +FLAGS.SILENT (\\Seen)",
        "STORE 1:3 -FLAGS (\\Flagged \\Seen)",
        "UID STORE 2 FLAGS ($Onemli)",
    ] {
        (db.scanned(), db.committed());
        client.ok(command).await;
        assert_eq!((db.scanned(), db.committed()), (0, 1), "{command}");
        // What its clients know it up to goes on with it (RFC 7162 3.1.2.1).
        let status = client.ok("STATUS INBOX (HIGHESTMODSEQ)").await;
        numbers.push(status.lines().next().unwrap().to_owned());
    }
    numbers.dedup();
    assert_eq!(numbers.len(), 4, "{numbers:?}");
    // A mail that came meanwhile is told behind the next.
    house.put(MAIL, |_| {}).await;
    let said = client.ok("STORE 1 +FLAGS (\\Flagged)").await;
    assert!(said.contains("* 4 EXISTS"), "{said}");
    // So is what the same user says elsewhere, and what somebody else does to a message.
    let mut other = Client::of(&house, "mudur").await;
    other.ok("SELECT INBOX").await;
    other.ok("STORE 3 +FLAGS (\\Answered)").await;
    let said = client.ok("STORE 1 -FLAGS (\\Flagged)").await;
    assert!(
        said.contains("* 3 FETCH") && said.contains("\\Answered"),
        "{said}"
    );
    other.ok("UID MOVE 2 \"Arşiv\"").await;
    let said = client.ok("UID STORE 1 +FLAGS (\\Flagged)").await;
    assert!(said.contains("* 2 EXPUNGE"), "{said}");
}

#[tokio::test]
async fn where_flags_decide_what_is_there_a_mark_is_looked_behind() {
    let house = House::build().await.with_passwords().await;
    for _ in 0..2 {
        house.put(MAIL, |_| {}).await;
    }
    let (_, mut client) = opened(&house, "mudur", "INBOX").await;
    client.ok("STORE 1:2 +FLAGS (\\Flagged)").await;
    client.ok("SELECT \"Önemli\"").await;
    let said = client.ok("UID STORE 1 -FLAGS (\\Flagged)").await;
    assert!(said.contains("* 1 EXPUNGE"), "{said}");
}

#[tokio::test]
async fn who_sits_elsewhere_than_before_looks_again() {
    let house = House::build().await.with_passwords().await;
    house.put(MAIL, |_| {}).await;
    let wish = Deputising {
        deputy: "mudur".into(),
        from: Some(house.clock.now().plus(DAY)),
        until: house.clock.now().plus(DAY * 2),
    };
    let organisations = house.mailboxes.organisations.by(crate::provider::admin());
    let set = organisations.set_deputy(house.tenant, "onay1", &wish).await;
    set.unwrap();
    let (db, mut client) = opened(&house, "mudur", "INBOX").await;
    let mut looks = async || {
        client.ok("STORE 1 +FLAGS (\\Flagged)").await;
        db.scanned();
        client.ok("STORE 1 -FLAGS (\\Flagged)").await;
        db.scanned()
    };
    assert_eq!(looks().await, 0);
    // Nobody wrote anything: his time has come.
    client.ok("STORE 1 +FLAGS (\\Flagged)").await;
    house.clock.advance(DAY);
    db.scanned();
    client.ok("STORE 1 -FLAGS (\\Flagged)").await;
    assert_ne!(db.scanned(), 0, "what he may see is asked anew");
    client.ok("STORE 1 +FLAGS (\\Flagged)").await;
    assert_eq!(db.scanned(), 0);
}

async fn bring(
    mailboxes: &Arc<Mailboxes>,
    by: &kepd::service::account::Principal,
    n: u32,
) -> Option<(u32, u32)> {
    let octets = format!("From: a@hs01.kep.test\r\nMessage-ID: <{n}@x>\r\n\r\nbody\r\n").into_bytes();
    let size = octets.len() as u64;
    let mut appending = mailboxes.append(by, Mailbox::Drafts, size).await.unwrap();
    appending.write(&octets).await.unwrap();
    appending.finish(&Marks::default(), None).await.unwrap()
}

#[tokio::test]
async fn a_draft_comes_in_by_one_commit() {
    let house = House::build().await;
    let (db, mailboxes) = watched(&house);
    let by = house.user("mudur");
    // The first finds no mailbox made.
    let (uid_validity, first) = bring(&mailboxes, &by, 1).await.unwrap();
    db.committed();
    let told = bring(&mailboxes, &by, 2).await;
    assert_eq!((told, db.committed()), (Some((uid_validity, first + 1)), 1));
    let opened = mailboxes.open(&by, Mailbox::Drafts).await.unwrap();
    let item = opened.item(first + 1).unwrap();
    assert_eq!(
        opened.members().map(|(uid, _)| uid).collect::<Vec<_>>(),
        [first, first + 1]
    );
    assert_eq!((db.committed(), opened.known_to()), (0, house.item(item).modseq));
    // Where the mailbox moved meanwhile it comes in all the same, once, behind what moved it.
    db.fail_once(CommitError::Conflict { key: Vec::new() });
    let told = bring(&mailboxes, &by, 3).await;
    assert_eq!((told, db.committed()), (Some((uid_validity, first + 2)), 3));
    assert!(db.has_failed());
    let opened = mailboxes.open(&by, Mailbox::Drafts).await.unwrap();
    assert_eq!(opened.roster().len(), 3);
    // So does one where much has to be asked first: mails that came in are none of its own, but have to be looked at.
    for _ in 0..3 {
        house.put(MAIL, |_| {}).await;
    }
    db.committed();
    assert_eq!(bring(&mailboxes, &by, 4).await, Some((uid_validity, first + 3)));
    assert_eq!(db.committed(), 1);
}
