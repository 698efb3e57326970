//! Two providers that are running, cards of persons, and `openssl` as whoever signs and checks mail. `persons`,
//! `persons_release`, `persons_once` and `persons_profiles` use it.

use super::certificate_login::{Authority, params, person};
use super::kepctl::{Daemon, kepctl, start};
use super::outside::{Court, Heard};
use kepd::clock::{Clock as _, SystemClock, UtcTime};
use kepd::cms::RevocationReason;
use kepd::cms::algorithm::sha256;
use kepd::cms::crl::Entry;
use kepd::cms::signed::{Assembly, CONTENT_DATA, SignedAttributes};
use kepd::cms::{Certificate, DigestAlgorithm, SignatureAlgorithm};
use kepd::seal::SealKey;
use kepd::seal::revoking::RevocationOffice;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, CrlDistributionPoint, CustomExtension, IsCa,
    KeyPair, KeyUsagePurpose,
};
use serde_json::{Value, json};
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

pub const AYSE: &str = "17291716060";
pub const ALI: &str = "10000000146";
pub const NES: &[&str] = &["0.4.0.1862.1.1", "2.16.792.1.61.0.1.5070.1.1"];
pub const NES_POLICY: &str = "2.16.792.1.2.1.1.5.7.1.1";
pub const ORNEKAS: &str = "ornekas@hs01.kep.test";
pub const ALICI: &str = "alici@hs02.kep.test";
const PASSWORD: &str = "uzun bir parola";
/// How often something is looked for that must come; each look starts a process.
const LOOKS: usize = 600;

pub struct Provider {
    data: PathBuf,
    pub ports: Value,
    _daemon: Daemon,
}

pub struct House {
    pub dir: tempfile::TempDir,
    pub hs01: Provider,
    pub hs02: Provider,
    pub root: Authority,
    /// Where the authority's list lies.
    list_url: String,
    list: std::sync::Arc<std::sync::Mutex<Vec<u8>>>,
}

/// An authority that issues certificates, and lists of those it has revoked.
pub fn authority(name: &str) -> Authority {
    let mut p = params(name);
    p.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    p.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    CertifiedIssuer::self_signed(p, KeyPair::generate().unwrap()).unwrap()
}

/// Certificate and key in files of their own.
pub struct Card {
    pub certificate: PathBuf,
    pub key: PathBuf,
    pub read: Certificate,
}

fn done(command: &mut Command) -> Vec<u8> {
    let out = command.output().unwrap();
    let why = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(out.status.success(), "{command:?}\n{why}");
    out.stdout
}

/// A provider that takes what persons sign with certificates of `root`.
fn provider(dir: &Path, domain: &str, root: &Authority, changes: &[(&str, &str)]) -> Provider {
    let data = dir.join(&domain[..4]);
    let mut init = Command::new(env!("CARGO_BIN_EXE_kepd"));
    init.args(["init", "--domain", domain, "--ports", "free", "--data"]);
    done(init.arg(&data));
    std::fs::create_dir(data.join("pki/persons")).unwrap();
    std::fs::write(data.join("pki/persons/nes.pem"), root.pem()).unwrap();
    let path = data.join("kepd.toml");
    let config = std::fs::read_to_string(&path).unwrap();
    let mut changed = config.clone();
    let always = [
        ("# trust = \"pki/persons\"", "trust = \"pki/persons\""),
        ("allow_networks = []", "allow_networks = [\"127.0.0.0/8\"]"),
    ];
    for (from, to) in always.iter().chain(changes) {
        assert!(changed.contains(from), "{from}");
        changed = changed.replace(from, to);
    }
    std::fs::write(&path, changed).unwrap();
    let daemon = start(&data);
    let ports = std::fs::read(data.join("ports.json")).unwrap();
    Provider {
        ports: serde_json::from_slice(&ports).unwrap(),
        data,
        _daemon: daemon,
    }
}

