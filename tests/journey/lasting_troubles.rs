//! Documents that cannot be made lasting, or not now: nobody can judge them, a peer's clock is wrong, or its places hang. And
//! what a document brings along counts where nobody is asked.

use super::enquiring::attached;
use super::lasting::{HOUR, House, Silent, TENANT, house};
use super::office::{Office, authority};
use super::provider::{Provider, START, Wires, set_pki};
use super::telling::told_in;
use kepd::clock::Clock as _;
use kepd::domain::schedule::{DAY, next_night};
use kepd::seal::revocation::{Fetching, RevocationTransport};
use kepd::service::lasting::ATTEMPTS_MAX;
use kepd::service::submission::Accepted;
use kepd::store::db::Batch;
use kepd::store::tables::evidence::{self, EvidenceRow};
use kepd::store::tables::items::Content;
use kepd::store::tables::lasting::{self, Piece, Standing};
use kepd::store::tables::work::{self, OwedPreservation};
use kepd::xml::{Embedded, ValueSet, embed_values};
use std::sync::Arc;
use std::time::Duration;

/// Whether a document that is asked about is good, by the answer.
pub(super) async fn verified(house: &House, id: &str, document: &[u8]) -> bool {
    let login = format!("{TENANT}@{TENANT}");
    let address = format!("{TENANT}@{}", house.domain);
    let to = format!("dogrula@{}", house.domain);
    let text = attached(&address, &to, id, &[document]);
    let mut question = house.p.enquiries.begin(&house.p.principal(&login)).unwrap();
    question.write(text.as_bytes()).unwrap();
    assert_eq!(question.finish().await.unwrap(), Some(1));
    let heard = told_in(&house.p, TENANT, TENANT).await.pop().unwrap();
    heard.text.contains("Sonuç: GEÇERLİ")
}

