//! What may be brought, sent and marked in mailboxes, and by whom.

use super::mailbox_house::{House, start};
use kepd::domain::item::ItemKind;
use kepd::domain::selector::Mailbox;
use kepd::id::ItemId;
use kepd::service::account::Principal;
use kepd::service::failure::{Failure, Kind};
use kepd::service::mailbox::{Filed, MarkHow, Marks, Verb};
use kepd::store::tables::work::{self, OwedEvidence};

fn kind(failure: Failure) -> Kind {
    match failure {
        Failure::Refused(refused) => refused.kind,
        other => panic!("{other}"),
    }
}

async fn moved(house: &House, by: &Principal, from: Mailbox, id: ItemId, to: Mailbox) -> Filed {
    let mailboxes = &house.mailboxes;
    let mut opened = mailboxes.open(by, from).await.unwrap();
    let uid = opened.uid_of(id).unwrap();
    mailboxes
        .file(by, &mut opened, &[(uid, id)], to, Verb::Move)
        .await
        .unwrap()
}

fn keywords(words: &[&str]) -> Marks {
    Marks {
        keywords: words.iter().map(|w| (*w).to_owned()).collect(),
        ..Marks::default()
    }
}

fn draft(body: &str) -> Vec<u8> {
    format!(
        "From: ornekas@hs01.kep.test\r\nTo: ornekas@hs01.kep.test\r\nSubject: x\r\n\
         Message-ID: <{}@hs01.kep.test>\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

#[tokio::test]
async fn a_draft_that_cannot_be_relayed_as_it_stands_is_not_sent() {
    let house = House::build().await;
    let by = house.user("mudur");
    let long = format!("{}\r\n", "x".repeat(999));
    for body in ["a\nb\r\n", "a\rb\r\n", "a\0b\r\n", "no end", long.as_str()] {
        let id = house
            .put(&draft(body), |item| {
                item.kind = ItemKind::Draft;
                item.author = Some(by.user);
            })
            .await;
        let filed = moved(&house, &by, Mailbox::Drafts, id, Mailbox::Release).await;
        assert_eq!(filed.refused.map(kind), Some(Kind::Malformed), "{body:?}");
        assert!(!house.item(id).gone, "the draft stays");
    }
    let owed = work::due::<OwedEvidence>(house.db(), start(), 10).unwrap();
    assert!(owed.is_empty(), "nothing was accepted");
    let id = house
        .put(&draft("good\r\n"), |item| {
            item.kind = ItemKind::Draft;
            item.author = Some(by.user);
        })
        .await;
    let filed = moved(&house, &by, Mailbox::Drafts, id, Mailbox::Release).await;
    assert!(filed.refused.is_none() && house.item(id).gone);
}

#[tokio::test]
async fn a_message_with_nul_cannot_be_brought() {
    let house = House::build().await;
    let by = house.user("mudur");
    let mut appending = house.mailboxes.append(&by, Mailbox::Drafts, 100).await.unwrap();
    let refused = appending.write(&draft("a\0b\r\n")).await.unwrap_err();
    assert_eq!(kind(refused), Kind::Malformed);
}

#[tokio::test]
async fn who_only_reads_changes_nothing_for_others() {
    let house = House::build().await;
    let (officer, reader, writer) = (house.user("mudur"), house.user("onay1"), house.user("ayse"));
    let mailboxes = &house.mailboxes;
    let org = mailboxes.organisations.of(house.tenant).unwrap();
    let [finans, acil] = ["Finans", "Acil"].map(|l| org.label_by_name(l).unwrap().id);
    let unit = org.unit_by_path("Mali İşler").unwrap().id;
    let mail = house
        .put(&draft("to the unit\r\n"), |item| {
            item.units.insert(unit);
            item.labels.insert(finans);
        })
        .await;
    let before = house.item(mail);
    for to in [Mailbox::Label(acil), Mailbox::Archive, Mailbox::Trash] {
        let filed = moved(&house, &reader, Mailbox::Inbox, mail, to).await;
        assert_eq!(filed.refused.map(kind), Some(Kind::NoPermission), "{to:?}");
        let mut opened = mailboxes.open(&reader, Mailbox::Inbox).await.unwrap();
        let uid = opened.uid_of(mail).unwrap();
        let copied = mailboxes
            .file(&reader, &mut opened, &[(uid, mail)], to, Verb::Copy)
            .await;
        assert_eq!(copied.map_err(kind).unwrap_err(), Kind::NoPermission);
    }
    for (how, word) in [(MarkHow::Add, "Acil"), (MarkHow::Remove, "Finans")] {
        let wish = keywords(&[word]);
        let marked = mailboxes.mark(&reader, &[mail], how, &wish).await.unwrap();
        assert_eq!(marked.refused.map(kind), Some(Kind::NoPermission), "{word}");
    }
    let mut deleted = keywords(&[]);
    (deleted.deleted, deleted.flagged, deleted.seen) = (true, true, true);
    let marked = mailboxes.mark(&reader, &[mail], MarkHow::Add, &deleted).await;
    assert!(marked.unwrap().refused.is_none(), "his own flags are his");
    for from in [Mailbox::Label(finans), Mailbox::Inbox] {
        let mut opened = mailboxes.open(&reader, from).await.unwrap();
        let filed = mailboxes.expunge(&reader, &mut opened, None).await.unwrap();
        assert_eq!(filed.refused.map(kind), Some(Kind::NoPermission), "{from:?}");
        assert!(filed.pairs.is_empty());
    }
    assert_eq!(house.item(mail), before);
    // An officer may; and who wrote a mail labels it.
    let filed = moved(&house, &officer, Mailbox::Inbox, mail, Mailbox::Label(acil)).await;
    assert!(filed.refused.is_none() && house.item(mail).labels.contains(&acil));
    let own = house
        .put(&draft("his own\r\n"), |item| {
            item.kind = ItemKind::Outgoing;
            item.author = Some(writer.user);
        })
        .await;
    let marked = mailboxes
        .mark(&writer, &[own], MarkHow::Add, &keywords(&["Acil"]))
        .await
        .unwrap();
    assert!(marked.refused.is_none() && house.item(own).labels.contains(&acil));
}

/// A mail of `ayse` that waits for `onay1`.
async fn waiting(house: &House) -> ItemId {
    let writer = house.user("ayse");
    let id = house
        .put(&draft("waits\r\n"), |item| {
            item.kind = ItemKind::Draft;
            item.author = Some(writer.user);
        })
        .await;
    let org = house.mailboxes.organisations.of(house.tenant).unwrap();
    let flow = Mailbox::Flow(org.rule_by_name("Teklif").unwrap().id);
    let filed = moved(house, &writer, Mailbox::Drafts, id, flow).await;
    assert!(filed.refused.is_none(), "{:?}", filed.refused);
    let by = house.user("onay1");
    let pending = house.mailboxes.open(&by, Mailbox::JobsPending).await.unwrap();
    pending.members().next().unwrap().1
}

#[tokio::test]
async fn both_decisions_at_once_are_none_and_a_copy_decides_nothing() {
    let house = House::build().await;
    let id = waiting(&house).await;
    let by = house.user("onay1");
    let mailboxes = &house.mailboxes;
    let before = house.item(id);
    let both = keywords(&["$KepOnay", "$kepret", "benim"]);
    for how in [MarkHow::Add, MarkHow::Replace] {
        let refused = mailboxes.mark(&by, &[id], how, &both).await.unwrap_err();
        assert_eq!(kind(refused), Kind::Invalid);
    }
    // The copy of what was sent, brought with a word that would decide it: by its author, and by another, who has sent
    // nothing of that Message-ID.
    let author = house.user("ayse");
    for (by, word, taken) in [(&author, "$KEPGERICEK", true), (&by, "$KEPONAY", false)] {
        let mut copy = mailboxes.append(by, Mailbox::Sent, 500).await.unwrap();
        copy.write(&draft("waits\r\n")).await.unwrap();
        let brought = copy.finish(&keywords(&[word, "benim"]), None).await;
        assert_eq!(brought.is_ok(), taken, "{word}");
    }
    assert_eq!(house.item(id).job, before.job, "still undecided");
    let opened = mailboxes.open(&by, Mailbox::JobsPending).await.unwrap();
    assert!(opened.uid_of(id).is_some());
    let approve = keywords(&["$KepOnay"]);
    let marked = mailboxes.mark(&by, &[id], MarkHow::Add, &approve).await.unwrap();
    assert!(marked.refused.is_none() && house.item(id).job != before.job);
}

#[tokio::test]
async fn nobody_else_is_named_as_sender() {
    let house = House::build().await;
    let by = house.user("mudur");
    let other = "Sender: baska@hs02.kep.test\r\n";
    let own = "Sender: Ornek <Ornekas@hs01.kep.test>\r\n";
    for (field, taken) in [(other, false), ("Sender: \r\n", false), (own, true), ("", true)] {
        let text = [field.as_bytes(), &draft("x\r\n")].concat();
        let to = vec!["ornekas@hs01.kep.test".parse().unwrap()];
        let mut receiving = house.mailboxes.submission.begin(&by, to);
        match receiving.write(&text).await {
            Ok(()) => assert!(taken, "{field}"),
            Err(failure) => assert!(!taken && kind(failure) == Kind::NotYourAddress, "{field}"),
        }
    }
}
