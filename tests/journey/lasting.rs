//! The station that makes documents last: when it asks, what it keeps, what it does when nobody answers or somebody was
//! revoked, and that nothing is doubled.

use crate::office::{Office, authority};
use crate::provider::{Provider, START, Wires, pki, set_pki};
use kepd::clock::{Clock as _, ManualClock, UtcTime};
use kepd::domain::schedule::{DAY, next_night};
use kepd::id::MailId;
use kepd::seal::TrustStore;
use kepd::seal::enveloped::verify;
use kepd::seal::lasting::{Certified, Outcome, Stood};
use kepd::seal::revocation::{Collector, FetchError, Fetching, RevocationTransport, Settings};
use kepd::seal::tsa::{DevAuthority, LocalTransport, SystemNonces};
use kepd::seal::{Finding, SealKey, TimestampClient};
use kepd::service::identity::{Credentials, Published};
use kepd::service::lasting::{Counts, Figures, LATE_AFTER, Lasting};
use kepd::service::preservation::Preservation;
use kepd::service::submission::Accepted;
use kepd::store::db::Batch;
use kepd::store::probe::{CRASH_POINTS, NoProbe, Probe};
use kepd::store::tables::evidence::{self, EvidenceRow};
use kepd::store::tables::items::Content;
use kepd::store::tables::lasting::{self, LastingForm, Piece, Standing};
use kepd::store::tables::mails;
use kepd::store::tables::work::{self, OwedPreservation};
use kepd::validation::bundle::judge_bundle;
use kepd::validation::preserved::Preserved;
use kepd::xml::{Embedded, Level, ValueSet, embed_values, without_values};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

pub(super) const HOUR: Duration = Duration::from_secs(3600);
pub(super) const TENANT: &str = "ali";

/// One provider with two people, and the authority of its certificates.
pub(super) struct House {
    pub p: Provider,
    pub domain: String,
    pub office: Arc<Office>,
    pub clock: Arc<ManualClock>,
    pub dir: tempfile::TempDir,
}

/// `domain` is this test's own: its certificates name places.
pub(super) async fn house(domain: &str) -> House {
    house_watched(domain, |_| Arc::new(NoProbe)).await
}

async fn house_watched(domain: &str, probe: impl FnOnce(&Path) -> Arc<dyn Probe>) -> House {
    let dir = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::at(START));
    let (made, office) = authority(domain, "http://pki.test", clock.clone());
    set_pki(domain, made);
    let probe = probe(dir.path());
    let p = Provider::open_probed(domain, &dir.path().join("p"), &clock, &Wires::default(), probe);
    for person in [TENANT, "veli"] {
        p.add_person(person).await;
    }
    House {
        p,
        domain: domain.to_owned(),
        office,
        clock,
        dir,
    }
}

impl House {
    pub(super) async fn mail(&self, subject: &str) -> MailId {
        let to = format!("veli@{}", self.domain);
        let from = format!("{TENANT}@{}", self.domain);
        let text = format!(
            "From: {from}\r\nTo: {to}\r\nSubject: {subject}\r\nMessage-ID: <{subject}@{}>\r\n\r\nMerhaba\r\n",
            self.domain
        );
        let login = format!("{TENANT}@{TENANT}");
        let sent = self.p.submit(&login, &[&to], &text).await.unwrap();
        let Accepted::Sent { mail } = sent else {
            panic!("{sent:?}")
        };
        self.p.work().await;
        mail
    }

    pub(super) fn station(&self, delay: Duration) -> Lasting {
        self.station_over(self.office.clone(), delay)
    }

    pub(super) fn station_over(&self, transport: Arc<dyn RevocationTransport>, delay: Duration) -> Lasting {
        station_of(&self.p, &self.domain, transport, delay)
    }

    /// Works until nothing is due; gives how many documents were looked at.
    pub(super) async fn settle(&self, station: &Lasting) -> usize {
        let mut all = 0;
        loop {
            match station.run_due().await.unwrap() {
                0 => return all,
                some => all += some,
            }
        }
    }

    pub(super) fn evidence(&self, mail: MailId) -> Vec<EvidenceRow> {
        let rows = evidence::of_mail(&*self.p.db, self.p.tenant(TENANT), mail).unwrap();
        rows.into_iter().map(|r| r.row).collect()
    }

