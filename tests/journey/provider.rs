//! A provider in a folder of its own, built from its services, with a clock that is turned by hand. Several suites use it, each a part of it.

#![allow(dead_code)]

use kepd::address::{Domain, KepAddress};
use kepd::clock::{Clock, ManualClock, UtcTime};
use kepd::domain::audit::Author;
use kepd::domain::calendar::Calendar;
use kepd::domain::evidence::Issuer;
use kepd::domain::job::Terms;
use kepd::domain::org::{Permission, UserKind};
use kepd::domain::provider::{Fingerprint, Peer, SIZE_MAX_BYTES};
use kepd::domain::rule::{Comparison, Condition, Direction, Field};
use kepd::domain::tenant::{Language, TenantKind};
use kepd::id::{IdSource, SystemIds, TenantId};
use kepd::sasl::Secret;
use kepd::seal::key::SealKey;
use kepd::seal::pki::{Credential, DevPki, KeyAlgorithm, Plan};
use kepd::seal::sealer::Sealer;
use kepd::seal::trust::TrustStore;
use kepd::seal::tsa::{
    DevAuthority, Exchange, LocalTransport, SystemNonces, TimestampClient, TimestampTransport, TransportError,
};
use kepd::service::account::{Accounts, Principal};
use kepd::service::answering::Answering;
use kepd::service::approval::Approval;
use kepd::service::archive::Archive;
use kepd::service::bell::Bells;
use kepd::service::declaring::Declaring;
use kepd::service::delivery::Delivery;
use kepd::service::dispatch::Dispatch;
use kepd::service::enquiry::{Enquiries, Turns};
use kepd::service::failure::Failure;
use kepd::service::herald::Herald;
use kepd::service::identity::{Credentials, Identity, Published};
use kepd::service::indexing::Indexing;
use kepd::service::intake::Intake;
use kepd::service::item_numbers::ItemNumbers;
use kepd::service::mailbox::Mailboxes;
use kepd::service::notary::Notary;
use kepd::service::octets::ContentReader;
use kepd::service::organisation::{NewStep, NewTenant, NewUser, Organisations, RuleWish};
use kepd::service::relay::{Carrier, Carrying, Fate, Outbound, Relay};
use kepd::service::searched::{DEFINITION, Texts};
use kepd::service::submission::{Accepted, Submission};
use kepd::store::db::{Db, EngineKind};
use kepd::store::fulltext::Fulltext;
use kepd::store::probe::{NoProbe, Probe};
use kepd::store::spool::Spool;
use kepd::store::tables::items;
use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock, Mutex, OnceLock};
use std::time::Duration;

/// When the tests begin.
pub const START: UtcTime = UtcTime::from_unix_s(1_795_000_000);

type Made = Mutex<HashMap<String, Arc<DevPki>>>;

fn made() -> &'static Made {
    static MADE: OnceLock<Made> = OnceLock::new();
    MADE.get_or_init(Mutex::default)
}

/// Keys and certificates of a provider, made once for all tests.
pub fn pki(domain: &str) -> Arc<DevPki> {
    let mut made = made().lock().unwrap();
    let generate = || {
        let plan = Plan {
            domain: domain.parse().unwrap(),
            seal_address: format!("kep@{domain}").parse().unwrap(),
            dns_names: vec![domain.to_owned(), "localhost".to_owned()],
            not_before: START.minus(Duration::from_secs(86_400)),
            not_after: START.plus(Duration::from_secs(2 * 365 * 86_400)),
            seal_key: KeyAlgorithm::P256,
        };
        Arc::new(DevPki::generate(&plan).unwrap())
    };
    made.entry(domain.to_owned()).or_insert_with(generate).clone()
}

/// Keys and certificates of a provider that a test makes by itself; no other test may use that domain.
pub fn set_pki(domain: &str, pki: DevPki) {
    made().lock().unwrap().insert(domain.to_owned(), Arc::new(pki));
}

