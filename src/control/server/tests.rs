//! The server with a client over a real socket: the first step of the demonstrated road, said and read back.

mod certificates;
mod crediting;
mod declaring;
mod mails;
mod people;
mod rules;
mod signatures;
mod units;

use super::*;
use crate::address::LoginName;
use crate::clock::{ManualClock, UtcTime};
use crate::control::protocol::{Record, Request, VERSION, Word};
use crate::control::words::Ports;
use crate::domain::provider::Peer;
use crate::domain::samples::terms;
use crate::domain::tenant::Language;
use crate::id::CountedIds;
use crate::service::account::{Accounts, Secret};
use crate::service::approval::Approval;
use crate::service::archive::Archive;
use crate::service::bell::Bells;
use crate::service::credit::Credits;
use crate::service::declaring::Declaring;
use crate::service::identity::{Credentials, Identity, Published};
use crate::service::item_numbers::ItemNumbers;
use crate::service::mailbox::Mailboxes;
use crate::service::organisation::Organisations;
use crate::service::peers::Peers;
use crate::service::queueing::Queueing;
use crate::service::records::Records;
use crate::service::rehearsal::Rehearsal;
use crate::service::searched::Texts;
use crate::service::submission::Submission;
use crate::store::db::{EngineKind, open};
use crate::store::probe::NoProbe;
use crate::store::spool::Spool;
use clap::Parser;
use serde_json::json;

#[derive(Parser)]
struct Typed {
    #[arg(long = "as", global = true)]
    by: Option<LoginName>,
    #[command(subcommand)]
    word: Word,
}

fn typed(line: &str) -> Request {
    let words = line.split('|').map(str::trim);
    let typed = Typed::try_parse_from(std::iter::once("kepctl").chain(words)).unwrap();
    Request {
        version: VERSION,
        by: typed.by,
        word: typed.word,
    }
}

struct Running {
    door: Arc<ControlDoor>,
    path: PathBuf,
    stop: watch::Sender<bool>,
    server: tokio::task::JoinHandle<()>,
    _dir: tempfile::TempDir,
}

fn identity() -> Identity {
    let text = "[provider]\ndomain = \"hs01.kep.test\"\nname = \"HS01\"\nrealms = [\"kep.test\"]\n";
    toml::from_str::<crate::config::Config>(text)
        .unwrap()
        .identity(None)
        .unwrap()
}

