//! Rows that tell of sealed segments, written anew by somebody who can write to the store: sealing goes on all the same, the
//! figures say what was sealed, and `verify` tells of each.

use crate::auditing::{auditing, turn_to_the_next_night};
use crate::provider::Provider;
use crate::road::pair;
use kepd::clock::{Clock as _, UtcTime};
use kepd::service::auditing::Auditing;
use kepd::store::db::Batch;
use kepd::store::spool::BlobId;
use kepd::store::tables::audit::{self, AuditHead, AuditSegment};
use std::time::Duration;

/// 2099-01-01.
const FAR: UtcTime = UtcTime::from_unix_s(4_070_908_800);
const DAY: Duration = Duration::from_secs(86_400);

async fn forge_head(p: &Provider, change: impl FnOnce(&mut AuditHead)) {
    let old = audit::head(&*p.db).unwrap().unwrap();
    let mut new = old.row.clone();
    change(&mut new);
    let mut batch = Batch::new();
    audit::set_head(&mut batch, Some(&old), &new).unwrap();
    p.db.commit(batch).await.unwrap();
}

async fn forge_segment(p: &Provider, change: impl FnOnce(&mut AuditSegment)) {
    let old = audit::segments(&*p.db).unwrap().pop().unwrap();
    let mut new = old.row.clone();
    change(&mut new);
    let mut batch = Batch::new();
    old.replace(&mut batch, &new).unwrap();
    p.db.commit(batch).await.unwrap();
}

async fn told(auditing: &Auditing) -> Vec<String> {
    auditing.book.verify(None).await.unwrap().differences
}

/// A change of a row, and what is to be said of it.
type Forgery<R> = (fn(&mut R), &'static str);

#[tokio::test(flavor = "multi_thread")]
async fn a_forged_moment_stops_no_sealing_and_shows_nowhere() {
    let pair = pair().await;
    let p = &pair.hs01;
    let auditing = auditing(p);
    auditing.run_due().await.unwrap();
    let sealed_at = p.clock.now();
    forge_head(p, |head| head.made_at = FAR).await;
    let word = "the store's own word of where the chain ends has another moment than the last segment";
    assert_eq!(told(&auditing).await, [word]);
    forge_segment(p, |row| row.made_at = FAR).await;
    assert_eq!(
        told(&auditing).await,
        ["the row of segment 1 has another moment than was sealed"]
    );
    assert_eq!(auditing.book.figures().unwrap().sealed_at, Some(sealed_at));
    assert_eq!(auditing.run_due().await.unwrap(), 0, "the day is not over");
    turn_to_the_next_night(p);
    assert_eq!(auditing.run_due().await.unwrap(), 1);
    // The row of the end is made anew with each segment; the forged one stands.
    assert_eq!(told(&auditing).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_forged_field_is_told() {
    let pair = pair().await;
    let p = &pair.hs01;
    let auditing = auditing(p);
    auditing.run_due().await.unwrap();
    assert!(told(&auditing).await.is_empty());
    let row = audit::last_segment(&*p.db).unwrap().unwrap();
    let changes: [Forgery<AuditSegment>; 3] = [
        (|row| row.after_commit = 7, "another beginning than was sealed"),
        (|row| row.to_commit = u64::MAX, "another end than was sealed"),
        (|row| row.more = true, "whether its day goes on than was sealed"),
    ];
    for (change, say) in changes {
        forge_segment(p, change).await;
        let told = told(&auditing).await;
        assert!(told.iter().any(|t| t.contains(say)), "{say}: {told:?}");
        forge_segment(p, |forged| *forged = row.clone()).await;
    }
    let changes: [Forgery<AuditHead>; 4] = [
        (|head| head.to_commit = u64::MAX, "another end than the last"),
        (|head| head.more = true, "whether the day goes on than the last"),
        (|head| head.last = [9; 32], "one was taken away or exchanged"),
        (|head| head.segments = u64::MAX, "one was taken away or exchanged"),
    ];
    for (n, (change, say)) in changes.into_iter().enumerate() {
        forge_head(p, change).await;
        let found = told(&auditing).await;
        assert!(found.len() == 1 && found[0].contains(say), "{say}: {found:?}");
        // None of it keeps what happens next from being sealed, under the next number, behind the last text.
        p.add_person(&format!("user2{n}")).await;
        turn_to_the_next_night(p);
        assert_eq!(auditing.run_due().await.unwrap(), 1, "{say}");
        assert!(
            told(&auditing).await.is_empty(),
            "{say}: {:?}",
            told(&auditing).await
        );
    }
}

/// A text that is not the one of its row tells nothing; the next segment is made at once, and behind what is left.
#[tokio::test(flavor = "multi_thread")]
async fn without_its_text_a_segment_delays_nothing() {
    let pair = pair().await;
    let p = &pair.hs01;
    let auditing = auditing(p);
    auditing.run_due().await.unwrap();
    forge_segment(p, |row| {
        row.text.id = BlobId([5; 32]);
        row.made_at = FAR;
        row.to_commit = u64::MAX;
    })
    .await;
    assert_eq!(auditing.book.figures().unwrap().sealed_at, None);
    assert_eq!(auditing.run_due().await.unwrap(), 1);
    assert_eq!(auditing.run_due().await.unwrap(), 0, "once");
    let found = auditing.book.verify(None).await.unwrap();
    assert!(!found.is_ok() && found.segments.len() == 2, "{found:?}");
    assert_eq!(auditing.book.figures().unwrap().sealed_at, Some(p.clock.now()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_nobody_seals_any_more_does_not_verify() {
    let pair = pair().await;
    let p = &pair.hs01;
    let auditing = auditing(p);
    assert!(told(&auditing).await.is_empty());
    auditing.run_due().await.unwrap();
    p.clock.advance(DAY * 2);
    assert!(
        told(&auditing).await.is_empty(),
        "an authority may be away for a day"
    );
    p.clock.advance(Duration::from_secs(1));
    let stopped = told(&auditing).await;
    assert!(
        stopped.len() == 1
            && stopped[0].starts_with("nothing was sealed since ")
            && stopped[0].ends_with("records that wait: 1"),
        "{stopped:?}"
    );
    assert_eq!(auditing.run_due().await.unwrap(), 1);
    assert!(told(&auditing).await.is_empty());
}
