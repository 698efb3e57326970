//! The audit record through the doors of a real daemon: who came in and who did not, what was looked at and taken out, what
//! the daemon went through; and who may read it.

use super::kepctl::{kepctl, start};
use serde_json::Value;
use std::path::Path;
use std::process::Command;

const PASSWORD: &str = "uzun bir parola";
/// Opens the mailbox door with each password in turn, and says for each whether it opened.
const KNOCK: &str = "
import imaplib, smtplib, ssl, sys
port, submission, login = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
context = ssl._create_unverified_context()
for password in sys.argv[4:]:
    door = imaplib.IMAP4_SSL('127.0.0.1', port, ssl_context=context)
    try:
        door.login(login, password)
        print('in')
    except imaplib.IMAP4.error:
        print('out')
    door.shutdown()
door = smtplib.SMTP_SSL('127.0.0.1', submission, context=context)
try:
    door.login(login, sys.argv[4])
    print('in')
except smtplib.SMTPAuthenticationError:
    print('out')
";

struct Place {
    dir: tempfile::TempDir,
    socket: String,
    ports: Value,
}

impl Place {
    fn init() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("hs01");
        let init = Command::new(env!("CARGO_BIN_EXE_kepd"))
            .args(["init", "--domain", "hs01.kep.test", "--ports", "free", "--data"])
            .arg(&data)
            .output()
            .unwrap();
        assert!(init.status.success());
        Self {
            dir,
            socket: String::new(),
            ports: Value::Null,
        }
    }

    fn data(&self) -> std::path::PathBuf {
        self.dir.path().join("hs01")
    }

    fn read_ports(&mut self) {
        let ports = std::fs::read(self.data().join("ports.json")).unwrap();
        self.ports = serde_json::from_slice(&ports).unwrap();
        self.socket = self.ports["control"].as_str().unwrap().to_owned();
    }

    fn said(&self, args: &[&str]) -> (Option<i32>, Value, String) {
        let out = kepctl(&[&["--socket", &self.socket, "--json"], args].concat());
        let value = serde_json::from_slice(&out.stdout).unwrap_or(Value::Null);
        (
            out.status.code(),
            value,
            String::from_utf8_lossy(&out.stderr).into_owned(),
        )
    }

    fn done(&self, args: &[&str]) -> Value {
        let (code, value, why) = self.said(args);
        assert_eq!(code, Some(0), "{args:?}: {value} {why}");
        value
    }

    /// Records with a deed: who, route, from, before, after.
    fn records(&self, args: &[&str], deed: &str) -> Vec<Value> {
        let all = self.done(&[&["audit", "show"], args].concat());
        let all = all.as_array().unwrap().clone();
        all.into_iter().filter(|r| r["deed"] == deed).collect()
    }

    fn knock(&self, login: &str, passwords: &[&str]) -> Vec<String> {
        let port = |name: &str| self.ports[name].to_string();
        let out = Command::new("python3")
            .args(["-c", KNOCK, &port("imap_tls"), &port("submission_tls"), login])
            .args(passwords)
            .output()
            .unwrap();
        let said = String::from_utf8(out.stdout).unwrap();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        said.lines().map(str::to_owned).collect()
    }
}

fn stop(daemon: &mut std::process::Child) {
    let pid = daemon.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-TERM", &pid])
            .status()
            .unwrap()
            .success()
    );
    assert!(daemon.wait().unwrap().success());
}

fn what(record: &Value) -> Value {
    serde_json::from_str(record["after"].as_str().unwrap()).unwrap()
}

