//! Logging in with a certificate (e-imza) at the doors of a real daemon, by mail clients that are not ours. What is bound
//! to whom is told by `kepctl`.

use super::kepctl::{Daemon, kepctl, start};
use kepd::cms::{Certificate, der};
use kepd::seal::SealKey;
use kepd::seal::revoking::RevocationOffice;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, CustomExtension, DnType, DnValue, IsCa, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};
use serde_json::{Value, json};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

pub(super) type Authority = CertifiedIssuer<'static, KeyPair>;

pub(super) const AYSE: &str = "17291716060";
const ALI: &str = "10000000146";
pub(super) const PASSWORD: &str = "uzun bir parola";
pub(super) const NES: &[&str] = &["0.4.0.1862.1.1", "2.16.792.1.61.0.1.5070.1.1"];
const MALI_MUHUR: &str = "2.16.792.1.2.1.1.5.7.50.1";
const DOORS: [&str; 4] = ["submission_tls", "submission", "imap_tls", "imap"];

pub(super) fn params(name: &str) -> CertificateParams {
    let mut p = CertificateParams::default();
    p.distinguished_name = rcgen::DistinguishedName::new();
    p.distinguished_name.push(DnType::CommonName, name);
    p.not_before = date_time_ymd(2024, 1, 1);
    p.not_after = date_time_ymd(2050, 1, 1);
    p
}

fn authority(name: &str) -> Authority {
    let mut p = params(name);
    p.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    p.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    CertifiedIssuer::self_signed(p, KeyPair::generate().unwrap()).unwrap()
}

/// A person's certificate: his number, what it states, its policies.
pub(super) fn person(number: &str, statements: &[&str], policies: &[&str]) -> CertificateParams {
    let mut p = params("AYŞE ÖRNEK");
    let serial_number = DnType::CustomDnType(vec![2, 5, 4, 5]);
    let number = DnValue::PrintableString(number.try_into().unwrap());
    p.distinguished_name.push(serial_number, number);
    p.key_usages = vec![
        KeyUsagePurpose::DigitalSignature,
        KeyUsagePurpose::ContentCommitment,
    ];
    for (extension, oids) in [
        (&[1, 3, 6, 1, 5, 5, 7, 1, 3][..], statements),
        (&[2, 5, 29, 32], policies),
    ] {
        let entry = |oid: &&str| {
            let oid = der::oid_from_dotted(oid).unwrap();
            der::sequence(&[&der::tlv(der::OID, &[&oid])])
        };
        let entries: Vec<Vec<u8>> = oids.iter().map(entry).collect();
        let entries: Vec<&[u8]> = entries.iter().map(Vec::as_slice).collect();
        if !entries.is_empty() {
            let extension = CustomExtension::from_oid_content(extension, der::sequence(&entries));
            p.custom_extensions.push(extension);
        }
    }
    p
}

/// A provider that is running, whose doors ask for certificates of one authority.
pub(super) struct Place {
    dir: tempfile::TempDir,
    socket: String,
    pub ports: Value,
    root: Authority,
    _daemon: Daemon,
}

impl Place {
    pub fn open(asks: bool) -> Self {
        Self::open_with(asks, |config| config)
    }