fn door(dir: &Path) -> ControlDoor {
    let db = open(EngineKind::Fjall, &dir.join("store"), Arc::new(NoProbe)).unwrap();
    let spool = Spool::open(&dir.join("spool"), Arc::new(NoProbe)).unwrap();
    let clock = Arc::new(ManualClock::at(UtcTime::from_unix_s(1_795_466_705)));
    let bells = Bells::default();
    let organisations = Arc::new(Organisations::new(db.clone(), clock.clone(), bells.clone()));
    let accounts = Arc::new(Accounts::new(db.clone(), organisations.clone()).unwrap());
    let approval = Arc::new(Approval {
        db: db.clone(),
        clock: clock.clone(),
        ids: Arc::new(CountedIds::default()),
        organisations: organisations.clone(),
        identity: Arc::new(identity()),
        items: Arc::new(ItemNumbers::new(db.clone())),
        bells: bells.clone(),
        terms: Arc::new(terms()),
    });
    let submission = Arc::new(Submission {
        db: db.clone(),
        spool: spool.clone(),
        clock: clock.clone(),
        ids: approval.ids.clone(),
        organisations: organisations.clone(),
        identity: approval.identity.clone(),
        items: approval.items.clone(),
        bells: bells.clone(),
        terms: approval.terms.clone(),
        signatures: Arc::default(),
    });
    let declaring = Arc::new(Declaring {
        db: db.clone(),
        clock: clock.clone(),
        ids: Arc::new(CountedIds::default()),
        organisations: organisations.clone(),
        identity: Arc::new(identity()),
        bells: bells.clone(),
    });
    let mailboxes = Arc::new(Mailboxes {
        db: db.clone(),
        spool: spool.clone(),
        clock: clock.clone(),
        ids: approval.ids.clone(),
        organisations: organisations.clone(),
        identity: approval.identity.clone(),
        items: approval.items.clone(),
        bells: bells.clone(),
        approval: approval.clone(),
        declaring: declaring.clone(),
        submission,
        seats: Default::default(),
        changes: Default::default(),
        rosters: Default::default(),
        counts: Default::default(),
        texts: Arc::new(Texts::new(spool.clone(), None, bells.indexing.clone())),
        listening: Default::default(),
        unread: Default::default(),
    });
    let published = Published::of(Credentials {
        tls_sha256: vec!["ab".repeat(32).try_into().unwrap()],
        seal_sha256: vec!["cd".repeat(32).try_into().unwrap()],
        trust_pem: "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n".into(),
        past_pem: String::new(),
    });
    let archive = Archive {
        db: db.clone(),
        spool: spool.clone(),
        clock: clock.clone(),
        identity: Arc::new(identity()),
        published: published.clone(),
    };
    let book = crate::service::auditing::AuditBook {
        db: db.clone(),
        spool: spool.clone(),
        clock: clock.clone(),
        published: published.clone(),
        last_text: Default::default(),
    };
    ControlDoor {
        book: Arc::new(book),
        published,
        declaring,
        by: crate::domain::audit::Author::administrator(0),
        acting: None,
        archive: Arc::new(archive),
        organisations: organisations.clone(),
        accounts,
        approval,
        rehearsal: Arc::new(Rehearsal {
            db: db.clone(),
            spool: spool.clone(),
            organisations: organisations.clone(),
        }),
        mailboxes,
        credits: Arc::new(Credits::new(db.clone(), clock.clone(), Default::default())),
        records: Arc::new(Records {
            db: db.clone(),
            spool,
        }),
        peers: Arc::new(Peers::new(db.clone(), "hs01.kep.test".parse().unwrap())),
        queue: Arc::new(Queueing {
            db,
            clock,
            relay: bells.relay,
        }),
        profile: Peer {
            domain: "hs01.kep.test".parse().unwrap(),
            host: "127.0.0.1".into(),
            port: 2525,
            tls_sha256: Vec::new(),
            seal_sha256: Vec::new(),
            trust_pem: String::new(),
            service: "kep@hs01.kep.test".parse().unwrap(),
            size_max_bytes: 1 << 20,
        },
        language: Language::Turkish,
        ports: Ports {
            submission_tls: 465,
            submission: 587,
            relay: 2525,
            imap_tls: 993,
            imap: 143,
            metrics: 9925,
            autoconfig: None,
            autoconfig_tls: None,
            control: String::new(),
        },
        clients: crate::autoconfig::Settings {
            domain: "hs01.kep.test".parse().unwrap(),
            name: "HS01".into(),
            host: "posta.hs01.kep.test".parse().unwrap(),
            imap_tls: 993,
            imap: 143,
            submission_tls: 465,
            submission: 587,
            over_http: true,
            https: None,
        },
    }
}

async fn run() -> Running {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("control.sock");
    let door = Arc::new(door(dir.path()));
    let server = ControlServer::bind(&path).await.unwrap();
    let (stop, stopping) = watch::channel(false);
    let server = tokio::spawn(server.serve(door.clone(), stopping));
    Running {
        door,
        path,
        stop,
        server,
        _dir: dir,
    }
}

async fn say_octets(path: &Path, octets: &[u8]) -> Reply {
    let mut stream = UnixStream::connect(path).await.unwrap();
    stream.write_all(octets).await.unwrap();
    let mut line = Vec::new();
    BufReader::new(stream).read_until(b'\n', &mut line).await.unwrap();
    protocol::read(&line).unwrap()
}

/// A word of the administrator himself.
fn bare(word: Word) -> Request {
    Request {
        version: VERSION,
        by: None,
        word,
    }
}

async fn say(running: &Running, request: Request) -> Reply {
    say_octets(&running.path, &protocol::line(&request).unwrap()).await
}