/// The keys of a provider that several processes share: made by the first, read by the others.
pub fn shared_pki(domain: &str, dir: &Path) {
    let path = dir.join(format!("{domain}.pki.json"));
    if let Ok(text) = std::fs::read_to_string(&path) {
        let pems: Vec<[String; 2]> = serde_json::from_str(&text).unwrap();
        let mut all = pems.into_iter().map(|[certificate_pem, key_pem]| Credential {
            certificate_pem,
            key_pem: key_pem.into(),
        });
        let mut next = || all.next().unwrap();
        let read = DevPki {
            ca: next(),
            tls: next(),
            seal: next(),
            tsa: next(),
        };
        made().lock().unwrap().insert(domain.to_owned(), Arc::new(read));
        return;
    }
    let pki = pki(domain);
    let pems =
        [&pki.ca, &pki.tls, &pki.seal, &pki.tsa].map(|c| [c.certificate_pem.as_str(), c.key_pem.as_str()]);
    std::fs::write(path, serde_json::to_string(&pems).unwrap()).unwrap();
}

/// A time-stamp authority that can be switched off.
pub struct Authority {
    inner: LocalTransport,
    pub away: AtomicBool,
}

impl TimestampTransport for Authority {
    fn exchange<'a>(&'a self, request_der: Vec<u8>) -> Exchange<'a> {
        if self.away.load(Ordering::Relaxed) {
            return Box::pin(async { Err(TransportError("switched off".into())) });
        }
        self.inner.exchange(request_der)
    }
}

/// The wires between providers of one test, by domain.
#[derive(Clone, Default)]
pub struct Wires(Arc<Mutex<HashMap<String, Provider>>>);

impl Wires {
    fn to(&self, domain: &Domain) -> Option<Provider> {
        self.0.lock().unwrap().get(domain.as_str()).cloned()
    }

    /// Cuts a provider off.
    pub fn cut(&self, domain: &str) -> Option<Provider> {
        self.0.lock().unwrap().remove(domain)
    }

    pub fn join(&self, provider: &Provider) {
        self.0
            .lock()
            .unwrap()
            .insert(provider.identity.domain.to_string(), provider.clone());
    }
}

/// Carries messages straight to the other provider's intake.
struct StraightCarrier {
    wires: Wires,
    spool: Arc<Spool>,
}

impl Carrier for StraightCarrier {
    fn carry<'a>(&'a self, peer: &'a Peer, message: &'a Outbound) -> Carrying<'a> {
        Box::pin(async move {
            let all = |fate: Fate| vec![fate; message.recipients.len()];
            let Some(other) = self.wires.to(&peer.domain) else {
                return all(Fate::Later("no wire".into()));
            };
            match self.hand_over(&other, message).await {
                Ok(()) => all(Fate::Taken("250".into())),
                Err(Failure::Refused(refusal)) => all(Fate::Never(refusal.text)),
                Err(other) => all(Fate::Later(other.to_string())),
            }
        })
    }
}

impl StraightCarrier {
    async fn hand_over(&self, other: &Provider, message: &Outbound) -> Result<(), Failure> {
        let from = kepd::address::ReversePath::Address(message.reverse_path.clone());
        let peer = other.intake.check_sender(&from)?;
        for to in &message.recipients {
            other.intake.check_recipient(to)?;
        }
        let mut transfer = other
            .intake
            .begin(peer, message.reverse_path.clone(), message.recipients.clone())
            .await?;
        let mut reader = ContentReader::whole(&self.spool, &message.content);
        while let Some(chunk) = reader.next_chunk().await? {
            transfer.write(&chunk).await?;
        }
        transfer.finish().await
    }
}