    pub(super) fn forms(&self, mail: MailId) -> Vec<Option<LastingForm>> {
        let each = self.evidence(mail).into_iter();
        each.map(|row| lasting::form_of(&*self.p.db, &row.xml).unwrap())
            .collect()
    }

    fn dispatch(&self, mail: MailId) -> Content {
        let dispatches = mails::dispatches(&*self.p.db, self.p.tenant(TENANT), mail).unwrap();
        dispatches.into_iter().next().unwrap().row.content.clone()
    }

    fn trust(&self) -> TrustStore {
        let mut trust = TrustStore::new();
        trust.add_pem_text(&pki(&self.domain).ca.certificate_pem).unwrap();
        trust
    }

    fn asked(&self) -> usize {
        self.office.asked.swap(0, Ordering::Relaxed)
    }

    async fn bundle(&self, mail: MailId, name: &str) -> PathBuf {
        let out = self.dir.path().join(name);
        std::fs::create_dir(&out).unwrap();
        let exported = self
            .p
            .archive
            .export(self.p.tenant(TENANT), mail, &out)
            .await
            .unwrap();
        exported.folder
    }
}

fn station_of(
    p: &Provider,
    domain: &str,
    transport: Arc<dyn RevocationTransport>,
    delay: Duration,
) -> Lasting {
    let nonces = Arc::new(SystemNonces);
    let collector = Collector::new(transport, nonces, p.clock.clone(), Settings::default());
    Lasting {
        db: p.db.clone(),
        spool: p.spool.clone(),
        clock: p.clock.clone(),
        identity: p.identity.clone(),
        published: Published::of(Credentials {
            trust_pem: pki(domain).ca.certificate_pem.clone(),
            ..Credentials::default()
        }),
        collector: Some(Arc::new(collector)),
        delay,
        counts: Counts::default(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn after_the_delay_everything_sealed_has_its_values_and_what_was_issued_stays() {
    let house = house("hs71.kep.test").await;
    let (first, second) = (house.mail("bir").await, house.mail("iki").await);
    let station = house.station(DAY);
    let counted = lasting::owed(&*house.p.db, START, 2).unwrap();
    assert_eq!(counted.count, 2, "counting ends where it is told to");
    house.clock.advance(DAY - HOUR);
    assert_eq!(house.settle(&station).await, 0, "the delay is not over");
    let waiting = station.figures().unwrap();
    assert!(waiting.owed >= 6 && waiting.oldest_s >= 23 * 3600, "{waiting:?}");
    assert_eq!(house.asked(), 0);

    house.clock.advance(2 * HOUR);
    let looked = house.settle(&station).await;
    let done = station.figures().unwrap();
    assert_eq!((done.owed, done.oldest_s, done.revoked), (0, 0, 0));
    assert!(looked as u64 >= done.made && done.made >= 6, "{looked} {done:?}");
    // An answer about the seal and a list for the authority, whatever the number of documents.
    assert_eq!(house.asked(), 2);

    for mail in [first, second] {
        for row in house.evidence(mail) {
            let form = lasting::form_of(&*house.p.db, &row.xml).unwrap().unwrap();
            assert_eq!(form.standing, Standing::Valid);
            let issued = house.p.spool.load(&row.xml).await.unwrap();
            let lasting = house.p.spool.load(&form.document.unwrap()).await.unwrap();
            assert_eq!(without_values(&lasting).unwrap(), issued);
            assert_eq!(verify(&issued).unwrap().0.level(), Level::Stamped);
            // The form and the anchor are enough from now on.
            let alone = Certified::of_evidence(&lasting).unwrap();
            let Outcome::Final(proof) = alone.judge(&house.trust(), Some(alone.values()), DAY) else {
                panic!("{}", row.kind.element_name())
            };
            assert_eq!(proof.stood, Stood::Valid);
        }
        let form = lasting::form(&*house.p.db, &house.dispatch(mail))
            .unwrap()
            .unwrap();
        assert_eq!((form.document, form.beside.len()), (None, 2));
        assert!(form.certificates.is_some());
    }
    // Both mails share what lies beside them.
    let beside = |mail| {
        lasting::form(&*house.p.db, &house.dispatch(mail))
            .unwrap()
            .unwrap()
            .beside
    };
    assert_eq!(beside(first), beside(second));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_final_is_asked_for_again_when_it_may_be() {
    let house = house("hs72.kep.test").await;
    let mail = house.mail("bir").await;
    let station = house.station(Duration::ZERO);
    house.settle(&station).await;
    assert!(
        house.forms(mail).iter().all(Option::is_none),
        "nobody's last word is that quick"
    );
    house.asked();
    house.clock.advance(DAY - HOUR);
    assert_eq!((house.settle(&station).await, house.asked()), (0, 0));
    // Then the office is closed: it is asked less and less often.
    house.office.open.store(false, Ordering::Relaxed);
    house.clock.advance(2 * HOUR);
    assert!(house.settle(&station).await > 0);
    let mut looks = 0;
    for _ in 0..8 * 24 {
        house.clock.advance(HOUR);
        looks += usize::from(house.settle(&station).await > 0);
    }
    assert!((8..20).contains(&looks), "{looks}");
    let late = station.figures().unwrap();
    assert!(
        late.late > 0 && late.late == late.owed && late.made == 0,
        "{late:?}"
    );
    assert!(late.oldest_s > LATE_AFTER.as_secs());
    // And it opens again.
    house.office.open.store(true, Ordering::Relaxed);
    house.clock.advance(DAY);
    house.settle(&station).await;
    assert!(house.forms(mail).iter().all(Option::is_some));
    assert_eq!(station.figures().unwrap().owed, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revocation_before_the_stamp_is_told_and_kept_and_one_after_it_does_no_harm() {
    let house = house("hs73.kep.test").await;
    let before = house.mail("bir").await;
    house.clock.advance(HOUR);
    let seal = pki(&house.domain).seal.certificate().unwrap();
    house.office.revoke(&seal, house.clock.now());
    house.clock.advance(HOUR);
    let after = house.mail("iki").await;
    house.clock.advance(DAY + HOUR);
    let station = house.station(DAY);
    house.settle(&station).await;
    let standings = |mail| {
        let forms = house.forms(mail).into_iter();
        forms.map(|form| form.unwrap().standing).collect::<Vec<_>>()
    };
    assert!(standings(before).iter().all(|s| *s == Standing::Valid));
    for standing in standings(after) {
        let Standing::Revoked(why) = standing else {
            panic!("{standing:?}")
        };
        assert!(why.starts_with("'CN=Seal' is revoked since "), "{why}");
    }
    let Figures {
        revoked, made, owed, ..
    } = station.figures().unwrap();
    assert_eq!(owed, 0);
    assert!(
        revoked * 2 == made,
        "each evidence and dispatch of one of the two mails: {revoked} of {made}"
    );
    // The form proves it by itself.
    let form = house.forms(after).remove(0).unwrap();
    let octets = house.p.spool.load(&form.document.unwrap()).await.unwrap();
    let alone = Certified::of_evidence(&octets).unwrap();
    let Outcome::Final(proof) = alone.judge(&house.trust(), Some(alone.values()), DAY) else {
        panic!()
    };
    assert!(matches!(proof.stood, Stood::Revoked(_)));

    // This provider asks nobody when somebody has documents verified; what a document brings counts all the same.
    let good = house.forms(before).remove(0).unwrap().document.unwrap();
    let good = house.p.spool.load(&good).await.unwrap();
    let issued = house.evidence(before).remove(0).xml;
    let issued = house.p.spool.load(&issued).await.unwrap();
    for (id, document, wanted) in [
        ("kayip", &octets, false),
        ("iyi", &good, true),
        ("yalin", &issued, true),
    ] {
        assert_eq!(
            crate::lasting_troubles::verified(&house, id, document).await,
            wanted,
            "{id}"
        );
    }
}

/// A place that takes the question and never answers.
pub(super) struct Silent;

impl RevocationTransport for Silent {
    fn fetch<'a>(&'a self, _: &'a str, _: usize) -> Fetching<'a> {
        Box::pin(std::future::pending::<Result<Vec<u8>, FetchError>>())
    }
    fn ask<'a>(&'a self, url: &'a str, _: Vec<u8>, max_octets: usize) -> Fetching<'a> {
        self.fetch(url, max_octets)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interruption_loses_nothing_and_doubles_nothing() {
    let house = house("hs74.kep.test").await;
    let mail = house.mail("bir").await;
    house.clock.advance(DAY + HOUR);
    // Cut off while it asks: everything is as it was.
    let silent = house.station_over(Arc::new(Silent), DAY);
    let owed = silent.figures().unwrap();
    assert!(
        futures_ready(silent.run_due()).await.is_none(),
        "it waits for a place that says nothing"
    );
    assert_eq!(silent.figures().unwrap(), owed);
    // A place that says nothing does not hold up the station for ever.
    let waiting = tokio::spawn({
        let station = house.station_over(Arc::new(Silent), DAY);
        async move { station.run_due().await }
    });
    while !waiting.is_finished() {
        house.clock.advance(Duration::from_secs(60));
        tokio::task::yield_now().await;
    }
    assert!(waiting.await.unwrap().unwrap() > 0);
    assert_eq!(silent.figures().unwrap().owed, owed.owed);

    house.clock.advance(DAY);
    let station = house.station(DAY);
    house.settle(&station).await;
    let (forms, made) = (house.forms(mail), station.figures().unwrap().made);
    assert!(forms.iter().all(Option::is_some));
    // As if the crash had come between: it is owed once more, and is made no second time.
    let mut batch = Batch::new();
    for row in house.evidence(mail) {
        let content = Content::whole(row.xml.id, row.xml.size_bytes);
        lasting::owe(&mut batch, row.event_time, Piece::Evidence, content, row.issuer).unwrap();
    }
    house.p.db.commit(batch).await.unwrap();
    assert_eq!(house.settle(&station).await, forms.len());
    assert_eq!(
        station.figures().unwrap(),
        Figures {
            made,
            ..Figures::default()
        }
    );
    assert_eq!(house.forms(mail), forms);
}

/// Copies the provider's folder whenever a durable point is reached: what a crash there would leave behind.
struct Camera {
    dir: PathBuf,
    armed: AtomicBool,
    shots: Mutex<Vec<(&'static str, PathBuf)>>,
}

/// Copies taken of each point.
const SHOTS_EACH: usize = 2;

impl Probe for Camera {
    fn reached(&self, point: &'static str) {
        let mut shots = self.shots.lock().unwrap();
        let taken = shots.iter().filter(|(of, _)| *of == point).count();
        if self.armed.load(Ordering::Relaxed) && taken < SHOTS_EACH {
            let to = self.dir.join(format!("shot{}", shots.len()));
            copy(&self.dir.join("p"), &to);
            shots.push((point, to));
        }
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(|e| e.unwrap()) {
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if from.is_dir() {
            copy(&from, &to);
        } else {
            std::fs::copy(from, to).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_at_any_durable_point_loses_nothing_and_doubles_nothing() {
    let mut camera = None;
    let house = house_watched("hs77.kep.test", |dir| {
        let made = Arc::new(Camera {
            dir: dir.to_owned(),
            armed: AtomicBool::new(false),
            shots: Mutex::default(),
        });
        camera = Some(made.clone());
        made
    })
    .await;
    let camera = camera.unwrap();
    let mail = house.mail("bir").await;
    house.clock.advance(DAY + HOUR);
    camera.armed.store(true, Ordering::Relaxed);
    let station = house.station(DAY);
    house.settle(&station).await;
    camera.armed.store(false, Ordering::Relaxed);
    let standings = |forms: Vec<Option<LastingForm>>| {
        let each = forms
            .into_iter()
            .map(|form| form.map(|f| (f.standing, f.document.is_some())));
        each.collect::<Vec<_>>()
    };
    let wanted = standings(house.forms(mail));
    assert!(
        wanted.iter().all(|w| *w == Some((Standing::Valid, true))),
        "{wanted:?}"
    );
    let owed = |p: &Provider| work::all::<OwedPreservation>(&*p.db).unwrap().len();
    let preserved = owed(&house.p);

    let shots = camera.shots.lock().unwrap().clone();
    for point in CRASH_POINTS {
        assert!(
            shots.iter().any(|(of, _)| *of == point),
            "{point} was not reached"
        );
    }
    for (point, dir) in shots {
        let p = Provider::open(&house.domain, &dir, &house.clock, &Wires::default());
        let left = House {
            p,
            domain: house.domain.clone(),
            office: house.office.clone(),
            clock: house.clock.clone(),
            dir: tempfile::tempdir().unwrap(),
        };
        let station = left.station(DAY);
        left.settle(&station).await;
        assert_eq!(standings(left.forms(mail)), wanted, "{point}");
        assert_eq!(
            (station.figures().unwrap().owed, owed(&left.p)),
            (0, preserved),
            "{point}"
        );
        for row in left.evidence(mail) {
            let issued = left.p.spool.load(&row.xml).await.unwrap();
            let form = lasting::document(&*left.p.db, &row.xml).unwrap();
            let lasting = left.p.spool.load(&form).await.unwrap();
            assert_eq!(without_values(&lasting).unwrap(), issued, "{point}");
        }
    }
}

/// What a future gives at once; None when it waits for something that does not come. It is dropped then.
async fn futures_ready<T>(future: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        biased;
        done = future => Some(done),
        () = async { for _ in 0..10_000 { tokio::task::yield_now().await } } => None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn hash_trees_cover_the_lasting_form_too_and_the_bundle_holds_it_with_its_record() {
    let house = house("hs75.kep.test").await;
    let mail = house.mail("bir").await;
    let p = &house.p;
    let made = pki(&house.domain);
    let authority = DevAuthority::new(
        SealKey::from_pem(&made.tsa.key_pem).unwrap(),
        made.tsa.certificate().unwrap(),
    );
    let transport = LocalTransport::new(authority.unwrap(), house.clock.clone(), 1);
    let client = TimestampClient::new(
        Arc::new(transport),
        Arc::new(SystemNonces),
        Arc::new(house.trust()),
    );
    let preservation = Preservation {
        db: p.db.clone(),
        spool: p.spool.clone(),
        clock: house.clock.clone(),
        stamps: Arc::new(client),
        policy: Arc::new(kepd::domain::algorithm_policy::AlgorithmPolicy::of_this_version().unwrap()),
    };
    let turn = |to: UtcTime| house.clock.advance(house.clock.now().until(to));
    turn(next_night(house.clock.now()));
    preservation.run_due().await.unwrap();
    let issued = house.bundle(mail, "issued").await;
    let station = house.station(DAY);
    turn(START.plus(DAY + HOUR));
    house.settle(&station).await;
    turn(next_night(house.clock.now()));
    preservation.run_due().await.unwrap();
    let lasting = house.bundle(mail, "lasting").await;

    let trust = house.trust();
    for (bundle, level) in [(&issued, Level::Stamped), (&lasting, Level::Lasting)] {
        let judged = judge_bundle("b", &crate::preserving::Folder(bundle.clone()), &trust);
        // Until the last word is there, nobody without a network can say that nothing was revoked.
        assert_eq!(judged.is_ok(), level == Level::Lasting, "{:?}", judged.documents);
        for document in &judged.documents {
            let found = &document.findings;
            let is_open =
                |finding: &Finding| matches!(finding, Finding::Unknown(why) if why.contains("revocation"));
            assert!(found.schema.is_ok() && found.signature.is_ok(), "{found:?}");
            assert_eq!(is_open(&found.trust), level == Level::Stamped, "{found:?}");
            assert_eq!(is_open(&found.timestamp), level == Level::Stamped, "{found:?}");
            let covered = matches!(document.preserved, Preserved::Since { .. });
            let inside = document.name.contains("(evidence");
            assert!(covered || inside, "{}: {:?}", document.name, document.preserved);
        }
        for file in std::fs::read_dir(bundle.join("evidence")).unwrap() {
            let path = file.unwrap().path();
            if path.extension().is_some_and(|e| e == "xml") {
                let octets = std::fs::read(&path).unwrap();
                assert_eq!(verify(&octets).unwrap().0.level(), level, "{}", path.display());
            }
        }
        assert_eq!(bundle.join("revocation").exists(), level == Level::Lasting);
        // The summary in the bundle says what whoever verifies the bundle finds: of every document, and of the seal.
        let summary = crate::exporting::text_of(&bundle.join("ozet.pdf"));
        let evidence = judged
            .documents
            .iter()
            .filter(|d| d.name.contains("/evidence/"))
            .count();
        let marks = if judged.is_ok() {
            5 * evidence + 3
        } else {
            3 * evidence + 1
        };
        assert_eq!(summary.matches("✓ geçerli").count(), marks, "{summary}");
        let holds = summary.contains("Delil belgelerinin tümü doğrulandı");
        assert_eq!(holds, judged.is_ok(), "{summary}");
    }
    // Beside them lies what the dispatch is judged by, as files that openssl takes.
    let mut names: Vec<String> = std::fs::read_dir(lasting.join("revocation"))
        .unwrap()
        .map(|f| f.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["1.ors", "2.crl", "certificates.pem"]);
    let revocation = lasting.join("revocation");
    let out = std::process::Command::new("openssl")
        .current_dir(&revocation)
        .args([
            "crl",
            "-in",
            "2.crl",
            "-inform",
            "DER",
            "-CAfile",
            "certificates.pem",
            "-noout",
        ])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(said.contains("verify OK"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn evidence_of_a_peer_is_judged_by_the_peers_anchors() {
    let pair = crate::road::pair().await;
    let (p, alici) = (&pair.hs01, "alici@hs02.kep.test");
    let text = crate::road::message("Fiyat", alici);
    let sent = p.submit("mudur@ornekas", &[alici], &text).await.unwrap();
    let Accepted::Sent { mail } = sent else {
        panic!("{sent:?}")
    };
    pair.work().await;
    pair.clock.advance(DAY + HOUR);
    let station = station_of(p, "hs01.kep.test", Arc::new(Silent), DAY);
    while station.run_due().await.unwrap() > 0 {}
    let rows = evidence::of_mail(&*p.db, p.tenant("ornekas"), mail).unwrap();
    assert!(rows.iter().any(|r| r.row.issuer.as_str() == "hs02.kep.test"));
    for row in rows {
        let form = lasting::form_of(&*p.db, &row.row.xml).unwrap().unwrap();
        // These certificates name no place, so nobody was asked.
        assert_eq!(form.standing, Standing::NotAsked);
        let octets = p.spool.load(&form.document.unwrap()).await.unwrap();
        let (verified, _) = verify(&octets).unwrap();
        assert!(!verified.embedded.is_empty());
        assert_eq!(verified.level(), Level::Stamped, "certificates alone");
    }
    assert_eq!(station.figures().unwrap().owed, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_brought_the_last_word_is_left_alone_and_what_brought_rubbish_is_not() {
    let house = house("hs76.kep.test").await;
    let mail = house.mail("bir").await;
    house.clock.advance(DAY + HOUR);
    let station = house.station(DAY);
    house.settle(&station).await;
    let row = house.evidence(mail).remove(0);
    let issued = house.p.spool.load(&row.xml).await.unwrap();
    let rubbish = Embedded {
        signer: ValueSet {
            certificates: vec![b"rubbish".to_vec()],
            ..ValueSet::default()
        },
        stamps: ValueSet::default(),
    };
    let rubbish = house
        .p
        .spool
        .store(&embed_values(&issued, &rubbish).unwrap())
        .await
        .unwrap();
    let complete = house.forms(mail).remove(0).unwrap().document.unwrap();
    let mut batch = Batch::new();
    for blob in [rubbish, complete] {
        let content = Content::whole(blob.id, blob.size_bytes);
        let issuer = row.issuer.clone();
        lasting::owe(&mut batch, row.event_time, Piece::Evidence, content, issuer).unwrap();
    }
    house.p.db.commit(batch).await.unwrap();
    assert_eq!(house.settle(&station).await, 2);
    assert_eq!(station.figures().unwrap().owed, 0);
    assert_eq!(lasting::form_of(&*house.p.db, &complete).unwrap(), None);
    let form = lasting::form_of(&*house.p.db, &rubbish).unwrap().unwrap();
    assert_eq!((form.document, form.standing), (None, Standing::Valid));
    assert!(form.certificates.is_some() && form.beside.len() == 2);
}
