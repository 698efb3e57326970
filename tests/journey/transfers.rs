//! What other providers hand over, good and bad: what is taken, once, and what is refused, and leaves at most evidence.

use crate::forge::{Forge, about};
use crate::provider::{Provider, pki};
use crate::road::{Pair, message, pair};
use kepd::address::{KepAddress, ReversePath};
use kepd::cms::algorithm::sha256;
use kepd::domain::evidence::{Event, EvidenceFacts, EvidenceKind};
use kepd::domain::item::ItemKind;
use kepd::domain::mail::RecipientState;
use kepd::domain::provider::Peer;
use kepd::id::{MailId, TenantId};
use kepd::rem::evidence_read;
use kepd::rem::open::{self, Opened};
use kepd::service::failure::{Failure, Kind};
use kepd::service::octets::ContentReader;
use kepd::service::submission::Accepted;
use kepd::store::db::Batch;
use kepd::store::tables::items::Content;
use kepd::store::tables::work::{self, DeliveryWork, OwedEvidence, QueueEntry};
use kepd::store::tables::{Key, evidence, for_each_raw, mails, peers};

pub const ALICI: &str = "alici@hs02.kep.test";
const VELI: &str = "veli@hs02.kep.test";
const KEP01: &str = "kep@hs01.kep.test";
const KEP02: &str = "kep@hs02.kep.test";

pub fn address(text: &str) -> KepAddress {
    text.parse().unwrap()
}

/// Hands octets over as the relay door does.
pub async fn hand(to: &Provider, from: &str, recipients: &[&str], octets: &[u8]) -> Result<(), Failure> {
    let from = address(from);
    let peer = to.intake.check_sender(&ReversePath::Address(from.clone()))?;
    let recipients: Vec<KepAddress> = recipients.iter().map(|r| address(r)).collect();
    recipients.iter().try_for_each(|r| to.intake.check_recipient(r))?;
    let mut transfer = to.intake.begin(peer, from, recipients).await?;
    for chunk in octets.chunks(64 * 1024) {
        transfer.write(chunk).await?;
    }
    transfer.finish().await
}

pub fn kind_of(result: &Result<(), Failure>) -> Option<Kind> {
    match result {
        Err(Failure::Refused(refusal)) => Some(refusal.kind),
        _ => None,
    }
}

pub async fn octets(p: &Provider, content: &Content) -> Vec<u8> {
    ContentReader::whole(&p.spool, content).collect().await.unwrap()
}

pub async fn sent(p: &Provider, to: &[&str], subject: &str) -> MailId {
    let accepted = p
        .submit("mudur@ornekas", to, &message(subject, &to.join(", ")))
        .await
        .unwrap();
    let Accepted::Sent { mail } = accepted else {
        panic!("{accepted:?}")
    };
    mail
}

pub fn states(p: &Provider, mail: MailId) -> Vec<RecipientState> {
    let row = mails::mail(&*p.db, p.tenant("ornekas"), mail)
        .unwrap()
        .unwrap()
        .row;
    row.recipients.iter().map(|r| r.state).collect()
}

/// How much of everything a provider holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    pub items: usize,
    pub incoming: usize,
    pub consignments: usize,
    pub evidence: usize,
    pub owed: usize,
    pub deliveries: usize,
    pub queued: usize,
}

pub fn held(p: &Provider) -> Held {
    let tenants = p.organisations.tenants().unwrap();
    let of = |count: &dyn Fn(TenantId, &str) -> usize| tenants.iter().map(|t| count(t.id, &t.name)).sum();
    let consignments = |id: TenantId, _: &str| {
        let mut count = 0;
        for_each_raw(&*p.db, &Key::tenant(id, b"cs").done(), |_, _| {
            count += 1;
            Ok(())
        })
        .unwrap();
        count
    };
    Held {
        items: of(&|_, name| p.items(name).len()),
        incoming: of(&|_, name| {
            p.items(name)
                .iter()
                .filter(|i| i.kind == ItemKind::Incoming)
                .count()
        }),
        consignments: of(&consignments),
        evidence: of(&|id, _| evidence::of_tenant(&*p.db, id).unwrap().len()),
        owed: work::all::<OwedEvidence>(&*p.db).unwrap().len(),
        deliveries: work::all::<DeliveryWork>(&*p.db).unwrap().len(),
        queued: work::all::<QueueEntry>(&*p.db).unwrap().len(),
    }
}

