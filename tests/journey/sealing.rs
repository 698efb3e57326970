//! The daemon with its seal in a token (SoftHSM) and its stamps from several authorities: it seals real mail, its keys
//! are rolled while it runs, and its secrets stand neither in the log nor, where they need not, in its memory.

use super::kamusm::{self, Kamusm};
use super::kepctl::kepctl;
use kepd::clock::{Clock as _, SystemClock};
use kepd::cms::Certificate;
use kepd::seal::pki::{DevPki, KeyAlgorithm, Plan};
use kepd::seal::{DevAuthority, SealKey};
use serde_json::{Value, json};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{FileExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::Ordering;
use std::time::Duration;

const MODULE: &str = "/usr/lib/softhsm/libsofthsm2.so";
const PIN: &str = "kanarya-pin-0815";
const PASSWORD: &str = "kanarya uzun parola";
/// How often something is looked for that must come; each look starts a process.
const LOOKS: usize = 2000;

/// A provider's folder, its token, and its daemon.
pub struct Provider {
    pub dir: tempfile::TempDir,
    pub daemon: Option<Child>,
}

impl Drop for Provider {
    fn drop(&mut self) {
        if let Some(daemon) = &mut self.daemon {
            let _ = daemon.kill();
            let _ = daemon.wait();
        }
    }
}

fn done(command: &mut Command) -> String {
    let out = command.output().unwrap();
    let words = format!(
        "{}{}",
        String::from_utf8_lossy(&out.stdout),
        String::from_utf8_lossy(&out.stderr)
    );
    assert!(out.status.success(), "{command:?}\n{words}");
    words
}

pub fn write_secret(path: &Path, octets: &[u8]) {
    std::fs::write(path, octets).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

impl Provider {
    /// A new folder.
    pub fn fresh() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let provider = Self { dir, daemon: None };
        let mut init = Command::new(env!("CARGO_BIN_EXE_kepd"));
        init.args(["init", "--domain", "hs01.kep.test", "--ports", "free", "--data"]);
        done(init.arg(provider.data()));
        provider
    }

    /// A new folder whose seal lies in a token, and nowhere else.
    fn with_token() -> Self {
        let provider = Self::fresh();
        std::fs::create_dir(provider.at("tokens")).unwrap();
        let conf = format!("directories.tokendir = {}\n", provider.at("tokens").display());
        std::fs::write(provider.at("softhsm2.conf"), conf).unwrap();
        provider.util(&[
            "--init-token",
            "--free",
            "--label",
            "kep",
            "--so-pin",
            "kanarya-so",
            "--pin",
            PIN,
        ]);
        let key = provider.data().join("pki/seal.key");
        provider.import(&key, "seal", "01");
        std::fs::remove_file(key).unwrap();
        write_secret(&provider.data().join("pin"), format!("{PIN}\n").as_bytes());
        provider.set("key = \"pki/seal.key\"", &format!("key = \"{}\"", uri("seal")));
        provider
    }

    pub fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn data(&self) -> PathBuf {
        self.at("hs01")
    }

    fn util(&self, args: &[&str]) {
        let mut util = Command::new("softhsm2-util");
        done(util.env("SOFTHSM2_CONF", self.at("softhsm2.conf")).args(args));
    }

    fn import(&self, key: &Path, label: &str, id: &str) {
        let file = key.to_str().unwrap();
        self.util(&[
            "--import", file, "--token", "kep", "--label", label, "--id", id, "--pin", PIN,
        ]);
    }

    /// Changes the configuration.
    pub fn set(&self, from: &str, to: &str) {
        let path = self.data().join("kepd.toml");
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{from}");
        std::fs::write(path, text.replacen(from, to, 1)).unwrap();
    }

    pub fn start(&mut self) {
        let log = std::fs::File::create(self.at("log")).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_kepd"));
        command
            .args(["serve", "--config"])
            .arg(self.data().join("kepd.toml"));
        command.env("SOFTHSM2_CONF", self.at("softhsm2.conf"));
        command.env("RUST_LOG", "trace").stderr(log);
        self.daemon = Some(command.spawn().unwrap());
        self.until(|p| p.log().contains("ready").then_some(()));
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.at("log")).unwrap()
    }

    fn pid(&self) -> u32 {
        self.daemon.as_ref().unwrap().id()
    }

    fn hang_up(&self) {
        done(Command::new("kill").args(["-HUP", &self.pid().to_string()]));
    }

    /// Looks until there is something.
    pub fn until<T>(&self, mut look: impl FnMut(&Self) -> Option<T>) -> T {
        for _ in 0..LOOKS {
            if let Some(found) = look(self) {
                return found;
            }
            // A process of its own, as kepctl is: time passes.
            done(Command::new("true").stdin(Stdio::null()));
        }
        panic!("it did not come:\n{}", self.log());
    }

    pub fn kepctl(&self, args: &[&str]) -> Result<Value, String> {
        let socket = self.data().join("control.sock");
        let out = kepctl(&[&["--socket", socket.to_str().unwrap(), "--json"], args].concat());
        match out.status.success() {
            true => Ok(serde_json::from_slice(&out.stdout).unwrap_or(Value::Null)),
            false => Err(String::from_utf8_lossy(&out.stderr).into_owned()),
        }
    }

    pub fn metrics(&self) -> String {
        let ports = std::fs::read(self.data().join("ports.json")).unwrap();
        let ports: Value = serde_json::from_slice(&ports).unwrap();
        let port = u16::try_from(ports["metrics"].as_u64().unwrap()).unwrap();
        let mut stream = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
        let ask = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        stream.write_all(ask).unwrap();
        let mut said = String::new();
        stream.read_to_string(&mut said).unwrap();
        said
    }

    /// Two institutions with an officer each.
    pub fn people(&self) {
        let password = self.at("password");
        write_secret(&password, format!("{PASSWORD}\n").as_bytes());
        for tenant in ["ornekas", "alici"] {
            self.kepctl(&["tenant", "add", tenant]).unwrap();
            let officer = format!("mudur@{tenant}");
            let file = password.to_str().unwrap();
            self.kepctl(&["officer", "add", &officer, "--password-file", file])
                .unwrap();
        }
    }

    /// Sends a mail; gives its evidence files once they are all there.
    pub fn mail(&self, subject: &str) -> Vec<PathBuf> {
        let ports = std::fs::read(self.data().join("ports.json")).unwrap();
        let ports: Value = serde_json::from_slice(&ports).unwrap();
        let text = format!(
            "From: ornekas@hs01.kep.test\r\nTo: alici@hs01.kep.test\r\nSubject: {subject}\r\n\
             Message-ID: <{subject}@hs01.kep.test>\r\nDate: Mon, 23 Nov 2026 20:45:00 +0000\r\n\r\nMerhaba\r\n"
        );
        let plan = json!({
            "port": ports["submission_tls"],
            "ca": self.data().join("ca.pem"),
            "tls": true,
            "steps": [
                ["login", "mudur@ornekas", PASSWORD],
                ["send", "ornekas@hs01.kep.test", ["alici@hs01.kep.test"], text],
            ],
        });
        let mut client = Command::new("python3")
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/journey/client.py"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut plan_in = client.stdin.take().unwrap();
        plan_in.write_all(plan.to_string().as_bytes()).unwrap();
        drop(plan_in);
        let said = client.wait_with_output().unwrap();
        let said = String::from_utf8(said.stdout).unwrap();
        assert!(said.contains("[250,"), "{said}");
        self.until(|p| p.evidence(subject))
    }

    fn evidence(&self, subject: &str) -> Option<Vec<PathBuf>> {
        let listed = self
            .kepctl(&[
                "mail",
                "search",
                "ornekas",
                "--as",
                "mudur@ornekas",
                "--subject",
                subject,
            ])
            .ok()?;
        let mail = listed
            .as_array()?
            .iter()
            .find_map(|m| m["mail"].as_str())?
            .to_owned();
        let out = tempfile::tempdir_in(self.dir.path()).unwrap().keep();
        self.kepctl(&["mail", "export", &mail, "--out", out.to_str().unwrap()])
            .ok()?;
        let folder = out.join(&mail).join("evidence");
        let files = std::fs::read_dir(&folder).ok()?;
        let mut files: Vec<PathBuf> = files.map(|f| f.unwrap().path()).collect();
        files.sort();
        // Acceptance and delivery; then everything that seals has sealed.
        (files.len() >= 2).then_some(files)
    }
}