    pub fn open_with(asks: bool, edit: impl FnOnce(String) -> String) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("hs01");
        let init = Command::new(env!("CARGO_BIN_EXE_kepd"))
            .args(["init", "--domain", "hs01.kep.test", "--ports", "free", "--data"])
            .arg(&data)
            .output()
            .unwrap();
        assert!(init.status.success());
        let root = authority("Deneme NES Kök");
        std::fs::write(data.join("pki/login.pem"), root.pem()).unwrap();
        let path = data.join("kepd.toml");
        let config = std::fs::read_to_string(&path).unwrap();
        let off = "# trust = \"pki/login.pem\"";
        assert!(config.contains(off));
        let on = if asks { "trust = \"pki/login.pem\"" } else { off };
        std::fs::write(&path, edit(config.replace(off, on))).unwrap();
        let daemon = start(&data);
        let ports = std::fs::read(data.join("ports.json")).unwrap();
        let ports: Value = serde_json::from_slice(&ports).unwrap();
        let place = Self {
            socket: ports["control"].as_str().unwrap().to_owned(),
            dir,
            ports,
            root,
            _daemon: daemon,
        };
        let password = place.dir.path().join("password");
        std::fs::write(&password, PASSWORD).unwrap();
        for tenant in ["ornekas", "baska"] {
            place.done(&["tenant", "add", tenant]);
            place.done(&["role", "add", tenant, "Yazan", "--permit", "compose"]);
            for user in ["ayse", "onay1"] {
                let login = format!("{user}@{tenant}");
                let file = password.to_str().unwrap();
                place.done(&["user", "add", &login, "--password-file", file]);
            }
            place.done(&["user", "role", &format!("ayse@{tenant}"), "--add", "Yazan"]);
        }
        place
    }

    /// The office of the authority of cards.
    pub fn office(&self) -> RevocationOffice {
        let key = SealKey::from_pem(&self.root.key().serialize_pem()).unwrap();
        RevocationOffice::new(key, Certificate::from_der(self.root.der()).unwrap()).unwrap()
    }

    pub fn ca(&self) -> PathBuf {
        self.dir.path().join("hs01/ca.pem")
    }

    fn said(&self, args: &[&str]) -> (bool, String, String) {
        let output = kepctl(&[&["--socket", &self.socket, "--json"], args].concat());
        let text = |octets: Vec<u8>| String::from_utf8(octets).unwrap();
        (output.status.success(), text(output.stdout), text(output.stderr))
    }

    pub fn done(&self, args: &[&str]) -> Value {
        let (done, out, why) = self.said(args);
        assert!(done, "{args:?}: {why}");
        serde_json::from_str(&out).unwrap_or(Value::Null)
    }

    fn refused(&self, args: &[&str]) -> String {
        let (done, _, why) = self.said(args);
        assert!(!done, "{args:?}");
        why
    }

    /// Certificate and key in one file, as a client loads them.
    fn card(
        &self,
        file: &str,
        params: CertificateParams,
        issuer: Option<&Authority>,
        key: KeyPair,
    ) -> PathBuf {
        let made = params.signed_by(&key, issuer.unwrap_or(&self.root)).unwrap();
        let path = self.dir.path().join(file);
        std::fs::write(&path, made.pem() + &key.serialize_pem()).unwrap();
        path
    }

    pub fn plain_card(&self, file: &str, params: CertificateParams) -> PathBuf {
        self.card(file, params, None, KeyPair::generate().unwrap())
    }

    /// What each step was offered, and what it was told.
    pub fn walk(&self, steps: Vec<Value>) -> Vec<(String, Vec<String>)> {
        let plan = json!({ "ports": self.ports, "ca": self.ca(), "steps": steps });
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/journey/certificate_client.py");
        let mut python = Command::new("python3")
            .arg(script)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = python.stdin.take().unwrap();
        stdin.write_all(plan.to_string().as_bytes()).unwrap();
        drop(stdin);
        let output = python.wait_with_output().unwrap();
        assert!(output.status.success());
        let walked: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
        let read = |v: &Value| {
            let replies = v["replies"].as_array().unwrap();
            let replies = replies.iter().map(|r| r.as_str().unwrap().to_owned());
            (v["offered"].as_str().unwrap().to_owned(), replies.collect())
        };
        walked.iter().map(read).collect()
    }
}

pub(super) fn is_in(reply: &str) -> bool {
    reply.starts_with("235 ") || reply == "OK"
}

/// What one door says to EXTERNAL, without and with an authorization identity.
pub(super) fn external(door: &str, card: &Path, authzid: Option<&str>) -> Value {
    json!({ "door": door, "card": card, "logins": [["external", authzid, true]] })
}