impl Provider {
    pub fn said(&self, args: &[&str]) -> Result<Value, String> {
        let socket = self.ports["control"].as_str().unwrap();
        let out = kepctl(&[&["--socket", socket, "--json"], args].concat());
        match out.status.success() {
            true => Ok(serde_json::from_slice(&out.stdout).unwrap_or(Value::Null)),
            false => Err(String::from_utf8_lossy(&out.stderr).into_owned()),
        }
    }

    pub fn done(&self, args: &[&str]) -> Value {
        self.said(args).unwrap_or_else(|why| panic!("{args:?}: {why}"))
    }

    /// Looks until there is something.
    pub fn until<T>(&self, mut look: impl FnMut(&Self) -> Option<T>) -> T {
        for _ in 0..LOOKS {
            if let Some(found) = look(self) {
                return found;
            }
        }
        panic!("it did not come");
    }

    /// All mails go by one connection; gives the replies, as `CODE words`.
    pub fn send(&self, login: &str, to: &[&str], mails: &[String]) -> Vec<String> {
        let mut steps = vec![json!(["login", login, PASSWORD])];
        steps.extend(mails.iter().map(|mail| json!(["send", ORNEKAS, to, mail])));
        let plan = json!({
            "port": self.ports["submission_tls"], "ca": self.data.join("ca.pem"), "tls": true, "steps": steps,
        });
        let said = python("client.py", &plan);
        let reply = |r: &Value| format!("{} {}", r[0], r[1].as_str().unwrap());
        let mut replies: Vec<String> = said.as_array().unwrap().iter().map(reply).collect();
        assert!(replies.remove(0).starts_with("235 "));
        replies
    }

    /// Runs an IMAP client; gives what it prints.
    pub fn imap(&self, login: &str, script: &str) -> String {
        let head = format!(
            "import imaplib, ssl\nc = imaplib.IMAP4_SSL('localhost', {}, ssl_context=ssl.create_default_context(cafile={:?}))\n\
             c.login({login:?}, {PASSWORD:?})\n",
            self.ports["imap_tls"],
            self.data.join("ca.pem").to_str().unwrap(),
        );
        String::from_utf8(done(Command::new("python3").args(["-c", &(head + script)]))).unwrap()
    }

    /// The document that a row of a list speaks of.
    pub fn document(&self, tenant: &str, row: &Value) -> String {
        let id = row["id"].as_str().or(row["identifier"].as_str()).unwrap();
        let shown = self.done(&["evidence", "show", tenant, id]);
        shown["xml"].as_str().unwrap().to_owned()
    }

    /// What `look` finds in the newest evidence of a tenant that it knows.
    pub fn evidence(&self, tenant: &str, look: impl Fn(&str) -> bool) -> String {
        self.until(|p| {
            let listed = p.done(&["evidence", "list", tenant]);
            let all = listed.as_array().unwrap().iter().rev();
            let xml = all.map(|e| p.document(tenant, e));
            xml.into_iter().find(|xml| look(xml))
        })
    }

    pub fn trust_pem(&self) -> Vec<u8> {
        std::fs::read(self.data.join("pki/ca.pem")).unwrap()
    }

    /// The bundle of the one mail of a tenant under that subject, once its dispatch is there.
    pub fn bundle(&self, tenant: &str, login: &str, subject: &str, dir: &Path) -> PathBuf {
        let mail = self.until(|p| {
            let found = p.done(&["mail", "search", tenant, "--as", login, "--subject", subject]);
            let found = found
                .as_array()?
                .iter()
                .find_map(|m| m["mail"].as_str())?
                .to_owned();
            Some(found)
        });
        self.until(|p| {
            let out = tempfile::tempdir_in(dir).unwrap().keep();
            p.said(&["mail", "export", &mail, "--out", out.to_str()?]).ok()?;
            let folder = out.join(&mail);
            folder.join("dispatch.eml").exists().then_some(folder)
        })
    }
}

