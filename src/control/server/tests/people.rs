//! Users, deputies, roles, the institution and the audit record as the administrator changes and reads them.

use super::*;
use crate::control::protocol::{PasswordText, UserWord};

#[tokio::test]
async fn every_change_is_on_the_audit_record_and_a_refusal_is_not() {
    let r = run().await;
    done(&r, "tenant|add|ornekas").await;
    done(&r, "unit|add|ornekas|Satış").await;
    done(&r, "role|add|ornekas|Okur|--permit|view").await;
    done(&r, "user|add|ayse@ornekas|--unit|Satış").await;
    done(&r, "user|role|ayse@ornekas|--add|Okur").await;
    refused(&r, "unit|add|ornekas|SATİŞ").await;
    done(&r, "unit|rename|ornekas|Satış|Pazarlama").await;
    refused(&r, "unit|add|ornekas|PAZARLAMA").await;
    let all = listed(&r, "audit|show|ornekas").await;
    let deeds: Vec<_> = all.iter().map(|a| a.value("deed").unwrap().clone()).collect();
    let own = rustix::process::geteuid().as_raw();
    assert_eq!(
        deeds,
        [
            "unit rename",
            "user set",
            "user add",
            "role add",
            "unit add",
            "tenant add"
        ]
        .map(|d| json!(d))
    );
    assert!(
        all.iter()
            .all(|a| a.value("from") == Some(&json!(format!("uid {own}"))))
    );
    let rename = &all[0];
    assert_eq!(rename.value("who"), Some(&json!("administrator")));
    assert!(
        rename
            .value("before")
            .unwrap()
            .as_str()
            .unwrap()
            .contains("Satış")
    );
    assert!(
        rename
            .value("after")
            .unwrap()
            .as_str()
            .unwrap()
            .contains("Pazarlama")
    );
    let of_user = listed(&r, "audit|show|ornekas|--user|ayse").await;
    assert_eq!(of_user.len(), 2);
    assert!(
        of_user[0]
            .value("after")
            .unwrap()
            .as_str()
            .unwrap()
            .contains("roles")
    );
    let said = refused(&r, "audit|show|ornekas|--user|aise").await;
    assert!(said.contains("did you mean \"ayse\""), "{said}");
}

#[tokio::test]
async fn users_have_deputies_doors_and_titles() {
    let r = run().await;
    for line in [
        "tenant|add|ornekas",
        "tenant|add|baska",
        "officer|add|mudur@ornekas",
        "user|add|onay1@ornekas",
        "user|add|onay2@ornekas",
        "user|set|onay1@ornekas|--title|Şef|--smtp|false|--listed|true",
        "user|set|onay1@ornekas|--deputy|onay2|--from|2026-12-01|--until|2026-12-10",
    ] {
        done(&r, line).await;
    }
    let shown = done(&r, "user|show|onay1@ornekas").await;
    assert_eq!(shown.value("doors"), Some(&json!(["imap"])));
    assert_eq!(shown.value("title"), Some(&json!("Şef")));
    let deputies =
        json!([{"user": "onay2", "from": "2026-11-30T21:00:00Z", "until": "2026-12-10T21:00:00Z"}]);
    assert_eq!(shown.value("deputies"), Some(&deputies));
    for (line, words) in [
        (
            "user|set|onay1@ornekas|--deputy|onay1|--until|2026-12-10",
            "his own deputy",
        ),
        (
            "user|set|onay1@ornekas|--deputy|onay3|--until|2026-12-10",
            "did you mean",
        ),
        (
            "user|set|onay1@ornekas|--deputy|onay2@baska|--until|2026-12-10",
            "not of this tenant",
        ),
        (
            "user|set|onay1@ornekas|--deputy|onay2|--until|2026-01-10",
            "passed already",
        ),
        ("user|set|onay1@ornekas|--drop-deputy|mudur", "is not a deputy"),
    ] {
        let said = refused(&r, line).await;
        assert!(said.contains(words), "{line}: {said}");
    }
    let after = done(&r, "user|show|onay1@ornekas").await;
    assert_eq!(after.value("deputies"), Some(&deputies));
    let dropped = done(&r, "user|set|onay1@ornekas|--drop-deputy|onay2@ornekas").await;
    assert_eq!(dropped.value("deputies"), Some(&json!([])));
    assert_eq!(listed(&r, "user|list|ornekas|--type|officer").await.len(), 1);
    assert_eq!(listed(&r, "user|list|ornekas|--type|limited").await.len(), 2);
    let said = refused(&r, "officer|set|onay1@ornekas|--title|X").await;
    assert!(said.contains("not an officer"), "{said}");
}

