//! Drafts as clients save them: one stays visible, its versions are kept, and nothing is half done.

use super::imap_client::{acceptor, door, listen, pki};
use super::mailbox_house::{House, PASSWORD, start};
use kepd::domain::audit::{AuditRoute, Matter};
use kepd::domain::item::{Item, ItemKind};
use kepd::domain::selector::Mailbox;
use kepd::id::{ItemId, JobId, SystemIds};
use kepd::service::account::Principal;
use kepd::service::failure::{Failure, Kind};
use kepd::service::mailbox::{Handling, MarkHow, Marks, Verb};
use kepd::store::db::Batch;
use kepd::store::tables::{audit, flags, items};
use std::time::Duration;

fn octets(subject: &str, message_id: &str, body: &str) -> Vec<u8> {
    format!(
        "From: ornekas@hs01.kep.test\r\nTo: ornekas@hs01.kep.test\r\nSubject: {subject}\r\n\
         Message-ID: <{message_id}@hs01.kep.test>\r\n\r\n{body}\r\n"
    )
    .into_bytes()
}

/// Brings a draft, alone or in the place of another, and gives its number.
async fn save(
    house: &House,
    by: &Principal,
    octets: &[u8],
    marks: &Marks,
    replaces: Option<(Mailbox, ItemId)>,
) -> Result<ItemId, Failure> {
    let mailboxes = &house.mailboxes;
    let mut appending = mailboxes.append(by, Mailbox::Drafts, octets.len() as u64).await?;
    if let Some((from, old)) = replaces {
        appending = appending.replacing(from, old)?;
    }
    appending.write(octets).await?;
    let told = appending.finish(marks, None).await?;
    let (_, uid) = told.unwrap();
    let opened = mailboxes.open(by, Mailbox::Drafts).await?;
    Ok(opened.item(uid).unwrap())
}

async fn drafts(house: &House, by: &Principal) -> Vec<u64> {
    let opened = house.mailboxes.open(by, Mailbox::Drafts).await.unwrap();
    opened.members().map(|(_, item)| item.0).collect()
}

async fn versions(house: &House, by: &Principal, id: ItemId) -> Vec<u64> {
    let versions = house.mailboxes.versions(by, id).await.unwrap();
    versions.iter().map(|version| version.item.id.0).collect()
}