/// How many files a provider's spool has, temporary ones too.
pub fn spooled(pair: &Pair, provider: &str) -> usize {
    let folders = std::fs::read_dir(pair.dir.path().join(provider).join("spool")).unwrap();
    let files = |f: std::io::Result<std::fs::DirEntry>| std::fs::read_dir(f.unwrap().path()).unwrap().count();
    folders.map(files).sum()
}

/// A dispatch of hs01 to alici that has not left yet, with what its evidence states.
struct Waiting {
    pair: Pair,
    mail: MailId,
    dispatch: Vec<u8>,
    facts: EvidenceFacts,
    original: Vec<u8>,
}

async fn waiting(to: &[&str]) -> Waiting {
    let pair = pair().await;
    pair.hs02.add_person("veli").await;
    pair.wires.cut("hs02.kep.test");
    pair.hs01.knows("hs03.kep.test").await;
    let mail = sent(&pair.hs01, to, "Duyuru").await;
    pair.hs01.work().await;
    let p = &pair.hs01;
    let tenant = p.tenant("ornekas");
    let dispatches = mails::dispatches(&*p.db, tenant, mail).unwrap();
    let dispatch = octets(p, &dispatches[0].row.content).await;
    let row = p.archive.evidence_of(tenant, mail).unwrap().remove(0);
    let xml = p.spool.load(&row.xml).await.unwrap();
    let facts = evidence_read::read(&xml).unwrap().facts;
    let item = mails::mail(&*p.db, tenant, mail).unwrap().unwrap().row.item;
    let body = kepd::store::tables::items::body(&*p.db, tenant, item)
        .unwrap()
        .unwrap()
        .row;
    let original = octets(p, &body.content).await;
    Waiting {
        pair,
        mail,
        dispatch,
        facts,
        original,
    }
}

fn replaced(octets: &[u8], from: &str, to: &str) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let at = octets
        .windows(from.len())
        .position(|w| w == from.as_bytes())
        .unwrap_or_else(|| panic!("no {from}"));
    [&octets[..at], to.as_bytes(), &octets[at + from.len()..]].concat()
}

/// The octet behind a mark made another base64 digit.
fn turned_behind(octets: &[u8], mark: &str, after: usize) -> Vec<u8> {
    let at = octets
        .windows(mark.len())
        .position(|w| w == mark.as_bytes())
        .unwrap()
        + mark.len();
    let at = (at + after..octets.len())
        .find(|i| octets[*i].is_ascii_lowercase())
        .unwrap();
    let mut changed = octets.to_vec();
    changed[at] = if changed[at] == b'z' {
        b'a'
    } else {
        changed[at] + 1
    };
    changed
}

#[tokio::test]
async fn only_known_providers_are_heard_and_only_accounts_here_are_reached() {
    let pair = pair().await;
    let p = &pair.hs02;
    let before = held(p);
    let null = p.intake.check_sender(&ReversePath::Null).map(drop);
    assert_eq!(kind_of(&null), Some(Kind::UnknownProvider));
    for stranger in ["kep@hs03.kep.test", "kep@xhs01.kep.test", KEP02] {
        assert_eq!(
            kind_of(&hand(p, stranger, &[ALICI], b"x").await),
            Some(Kind::UnknownProvider),
            "{stranger}"
        );
    }
    let nobody = hand(p, KEP01, &["kimse@hs02.kep.test"], b"x").await;
    assert_eq!(kind_of(&nobody), Some(Kind::UnknownRecipient));
    assert_eq!(held(p), before);
}

