//! What must hold after a kill, once the retry is in and the work is done.

use super::{GIZLI, Served, VELI, credit, letter, message_id};
use crate::provider::Provider;
use kepd::domain::evidence::{Event, EvidenceKind};
use kepd::domain::item::ItemKind;
use kepd::domain::job::JobState;
use kepd::domain::mail::{ConsignmentState, Declared, Mail, MailState, RecipientState};
use kepd::id::{MailId, ModSeq, TenantId};
use kepd::mime::summary::named;
use kepd::service::octets::ContentReader;
use kepd::store::tables::items::{ChangeOf, Content};
use kepd::store::tables::mails::digest;
use kepd::store::tables::words;
use kepd::store::tables::work::{
    self, AwaitedReading, AwaitedRelay, DeliveryWork, OwedEvidence, OwedReceipt, OwedStatus, QueueEntry,
    SealWork, Work,
};
use kepd::store::tables::{evidence, flags, items, jobs, mails};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

type Told = (EvidenceKind, Event, Option<String>);

/// All of it; `last` is the number of the last message.
pub async fn all(served: &Served, last: u64) {
    let mails = sent(served, last).await;
    received(served, &mails).await;
    for (provider, folder, tenants) in [
        (&served.hs01, "hs01", ["ornekas", "veli"]),
        (&served.hs02, "hs02", ["alici", "gizli"]),
    ] {
        let mut used = BTreeSet::new();
        for tenant in tenants {
            change_log(provider, provider.tenant(tenant));
            used.extend(blobs_of(provider, provider.tenant(tenant)));
        }
        assert!(
            used.is_subset(&stored_blobs(&served.dir.join(folder).join("spool"))),
            "a blob is missing"
        );
        nothing_left::<OwedEvidence>(provider);
        nothing_left::<OwedReceipt>(provider);
        nothing_left::<SealWork>(provider);
        nothing_left::<DeliveryWork>(provider);
        nothing_left::<QueueEntry>(provider);
        nothing_left::<AwaitedRelay>(provider);
        nothing_left::<AwaitedReading>(provider);
        nothing_left::<OwedStatus>(provider);
    }
    everybody_was_told(&served.hs01, &mails).await;
    credit::check(&served.hs01, mails.len());
}

/// Of every job the start, two approvals and the release, each to those concerned, once.
async fn everybody_was_told(p: &Provider, sent: &BTreeMap<MailId, Mail>) {
    let tenant = p.tenant("ornekas");
    let mut words: BTreeMap<String, usize> = BTreeMap::new();
    let notices = p
        .items("ornekas")
        .into_iter()
        .filter(|i| i.kind == ItemKind::Notice);
    for item in notices {
        let octets = octets(p, tenant, item.id).await;
        let id = named(&octets, "Message-ID").unwrap();
        // `<job.entry.user@domain>`
        let [job, entry, _user] = id.split('.').take(3).collect::<Vec<_>>()[..] else {
            panic!("{id}");
        };
        *words.entry(format!("{}.{entry}", &job[1..])).or_default() += 1;
        let told = words.entry(id.clone()).or_default();
        *told += 1;
        assert_eq!(*told, 1, "{id} was told twice");
    }
    for job in sent.values().filter_map(|mail| mail.job) {
        let told: Vec<usize> = (0..4)
            .map(|n| words.get(&format!("{job}.{n}")).copied().unwrap_or_default())
            .collect();
        assert_eq!(told, [2, 2, 3, 3], "{job}");
    }
}

fn nothing_left<W: Work>(provider: &Provider) {
    assert_eq!(work::all::<W>(&*provider.db).unwrap().len(), 0, "{}", W::TABLE);
}