fn python(script: &str, plan: &Value) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/journey")
        .join(script);
    let mut client = Command::new("python3")
        .arg(path)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut plan_in = client.stdin.take().unwrap();
    plan_in.write_all(plan.to_string().as_bytes()).unwrap();
    drop(plan_in);
    let said = client.wait_with_output().unwrap();
    serde_json::from_slice(&said.stdout).unwrap()
}

/// An authority's place: it gives its list to whoever asks.
fn publish(list: std::sync::Arc<std::sync::Mutex<Vec<u8>>>) -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let url = format!("http://{}/nes.crl", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { continue };
            let mut asked = [0; 2048];
            let _ = stream.read(&mut asked);
            let list = list.lock().unwrap().clone();
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                list.len()
            );
            let _ = stream.write_all(&[head.as_bytes(), &list].concat());
        }
    });
    url
}

impl House {
    /// The mail that arrived under that subject, as an outside court opens it by the trust of the provider that sealed it.
    pub fn arrived(&self, subject: &str) -> (Court, Heard) {
        let bundle = self.hs02.bundle("alici", "alici@alici", subject, self.dir.path());
        let dispatch = std::fs::read(bundle.join("dispatch.eml")).unwrap();
        let court = Court::new(&self.hs01.trust_pem(), SystemClock.now());
        let heard = court.opened(&dispatch, true).unwrap();
        (court, heard)
    }

    pub fn open() -> Self {
        Self::open_with(&[])
    }

    /// The same where the first provider is configured otherwise: what stands in its file, and what instead.
    pub fn open_with(changes: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = authority("Deneme NES Kök");
        let hs01 = provider(dir.path(), "hs01.kep.test", &root, changes);
        let hs02 = provider(dir.path(), "hs02.kep.test", &root, &[]);
        for (from, to) in [(&hs01, &hs02), (&hs02, &hs01)] {
            let profile = dir.path().join("profile.json");
            let told = from.done(&["peer", "export"]);
            std::fs::write(&profile, told.to_string()).unwrap();
            to.done(&["peer", "import", profile.to_str().unwrap()]);
        }
        let password = dir.path().join("password");
        std::fs::write(&password, PASSWORD).unwrap();
        let file = password.to_str().unwrap();
        hs02.done(&["tenant", "add", "alici"]);
        hs02.done(&["officer", "add", "alici@alici", "--password-file", file]);
        hs01.done(&["tenant", "add", "ornekas", "--title", "Örnek A.Ş."]);
        hs01.done(&["officer", "add", "mudur@ornekas", "--password-file", file]);
        hs01.done(&["role", "add", "ornekas", "Yazan", "--permit", "compose,view"]);
        hs01.done(&["role", "add", "ornekas", "Onay Rolü", "--permit", "approve,view"]);
        for (login, role) in [("ayse@ornekas", "Yazan"), ("onay1@ornekas", "Onay Rolü")] {
            hs01.done(&["user", "add", login, "--role", role, "--password-file", file]);
        }
        hs01.done(&[
            "rule",
            "add",
            "ornekas",
            "Teklif",
            "--subject",
            "Teklif",
            "--step",
            "Onay Rolü:1",
        ]);
        let list = std::sync::Arc::default();
        let house = Self {
            list_url: publish(std::sync::Arc::clone(&list)),
            list,
            dir,
            hs01,
            hs02,
            root,
        };
        house.revoke(&[]);
        house
    }

    pub fn demand(&self, demand: &str) {
        let set = self
            .hs01
            .done(&["tenant", "set", "ornekas", "--signature", demand]);
        assert_eq!(set["signature"], demand);
    }

    /// Publishes a list of these cards, revoked an hour ago.
    pub fn revoke(&self, cards: &[&Card]) {
        let key = SealKey::from_pem(&self.root.key().serialize_pem()).unwrap();
        let root = Certificate::from_der(self.root.der()).unwrap();
        let mut office = RevocationOffice::new(key, root).unwrap();
        let now = SystemClock.now();
        for card in cards {
            let entry = Entry {
                revoked_at: now.minus(std::time::Duration::from_secs(3600)),
                reason: RevocationReason::KeyCompromise,
                invalid_since: None,
            };
            office.revoke(&card.read, entry);
        }
        *self.list.lock().unwrap() = office.list(now).unwrap();
    }

