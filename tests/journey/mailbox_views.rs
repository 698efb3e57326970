//! Views under change: UIDs only grow, and nobody sees what is not his. That this holds whatever happens is tried at
//! random in `audience`.

use super::mailbox_house::{House, start};
use kepd::domain::evidence::EvidenceKind;
use kepd::domain::item::{Filed, ItemKind};
use kepd::domain::selector::Mailbox;
use kepd::id::{ItemId, MailId, SystemIds, UserId};
use kepd::service::account::Principal;
use kepd::service::mailbox::{MarkHow, Marks, Opened, Verb};
use kepd::store::tables::items;
use kepd::store::tables::work::{self, OwedEvidence};
use std::collections::BTreeSet;

const MAIL: &[u8] = b"From: a@hs02.kep.test\r\nSubject: x\r\n\r\nbody\r\n";

fn shown(opened: &Opened) -> Vec<(u32, u64)> {
    opened.members().map(|(uid, item)| (uid, item.0)).collect()
}

async fn open(house: &House, by: &Principal, mailbox: Mailbox) -> Vec<(u32, u64)> {
    shown(&house.mailboxes.open(by, mailbox).await.unwrap())
}

fn label(house: &House, name: &str) -> Mailbox {
    let org = house.mailboxes.organisations.of(house.tenant).unwrap();
    Mailbox::Label(org.label_by_name(name).unwrap().id)
}

fn marked(set: impl FnOnce(&mut Marks)) -> Marks {
    let mut marks = Marks::default();
    set(&mut marks);
    marks
}

#[tokio::test]
async fn what_leaves_and_returns_gets_a_new_uid_and_a_restart_keeps_all() {
    let house = House::build().await;
    let by = house.user("mudur");
    for _ in 0..3 {
        house.put(MAIL, |_| {}).await;
    }
    assert_eq!(open(&house, &by, Mailbox::Inbox).await, [(1, 1), (2, 2), (3, 3)]);
    house
        .change(ItemId(2), |item| {
            item.archived = Some(Filed {
                by: UserId(1),
                at: start(),
            });
        })
        .await;
    assert_eq!(open(&house, &by, Mailbox::Inbox).await, [(1, 1), (3, 3)]);
    assert_eq!(open(&house, &by, Mailbox::Archive).await, [(1, 2)]);
    let validity = house
        .mailboxes
        .open(&by, Mailbox::Inbox)
        .await
        .unwrap()
        .uid_validity;
    let house = house.restart();
    house.change(ItemId(2), |item| item.archived = None).await;
    let opened = house.mailboxes.open(&by, Mailbox::Inbox).await.unwrap();
    assert_eq!(shown(&opened), [(1, 1), (3, 3), (4, 2)]);
    assert_eq!((opened.uid_validity, opened.uid_next), (validity, 5));
    // Officers share the numbers; a limited user has his own.
    assert_eq!(
        open(&house, &house.user("muavin"), Mailbox::Inbox).await,
        shown(&opened)
    );
    assert_eq!(open(&house, &house.user("ayse"), Mailbox::Inbox).await, []);
}

#[tokio::test]
async fn an_open_mailbox_hears_what_others_do() {
    let house = House::build().await;
    let (by, other) = (house.user("mudur"), house.user("muavin"));
    let mailboxes = &house.mailboxes;
    for _ in 0..3 {
        house.put(MAIL, |_| {}).await;
    }
    let mut opened = mailboxes.open(&by, Mailbox::Inbox).await.unwrap();
    assert_eq!(
        mailboxes.poll(&by, &mut opened).await.unwrap(),
        Default::default()
    );
    let mut theirs = mailboxes.open(&other, Mailbox::Inbox).await.unwrap();
    let filed = mailboxes
        .file(&other, &mut theirs, &[(1, ItemId(1))], Mailbox::Trash, Verb::Move)
        .await
        .unwrap();
    assert_eq!(filed.pairs, [(1, 1)]);
    let seen = marked(|m| m.seen = true);
    mailboxes
        .mark(&other, &[ItemId(2)], MarkHow::Add, &seen)
        .await
        .unwrap();
    mailboxes
        .mark(&by, &[ItemId(3)], MarkHow::Add, &seen)
        .await
        .unwrap();
    let added = house.put(MAIL, |_| {}).await;
    let news = mailboxes.poll(&by, &mut opened).await.unwrap();
    assert_eq!(news.removed, [1]);
    assert_eq!(news.added, [(4, added)]);
    // Another officer's flags are none of mine.
    let marks = news.marks.iter().map(|(uid, marks, _)| (*uid, marks.clone()));
    assert_eq!(marks.collect::<Vec<_>>(), [(3, seen)]);
    assert_eq!(shown(&opened), [(2, 2), (3, 3), (4, 4)]);
    // Labelling by moving: the mail stays in INBOX, under a new number.
    let finans = label(&house, "Finans");
    mailboxes
        .file(&other, &mut theirs, &[(2, ItemId(2))], finans, Verb::Move)
        .await
        .unwrap();
    let news = mailboxes.poll(&by, &mut opened).await.unwrap();
    assert_eq!((news.removed, news.added), (vec![2], vec![(5, ItemId(2))]));
}