/// Every message is one mail, whole, with one document of each kind.
async fn sent(served: &Served, last: u64) -> BTreeMap<MailId, Mail> {
    let p = &served.hs01;
    let tenant = p.tenant("ornekas");
    let rows: Vec<Mail> = mails::all(&*p.db, tenant)
        .unwrap()
        .into_iter()
        .map(|m| m.row)
        .collect();
    let by_id: BTreeMap<String, &Mail> = rows.iter().map(|m| (m.message_id.clone(), m)).collect();
    let wanted: BTreeSet<String> = (0..=last).map(message_id).collect();
    assert_eq!(by_id.keys().cloned().collect::<BTreeSet<_>>(), wanted);
    assert_eq!(rows.len() as u64, last + 1, "a message is two mails");
    let items = p.items("ornekas");
    let outgoing = items.iter().filter(|i| i.kind == ItemKind::Outgoing);
    assert_eq!(outgoing.count(), rows.len());
    for n in 0..=last {
        let (letter, mail) = (letter(n), by_id[&message_id(n)]);
        assert_eq!(mail.state, MailState::Concluded, "{n}");
        assert!(
            mail.recipients.iter().all(|r| r.state == RecipientState::Expired),
            "{n}: {:?}",
            mail.recipients
        );
        let item = items.iter().find(|i| i.id == mail.item).unwrap();
        assert_eq!(item.mail, Some(mail.id));
        let octets = octets(p, tenant, mail.item).await;
        assert_eq!(digest(&octets), mail.original_sha256, "{n}");
        assert_eq!(octets.len() as u64, mail.original_size_bytes);
        let dispatches = mails::dispatches(&*p.db, tenant, mail.id).unwrap();
        let copies: Vec<u16> = dispatches.iter().map(|d| d.row.copy).collect();
        assert_eq!(
            copies,
            mail.copies().iter().map(|c| c.number).collect::<Vec<_>>(),
            "{n}"
        );
        let documents = told(p, tenant, mail.id);
        assert_eq!(documents, documents_for(&letter.to, mail), "{n}");
        let about = items
            .iter()
            .filter(|i| i.kind == ItemKind::Evidence && i.mail == Some(mail.id));
        assert_eq!(about.count(), documents.len(), "{n}");
        assert_eq!(mail.job.is_some(), letter.in_flow);
        if let Some(job) = mail.job {
            let job = jobs::job(&*p.db, tenant, job).unwrap().unwrap().row;
            let decided = jobs::history(&*p.db, tenant, job.id).unwrap();
            let decided = decided.iter().filter(|e| e.happening.actor.is_some()).count();
            assert_eq!((job.standing.state, decided), (JobState::Released, 3), "{n}");
        }
    }
    rows.iter().map(|m| (m.id, m.clone())).collect()
}

fn told(p: &Provider, tenant: TenantId, mail: MailId) -> Vec<Told> {
    let rows = evidence::of_mail(&*p.db, tenant, mail).unwrap();
    let mut told: Vec<Told> = rows
        .into_iter()
        .map(|r| (r.row.kind, r.row.event, r.row.recipient))
        .collect();
    told.sort();
    told
}

/// What the sender holds in the end: one submission for each copy, and the life of each recipient.
fn documents_for(to: &[&str], mail: &Mail) -> Vec<Told> {
    let submission = (
        EvidenceKind::SubmissionAcceptanceRejection,
        Event::Acceptance,
        None,
    );
    let copies = if to.contains(&GIZLI) { 2 } else { 1 };
    let mut all = vec![submission; copies];
    for recipient in to {
        all.extend(documents_about(recipient, declared_by(mail, recipient)));
    }
    all.sort();
    all
}

/// What the sender knows of the recipient's word.
fn declared_by(mail: &Mail, recipient: &str) -> Option<Declared> {
    let who = mail.recipients.iter().find(|r| r.address.as_str() == recipient);
    who.unwrap().declared
}

/// What is told about one recipient who never reads, and may have declared something.
fn documents_about(recipient: &str, declared: Option<Declared>) -> Vec<Told> {
    let about = |kind, event| (kind, event, Some(recipient.to_owned()));
    let mut all = vec![
        about(EvidenceKind::DeliveryNonDeliveryToRecipient, Event::Delivery),
        about(
            EvidenceKind::RetrievalNonRetrievalByRecipient,
            Event::RetrievalExpiration,
        ),
    ];
    let declaration = declared.map(|declared| match declared {
        Declared::Accepted => Event::Acceptance,
        Declared::Refused => Event::Rejection,
    });
    all.extend(declaration.map(|event| about(EvidenceKind::AcceptanceRejectionByRecipient, event)));
    if recipient != VELI {
        all.push(about(
            EvidenceKind::RelayREMMDAcceptanceRejection,
            Event::Acceptance,
        ));
    }
    all.sort();
    all
}