    /// A person's card that is right; whether it was revoked stands in the authority's list.
    pub fn nes(&self, name: &str, number: &str) -> Card {
        self.card(name, person(number, NES, &[NES_POLICY]), &self.list_url)
    }

    pub fn card(&self, name: &str, params: CertificateParams, list_url: &str) -> Card {
        self.card_of(name, params, list_url, &self.root)
    }

    pub fn card_of(
        &self,
        name: &str,
        mut params: CertificateParams,
        list_url: &str,
        root: &Authority,
    ) -> Card {
        let key = KeyPair::generate().unwrap();
        if list_url.is_empty() {
            // RFC 9608: nothing is ever published about it.
            let never = CustomExtension::from_oid_content(&[2, 5, 29, 56], vec![5, 0]);
            params.custom_extensions.push(never);
        } else {
            params.crl_distribution_points = vec![CrlDistributionPoint {
                uris: vec![list_url.to_owned()],
            }];
        }
        let made = params.signed_by(&key, root).unwrap();
        let at = |ending: &str| self.dir.path().join(format!("{name}.{ending}"));
        std::fs::write(at("pem"), made.pem()).unwrap();
        std::fs::write(at("key"), key.serialize_pem()).unwrap();
        Card {
            certificate: at("pem"),
            key: at("key"),
            read: Certificate::from_der(made.der()).unwrap(),
        }
    }

    /// The whole mail as `openssl` signs it.
    pub fn signed(&self, card: &Card, to: &str, subject: &str, entity: &str) -> String {
        self.signed_with(card, to, subject, entity, &["-cades", "-md", "sha256"])
    }

    pub fn signed_with(&self, card: &Card, to: &str, subject: &str, entity: &str, more: &[&str]) -> String {
        let content = self.dir.path().join("entity");
        std::fs::write(&content, entity).unwrap();
        let mut openssl = Command::new("openssl");
        openssl.args(["cms", "-sign", "-binary", "-crlfeol", "-outform", "SMIME", "-in"]);
        openssl.arg(&content).arg("-signer").arg(&card.certificate);
        openssl.arg("-inkey").arg(&card.key).args(more);
        openssl.args(["-from", ORNEKAS, "-to", to, "-subject", subject]);
        // Of its base64 it ends the lines with LF whatever it is told.
        let mail = String::from_utf8(done(&mut openssl)).unwrap();
        mail.replace("\r\n", "\n").replace('\n', "\r\n")
    }

    /// A detached signature in DER over the octets of a file.
    pub fn detached(&self, card: &Card, file: &Path) -> PathBuf {
        let out = self.dir.path().join("signature.p7s");
        let mut openssl = Command::new("openssl");
        openssl.args([
            "cms", "-sign", "-binary", "-cades", "-md", "sha384", "-outform", "DER", "-in",
        ]);
        openssl.arg(file).arg("-signer").arg(&card.certificate);
        openssl.arg("-inkey").arg(&card.key).arg("-out").arg(&out);
        done(&mut openssl);
        out
    }

    /// A detached signature in DER over octets, whose maker says he signed then.
    pub fn detached_at(&self, card: &Card, octets: &[u8], at: UtcTime) -> Vec<u8> {
        let attributes = SignedAttributes::new(CONTENT_DATA, &sha256(octets), &card.read, at);
        let file = self.dir.path().join("attributes");
        std::fs::write(&file, attributes.to_be_signed()).unwrap();
        let value = Command::new("openssl")
            .args(["dgst", "-sha256", "-sign"])
            .arg(&card.key)
            .arg(&file)
            .output()
            .unwrap();
        assert!(value.status.success());
        let assembly = Assembly {
            attributes: &attributes,
            signer: &card.read,
            chain: &[],
            algorithm: SignatureAlgorithm::Ecdsa(DigestAlgorithm::Sha256),
            signature: &value.stdout,
            content_type: CONTENT_DATA,
            content: None,
            stamp_token: None,
        };
        assembly.der()
    }

