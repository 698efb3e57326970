//! Officers hear that credit is low: whenever it fell below the mark, once, whatever became of it before they are told.

use crate::approving::{decide, letter, submit};
use crate::crediting::{add, meter, send};
use crate::provider::Provider;
use crate::road::{Pair, pair};
use crate::telling::told;
use kepd::domain::credit::CreditTerms;
use kepd::domain::job::Act;

async fn mark(p: &Provider, warn_below: u64) {
    let terms = CreditTerms {
        overdraft: 0,
        warn_below,
    };
    meter(p, Some(terms)).await;
}

/// What the officer has been told of it, after all work is done.
async fn warnings(pair: &Pair) -> Vec<String> {
    pair.work().await;
    let all = told(&pair.hs01, "mudur").await.into_iter();
    all.filter(|told| told.subject.contains("credit is low"))
        .map(|told| told.text)
        .collect()
}

#[tokio::test]
async fn a_fall_is_told_though_the_credit_has_risen_before_anybody_looked() {
    let pair = pair().await;
    let p = &pair.hs01;
    mark(p, 2).await;
    add(p, 2).await;
    let (_, id) = submit(p, &letter("Fiyat teklifi", "a")).await;
    decide(p, "ayse", id, Act::Withdraw).await.unwrap();
    let said = warnings(&pair).await;
    assert_eq!(said.len(), 1);
    assert!(
        said[0].contains("fell below 2, the mark set for you. It is 2 now."),
        "{said:?}"
    );
    // Once: to and fro in approval is not told each time, nor an addition that does not reach the mark.
    submit(p, &letter("Fiyat teklifi", "b")).await;
    send(p, "Duyuru").await.unwrap();
    add(p, 1).await;
    assert_eq!(warnings(&pair).await.len(), 1);
    // Two falls before anybody looked, with an addition between, are told as one.
    add(p, 2).await;
    for n in 0..2 {
        send(p, &format!("Duyuru {n}")).await.unwrap();
    }
    add(p, 3).await;
    pair.clock.advance(std::time::Duration::from_millis(5));
    for n in 2..5 {
        send(p, &format!("Duyuru {n}")).await.unwrap();
    }
    let said = warnings(&pair).await;
    assert_eq!(said.len(), 2, "{said:?}");
    assert!(said[1].contains("It is 1 now."), "{said:?}");
}

#[tokio::test]
async fn an_account_that_was_not_metered_for_a_while_is_warned_again() {
    let pair = pair().await;
    let p = &pair.hs01;
    mark(p, 2).await;
    assert_eq!(warnings(&pair).await.len(), 0, "nothing was added yet");
    add(p, 2).await;
    send(p, "Duyuru").await.unwrap();
    // Before anybody was told.
    meter(p, None).await;
    assert_eq!(warnings(&pair).await.len(), 0);
    mark(p, 2).await;
    assert_eq!(warnings(&pair).await.len(), 1);
}

#[tokio::test]
async fn another_mark_is_another_warning() {
    let pair = pair().await;
    let p = &pair.hs01;
    mark(p, 0).await;
    add(p, 6).await;
    send(p, "Duyuru").await.unwrap();
    assert_eq!(warnings(&pair).await.len(), 0);
    // Set on an account that is low already; raised, it says nothing new.
    mark(p, 50).await;
    let said = warnings(&pair).await;
    assert!(said.len() == 1 && said[0].contains("It is 5 now."), "{said:?}");
    mark(p, 100).await;
    send(p, "Duyuru 2").await.unwrap();
    assert_eq!(warnings(&pair).await.len(), 1);
    // Lowered, it is to be fallen below anew.
    mark(p, 3).await;
    send(p, "Duyuru 3").await.unwrap();
    assert_eq!(warnings(&pair).await.len(), 1);
    send(p, "Duyuru 4").await.unwrap();
    let said = warnings(&pair).await;
    assert!(
        said.len() == 2 && said[1].contains("fell below 3, the mark set for you. It is 2 now."),
        "{said:?}"
    );
}