#[tokio::test]
async fn a_role_is_renamed_and_removed_but_not_from_under_a_rule() {
    let r = run().await;
    for line in [
        "tenant|add|ornekas",
        "role|add|ornekas|Onay Rolü|--permit|approve,view",
        "user|add|onay1@ornekas|--role|Onay Rolü",
        "rule|add|ornekas|Teklif|--subject|Teklif|--step|Onay Rolü:1",
        "role|set|ornekas|Onay Rolü|--rename|Onaycı|--description|onaylar",
    ] {
        done(&r, line).await;
    }
    let rule = done(&r, "rule|show|ornekas|Teklif").await;
    assert_eq!(rule.value("steps"), Some(&json!(["Onaycı:1"])));
    let said = refused(&r, "role|remove|ornekas|Onaycı").await;
    assert!(said.contains("Teklif"), "{said}");
    done(&r, "rule|remove|ornekas|Teklif").await;
    done(&r, "role|remove|ornekas|Onaycı").await;
    assert!(listed(&r, "role|list|ornekas").await.is_empty());
    let user = done(&r, "user|show|onay1@ornekas").await;
    assert_eq!(user.value("permissions"), Some(&json!([])));
    // The name is free again; the number is not, and the record of the old one is found by it.
    done(&r, "role|add|ornekas|Onaycı").await;
    let all = listed(&r, "audit|show|ornekas").await;
    let removal = all
        .iter()
        .find(|a| a.value("deed") == Some(&json!("role remove")))
        .unwrap();
    let about = removal.value("about").unwrap().as_array().unwrap();
    let number = about
        .iter()
        .find_map(|m| m.as_str().unwrap().strip_prefix("role #"));
    let number = number.unwrap().split(' ').next().unwrap();
    let of_old = listed(&r, &format!("audit|show|ornekas|--role|#{number}")).await;
    let deeds: Vec<_> = of_old.iter().map(|a| a.value("deed").unwrap().clone()).collect();
    assert_eq!(deeds, ["role remove", "role set", "role add"].map(|d| json!(d)));
    let said = refused(&r, "role|set|ornekas|Onaycı|--rename|a/b").await;
    assert!(said.contains("a name has"), "{said}");
}

#[tokio::test]
async fn an_institution_is_on_record_with_numbers_that_can_be() {
    let r = run().await;
    done(&r, "tenant|add|ornekas").await;
    let set = "tenant|set|ornekas|--tax-office|Çankaya|--tax-number|7330887853|--mersis|0733088785300001|\
               --activity|Yazılım|--postal-address|Ankara";
    done(&r, set).await;
    let shown = done(&r, "tenant|show|ornekas").await;
    assert_eq!(shown.value("tax_number"), Some(&json!("7330887853")));
    assert_eq!(shown.value("activity"), Some(&json!("Yazılım")));
    for (line, words) in [
        ("tenant|set|ornekas|--tax-number|7330887854", "tax number"),
        ("tenant|set|ornekas|--mersis|123", "MERSİS"),
        ("tenant|set|ornekas|--detsis|12", "DETSİS"),
        ("tenant|set|ornekas|--title|", "1 to"),
    ] {
        let said = refused(&r, line).await;
        assert!(said.contains(words), "{line}: {said}");
    }
    assert_eq!(done(&r, "tenant|show|ornekas").await, shown);
}

#[tokio::test]
async fn a_password_that_is_set_is_on_the_audit_record_and_nowhere_to_be_read() {
    let r = run().await;
    done(&r, "tenant|add|alici").await;
    done(&r, "officer|add|alici@alici").await;
    let Word::User(UserWord::Passwd(mut passwd)) = typed("user|passwd|alici@alici").word else {
        panic!("another word");
    };
    passwd.password.password = Some(PasswordText::new("çok gizli kelime".into()));
    let reply = say(&r, bare(Word::User(UserWord::Passwd(passwd)))).await;
    assert!(matches!(reply, Reply::One(_)), "{reply:?}");
    let records = listed(&r, "audit|show|alici|--user|alici").await;
    assert_eq!(records[0].value("deed"), Some(&json!("user passwd")));
    assert!(!format!("{records:?}").contains("gizli"));
}

