//! A client that keeps folders of its own brings back what it had from here: it is filed, never doubled, never kept.

use super::mailbox_house::House;
use kepd::domain::selector::Mailbox;
use kepd::id::ItemId;
use kepd::service::account::Principal;
use kepd::service::failure::{Failure, Kind};
use kepd::service::mailbox::{Handling, Marks};

fn mail(n: u32, more: &str) -> Vec<u8> {
    format!(
        "{more}From: alici@hs02.kep.test\r\nTo: ornekas@hs01.kep.test\r\nSubject: Teklif {n}\r\n\
         Message-ID: <in{n}@hs02.kep.test>\r\nDate: Wed, 4 Nov 2026 10:00:0{n} +0300\r\n\r\nMerhaba {n}\r\n"
    )
    .into_bytes()
}

/// Brings the octets; gives the message that stands for them there.
async fn bring(
    house: &House,
    by: &Principal,
    to: Mailbox,
    octets: &[u8],
    marks: &Marks,
) -> Result<ItemId, Failure> {
    let mut appending = house.mailboxes.append(by, to, octets.len() as u64).await?;
    appending.write(octets).await?;
    let (_, uid) = appending.finish(marks, None).await?.unwrap();
    Ok(house.mailboxes.open(by, to).await?.item(uid).unwrap())
}

async fn shown(house: &House, by: &Principal, mailbox: Mailbox) -> Vec<u64> {
    let opened = house.mailboxes.open(by, mailbox).await.unwrap();
    opened.members().map(|(_, item)| item.0).collect()
}

#[tokio::test]
async fn a_message_brought_back_is_filed_and_never_doubled() {
    let house = House::build().await;
    let (by, plain) = (house.user("mudur"), Marks::default());
    let (first, _) = house.deliver(&mail(1, "")).await;
    let (second, _) = house.deliver(&mail(2, "")).await;
    // Another of the same size.
    house.deliver(&mail(3, "")).await;
    let organisation = house.mailboxes.organisations.of(house.tenant).unwrap();
    let finans = Mailbox::Label(organisation.label_by_name("Finans").unwrap().id);

    // As mbsync does it: a field of its own in front, and the flags that its user has set.
    let seen = Marks {
        seen: true,
        ..Marks::default()
    };
    let marked = mail(1, "X-TUID: abcdefghijkl\r\n");
    assert_eq!(
        bring(&house, &by, Mailbox::Archive, &marked, &seen)
            .await
            .unwrap(),
        first
    );
    assert_eq!(shown(&house, &by, Mailbox::Archive).await, [first.0]);
    assert!(!shown(&house, &by, Mailbox::Inbox).await.contains(&first.0));
    // A second time changes nothing.
    assert_eq!(
        bring(&house, &by, Mailbox::Archive, &marked, &seen)
            .await
            .unwrap(),
        first
    );
    assert_eq!(shown(&house, &by, Mailbox::Archive).await, [first.0]);
    assert_eq!(shown(&house, &by, Mailbox::All).await.len(), 3);

    assert_eq!(
        bring(&house, &by, finans, &mail(2, ""), &plain).await.unwrap(),
        second
    );
    assert_eq!(shown(&house, &by, finans).await, [second.0]);
    assert!(shown(&house, &by, Mailbox::Inbox).await.contains(&second.0));
    // The client has taken it out of INBOX, to the bin; where it brings it to counts.
    let route = kepd::domain::audit::AuditRoute::Imap;
    house
        .mailboxes
        .handle(&by, &[second], Handling::Trash, route)
        .await
        .unwrap();
    bring(&house, &by, Mailbox::Archive, &mail(2, ""), &plain)
        .await
        .unwrap();
    assert!(shown(&house, &by, Mailbox::Trash).await.is_empty());
    assert_eq!(shown(&house, &by, Mailbox::Archive).await, [first.0, second.0]);
    bring(&house, &by, Mailbox::Inbox, &mail(2, ""), &plain)
        .await
        .unwrap();
    assert_eq!(shown(&house, &by, Mailbox::Archive).await, [first.0]);
}

#[tokio::test]
async fn what_is_not_here_cannot_be_brought_and_deciding_is_not_done_so() {
    let house = House::build().await;
    let (by, plain) = (house.user("mudur"), Marks::default());
    let (first, _) = house.deliver(&mail(1, "")).await;
    let refused = async |by: &Principal, to, octets: &[u8]| {
        let failure = bring(&house, by, to, octets, &plain).await.unwrap_err();
        assert!(
            matches!(&failure, Failure::Refused(r) if r.kind == Kind::Invalid),
            "{failure}"
        );
    };
    // Another header, another size, no Message-ID.
    refused(&by, Mailbox::Archive, &mail(2, "")).await;
    let text = String::from_utf8(mail(1, "")).unwrap();
    let changed = text.replace("Subject: Teklif 1", "Subject: Teklif 9");
    refused(&by, Mailbox::Archive, changed.as_bytes()).await;
    let longer = text.clone() + &"x".repeat(2000);
    refused(&by, Mailbox::Archive, longer.as_bytes()).await;
    let nameless = text.replace("Message-ID: <in1@hs02.kep.test>\r\n", "");
    refused(&by, Mailbox::Archive, nameless.as_bytes()).await;
    // Somebody who does not see it has not got it.
    refused(&house.user("onay1"), Mailbox::Archive, text.as_bytes()).await;
    for decides in [Mailbox::Approve, Mailbox::Release, Mailbox::JobsDone] {
        refused(&by, decides, text.as_bytes()).await;
    }
    // A draft cannot be replaced by a message that is brought back.
    let appending = house.mailboxes.append(&by, Mailbox::Archive, 500).await.unwrap();
    assert!(appending.replacing(Mailbox::Inbox, first).is_err());
    assert_eq!(shown(&house, &by, Mailbox::All).await, [first.0]);
    assert!(shown(&house, &by, Mailbox::Archive).await.is_empty());
}
