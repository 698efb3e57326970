//! A provider over twenty years: built from its services, with a clock that is turned by hand. Its key is rolled every year,
//! its time-stamp authority follows another, RSA gives way to elliptic curves and SHA-256 to longer digests, and once a key is lost.

use crate::ers::authority::{Kind, Root, Signer, at};
use crate::ers::twenty_years::current;
use crate::provider::{Provider, START, Wires, set_pki};
use kepd::clock::{Clock as _, ManualClock, UtcTime};
use kepd::cms::crl::Entry;
use kepd::cms::{Certificate, RevocationReason, tsp};
use kepd::domain::algorithm_policy::AlgorithmPolicy;
use kepd::domain::schedule::{DAY, next_night};
use kepd::id::MailId;
use kepd::seal::pki::{Credential, DevPki};
use kepd::seal::revocation::{Collector, FetchError, Fetching, RevocationTransport, Settings};
use kepd::seal::revoking::RevocationOffice;
use kepd::seal::tsa::{Exchange, SystemNonces};
use kepd::seal::{Ring, SealKey, Sealer, Signatory, TimestampClient, TimestampTransport, TrustStore};
use kepd::service::dispatch::Dispatch;
use kepd::service::identity::{Credentials, Published};
use kepd::service::lasting::{Counts, Lasting};
use kepd::service::notary::Notary;
use kepd::service::preservation::Preservation;
use kepd::service::submission::Accepted;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);
const DOMAIN: &str = "hs90.kep.test";
const YEARS: u32 = 20;
/// The year whose key is lost, counted from 0.
const LOST_IN: u32 = 5;

/// RSA ends as TS 119 312 has it; the others so that all of them end within the twenty years, or long after.
const POLICY: &str = r#"
[renewal]
timestamp_days = 60
hashtree_days = 365
[[digest]]
name = "SHA-256"
secure_until = "2044-12-31"
[[digest]]
name = "SHA-512"
secure_until = "2070-12-31"
[[digest]]
name = "SHA-384"
secure_until = "2070-12-31"
[[signature]]
name = "RSA"
min_bits = 3000
secure_until = "2033-12-31"
[[signature]]
name = "ECDSA"
min_bits = 256
secure_until = "2070-12-31"
"#;

/// The authority's certificates. Each next one is used from its first day.
fn units(root: &Root) -> Vec<Signer> {
    [
        ("2026-11-01", "2030-12-31", Kind::Rsa3072),
        // Ends after RSA does: the algorithm is what makes renewal due.
        ("2030-09-01", "2035-06-30", Kind::Rsa3072),
        ("2033-09-01", "2037-12-31", Kind::P256),
        ("2037-08-01", "2041-12-31", Kind::P256),
        // P-384 signs with SHA-384.
        ("2041-08-01", "2045-12-31", Kind::P384),
        ("2045-08-01", "2050-12-31", Kind::P384),
    ]
    .into_iter()
    .enumerate()
    .map(|(i, (from, to, kind))| root.time_stamping(&format!("TSU {i}"), kind, at(from), at(to)))
    .collect()
}

/// Who issues certificates, tells of revocation and stamps: in process.
pub struct Authority {
    pub root: Root,
    pub units: Vec<Signer>,
    office: Mutex<RevocationOffice>,
    clock: Arc<ManualClock>,
}

impl Authority {
    fn new(clock: &Arc<ManualClock>) -> Arc<Self> {
        let root = Root::publishing("Kök", "http://pki.test/list.crl");
        let key = SealKey::from_pem(&root.key_pem()).unwrap();
        let office = RevocationOffice::new(key, root.certificate()).unwrap();
        Arc::new(Self {
            units: units(&root),
            root,
            office: Mutex::new(office),
            clock: clock.clone(),
        })
    }

    fn revoke(&self, certificate: &Certificate) {
        let entry = Entry {
            revoked_at: self.clock.now(),
            reason: RevocationReason::KeyCompromise,
            invalid_since: None,
        };
        self.office.lock().unwrap().revoke(certificate, entry);
    }
}

impl RevocationTransport for Authority {
    fn fetch<'a>(&'a self, _: &'a str, _: usize) -> Fetching<'a> {
        let list = self.office.lock().unwrap().list(self.clock.now()).unwrap();
        Box::pin(std::future::ready(Ok(list)))
    }

    fn ask<'a>(&'a self, _: &'a str, _: Vec<u8>, _: usize) -> Fetching<'a> {
        Box::pin(std::future::ready(Err(FetchError("it has no responder".into()))))
    }
}

