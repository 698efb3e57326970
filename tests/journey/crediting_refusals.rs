//! What a refusal for want of credit tells, to whom, and what it leaves behind; and an account that is damaged.

use crate::approving::{decide, job, letter, submit};
use crate::crediting::{
    expire_in_three_days, imap_door, meter, no_credit, prepaid, rejections, send, stands,
};
use crate::folders::Client;
use crate::road::{message, pair};
use kepd::domain::audit::Author;
use kepd::domain::credit::{CreditTerms, Movement, MovementKind};
use kepd::domain::job::{Act, JobState};
use kepd::domain::schedule::DAY;
use kepd::service::failure::Failure;
use kepd::store::db::Batch;
use kepd::store::tables::credit::{self, Posting};
use kepd::store::tables::work::{self, JobAlarm};
use std::time::Duration;

const ALICI: &str = "alici@hs02.kep.test";
const TENANT: &str = "ornekas";

#[tokio::test]
async fn what_is_reserved_for_others_is_told_to_who_manages_the_account() {
    let pair = pair().await;
    let p = &pair.hs01;
    prepaid(p, 1).await;
    submit(p, &letter("Fiyat teklifi", "a")).await;
    let said = no_credit(send(p, "Duyuru").await);
    assert!(
        said.contains("costs 1, 0 is left in the account (1 reserved"),
        "{said}"
    );
    for id in ["b", "c"] {
        let text = letter("Fiyat teklifi", id);
        let said = no_credit(p.submit("ayse@ornekas", &[ALICI], &text).await);
        assert!(said.contains("costs 1, 0 is left in the account. Have"), "{said}");
        assert!(!said.contains("onay bekleyen iletilere"), "{said}");
    }
}

#[tokio::test]
async fn a_dearer_mail_in_place_of_one_that_was_given_back_hears_what_that_gives() {
    let pair = pair().await;
    let p = &pair.hs01;
    prepaid(p, 1).await;
    let (_, old) = submit(p, &letter("Fiyat teklifi", "a")).await;
    decide(p, "onay1", old, Act::Return).await.unwrap();
    let dearer = format!(
        "{}{}",
        letter("Fiyat teklifi", "a"),
        "0123456789abcdef\r\n".repeat(6 * 1024 * 1024 / 18)
    );
    let said = no_credit(p.submit("ayse@ornekas", &[ALICI], &dearer).await);
    assert!(said.contains("costs 2, 1 is left in the account. Have"), "{said}");
    // Nothing has changed.
    assert_eq!(job(p, old).standing.state, JobState::Returned);
    assert_eq!(stands(p), (1, 1));
}

#[tokio::test]
async fn a_draft_that_cannot_be_paid_leaves_evidence_whatever_its_message_id() {
    let pair = pair().await;
    let p = &pair.hs01;
    meter(p, Some(CreditTerms::default())).await;
    let mut client = Client::connect(imap_door(p)).await;
    client.ok("LOGIN mudur@ornekas mudur-parola").await;
    client.ok("ENABLE UTF8=ACCEPT").await;
    client.ok("SELECT Taslaklar").await;
    let without = message("Duyuru", ALICI);
    assert!(!without.contains("Message-ID"));
    for (n, draft) in [without, letter("Duyuru", "a")].into_iter().enumerate() {
        client
            .ok(&format!("APPEND Taslaklar {{{}+}}\r\n{draft}", draft.len()))
            .await;
        let said = client.say(&format!("MOVE {} \"İşlerim/Gönder\"", n + 1)).await;
        assert!(said.contains(" NO [OVERQUOTA] not enough credit"), "{said}");
        assert_eq!(rejections(p).len(), n + 1);
    }
}

/// A movement that belongs to no mail: the account is not what its mails claim any more, or is again.
async fn move_by_hand(p: &crate::provider::Provider, kind: MovementKind) {
    let mut batch = Batch::new();
    let posting = Posting {
        tenant: p.tenant(TENANT),
        terms: None,
        movement: Movement { kind, units: 1 },
        mail: None,
        by: Author::clock(),
        at: p.approval.clock.now(),
        note: String::new(),
    };
    credit::post(&mut batch, posting);
    p.db.commit(batch).await.unwrap();
}

#[tokio::test]
async fn a_damaged_account_is_said_to_be_and_holds_up_nothing() {
    let pair = pair().await;
    let p = &pair.hs01;
    prepaid(p, 1).await;
    expire_in_three_days(p).await;
    let (_, id) = submit(p, &letter("Fiyat teklifi", "a")).await;
    move_by_hand(p, MovementKind::Released).await;
    pair.clock.advance(DAY * 4);
    let now = pair.clock_now();
    // It is late, too; then it should expire.
    for _ in 0..4 {
        p.approval.run_due().await.unwrap();
    }
    assert!(matches!(job(p, id).standing.state, JobState::Waiting(_)));
    assert_eq!(
        work::next_due::<JobAlarm>(&*p.db).unwrap(),
        Some(now.plus(Duration::from_secs(60))),
        "put off"
    );
    let said = decide(p, "ayse", id, Act::Withdraw).await;
    assert!(
        matches!(&said, Err(Failure::Broken(why)) if why.contains("more is given back than was reserved")),
        "{said:?}"
    );
    // Mended, it goes on.
    move_by_hand(p, MovementKind::Reserved).await;
    pair.clock.advance(Duration::from_secs(60));
    pair.work().await;
    assert_eq!(job(p, id).standing.state, JobState::Expired);
    assert_eq!(stands(p), (1, 0));
}
