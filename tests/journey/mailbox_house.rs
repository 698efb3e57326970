//! A small provider in a temporary folder, with one tenant, for what happens in mailboxes.
//!
//! Tenant `ornekas`: officers `mudur` and `muavin`; limited users `ayse` (writes, unit Satış) and `onay1` (approves);
//! labels `Finans` (seen by unit `Mali İşler`) and `Acil`; rule `Teklif` with one step.

use kepd::address::{KepAddress, LoginName};
use kepd::clock::{Clock, ManualClock, UtcTime};
use kepd::domain::evidence::Issuer;
use kepd::domain::item::{Item, ItemKind};
use kepd::domain::mail::{Consignment, ConsignmentState, SenderHome};
use kepd::domain::org::{Permission, UserKind};
use kepd::domain::rule::{Comparison, Condition, Direction, Field};
use kepd::domain::tenant::{Language, TenantKind};
use kepd::id::{IdSource, ItemId, MailId, SystemIds, TenantId};
use kepd::net::imap::ImapDoor;
use kepd::sasl::Secret;
use kepd::service::account::{Accounts, Principal};
use kepd::service::approval::Approval;
use kepd::service::bell::Bells;
use kepd::service::declaring::Declaring;
use kepd::service::identity::Identity;
use kepd::service::indexing::Indexing;
use kepd::service::item_numbers::ItemNumbers;
use kepd::service::mailbox::Mailboxes;
use kepd::service::organisation::{NewStep, NewTenant, NewUser, Organisations, RuleWish};
use kepd::service::outline::Outline;
use kepd::service::searched::{DEFINITION, Texts};
use kepd::service::submission::Submission;
use kepd::store::db::{self, Batch, Db, EngineKind};
use kepd::store::fulltext::Fulltext;
use kepd::store::probe::NoProbe;
use kepd::store::spool::Spool;
use kepd::store::tables::items::{self, Content};
use kepd::store::tables::mails;
use std::collections::BTreeSet;
use std::sync::Arc;

pub const PASSWORD: &str = "gizli kelime";

pub struct House {
    pub dir: tempfile::TempDir,
    pub tenant: TenantId,
    pub clock: Arc<ManualClock>,
    pub accounts: Arc<Accounts>,
    pub mailboxes: Arc<Mailboxes>,
}

/// The mailbox door over these mailboxes; failed logins wait for nothing.
pub fn door(mailboxes: Arc<Mailboxes>, accounts: Arc<Accounts>) -> ImapDoor {
    ImapDoor {
        mailboxes,
        accounts,
        decoy_secret: b"a secret of the test".to_vec(),
        greeting: "hs01.kep.test".into(),
        login_failure_delay: std::time::Duration::ZERO,
        recents: Default::default(),
        settings: Default::default(),
    }
}

pub fn start() -> UtcTime {
    UtcTime::from_unix_s(1_793_781_000)
}