/// Every recipient holds every mail once, with the same documents about him.
async fn received(served: &Served, sent: &BTreeMap<MailId, Mail>) {
    let wanted: BTreeSet<(MailId, String)> = sent
        .values()
        .flat_map(|m| m.recipients.iter().map(|r| (m.id, r.address.to_string())))
        .collect();
    let mut found = BTreeSet::new();
    for (p, name) in [
        (&served.hs01, "veli"),
        (&served.hs02, "alici"),
        (&served.hs02, "gizli"),
    ] {
        let tenant = p.tenant(name);
        let items = p.items(name);
        for item in items.iter().filter(|i| i.kind == ItemKind::Incoming) {
            let id = item.mail.unwrap();
            let consignment = mails::consignment(&*p.db, tenant, id).unwrap().unwrap().row;
            let (mail, _) = served
                .hs01
                .identity
                .own_rem_message_id(&consignment.rem_message_id)
                .unwrap();
            let recipient = consignment.recipient.to_string();
            let declared = consignment.declaration.as_ref().map(|d| d.declared);
            assert_eq!(declared_by(&sent[&mail], &recipient), declared);
            let documents = documents_about(&recipient, declared);
            assert_eq!(told(p, tenant, id), documents);
            let about = items
                .iter()
                .filter(|i| i.kind == ItemKind::Evidence && i.mail == Some(id));
            assert_eq!(about.count(), documents.len());
            assert_eq!(consignment.state, ConsignmentState::Expired);
            assert_eq!(consignment.item, item.id);
            assert_eq!(consignment.original_sha256, sent[&mail].original_sha256);
            assert!(!octets(p, tenant, item.id).await.is_empty());
            assert!(found.insert((mail, recipient)), "consigned twice");
        }
    }
    assert_eq!(found, wanted);
}

async fn octets(p: &Provider, tenant: TenantId, item: kepd::id::ItemId) -> Vec<u8> {
    let body = items::body(&*p.db, tenant, item)
        .unwrap()
        .expect("an item without content")
        .row;
    let octets = ContentReader::whole(&p.spool, &body.content)
        .collect()
        .await
        .unwrap();
    assert_eq!(octets.len() as u64, body.content.size_bytes());
    octets
}

/// Each item and each user's flags on it stand in the change log exactly once, at their number.
fn change_log(p: &Provider, tenant: TenantId) {
    let mut wanted = BTreeSet::new();
    items::for_each(&*p.db, tenant, |item| {
        wanted.insert((item.modseq.0, item.id.0, 0));
        Ok(())
    })
    .unwrap();
    flags::for_each(&*p.db, tenant, |user, item, flags| {
        wanted.insert((flags.modseq.0, item.0, u64::from(user.0)));
    })
    .unwrap();
    let words = words::all(&*p.db, tenant).unwrap();
    wanted.extend(words.iter().map(|(label, at)| (at.0, 0, u64::from(label.0))));
    let changes = items::changes_after(&*p.db, tenant, ModSeq(0), usize::MAX).unwrap();
    let found: BTreeSet<(u64, u64, u64)> = changes
        .iter()
        .map(|c| {
            let user = match c.of {
                ChangeOf::Item => 0,
                ChangeOf::FlagsOf(user) => u64::from(user.0),
                ChangeOf::Word(label) => u64::from(label.0),
            };
            (c.modseq.0, c.item.0, user)
        })
        .collect();
    assert_eq!(found.len(), changes.len());
    assert_eq!(found, wanted);
}

/// The names of all blobs that rows of a tenant speak of.
fn blobs_of(p: &Provider, tenant: TenantId) -> BTreeSet<String> {
    let mut used = BTreeSet::new();
    let mut note = |content: &Content| used.extend(content.pieces.iter().map(|piece| piece.blob.to_string()));
    items::for_each(&*p.db, tenant, |item| {
        note(&items::body(&*p.db, tenant, item.id)?.unwrap().row.content);
        Ok(())
    })
    .unwrap();
    for mail in mails::all(&*p.db, tenant).unwrap() {
        for dispatch in mails::dispatches(&*p.db, tenant, mail.row.id).unwrap() {
            note(&dispatch.row.content);
        }
    }
    used.extend(
        evidence::of_tenant(&*p.db, tenant)
            .unwrap()
            .iter()
            .map(|r| r.row.xml.id.to_string()),
    );
    used
}

/// The names of all blobs of a spool, each found to be what its name says. Nothing is left of interrupted writers.
pub fn stored_blobs(spool: &Path) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for folder in std::fs::read_dir(spool).unwrap().map(|f| f.unwrap()) {
        let start = folder.file_name().into_string().unwrap();
        for file in std::fs::read_dir(folder.path()).unwrap().map(|f| f.unwrap()) {
            assert_ne!(start, "tmp", "something is left of an interrupted writer");
            let name = format!("{start}{}", file.file_name().into_string().unwrap());
            let sha256 = digest(&std::fs::read(file.path()).unwrap());
            assert_eq!(
                name,
                sha256.iter().map(|o| format!("{o:02x}")).collect::<String>()
            );
            names.insert(name);
        }
    }
    names
}
