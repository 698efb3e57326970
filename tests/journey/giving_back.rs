//! What a mail that is given back leaves among its author's drafts: one mail stays one mail, whatever is undone, saved or
//! sent again meanwhile, and nobody else has a hand in it.

use crate::approving::{decide, drafts, job, letter, submit};
use crate::provider::Provider;
use crate::road::pair;
use kepd::domain::audit::AuditRoute;
use kepd::domain::item::ItemKind;
use kepd::domain::job::{Act, JobState};
use kepd::domain::org::UserKind;
use kepd::domain::policy::Asked;
use kepd::domain::selector::Mailbox;
use kepd::id::{ItemId, JobId};
use kepd::service::account::Principal;
use kepd::service::failure::{Failure, Kind};
use kepd::service::mailbox::{Handling, Marks};
use kepd::service::submission::Accepted;
use kepd::store::tables::{items, jobs, mails};

const ALICI: &str = "alici@hs02.kep.test";
const TENANT: &str = "ornekas";

/// Brings a message to a mailbox, alone or in the place of a draft, and gives the number of what stands for it there.
async fn bring(p: &Provider, by: &Principal, to: Mailbox, text: &str, old: Option<ItemId>) -> ItemId {
    let size = text.len() as u64;
    let mut saving = p.mailboxes.append(by, to, size).await.unwrap();
    if let Some(old) = old {
        saving = saving.replacing(Mailbox::Drafts, old).unwrap();
    }
    saving.write(text.as_bytes()).await.unwrap();
    let (_, uid) = saving.finish(&Marks::default(), None).await.unwrap().unwrap();
    p.mailboxes.open(by, to).await.unwrap().item(uid).unwrap()
}

/// The numbers of all drafts that are there.
fn there(p: &Provider) -> Vec<ItemId> {
    drafts(p).iter().map(|draft| draft.id).collect()
}

async fn removed(p: &Provider, by: &Principal) -> Vec<ItemId> {
    let removed = p.mailboxes.removed_drafts(by).await.unwrap();
    removed.iter().map(|version| version.item.id).collect()
}

async fn restore(p: &Provider, by: &Principal, id: ItemId) {
    let (which, how) = ([id], Handling::Restore);
    let restored = p.mailboxes.handle(by, &which, how, AuditRoute::Kepctl);
    restored.await.unwrap();
}

async fn start_flow(p: &Provider, by: &Principal, draft: ItemId) -> Result<JobId, Failure> {
    let flow = Some(Asked::Flow(Some("Teklif".into())));
    match p.mailboxes.send_draft(by, draft, flow, AuditRoute::Imap).await? {
        Accepted::Job { job, .. } => Ok(job),
        other => panic!("{other:?}"),
    }
}