impl House {
    pub async fn build() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (clock, accounts, mailboxes) = open(dir.path());
        let tenant = found(&mailboxes.organisations, "ornekas").await;
        Self {
            dir,
            tenant,
            clock,
            accounts,
            mailboxes,
        }
    }

    /// Gives every user [`PASSWORD`].
    pub async fn with_passwords(self) -> Self {
        for user in ["mudur", "muavin", "ayse", "onay1"] {
            let password = Secret::new(PASSWORD.to_owned());
            let id = self.user(user).user;
            self.accounts
                .set_password(crate::provider::admin(), self.tenant, id, password)
                .await
                .unwrap();
        }
        self
    }

    /// Ends the process, so to speak, and starts it again on the same folder.
    pub fn restart(self) -> Self {
        let Self {
            dir,
            tenant,
            clock,
            accounts,
            mailboxes,
        } = self;
        drop((clock, accounts, mailboxes));
        let (clock, accounts, mailboxes) = open(dir.path());
        Self {
            dir,
            tenant,
            clock,
            accounts,
            mailboxes,
        }
    }

    pub fn db(&self) -> &dyn Db {
        &*self.mailboxes.db
    }

    pub fn user(&self, name: &str) -> Principal {
        let organisation = self.mailboxes.organisations.of(self.tenant).unwrap();
        Principal {
            tenant: self.tenant,
            user: organisation.user_by_name(name).unwrap().id,
            login: format!("{name}@ornekas").parse::<LoginName>().unwrap(),
            from: kepd::domain::audit::Origin::Inside,
        }
    }

    /// Puts an item into the log as a station would.
    pub async fn put(&self, octets: &[u8], shape: impl FnOnce(&mut Item)) -> ItemId {
        let mailboxes = &self.mailboxes;
        let blob = mailboxes.spool.store(octets).await.unwrap();
        let content = Content::whole(blob.id, blob.size_bytes);
        let outline = Outline::of(&mailboxes.spool, &content).await.unwrap();
        let number = mailboxes.items.next(self.tenant).unwrap();
        let mut item = Item::new(number, ItemKind::Incoming, mailboxes.clock.now());
        shape(&mut item);
        let mut batch = Batch::new();
        items::add(&mut batch, self.tenant, &item, &outline.body(content)).unwrap();
        self.db().commit(batch).await.unwrap();
        mailboxes.bells.mailboxes.ring(self.tenant);
        item.id
    }

    /// A consigned mail with its consignment.
    pub async fn deliver(&self, octets: &[u8]) -> (ItemId, MailId) {
        let id = MailId::fresh(&SystemIds);
        let item = self.put(octets, |item| item.mail = Some(id)).await;
        let address = |a: &str| a.parse::<KepAddress>().unwrap();
        let consignment = Consignment {
            id,
            tenant: self.tenant,
            item,
            home: SenderHome::Peer {
                domain: "hs02.kep.test".parse().unwrap(),
                receipts_to: address("kep@hs02.kep.test"),
            },
            sender: address("alici@hs02.kep.test"),
            recipient: address("ornekas@hs01.kep.test"),
            listed: vec![address("ornekas@hs01.kep.test")],
            subject: "Teklif".into(),
            message_id: "<a@hs02.kep.test>".into(),
            rem_message_id: format!("{id}.0@hs02.kep.test"),
            original_sha256: [7; 32],
            submitted_at: Some(start()),
            delivered_at: start(),
            state: ConsignmentState::Delivered,
            declaration: None,
        };
        let mut batch = Batch::new();
        mails::add_consignment(&mut batch, &consignment).unwrap();
        self.db().commit(batch).await.unwrap();
        (item, id)
    }

    pub async fn change(&self, id: ItemId, edit: impl FnOnce(&mut Item)) {
        let old = items::item(self.db(), self.tenant, id).unwrap().unwrap();
        let mut item = old.row.clone();
        edit(&mut item);
        let mut batch = Batch::new();
        items::replace(&mut batch, self.tenant, &old, &item).unwrap();
        self.db().commit(batch).await.unwrap();
        self.mailboxes.bells.mailboxes.ring(self.tenant);
    }

    /// Who puts what is new into the full-text index.
    pub fn indexing(&self) -> Arc<Indexing> {
        let m = &self.mailboxes;
        let indexing = Indexing::new(m.db.clone(), m.spool.clone(), m.clock.clone(), m.texts.clone());
        Arc::new(indexing)
    }

    /// The same mailboxes without an index: every search reads the mails.
    pub fn unindexed(&self) -> Mailboxes {
        let m = &self.mailboxes;
        Mailboxes {
            db: m.db.clone(),
            spool: m.spool.clone(),
            clock: m.clock.clone(),
            ids: m.ids.clone(),
            organisations: m.organisations.clone(),
            identity: m.identity.clone(),
            items: m.items.clone(),
            bells: m.bells.clone(),
            approval: m.approval.clone(),
            declaring: m.declaring.clone(),
            submission: m.submission.clone(),
            seats: Default::default(),
            changes: Default::default(),
            rosters: Default::default(),
            counts: Default::default(),
            listening: Default::default(),
            unread: Default::default(),
            texts: Arc::new(Texts::new(m.spool.clone(), None, m.bells.indexing.clone())),
        }
    }

    pub fn item(&self, id: ItemId) -> Item {
        items::item(self.db(), self.tenant, id)
            .unwrap()
            .unwrap()
            .row
            .clone()
    }
}

fn open(dir: &std::path::Path) -> (Arc<ManualClock>, Arc<Accounts>, Arc<Mailboxes>) {
    let db = db::open(EngineKind::Fjall, &dir.join("db"), Arc::new(NoProbe)).unwrap();
    let spool = Spool::open(&dir.join("spool"), Arc::new(NoProbe)).unwrap();
    let turned = Arc::new(ManualClock::at(start()));
    let clock: Arc<dyn Clock> = turned.clone();
    let ids: Arc<dyn IdSource> = Arc::new(SystemIds);
    let bells = Bells::default();
    let organisations = Arc::new(Organisations::new(db.clone(), clock.clone(), bells.clone()));
    let identity = Arc::new(identity());
    let terms = Arc::new(super::provider::terms());
    let numbers = Arc::new(ItemNumbers::new(db.clone()));
    let approval = Arc::new(Approval {
        db: db.clone(),
        clock: clock.clone(),
        ids: ids.clone(),
        organisations: organisations.clone(),
        identity: identity.clone(),
        items: numbers.clone(),
        bells: bells.clone(),
        terms: terms.clone(),
    });
    let submission = Arc::new(Submission {
        db: db.clone(),
        spool: spool.clone(),
        clock: clock.clone(),
        ids: ids.clone(),
        organisations: organisations.clone(),
        identity: identity.clone(),
        items: numbers.clone(),
        bells: bells.clone(),
        terms: terms.clone(),
        signatures: Arc::default(),
    });
    let declaring = Arc::new(Declaring {
        db: db.clone(),
        clock: clock.clone(),
        ids: ids.clone(),
        organisations: organisations.clone(),
        identity: identity.clone(),
        bells: bells.clone(),
    });
    let accounts = Arc::new(Accounts::new(db.clone(), organisations.clone()).unwrap());
    let index = Fulltext::open(&dir.join("fulltext"), db.clone(), DEFINITION).unwrap();
    let texts = Arc::new(Texts::new(spool.clone(), Some(index), bells.indexing.clone()));
    let mailboxes = Arc::new(Mailboxes {
        db,
        spool,
        clock,
        ids,
        organisations,
        identity,
        items: numbers,
        bells,
        approval,
        declaring,
        submission,
        seats: Default::default(),
        changes: Default::default(),
        rosters: Default::default(),
        counts: Default::default(),
        texts,
        listening: Default::default(),
        unread: Default::default(),
    });
    (turned, accounts, mailboxes)
}

