//! What is told for each document: built, sealed and stamped; judged; judged by what it brings of revocation.
//!
//! Rates are for each second of CPU that the process used, so that a neighbour does not count. A neighbour slows the processor all the
//! same, so what is held against each other is measured in turns: some bare signatures, some documents sealed, the same documents
//! judged, and so on. The time-stamp authority stands in the process: its part (reading the request, signing the token) is
//! measured by asking it the same again, and taken off. What the provider does with a token is his own part, and stays.

use super::authority::at;
use super::{line, rate};
use kepd::clock::ManualClock;
use kepd::cms::{DigestAlgorithm, RevocationShelf, RevocationValues, ocsp};
use kepd::domain::evidence::{Event, EvidenceFacts, EvidenceKind, Issuer, MessageFacts, Party};
use kepd::id::EvidenceId;
use kepd::seal::key::{Manner, RsaPadding};
use kepd::seal::lasting::{Certified, Outcome};
use kepd::seal::pki::{Credential, DevPki, KeyAlgorithm, Plan};
use kepd::seal::revoking::RevocationOffice;
use kepd::seal::tsa::{Exchange, LocalTransport, SystemNonces};
use kepd::seal::{DevAuthority, SealKey, Sealer, TimestampClient, TimestampTransport, TrustStore};
use kepd::validation::{Basis, judge_evidence};
use kepd::xml::Level;
use rustix::time::{ClockId, clock_gettime};
use std::hint::black_box;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

/// Documents of one turn; short enough that the machine is the same for all of it.
const TURN: u32 = 100;

/// CPU that all threads of the process used so far.
fn cpu() -> Duration {
    let spent = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(spent.tv_sec.unsigned_abs(), spent.tv_nsec.unsigned_abs() as u32)
}

/// The CPU of what is done, and what comes of it.
fn spending<T>(total: &mut Duration, work: impl FnOnce() -> T) -> T {
    let begun = cpu();
    let done = work();
    *total += cpu().saturating_sub(begun);
    done
}

/// The authority, and what it was asked since the last look.
#[derive(Clone)]
struct Remembered {
    inner: Arc<LocalTransport>,
    asked: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl TimestampTransport for Remembered {
    fn exchange<'a>(&'a self, request_der: Vec<u8>) -> Exchange<'a> {
        self.asked.lock().unwrap().push(request_der.clone());
        self.inner.exchange(request_der)
    }
}

impl Remembered {
    /// Asks it all again; how often it was asked.
    fn again(&self, runtime: &Runtime) -> usize {
        let asked = std::mem::take(&mut *self.asked.lock().unwrap());
        let count = asked.len();
        for request in asked {
            black_box(runtime.block_on(self.inner.exchange(request)).unwrap());
        }
        count
    }
}

fn facts(n: u32) -> EvidenceFacts {
    let party = |address: &str| Party {
        address: address.to_owned(),
        ..Party::default()
    };
    EvidenceFacts {
        id: EvidenceId(uuid::Uuid::from_u128(u128::from(n) + 1)),
        kind: EvidenceKind::SubmissionAcceptanceRejection,
        event: Event::Acceptance,
        reasons: Vec::new(),
        policy_ids: Vec::new(),
        issuer: Issuer {
            name: "HS01".to_owned(),
            electronic_address: "kep@hs01.kep.test".to_owned(),
            ..Issuer::default()
        },
        event_time: at("2027-01-01"),
        submission_time: Some(at("2027-01-01")),
        sender: party("ornekas@hs01.kep.test"),
        recipients: vec![party("alici@hs02.kep.test")],
        refers_to_recipient: None,
        message: MessageFacts {
            subject: format!("Teklif {n}"),
            ua_message_id: Some(format!("<{n}@ornek>")),
            rem_message_id: format!("<{n}@hs01.kep.test>"),
            original_sha256: Some([7; 32]),
        },
        sender_authentication: None,
        transaction_log: Vec::new(),
        extensions: Vec::new(),
        reply_to: None,
    }
}

/// A provider: its keys, and what trusts and stamps it.
struct House {
    name: &'static str,
    pki: DevPki,
    key: SealKey,
    trust: Arc<TrustStore>,
    authority: Remembered,
    runtime: Runtime,
}

