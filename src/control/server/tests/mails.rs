//! Mail as its users have it, said over the socket: what `--as` shows is what the mailboxes show.

use super::*;
use crate::domain::item::{Filed, Item, ItemKind};
use crate::domain::selector::Mailbox;
use crate::id::{ItemId, MailId, TenantId};
use crate::service::account::Principal;
use crate::service::mailbox::{MarkHow, Marks};
use crate::service::outline::Outline;
use crate::store::db::Batch;
use crate::store::tables::items::{self, Content};
use std::time::Duration;

const NOW: i64 = 1_795_466_705;
/// No message.
const NONE: [u64; 0] = [];
const DAY: Duration = Duration::from_secs(24 * 3600);

/// A tenant with an officer `mudur`, who has password-less rights to everything, `ayse` of Satış who writes, and `memur`
/// of Mali İşler who only reads; label Finans leads to Mali İşler.
async fn house() -> (Running, TenantId) {
    let r = run().await;
    for line in [
        "tenant|add|ornekas",
        "unit|add|ornekas|Satış",
        "unit|add|ornekas|Mali İşler",
        "label|add|ornekas|Finans",
        "label|add|ornekas|Acil",
        "unit|label|ornekas|Mali İşler|Finans",
        "role|add|ornekas|Yazar|--permit|compose,view",
        "role|add|ornekas|Okur|--permit|view",
        "officer|add|mudur@ornekas",
        "user|add|ayse@ornekas|--unit|Satış|--role|Yazar",
        "user|add|memur@ornekas|--unit|Mali İşler|--role|Okur",
    ] {
        done(&r, line).await;
    }
    let tenant = r.door.organisations.by_name("ornekas").unwrap().tenant.id;
    (r, tenant)
}

fn principal(r: &Running, login: &str) -> Principal {
    r.door
        .accounts
        .principal(&login.parse().unwrap())
        .unwrap()
        .unwrap()
}

/// Puts an item into the log as a station would.
async fn put(r: &Running, tenant: TenantId, octets: &str, shape: impl FnOnce(&mut Item)) -> ItemId {
    let mailboxes = &r.door.mailboxes;
    let blob = mailboxes
        .spool
        .store(octets.replace('\n', "\r\n").as_bytes())
        .await
        .unwrap();
    let content = Content::whole(blob.id, blob.size_bytes);
    let outline = Outline::of(&mailboxes.spool, &content).await.unwrap();
    let id = mailboxes.items.next(tenant).unwrap();
    let mut item = Item::new(id, ItemKind::Incoming, UtcTime::from_unix_s(NOW));
    shape(&mut item);
    let mut batch = Batch::new();
    items::add(&mut batch, tenant, &item, &outline.body(content)).unwrap();
    mailboxes.db.commit(batch).await.unwrap();
    id
}

fn mail(subject: &str, from: &str, body: &str) -> String {
    format!(
        "From: {from}\nTo: ornekas@hs01.kep.test\nSubject: {subject}\nMessage-ID: <{subject}@x>\n\n{body}\n"
    )
}

fn items_of(list: &[Record]) -> Vec<u64> {
    list.iter()
        .map(|record| record.value("item").unwrap().as_u64().unwrap())
        .collect()
}

async fn numbers(r: &Running, line: &str) -> Vec<u64> {
    items_of(&listed(r, line).await)
}