async fn expunge(house: &House, by: &Principal, which: &[ItemId]) {
    let deleted = Marks {
        deleted: true,
        ..Marks::default()
    };
    let mailboxes = &house.mailboxes;
    mailboxes.mark(by, which, MarkHow::Add, &deleted).await.unwrap();
    let mut opened = mailboxes.open(by, Mailbox::Drafts).await.unwrap();
    let filed = mailboxes.expunge(by, &mut opened, None).await.unwrap();
    assert!(filed.refused.is_none());
    assert_eq!(filed.pairs.len(), which.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_real_client_saves_five_times_and_keeps_one_draft() {
    let house = House::build().await.with_passwords().await;
    house.deliver(&octets("gelen", "gelen", "x")).await;
    let pki = pki();
    let ca = house.dir.path().join("ca.pem");
    std::fs::write(&ca, &pki.ca.certificate_pem).unwrap();
    let tls = listen(door(&house, Duration::ZERO), acceptor(&pki), true).await;
    let arguments = [tls.to_string(), ca.display().to_string(), PASSWORD.to_owned()];
    crate::imap_client::run_client("imap_drafts.py", arguments.into()).await;
    // Three mails were written: five, two and five versions, each current one visible alone.
    let by = house.user("ayse");
    let mut counts = Vec::new();
    for id in drafts(&house, &by).await {
        let all = house.mailboxes.versions(&by, ItemId(id)).await.unwrap();
        assert!(
            all[1..]
                .iter()
                .all(|v| v.removed().is_some_and(|f| f.by == by.user))
        );
        counts.push((all[0].subject.clone(), all.len()));
    }
    counts.sort();
    let want = [("Bir", 5), ("Iki degisti", 2), ("Uc", 5)].map(|(s, n)| (s.to_owned(), n));
    assert_eq!(counts, want);
}

#[tokio::test]
async fn a_draft_and_its_flags_come_in_one_commit_and_a_retry_doubles_nothing() {
    let house = House::build().await;
    let by = house.user("ayse");
    let marks = Marks {
        seen: true,
        flagged: true,
        keywords: ["Acil".to_owned(), "benim".to_owned(), "$KepOnay".to_owned()].into(),
        ..Marks::default()
    };
    let first = save(&house, &by, &octets("a", "a", "1"), &marks, None)
        .await
        .unwrap();
    let item = items::item(house.db(), house.tenant, first).unwrap().unwrap();
    let flags = flags::flags(house.db(), house.tenant, by.user, first)
        .unwrap()
        .unwrap();
    assert_eq!(item.modseq, flags.modseq, "one commit");
    assert!(flags.seen && flags.flagged && flags.keywords.contains("benim"));
    assert_eq!(item.row.labels.len(), 1);
    // The client never saw the OK and brings it again. The label stays with the draft.
    let again = save(&house, &by, &octets("a", "a", "1"), &Marks::default(), None)
        .await
        .unwrap();
    assert_eq!(drafts(&house, &by).await, [again.0]);
    assert_eq!(house.item(again).labels, item.row.labels);
    // What the server reports cannot be set; the draft is kept all the same.
    let report = Marks {
        keywords: ["$KepOkundu".to_owned()].into(),
        ..Marks::default()
    };
    let third = save(&house, &by, &octets("b", "b", "1"), &report, None)
        .await
        .unwrap();
    assert_eq!(drafts(&house, &by).await, [again.0, third.0]);
    assert!(
        flags::flags(house.db(), house.tenant, by.user, third)
            .unwrap()
            .is_none()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn saves_at_the_same_moment_leave_one_draft_and_lose_no_version() {
    let house = std::sync::Arc::new(House::build().await);
    let by = house.user("ayse");
    let mut tasks = Vec::new();
    for n in 0..8 {
        let (house, by) = (house.clone(), by.clone());
        tasks.push(tokio::spawn(async move {
            let octets = octets("a", "a", &n.to_string());
            let mailboxes = &house.mailboxes;
            let mut appending = mailboxes
                .append(&by, Mailbox::Drafts, octets.len() as u64)
                .await
                .unwrap();
            appending.write(&octets).await.unwrap();
            appending.finish(&Marks::default(), None).await.unwrap();
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    let there = drafts(&house, &by).await;
    assert_eq!(there.len(), 1, "{there:?}");
    let mut all = versions(&house, &by, ItemId(there[0])).await;
    all.sort_unstable();
    assert_eq!(all.len(), 8);
    all.dedup();
    assert_eq!(all.len(), 8, "each once");
}

#[tokio::test]
async fn what_was_not_replaced_stays() {
    let house = House::build().await;
    let (ayse, mudur) = (house.user("ayse"), house.user("mudur"));
    let plain = Marks::default();
    let one = save(&house, &ayse, &octets("Teklif", "1", "x"), &plain, None)
        .await
        .unwrap();
    // The same subject is no reason, nor another user's Message-ID, nor what lies in the bin.
    let two = save(&house, &ayse, &octets("Teklif", "2", "x"), &plain, None)
        .await
        .unwrap();
    let his = save(&house, &mudur, &octets("Teklif", "1", "x"), &plain, None)
        .await
        .unwrap();
    assert_eq!(drafts(&house, &ayse).await, [one.0, two.0]);
    let mut opened = house.mailboxes.open(&ayse, Mailbox::Drafts).await.unwrap();
    let uid = opened.uid_of(two).unwrap();
    let mailboxes = &house.mailboxes;
    mailboxes
        .file(&ayse, &mut opened, &[(uid, two)], Mailbox::Trash, Verb::Move)
        .await
        .unwrap();
    let three = save(&house, &ayse, &octets("Teklif", "2", "y"), &plain, None)
        .await
        .unwrap();
    let bin = mailboxes.open(&ayse, Mailbox::Trash).await.unwrap();
    assert_eq!(bin.members().count(), 1);
    assert_eq!(versions(&house, &ayse, three).await, [three.0, two.0]);
    assert_eq!(drafts(&house, &mudur).await, [his.0]);
    // A draft of one's own replaces no draft that somebody else sees alone.
    let refused = save(
        &house,
        &mudur,
        &octets("x", "9", "x"),
        &plain,
        Some((Mailbox::Drafts, one)),
    )
    .await;
    assert!(matches!(refused, Err(Failure::Refused(r)) if r.kind == Kind::NotFound));
    assert_eq!(drafts(&house, &ayse).await, [one.0, three.0]);
}

#[tokio::test]
async fn a_replacement_is_whole_or_not_at_all() {
    let house = House::build().await;
    let by = house.user("ayse");
    let plain = Marks::default();
    let job = JobId::fresh(&SystemIds);
    let old = save(&house, &by, &octets("a", "1", "x"), &plain, None)
        .await
        .unwrap();
    house.change(old, |item| item.resumes = Some(job)).await;
    let new = save(
        &house,
        &by,
        &octets("b", "2", "y"),
        &plain,
        Some((Mailbox::Drafts, old)),
    )
    .await
    .unwrap();
    let stamps = [old, new].map(|id| items::item(house.db(), house.tenant, id).unwrap().unwrap().modseq);
    assert_eq!(stamps[0], stamps[1], "one commit");
    assert_eq!(drafts(&house, &by).await, [new.0]);
    // A job that was given back goes on from the new version.
    assert_eq!(
        (house.item(new).resumes, house.item(new).supersedes),
        (Some(job), Some(old))
    );
    // It goes while the message comes in: nothing is written.
    let mailboxes = &house.mailboxes;
    let more = octets("c", "3", "z");
    let appending = mailboxes
        .append(&by, Mailbox::Drafts, more.len() as u64)
        .await
        .unwrap();
    let mut appending = appending.replacing(Mailbox::Drafts, new).unwrap();
    appending.write(&more).await.unwrap();
    expunge(&house, &by, &[new]).await;
    let refused = appending.finish(&plain, None).await.unwrap_err();
    assert!(refused.to_string().contains("not there any more"), "{refused}");
    assert!(drafts(&house, &by).await.is_empty());
    // What is on the record is not replaced by its own copy, and leaves INBOX for the bin at most.
    let officer = house.user("mudur");
    let mail = house.put(&octets("gelen", "g", "x"), |_| {}).await;
    let draft = save(
        &house,
        &officer,
        &octets("d", "4", "x"),
        &plain,
        Some((Mailbox::Inbox, mail)),
    )
    .await
    .unwrap();
    assert!(house.item(mail).trashed.is_some() && !house.item(mail).gone);
    assert_eq!(house.item(draft).supersedes, None);
    let refused = save(
        &house,
        &officer,
        &octets("e", "5", "x"),
        &plain,
        Some((Mailbox::Trash, mail)),
    )
    .await;
    assert!(matches!(refused, Err(Failure::Refused(r)) if r.kind == Kind::OnRecord));
}

#[tokio::test]
async fn the_versions_of_a_sent_draft_stay_with_the_mail() {
    let house = House::build().await;
    let by = house.user("ayse");
    let plain = Marks::default();
    let one = save(&house, &by, &octets("Teklif", "1", "x"), &plain, None)
        .await
        .unwrap();
    let two = save(&house, &by, &octets("Teklif 2", "2", "y"), &plain, None)
        .await
        .unwrap();
    expunge(&house, &by, &[one]).await;
    let mailboxes = &house.mailboxes;
    let org = mailboxes.organisations.of(house.tenant).unwrap();
    let flow = Mailbox::Flow(org.rule_by_name("Teklif").unwrap().id);
    let mut opened = mailboxes.open(&by, Mailbox::Drafts).await.unwrap();
    let uid = opened.uid_of(two).unwrap();
    let filed = mailboxes
        .file(&by, &mut opened, &[(uid, two)], flow, Verb::Move)
        .await
        .unwrap();
    assert!(filed.refused.is_none());
    let sent = mailboxes.open(&by, Mailbox::Sent).await.unwrap();
    let (_, mail) = sent.members().next().unwrap();
    assert_eq!(house.item(mail).kind, ItemKind::Outgoing);
    assert_eq!(versions(&house, &by, mail).await, [mail.0, two.0, one.0]);
    // They are the author's alone; and a draft that was sent does not come back.
    let other = mailboxes.versions(&house.user("mudur"), mail).await;
    assert!(matches!(other, Err(Failure::Refused(r)) if r.kind == Kind::NoPermission));
    let back = mailboxes.bring_back(&by, mail, 1).await;
    assert!(matches!(back, Err(Failure::Refused(r)) if r.kind == Kind::WrongState));
    assert!(drafts(&house, &by).await.is_empty());
    assert_eq!(house.mailboxes.removed_drafts(&by).await.unwrap().len(), 0);
}

#[tokio::test]
async fn a_label_on_thousands_is_one_wish() {
    const MANY: u64 = 2500;
    let house = House::build().await;
    let (officer, reader) = (house.user("mudur"), house.user("onay1"));
    let mailboxes = &house.mailboxes;
    let first = house.put(&octets("a", "a", "x"), |_| {}).await;
    let body = items::body(house.db(), house.tenant, first).unwrap().unwrap().row;
    let all: Vec<ItemId> = (0..MANY)
        .map(|_| mailboxes.items.next(house.tenant).unwrap())
        .collect();
    let mut batch = Batch::new();
    for id in &all {
        let item = Item::new(*id, ItemKind::Incoming, start());
        items::add(&mut batch, house.tenant, &item, &body).unwrap();
    }
    house.db().commit(batch).await.unwrap();
    let mut his = mailboxes.open(&reader, Mailbox::Inbox).await.unwrap();
    assert_eq!(his.members().count(), 0);
    let org = mailboxes.organisations.of(house.tenant).unwrap();
    let finans = org.label_by_name("Finans").unwrap().id;
    // One STORE, and one command; who sees by the label sees them at once.
    let word = Marks {
        keywords: ["Finans".to_owned()].into(),
        ..Marks::default()
    };
    let marked = mailboxes.mark(&officer, &all, MarkHow::Add, &word).await.unwrap();
    assert!(marked.refused.is_none() && marked.done.len() == all.len());
    assert_eq!(
        mailboxes.poll(&reader, &mut his).await.unwrap().added.len(),
        all.len()
    );
    let clear = Handling::Unlabel(finans);
    mailboxes
        .handle(&officer, &all, clear, AuditRoute::Kepctl)
        .await
        .unwrap();
    assert_eq!(
        mailboxes.poll(&reader, &mut his).await.unwrap().removed.len(),
        all.len()
    );
    // A row of the audit record for many at once, found by each.
    let records = audit::latest(house.db(), house.tenant, 100).unwrap();
    let of_labels = records.iter().filter(|(_, r)| r.deed.starts_with("label "));
    assert!(of_labels.count() <= 2 + 2 * all.len() / 500);
    for id in [all[0], all[all.len() - 1]] {
        let told = audit::about(house.db(), house.tenant, Matter::Item(id), 10).unwrap();
        let deeds: Vec<&str> = told.iter().map(|(_, r)| r.deed.as_str()).collect();
        assert_eq!(deeds, ["label clear", "label apply"]);
    }
}
