//! Certificates of users as the administrator and the users themselves bind them.

use super::*;
use rcgen::{CertificateParams, CustomExtension, DnType, IsCa, KeyPair, date_time_ymd};

fn params(name: &str) -> CertificateParams {
    let mut p = CertificateParams::default();
    p.distinguished_name = rcgen::DistinguishedName::new();
    p.distinguished_name.push(DnType::CommonName, name);
    p.not_before = date_time_ymd(2026, 1, 1);
    p.not_after = date_time_ymd(2028, 1, 1);
    p
}

fn pem(params: CertificateParams) -> String {
    params.self_signed(&KeyPair::generate().unwrap()).unwrap().pem()
}

/// `user cert LOGIN --add`, as kepctl sends it once it has read the file.
async fn add(r: &Running, login: &str, pem: String) -> Reply {
    let mut request = typed(&format!("user|cert|{login}|--add|x.pem"));
    let Word::User(protocol::UserWord::Cert(wish)) = &mut request.word else {
        panic!("another word")
    };
    wish.pem = Some(pem);
    say(r, request).await
}

#[tokio::test]
async fn certificates_are_bound_listed_and_taken_away_on_the_record() {
    let r = run().await;
    for line in [
        "tenant|add|ornekas",
        "officer|add|mudur@ornekas",
        "user|add|ayse@ornekas",
        "role|add|ornekas|Hesap|--permit|account",
        "user|role|ayse@ornekas|--add|Hesap",
        "user|add|onay1@ornekas",
    ] {
        done(&r, line).await;
    }
    assert_eq!(listed(&r, "user|cert|ayse@ornekas").await, []);
    let card = pem(params("AYŞE ÖRNEK"));
    let Reply::List(rows) = add(&r, "ayse@ornekas", card.clone()).await else {
        panic!("not bound")
    };
    let fingerprint = rows[0].value("value").unwrap().as_str().unwrap().to_owned();
    assert_eq!(rows[0].value("name"), Some(&json!("AYŞE ÖRNEK")));
    assert_eq!(rows[0].value("until"), Some(&json!("2028-01-01T00:00:00Z")));
    // One certificate may be of several users; of one user it is once.
    assert!(matches!(
        add(&r, "onay1@ornekas", card.clone()).await,
        Reply::List(_)
    ));
    let rows = listed(&r, "user|cert|ayse@ornekas|--tckn|17291716060").await;
    assert_eq!(rows[1].value("value"), Some(&json!("172******60")));

    let refusals = [
        (add(&r, "ayse@ornekas", card).await, "bound to this user already"),
        (add(&r, "ayse@ornekas", "x".into()).await, "no certificate in PEM"),
        (
            add(&r, "ayse@ornekas", {
                let mut p = params("CA");
                p.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
                pem(p)
            })
            .await,
            "of an authority",
        ),
        (
            add(&r, "ayse@ornekas", {
                let mut p = params("Şirket");
                // certificatePolicies with 2.16.792.1.2.1.1.5.7.50.1
                let policy = [0x60, 0x86, 0x18, 1, 2, 1, 1, 5, 7, 50, 1];
                let value = [&[0x30, 15, 0x30, 13, 6, 11][..], &policy].concat();
                p.custom_extensions
                    .push(CustomExtension::from_oid_content(&[2, 5, 29, 32], value));
                pem(p)
            })
            .await,
            "mali mühür",
        ),
        (
            add(&r, "ayse@ornekas", {
                let mut p = params("Eski");
                p.not_after = date_time_ymd(2026, 2, 1);
                pem(p)
            })
            .await,
            "has ended",
        ),
    ];
    for (reply, why) in refusals {
        assert!(
            matches!(&reply, Reply::Refused(say) if say.contains(why)),
            "{reply:?}"
        );
    }
    for (line, why) in [
        ("user|cert|ayse@ornekas|--tckn|17291716060", "the user's already"),
        ("user|cert|ayse@ornekas|--tckn|4540536920", "no TCKN"),
        (
            "user|cert|ayse@ornekas|--remove|0123456789",
            "no certificate with that",
        ),
        ("user|cert|onay1@ornekas|--remove-tckn", "no TCKN is bound"),
        ("officer|cert|ayse@ornekas", "not an officer"),
        // Who manages the account does not reach its officers; who manages nothing reaches nobody.
        (
            "officer|cert|mudur@ornekas|--tckn|10000000146|--as|ayse@ornekas",
            "only an officer",
        ),
        ("user|cert|ayse@ornekas|--as|onay1@ornekas", "account"),
    ] {
        let said = refused(&r, line).await;
        assert!(said.contains(why), "{line}: {said}");
    }
    let short = &fingerprint[..3];
    let said = refused(&r, &format!("user|cert|ayse@ornekas|--remove|{short}")).await;
    assert!(said.contains("more of the fingerprint"), "{said}");

    // A user has a few, not any number.
    for n in 1..crate::domain::certificate::CERTIFICATES_PER_USER_MAX {
        let reply = add(&r, "ayse@ornekas", pem(params(&format!("kart {n}")))).await;
        assert!(matches!(reply, Reply::List(_)), "{reply:?}");
    }
    let reply = add(&r, "ayse@ornekas", pem(params("bir daha"))).await;
    assert!(
        matches!(&reply, Reply::Refused(say) if say.contains("at most")),
        "{reply:?}"
    );

    let line = format!(
        "user|cert|ayse@ornekas|--remove|{}",
        fingerprint.to_ascii_uppercase()
    );
    assert!(
        listed(&r, &line)
            .await
            .iter()
            .all(|row| row.value("value") != Some(&json!(fingerprint)))
    );
    listed(&r, "user|cert|ayse@ornekas|--remove-tckn").await;

    let record = listed(&r, "audit|show|ornekas|--user|ayse").await;
    let deed = |n: usize| record[n].value("deed").unwrap().as_str().unwrap().to_owned();
    assert_eq!([deed(0), deed(1)], ["user cert", "user cert"]);
    let before = record[0].value("before").unwrap().as_str().unwrap();
    assert!(before.contains("172******60"), "{before}");
    assert!(record.iter().all(|a| !format!("{a:?}").contains("17291716060")));
}