#[tokio::test]
async fn what_is_not_genuine_is_refused_and_leaves_evidence_only_under_the_peers_seal() {
    let w = waiting(&[ALICI]).await;
    let p = &w.pair.hs02;
    let forge = Forge::of("hs01.kep.test", &w.pair.clock);
    let facts = || about(&w.facts, w.facts.kind, w.facts.event);
    let mut other_sender = facts();
    other_sender.sender.address = "ornekas@hs03.kep.test".into();
    let mut other_identifier = facts();
    other_identifier.message.rem_message_id = "x.0@hs03.kep.test".into();
    let mut other_digest = facts();
    other_digest.message.original_sha256 = Some(sha256(b"another"));
    let rejected = about(&w.facts, w.facts.kind, Event::Rejection);
    let of_delivery = about(
        &w.facts,
        EvidenceKind::DeliveryNonDeliveryToRecipient,
        Event::Delivery,
    );
    let good_xml = forge.sealed(&facts()).await;
    let unstamped_xml = forge.unstamped(&facts()).await;
    let stranger = Forge::of("other.kep.test", &w.pair.clock);
    let original = w.original.as_slice();
    // Name, octets, and whether the peer's own seal holds on what it said: then, and only then, evidence is left.
    let cases: Vec<(&str, Vec<u8>, bool)> = vec![
        ("no message", b"\0\xff\r\n".to_vec(), false),
        ("nothing", Vec::new(), false),
        ("an ordinary mail", message("Selam", ALICI).into_bytes(), false),
        (
            "changed original",
            replaced(&w.dispatch, "teklifimiz", "teklifimis"),
            false,
        ),
        (
            "changed introduction",
            replaced(&w.dispatch, "multipart/alternative", "multipart/alternativf"),
            false,
        ),
        (
            "changed evidence",
            turned_behind(&w.dispatch, "SubmissionAcceptanceRejection.xml", 400),
            false,
        ),
        (
            "changed signature",
            turned_behind(&w.dispatch, "Content-Type: application/pkcs7-signature", 900),
            false,
        ),
        ("cut off", w.dispatch[..w.dispatch.len() - 200].to_vec(), false),
        (
            "no time-stamp on the seal",
            forge.dispatch(&facts(), &good_xml, original, false).await,
            false,
        ),
        (
            "no time-stamp on the evidence",
            forge.dispatch(&facts(), &unstamped_xml, original, true).await,
            true,
        ),
        (
            "another's evidence",
            forge
                .dispatch(&facts(), &stranger.sealed(&facts()).await, original, true)
                .await,
            false,
        ),
        (
            "evidence of another seal",
            stranger.dispatch(&facts(), &good_xml, original, true).await,
            false,
        ),
        (
            "a stranger's dispatch",
            stranger.dispatch_of(&facts(), original).await,
            false,
        ),
        (
            "sender of another provider",
            forge.dispatch_of(&other_sender, original).await,
            true,
        ),
        (
            "identifier of another provider",
            forge.dispatch_of(&other_identifier, original).await,
            true,
        ),
        (
            "evidence of another original",
            forge.dispatch_of(&other_digest, original).await,
            true,
        ),
        (
            "evidence of a rejection",
            forge.dispatch_of(&rejected, original).await,
            true,
        ),
        (
            "evidence of another kind",
            forge.dispatch_of(&of_delivery, original).await,
            true,
        ),
    ];
    for (name, message, sealed) in &cases {
        let before = held(p);
        let left = usize::from(*sealed);
        // The same once more leaves nothing more, whatever was written around what the seal covers.
        let traced = [
            b"Received: from a by b; Wed, 18 Nov 2026 10:00:00 +0000\r\n",
            message.as_slice(),
        ]
        .concat();
        let files = spooled(&w.pair, "hs02");
        for octets in [message, message, &traced] {
            let result = hand(p, KEP01, &[ALICI], octets).await;
            assert_eq!(kind_of(&result), Some(Kind::NotGenuine), "{name}: {result:?}");
            let owing = Held {
                owed: before.owed + left,
                ..before
            };
            assert_eq!(held(p), owing, "{name}");
            assert_eq!(spooled(&w.pair, "hs02"), files, "{name}");
        }
        p.notary.run_due().await.unwrap();
        p.delivery.run_due().await.unwrap();
        let filed = Held {
            items: before.items + left,
            evidence: before.evidence + left,
            queued: before.queued + left,
            ..before
        };
        assert_eq!(held(p), filed, "{name}");
    }
    let rows = evidence::of_tenant(&*p.db, p.tenant("alici")).unwrap();
    let sealed = cases.iter().filter(|(_, _, sealed)| *sealed).count();
    assert_eq!((rows.len(), cases.len()), (sealed, 18));
    for row in rows {
        let said = (row.row.kind, row.row.event);
        assert_eq!(
            said,
            (EvidenceKind::RelayREMMDAcceptanceRejection, Event::Rejection)
        );
        let facts = evidence_read::read(&p.spool.load(&row.row.xml).await.unwrap())
            .unwrap()
            .facts;
        assert!(facts.reasons[0].details.as_ref().is_some_and(|d| !d.is_empty()));
    }
    // After all of it the genuine one is still taken.
    let before = held(p);
    hand(p, KEP01, &[ALICI], &w.dispatch).await.unwrap();
    p.work().await;
    assert_eq!(held(p).consignments, before.consignments + 1);
}