#[derive(Clone)]
pub struct Provider {
    pub clock: Arc<ManualClock>,
    pub db: Arc<dyn Db>,
    pub spool: Arc<Spool>,
    pub identity: Arc<Identity>,
    pub authority: Arc<Authority>,
    pub organisations: Arc<Organisations>,
    pub accounts: Arc<Accounts>,
    pub submission: Arc<Submission>,
    pub approval: Arc<Approval>,
    pub declaring: Arc<Declaring>,
    pub mailboxes: Arc<Mailboxes>,
    pub herald: Arc<Herald>,
    pub answering: Arc<Answering>,
    pub enquiries: Arc<Enquiries>,
    pub notary: Arc<Notary>,
    pub dispatch: Arc<Dispatch>,
    pub relay: Arc<Relay>,
    pub intake: Arc<Intake>,
    pub delivery: Arc<Delivery>,
    pub archive: Arc<Archive>,
    pub indexing: Arc<Indexing>,
}

impl Provider {
    pub fn open(domain: &str, dir: &Path, clock: &Arc<ManualClock>, wires: &Wires) -> Self {
        Self::open_probed(domain, dir, clock, wires, Arc::new(NoProbe))
    }

    pub fn open_probed(
        domain: &str,
        dir: &Path,
        clock: &Arc<ManualClock>,
        wires: &Wires,
        probe: Arc<dyn Probe>,
    ) -> Self {
        let pki = pki(domain);
        let db = kepd::store::db::open(EngineKind::Fjall, &dir.join("store"), probe.clone()).unwrap();
        let spool = Spool::open(&dir.join("spool"), probe).unwrap();
        let ids: Arc<dyn IdSource> = Arc::new(SystemIds);
        let time: Arc<dyn Clock> = clock.clone();
        let identity = Arc::new(identity(domain));
        let bells = Bells::default();
        let organisations = Arc::new(Organisations::new(db.clone(), time.clone(), bells.clone()));
        let accounts = Arc::new(Accounts::new(db.clone(), organisations.clone()).unwrap());
        let items = Arc::new(ItemNumbers::new(db.clone()));
        let (sealer, authority) = sealer(&pki, clock);
        let carrier = Arc::new(StraightCarrier {
            wires: wires.clone(),
            spool: spool.clone(),
        });
        let submission = Arc::new(Submission {
            db: db.clone(),
            spool: spool.clone(),
            clock: time.clone(),
            ids: ids.clone(),
            organisations: organisations.clone(),
            identity: identity.clone(),
            items: items.clone(),
            bells: bells.clone(),
            terms: Arc::new(terms()),
            signatures: Arc::default(),
        });
        let approval = Arc::new(Approval {
            db: db.clone(),
            clock: time.clone(),
            ids: ids.clone(),
            organisations: organisations.clone(),
            identity: identity.clone(),
            items: items.clone(),
            bells: bells.clone(),
            terms: Arc::new(terms()),
        });
        let declaring = Arc::new(Declaring {
            db: db.clone(),
            clock: time.clone(),
            ids: ids.clone(),
            organisations: organisations.clone(),
            identity: identity.clone(),
            bells: bells.clone(),
        });
        let index = Fulltext::open(&dir.join("fulltext"), db.clone(), DEFINITION).unwrap();
        let texts = Arc::new(Texts::new(spool.clone(), Some(index), bells.indexing.clone()));
        let indexing = Indexing::new(db.clone(), spool.clone(), time.clone(), texts.clone());
        let mailboxes = Arc::new(Mailboxes {
            db: db.clone(),
            spool: spool.clone(),
            clock: time.clone(),
            ids: ids.clone(),
            organisations: organisations.clone(),
            identity: identity.clone(),
            items: items.clone(),
            bells: bells.clone(),
            approval: approval.clone(),
            declaring: declaring.clone(),
            submission: submission.clone(),
            seats: Default::default(),
            changes: Default::default(),
            rosters: Default::default(),
            counts: Default::default(),
            texts,
            listening: Default::default(),
            unread: Default::default(),
        });
        let provider = Self {
            answering: Arc::new(Answering {
                db: db.clone(),
                clock: time.clone(),
                approval: approval.clone(),
            }),
            enquiries: Arc::new(Enquiries {
                db: db.clone(),
                spool: spool.clone(),
                clock: time.clone(),
                ids: ids.clone(),
                organisations: organisations.clone(),
                identity: identity.clone(),
                items: items.clone(),
                bells: bells.clone(),
                published: Published::of(Credentials {
                    trust_pem: pki.ca.certificate_pem.clone(),
                    ..Credentials::default()
                }),
                turns: Turns::default(),
                asker: None,
            }),
            herald: Arc::new(Herald {
                db: db.clone(),
                spool: spool.clone(),
                clock: time.clone(),
                ids: ids.clone(),
                organisations: organisations.clone(),
                identity: identity.clone(),
                items: items.clone(),
                bells: bells.clone(),
                terms: Arc::new(terms()),
            }),
            submission,
            approval,
            declaring,
            mailboxes,
            notary: Arc::new(Notary {
                db: db.clone(),
                spool: spool.clone(),
                clock: time.clone(),
                ids: ids.clone(),
                sealer: sealer.clone(),
                identity: identity.clone(),
                items: items.clone(),
                bells: bells.clone(),
                receipts: Default::default(),
            }),
            dispatch: Arc::new(Dispatch {
                db: db.clone(),
                spool: spool.clone(),
                clock: time.clone(),
                ids: ids.clone(),
                sealer,
                organisations: organisations.clone(),
                identity: identity.clone(),
                bells: bells.clone(),
            }),
            relay: Arc::new(Relay {
                db: db.clone(),
                clock: time.clone(),
                ids: ids.clone(),
                organisations: organisations.clone(),
                identity: identity.clone(),
                carrier,
                bells: bells.clone(),
                busy: Default::default(),
            }),
            intake: Arc::new(Intake {
                db: db.clone(),
                spool: spool.clone(),
                clock: time.clone(),
                ids: ids.clone(),
                organisations: organisations.clone(),
                identity: identity.clone(),
                items: items.clone(),
                bells: bells.clone(),
                scrutiny: None,
            }),
            delivery: Arc::new(Delivery {
                db: db.clone(),
                spool: spool.clone(),
                clock: time,
                ids,
                organisations: organisations.clone(),
                identity: identity.clone(),
                items,
                bells,
                terms: Arc::new(terms()),
            }),
            indexing: Arc::new(indexing),
            archive: Arc::new(Archive {
                db: db.clone(),
                spool: spool.clone(),
                clock: clock.clone(),
                identity: identity.clone(),
                published: Published::of(Credentials {
                    trust_pem: pki.ca.certificate_pem.clone(),
                    ..Credentials::default()
                }),
            }),
            clock: clock.clone(),
            db,
            spool,
            identity,
            authority,
            organisations,
            accounts,
        };
        wires.join(&provider);
        provider
    }

