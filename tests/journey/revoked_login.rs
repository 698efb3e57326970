//! Logging in with a certificate whose authority answers over a real socket: what is revoked opens no door.

use super::certificate_login::{AYSE, NES, Place, external, is_in, person};
use super::revoking::{Desk, responder_at};
use kepd::clock::{Clock, SystemClock};
use kepd::cms::crl::Entry;
use kepd::cms::{Certificate, RevocationReason};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

const ORDINARY: &str = "the certificate lets nobody in";
const NOT_NOW: &str = "whether the certificate was revoked cannot be learnt now";

/// A provider, and the office of the authority of its users' cards.
struct Scene {
    place: Place,
    desk: Arc<Desk>,
    base: String,
}

async fn scene(login_unknown: &'static str) -> Scene {
    let place = Place::open_with(true, |config| {
        let changed = config
            .replace("allow_networks = []", "allow_networks = [\"127.0.0.1/32\"]")
            .replace(
                "login_unknown = \"refuse\"",
                &format!("login_unknown = \"{login_unknown}\""),
            );
        assert!(changed.contains("127.0.0.1/32") && changed.contains(login_unknown));
        changed
    });
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let desk = Desk::new(place.office(), Arc::new(SystemClock));
    tokio::spawn(desk.clone().serve(listener));
    place.done(&["user", "cert", "ayse@ornekas", "--tckn", AYSE]);
    Scene { place, desk, base }
}

impl Scene {
    /// A new card of ayse's: each has a number of its own, so nothing is remembered of it.
    fn card(&self, name: &str) -> PathBuf {
        let mut params = person(AYSE, NES, &[]);
        params
            .custom_extensions
            .push(responder_at(&format!("{}/ocsp", self.base)));
        self.place.plain_card(name, params)
    }

    fn revoke(&self, card: &Path) {
        let pem = std::fs::read_to_string(card).unwrap();
        let end = pem.find("-----BEGIN PRIVATE").unwrap();
        let certificate = Certificate::from_pem_text(&pem[..end]).unwrap().remove(0);
        let entry = Entry {
            revoked_at: SystemClock.now(),
            reason: RevocationReason::KeyCompromise,
            invalid_since: None,
        };
        self.desk.office.lock().unwrap().revoke(&certificate, entry);
    }

    fn said(&self, card: &Path) -> Vec<String> {
        let doors = ["imap_tls", "submission_tls"];
        let steps = doors.map(|door| external(door, card, None)).to_vec();
        let mut walked = self.place.walk(steps);
        walked.drain(..).map(|(_, replies)| replies[0].clone()).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_card_opens_no_door_and_nobody_is_told_why() {
    let scene = scene("refuse").await;
    for reply in scene.said(&scene.card("good.pem")) {
        assert!(is_in(&reply), "{reply}");
    }
    let lost = scene.card("lost.pem");
    scene.revoke(&lost);
    for reply in scene.said(&lost) {
        assert!(!is_in(&reply) && reply.contains(ORDINARY), "{reply}");
        assert!(!reply.contains("revoked") && !reply.contains(AYSE), "{reply}");
    }
    // When nobody answers the card is kept out for now, and its holder hears that it is not his fault.
    scene.desk.away.store(true, Ordering::Relaxed);
    for reply in scene.said(&scene.card("silent.pem")) {
        assert!(!is_in(&reply) && reply.contains(NOT_NOW), "{reply}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_known_of_revocation_is_among_the_figures() {
    let scene = scene("refuse").await;
    let port = scene.place.ports["metrics"].as_u64().unwrap();
    let mut stream = TcpStream::connect(("127.0.0.1", u16::try_from(port).unwrap()))
        .await
        .unwrap();
    let asked = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    stream.write_all(asked).await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    for figure in [
        "kepd_revocation_unknown_total 0",
        "kepd_revocation_refused_total 0",
        "kepd_seal_certificates_revoked 0",
        "kepd_timestamp_certificate_revoked 0",
        "kepd_own_certificates_unknown 0",
    ] {
        assert!(text.contains(figure), "{figure}: {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_setting_lets_in_whom_nobody_tells_of() {
    let scene = scene("accept").await;
    scene.desk.away.store(true, Ordering::Relaxed);
    for reply in scene.said(&scene.card("silent.pem")) {
        assert!(is_in(&reply), "{reply}");
    }
    // But not whom somebody tells of.
    scene.desk.away.store(false, Ordering::Relaxed);
    let lost = scene.card("lost.pem");
    scene.revoke(&lost);
    for reply in scene.said(&lost) {
        assert!(!is_in(&reply) && reply.contains(ORDINARY), "{reply}");
    }
}