    /// Puts a card's key into a token with a PIN; it lies nowhere else then.
    pub fn put_in_token(&self, card: &Card, pin: &str) {
        let tokens = self.dir.path().join("tokens");
        std::fs::create_dir(&tokens).unwrap();
        let conf = format!("directories.tokendir = {}\n", tokens.display());
        std::fs::write(self.dir.path().join("softhsm2.conf"), conf).unwrap();
        let util = |args: &[&str]| {
            let mut util = Command::new("softhsm2-util");
            done(self.in_token(&mut util).args(args).args(["--pin", pin]));
        };
        util(&[
            "--init-token",
            "--free",
            "--label",
            "kart",
            "--so-pin",
            "12345678",
        ]);
        let key = card.key.to_str().unwrap();
        util(&[
            "--import", key, "--token", "kart", "--label", "imza", "--id", "01",
        ]);
        std::fs::remove_file(&card.key).unwrap();
    }

    fn in_token<'c>(&self, command: &'c mut Command) -> &'c mut Command {
        command.env("SOFTHSM2_CONF", self.dir.path().join("softhsm2.conf"))
    }

    /// A detached signature over octets, its value made in a PKCS #11 session that this PIN opens.
    pub fn signed_in_token(&self, card: &Card, pin: &str, octets: &[u8]) -> Result<PathBuf, String> {
        let attributes = SignedAttributes::new(CONTENT_DATA, &sha256(octets), &card.read, SystemClock.now());
        let at = |name: &str| self.dir.path().join(name);
        std::fs::write(at("hash"), sha256(attributes.to_be_signed())).unwrap();
        let mut tool = Command::new("pkcs11-tool");
        self.in_token(&mut tool);
        tool.args([
            "--module",
            "/usr/lib/softhsm/libsofthsm2.so",
            "--token-label",
            "kart",
            "--login",
            "--pin",
            pin,
        ]);
        tool.args([
            "--sign",
            "--id",
            "01",
            "--mechanism",
            "ECDSA",
            "--signature-format",
            "sequence",
        ]);
        tool.arg("--input-file")
            .arg(at("hash"))
            .arg("--output-file")
            .arg(at("value"));
        let out = tool.output().unwrap();
        if !out.status.success() {
            return Err(String::from_utf8_lossy(&out.stderr).into_owned());
        }
        let assembly = Assembly {
            attributes: &attributes,
            signer: &card.read,
            chain: &[],
            algorithm: SignatureAlgorithm::Ecdsa(DigestAlgorithm::Sha256),
            signature: &std::fs::read(at("value")).unwrap(),
            content_type: CONTENT_DATA,
            content: None,
            stamp_token: None,
        };
        std::fs::write(at("card.p7s"), assembly.der()).unwrap();
        Ok(at("card.p7s"))
    }

    /// What `openssl` reads of a signed mail that arrived.
    pub fn openssl_reads(&self, mail: &[u8]) -> Result<String, String> {
        let (path, ca) = (
            self.dir.path().join("arrived.eml"),
            self.dir.path().join("nes-ca.pem"),
        );
        std::fs::write(&path, mail).unwrap();
        std::fs::write(&ca, self.root.pem()).unwrap();
        let mut openssl = Command::new("openssl");
        openssl.args(["cms", "-verify", "-inform", "SMIME", "-purpose", "any", "-in"]);
        let out = openssl.arg(&path).arg("-CAfile").arg(&ca).output().unwrap();
        match out.status.success() {
            true => Ok(String::from_utf8(out.stdout).unwrap()),
            false => Err(String::from_utf8_lossy(&out.stderr).into_owned()),
        }
    }
}

/// A body part as a mail reader writes it.
pub fn entity(text: &str) -> String {
    format!(
        "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n{}\r\n",
        text.replace('ş', "=C5=9F")
    )
}