fn uri(object: &str) -> String {
    format!("pkcs11:token=kep;object={object}?module-path={MODULE}&pin-source=file:pin")
}

/// The base64 of a certificate, as it stands in evidence that its key sealed.
fn packed(certificate: &Certificate) -> String {
    let pem = certificate.pem();
    pem.lines().filter(|l| !l.starts_with('-')).collect()
}

fn certificate_of(path: &Path) -> Certificate {
    let text = std::fs::read_to_string(path).unwrap();
    Certificate::from_pem_text(&text).unwrap().remove(0)
}

fn is_sealed_by(file: &Path, certificate: &Certificate) -> bool {
    let xml: String = std::fs::read_to_string(file)
        .unwrap()
        .split_whitespace()
        .collect();
    xml.contains(&packed(certificate))
}

/// The dispatch of an export, by an outside judge: with SHA-512, and RSASSA-PSS.
fn openssl_takes_the_dispatch_beside(evidence: &Path, anchors: &Path) {
    let dispatch = evidence.parent().unwrap().with_file_name("dispatch.eml");
    let text = String::from_utf8_lossy(&std::fs::read(&dispatch).unwrap()).into_owned();
    assert!(text.contains("micalg=\"sha-512\""), "{text}");
    let mut openssl = Command::new("openssl");
    openssl.args(["cms", "-verify", "-cades", "-out", "/dev/null", "-CAfile"]);
    done(openssl.arg(anchors).arg("-in").arg(dispatch));
}