    /// Makes another provider known here.
    pub async fn knows(&self, domain: &str) {
        let pki = pki(domain);
        let pin = |c: &kepd::seal::pki::Credential| vec![Fingerprint(c.certificate().unwrap().fingerprint())];
        let peer = Peer {
            domain: domain.parse().unwrap(),
            host: "127.0.0.1".into(),
            port: 25,
            tls_sha256: pin(&pki.tls),
            seal_sha256: pin(&pki.seal),
            trust_pem: pki.ca.certificate_pem.clone(),
            service: format!("kep@{domain}").parse().unwrap(),
            size_max_bytes: SIZE_MAX_BYTES,
        };
        let mut batch = kepd::store::db::Batch::new();
        kepd::store::tables::peers::put(&mut batch, &peer).unwrap();
        self.db.commit(batch).await.unwrap();
    }

    /// Works until nothing is due any more; gives how many pieces of work were done.
    pub async fn work(&self) -> usize {
        let mut done = 0;
        loop {
            let now = self.approval.run_due().await.unwrap()
                + self.herald.run_due().await.unwrap()
                + self.notary.run_due().await.unwrap()
                + self.notary.receipts_due().await.unwrap()
                + self.dispatch.run_due().await.unwrap()
                + self.relay.run_due().await.unwrap()
                + self.relay.run_awaited().await.unwrap()
                + self.delivery.run_due().await.unwrap()
                + self.delivery.run_awaited().await.unwrap();
            if now == 0 {
                return done;
            }
            done += now;
        }
    }