/// A document of the house with rubbish in it, so that it is another one.
async fn another(house: &House, issued: &[u8]) -> Content {
    let rubbish = Embedded {
        signer: ValueSet {
            certificates: vec![b"rubbish".to_vec()],
            ..ValueSet::default()
        },
        stamps: ValueSet::default(),
    };
    let octets = embed_values(issued, &rubbish).unwrap();
    let blob = house.p.spool.store(&octets).await.unwrap();
    Content::whole(blob.id, blob.size_bytes)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_can_judge_is_given_up_in_the_end() {
    let house = house("hs77.kep.test").await;
    let mail = house.mail("bir").await;
    let row = house.evidence(mail).remove(0);
    let issued = house.p.spool.load(&row.xml).await.unwrap();
    let content = another(&house, &issued).await;
    let mut batch = Batch::new();
    let gone = "gitti.kep.test".parse().unwrap();
    lasting::owe(&mut batch, START, Piece::Evidence, content.clone(), gone).unwrap();
    house.p.db.commit(batch).await.unwrap();
    let station = house.station(DAY);
    let mut looks = 0;
    while station.figures().unwrap().given_up == 0 {
        house.clock.advance(DAY + HOUR);
        looks += 1;
        assert!(looks <= ATTEMPTS_MAX + 2, "it is still owed");
        assert!(lasting::form(&*house.p.db, &content).unwrap().is_none());
        house.settle(&station).await;
    }
    assert!(looks > ATTEMPTS_MAX / 2, "{looks}");
    let form = lasting::form(&*house.p.db, &content).unwrap().unwrap();
    assert!(form.document.is_none() && form.beside.is_empty());
    assert!(
        matches!(&form.standing, Standing::GivenUp(why) if why.contains("gitti.kep.test")),
        "{form:?}"
    );
    assert!(house.forms(mail).iter().all(Option::is_some));
    assert_eq!(station.figures().unwrap().owed, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_time_that_a_peer_wrote_does_not_say_when_its_evidence_is_due() {
    let house = house("hs78.kep.test").await;
    let mail = house.mail("bir").await;
    let row = house.evidence(mail).remove(0);
    let issued = house.p.spool.load(&row.xml).await.unwrap();
    let content = another(&house, &issued).await;
    let xml = kepd::store::spool::BlobRef {
        id: content.pieces[0].blob,
        size_bytes: content.size_bytes(),
    };
    let taken = EvidenceRow {
        id: kepd::id::EvidenceId::fresh(&kepd::id::SystemIds),
        event_time: START.plus(DAY * 365 * 70),
        xml,
        ..row
    };
    let mut batch = Batch::new();
    let now = house.clock.now();
    evidence::add(&mut batch, house.p.tenant(TENANT), mail, &taken, now).unwrap();
    house.p.db.commit(batch).await.unwrap();
    house.clock.advance(DAY + HOUR);
    house.settle(&house.station(DAY)).await;
    assert!(lasting::form(&*house.p.db, &content).unwrap().is_some());
    let nights = work::all::<OwedPreservation>(&*house.p.db).unwrap();
    let its = nights.iter().find(|(_, owed)| owed.row.content == content);
    assert!(its.is_some_and(|(due, _)| *due <= next_night(now)), "{its:?}");
}

/// Places of one host that hang, and those of an office that answer.
struct HalfSilent(Arc<Office>, tokio::sync::Notify);

impl RevocationTransport for HalfSilent {
    fn fetch<'a>(&'a self, url: &'a str, max_octets: usize) -> Fetching<'a> {
        if url.contains("slow") {
            self.1.notify_one();
            return Silent.fetch(url, max_octets);
        }
        self.0.fetch(url, max_octets)
    }
    fn ask<'a>(&'a self, url: &'a str, request_der: Vec<u8>, max_octets: usize) -> Fetching<'a> {
        if url.contains("slow") {
            return self.fetch(url, max_octets);
        }
        self.0.ask(url, request_der, max_octets)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_whose_places_hang_costs_others_a_minute_and_no_more() {
    // Its name sorts before ours, so its turn is the first.
    let peer = "hs10.kep.test";
    let house = house("hs79.kep.test").await;
    let mail = house.mail("bir").await;
    let (made, _) = authority(peer, "http://slow.test", house.clock.clone());
    set_pki(peer, made);
    let theirs = Provider::open(
        peer,
        &house.dir.path().join("peer"),
        &house.clock,
        &Wires::default(),
    );
    theirs.add_person(TENANT).await;
    house.p.knows(peer).await;
    let to = format!("{TENANT}@{peer}");
    let text = format!("From: {to}\r\nTo: {to}\r\nSubject: a\r\nMessage-ID: <a@{peer}>\r\n\r\nMerhaba\r\n");
    let login = format!("{TENANT}@{TENANT}");
    let Accepted::Sent { mail: sent } = theirs.submit(&login, &[&to], &text).await.unwrap() else {
        panic!("not sent")
    };
    theirs.work().await;
    let rows = evidence::of_mail(&*theirs.db, theirs.tenant(TENANT), sent).unwrap();
    let octets = theirs.spool.load(&rows[0].row.xml).await.unwrap();
    let blob = house.p.spool.store(&octets).await.unwrap();
    let content = Content::whole(blob.id, blob.size_bytes);
    let mut batch = Batch::new();
    lasting::owe(
        &mut batch,
        START,
        Piece::Evidence,
        content.clone(),
        peer.parse().unwrap(),
    )
    .unwrap();
    house.p.db.commit(batch).await.unwrap();

    house.clock.advance(DAY + HOUR);
    let transport = Arc::new(HalfSilent(house.office.clone(), tokio::sync::Notify::new()));
    let station = Arc::new(house.station_over(transport.clone(), DAY));
    let looking = {
        let station = station.clone();
        tokio::spawn(async move { station.run_due().await.unwrap() })
    };
    transport.1.notified().await;
    house.clock.advance(Duration::from_secs(60));
    let looked = tokio::time::timeout(Duration::from_secs(60), looking).await;
    assert!(looked.expect("a minute is over").unwrap() > 0);
    assert!(
        house.forms(mail).iter().all(Option::is_some),
        "ours are settled in the same look"
    );
    assert!(lasting::form(&*house.p.db, &content).unwrap().is_none());
}