impl House {
    fn new(kind: KeyAlgorithm, manner: Manner, name: &'static str) -> Self {
        let pki = DevPki::generate(&Plan {
            domain: "hs01.kep.test".parse().unwrap(),
            seal_address: "kep@hs01.kep.test".parse().unwrap(),
            dns_names: Vec::new(),
            not_before: at("2026-01-01"),
            not_after: at("2030-01-01"),
            seal_key: kind,
        })
        .unwrap();
        let tsa_key = SealKey::from_pem(&pki.tsa.key_pem).unwrap();
        let authority = DevAuthority::new(tsa_key, pki.tsa.certificate().unwrap()).unwrap();
        let clock = Arc::new(ManualClock::at(at("2027-01-01")));
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        Self {
            name,
            key: SealKey::from_pem(&pki.seal.key_pem)
                .unwrap()
                .signing(manner)
                .unwrap(),
            trust: Arc::new(trusting(&pki)),
            authority: Remembered {
                inner: Arc::new(LocalTransport::new(authority, clock, 1)),
                asked: Arc::default(),
            },
            runtime: runtime.enable_time().build().unwrap(),
            pki,
        }
    }

    fn sealer(&self) -> Sealer {
        let transport = Arc::new(self.authority.clone());
        let stamps = TimestampClient::new(transport, Arc::new(SystemNonces), self.trust.clone());
        Sealer::new(
            self.key.clone(),
            vec![self.pki.seal.certificate().unwrap()],
            stamps,
        )
        .unwrap()
    }

    fn say(&self, what: &str, value: String) {
        line(&format!("{}: {what}", self.name), value);
    }
}

/// A trust store that remembers nothing yet.
fn trusting(pki: &DevPki) -> TrustStore {
    let mut trust = TrustStore::new();
    trust.add_pem_text(&pki.ca.certificate_pem).unwrap();
    trust
}

/// All of it; gives what was sealed with P-256.
pub fn measure() -> (DevPki, Vec<Vec<u8>>) {
    let own = Manner::default();
    let house = House::new(KeyAlgorithm::P256, own, "P-256");
    let sealed = in_turns(&house, 50);
    lasting(&house, &sealed);
    let other = House::new(KeyAlgorithm::Rsa3072, own, "RSA-3072");
    lasting(&other, &in_turns(&other, 15));
    let pss = Manner {
        digest: Some(DigestAlgorithm::Sha512),
        rsa_padding: RsaPadding::Pss,
    };
    in_turns(
        &House::new(KeyAlgorithm::Rsa3072, pss, "RSA-3072, PSS, SHA-512"),
        5,
    );
    in_turns(&House::new(KeyAlgorithm::P384, own, "P-384"), 5);
    (house.pki, sealed)
}

/// Bare signatures, documents sealed and judged, in turns; then sealed by many at once.
fn in_turns(house: &House, turns: u32) -> Vec<Vec<u8>> {
    let [mut bare, mut sealing, mut authority, mut judging] = [Duration::ZERO; 4];
    let own = house.sealer();
    let mut sealed: Vec<Vec<u8>> = Vec::new();
    let mut tokens = 0;
    for turn in 0..turns {
        let numbers = turn * TURN..(turn + 1) * TURN;
        spending(&mut bare, || {
            for n in numbers.clone() {
                black_box(house.key.sign(&n.to_be_bytes()).unwrap());
            }
        });
        let documents: Vec<Vec<u8>> = spending(&mut sealing, || {
            let seal = |n| {
                let written = kepd::rem::evidence::write(&facts(n)).unwrap();
                let sealing = own.seal_evidence(&written.xml, at("2027-01-01"));
                house.runtime.block_on(sealing).unwrap()
            };
            numbers.map(seal).collect()
        });
        tokens += spending(&mut authority, || house.authority.again(&house.runtime));
        spending(&mut judging, || {
            for (n, octets) in documents.iter().enumerate() {
                assert!(judge_evidence(n.to_string(), octets, Some([7; 32]), &house.trust).is_ok());
            }
        });
        sealed.extend(documents);
    }
    let count = turns * TURN;
    let sealing = sealing.saturating_sub(authority);
    house.say("bare signatures, 1/CPU-s", rate(count, bare));
    house.say("evidence built and sealed B-T, 1/CPU-s", rate(count, sealing));
    let share = 100.0 * bare.as_secs_f64() / sealing.as_secs_f64();
    house.say("of the bare signatures' rate, %", format!("{share:.0}"));
    house.say("evidence judged, 1/CPU-s", rate(count, judging));
    house.say("the authority's part, taken off, µs", micros(authority, count));
    house.say(&format!("tokens for {count} documents"), tokens.to_string());
    house.say("octets of a document", sealed[0].len().to_string());
    shared(house, count);
    sealed
}