async fn done(running: &Running, line: &str) -> Record {
    match say(running, typed(line)).await {
        Reply::One(record) => record,
        other => panic!("{line}: {other:?}"),
    }
}

async fn listed(running: &Running, line: &str) -> Vec<Record> {
    match say(running, typed(line)).await {
        Reply::List(list) => list,
        other => panic!("{line}: {other:?}"),
    }
}

async fn refused(running: &Running, line: &str) -> String {
    match say(running, typed(line)).await {
        Reply::Refused(why) => why,
        other => panic!("{line}: {other:?}"),
    }
}

#[tokio::test]
async fn a_tenant_is_set_up_and_read_back() {
    let r = run().await;
    let tenant = done(&r, "tenant|add|ornekas|--title|Örnek A.Ş.").await;
    assert_eq!(tenant.value("address"), Some(&json!("ornekas@hs01.kep.test")));
    for line in [
        "unit|add|ornekas|Genel Müdürlük",
        "unit|add|ornekas|Satış|--parent|Genel Müdürlük",
        "label|add|ornekas|Finans",
        "unit|label|ornekas|Satış|Finans",
        "role|add|ornekas|Yazan|--permit|compose,view",
        "role|add|ornekas|Onay Rolü|--permit|view",
        "role|grant|ornekas|onay rolü|approve",
        "role|add|ornekas|Onay Rolü2|--permit|approve,view",
        "officer|add|mudur@ornekas|--name|Müdür",
        "user|add|ayse@ornekas|--name|Ayşe|--unit|Satış|--role|Yazan",
        "user|add|onay1@ornekas|--role|Onay Rolü",
        "user|add|onay2@ornekas",
        "user|role|onay2@ornekas|--add|Onay Rolü2",
        "rule|add|ornekas|Teklif|--to|Teklif|--subject|Teklif|--step|Onay Rolü:1|--step|Onay Rolü2:2",
    ] {
        done(&r, line).await;
    }

    let ayse = done(&r, "user|show|ayse@ornekas").await;
    assert_eq!(ayse.value("units"), Some(&json!(["Genel Müdürlük/Satış"])));
    assert_eq!(ayse.value("roles"), Some(&json!(["Yazan"])));
    let rule = done(&r, "rule|show|ornekas|teklif").await;
    assert_eq!(rule.value("steps"), Some(&json!(["Onay Rolü:1", "Onay Rolü2:2"])));
    let role = done(&r, "role|show|ornekas|Onay Rolü").await;
    assert_eq!(role.value("permissions"), Some(&json!(["approve", "view"])));
    assert_eq!(role.value("users"), Some(&json!(["onay1"])));
    assert_eq!(listed(&r, "officer|list|ornekas").await.len(), 1);
    assert_eq!(listed(&r, "user|list|ornekas").await.len(), 4);
    let tree = listed(&r, "unit|tree|ornekas").await;
    assert_eq!(tree[1].value("unit"), Some(&json!("  Satış")));

    let hit = done(&r, "rule|test|ornekas|--subject|TEKLİF no 5").await;
    assert_eq!(hit.value("rule"), Some(&json!("Teklif")));
    assert!(
        refused(&r, "rule|show|ornekas|Teklf")
            .await
            .contains("did you mean \"Teklif\"?")
    );
    done(&r, "rule|disable|ornekas|Teklif").await;
    let miss = done(&r, "rule|test|ornekas|--subject|TEKLİF no 5").await;
    assert_eq!(miss.value("matches"), Some(&json!(false)));
    let summary = done(&r, "tenant|summary|ornekas").await;
    assert_eq!(summary.value("users"), Some(&json!(3)));
    let client = done(&r, "tenant|show|ornekas|--client").await;
    assert_eq!(client.value("imap_tls"), Some(&json!("127.0.0.1:993")));
}