#[tokio::test]
async fn a_seal_that_chains_but_is_not_pinned_is_refused() {
    let w = waiting(&[ALICI]).await;
    let p = &w.pair.hs02;
    let known: Peer = peers::all(&*p.db).unwrap().remove(0).row;
    let mut wide = known.clone();
    wide.trust_pem = format!("{}{}", known.trust_pem, pki("other.kep.test").ca.certificate_pem);
    let mut batch = Batch::new();
    peers::put(&mut batch, &wide).unwrap();
    p.db.commit(batch).await.unwrap();
    let before = held(p);
    let facts = about(&w.facts, w.facts.kind, w.facts.event);
    let dispatch = Forge::of("other.kep.test", &w.pair.clock)
        .dispatch_of(&facts, &w.original)
        .await;
    let result = hand(p, KEP01, &[ALICI], &dispatch).await;
    assert!(
        matches!(&result, Err(Failure::Refused(r)) if r.text.contains("not the one known")),
        "{result:?}"
    );
    // It is a stranger's: nothing is left of it.
    assert_eq!(held(p), before);
    hand(p, KEP01, &[ALICI], &w.dispatch).await.unwrap();
}

#[tokio::test]
async fn a_recipient_whom_the_evidence_does_not_name_gets_nothing() {
    let w = waiting(&[ALICI]).await;
    let p = &w.pair.hs02;
    for recipients in [&[VELI][..], &[ALICI, VELI], &[KEP02]] {
        let result = hand(p, KEP01, recipients, &w.dispatch).await;
        assert_eq!(
            kind_of(&result),
            Some(Kind::NotGenuine),
            "{recipients:?}: {result:?}"
        );
        p.work().await;
        assert_eq!(held(p).consignments, 0);
    }
    // Named twice, he gets it once.
    hand(p, KEP01, &[ALICI, ALICI], &w.dispatch).await.unwrap();
    let owed = held(p).owed;
    p.work().await;
    assert_eq!((owed, held(p).consignments), (1, 1));
}

#[tokio::test]
async fn the_same_dispatch_again_changes_nothing() {
    let w = waiting(&[ALICI, VELI]).await;
    let p = &w.pair.hs02;
    hand(p, KEP01, &[ALICI], &w.dispatch).await.unwrap();
    let taken = held(p);
    hand(p, KEP01, &[ALICI], &w.dispatch).await.unwrap();
    assert_eq!(held(p), taken);
    p.work().await;
    let consigned = held(p);
    assert_eq!(
        (consigned.incoming, consigned.consignments, consigned.evidence),
        (1, 1, 2)
    );
    // Repeated with another hop's trace, and with the recipient who could not be taken the first time.
    let traced = [
        b"Received: from a by b; Wed, 18 Nov 2026 10:00:00 +0000\r\n".as_slice(),
        &w.dispatch,
    ]
    .concat();
    let files = spooled(&w.pair, "hs02");
    for (octets, recipients) in [(&w.dispatch, &[ALICI][..]), (&traced, &[ALICI])] {
        hand(p, KEP01, recipients, octets).await.unwrap();
        p.work().await;
        assert_eq!(held(p), consigned, "{recipients:?}");
    }
    assert_eq!(spooled(&w.pair, "hs02"), files);
    hand(p, KEP01, &[ALICI, VELI], &w.dispatch).await.unwrap();
    p.work().await;
    let both = held(p);
    assert_eq!((both.incoming, both.consignments, both.evidence), (2, 2, 4));
    assert_eq!(
        p.items("veli")
            .iter()
            .filter(|i| i.kind == ItemKind::Evidence)
            .count(),
        2
    );
}

