//! `kepctl mail accept` and `refuse`, said over the socket.

use super::*;
use crate::domain::item::{Item, ItemKind};
use crate::domain::mail::{Consignment, ConsignmentState, SenderHome};
use crate::id::{ItemId, MailId};
use crate::store::db::Batch;
use crate::store::tables::items::{self, ItemBody};
use crate::store::tables::mails;

#[tokio::test]
async fn a_mail_that_came_in_is_accepted_or_refused_once() {
    let r = run().await;
    done(&r, "tenant|add|ornekas|--title|Örnek A.Ş.").await;
    done(&r, "officer|add|mudur@ornekas").await;
    done(&r, "user|add|ayse@ornekas").await;
    let tenant = r.door.organisations.by_name("ornekas").unwrap().tenant.id;
    let at = UtcTime::from_unix_s(1_795_466_705);
    let mut batch = Batch::new();
    let mails: Vec<MailId> = (1..3).map(|n| MailId::from_octets([n; 16])).collect();
    for (id, item) in mails.iter().zip(1..) {
        let consignment = Consignment {
            id: *id,
            tenant,
            item: ItemId(item),
            home: SenderHome::Peer {
                domain: "hs02.kep.test".parse().unwrap(),
                receipts_to: "kep@hs02.kep.test".parse().unwrap(),
            },
            sender: "alici@hs02.kep.test".parse().unwrap(),
            recipient: "ornekas@hs01.kep.test".parse().unwrap(),
            listed: vec!["ornekas@hs01.kep.test".parse().unwrap()],
            subject: "Teklif".into(),
            message_id: "<a@hs02.kep.test>".into(),
            rem_message_id: format!("{id}.0@hs02.kep.test"),
            original_sha256: [7; 32],
            submitted_at: Some(at),
            delivered_at: at,
            state: ConsignmentState::Delivered,
            declaration: None,
        };
        mails::add_consignment(&mut batch, &consignment).unwrap();
        let item = Item {
            mail: Some(*id),
            ..Item::new(ItemId(item), ItemKind::Incoming, at)
        };
        items::add(
            &mut batch,
            tenant,
            &item,
            &ItemBody {
                content: Default::default(),
                outline: Vec::new(),
            },
        )
        .unwrap();
    }
    r.door.records.db.commit(batch).await.unwrap();
    let accept = |by: &str| format!("mail|accept|{}|--as|{by}@ornekas|--note|Uygundur", mails[0]);
    assert!(refused(&r, &accept("kimse")).await.contains("there is no user"));
    // He sees nothing of it.
    assert!(refused(&r, &accept("ayse")).await.contains("there is no mail"));
    let other = format!("{}|--sha256|{}", accept("mudur"), "00".repeat(32));
    assert!(refused(&r, &other).await.contains("digest"));
    let told = done(&r, &accept("mudur")).await;
    let wanted = [
        ("declared", "accepted"),
        ("by", "mudur@ornekas"),
        ("route", "kepctl"),
        ("note", "Uygundur"),
        ("original_sha256", &*"07".repeat(32)),
    ];
    for (field, value) in wanted {
        assert_eq!(told.value(field).unwrap(), value, "{field}");
    }
    let again = refused(&r, &format!("mail|refuse|{}|--as|mudur@ornekas", mails[0])).await;
    assert!(again.contains("accepted already, by mudur@ornekas"), "{again}");
    let refuse = format!(
        "mail|refuse|{}|--as|mudur@ornekas|--sha256|{}",
        mails[1],
        "07".repeat(32)
    );
    assert_eq!(done(&r, &refuse).await.value("declared").unwrap(), "refused");
    let shown = done(&r, &format!("mail|show|{}", mails[1])).await;
    assert_eq!(shown.value("declared"), Some(&json!("refused")));
    assert_eq!(shown.value("declared_by"), Some(&json!("mudur@ornekas")));
    assert_eq!(shown.value("state"), Some(&json!("delivered")));
    let unknown = "00000000-0000-0000-0000-00000000ffff";
    assert!(
        refused(&r, &format!("mail|show|{unknown}"))
            .await
            .contains("there is no mail")
    );
    let audit = listed(&r, "audit|show|ornekas|--user|mudur").await;
    let deeds: Vec<_> = audit.iter().map(|a| a.value("deed").unwrap().clone()).collect();
    assert_eq!(deeds[..2], [json!("mail refuse"), json!("mail accept")]);
}