fn verify(files: &[PathBuf]) {
    let names: Vec<&str> = files.iter().map(|f| f.to_str().unwrap()).collect();
    let out = kepctl(&[&["evidence", "verify"], names.as_slice()].concat());
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stdout));
}

/// How often each of some texts stands in the memory of a process.
fn in_memory(pid: u32, needles: &[&[u8]]) -> Vec<usize> {
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    let memory = std::fs::File::open(format!("/proc/{pid}/mem")).unwrap();
    let mut counts = vec![0; needles.len()];
    for line in maps.lines() {
        let (range, rest) = line.split_once(' ').unwrap();
        let (from, to) = range.split_once('-').unwrap();
        let number = |hex: &str| u64::from_str_radix(hex, 16).unwrap();
        let (from, to) = (number(from), number(to));
        // What the kernel maps for itself cannot be read.
        if !rest.starts_with('r') || rest.contains("[v") || to - from > 1 << 30 {
            continue;
        }
        let mut octets = vec![0; usize::try_from(to - from).unwrap()];
        let Ok(read) = memory.read_at(&mut octets, from) else {
            continue;
        };
        for (count, needle) in counts.iter_mut().zip(needles) {
            *count += memchr::memmem::find_iter(&octets[..read], needle).count();
        }
    }
    counts
}

