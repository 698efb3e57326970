//! What is done behind each command of many that follow each other: nothing is looked for behind a mark of one's own, and a
//! draft comes in by one commit.

use super::folders::Client;
use super::mailbox_house::{House, door};
use super::watched::{Watched, watched};
use kepd::clock::Clock as _;
use kepd::domain::selector::Mailbox;
use kepd::service::mailbox::{Mailboxes, MarkHow, Marks};
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
    for command in [
        "STORE 1 +FLAGS (\\Flagged)",
        "STORE 2 +FLAGS.SILENT (\\Seen)",
        "STORE 1:3 -FLAGS (\\Flagged \\Seen)",
        "UID STORE 2 FLAGS ($Onemli)",
    ] {
        db.scanned();
        db.committed();
        client.ok(command).await;
        assert_eq!((db.scanned(), db.committed()), (0, 1), "{command}");
    }
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

/// What its user knows an open mailbox up to goes on with what he marks (RFC 7162 3.1.2.1), if he was answered that.
#[tokio::test]
async fn what_is_known_goes_on_with_ones_own_marks() {
    let house = House::build().await;
    let item = house.put(MAIL, |_| {}).await;
    let (db, mailboxes) = watched(&house);
    let by = house.user("mudur");
    let mut opened = mailboxes.open(&by, Mailbox::Inbox).await.unwrap();
    for (how, answered) in [(MarkHow::Add, true), (MarkHow::Remove, false)] {
        let flagged = Marks {
            flagged: true,
            ..Marks::default()
        };
        let marked = mailboxes
            .mark_in(&by, Some(&opened), &[(1, item)], how, &flagged, None)
            .await;
        let marked = marked.unwrap();
        let at = marked.done[0].changed_at;
        if answered {
            opened.answered([(item, at)]);
            opened.answered_whole(marked.his_alone);
        }
        db.scanned();
        let news = mailboxes.poll(&by, &mut opened).await.unwrap();
        assert_eq!(news.marks.len(), usize::from(!answered));
        assert_eq!((db.scanned() == 0, opened.known_to()), (answered, at));
    }
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

/// A client saves a draft; gives what it hears of it.
pub async fn bring(
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
    // A few mails that came in elsewhere are looked at beside it. Many are noted by a commit of their own, and it comes in by the next.
    for (n, came, commits) in [(4, 3, 1), (5, 250, 3)] {
        for _ in 0..came {
            house.put(MAIL, |_| {}).await;
        }
        db.committed();
        let told = bring(&mailboxes, &by, n).await;
        assert_eq!(
            (told, db.committed()),
            (Some((uid_validity, first + n - 1)), commits)
        );
    }
    // What cannot be read there is no reason to refuse it.
    house.put(MAIL, |_| {}).await;
    db.fail_scan_once();
    let told = bring(&mailboxes, &by, 6).await;
    assert_eq!((told, db.has_failed()), (Some((uid_validity, first + 5)), true));
    let opened = mailboxes.open(&by, Mailbox::Drafts).await.unwrap();
    let uids: Vec<u32> = opened.members().map(|(uid, _)| uid).collect();
    assert_eq!(uids, (first..first + 6).collect::<Vec<_>>());
}