#[tokio::test]
async fn an_identifier_is_not_used_for_two_mails() {
    let w = waiting(&[ALICI]).await;
    let p = &w.pair.hs02;
    hand(p, KEP01, &[ALICI], &w.dispatch).await.unwrap();
    p.work().await;
    let before = held(p);
    let other = replaced(&w.original, "teklifimiz", "teklifimis");
    let mut facts = about(&w.facts, w.facts.kind, w.facts.event);
    facts.message.original_sha256 = Some(sha256(&other));
    let dispatch = Forge::of("hs01.kep.test", &w.pair.clock)
        .dispatch_of(&facts, &other)
        .await;
    // It could not be consigned beside the first, so it must not be attested as taken.
    let result = hand(p, KEP01, &[ALICI], &dispatch).await;
    assert_eq!(kind_of(&result), Some(Kind::NotGenuine), "{result:?}");
    assert_eq!(
        held(p),
        Held {
            owed: before.owed + 1,
            ..before
        }
    );
}

#[tokio::test]
async fn a_peer_attests_only_what_is_its_to_attest_and_once() {
    let w = waiting(&[ALICI, "kimse@hs03.kep.test"]).await;
    let p = &w.pair.hs01;
    let forge = Forge::of("hs02.kep.test", &w.pair.clock);
    let kind = EvidenceKind::DeliveryNonDeliveryToRecipient;
    let delivered = || about(&w.facts, kind, Event::Delivery);
    let changed = |change: &dyn Fn(&mut EvidenceFacts)| {
        let mut facts = delivered();
        change(&mut facts);
        facts
    };
    let at = w
        .facts
        .recipients
        .iter()
        .position(|r| r.address == ALICI)
        .unwrap() as u32
        + 1;
    let unknown_mail = "00000000-0000-4000-8000-000000000000.0@hs01.kep.test".to_owned();
    let cases = [
        (
            "another provider's account",
            changed(&|f| f.refers_to_recipient = Some(3 - at)),
        ),
        ("nobody", changed(&|f| f.refers_to_recipient = None)),
        (
            "somebody the mail was not sent to",
            changed(&|f| f.recipients[at as usize - 1].address = VELI.into()),
        ),
        (
            "another digest",
            changed(&|f| f.message.original_sha256 = Some(sha256(b"another"))),
        ),
        (
            "a mail of another provider",
            changed(&|f| f.message.rem_message_id = "x.0@hs03.kep.test".into()),
        ),
        (
            "a mail that is not there",
            changed(&|f| f.message.rem_message_id = unknown_mail.clone()),
        ),
        (
            "the submission",
            about(
                &w.facts,
                EvidenceKind::SubmissionAcceptanceRejection,
                Event::Rejection,
            ),
        ),
        (
            "our own failure to reach it",
            about(
                &w.facts,
                EvidenceKind::RelayREMMDFailure,
                Event::DeliveryExpiration,
            ),
        ),
    ];
    let before = held(p);
    let state = states(p, w.mail);
    for (name, mut facts) in cases {
        if facts.kind.is_per_recipient() && name.starts_with("our own") {
            facts.refers_to_recipient = Some(at);
        }
        let message = forge.evidence_message(&facts).await;
        let result = hand(p, KEP02, &[KEP01], &message).await;
        assert_eq!(kind_of(&result), Some(Kind::NotGenuine), "{name}: {result:?}");
        assert_eq!(held(p), before, "{name}");
        assert_eq!(states(p, w.mail), state, "{name}");
    }
    let strange = Forge::of("other.kep.test", &w.pair.clock)
        .evidence_message(&delivered())
        .await;
    assert_eq!(
        kind_of(&hand(p, KEP02, &[KEP01], &strange).await),
        Some(Kind::NotGenuine)
    );
    assert_eq!(held(p), before);

    let facts = changed(&|f| f.refers_to_recipient = Some(at));
    let once = forge.evidence_message(&facts).await;
    let again = forge.evidence_message(&facts).await;
    assert_ne!(once, again);
    for message in [&once, &once, &again] {
        hand(p, KEP02, &[KEP01], message).await.unwrap();
        assert_eq!(
            held(p),
            Held {
                items: before.items + 1,
                evidence: before.evidence + 1,
                ..before
            }
        );
    }
    assert_eq!(states(p, w.mail)[at as usize - 1], RecipientState::Consigned);
}