#[test]
fn a_token_seals_real_mail_and_keys_are_rolled_while_the_daemon_runs() {
    let mut provider = Provider::with_token();
    provider.start();
    provider.people();
    let old = certificate_of(&provider.data().join("pki/seal.pem"));
    let first = provider.mail("birinci");
    verify(&first);
    assert!(first.iter().all(|f| is_sealed_by(f, &old)));

    // The next key: of another authority, published before its moment.
    let now = SystemClock.now();
    let next = DevPki::generate(&Plan {
        domain: "hs01.kep.test".parse().unwrap(),
        seal_address: "kep@hs01.kep.test".parse().unwrap(),
        dns_names: Vec::new(),
        not_before: now.minus(Duration::from_secs(3600)),
        not_after: now.plus(Duration::from_secs(86_400)),
        seal_key: KeyAlgorithm::Rsa3072,
    })
    .unwrap();
    let pki = provider.data().join("pki");
    std::fs::write(pki.join("next.pem"), &next.seal.certificate_pem).unwrap();
    write_secret(&provider.at("next.key"), next.seal.key_pem.as_bytes());
    provider.import(&provider.at("next.key"), "next", "02");
    let both = std::fs::read_to_string(pki.join("ca.pem")).unwrap() + &next.ca.certificate_pem;
    std::fs::write(pki.join("seal-ca.pem"), both).unwrap();
    let coming = |from: &str| {
        format!(
            "next = {{ certificate = \"pki/next.pem\", key = \"{}\", from = \"{from}\", \
             signing = {{ digest = \"SHA-512\", rsa_padding = \"pss\" }} }}\n",
            uri("next")
        )
    };
    let later = now.plus(Duration::from_secs(3600)).rfc3339();
    provider.set(
        "# What seals from a moment on.",
        &format!("{}# What seals from a moment on.", coming(&later)),
    );
    let pins = |p: &Provider| {
        p.kepctl(&["peer", "export"]).unwrap()["seal_sha256"]
            .as_array()
            .unwrap()
            .clone()
    };
    assert_eq!(pins(&provider), [json!(old.fingerprint_hex())]);
    provider.set("trust = \"pki/ca.pem\"", "trust = \"pki/seal-ca.pem\"");
    provider.hang_up();
    let new = next.seal.certificate().unwrap();
    let published = [json!(old.fingerprint_hex()), json!(new.fingerprint_hex())];
    provider.until(|p| (pins(p) == published).then_some(()));
    let profile = provider.kepctl(&["peer", "export"]).unwrap();
    let anchors = profile["trust_pem"]
        .as_str()
        .unwrap()
        .matches("BEGIN CERTIFICATE")
        .count();
    assert!(anchors >= 2, "{profile}");
    let second = provider.mail("ikinci");
    verify(&second);
    assert!(second.iter().all(|f| is_sealed_by(f, &old)));

    // Its moment has come.
    let past = now.minus(Duration::from_secs(60)).rfc3339();
    provider.set(&later, &past);
    provider.hang_up();
    provider.until(|p| (p.log().matches("the keys that seal are read again").count() == 2).then_some(()));
    let third = provider.mail("ucuncu");
    verify(&third);
    assert!(third.iter().all(|f| is_sealed_by(f, &new)));
    let is_pss = |f: &PathBuf| std::fs::read_to_string(f).unwrap().contains("#sha512-rsa-MGF1");
    assert!(third.iter().all(is_pss) && !second.iter().any(is_pss));
    openssl_takes_the_dispatch_beside(&third[0], &pki.join("seal-ca.pem"));

    // A key that is not there, and a configuration that cannot be read: nothing changes.
    for (from, to, words) in [
        (
            "object=next",
            "object=nobody",
            "the keys that seal are not exchanged",
        ),
        ("[seal]", "[seel]", "nothing is read again"),
    ] {
        provider.set(from, to);
        provider.hang_up();
        provider.until(|p| p.log().contains(words).then_some(()));
    }
    let fourth = provider.mail("dorduncu");
    verify(&fourth);
    assert!(fourth.iter().all(|f| is_sealed_by(f, &new)));
}