impl TimestampTransport for Authority {
    fn exchange<'a>(&'a self, request_der: Vec<u8>) -> Exchange<'a> {
        let now = self.clock.now();
        let Ok(request) = tsp::read_request(&request_der) else {
            panic!("not a request")
        };
        let unit = current(&self.units, now);
        let token = unit.answer(&request.imprint, request.nonce_der.as_deref(), now);
        Box::pin(std::future::ready(Ok(tsp::granted(&token))))
    }
}

/// A mail that was sent.
pub struct Sent {
    pub mail: MailId,
    pub at: UtcTime,
}

pub struct World {
    p: Provider,
    pub clock: Arc<ManualClock>,
    pub authority: Arc<Authority>,
    sealer: Arc<Sealer>,
    lasting: Lasting,
    preservation: Preservation,
    /// One a year.
    pub sent: Vec<Sent>,
    /// Of the lost key's year: an hour before the loss, and an hour after it.
    pub near: Vec<Sent>,
    pub lost_at: UtcTime,
    pub lost: Option<Certificate>,
    /// Kinds of keys that sealed, in order.
    pub seals: Vec<(Kind, Certificate)>,
    dir: tempfile::TempDir,
}

pub fn policy() -> AlgorithmPolicy {
    AlgorithmPolicy::parse(POLICY).unwrap()
}

fn signatory(made: &Signer) -> Signatory {
    let key = SealKey::from_pem(&made.key_pem()).unwrap();
    Signatory::new(key, vec![made.certificate.clone()]).unwrap()
}

impl World {
    pub fn trust(&self) -> TrustStore {
        trust_of(&self.authority)
    }

    /// The twenty years.
    pub async fn lived() -> Self {
        let mut world = Self::new().await;
        for month in 0..=YEARS * 12 {
            world.turn(START.plus(DAY * (month * 365 / 12)));
            let year = month / 12;
            if year < YEARS {
                match month % 12 {
                    0 => world.roll(&format!("Seal {year}")),
                    3 => {
                        let sent = world.send(&format!("yil{year}")).await;
                        world.days_after().await;
                        world.sent.push(sent);
                    }
                    6 if year == LOST_IN => world.lose_the_key().await,
                    _ => {}
                }
            }
            world.work().await;
        }
        world
    }

    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::at(START));
        let authority = Authority::new(&clock);
        let first = made_seal(&authority, "Seal", START);
        let credential = |certificate: &Certificate, key_pem: String| Credential {
            certificate_pem: certificate.pem(),
            key_pem: key_pem.into(),
        };
        let root = credential(&authority.root.certificate(), authority.root.key_pem());
        let same = credential(&first.certificate, first.key_pem());
        // Only the root is used: who stamps and seals here is put in below.
        let stamps = crate::provider::pki("hs01.kep.test").tsa.clone();
        set_pki(
            DOMAIN,
            DevPki {
                ca: root.clone(),
                tls: same.clone(),
                seal: same,
                tsa: stamps,
            },
        );
        let mut p = Provider::open(DOMAIN, &dir.path().join("p"), &clock, &Wires::default());
        let trust = Arc::new(trust_of(&authority));
        let client = || TimestampClient::new(authority.clone(), Arc::new(SystemNonces), trust.clone());
        let sealer = Arc::new(Sealer::of(Ring::one(signatory(&first)), Arc::new(client())));
        seal_with(&mut p, &sealer);
        let collector = Collector::new(
            authority.clone(),
            Arc::new(SystemNonces),
            clock.clone(),
            Settings::default(),
        );
        let lasting = Lasting {
            db: p.db.clone(),
            spool: p.spool.clone(),
            clock: clock.clone(),
            identity: p.identity.clone(),
            published: Published::of(Credentials {
                trust_pem: root.certificate_pem,
                ..Credentials::default()
            }),
            collector: Some(Arc::new(collector)),
            delay: DAY,
            counts: Counts::default(),
        };
        let preservation = Preservation {
            db: p.db.clone(),
            spool: p.spool.clone(),
            clock: clock.clone(),
            stamps: Arc::new(client()),
            policy: Arc::new(policy()),
        };
        for person in ["ali", "veli"] {
            p.add_person(person).await;
        }
        Self {
            p,
            clock,
            authority,
            sealer,
            lasting,
            preservation,
            sent: Vec::new(),
            near: Vec::new(),
            lost_at: START,
            lost: None,
            seals: Vec::new(),
            dir,
        }
    }

    fn turn(&self, to: UtcTime) {
        self.clock.advance(self.clock.now().until(to));
    }

    /// Another key seals from now on, without a restart.
    fn roll(&mut self, name: &str) {
        let made = made_seal(&self.authority, name, self.clock.now());
        self.sealer.replace(Ring::one(signatory(&made)));
        self.seals
            .push((kind_of(self.clock.now()), made.certificate.clone()));
    }

    async fn send(&self, subject: &str) -> Sent {
        let (from, to) = (format!("ali@{DOMAIN}"), format!("veli@{DOMAIN}"));
        let text = format!(
            "From: {from}\r\nTo: {to}\r\nSubject: {subject}\r\nMessage-ID: <{subject}@{DOMAIN}>\r\n\r\nMerhaba\r\n"
        );
        let at = self.clock.now();
        let sent = self.p.submit("ali@ali", &[&to], &text).await.unwrap();
        let Accepted::Sent { mail } = sent else {
            panic!("{sent:?}")
        };
        self.p.work().await;
        Sent { mail, at }
    }

    /// The night after; a day later what nobody read and the lasting forms; the night after that.
    async fn days_after(&self) {
        self.turn(next_night(self.clock.now()));
        self.work().await;
        self.clock.advance(DAY + HOUR);
        self.work().await;
        self.clock.advance(DAY + HOUR);
        self.work().await;
        self.turn(next_night(self.clock.now()));
        self.work().await;
    }

    /// An hour after a mail the key is lost; who does not know it yet seals another one with it, and then takes a new key.
    async fn lose_the_key(&mut self) {
        let before = self.send("kayiptan-once").await;
        self.clock.advance(HOUR);
        let lost = self.seals.last().unwrap().1.clone();
        self.authority.revoke(&lost);
        self.lost_at = self.clock.now();
        self.clock.advance(HOUR);
        let after = self.send("kayiptan-sonra").await;
        self.clock.advance(HOUR);
        self.roll("Seal after the loss");
        self.lost = Some(lost);
        self.near = vec![before, after];
        self.days_after().await;
    }

    /// All that is due.
    async fn work(&self) {
        self.p.work().await;
        while self.lasting.run_due().await.unwrap() > 0 {}
        self.preservation.run_due().await.unwrap();
    }

    /// The bundle of a mail, as `kepctl mail export` writes it.
    pub async fn bundle(&self, sent: &Sent) -> PathBuf {
        let out = self.dir.path().join("bundles");
        std::fs::create_dir_all(&out).unwrap();
        let tenant = self.p.tenant("ali");
        self.p
            .archive
            .export(tenant, sent.mail, &out)
            .await
            .unwrap()
            .folder
    }

    pub fn scratch(&self, name: &str) -> PathBuf {
        let path = self.dir.path().join(name);
        std::fs::create_dir_all(&path).unwrap();
        path
    }
}