#[tokio::test]
async fn refusals_name_the_nearest_and_passwords_work() {
    let r = run().await;
    done(&r, "tenant|add|alici").await;
    done(&r, "officer|add|alici@alici").await;
    assert!(
        refused(&r, "tenant|show|alicı2")
            .await
            .contains("did you mean \"alici\"?")
    );
    assert!(
        refused(&r, "user|show|alic@alici")
            .await
            .contains("did you mean \"alici\"?")
    );
    assert!(
        refused(&r, "role|show|alici|x")
            .await
            .contains("there is no role")
    );
    done(&r, "user|add|veli@alici").await;
    assert!(
        refused(&r, "officer|show|veli@alici")
            .await
            .contains("not an officer")
    );
    assert_eq!(
        refused(&r, "tenant|close|alici").await,
        "tenant close is not built yet"
    );
    assert_eq!(
        refused(&r, "contact|list|alici").await,
        "contact list is not built yet"
    );
    assert!(
        refused(&r, "user|passwd|veli@alici")
            .await
            .contains("no password")
    );

    let typed_word = typed("user|passwd|alici@alici").word;
    let Word::User(crate::control::protocol::UserWord::Passwd(mut wish)) = typed_word else {
        panic!("another word");
    };
    for (text, works) in [("kısa", false), ("doğru at pil zımba", true)] {
        wish.password.password = Some(crate::control::protocol::PasswordText(text.into()));
        let word = Word::User(crate::control::protocol::UserWord::Passwd(wish.clone()));
        assert_eq!(
            matches!(say(&r, bare(word)).await, Reply::One(_)),
            works,
            "{text}"
        );
    }
    let login = "alici@alici".parse().unwrap();
    let secret = |text: &str| Secret::new(text.into());
    let right = r
        .door
        .accounts
        .check_password(&login, secret("doğru at pil zımba"))
        .await
        .unwrap();
    assert!(right.is_some());
    assert!(
        r.door
            .accounts
            .check_password(&login, secret("kısa"))
            .await
            .unwrap()
            .is_none()
    );

    done(&r, "tenant|suspend|alici").await;
    assert!(r.door.accounts.principal(&login).unwrap().is_none());
    done(&r, "tenant|resume|alici").await;
    assert!(r.door.accounts.principal(&login).unwrap().is_some());
    done(&r, "user|remove|alici@alici").await;
    assert!(r.door.accounts.principal(&login).unwrap().is_none());
}

#[tokio::test]
async fn a_profile_goes_from_provider_to_provider() {
    let r = run().await;
    let own = done(&r, "peer|export").await;
    let mut profile = serde_json::to_value(&own).unwrap();
    let import = |profile: &serde_json::Value| {
        Word::Peer(crate::control::protocol::PeerWord::Import {
            file: PathBuf::new(),
            profile: profile.to_string(),
        })
    };
    // One's own profile is not a peer's.
    assert!(matches!(say(&r, bare(import(&profile))).await, Reply::Refused(_)));
    profile["domain"] = json!("hs02.kep.test");
    profile["service"] = json!("kep@hs02.kep.test");
    assert!(matches!(say(&r, bare(import(&profile))).await, Reply::One(_)));
    done(&r, "peer|set|hs02.kep.test|--port|26").await;
    let peers = listed(&r, "peer|list").await;
    assert_eq!(peers.len(), 1);
    assert_eq!(peers[0].value("port"), Some(&json!(26)));
    assert_eq!(peers[0].value("tls_sha256"), Some(&json!(["ab".repeat(32)])));
    let kept = r.door.peers.show(&"hs02.kep.test".parse().unwrap()).unwrap();
    assert_eq!(kept.trust_pem, r.door.published.now().trust_pem);
    done(&r, "peer|remove|hs02.kep.test").await;
    assert!(refused(&r, "peer|show|hs02.kep.test").await.contains("no peer"));
    let export = "mail|export|00000000-0000-0000-0000-000000000001|--out|/nonexistent";
    assert!(refused(&r, export).await.contains("no mail"));
    assert_eq!(listed(&r, "queue|list").await, []);
    assert!(
        refused(&r, "queue|retry|00000000-0000-0000-0000-000000000001")
            .await
            .contains("no queue entry")
    );
}