    pub fn principal(&self, login: &str) -> Principal {
        self.accounts.principal(&login.parse().unwrap()).unwrap().unwrap()
    }

    pub fn tenant(&self, name: &str) -> TenantId {
        self.organisations.by_name(name).unwrap().tenant.id
    }

    pub fn address(&self, name: &str) -> KepAddress {
        self.organisations.by_name(name).unwrap().tenant.address.clone()
    }

    /// Hands in a message.
    pub async fn submit(&self, login: &str, to: &[&str], message: &str) -> Result<Accepted, Failure> {
        let by = self.principal(login);
        let recipients: Vec<KepAddress> = to.iter().map(|t| t.parse().unwrap()).collect();
        for recipient in &recipients {
            self.submission.check_recipient(recipient, None)?;
        }
        let mut receiving = self.submission.begin(&by, recipients);
        for chunk in message.as_bytes().chunks(997) {
            receiving.write(chunk).await?;
        }
        receiving.finish().await
    }

    /// All items of a tenant.
    pub fn items(&self, tenant: &str) -> Vec<kepd::domain::item::Item> {
        let mut all = Vec::new();
        items::for_each(&*self.db, self.tenant(tenant), |item| {
            all.push(item);
            Ok(())
        })
        .unwrap();
        all
    }

    /// A natural person with one officer of the same name.
    pub async fn add_person(&self, name: &str) {
        let tenant = self.add_tenant(name, TenantKind::Gercek).await;
        self.add_user(tenant, name, UserKind::Officer, &[], &[]).await;
    }

    pub async fn add_tenant(&self, name: &str, kind: TenantKind) -> TenantId {
        let new = NewTenant {
            name: name.into(),
            kind,
            address: KepAddress::new(name, &self.identity.domain).unwrap(),
            title: format!("{name} A.Ş."),
            language: Language::Turkish,
        };
        self.organisations
            .by(crate::provider::admin())
            .add_tenant(new, &self.identity.domain)
            .await
            .unwrap()
            .id
    }

    pub async fn add_user(
        &self,
        tenant: TenantId,
        name: &str,
        kind: UserKind,
        units: &[&str],
        roles: &[&str],
    ) {
        let owned = |list: &[&str]| list.iter().map(|s| (*s).to_owned()).collect();
        let new = NewUser {
            name: name.into(),
            display_name: name.into(),
            kind,
            units: owned(units),
            roles: owned(roles),
        };
        let user = self
            .organisations
            .by(crate::provider::admin())
            .add_user(tenant, &new)
            .await
            .unwrap();
        let password = Secret::new(format!("{name}-parola"));
        self.accounts
            .set_password(crate::provider::admin(), tenant, user.id, password)
            .await
            .unwrap();
    }

