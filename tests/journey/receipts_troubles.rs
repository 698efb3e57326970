//! Receipts when something stored is damaged or gone, and beside the other work of the house: the sender always gets a message
//! about the delivery, nothing is signed that was not compared, and nobody's evidence waits.

use crate::provider::Provider;
use crate::road::{Pair, message, pair};
use kepd::domain::item::{Item, ItemKind};
use kepd::domain::mail::Mail;
use kepd::domain::receipt::ReceiptForm;
use kepd::id::ItemId;
use kepd::rem::open::{Opened, open_octets};
use kepd::service::octets::ContentReader;
use kepd::service::outline::Outline;
use kepd::service::submission::Accepted;
use kepd::store::db::Batch;
use kepd::store::spool::BlobId;
use kepd::store::tables::items::{self, Content};
use kepd::store::tables::mails;
use kepd::store::tables::work::{self, OwedPreservation, OwedReceipt};
use std::path::PathBuf;
use std::time::Duration;

const TO: [&str; 2] = ["alici@hs02.kep.test", "komsu@hs01.kep.test"];

/// A mail to somebody at the peer and somebody here, delivered; its two receipts are owed and nobody has looked at them.
async fn owed_receipts(pair: &Pair, wish: &str) -> Mail {
    let p = &pair.hs01;
    p.add_person("komsu").await;
    let text = format!("X-KEP-Makbuz: {wish}\r\n{}", message("Duyuru", &TO.join(", ")));
    let sent = p.submit("mudur@ornekas", &TO, &text).await;
    let Ok(Accepted::Sent { mail }) = sent else {
        panic!("{sent:?}")
    };
    while owed(p).len() < 2 {
        pair.hs02.work().await;
        p.notary.run_due().await.unwrap();
        p.dispatch.run_due().await.unwrap();
        p.relay.run_due().await.unwrap();
        p.delivery.run_due().await.unwrap();
    }
    mails::mail(&*p.db, p.tenant("ornekas"), mail)
        .unwrap()
        .unwrap()
        .row
}

fn owed(p: &Provider) -> Vec<OwedReceipt> {
    let all = work::all::<OwedReceipt>(&*p.db).unwrap().into_iter();
    all.map(|(_, stored)| stored.row).collect()
}

/// What lies in the sender's evidence mailbox about the mail, oldest first.
fn filed(p: &Provider, mail: &Mail) -> Vec<Content> {
    let items = p.items("ornekas").into_iter();
    let about = items.filter(|i| i.kind == ItemKind::Evidence && i.mail == Some(mail.id));
    let content = |item: Item| {
        let body = items::body(&*p.db, mail.tenant, item.id).unwrap().unwrap();
        body.row.content
    };
    about.map(content).collect()
}

async fn octets(p: &Provider, content: &Content) -> Vec<u8> {
    ContentReader::whole(&p.spool, content).collect().await.unwrap()
}

fn blob(pair: &Pair, id: &BlobId) -> PathBuf {
    let name = id.to_string();
    pair.dir
        .path()
        .join("hs01/spool")
        .join(&name[..2])
        .join(&name[2..])
}

/// Other octets in the place of a blob's.
fn overwrite(pair: &Pair, id: &BlobId, change: impl FnOnce(&mut Vec<u8>)) {
    let path = blob(pair, id);
    let mut octets = std::fs::read(&path).unwrap();
    change(&mut octets);
    std::fs::remove_file(&path).unwrap();
    std::fs::write(&path, octets).unwrap();
}

fn spoil(octets: &mut Vec<u8>) {
    *octets = vec![b'x'; octets.len()];
}

#[tokio::test]
async fn a_damaged_mail_is_told_of_by_the_plain_messages_at_once() {
    for wish in ["tam", "kisa"] {
        let pair = pair().await;
        let p = &pair.hs01;
        let mail = owed_receipts(&pair, wish).await;
        let before = filed(p, &mail).len();
        let plain: Vec<Content> = owed(p).into_iter().map(|owed| owed.plain).collect();
        overwrite(&pair, &BlobId(mail.original_sha256), spoil);
        // It is dealt with, and no failure of the desk.
        assert_eq!(p.notary.receipts_due().await.unwrap(), 2);
        assert!(owed(p).is_empty());
        assert_eq!(p.notary.receipts.plain(), 2);
        let after = filed(p, &mail);
        assert_eq!(after.len(), before + 2, "{wish}");
        for content in &after[before..] {
            assert!(plain.contains(content), "signed octets stay as they came");
            let (_, opened) = open_octets(&octets(p, content).await);
            assert!(matches!(opened, Ok(Opened::Evidence { original: None, .. })));
        }
        // Each of another issuer, and with the map that any reader needs.
        let senders = [&after[before], &after[before + 1]].map(|content| Outline::of(&p.spool, content));
        let mut from = Vec::new();
        for outline in senders {
            from.push(format!("{:?}", outline.await.unwrap().summary.from));
        }
        assert!(from.iter().any(|f| f.contains("hs01.kep.test")));
        assert!(from.iter().any(|f| f.contains("hs02.kep.test")));
    }
}