fn trust_of(authority: &Authority) -> TrustStore {
    let mut trust = TrustStore::new();
    trust.add_anchor(authority.root.certificate());
    trust
}

/// The key of a year: one that is fit to the end of it. At last that is P-384, which seals with SHA-384.
fn kind_of(now: UtcTime) -> Kind {
    let lasts = |family, bits| {
        let fit = policy().signature_fits(family, bits, "SHA-256", now.plus(DAY * 366));
        fit.is_ok()
    };
    if lasts("RSA", 3072) {
        Kind::Rsa3072
    } else if lasts("ECDSA", 256) {
        Kind::P256
    } else {
        Kind::P384
    }
}

/// A key for a year and a month.
fn made_seal(authority: &Authority, name: &str, now: UtcTime) -> Signer {
    let (from, to) = (now.minus(DAY), now.plus(DAY * 400));
    let names = (name, &*format!("kep@{DOMAIN}"));
    authority.root.seal(names, kind_of(now), from, to)
}

fn seal_with(p: &mut Provider, sealer: &Arc<Sealer>) {
    let (notary, dispatch) = (&p.notary, &p.dispatch);
    let notary = Notary {
        db: notary.db.clone(),
        spool: notary.spool.clone(),
        clock: notary.clock.clone(),
        ids: notary.ids.clone(),
        sealer: sealer.clone(),
        identity: notary.identity.clone(),
        items: notary.items.clone(),
        bells: notary.bells.clone(),
        receipts: Default::default(),
    };
    let dispatch = Dispatch {
        db: dispatch.db.clone(),
        spool: dispatch.spool.clone(),
        clock: dispatch.clock.clone(),
        ids: dispatch.ids.clone(),
        sealer: sealer.clone(),
        organisations: dispatch.organisations.clone(),
        identity: dispatch.identity.clone(),
        bells: dispatch.bells.clone(),
    };
    (p.notary, p.dispatch) = (Arc::new(notary), Arc::new(dispatch));
}