#[tokio::test]
async fn mail_is_searched_as_a_turkish_reader_does() {
    let (r, tenant) = house().await;
    put(
        &r,
        tenant,
        &mail("IŞIK ihalesi", "Ali <ali@hs02.kep.test>", "Merhaba DÜNYA"),
        |_| {},
    )
    .await;
    put(
        &r,
        tenant,
        &mail("Fatura", "veli@hs02.kep.test", "ışık faturası"),
        |item| {
            item.internal_date = UtcTime::from_unix_s(NOW).minus(40 * DAY);
        },
    )
    .await;
    put(&r, tenant, &mail("ILIK", "ali@hs02.kep.test", "x"), |item| {
        item.archived = Some(Filed {
            by: crate::id::UserId(1),
            at: UtcTime::from_unix_s(NOW),
        });
    })
    .await;
    let find = async |words: &str| {
        let line = format!("mail|search|ornekas|--as|mudur@ornekas|{words}");
        numbers(&r, line.trim_end_matches('|')).await
    };
    assert_eq!(find("").await, [3, 2, 1], "newest first");
    assert_eq!(find("--text|IŞIK").await, [2, 1], "in the header or in the text");
    assert_eq!(find("--subject|ışık").await, [1]);
    assert_eq!(
        find("--subject|ilik").await,
        NONE,
        "dotted and dotless are two letters"
    );
    assert_eq!(find("--from|ALİ").await, [3, 1]);
    assert_eq!(find("--from|ali|--subject|ılık").await, [3], "all of it holds");
    assert_eq!(find("--to|ornekas|--text|dünya").await, [1]);
    let (year, month, day) = UtcTime::from_unix_s(NOW).date();
    let today = format!("{year}-{month:02}-{day:02}");
    assert_eq!(find(&format!("--before|{today}")).await, [2]);
    assert_eq!(find(&format!("--since|{today}")).await, [3, 1]);
    assert_eq!(find("--mailbox|arşiv").await, [3], "however the name is typed");
    assert_eq!(find("--limit|1").await, [3]);
    let said = refused(&r, "mail|search|ornekas|--as|mudur@ornekas|--mailbox|Arsıv").await;
    assert!(said.contains("did you mean \"Arşiv\"?"), "{said}");
    // Headers are shown, content is not.
    let list = listed(&r, "mail|list|ornekas|--as|mudur@ornekas").await;
    assert_eq!(list[2].value("subject"), Some(&json!("IŞIK ihalesi")));
    assert_eq!(list[2].value("from"), Some(&json!(["ali@hs02.kep.test"])));
    assert!(!format!("{list:?}").contains("DÜNYA"));
}

#[tokio::test]
async fn a_limited_users_list_is_his_mailbox() {
    let (r, tenant) = house().await;
    let org = r.door.organisations.of(tenant).unwrap();
    let finans = org.label_by_name("Finans").unwrap().id;
    let (sales, ayse) = (
        org.unit_by_path("Satış").unwrap().id,
        principal(&r, "ayse@ornekas"),
    );
    put(&r, tenant, &mail("nobody's", "a@b", "x"), |_| {}).await;
    put(&r, tenant, &mail("sales", "a@b", "x"), |item| {
        item.units.insert(sales);
    })
    .await;
    put(&r, tenant, &mail("finance", "a@b", "x"), |item| {
        item.labels.insert(finans);
    })
    .await;
    put(&r, tenant, &mail("her draft", "a@b", "x"), |item| {
        item.kind = ItemKind::Draft;
        item.author = Some(ayse.user);
    })
    .await;
    for login in ["mudur@ornekas", "ayse@ornekas", "memur@ornekas"] {
        let by = principal(&r, login);
        let seat = r.door.mailboxes.seat(&by).unwrap();
        for (mailbox, name) in seat.viewer().mailboxes() {
            let opened = r.door.mailboxes.open(&by, mailbox).await.unwrap();
            let mut there: Vec<u64> = opened.members().map(|(_, item)| item.0).collect();
            there.reverse();
            let line = format!("mail|list|ornekas|--as|{login}|--mailbox|{name}");
            assert_eq!(numbers(&r, &line).await, there, "{login} {name}");
        }
    }
    assert_eq!(numbers(&r, "mail|list|ornekas|--as|ayse@ornekas").await, [4, 2]);
    assert_eq!(numbers(&r, "mail|list|ornekas|--as|memur@ornekas").await, [3]);
    // What he does not see is not there for any verb, and who only reads changes nothing.
    for line in [
        "mail|show|1|--as|ayse@ornekas",
        "mail|archive|1|--as|ayse@ornekas",
        "mail|restore|1|--as|ayse@ornekas",
        "mail|show|99|--as|ayse@ornekas",
        "mail|show|4|--as|mudur@ornekas",
    ] {
        let said = refused(&r, line).await;
        assert!(said.contains("that this user sees"), "{line}: {said}");
    }
    let said = refused(&r, "mail|trash|3|--as|memur@ornekas").await;
    assert!(said.contains("with the permission \"jobs\""), "{said}");
    let said = refused(&r, "mail|list|ornekas|--as|mudur@baska").await;
    assert!(said.contains("no user"), "{said}");
    let said = refused(&r, "mail|list|ornekas|--as|aise@ornekas").await;
    assert!(said.contains("did you mean \"ayse\"?"), "{said}");
    let said = refused(&r, "mail|show|3").await;
    assert!(said.contains("--as USER@TENANT"), "{said}");
}