#[tokio::test]
async fn what_is_missing_is_waited_for_and_not_without_end() {
    for comes_back in [true, false] {
        let pair = pair().await;
        let p = &pair.hs01;
        let mail = owed_receipts(&pair, "tam").await;
        let before = filed(p, &mail).len();
        let path = blob(&pair, &BlobId(mail.original_sha256));
        let octets = std::fs::read(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        let mut looks = 0;
        while !owed(p).is_empty() {
            assert_eq!(p.notary.receipts_due().await.unwrap(), 2);
            looks += 1;
            assert!(looks <= 10, "the sender waits for ever");
            if looks == 3 && comes_back {
                std::fs::write(&path, &octets).unwrap();
            }
            pair.clock.advance(Duration::from_secs(15 * 60));
        }
        let pieces: Vec<usize> = filed(p, &mail)[before..].iter().map(|c| c.pieces.len()).collect();
        assert_eq!(pieces.len(), 2);
        let full = pieces.iter().filter(|n| **n > 1).count();
        let want = if comes_back { (4, 2, 0) } else { (10, 0, 2) };
        assert_eq!((looks, full, p.notary.receipts.plain()), want);
    }
}

#[tokio::test]
async fn nothing_is_carried_that_was_not_compared() {
    let cut = |octets: &mut Vec<u8>| octets.truncate(octets.len() / 2);
    for change in [spoil as fn(&mut Vec<u8>), cut] {
        for of_document in [false, true] {
            let pair = pair().await;
            let p = &pair.hs01;
            let mail = owed_receipts(&pair, "tam").await;
            let before = filed(p, &mail).len();
            let peers = owed(p).into_iter().find(|owed| owed.peer.is_some()).unwrap();
            assert_eq!(peers.peer.as_ref().map(|d| d.as_str()), Some("hs02.kep.test"));
            let damaged = match of_document {
                true => peers.xml.id,
                false => peers.plain.pieces[0].blob,
            };
            overwrite(&pair, &damaged, change);
            assert_eq!(p.notary.receipts_due().await.unwrap(), 2);
            assert!(owed(p).is_empty());
            let after = &filed(p, &mail)[before..];
            assert!(after.contains(&peers.plain), "no signature of ours is on it");
            // The other one is what was wished for, and exactly as long as it says.
            let own = after.iter().find(|content| **content != peers.plain).unwrap();
            assert_eq!(own.pieces.len(), 3);
            assert_eq!(octets(p, own).await.len() as u64, own.size_bytes());
            assert_eq!(p.notary.receipts.plain(), 1);
        }
    }
}

#[tokio::test]
async fn sealing_goes_on_while_receipts_wait() {
    let pair = pair().await;
    let p = &pair.hs01;
    let mail = owed_receipts(&pair, "tam").await;
    assert_eq!(mail.receipts, ReceiptForm::Full);
    std::fs::remove_file(blob(&pair, &BlobId(mail.original_sha256))).unwrap();
    // The desk that seals does not look at them.
    while p.notary.run_due().await.unwrap() > 0 {}
    assert!(owed(p).iter().all(|owed| owed.attempts == 0));
    // One that cannot be made is put off, and that is done: the desk makes no pause for it.
    assert_eq!(p.notary.receipts_due().await.unwrap(), 2);
    assert!(owed(p).iter().all(|owed| (owed.attempts, owed.unread) == (1, 1)));
    assert_eq!(p.notary.receipts_due().await.unwrap(), 0);
}

/// The number that a receipt is to have is taken meanwhile; that is not "another look was faster".
#[tokio::test]
async fn a_number_that_is_taken_costs_no_receipt() {
    let pair = pair().await;
    let p = &pair.hs01;
    let mail = owed_receipts(&pair, "tam").await;
    let before = filed(p, &mail).len();
    let next = p.notary.items.next(mail.tenant).unwrap();
    let mut batch = Batch::new();
    let taken = Item::new(ItemId(next.0 + 1), ItemKind::Notice, pair.clock_now());
    let body = items::body(&*p.db, mail.tenant, mail.item).unwrap().unwrap().row;
    items::add(&mut batch, mail.tenant, &taken, &body).unwrap();
    p.db.commit(batch).await.unwrap();
    assert_eq!(p.notary.receipts_due().await.unwrap(), 2);
    assert_eq!((owed(p).len(), filed(p, &mail).len()), (0, before + 2));
}

#[tokio::test]
async fn a_receipt_goes_into_the_hash_tree_of_its_day() {
    let pair = pair().await;
    let p = &pair.hs01;
    let mail = owed_receipts(&pair, "tam").await;
    let before = filed(p, &mail).len();
    assert_eq!(p.notary.receipts_due().await.unwrap(), 2);
    let kept = work::all::<OwedPreservation>(&*p.db).unwrap();
    for content in &filed(p, &mail)[before..] {
        let whole = mails::digest(&octets(p, content).await);
        let own = kept.iter().find(|(_, owed)| owed.row.content == *content);
        assert_eq!(own.and_then(|(_, owed)| owed.row.sha256), Some(whole));
    }
}