#[test]
fn logins_enquiries_exports_and_the_daemon_itself_are_on_record() {
    let mut place = Place::init();
    let mut daemon = start(&place.data());
    place.read_ports();
    let password = place.dir.path().join("password");
    std::fs::write(&password, PASSWORD).unwrap();
    let file = password.to_str().unwrap();
    for tenant in ["ornekas", "baska"] {
        place.done(&["tenant", "add", tenant]);
        for kind in ["officer", "user"] {
            let login = format!("{kind}1@{tenant}");
            place.done(&[kind, "add", &login, "--password-file", file]);
        }
    }
    let heard = place.knock("user1@ornekas", &[PASSWORD, "yanlis parola", PASSWORD, PASSWORD]);
    assert_eq!(heard, ["in", "out", "in", "in", "in"]);
    assert_eq!(place.knock("kimse@ornekas", &["gizli parola 7"]), ["out", "out"]);
    let peers = place.done(&["peer", "export"]);
    let profile = place.dir.path().join("peer.json");
    std::fs::write(
        &profile,
        peers.to_string().replace("hs01.kep.test", "hs02.kep.test"),
    )
    .unwrap();
    place.done(&["peer", "import", profile.to_str().unwrap()]);
    for _ in 0..3 {
        place.done(&["mail", "list", "ornekas"]);
    }
    let none = "00000000-0000-0000-0000-000000000001";
    let out = place.dir.path().join("out");
    let (code, ..) = place.said(&["mail", "export", none, "--out", out.to_str().unwrap()]);
    assert_eq!(code, Some(1));
    let period = [
        "mail",
        "export",
        "--since",
        "2020-01-01",
        "--until",
        "2099-01-01",
        "--tenant",
        "ornekas",
    ];
    place.done(&[&period[..], &["--out", out.to_str().unwrap()]].concat());

    // Everything that was counted is written when the daemon ends.
    stop(&mut daemon.0);
    let _daemon = start(&place.data());
    place.read_ports();
    let logins = place.records(&["ornekas", "--user", "user1"], "login");
    let by_door = |route: &str| -> u64 {
        let of_door = logins.iter().filter(|r| r["route"] == route);
        of_door.map(|r| what(r)["count"].as_u64().unwrap()).sum()
    };
    assert_eq!((by_door("imap"), by_door("smtp")), (3, 1), "{logins:?}");
    assert!(
        logins.len() <= 4
            && logins
                .iter()
                .all(|r| r["from"] == "127.0.0.1" && r["who"] == "user1@ornekas")
    );
    let failed = place.records(&["ornekas", "--user", "user1"], "login failed");
    assert_eq!(failed.len(), 1);
    assert_eq!(
        (&failed[0]["who"], &what(&failed[0])["of"]),
        (&"unknown".into(), &"user1@ornekas".into())
    );
    // Nobody's name stands nowhere, for it may be a password; that somebody tried, stands in the provider's own record.
    let strangers = place.records(&[], "login failed");
    let tried: u64 = strangers.iter().map(|r| what(r)["count"].as_u64().unwrap()).sum();
    assert_eq!(tried, 2, "{strangers:?}");
    let own = place.done(&["audit", "show"]).to_string();
    assert!(
        !own.contains("kimse") && !own.contains("gizli parola") && !own.contains(PASSWORD),
        "{own}"
    );
    let looked = place.records(&["ornekas"], "mail list");
    let looks: u64 = looked.iter().map(|r| what(r)["count"].as_u64().unwrap()).sum();
    assert_eq!(looks, 3);
    assert_eq!(place.records(&["ornekas"], "mail export").len(), 1);
    let imported = &place.records(&[], "peer import")[0];
    assert_eq!(
        (what(imported)["domain"].as_str(), &imported["before"]),
        (Some("hs02.kep.test"), &"".into())
    );
    let starts = place.records(&[], "daemon start");
    assert_eq!((starts.len(), place.records(&[], "daemon stop").len()), (2, 1));
    let digest = |n: usize| what(&starts[n])["settings_sha256"].clone();
    assert!(digest(0).as_str().unwrap().len() == 64 && digest(0) == digest(1));
    assert_eq!(what(&starts[0])["seals"].as_array().unwrap().len(), 1);

    reading_is_for_who_may(&place);
    let sealed = place.done(&["audit", "verify"]);
    assert!(
        sealed.as_array().unwrap().iter().all(|r| r["ok"] == true),
        "{sealed}"
    );
    only_what_is_known(&place, &sealed);
}

/// By days, by who did it, in pages; an officer his account's, a limited user none, and the provider's own is the provider's.
fn reading_is_for_who_may(place: &Place) {
    let all = place.done(&["audit", "show", "ornekas"]);
    let all = all.as_array().unwrap();
    let mut paged: Vec<Value> = Vec::new();
    loop {
        let mut args = vec!["audit", "show", "ornekas", "--limit", "2"];
        let before = paged.last().map(|r| r["place"].as_str().unwrap().to_owned());
        args.extend(before.as_ref().map(|_| "--before"));
        args.extend(before.as_deref());
        let page = place.done(&args);
        let page = page.as_array().unwrap();
        paged.extend(page.iter().cloned());
        if page.len() < 2 {
            break;
        }
    }
    assert!(paged.len() >= all.len() && all.iter().all(|r| paged.contains(r)));
    let by_user = place.done(&["audit", "show", "ornekas", "--actor", "USER1@ornekas"]);
    assert!(
        by_user
            .as_array()
            .unwrap()
            .iter()
            .all(|r| r["who"] == "user1@ornekas")
    );
    assert!(!by_user.as_array().unwrap().is_empty());
    let (yesterday, tomorrow) = ("2020-01-01", "2099-01-01");
    let none = place.done(&["audit", "show", "ornekas", "--until", yesterday]);
    assert_eq!(none.as_array().unwrap().len(), 0);
    let none = place.done(&["audit", "show", "ornekas", "--since", tomorrow]);
    assert_eq!(none.as_array().unwrap().len(), 0);
    let within = place.done(&[
        "audit", "show", "ornekas", "--since", yesterday, "--until", tomorrow,
    ]);
    assert!(within.as_array().unwrap().len() >= all.len());

    let as_officer = ["--as", "officer1@ornekas"];
    let his = place.done(&[&["audit", "show", "ornekas"][..], &as_officer].concat());
    assert!(his.as_array().unwrap().len() >= all.len());
    for (args, by) in [
        (&["audit", "show", "ornekas"][..], "user1@ornekas"),
        (&["audit", "show", "baska"], "officer1@ornekas"),
        (&["audit", "show"], "officer1@ornekas"),
        (&["audit", "verify"], "officer1@ornekas"),
    ] {
        let (code, said, _) = place.said(&[args, &["--as", by]].concat());
        assert_eq!(code, Some(1), "{args:?} {by} {said}");
    }
}

/// The last hash that was written down elsewhere is asked for.
fn only_what_is_known(place: &Place, sealed: &Value) {
    let end = sealed.as_array().unwrap().iter().find(|r| r["what"] == "end");
    let known = end.unwrap()["finding"]
        .as_str()
        .unwrap()
        .split(';')
        .next()
        .unwrap();
    place.done(&["audit", "verify", "--known", known]);
    let other = known.replace(['0', '1'], "2");
    let (code, ..) = place.said(&["audit", "verify", "--known", &other]);
    assert_eq!(code, Some(1));
    let out = place.dir.path().join("segments");
    let folder: &Path = &out;
    place.done(&["audit", "export", "--out", folder.to_str().unwrap()]);
    let said = kepctl(&[
        "audit",
        "verify",
        "--from",
        folder.to_str().unwrap(),
        "--known",
        known,
    ]);
    assert!(said.status.success());
}