#[tokio::test]
async fn who_archived_binned_and_restored_is_shown_and_nothing_is_destroyed() {
    let (r, tenant) = house().await;
    let id = MailId::from_octets([9; 16]);
    let of_mail = |item: &mut Item| item.mail = Some(id);
    put(&r, tenant, &mail("a", "a@b", "x"), of_mail).await;
    put(&r, tenant, &mail("b", "a@b", "x"), |_| {}).await;
    let evidence = |item: &mut Item| item.kind = ItemKind::Evidence;
    put(&r, tenant, &mail("c", "a@b", "x"), evidence).await;
    done(&r, "mail|archive|1|2|--as|mudur@ornekas").await;
    done(&r, "mail|trash|2|3|--as|mudur@ornekas").await;
    let show = async |n: u64| done(&r, &format!("mail|show|{n}|--as|mudur@ornekas")).await;
    let hand = json!({"by": "mudur", "at": UtcTime::from_unix_s(NOW).to_string()});
    assert_eq!(show(1).await.value("archived"), Some(&hand));
    assert_eq!(show(1).await.value("trashed"), Some(&json!(null)));
    assert_eq!(show(2).await.value("trashed"), Some(&hand));
    assert_eq!(
        numbers(&r, "mail|list|ornekas|--as|mudur@ornekas|--mailbox|Arşiv").await,
        [1]
    );
    assert_eq!(
        numbers(&r, "mail|list|ornekas|--as|mudur@ornekas|--mailbox|Çöp Kutusu").await,
        [3, 2]
    );
    // Expunged in the bin over IMAP: refused with the reason, and still there.
    let (by, mailboxes) = (principal(&r, "mudur@ornekas"), &r.door.mailboxes);
    let mut bin = mailboxes.open(&by, Mailbox::Trash).await.unwrap();
    let deleted = Marks {
        deleted: true,
        ..Marks::default()
    };
    let both = [ItemId(2), ItemId(3)];
    mailboxes.mark(&by, &both, MarkHow::Add, &deleted).await.unwrap();
    let expunged = mailboxes.expunge(&by, &mut bin, None).await.unwrap();
    assert!(expunged.pairs.is_empty());
    assert!(expunged.refused.unwrap().to_string().contains("legal record"));
    // One that cannot be done stops all.
    let before = show(1).await;
    let said = refused(&r, "mail|restore|1|77|--as|mudur@ornekas").await;
    assert!(said.contains("77"), "{said}");
    assert_eq!(show(1).await, before);
    done(&r, "mail|restore|1|2|3|--as|mudur@ornekas").await;
    assert_eq!(
        numbers(&r, "mail|list|ornekas|--as|mudur@ornekas|--mailbox|INBOX").await,
        [2, 1]
    );
    assert_eq!(
        numbers(&r, "mail|list|ornekas|--as|mudur@ornekas|--mailbox|Deliller").await,
        [3]
    );
    // Every step is on the record of the message, newest first.
    let history = show(2).await.value("history").unwrap().clone();
    let deeds: Vec<&str> = history
        .as_array()
        .unwrap()
        .iter()
        .map(|h| h["deed"].as_str().unwrap())
        .collect();
    assert_eq!(deeds, ["mail restore", "mail trash", "mail archive"]);
    assert_eq!(history[0]["who"], "mudur@ornekas");
    assert_eq!(history[1]["after"], "{\"trashed\":true}");
    let all = listed(&r, "audit|show|ornekas|--limit|1").await;
    assert_eq!(all[0].value("route"), Some(&json!("kepctl")));
}