fn micros(spent: Duration, count: u32) -> String {
    format!("{:.0}", spent.as_secs_f64() * 1e6 / f64::from(count))
}

/// The same where they share tokens.
fn shared(house: &House, count: u32) {
    let [mut sealing, mut authority] = [Duration::ZERO; 2];
    let sharing = Arc::new(house.sealer().sharing(Duration::from_millis(5)));
    let shared = spending(&mut sealing, || house.runtime.block_on(together(sharing, count)));
    let tokens = spending(&mut authority, || house.authority.again(&house.runtime));
    let sealing = sealing.saturating_sub(authority);
    house.say("sealed where they share tokens, 1/CPU-s", rate(count, sealing));
    house.say(&format!("tokens for {count} documents"), tokens.to_string());
    house.say("octets of a document", shared[0].len().to_string());
}

/// Judged by what they bring of revocation, and by what lies ready.
fn lasting(house: &House, sealed: &[Vec<u8>]) {
    let (ca, seal, tsa) = (&house.pki.ca, &house.pki.seal, &house.pki.tsa);
    let (ca_certificate, later) = (ca.certificate().unwrap(), at("2027-01-02"));
    let office =
        RevocationOffice::new(SealKey::from_pem(&ca.key_pem).unwrap(), ca_certificate.clone()).unwrap();
    let list = office.list(later).unwrap();
    // Of each certificate's own moment, as if every document had been asked about by itself.
    let answer = |credential: &Credential| {
        let certificate = credential.certificate().unwrap();
        let request = ocsp::Request {
            certificate: &certificate,
            issuer: &ca_certificate,
            digest: ocsp::IdDigest::Sha1,
            nonce: None,
        };
        office.answer(&request.der(), later)
    };
    let with = |values: &RevocationValues, documents: &[Vec<u8>]| -> Vec<Vec<u8>> {
        let embedded = documents.iter().map(|document| {
            let judged = Certified::of_evidence(document).unwrap();
            match judged.judge(&house.trust, Some(values), Duration::ZERO) {
                Outcome::Final(proof) => proof.embed(document).unwrap().0,
                Outcome::NotYet(why) => panic!("{why:?}"),
            }
        });
        embedded.collect()
    };
    let by_list = RevocationValues {
        crls: vec![list.clone()],
        ..RevocationValues::default()
    };
    let one_list = with(&by_list, sealed);
    let own_answers = sealed.chunks(1).flat_map(|document| {
        let ocsp = vec![answer(seal), answer(tsa)];
        let values = RevocationValues {
            ocsp,
            ..RevocationValues::default()
        };
        with(&values, document)
    });
    let own_answers: Vec<Vec<u8>> = own_answers.collect();
    let judged = |what: &str, documents: &[Vec<u8>], basis: Basis<'_>, level: Level| {
        let mut judging = Duration::ZERO;
        spending(&mut judging, || {
            for (n, octets) in documents.iter().enumerate() {
                let judged = judge_evidence(n.to_string(), octets, Some([7; 32]), basis);
                assert!(judged.is_ok() && judged.level == Some(level));
            }
        });
        let count = documents.len() as u32;
        house.say(&format!("evidence judged, {what}, 1/CPU-s"), rate(count, judging));
    };
    let fresh = || trusting(&house.pki);
    let trust = fresh();
    judged(
        "B-LT, one list in all",
        &one_list,
        Basis::from(&trust),
        Level::Lasting,
    );
    let trust = fresh();
    judged(
        "B-LT, answers of its own in each",
        &own_answers,
        Basis::from(&trust),
        Level::Lasting,
    );
    let (trust, shelf) = (fresh(), RevocationShelf::of(&by_list));
    judged(
        "B-T, a list at hand",
        sealed,
        Basis::known(&trust, &shelf),
        Level::Stamped,
    );
}

/// Evidence sealed by many at once, as the notary does where stamps are shared.
async fn together(sealer: Arc<Sealer>, count: u32) -> Vec<Vec<u8>> {
    let mut sealing = JoinSet::new();
    for n in 0..count {
        let sealer = sealer.clone();
        sealing.spawn(async move {
            let written = kepd::rem::evidence::write(&facts(n)).unwrap();
            sealer
                .seal_evidence(&written.xml, at("2027-01-01"))
                .await
                .unwrap()
        });
    }
    sealing.join_all().await
}
