//! Roads walked once for all judges, on which every kind of evidence is made; what they leave is kept as octets.

use crate::provider::{Provider, START};
use crate::road::{Pair, message, pair};
use kepd::clock::{Clock, UtcTime};
use kepd::domain::audit::AuditRoute;
use kepd::domain::evidence::{Event, EvidenceKind};
use kepd::domain::item::ItemKind;
use kepd::domain::job::{Act, Route};
use kepd::domain::mail::{ConsignmentState, Declared};
use kepd::domain::org::UserKind;
use kepd::domain::tenant::{Language, TenantKind, TenantLife};
use kepd::id::{JobId, MailId, SystemIds};
use kepd::service::approval::DecisionAsked;
use kepd::service::declaring::DeclarationAsked;
use kepd::service::failure::{Kind, Refusal};
use kepd::service::octets::ContentReader;
use kepd::service::organisation::NewTenant;
use kepd::service::owing::{Happened, Owing};
use kepd::service::submission::Accepted;
use kepd::store::db::Batch;
use kepd::store::tables::{evidence, items, mails};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;
use tokio::sync::OnceCell;

pub const ALICI: &str = "alici@hs02.kep.test";

pub type Files = BTreeMap<String, Vec<u8>>;

/// What the roads of this file left.
pub struct Left {
    pub mail: MailId,
    pub job: JobId,
    /// The octets that were approved, as the mailbox of the sender shows them.
    pub original: Vec<u8>,
    /// The bundle of the first mail, as each provider exports it.
    pub at_hs01: Files,
    pub at_hs02: Files,
    /// Every evidence of every account, with the provider that issued it.
    pub evidence: Vec<(String, EvidenceKind, Event, Vec<u8>)>,
    /// The message that carried each.
    pub messages: Vec<Vec<u8>>,
}

pub async fn left() -> &'static Left {
    static LEFT: OnceCell<Left> = OnceCell::const_new();
    LEFT.get_or_init(walk).await
}

/// When the judges are asked: after the last of the roads.
pub fn later() -> UtcTime {
    START.plus(Duration::from_secs(3 * 86_400))
}

async fn walk() -> Left {
    let pair = pair().await;
    let (hs01, hs02) = (&pair.hs01, &pair.hs02);
    let (mail, job) = the_road(&pair).await;
    read_all(hs02, "alici").await;
    declare_newest(hs02, "alici", Declared::Accepted, "Sözleşme imzalanacaktır").await;
    pair.work().await;
    refused_submission(hs01).await;
    refused_by_the_peer(&pair).await;
    closed_in_between(&pair).await;
    let accepted = hs01
        .submit("mudur@ornekas", &[ALICI], &message("Okunmayan", ALICI))
        .await;
    assert!(matches!(accepted, Ok(Accepted::Sent { .. })));
    pair.work().await;
    declare_newest(hs02, "alici", Declared::Refused, "Süresi <geçmiş> & eksik").await;
    pair.clock.advance(Duration::from_secs(86_400));
    pair.work().await;

    let out = pair.dir.path().join("out");
    let ornekas = hs01.tenant("ornekas");
    hs01.archive
        .export(ornekas, mail, &out.join("hs01"))
        .await
        .unwrap();
    let rem_message_id = hs01.identity.rem_message_id(mail, 0);
    let incoming = hs02
        .items("alici")
        .into_iter()
        .filter(|i| i.kind == ItemKind::Incoming)
        .filter_map(|i| i.mail);
    let alici = hs02.tenant("alici");
    let consignment = |id: &MailId| mails::consignment(&*hs02.db, alici, *id).unwrap().unwrap().row;
    let consigned = incoming
        .map(|id| consignment(&id))
        .find(|c| c.rem_message_id == rem_message_id)
        .unwrap();
    hs02.archive
        .export(alici, consigned.id, &out.join("hs02"))
        .await
        .unwrap();

    let row = mails::mail(&*hs01.db, ornekas, mail).unwrap().unwrap().row;
    let body = items::body(&*hs01.db, ornekas, row.item).unwrap().unwrap().row;
    let original = ContentReader::whole(&hs01.spool, &body.content)
        .collect()
        .await
        .unwrap();
    let (mut evidence, mut messages) = (Vec::new(), Vec::new());
    for (provider, tenant) in [
        (hs01, "ornekas"),
        (hs01, "yabanci"),
        (hs02, "alici"),
        (hs02, "kapali"),
    ] {
        collect(provider, tenant, &mut evidence, &mut messages).await;
    }
    Left {
        mail,
        job,
        original,
        at_hs01: load(&out.join("hs01").join(mail.to_string())),
        at_hs02: load(&out.join("hs02").join(consigned.id.to_string())),
        evidence,
        messages,
    }
}

/// The contract's road up to the delivery.
async fn the_road(pair: &Pair) -> (MailId, JobId) {
    let accepted = pair
        .hs01
        .submit("ayse@ornekas", &[ALICI], &message("Fiyat TEKLİFİ", ALICI))
        .await
        .unwrap();
    let Accepted::Job { mail, job, .. } = accepted else {
        panic!("{accepted:?}")
    };
    let deeds = [
        ("onay1@ornekas", Act::Approve),
        ("onay2@ornekas", Act::Approve),
        ("mudur@ornekas", Act::Release),
    ];
    for (login, act) in deeds {
        pair.clock.advance(Duration::from_secs(60));
        let asked = DecisionAsked {
            job,
            act,
            route: Route::Kepctl,
            note: "Uygundur",
            original_sha256: None,
        };
        pair.hs01
            .approval
            .decide(&pair.hs01.principal(login), asked)
            .await
            .unwrap();
    }
    pair.work().await;
    (mail, job)
}

