//! The two servers: started in a folder, measured through `/proc`, stopped.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Accounts of each server; the mixed load uses sixteen.
pub const ACCOUNTS: usize = 17;

pub trait Server: Sync {
    fn port(&self) -> u16;
    fn login(&self, n: usize) -> (String, String);
    /// Where clients may put messages, as IMAP writes it.
    fn mailbox(&self) -> &str;
    /// CPU time of all its processes so far, in microseconds.
    fn cpu_us(&self) -> u64;
    /// CPU time of those of its threads that live, in microseconds, to the nanosecond.
    fn cpu_now_us(&self) -> f64;
    /// Proportional memory of all its processes, in KB.
    fn memory_kb(&self) -> u64;
}

fn wait_for(what: &str, mut there: impl FnMut() -> bool) {
    let until = Instant::now() + Duration::from_secs(60);
    while !there() {
        assert!(Instant::now() < until, "{what} did not come up");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Fields of `/proc/PID/stat` behind the name of the program.
fn stat(pid: u32) -> Option<Vec<u64>> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = text.rsplit_once(") ")?;
    Some(rest.split(' ').map(|f| f.parse().unwrap_or(0)).collect())
}

const TICK_US: u64 = 10_000;

fn own_ticks(pid: u32) -> u64 {
    stat(pid).map_or(0, |f| f[11] + f[12])
}

/// The time that the threads of a process that live have run.
fn threads_us(pid: u32) -> f64 {
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else {
        return 0.0;
    };
    let texts = threads.filter_map(|t| fs::read_to_string(t.ok()?.path().join("schedstat")).ok());
    let ran_ns = texts.filter_map(|text| text.split(' ').next()?.parse::<u64>().ok());
    ran_ns.sum::<u64>() as f64 / 1000.0
}

fn children_ticks(pid: u32) -> u64 {
    stat(pid).map_or(0, |f| f[13] + f[14])
}

/// A process and all below it.
fn family(root: u32) -> BTreeSet<u32> {
    let pids = || {
        fs::read_dir("/proc")
            .unwrap()
            .filter_map(|e| e.ok()?.file_name().to_str()?.parse::<u32>().ok())
    };
    let parents: Vec<(u32, u32)> = pids()
        .filter_map(|p| Some((p, u32::try_from(stat(p)?[1]).ok()?)))
        .collect();
    let mut all = BTreeSet::from([root]);
    loop {
        let before = all.len();
        all.extend(
            parents
                .iter()
                .filter(|(_, parent)| all.contains(parent))
                .map(|(p, _)| *p)
                .collect::<Vec<_>>(),
        );
        if all.len() == before {
            return all;
        }
    }
}

fn pss_kb(pid: u32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
    let line = text.lines().find_map(|l| l.strip_prefix("Pss:"));
    line.and_then(|l| l.trim().strip_suffix(" kB")?.parse().ok())
        .unwrap_or(0)
}

pub struct Kepd {
    process: Child,
    port: u16,
    password: String,
}

impl Kepd {
    /// The program as `cargo build --release` leaves it.
    pub fn built() -> PathBuf {
        let binary = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("release/kepd");
        assert!(binary.exists(), "run `cargo build --release --bins` first");
        binary
    }

    pub fn start(folder: &Path, binary: &Path) -> Self {
        let process = Command::new(binary)
            .args(["demo", "--accounts", &ACCOUNTS.to_string(), "--data"])
            .arg(folder)
            .env("RUST_LOG", "error")
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let home = folder.join("hs01");
        let credentials = home.join("credentials.json");
        let read = |path: PathBuf| -> Option<serde_json::Value> {
            serde_json::from_slice(&fs::read(path).ok()?).ok()
        };
        wait_for("kepd", || {
            let all = read(credentials.clone());
            all.is_some_and(|all| all.to_string().contains(&format!("user{ACCOUNTS}@")))
        });
        let ports = read(home.join("ports.json")).unwrap();
        let all = read(credentials).unwrap();
        let person = all
            .as_array()
            .unwrap()
            .iter()
            .find(|c| c["address"].as_str().is_some_and(|a| a.starts_with("user1@")));
        Self {
            process,
            port: u16::try_from(ports["imap_tls"].as_u64().unwrap()).unwrap(),
            password: person.unwrap()["password"].as_str().unwrap().to_owned(),
        }
    }

    pub fn stop(mut self) {
        stop(&mut self.process);
    }
}

/// SIGTERM, and the end awaited.
fn stop(process: &mut Child) {
    let _ = Command::new("kill").arg(process.id().to_string()).status();
    let _ = process.wait();
}

impl Server for Kepd {
    fn port(&self) -> u16 {
        self.port
    }

    fn login(&self, n: usize) -> (String, String) {
        (format!("user{}@hs01.kep.test", n + 1), self.password.clone())
    }

    fn mailbox(&self) -> &str {
        "Taslaklar"
    }

    fn cpu_us(&self) -> u64 {
        own_ticks(self.process.id()) * TICK_US
    }

    fn cpu_now_us(&self) -> f64 {
        threads_us(self.process.id())
    }

    fn memory_kb(&self) -> u64 {
        pss_kb(self.process.id())
    }
}

/// When Dovecot's changes are on the disk.
#[derive(Clone, Copy)]
pub enum Syncs {
    /// `mail_fsync = optimized`: mail is, flags are not.
    ItsDefault,
    /// `mail_fsync = always`: all that is answered is, as it is here.
    Always,
}

pub struct Dovecot {
    process: Child,
    port: u16,
}

const PASSWORD: &str = "dogru-at-pil-zimba";

impl Dovecot {
    /// `None` when it is not installed.
    pub fn start(folder: &Path, format: &str, syncs: Syncs) -> Option<Self> {
        let binary = Path::new("/usr/sbin/dovecot");
        if !binary.exists() {
            return None;
        }
        fs::create_dir_all(folder).unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let cert = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        fs::write(folder.join("cert.pem"), cert.cert.pem()).unwrap();
        fs::write(folder.join("key.pem"), cert.signing_key.serialize_pem()).unwrap();
        fs::write(folder.join("passwd"), accounts()).unwrap();
        fs::write(
            folder.join("dovecot.conf"),
            configuration(folder, format, port, syncs),
        )
        .unwrap();
        // It serves as a user of its own; the folder must be that user's.
        let _ = Command::new("chown")
            .args(["-R", "mail:mail"])
            .arg(folder)
            .status();
        open_way(folder);
        let log = fs::File::create(folder.join("stderr")).unwrap();
        let process = Command::new(binary)
            .arg("-F")
            .arg("-c")
            .arg(folder.join("dovecot.conf"))
            .stderr(log)
            .spawn()
            .unwrap();
        wait_for("dovecot", || {
            std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
        Some(Self { process, port })
    }

    pub fn stop(mut self) {
        stop(&mut self.process);
    }
}

/// Other users may pass through the folders above.
fn open_way(folder: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    for above in folder.ancestors().skip(1).filter(|p| p.parent().is_some()) {
        let mode = fs::metadata(above).unwrap().permissions().mode();
        let _ = fs::set_permissions(above, fs::Permissions::from_mode(mode | 0o011));
    }
}

/// The same Argon2id parameters as kepd's: 19 MiB, two passes.
fn accounts() -> String {
    use argon2::password_hash::phc::{Output, ParamsString, PasswordHash, Salt};
    let params = argon2::Params::default();
    let engine = argon2::Argon2::new(
        argon2::Algorithm::Argon2id,
        argon2::Version::V0x13,
        params.clone(),
    );
    let (salt, mut output) = ([7u8; 16], [0u8; 32]);
    engine
        .hash_password_into(PASSWORD.as_bytes(), &salt, &mut output)
        .unwrap();
    let hash = PasswordHash {
        algorithm: argon2::ARGON2ID_IDENT,
        version: Some(argon2::Version::V0x13.into()),
        params: ParamsString::try_from(&params).unwrap(),
        salt: Some(Salt::new(&salt).unwrap()),
        hash: Some(Output::new(&output).unwrap()),
    };
    (1..=ACCOUNTS)
        .map(|n| format!("user{n}:{{ARGON2ID}}{hash}\n"))
        .collect()
}

fn configuration(folder: &Path, format: &str, port: u16, syncs: Syncs) -> String {
    let dir = folder.display();
    let fsync = match syncs {
        Syncs::ItsDefault => "optimized",
        Syncs::Always => "always",
    };
    format!(
        "base_dir = {dir}/run\nstate_dir = {dir}/state\nlog_path = {dir}/log\nprotocols = imap\nssl = required\n\
         ssl_cert = <{dir}/cert.pem\nssl_key = <{dir}/key.pem\nmail_fsync = {fsync}\nmail_location = {format}:{dir}/mail/%u\nmail_uid = mail\nmail_gid = mail\n\
         first_valid_uid = 1\nfirst_valid_gid = 1\nmail_max_userip_connections = 2000\ndefault_process_limit = 2000\ndefault_client_limit = 8000\n\
         service imap-login {{\n  inet_listener imap {{\n    port = 0\n  }}\n  inet_listener imaps {{\n    address = 127.0.0.1\n    port = {port}\n  }}\n  \
         service_count = 0\n  process_min_avail = 2\n  vsz_limit = 1G\n}}\nservice imap {{\n  process_limit = 2000\n  service_count = 100\n}}\nservice auth {{\n  vsz_limit = 1G\n}}\nservice auth-worker {{\n  vsz_limit = 1G\n}}\n\
         auth_mechanisms = plain\npassdb {{\n  driver = passwd-file\n  args = {dir}/passwd\n}}\n\
         userdb {{\n  driver = static\n  args = uid=mail gid=mail home={dir}/home/%u\n}}\n\
         namespace inbox {{\n  inbox = yes\n  separator = /\n  mailbox Drafts {{\n    auto = create\n    special_use = \\Drafts\n  }}\n}}\n"
    )
}

impl Server for Dovecot {
    fn port(&self) -> u16 {
        self.port
    }

    fn login(&self, n: usize) -> (String, String) {
        (format!("user{}", n + 1), PASSWORD.to_owned())
    }

    fn mailbox(&self) -> &str {
        "Drafts"
    }

    fn cpu_us(&self) -> u64 {
        let root = self.process.id();
        let all = family(root);
        // Those that have ended are counted with the master, who waited for them.
        let ticks: u64 = all.iter().map(|p| own_ticks(*p)).sum();
        (ticks + children_ticks(root)) * TICK_US
    }

    fn cpu_now_us(&self) -> f64 {
        family(self.process.id()).into_iter().map(threads_us).sum()
    }

    fn memory_kb(&self) -> u64 {
        family(self.process.id()).into_iter().map(pss_kb).sum()
    }
}
