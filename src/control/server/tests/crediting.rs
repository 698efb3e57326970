//! `kepctl credit`, said over the socket.

use super::*;

#[tokio::test]
async fn the_provider_adds_credit_and_who_manages_the_account_sees_it() {
    let r = run().await;
    done(&r, "tenant|add|ornekas|--title|Örnek A.Ş.").await;
    done(&r, "tenant|add|komsu").await;
    done(&r, "role|add|ornekas|Hesap|--permit|account").await;
    done(&r, "officer|add|mudur@ornekas").await;
    done(&r, "user|add|ayse@ornekas").await;
    done(&r, "user|add|hesap@ornekas|--role|Hesap").await;
    done(&r, "officer|add|komsu@komsu").await;
    let shown = done(&r, "credit|show|ornekas").await;
    assert_eq!(shown.value("credit"), Some(&json!("none")));
    assert_eq!(shown.value("left"), Some(&json!(null)));
    let why = refused(&r, "credit|add|ornekas|50").await;
    assert!(
        why.contains("not metered") && why.contains("--credit prepaid"),
        "{why}"
    );
    let why = refused(&r, "tenant|set|ornekas|--credit-overdraft|5").await;
    assert!(why.contains("--credit prepaid"), "{why}");
    let why = refused(
        &r,
        "tenant|set|ornekas|--credit|prepaid|--credit-warn-below|1000000000001",
    )
    .await;
    assert!(why.contains("at most 1000000000000"), "{why}");
    let set = done(
        &r,
        "tenant|set|ornekas|--credit|prepaid|--credit-overdraft|5|--credit-warn-below|20",
    )
    .await;
    assert_eq!(set.value("credit"), Some(&json!("prepaid")));
    assert_eq!(set.value("credit_overdraft"), Some(&json!(5)));
    // What is not said stays.
    let set = done(&r, "tenant|set|ornekas|--credit-warn-below|10").await;
    assert_eq!(set.value("credit_overdraft"), Some(&json!(5)));
    assert_eq!(set.value("credit_warn_below"), Some(&json!(10)));

    done(&r, "credit|add|ornekas|50|--note|fatura 17").await;
    for (line, why) in [
        ("credit|add|ornekas|-3", "--note"),
        ("credit|add|ornekas|0", "from 1 to"),
        ("credit|add|ornekas|1000000000001", "from 1 to"),
        ("credit|add|ornekas|999999999999", "a balance is at most"),
        ("credit|add|yok|5", "there is no tenant"),
        ("credit|add|ornekas|5|--as|mudur@ornekas", "the provider's to do"),
        ("credit|show|ornekas|--as|ayse@ornekas", "\"account\""),
        ("credit|history|ornekas|--as|ayse@ornekas", "\"account\""),
        ("credit|show|ornekas|--as|komsu@komsu", "not a user of"),
    ] {
        let said = refused(&r, line).await;
        assert!(said.contains(why), "{line}: {said}");
    }
    let shown = done(&r, "credit|add|ornekas|-45|--note|yanlış yükleme").await;
    for (field, value) in [
        ("balance", json!(5)),
        ("reserved", json!(0)),
        ("left", json!(10)),
        ("overdraft", json!(5)),
        ("warn_below", json!(10)),
        ("low", json!(true)),
        ("unit_bytes", json!(5 * 1024 * 1024)),
        ("per_recipient", json!(false)),
    ] {
        assert_eq!(shown.value(field), Some(&value), "{field}");
    }
    for login in ["mudur", "hesap"] {
        let seen = done(&r, &format!("credit|show|ornekas|--as|{login}@ornekas")).await;
        assert_eq!(seen.value("balance"), Some(&json!(5)));
    }
    // How far it may go is seen by who sees what is there.
    for (login, overdraft) in [("mudur", Some(5)), ("hesap", Some(5)), ("ayse", None)] {
        let seen = done(&r, &format!("tenant|show|ornekas|--as|{login}@ornekas")).await;
        assert_eq!(seen.value("credit"), Some(&json!("prepaid")));
        assert_eq!(
            seen.value("credit_overdraft").cloned(),
            overdraft.map(|units| json!(units))
        );
        assert_eq!(seen.value("credit_warn_below").is_some(), overdraft.is_some());
    }
    let history = listed(&r, "credit|history|ornekas|--as|hesap@ornekas").await;
    let told: Vec<_> = history
        .iter()
        .map(|e| {
            ["number", "what", "units", "change", "balance", "who", "note"]
                .map(|f| e.value(f).unwrap().clone())
        })
        .collect();
    let wanted = [
        [
            json!(2),
            json!("corrected"),
            json!(45),
            json!(-45),
            json!(5),
            json!("administrator"),
            json!("yanlış yükleme"),
        ],
        [
            json!(1),
            json!("added"),
            json!(50),
            json!(50),
            json!(50),
            json!("administrator"),
            json!("fatura 17"),
        ],
    ];
    assert_eq!(told, wanted);
    let page = listed(&r, "credit|history|ornekas|--before|2|--limit|1").await;
    assert_eq!(page.len(), 1);
    assert_eq!(page[0].value("number"), Some(&json!(1)));
    let summary = done(&r, "tenant|summary|ornekas").await;
    assert_eq!(summary.value("credit_left"), Some(&json!(10)));
    assert_eq!(summary.value("credit_low"), Some(&json!(true)));
    let audit = listed(&r, "audit|show|ornekas|--limit|1").await;
    assert_eq!(audit[0].value("deed"), Some(&json!("credit add")));
    let named = "credit|add|ornekas|7|--once|fatura 18";
    assert_eq!(done(&r, named).await.value("added_before"), None);
    let again = done(&r, named).await;
    assert!(again.value("added_before").is_some());
    assert_eq!(again.value("balance"), Some(&json!(12)));
    done(&r, "credit|add|ornekas|-7|--note|geri").await;
    // Put back on account, what it had is still there.
    done(&r, "tenant|set|ornekas|--credit|none").await;
    let shown = done(&r, "credit|show|ornekas").await;
    assert_eq!(
        (shown.value("left"), shown.value("balance")),
        (Some(&json!(null)), Some(&json!(5)))
    );
}