#[tokio::test]
async fn more_than_a_provider_takes_is_refused_while_it_comes() {
    let pair = pair().await;
    let p = &pair.hs02;
    let before = held(p);
    let peer = p
        .intake
        .check_sender(&ReversePath::Address(address(KEP01)))
        .unwrap();
    let mut transfer = p
        .intake
        .begin(peer, address(KEP01), vec![address(ALICI)])
        .await
        .unwrap();
    let mebibyte = [b'x'; 1024].repeat(1024);
    let mut written = 0;
    let refused = loop {
        match transfer.write(&mebibyte).await {
            Ok(()) => written += 1,
            Err(failure) => break Err(failure),
        }
        assert!(written < 30);
    };
    assert_eq!((written, kind_of(&refused)), (25, Some(Kind::TooLarge)));
    drop(transfer);
    assert_eq!(held(p), before);
}

#[tokio::test]
async fn a_message_id_that_evidence_cannot_refer_to_is_refused() {
    let pair = pair().await;
    let p = &pair.hs01;
    let with_id = |octets: usize| {
        let id = format!("<{}@x>", "i".repeat(octets - 4));
        let plain = message("Duyuru", ALICI);
        assert!(!plain.contains("Message-ID"));
        (format!("Message-ID: {id}\r\n{plain}"), id)
    };
    let (long, _) = with_id(501);
    let refused = p.submit("mudur@ornekas", &[ALICI], &long).await.map(drop);
    assert_eq!(kind_of(&refused), Some(Kind::Malformed), "{refused:?}");
    let (longest, id) = with_id(500);
    p.submit("mudur@ornekas", &[ALICI], &longest).await.unwrap();
    pair.wires.cut("hs02.kep.test");
    p.work().await;
    let tenant = p.tenant("ornekas");
    let said = p
        .items("ornekas")
        .into_iter()
        .find(|i| i.kind == ItemKind::Evidence)
        .unwrap();
    let body = kepd::store::tables::items::body(&*p.db, tenant, said.id)
        .unwrap()
        .unwrap()
        .row;
    let evidence = octets(p, &body.content).await;
    let references = format!("References: {id}\r\n");
    assert!(
        evidence
            .windows(references.len())
            .any(|w| w == references.as_bytes())
    );
}

#[tokio::test]
async fn the_outer_header_of_a_dispatch_is_held_against_its_evidence() {
    let w = waiting(&[ALICI]).await;
    let stated = |octets: &[u8]| {
        let (header, opened) = open::open_octets(octets);
        let Ok(Opened::Dispatch { sealed, .. }) = opened else {
            panic!("no dispatch")
        };
        sealed.outer_is_stated(header, true)
    };
    assert!(stated(&w.dispatch));
    for (from, to) in [
        ("Subject: Duyuru", "Subject: Fatura"),
        ("X-REM-Message-Identifier: ", "X-REM-Message-Identifier: x"),
    ] {
        let at = w
            .dispatch
            .windows(from.len())
            .position(|w| w == from.as_bytes())
            .unwrap();
        let changed = [&w.dispatch[..at], to.as_bytes(), &w.dispatch[at + from.len()..]].concat();
        assert!(!stated(&changed), "{to}");
    }
    // Folded and encoded subjects are what they were.
    for subject in [
        "Şirketimizin  ÇOK uzun konusu, ğüşiöç ".repeat(12),
        "plain words =?x ".repeat(30),
    ] {
        let mut facts = about(&w.facts, w.facts.kind, w.facts.event);
        facts.message.subject = subject;
        let dispatch = Forge::of("hs01.kep.test", &w.pair.clock)
            .dispatch_of(&facts, &w.original)
            .await;
        assert!(stated(&dispatch), "{}", facts.message.subject);
    }
}