fn identity() -> Identity {
    Identity {
        domain: "hs01.kep.test".parse().unwrap(),
        realms: vec!["kep.test".parse().unwrap()],
        service: "kep@hs01.kep.test".parse().unwrap(),
        issuer: Issuer {
            name: "KEP Deneme Hizmet Sağlayıcısı".into(),
            street: "Deneme Caddesi 1".into(),
            locality: "Ankara".into(),
            postal_code: "06000".into(),
            country: "TR".into(),
            electronic_address: "kep@hs01.kep.test".into(),
            certificate_der: None,
        },
        policy_ids: vec!["urn:oid:2.16.792.1.2.1".into()],
        reading_expiry: std::time::Duration::from_secs(72 * 3600),
        relay_expiry: std::time::Duration::from_secs(24 * 3600),
        size_max_bytes: 25 * 1024 * 1024,
        tariff: Default::default(),
    }
}

/// The tenant of this house, under any name.
pub async fn found(org: &Organisations, name: &str) -> TenantId {
    let new = NewTenant {
        name: name.into(),
        kind: TenantKind::Tuzel,
        address: format!("{name}@hs01.kep.test").parse().unwrap(),
        title: "Örnek A.Ş.".into(),
        language: Language::Turkish,
    };
    let tenant = org
        .by(crate::provider::admin())
        .add_tenant(new, &"hs01.kep.test".parse().unwrap())
        .await
        .unwrap()
        .id;
    org.by(crate::provider::admin())
        .add_unit(tenant, "Satış", None)
        .await
        .unwrap();
    org.by(crate::provider::admin())
        .add_unit(tenant, "Mali İşler", None)
        .await
        .unwrap();
    org.by(crate::provider::admin())
        .add_label(tenant, "Finans")
        .await
        .unwrap();
    org.by(crate::provider::admin())
        .add_label(tenant, "Acil")
        .await
        .unwrap();
    org.by(crate::provider::admin())
        .label_unit(tenant, "Mali İşler", &["Finans".into()], true)
        .await
        .unwrap();
    let role = |permissions: &[Permission]| permissions.iter().copied().collect::<BTreeSet<_>>();
    let writes = role(&[Permission::Compose, Permission::View]);
    org.by(crate::provider::admin())
        .add_role(tenant, "Yazar", "", writes)
        .await
        .unwrap();
    let approves = role(&[Permission::Approve, Permission::View]);
    org.by(crate::provider::admin())
        .add_role(tenant, "Onay Rolü", "", approves)
        .await
        .unwrap();
    for (name, kind, unit, role) in [
        ("mudur", UserKind::Officer, None, None),
        ("muavin", UserKind::Officer, None, None),
        ("ayse", UserKind::Limited, Some("Satış"), Some("Yazar")),
        ("onay1", UserKind::Limited, Some("Mali İşler"), Some("Onay Rolü")),
    ] {
        let new = NewUser {
            name: name.into(),
            display_name: name.into(),
            kind,
            units: unit.map(str::to_owned).into_iter().collect(),
            roles: role.map(str::to_owned).into_iter().collect(),
        };
        org.by(crate::provider::admin())
            .add_user(tenant, &new)
            .await
            .unwrap();
    }
    let rule = RuleWish {
        conditions: Some(vec![Condition {
            field: Field::Subject,
            comparison: Comparison::Contains,
            text: "Teklif".into(),
        }]),
        steps: Some(vec![NewStep::of("Onay Rolü", 1)]),
        ..RuleWish::default()
    };
    org.by(crate::provider::admin())
        .add_rule(tenant, "Teklif", Direction::Outgoing, &rule)
        .await
        .unwrap();
    tenant
}