#[tokio::test]
async fn a_label_routes_at_once_and_its_end_leaves_nothing_behind() {
    let (r, tenant) = house().await;
    for n in 0..3 {
        put(&r, tenant, &mail(&n.to_string(), "a@b", "x"), |_| {}).await;
    }
    let memur = "mail|list|ornekas|--as|memur@ornekas";
    assert_eq!(numbers(&r, memur).await, NONE);
    done(&r, "label|apply|ornekas|finans|1|2|--as|mudur@ornekas").await;
    assert_eq!(numbers(&r, memur).await, [2, 1]);
    done(&r, "label|apply|ornekas|Finans|1|--as|mudur@ornekas").await;
    done(&r, "label|clear|ornekas|Finans|1|--as|mudur@ornekas").await;
    assert_eq!(numbers(&r, memur).await, [2]);
    let of_label = listed(&r, "audit|show|ornekas|--label|Finans").await;
    assert_eq!(of_label[0].value("deed"), Some(&json!("label clear")));
    assert_eq!(
        of_label[1].value("after"),
        Some(&json!("{\"labels\":[\"Finans\"]}"))
    );
    for (line, why) in [
        (
            "label|apply|ornekas|Finas|1|--as|mudur@ornekas",
            "did you mean \"Finans\"?",
        ),
        (
            "label|apply|ornekas|Acil|2|--as|memur@ornekas",
            "permission \"jobs\"",
        ),
        ("label|apply|ornekas|Acil|1|44|--as|mudur@ornekas", "44"),
    ] {
        let said = refused(&r, line).await;
        assert!(said.contains(why), "{line}: {said}");
    }
    // The definition ends while somebody has the mailbox open.
    let by = principal(&r, "mudur@ornekas");
    let label = r
        .door
        .organisations
        .of(tenant)
        .unwrap()
        .label_by_name("Finans")
        .unwrap()
        .id;
    let mailboxes = &r.door.mailboxes;
    let mut opened = mailboxes.open(&by, Mailbox::Label(label)).await.unwrap();
    assert_eq!(opened.members().count(), 1);
    done(&r, "label|remove|ornekas|Finans").await;
    let news = mailboxes.poll(&by, &mut opened).await.unwrap();
    assert_eq!(news.removed.len(), 1);
    assert_eq!(
        numbers(&r, memur).await,
        NONE,
        "units do not see by a label that is no more"
    );
    let org = r.door.organisations.of(tenant).unwrap();
    assert!(org.units.values().all(|unit| unit.labels.is_empty()));
    let shown = done(&r, "mail|show|2|--as|mudur@ornekas").await;
    assert_eq!(shown.value("labels"), Some(&json!([])));
    // The same name again is another label, and that mail does not carry it.
    done(&r, "label|add|ornekas|Finans").await;
    done(&r, "unit|label|ornekas|Mali İşler|Finans").await;
    let again = r
        .door
        .organisations
        .of(tenant)
        .unwrap()
        .label_by_name("Finans")
        .unwrap()
        .id;
    assert!(again > label);
    assert_eq!(numbers(&r, memur).await, NONE);
    let opened = mailboxes.open(&by, Mailbox::Label(again)).await.unwrap();
    assert_eq!(opened.members().count(), 0);
    done(&r, "mail|archive|2|--as|mudur@ornekas").await;
    let history = done(&r, "mail|show|2|--as|mudur@ornekas")
        .await
        .value("history")
        .unwrap()
        .clone();
    assert_eq!(history[0]["before"], "{\"archived\":false}");
}

/// Saves a draft as a client does.
async fn save(r: &Running, login: &str, subject: &str, body: &str) {
    let (by, mailboxes) = (principal(r, login), &r.door.mailboxes);
    let octets = format!("Subject: {subject}\r\nMessage-ID: <one@x>\r\n\r\n{body}\r\n");
    let size = octets.len() as u64;
    let mut appending = mailboxes.append(&by, Mailbox::Drafts, size).await.unwrap();
    appending.write(octets.as_bytes()).await.unwrap();
    appending.finish(&Marks::default(), None).await.unwrap();
}