fn said<T: std::fmt::Debug>(refused: Result<T, Failure>) -> String {
    match refused {
        Err(Failure::Refused(refusal)) if refusal.kind == Kind::WrongState => refusal.text,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_undone_return_leaves_one_mail_whatever_its_author_made_of_it() {
    let pair = pair().await;
    let p = &pair.hs01;
    let ayse = p.principal("ayse@ornekas");
    let (_, id) = submit(p, &letter("Fiyat teklifi", "a")).await;
    decide(p, "onay1", id, Act::Return).await.unwrap();
    let newer = letter("Fiyat teklifi 2", "b");
    let newer = bring(p, &ayse, Mailbox::Drafts, &newer, Some(there(p)[0])).await;
    assert_eq!(there(p), [newer]);
    let undone = decide(p, "onay1", id, Act::Undo).await.unwrap();
    assert_eq!((undone, there(p)), (JobState::Waiting(0), vec![]));
    // Her work is not lost, and is no second mail either: not as a draft, not by her client.
    assert_eq!(removed(p, &ayse).await, [newer]);
    restore(p, &ayse, newer).await;
    let text = said(start_flow(p, &ayse, newer).await);
    assert!(
        text.contains("in approval again") && text.contains(&id.to_string()),
        "{text}"
    );
    let text = letter("Fiyat teklifi 3", "b");
    said(p.submit("ayse@ornekas", &[ALICI], &text).await);
    assert_eq!(there(p), [newer]);
    assert_eq!(jobs::all(&*p.db, p.tenant(TENANT)).unwrap().len(), 1);
    // Given back once more, what she has made of it is what she goes on with.
    decide(p, "onay1", id, Act::Return).await.unwrap();
    assert_eq!(there(p), [newer]);
    let new = start_flow(p, &ayse, newer).await.unwrap();
    assert_eq!(job(p, new).follows, Some(id));
    assert_eq!(job(p, id).standing.state, JobState::Resubmitted);
    assert!(there(p).is_empty());
}

#[tokio::test]
async fn given_back_again_it_has_the_lost_work_among_its_versions() {
    let pair = pair().await;
    let p = &pair.hs01;
    let ayse = p.principal("ayse@ornekas");
    let (_, id) = submit(p, &letter("Fiyat teklifi", "a")).await;
    decide(p, "onay1", id, Act::Return).await.unwrap();
    let first = there(p)[0];
    let newer = bring(p, &ayse, Mailbox::Drafts, &letter("Fiyat teklifi 2", "a"), None).await;
    decide(p, "onay1", id, Act::Undo).await.unwrap();
    decide(p, "onay1", id, Act::Return).await.unwrap();
    let [again] = there(p)[..] else {
        panic!("{:?}", there(p))
    };
    let versions = p.mailboxes.versions(&ayse, again).await.unwrap();
    let versions: Vec<_> = versions.iter().map(|version| version.item.id).collect();
    assert_eq!(versions, [again, newer, first]);
    let back = p.mailboxes.bring_back(&ayse, again, 2).await.unwrap();
    assert_eq!(there(p), [back]);
    // Handed in by her client under the Message-ID, all of it is one mail.
    let (_, new) = submit(p, &letter("Fiyat teklifi 3", "a")).await;
    assert_eq!((job(p, new).follows, there(p)), (Some(id), vec![]));
    assert!(removed(p, &ayse).await.is_empty());
}

#[tokio::test]
async fn a_job_that_ends_with_its_author_takes_the_draft_along_and_undoing_brings_that_back() {
    for (who, act) in [("ayse", Act::Withdraw), ("mudur", Act::Cancel)] {
        let pair = pair().await;
        let p = &pair.hs01;
        let ayse = p.principal("ayse@ornekas");
        let (_, id) = submit(p, &letter("Fiyat teklifi", "a")).await;
        decide(p, "onay1", id, Act::Return).await.unwrap();
        let mut draft = there(p)[0];
        for round in 0..2 {
            assert!(decide(p, who, id, act).await.unwrap().is_ended());
            assert!(there(p).is_empty());
            let undone = decide(p, who, id, Act::Undo).await.unwrap();
            assert_eq!((undone, there(p)), (JobState::Returned, vec![draft]), "{round}");
            // In the second round there is a newer version.
            let text = letter("Fiyat teklifi 2", &format!("b{round}"));
            draft = bring(p, &ayse, Mailbox::Drafts, &text, Some(draft)).await;
        }
        // Brought back and handed in, it is a mail of its own; the old one does not come back beside it.
        decide(p, who, id, act).await.unwrap();
        restore(p, &ayse, draft).await;
        let new = match who {
            "ayse" => start_flow(p, &ayse, draft).await.unwrap(),
            _ => submit(p, &letter("Fiyat teklifi 3", "b1")).await.1,
        };
        assert_eq!((job(p, new).follows, there(p)), (None, vec![]));
        let later = bring(p, &ayse, Mailbox::Drafts, &letter("Fiyat teklifi 4", "b1"), None).await;
        let text = said(decide(p, who, id, Act::Undo).await);
        assert!(text.contains("handed in anew"), "{text}");
        assert!(job(p, id).is_ended());
        assert_eq!(there(p), [later]);
    }
}

#[tokio::test]
async fn a_message_id_is_its_authors_own() {
    let pair = pair().await;
    let p = &pair.hs01;
    p.add_user(
        p.tenant(TENANT),
        "veli",
        UserKind::Limited,
        &["Satış"],
        &["Yazan"],
    )
    .await;
    let (first, id) = submit(p, &letter("Fiyat teklifi", "a")).await;
    decide(p, "onay1", id, Act::Reject).await.unwrap();
    let theirs = p
        .submit("veli@ornekas", &[ALICI], &letter("Başka teklif", "a"))
        .await;
    let Accepted::Job {
        job: other,
        mail: second,
        ..
    } = theirs.unwrap()
    else {
        panic!()
    };
    // Nothing of the first was handed in anew.
    let undone = decide(p, "onay1", id, Act::Undo).await.unwrap();
    assert_eq!(undone, JobState::Waiting(0));
    // The copy that each client brings stands for its user's own mail.
    for (login, mail) in [("ayse@ornekas", first), ("veli@ornekas", second)] {
        let by = p.principal(login);
        let copy = bring(p, &by, Mailbox::Sent, &letter("Kopya", "a"), None).await;
        let item = items::item(&*p.db, p.tenant(TENANT), copy).unwrap().unwrap();
        assert_eq!(item.row.mail, Some(mail), "{login}");
    }
    decide(p, "onay1", id, Act::Return).await.unwrap();
    let (_, new) = submit(p, &letter("Fiyat teklifi 2", "a")).await;
    assert_eq!(job(p, new).follows, Some(id));
    let kept = job(p, other);
    assert_eq!((kept.follows, kept.standing.state), (None, JobState::Waiting(0)));
}

fn kinds(p: &Provider) -> (usize, usize) {
    let notices = p.items(TENANT);
    let notices = notices.iter().filter(|item| item.kind == ItemKind::Notice);
    (there(p).len(), notices.count())
}

#[tokio::test]
async fn what_is_submitted_again_as_a_draft_is_the_same_draft() {
    let pair = pair().await;
    let p = &pair.hs01;
    let ayse = p.principal("ayse@ornekas");
    let send = |text: String| async move { p.submit("ayse@ornekas", &[ALICI], &text).await.unwrap() };
    // By wish, and because no rule matched; one after the other, and at the same moment.
    let wished = letter("[taslak] Fiyat teklifi", "w");
    assert_eq!(send(wished.clone()).await, send(wished).await);
    assert_eq!(kinds(p), (1, 0));
    let (one, two) = tokio::join!(send(letter("Selam", "s")), send(letter("Selam", "s")));
    assert_eq!(one, two);
    assert_eq!(send(letter("Selam", "s")).await, one);
    assert_eq!(kinds(p), (2, 1));
    // Other octets are its next version, and of those he is told.
    send(letter("Selamlar", "s")).await;
    assert_eq!(kinds(p), (2, 2));
    // What was saved before it was submitted goes on as the submitted one.
    let saved = bring(p, &ayse, Mailbox::Drafts, &letter("Merhaba", "v"), None).await;
    let Accepted::Draft { item, .. } = send(letter("Merhaba", "v")).await else {
        panic!()
    };
    assert_eq!(kinds(p), (3, 3));
    let versions = p.mailboxes.versions(&ayse, item).await.unwrap();
    let versions: Vec<_> = versions.iter().map(|version| version.item.id).collect();
    assert_eq!(versions, [item, saved]);
    // Even the very octets: he has not been told yet why it is no mail.
    let whole = format!(
        "Date: Mon, 23 Nov 2026 10:00:00 +0300\r\n{}",
        letter("Kutlama", "k")
    );
    let saved = bring(p, &ayse, Mailbox::Drafts, &whole, None).await;
    let first = send(whole.clone()).await;
    assert!(!matches!(first, Accepted::Draft { item, .. } if item == saved));
    assert_eq!(send(whole).await, first);
    assert_eq!(kinds(p), (4, 4));
}

#[tokio::test]
async fn a_mail_given_back_and_not_written_anew_keeps_its_blind_recipients() {
    let pair = pair().await;
    let p = &pair.hs01;
    let ayse = p.principal("ayse@ornekas");
    let blind = p.address(TENANT).to_string();
    let text = letter("Fiyat teklifi", "a");
    let handed_in = p.submit("ayse@ornekas", &[ALICI, &blind], &text).await;
    let Accepted::Job { job: old, .. } = handed_in.unwrap() else {
        panic!("no job")
    };
    let to = |id: JobId| {
        let mail = mails::mail(&*p.db, p.tenant(TENANT), job(p, id).mail)
            .unwrap()
            .unwrap();
        let recipients = mail.row.recipients.into_iter();
        recipients
            .map(|r| (r.address.to_string(), r.blind))
            .collect::<Vec<_>>()
    };
    let both = [(ALICI.to_owned(), false), (blind.clone(), true)];
    assert_eq!(to(old), both);
    decide(p, "onay1", old, Act::Return).await.unwrap();
    let anew = start_flow(p, &ayse, there(p)[0]).await.unwrap();
    assert_eq!(to(anew), both);
    // Written anew, it goes to whom it names: what its author does not see is not added.
    decide(p, "onay1", anew, Act::Return).await.unwrap();
    let changed = bring(p, &ayse, Mailbox::Drafts, &letter("Fiyat teklifi 2", "a"), None).await;
    let third = start_flow(p, &ayse, changed).await.unwrap();
    assert_eq!(to(third), both[..1]);
}