#[tokio::test]
async fn drafts_and_notices_are_their_users_alone_even_in_shared_views() {
    let house = House::build().await;
    let (mudur, muavin) = (house.user("mudur"), house.user("muavin"));
    let notice = house
        .put(MAIL, |item| {
            item.kind = ItemKind::Notice;
            item.author = Some(muavin.user);
        })
        .await;
    let mail = house.put(MAIL, |_| {}).await;
    assert_eq!(open(&house, &mudur, Mailbox::Inbox).await, [(2, mail.0)]);
    assert_eq!(
        open(&house, &muavin, Mailbox::Inbox).await,
        [(1, notice.0), (2, mail.0)]
    );
}

#[tokio::test]
async fn a_change_of_the_organisation_asks_anew_only_whom_it_concerns() {
    let house = House::build().await;
    let (officer, ayse) = (house.user("mudur"), house.user("ayse"));
    let mailboxes = &house.mailboxes;
    let Mailbox::Label(acil) = label(&house, "Acil") else {
        unreachable!()
    };
    house
        .put(MAIL, |item| {
            item.labels.insert(acil);
        })
        .await;
    let mut of_officer = mailboxes.open(&officer, Mailbox::Inbox).await.unwrap();
    let mut of_ayse = mailboxes.open(&ayse, Mailbox::Inbox).await.unwrap();
    assert_eq!(shown(&of_ayse), []);
    let org = &mailboxes.organisations;
    org.by(crate::provider::admin())
        .label_unit(house.tenant, "Satış", &["Acil".into()], true)
        .await
        .unwrap();
    assert_eq!(
        mailboxes.poll(&ayse, &mut of_ayse).await.unwrap().added,
        [(1, ItemId(1))]
    );
    assert_eq!(
        mailboxes.poll(&officer, &mut of_officer).await.unwrap(),
        Default::default()
    );
    org.by(crate::provider::admin())
        .set_user(house.tenant, "ayse", |_, user| {
            user.units.clear();
            Ok(())
        })
        .await
        .unwrap();
    assert_eq!(mailboxes.poll(&ayse, &mut of_ayse).await.unwrap().removed, [1]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_sessions_catch_up_one_view_at_once() {
    let house = House::build().await;
    let by = house.user("mudur");
    for _ in 0..40 {
        house.put(MAIL, |_| {}).await;
    }
    let mut tasks = Vec::new();
    for n in 0..8 {
        let (mailboxes, by) = (house.mailboxes.clone(), by.clone());
        tasks.push(tokio::spawn(async move {
            let mut opened = mailboxes.open(&by, Mailbox::Inbox).await.unwrap();
            for id in 0..5 {
                let id = ItemId(n * 5 + id + 1);
                let Some(uid) = opened.uid_of(id) else { continue };
                let filed = mailboxes
                    .file(&by, &mut opened, &[(uid, id)], Mailbox::Archive, Verb::Move)
                    .await
                    .unwrap();
                assert_eq!(filed.pairs.len(), 1);
                mailboxes.poll(&by, &mut opened).await.unwrap();
            }
            shown(&opened)
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(open(&house, &by, Mailbox::Inbox).await, []);
    let archived = open(&house, &by, Mailbox::Archive).await;
    let uids: Vec<u32> = archived.iter().map(|(uid, _)| *uid).collect();
    assert_eq!(uids, (1..=40).collect::<Vec<_>>());
    let all: BTreeSet<u64> = archived.iter().map(|(_, item)| *item).collect();
    assert_eq!(all.len(), 40);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reading_is_owed_once_however_many_read() {
    let house = House::build().await;
    let (id, _) = house.deliver(MAIL).await;
    let item = house.item(id);
    let mut tasks = Vec::new();
    for user in ["mudur", "muavin", "mudur", "muavin"] {
        let (mailboxes, by, item) = (house.mailboxes.clone(), house.user(user), item.clone());
        tasks.push(tokio::spawn(async move { mailboxes.hand_over(&by, &item).await }));
    }
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    let owed = work::due::<OwedEvidence>(house.db(), start(), 10).unwrap();
    assert_eq!(owed.len(), 1);
    let facts = &owed[0].row.facts;
    assert_eq!(facts.kind, EvidenceKind::RetrievalNonRetrievalByRecipient);
    assert_eq!(owed[0].row.addressees.len(), 2);
}

#[tokio::test]
async fn the_bin_keeps_the_record_and_drafts_really_go() {
    let house = House::build().await;
    let by = house.user("mudur");
    let mailboxes = &house.mailboxes;
    let mail = house.put(MAIL, |_| {}).await;
    let draft = house
        .put(MAIL, |item| {
            item.kind = ItemKind::Draft;
            item.author = Some(by.user);
        })
        .await;
    let deleted = marked(|m| m.deleted = true);
    for (mailbox, item) in [(Mailbox::Inbox, mail), (Mailbox::Drafts, draft)] {
        let mut opened = mailboxes.open(&by, mailbox).await.unwrap();
        mailboxes
            .mark(&by, &[item], MarkHow::Add, &deleted)
            .await
            .unwrap();
        let filed = mailboxes.expunge(&by, &mut opened, None).await.unwrap();
        assert_eq!(
            (filed.pairs.len(), filed.refused.is_none()),
            (1, true),
            "{mailbox:?}"
        );
        assert_eq!(open(&house, &by, mailbox).await, []);
    }
    assert!(house.item(draft).gone);
    let trashed = house.item(mail).trashed.unwrap();
    assert_eq!((trashed.by, trashed.at), (by.user, start()));
    let mut bin = mailboxes.open(&by, Mailbox::Trash).await.unwrap();
    mailboxes
        .mark(&by, &[mail], MarkHow::Add, &deleted)
        .await
        .unwrap();
    let filed = mailboxes.expunge(&by, &mut bin, None).await.unwrap();
    assert!(filed.pairs.is_empty() && filed.refused.unwrap().to_string().contains("legal record"));
    let uid = bin.uid_of(mail).unwrap();
    mailboxes
        .file(&by, &mut bin, &[(uid, mail)], Mailbox::Inbox, Verb::Move)
        .await
        .unwrap();
    assert_eq!(open(&house, &by, Mailbox::Inbox).await, [(2, mail.0)]);
}

#[tokio::test]
async fn a_commit_of_many_changes_is_never_read_in_part() {
    let house = House::build().await;
    let by = house.user("mudur");
    let ids: Vec<ItemId> = {
        let mut ids = Vec::new();
        for _ in 0..12 {
            ids.push(
                house
                    .put(MAIL, |item| item.mail = Some(MailId::fresh(&SystemIds)))
                    .await,
            );
        }
        ids
    };
    let seen = marked(|m| m.seen = true);
    house
        .mailboxes
        .mark(&by, &ids, MarkHow::Add, &seen)
        .await
        .unwrap();
    let (mut at, mut read) = (kepd::id::ModSeq(0), 0);
    loop {
        let step = items::changes_after(house.db(), house.tenant, at, 3).unwrap();
        let Some(last) = step.last() else { break };
        at = last.modseq;
        read += step.len();
    }
    assert_eq!(read, 24);
}

#[tokio::test]
async fn what_others_mark_moves_nobody_however_much_it_is() {
    let house = House::build().await;
    let (by, other) = (house.user("mudur"), house.user("muavin"));
    let mailboxes = &house.mailboxes;
    let mut ids = Vec::new();
    for _ in 0..20 {
        ids.push(house.put(MAIL, |_| {}).await);
    }
    let mut opened = mailboxes.open(&by, Mailbox::Inbox).await.unwrap();
    let before = shown(&opened);
    let mut beside = mailboxes.open(&by, Mailbox::Important).await.unwrap();
    for round in 0..30 {
        let how = if round % 2 == 0 {
            MarkHow::Add
        } else {
            MarkHow::Remove
        };
        let flagged = marked(|m| m.flagged = true);
        mailboxes.mark(&other, &ids, how, &flagged).await.unwrap();
        let word = marked(|m| {
            m.keywords.insert(format!("k{round}"));
        });
        mailboxes.mark(&other, &ids, MarkHow::Add, &word).await.unwrap();
        if round % 7 == 0 {
            assert_eq!(
                mailboxes.poll(&by, &mut opened).await.unwrap(),
                Default::default()
            );
        }
    }
    let flagged = marked(|m| m.flagged = true);
    mailboxes
        .mark(&by, &ids[..1], MarkHow::Add, &flagged)
        .await
        .unwrap();
    let news = mailboxes.poll(&by, &mut beside).await.unwrap();
    assert_eq!(news.added, [(1, ids[0])]);
    let added = house.put(MAIL, |_| {}).await;
    let news = mailboxes.poll(&by, &mut opened).await.unwrap();
    assert_eq!((news.added, news.removed), (vec![(21, added)], vec![]));
    assert_eq!(shown(&opened)[..20], before[..]);
    assert_eq!(open(&house, &by, Mailbox::Inbox).await, shown(&opened));
}