#[tokio::test]
async fn the_socket_is_guarded_bounded_and_cleared_away() {
    let r = run().await;
    let mode = std::fs::metadata(&r.path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(matches!(
        ControlServer::bind(&r.path).await,
        Err(SocketError::InUse(_))
    ));

    let long = vec![b'x'; REQUEST_MAX_OCTETS + 1];
    let Reply::Refused(why) = say_octets(&r.path, &long).await else {
        panic!("taken")
    };
    assert!(why.contains("at most"), "{why}");
    assert!(matches!(
        say_octets(&r.path, b"{\"version\":1}\n").await,
        Reply::Refused(_)
    ));
    let newer = Request {
        version: VERSION + 1,
        ..typed("tenant|list")
    };
    let Reply::Refused(why) = say_octets(&r.path, &protocol::line(&newer).unwrap()).await else {
        panic!("taken")
    };
    assert!(why.contains("version 2"), "{why}");

    r.stop.send_replace(true);
    r.server.await.unwrap();
    assert!(!r.path.exists());
    // A socket left behind by a dead process is replaced; a file is not.
    drop(std::os::unix::net::UnixListener::bind(&r.path).unwrap());
    drop(ControlServer::bind(&r.path).await.unwrap());
    std::fs::write(&r.path, b"precious").unwrap();
    assert!(matches!(
        ControlServer::bind(&r.path).await,
        Err(SocketError::NotASocket(_))
    ));
}

#[tokio::test]
async fn who_decides_reads_all_recipients() {
    use crate::domain::job::{Job, JobStart};
    use crate::domain::mail::{Mail, MailState, Recipient, RecipientState};
    use crate::domain::samples::rule;
    use crate::id::{ItemId, JobId, MailId, UserId};
    use crate::store::db::Batch;
    use crate::store::tables::{jobs, mails};
    let r = run().await;
    done(&r, "tenant|add|ornekas|--title|Örnek A.Ş.").await;
    let tenant = r.door.organisations.by_name("ornekas").unwrap().tenant.id;
    let at = UtcTime::from_unix_s(1_795_466_705);
    let recipient = |address: &str, blind| Recipient {
        declared: None,
        address: address.parse().unwrap(),
        blind,
        state: RecipientState::Waiting,
    };
    let mail = Mail {
        id: MailId::from_octets([1; 16]),
        tenant,
        author: UserId(1),
        item: ItemId(1),
        job: Some(JobId::from_octets([2; 16])),
        follows: None,
        original_sha256: [3; 32],
        original_size_bytes: 1,
        original_8bit: false,
        receipts: Default::default(),
        cost_units: 0,
        signature: None,
        subject: "Teklif".into(),
        message_id: "<1@hs01.kep.test>".into(),
        sender: "ornekas@hs01.kep.test".parse().unwrap(),
        submitted_at: at,
        state: MailState::Held,
        recipients: vec![
            recipient("alici@hs02.kep.test", false),
            recipient("gizli@hs02.kep.test", true),
        ],
    };
    let start = JobStart {
        id: JobId::from_octets([2; 16]),
        tenant,
        mail: mail.id,
        item: mail.item,
        author: Some(mail.author),
        rule: &rule(Vec::new()),
        original_sha256: mail.original_sha256,
        subject: mail.subject.clone(),
        thread: mail.message_id.clone(),
        follows: None,
        at,
    };
    let moved = Job::start(start, &r.door.organisations.of(tenant).unwrap(), &terms());
    let mut batch = Batch::new();
    mails::add(&mut batch, &mail).unwrap();
    jobs::add(&mut batch, &moved).unwrap();
    r.door.records.db.commit(batch).await.unwrap();
    let shown = done(&r, &format!("job|show|{}", moved.job.id)).await;
    let told = shown.value("recipients").unwrap();
    assert_eq!(told[0]["address"], "alici@hs02.kep.test");
    assert_eq!(told[1]["address"], "gizli@hs02.kep.test");
    assert_eq!(
        (&told[0]["blind"], &told[1]["blind"]),
        (&json!(false), &json!(true))
    );
}