#[test]
fn a_certificate_lets_its_user_in_at_every_door() {
    let place = Place::open(true);
    let nes = place.plain_card("nes.pem", person(AYSE, NES, &["2.16.792.1.2.1.1.5.7.1.1"]));
    let machine = place.plain_card("machine.pem", params("makine"));
    // One is known by its number, the other by itself.
    let number = place.done(&["user", "cert", "ayse@ornekas", "--tckn", AYSE]);
    assert_eq!(
        (&number[0]["by"], &number[0]["value"]),
        (&json!("tckn"), &json!("172******60"))
    );
    let bound = place.done(&[
        "user",
        "cert",
        "onay1@ornekas",
        "--add",
        machine.to_str().unwrap(),
    ]);
    assert_eq!(
        (&bound[0]["by"], &bound[0]["name"]),
        (&json!("fingerprint"), &json!("makine"))
    );

    let mut steps = Vec::new();
    for door in DOORS {
        for card in [&nes, &machine] {
            let who = if *card == nes {
                "ayse@ornekas"
            } else {
                "onay1@ornekas"
            };
            for (authzid, at_once) in [(None, true), (None, false), (Some(who), true), (Some(who), false)] {
                steps.push(json!({
                    "door": door, "card": card, "tls12": at_once, "logins": [["external", authzid, at_once]],
                    "then": ["MAIL FROM:<ornekas@hs01.kep.test>", "RCPT TO:<baska@hs01.kep.test>"],
                }));
            }
        }
    }
    let asked = steps.clone();
    for (step, (offered, replies)) in asked.iter().zip(place.walk(steps)) {
        assert!(is_in(&replies[0]), "{step} {replies:?}");
        // RFC 9266 4.2: bound exchanges under TLS 1.3 only.
        let bindable = step["tls12"] == json!(false);
        assert_eq!(
            offered.contains("SCRAM-SHA-256-PLUS"),
            bindable,
            "{step} {offered}"
        );
        assert!(offered.ends_with("EXTERNAL"), "{offered}");
        // It is really he: only ayse may write.
        if step["door"].as_str().unwrap().starts_with("submission") {
            let may = step["card"] == json!(nes);
            let wanted = if may {
                "250 "
            } else {
                "550 5.7.1 you have no permission to compose"
            };
            assert!(
                replies[1].starts_with("250 ") && replies[2].starts_with(wanted),
                "{step} {replies:?}"
            );
        } else {
            assert_eq!(replies[1], "OK");
        }
    }
    // Taken away, it lets nobody in; the number too.
    let fingerprint = bound[0]["value"].as_str().unwrap();
    assert_eq!(
        place.done(&["user", "cert", "onay1@ornekas", "--remove", &fingerprint[..12]]),
        json!([])
    );
    place.done(&["user", "cert", "ayse@ornekas", "--remove-tckn"]);
    for (_, replies) in place.walk(vec![
        external("imap_tls", &machine, None),
        external("submission_tls", &nes, None),
    ]) {
        assert!(
            replies[0].contains("the certificate is bound to nobody here"),
            "{replies:?}"
        );
    }
}

#[test]
fn what_is_wrong_with_a_certificate_is_said_and_the_password_still_does() {
    let place = Place::open(true);
    place.done(&["user", "cert", "onay1@baska", "--tckn", ALI]);
    let stranger = authority("Deneme NES Kök");
    let mut ended = person(AYSE, NES, &[]);
    ended.not_before = date_time_ymd(2020, 1, 1);
    ended.not_after = date_time_ymd(2021, 1, 1);
    let mut odd = person(AYSE, NES, &[]);
    let mut unknown = CustomExtension::from_oid_content(&[2, 999, 1], vec![5, 0]);
    unknown.set_criticality(true);
    odd.custom_extensions.push(unknown);
    let key = || KeyPair::generate().unwrap();
    let p521 = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P521_SHA512).unwrap();
    let rsa = KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048).unwrap();
    let cards = [
        (
            "foreign",
            place.card("foreign.pem", person(AYSE, NES, &[]), Some(&stranger), key()),
            "no path leads",
        ),
        ("ended", place.plain_card("ended.pem", ended), "not now"),
        ("odd", place.plain_card("odd.pem", odd), "critical extension"),
        (
            "P-521",
            place.card("p521.pem", person(AYSE, NES, &[]), None, p521),
            "of a kind that is not taken",
        ),
        (
            "mali mühür",
            place.plain_card("muhur.pem", person(AYSE, NES, &[MALI_MUHUR])),
            "mali m",
        ),
        (
            "unqualified",
            place.plain_card("plain.pem", person(AYSE, &NES[..1], &[])),
            "bound to nobody",
        ),
        (
            "no TCKN",
            place.plain_card("checksum.pem", person("17291716061", NES, &[])),
            "bound to nobody",
        ),
        (
            "unbound",
            place.card("rsa.pem", person("10000000078", NES, &[]), None, rsa),
            "bound to nobody",
        ),
    ];
    let ways = [
        ("submission_tls", false),
        ("submission", true),
        ("imap_tls", true),
        ("imap", false),
    ];
    let steps = cards.iter().flat_map(|(_, card, _)| {
        ways.map(|(door, tls12)| {
            json!({
                "door": door, "card": card, "tls12": tls12,
                "logins": [["external", null, true], ["password", "ayse@ornekas", PASSWORD]],
            })
        })
    });
    let walked = place.walk(steps.collect());
    for ((what, _, why), of_card) in cards.iter().zip(walked.chunks(ways.len())) {
        for (_, replies) in of_card {
            let refused = replies[0].starts_with("535 5.7.8 ") || replies[0].contains("AUTHENTICATIONFAILED");
            assert!(refused && replies[0].contains(why), "{what}: {replies:?}");
            assert!(is_in(&replies[1]), "{what}: {replies:?}");
        }
    }
}