/// Reads what lies in the mailbox, as the mailbox's service does: state and evidence in one commit.
pub async fn read_all(provider: &Provider, tenant: &str) {
    let id = provider.tenant(tenant);
    for item in provider
        .items(tenant)
        .into_iter()
        .filter(|i| i.kind == ItemKind::Incoming)
    {
        let stored = mails::consignment(&*provider.db, id, item.mail.unwrap())
            .unwrap()
            .unwrap();
        let mut read = stored.row.clone();
        read.state = ConsignmentState::Read;
        let mut batch = Batch::new();
        stored.replace(&mut batch, &read).unwrap();
        let now = provider.clock.now();
        let happened = Happened::new(
            EvidenceKind::RetrievalNonRetrievalByRecipient,
            Event::Retrieval,
            now,
        );
        let owing = Owing {
            identity: &provider.identity,
            ids: &SystemIds,
        };
        owing.about_consignment(&mut batch, &read, &happened).unwrap();
        provider.db.commit(batch).await.unwrap();
    }
}

/// Accepts or refuses the mail that came in last.
async fn declare_newest(provider: &Provider, tenant: &str, declared: Declared, note: &str) {
    let mut items = provider.items(tenant).into_iter();
    let newest = items.rfind(|i| i.kind == ItemKind::Incoming);
    let asked = DeclarationAsked {
        mail: newest.unwrap().mail.unwrap(),
        declared,
        route: Route::Kepctl,
        note,
        original_sha256: None,
    };
    let by = provider.principal(&format!("{tenant}@{tenant}"));
    provider.declaring.declare(&by, asked).await.unwrap();
}

async fn refused_submission(hs01: &Provider) {
    let refusal = Refusal {
        kind: Kind::Malformed,
        text: "line of more than 998 octets".to_owned(),
    };
    let header =
        b"From: ornekas@hs01.kep.test\r\nSubject: Uzun & \"<tuhaf>\"\r\nMessage-ID: <u@ornek>\r\n\r\n";
    let by = hs01.principal("mudur@ornekas");
    hs01.submission
        .leave_rejection(&by, AuditRoute::Smtp, &[ALICI.parse().unwrap()], header, &refusal)
        .await
        .unwrap();
}

/// An account whose address lies outside its provider: the peer takes nothing from it.
async fn refused_by_the_peer(pair: &Pair) {
    let new = NewTenant {
        name: "yabanci".into(),
        kind: TenantKind::Gercek,
        address: "yabanci@hs03.kep.test".parse().unwrap(),
        title: "Yabancı".into(),
        language: Language::Turkish,
    };
    let tenant = pair
        .hs01
        .organisations
        .by(crate::provider::admin())
        .add_tenant(new, &"hs03.kep.test".parse().unwrap())
        .await
        .unwrap()
        .id;
    pair.hs01
        .add_user(tenant, "yabanci", UserKind::Officer, &[], &[])
        .await;
    let text = message("Kabul edilmez", ALICI).replace("ornekas@hs01", "yabanci@hs03");
    let accepted = pair.hs01.submit("yabanci@yabanci", &[ALICI], &text).await;
    assert!(matches!(accepted, Ok(Accepted::Sent { .. })), "{accepted:?}");
    pair.work().await;
}

/// An account that is closed between the peer's 250 and the delivery.
async fn closed_in_between(pair: &Pair) {
    pair.hs02.add_person("kapali").await;
    let to = "kapali@hs02.kep.test";
    let accepted = pair
        .hs01
        .submit("mudur@ornekas", &[to], &message("Kapanan", to))
        .await;
    assert!(matches!(accepted, Ok(Accepted::Sent { .. })));
    pair.hs01.work().await;
    let kapali = pair.hs02.tenant("kapali");
    pair.hs02
        .organisations
        .by(crate::provider::admin())
        .set_tenant(kapali, |t| t.life = TenantLife::Closed)
        .await
        .unwrap();
    pair.work().await;
}

async fn collect(
    provider: &Provider,
    tenant: &str,
    evidence: &mut Vec<(String, EvidenceKind, Event, Vec<u8>)>,
    messages: &mut Vec<Vec<u8>>,
) {
    let id = provider.tenant(tenant);
    for row in evidence::of_tenant(&*provider.db, id).unwrap() {
        let xml = provider.spool.load(&row.row.xml).await.unwrap();
        evidence.push((row.row.issuer.to_string(), row.row.kind, row.row.event, xml));
    }
    for item in provider
        .items(tenant)
        .into_iter()
        .filter(|i| i.kind == ItemKind::Evidence)
    {
        let body = items::body(&*provider.db, id, item.id).unwrap().unwrap().row;
        messages.push(
            ContentReader::whole(&provider.spool, &body.content)
                .collect()
                .await
                .unwrap(),
        );
    }
}

fn load(dir: &Path) -> Files {
    let mut files = Files::new();
    let mut open = vec![dir.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else {
                let name = path.strip_prefix(dir).unwrap().to_str().unwrap().to_owned();
                files.insert(name, std::fs::read(&path).unwrap());
            }
        }
    }
    files
}