    /// The institution of the contract's road, step 1.
    pub async fn add_ornekas(&self) -> TenantId {
        let tenant = self.add_tenant("ornekas", TenantKind::Tuzel).await;
        let o = &self.organisations;
        o.by(crate::provider::admin())
            .add_unit(tenant, "Genel Müdürlük", None)
            .await
            .unwrap();
        o.by(crate::provider::admin())
            .add_unit(tenant, "Satış", Some("Genel Müdürlük"))
            .await
            .unwrap();
        let roles = [
            ("Yazan", Permission::Compose),
            ("Onay Rolü", Permission::Approve),
            ("Onay Rolü2", Permission::Approve),
        ];
        for (name, permission) in roles {
            let permissions = BTreeSet::from([permission, Permission::View]);
            o.by(crate::provider::admin())
                .add_role(tenant, name, "", permissions)
                .await
                .unwrap();
        }
        o.by(crate::provider::admin())
            .add_label(tenant, "Finans")
            .await
            .unwrap();
        self.add_user(tenant, "mudur", UserKind::Officer, &[], &[]).await;
        self.add_user(tenant, "ayse", UserKind::Limited, &["Satış"], &["Yazan"])
            .await;
        self.add_user(tenant, "onay1", UserKind::Limited, &["Satış"], &["Onay Rolü"])
            .await;
        self.add_user(
            tenant,
            "onay2",
            UserKind::Limited,
            &["Genel Müdürlük"],
            &["Onay Rolü2"],
        )
        .await;
        let condition = |field| Condition {
            field,
            comparison: Comparison::Contains,
            text: "Teklif".into(),
        };
        let rule = RuleWish {
            conditions: Some(vec![condition(Field::To), condition(Field::Subject)]),
            steps: Some(vec![NewStep::of("Onay Rolü", 1), NewStep::of("Onay Rolü2", 2)]),
            ..RuleWish::default()
        };
        o.by(crate::provider::admin())
            .add_rule(tenant, "Teklif", Direction::Outgoing, &rule)
            .await
            .unwrap();
        tenant
    }
}

/// Who changes organisations here.
pub fn admin() -> &'static Author {
    static ADMIN: LazyLock<Author> = LazyLock::new(|| Author::administrator(0));
    &ADMIN
}

/// Calendar days, a minute to undo, and no waiting before a release.
pub fn terms() -> Terms {
    Terms {
        calendar: Calendar::default(),
        undo: Duration::from_secs(60),
        send_delay: Duration::ZERO,
    }
}

fn identity(domain: &str) -> Identity {
    let service: KepAddress = format!("kep@{domain}").parse().unwrap();
    Identity {
        domain: domain.parse().unwrap(),
        realms: vec!["kep.test".parse().unwrap()],
        issuer: Issuer {
            name: format!("KEPHS {domain}"),
            street: "Örnek Cad. 1".into(),
            locality: "Ankara".into(),
            postal_code: "06000".into(),
            country: "TR".into(),
            electronic_address: service.to_string(),
            certificate_der: None,
        },
        service,
        policy_ids: vec!["urn:oid:2.999.792.2".into()],
        reading_expiry: kepd::domain::schedule::READING_EXPIRY_DEFAULT,
        relay_expiry: kepd::domain::schedule::RELAY_EXPIRY_DEFAULT,
        size_max_bytes: SIZE_MAX_BYTES,
        tariff: Default::default(),
    }
}

fn sealer(pki: &DevPki, clock: &Arc<ManualClock>) -> (Arc<Sealer>, Arc<Authority>) {
    let key = |c: &kepd::seal::pki::Credential| SealKey::from_pem(&c.key_pem).unwrap();
    let authority = DevAuthority::new(key(&pki.tsa), pki.tsa.certificate().unwrap()).unwrap();
    let time: Arc<dyn Clock> = clock.clone();
    let inner = LocalTransport::new(authority, time, 1);
    let authority = Arc::new(Authority {
        inner,
        away: AtomicBool::new(false),
    });
    let mut trust = TrustStore::new();
    trust.add_pem_text(&pki.ca.certificate_pem).unwrap();
    let client = TimestampClient::new(authority.clone(), Arc::new(SystemNonces), Arc::new(trust));
    let chain = vec![pki.seal.certificate().unwrap()];
    (
        Arc::new(Sealer::new(key(&pki.seal), chain, client).unwrap()),
        authority,
    )
}