#[test]
fn the_state_authority_knows_its_subscriber_and_no_secret_is_left_behind() {
    let mut provider = Provider::with_token();
    let pki = provider.data().join("pki");
    let key = SealKey::load(&pki.join("tsa.key")).unwrap();
    let authority = DevAuthority::new(key, certificate_of(&pki.join("tsa.pem"))).unwrap();
    let kamusm = Kamusm::open(authority, || SystemClock.now());
    // Its own certificate, since it sends none; and before it an authority that is away.
    let trust = ["ca.pem", "tsa.pem"].map(|f| std::fs::read_to_string(pki.join(f)).unwrap());
    std::fs::write(pki.join("kamusm.pem"), trust.concat()).unwrap();
    write_secret(
        &provider.data().join("kamusm.password"),
        format!("{}\n", kamusm::PASSWORD).as_bytes(),
    );
    let away = "http://127.0.0.1:1/";
    let named = format!(
        "authority = [{{ url = \"{away}\" }}, {{ url = \"{}\", kind = \"kamusm\", user = \"{}\", password = \"kamusm.password\", trust = \"pki/kamusm.pem\" }}]\n",
        kamusm.url,
        kamusm::USER
    );
    provider.set("embedded = true", &format!("embedded = false\n{named}"));
    // A token's key for evidence, and one in a file for dispatches.
    let dispatch = DevPki::generate(&Plan {
        domain: "hs01.kep.test".parse().unwrap(),
        seal_address: "kep@hs01.kep.test".parse().unwrap(),
        dns_names: Vec::new(),
        not_before: SystemClock.now().minus(Duration::from_secs(3600)),
        not_after: SystemClock.now().plus(Duration::from_secs(86_400)),
        seal_key: KeyAlgorithm::P256,
    })
    .unwrap();
    std::fs::write(pki.join("dispatch.pem"), &dispatch.seal.certificate_pem).unwrap();
    write_secret(&pki.join("dispatch.key"), dispatch.seal.key_pem.as_bytes());
    let anchors = std::fs::read_to_string(pki.join("ca.pem")).unwrap() + &dispatch.ca.certificate_pem;
    std::fs::write(pki.join("seal-ca.pem"), anchors).unwrap();
    provider.set(
        "# What seals from a moment on.",
        "dispatch = { certificate = \"pki/dispatch.pem\", key = \"pki/dispatch.key\" }\n# What seals from a moment on.",
    );
    provider.set("trust = \"pki/ca.pem\"", "trust = \"pki/seal-ca.pem\"");

    let mut check = Command::new(env!("CARGO_BIN_EXE_kepd"));
    check
        .args(["check", "--config"])
        .arg(provider.data().join("kepd.toml"));
    let checked = done(check.env("SOFTHSM2_CONF", provider.at("softhsm2.conf")));
    assert!(checked.contains("# seal.dispatch: "), "{checked}");
    provider.start();
    provider.people();
    let evidence = provider.mail("birinci");
    verify(&evidence);
    assert!(kamusm.stamped.load(Ordering::SeqCst) >= 3);
    // It was asked for its certificate at first.
    assert!(kamusm.refused.load(Ordering::SeqCst) >= 1);
    let log = provider.log();
    assert!(
        log.contains("the time-stamp authority is put aside") && log.contains(away),
        "{log}"
    );
    assert_eq!(
        provider.kepctl(&["peer", "export"]).unwrap()["seal_sha256"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
    // The dispatch carries its own seal, the evidence in it that of evidence.
    let folder = evidence[0].parent().unwrap().parent().unwrap();
    let mut openssl = Command::new("openssl");
    let verify = [
        "cms",
        "-verify",
        "-noverify",
        "-signer",
        "signer.pem",
        "-in",
        "dispatch.eml",
        "-out",
        "/dev/null",
    ];
    done(openssl.current_dir(folder).args(verify));
    assert_eq!(
        certificate_of(&folder.join("signer.pem")),
        dispatch.seal.certificate().unwrap()
    );

    let figures = provider.metrics();
    for (figure, least) in [
        ("kepd_timestamp_failures_total ", 1),
        ("kepd_timestamps_total ", 3),
        ("kepd_timestamps_wrong_total ", 0),
        ("kepd_sealing_stopped ", 0),
    ] {
        let line = figures.lines().find_map(|l| l.strip_prefix(figure)).unwrap();
        let value: u64 = line.parse().unwrap();
        assert!(value >= least && (least > 0 || value == 0), "{figure}{value}");
    }

    let secrets = [PIN, kamusm::PASSWORD, PASSWORD];
    let log = provider.log();
    for secret in secrets {
        assert!(!log.contains(secret), "{secret} stands in the log");
    }
    // The text of each key file, by one of its lines.
    let mut lines: Vec<String> = vec![PIN.to_owned()];
    for file in ["tls.key", "dispatch.key"] {
        let text = std::fs::read_to_string(pki.join(file)).unwrap();
        let line = text.lines().nth(1).unwrap().to_owned();
        assert!(line.len() >= 60 && !log.contains(&line));
        lines.push(line);
    }
    // To show that the search finds what is there: the daemon has to keep this one.
    lines.push(kamusm::PASSWORD.to_owned());
    let needles: Vec<&[u8]> = lines.iter().map(String::as_bytes).collect();
    let found = in_memory(provider.pid(), &needles);
    assert!(found[3] > 0, "the search finds nothing at all");
    assert_eq!(
        found[..3],
        [0, 0, 0],
        "the PIN, or the text of a key file, is left in memory"
    );
}