#[tokio::test]
async fn versions_are_shown_and_one_comes_back() {
    let (r, tenant) = house().await;
    for (subject, body) in [("Tek", "1"), ("Teklif", "22"), ("Teklif no 5", "333")] {
        save(&r, "ayse@ornekas", subject, body).await;
    }
    let drafts = "mail|list|ornekas|--as|ayse@ornekas|--mailbox|Taslaklar";
    assert_eq!(numbers(&r, drafts).await, [3]);
    let versions = listed(&r, "mail|show|3|--as|ayse@ornekas|--versions").await;
    let told = |name: &str| {
        versions
            .iter()
            .map(|v| v.value(name).unwrap().clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(told("version"), [json!(3), json!(2), json!(1)]);
    assert_eq!(
        told("subject"),
        [json!("Teklif no 5"), json!("Teklif"), json!("Tek")]
    );
    assert_eq!(told("current"), [json!(true), json!(false), json!(false)]);
    assert!(told("who").iter().all(|who| who == "ayse"));
    assert_eq!(versions[1].value("replaced_or_removed").unwrap()["by"], "ayse");
    let sizes = told("size_bytes");
    assert!(sizes[0].as_u64() > sizes[2].as_u64());
    for (line, why) in [
        ("mail|restore|3|--version|7|--as|ayse@ornekas", "there are 1 to 3"),
        (
            "mail|restore|3|--version|3|--as|ayse@ornekas",
            "is the current one",
        ),
        (
            "mail|restore|3|3|--version|1|--as|ayse@ornekas",
            "name one message",
        ),
        ("mail|show|3|--as|mudur@ornekas|--versions", "that this user sees"),
        (
            "mail|restore|3|--version|1|--as|mudur@ornekas",
            "that this user sees",
        ),
    ] {
        let said = refused(&r, line).await;
        assert!(said.contains(why), "{line}: {said}");
    }
    let back = done(&r, "mail|restore|3|--version|1|--as|ayse@ornekas").await;
    assert_eq!(back.value("item"), Some(&json!(4)));
    let list = listed(&r, drafts).await;
    assert_eq!(
        (items_of(&list), list[0].value("subject")),
        (vec![4], Some(&json!("Tek")))
    );
    let versions = listed(&r, "mail|show|4|--as|ayse@ornekas|--versions").await;
    assert_eq!(items_of(&versions), [4, 3, 2, 1]);
    // The next save goes on from there.
    save(&r, "ayse@ornekas", "Tek", "yeni").await;
    assert_eq!(numbers(&r, drafts).await, [5]);
    // Another user's draft under the same Message-ID is another draft.
    save(&r, "mudur@ornekas", "Tek", "onun").await;
    assert_eq!(numbers(&r, drafts).await, [5]);
    // Thrown away, found again, brought back; for a month.
    done(&r, "mail|trash|5|--as|ayse@ornekas").await;
    done(&r, "mail|restore|5|--as|ayse@ornekas").await;
    let gone = |days: u32| {
        move |item: &mut Item| {
            item.kind = ItemKind::Draft;
            item.gone = true;
            item.trashed = item.author.map(|by| Filed {
                by,
                at: UtcTime::from_unix_s(NOW).minus(days * DAY),
            });
        }
    };
    let ayse = principal(&r, "ayse@ornekas").user;
    for days in [30, 31] {
        let shape = |item: &mut Item| {
            item.author = Some(ayse);
            gone(days)(item);
        };
        put(&r, tenant, &mail(&format!("{days} days"), "a@b", "x"), shape).await;
    }
    let removed = listed(&r, "mail|list|ornekas|--as|ayse@ornekas|--removed").await;
    assert_eq!(items_of(&removed), [7]);
    let said = refused(&r, "mail|restore|8|--as|ayse@ornekas").await;
    assert!(said.contains("more than 30 days"), "{said}");
    done(&r, "mail|restore|7|--as|ayse@ornekas").await;
    assert_eq!(numbers(&r, drafts).await, [7, 5]);
}

#[tokio::test]
async fn a_draft_is_handed_in_by_its_author() {
    let (r, tenant) = house().await;
    for line in [
        "role|add|ornekas|Onaycı|--permit|approve,view",
        "user|add|onay@ornekas|--role|Onaycı",
        "rule|add|ornekas|Teklif|--subject|Teklif|--step|Onaycı:1",
    ] {
        done(&r, line).await;
    }
    let ayse = principal(&r, "ayse@ornekas").user;
    let text = "From: <ornekas@hs01.kep.test>\nTo: <ornekas@hs01.kep.test>\nSubject: Selam\n\
                Message-ID: <s@hs01.kep.test>\n\nmetin\n";
    let draft = put(&r, tenant, text, |item| {
        item.kind = ItemKind::Draft;
        item.author = Some(ayse);
    })
    .await;
    let send = |more: &str| format!("mail|send|{}|{more}", draft.0);
    for (line, words) in [
        ("--rule|Teklif", "--as USER@TENANT"),
        ("--rule|Teklif|--as|memur@ornekas", "not there"),
        ("--rule|Teklf|--as|ayse@ornekas", "the rules are: Teklif"),
    ] {
        let said = refused(&r, &send(line)).await;
        assert!(said.contains(words), "{line}: {said}");
    }
    // No rule matches: it is a draft still, the next version of itself.
    let told = done(&r, &send("--as|ayse@ornekas")).await;
    assert_eq!(told.value("became"), Some(&json!("draft")));
    let now = told.value("item").unwrap().as_u64().unwrap();
    let told = done(&r, &format!("mail|send|{now}|--rule|Teklif|--as|ayse@ornekas")).await;
    assert_eq!(told.value("became"), Some(&json!("job")));
    assert_eq!(told.value("rule"), Some(&json!("Teklif")));
    let again = refused(&r, &format!("mail|send|{now}|--as|ayse@ornekas")).await;
    assert!(again.contains("not there"), "{again}");
    let pending = listed(&r, "job|list|ornekas|pending|--as|onay@ornekas").await;
    assert_eq!(pending.len(), 1);
}