#[tokio::test]
async fn who_asks_in_a_users_name_may_what_that_user_may() {
    let r = run().await;
    for line in [
        "tenant|add|ornekas",
        "tenant|add|komsu",
        "officer|add|mudur@ornekas",
        "officer|add|reis@komsu",
        "role|add|ornekas|Yönetici|--permit|account",
        "role|add|ornekas|İşçi|--permit|jobs,view",
        "user|add|ali@ornekas|--role|Yönetici",
        "user|add|veli@ornekas|--role|İşçi",
    ] {
        done(&r, line).await;
    }
    // Who manages the account changes its people, but no officer.
    done(&r, "user|add|can@ornekas|--as|ali@ornekas").await;
    let told = listed(&r, "audit|show|ornekas|--user|can|--as|ali@ornekas").await;
    assert_eq!(told[0].value("who"), Some(&json!("ali@ornekas")));
    // Who manages jobs defines labels, as over IMAP.
    done(&r, "label|add|ornekas|Acil|--as|veli@ornekas").await;
    let before = r.door.organisations.by_name("ornekas").unwrap().version;
    for (line, words) in [
        ("user|add|x@ornekas|--as|veli@ornekas", "permission \"account\""),
        (
            "unit|add|ornekas|Depo|--as|veli@ornekas",
            "permission \"account\"",
        ),
        ("role|list|ornekas|--as|veli@ornekas", "permission \"account\""),
        ("rule|list|ornekas|--as|veli@ornekas", "permission \"account\""),
        ("audit|show|ornekas|--as|veli@ornekas", "permission \"account\""),
        ("label|add|ornekas|Yeni|--as|ali@ornekas", "permission \"jobs\""),
        ("job|list|ornekas|--stats|--as|ali@ornekas", "permission \"jobs\""),
        ("officer|add|x@ornekas|--as|ali@ornekas", "only an officer"),
        (
            "user|set|mudur@ornekas|--imap|false|--as|ali@ornekas",
            "only an officer",
        ),
        ("user|remove|mudur@ornekas|--as|ali@ornekas", "only an officer"),
        (
            "user|role|mudur@ornekas|--add|İşçi|--as|ali@ornekas",
            "only an officer",
        ),
        ("officer|list|komsu|--as|mudur@ornekas", "not a user of"),
        ("tenant|show|komsu|--as|mudur@ornekas", "not a user of"),
        (
            "tenant|set|ornekas|--title|X|--as|mudur@ornekas",
            "the provider's to do",
        ),
        ("tenant|list|--as|mudur@ornekas", "the provider's to do"),
        ("peer|list|--as|mudur@ornekas", "the provider's to do"),
        ("queue|list|--as|mudur@ornekas", "the provider's to do"),
        ("user|list|ornekas|--as|mudr@ornekas", "did you mean \"mudur\""),
        ("mail|search|ornekas", "--as USER@TENANT"),
        (
            "job|approve|00000000-0000-0000-0000-000000000001",
            "--as USER@TENANT",
        ),
    ] {
        let said = refused(&r, line).await;
        assert!(said.contains(words), "{line}: {said}");
    }
    assert_eq!(r.door.organisations.by_name("ornekas").unwrap().version, before);
    // A label by which units see mail is theirs who arrange the units.
    done(&r, "unit|add|ornekas|Depo").await;
    done(&r, "unit|label|ornekas|Depo|Acil").await;
    let said = refused(&r, "label|remove|ornekas|Acil|--as|veli@ornekas").await;
    assert!(said.contains("permission \"account\""), "{said}");
    // An officer may all of it.
    done(&r, "label|remove|ornekas|Acil|--as|mudur@ornekas").await;
    done(&r, "officer|add|ikinci@ornekas|--as|mudur@ornekas").await;
    done(
        &r,
        "user|set|mudur@ornekas|--title|Genel Müdür|--as|ikinci@ornekas",
    )
    .await;
    assert_eq!(listed(&r, "user|list|ornekas|--as|ikinci@ornekas").await.len(), 5);
}
