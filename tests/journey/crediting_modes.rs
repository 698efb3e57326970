//! An account is metered, or no longer, while its mail is under way: what was reserved is settled or given back, and what was handed
//! in without being counted stays so.

use crate::approving::{decide, letter, submit};
use crate::crediting::{add, adds_up, meter, prepaid, released, send, stands};
use crate::road::pair;
use kepd::domain::credit::CreditTerms;
use kepd::domain::job::Act;

#[tokio::test]
async fn what_was_reserved_is_charged_though_the_account_is_metered_no_longer() {
    let pair = pair().await;
    let p = &pair.hs01;
    prepaid(p, 2).await;
    let (_, id) = submit(p, &letter("Fiyat teklifi", "a")).await;
    meter(p, None).await;
    // What comes now is not counted.
    send(p, "Duyuru").await.unwrap();
    assert_eq!(stands(p), (2, 1));
    released(p, id).await;
    assert_eq!(stands(p), (1, 0));
    adds_up(p);
}

#[tokio::test]
async fn what_was_given_back_meanwhile_is_reserved_again_when_that_is_undone() {
    let pair = pair().await;
    let p = &pair.hs01;
    prepaid(p, 1).await;
    let (_, id) = submit(p, &letter("Fiyat teklifi", "a")).await;
    meter(p, None).await;
    decide(p, "ayse", id, Act::Withdraw).await.unwrap();
    assert_eq!(stands(p), (1, 0));
    decide(p, "ayse", id, Act::Undo).await.unwrap();
    assert_eq!(stands(p), (1, 1));
    meter(p, Some(CreditTerms::default())).await;
    assert_eq!(stands(p), (1, 1));
    adds_up(p);
    released(p, id).await;
    assert_eq!(stands(p), (0, 0));
    adds_up(p);
}

#[tokio::test]
async fn what_was_handed_in_before_the_account_was_metered_leaves_without_being_counted() {
    let pair = pair().await;
    let p = &pair.hs01;
    let (_, first) = submit(p, &letter("Fiyat teklifi", "a")).await;
    let (_, second) = submit(p, &letter("Fiyat teklifi 2", "b")).await;
    meter(p, Some(CreditTerms::default())).await;
    // Nothing was ever added, and yet.
    released(p, first).await;
    assert_eq!(stands(p), (0, 0));
    add(p, 1).await;
    released(p, second).await;
    assert_eq!(stands(p), (1, 0));
    adds_up(p);
}