#[test]
fn a_certificate_of_several_users_lets_in_whom_it_names_and_only_who_may_come() {
    let place = Place::open(true);
    let own = place.plain_card("own.pem", person(AYSE, NES, &[]));
    let told = |wanted: &[Option<&str>]| {
        let doors = ["submission_tls", "imap_tls"];
        let each = wanted
            .iter()
            .flat_map(|who| doors.map(|door| external(door, &own, *who)));
        let walked = place.walk(each.collect());
        walked
            .into_iter()
            .map(|(_, replies)| replies[0].clone())
            .collect::<Vec<_>>()
    };
    let all_in = |wanted: &[Option<&str>]| assert!(told(wanted).iter().all(|r| is_in(r)), "{wanted:?}");
    let all_hear = |wanted: Option<&str>, why: &str| {
        for said in told(&[wanted]) {
            assert!(said.contains(why), "{said}");
        }
    };
    let bind = |login: &str| place.done(&["user", "cert", login, "--tckn", AYSE]);
    // Another number is in its place later.
    bind("ayse@ornekas");
    place.done(&["user", "cert", "ayse@ornekas", "--tckn", ALI]);
    bind("onay1@ornekas");
    all_in(&[None]);
    bind("onay1@baska");
    all_hear(None, "bound to several users");
    all_in(&[Some("onay1@ornekas"), Some("onay1@baska")]);
    let others = ["ayse@ornekas", "kimse@ornekas", "ayse@kimse"];
    for (n, said) in told(&others.map(Some)).iter().enumerate() {
        assert!(
            said.contains(&format!("not bound to {}", others[n / 2])),
            "{said}"
        );
    }
    // Whose account is suspended does not count, and does not come in.
    place.done(&["tenant", "suspend", "baska"]);
    all_in(&[None]);
    all_hear(Some("onay1@baska"), "not bound to onay1@baska");
    // A closed door is closed, and a user who is removed leaves nothing behind.
    place.done(&[
        "user",
        "set",
        "onay1@ornekas",
        "--smtp",
        "false",
        "--imap",
        "false",
    ]);
    all_hear(None, "you may not use");
    place.done(&["user", "remove", "onay1@ornekas"]);
    all_hear(None, "bound to nobody");
    // What was bound, and taken away with its user, is told without the number.
    let record = place.done(&["audit", "show", "ornekas"]).to_string();
    assert!(record.contains("user cert") && record.contains("172******60"));
    assert!(!record.contains(AYSE) && !record.contains(ALI));
}

#[test]
fn nobody_is_asked_for_a_certificate_unless_the_provider_wants_it() {
    let place = Place::open(false);
    let nes = place.plain_card("nes.pem", person(AYSE, NES, &[]));
    place.done(&["user", "cert", "ayse@ornekas", "--tckn", AYSE]);
    let step = |door: &str| {
        json!({
            "door": door, "card": nes,
            "logins": [["external", null, true], ["password", "ayse@ornekas", PASSWORD]],
        })
    };
    for (offered, replies) in place.walk(DOORS.map(step).to_vec()) {
        assert_eq!(offered, "SCRAM-SHA-256-PLUS SCRAM-SHA-256 PLAIN");
        assert!(!is_in(&replies[0]) && is_in(&replies[1]), "{replies:?}");
    }
    for (args, why) in [
        (&["ayse@ornekas", "--tckn", "10000000147"][..], "no TCKN"),
        (&["ayse@ornekas", "--tckn", AYSE], "already"),
        (
            &["ayse@ornekas", "--remove", "00ff00ff"],
            "no certificate with that fingerprint",
        ),
        (&["kimse@ornekas"], "kimse"),
        (&["ayse@ornekas", "--add", "/nonexistent.pem"], "cannot be read"),
    ] {
        let said = place.refused(&[&["user", "cert"], args].concat());
        assert!(said.contains(why), "{said}");
    }
}
