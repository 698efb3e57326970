//! The full-text index through the mailbox door: whatever it knows, lacks or has lost, a search finds what reading finds;
//! it shows nobody what is not his, and nobody waits for it.

use super::mailbox_house::{House, PASSWORD};
use kepd::domain::audit::Origin;
use kepd::domain::item::{Filed, ItemKind};
use kepd::domain::selector::Mailbox;
use kepd::id::ItemId;
use kepd::net::imap::Begin;
use kepd::service::mailbox::{Mailboxes, Marks, Sought};
use kepd::store::spool::BlobId;
use kepd::store::tables::items;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, DuplexStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// A client that stays logged in.
struct Client {
    pipe: BufReader<DuplexStream>,
    _stopping: watch::Sender<bool>,
    serving: JoinHandle<()>,
}

impl Client {
    async fn log_in(house: &House, mailboxes: Arc<Mailboxes>, login: &str) -> Self {
        let door = Arc::new(crate::mailbox_house::door(mailboxes, house.accounts.clone()));
        let (pipe, server) = tokio::io::duplex(64 * 1024);
        let (keep, stopping) = watch::channel(false);
        let serving = tokio::spawn(async move {
            // How it ends is the client's doing.
            let _ = door.serve(server, Begin::Tls, Origin::Inside, stopping).await;
        });
        let mut client = Self {
            pipe: BufReader::new(pipe),
            _stopping: keep,
            serving,
        };
        client.say(&format!("LOGIN {login} \"{PASSWORD}\"")).await;
        client
    }

    /// Hangs up; the door has let go of everything when this returns.
    async fn leave(self) {
        drop(self.pipe);
        self.serving.await.unwrap();
    }

    async fn say(&mut self, command: &str) -> Vec<String> {
        let octets = format!("a {command}\r\n");
        self.pipe.get_mut().write_all(octets.as_bytes()).await.unwrap();
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            assert!(
                self.pipe.read_line(&mut line).await.unwrap() > 0,
                "the door closed"
            );
            if line.starts_with("a ") {
                assert!(line.starts_with("a OK"), "{command}: {line}");
                return lines;
            }
            lines.push(line);
        }
    }

    /// The UIDs of a search; `%` in the key stands for the text.
    async fn search(&mut self, key: &str, text: &str) -> Vec<u32> {
        self.search_in("CHARSET UTF-8 ", key, text).await
    }

    async fn search_in(&mut self, charset: &str, key: &str, text: &str) -> Vec<u32> {
        let literal = format!("{{{}+}}\r\n{text}", text.len());
        let command = format!("UID SEARCH {charset}{}", key.replace('%', &literal));
        let lines = self.say(&command).await;
        let found = lines.iter().find(|l| l.starts_with("* SEARCH"));
        let words = found.map_or("", |l| l.trim_start_matches("* SEARCH"));
        words.split_whitespace().map(|w| w.parse().unwrap()).collect()
    }
}

/// Numbers that are the same in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % n
    }

    fn pick<'a>(&mut self, all: &[&'a str]) -> &'a str {
        all[self.below(all.len())]
    }
}

const WORDS: [&str; 16] = [
    "ILIK",
    "ılık",
    "ilik",
    "İLİK",
    "Şube",
    "şubeler",
    "çağrı",
    "ağ",
    "Öğün",
    "üst",
    "iş",
    "IŞIK",
    "a",
    "teklif",
    "Teklifler",
    "sözleşme",
];
const GAPS: [&str; 7] = [" ", " ", " ", ", ", "\r\n", "'", ". "];

fn words(dice: &mut Dice, most: usize) -> String {
    let mut text = String::new();
    for _ in 0..dice.below(most) {
        text.push_str(dice.pick(&WORDS));
        text.push_str(dice.pick(&GAPS));
    }
    if dice.below(8) == 0 {
        text.push_str(&"Uzunkelime".repeat(3 + dice.below(8)));
    }
    text
}

/// Latin-5, as ISO 8859-9 and windows-1254 have it for these letters.
fn latin5(text: &str) -> Vec<u8> {
    let octet = |c: char| match c {
        'ğ' => 0xf0,
        'Ğ' => 0xd0,
        'ı' => 0xfd,
        'İ' => 0xdd,
        'ş' => 0xfe,
        'Ş' => 0xde,
        c => u8::try_from(u32::from(c)).unwrap(),
    };
    text.chars().map(octet).collect()
}

fn quoted_printable(octets: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for (n, octet) in octets.iter().enumerate() {
        out.extend(format!("={octet:02X}").bytes());
        if n % 20 == 19 {
            out.extend_from_slice(b"=\r\n");
        }
    }
    out
}

fn base64(octets: &[u8]) -> Vec<u8> {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = Vec::new();
    for three in octets.chunks(3) {
        let n = three.iter().fold(0u32, |n, b| n << 8 | u32::from(*b)) << (8 * (3 - three.len()));
        for at in 0..4 {
            let letter = LETTERS[(n >> (18 - 6 * at)) as usize & 63];
            out.push(if at > three.len() { b'=' } else { letter });
        }
    }
    for at in (76..out.len()).step_by(76).rev() {
        out.splice(at..at, *b"\r\n");
    }
    out
}

/// One part with a text in some charset and some encoding.
fn part(dice: &mut Dice, text: &str) -> Vec<u8> {
    let charset = dice.pick(&["utf-8", "iso-8859-9", "windows-1254", "ISO-8859-9"]);
    let octets = if charset == "utf-8" {
        text.as_bytes().to_vec()
    } else {
        latin5(text)
    };
    let (encoding, octets) = match dice.below(3) {
        0 => ("8bit", octets),
        1 => ("quoted-printable", quoted_printable(&octets)),
        _ => ("base64", base64(&octets)),
    };
    let html = dice.below(5) == 0;
    let head = format!(
        "Content-Type: text/{}; charset={charset}\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n",
        if html { "html" } else { "plain" }
    );
    [head.into_bytes(), octets, b"\r\n".to_vec()].concat()
}

fn encoded_word(text: &str) -> String {
    let text = text.replace("\r\n", " ");
    format!(
        "=?utf-8?B?{}?=",
        String::from_utf8(base64(&text.into_bytes()))
            .unwrap()
            .replace("\r\n", "")
    )
}

fn mail(dice: &mut Dice, n: usize) -> Vec<u8> {
    let subject: String = words(dice, 4).chars().take(14).collect();
    let name: String = words(dice, 3)
        .chars()
        .take(12)
        .filter(|c| *c != '\r' && *c != '\n')
        .collect();
    let mut mail = format!(
        "From: {} <KURUM{}i@hs02.kep.test>\r\nTo: \"Örnek, A.Ş.\" <ornekas@hs01.kep.test>\r\nSubject: {}\r\n\
         Message-ID: <{n}.x@hs02.kep.test>\r\nX-Konu: {}\r\nMIME-Version: 1.0\r\n",
        encoded_word(&name),
        dice.below(5),
        encoded_word(&subject),
        dice.pick(&WORDS),
    )
    .into_bytes();
    let text = words(dice, 30);
    if dice.below(3) > 0 {
        mail.extend(part(dice, &text));
        return mail;
    }
    mail.extend_from_slice(b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n");
    mail.extend(part(dice, &text));
    mail.extend_from_slice(b"--b\r\nContent-Disposition: attachment; filename=\"Ekim raporu.txt\"\r\n");
    let other = words(dice, 12);
    mail.extend(part(dice, &other));
    let inner = encoded_word(dice.pick(&WORDS));
    mail.extend(
        format!("--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: {inner}\r\n\r\ntek ağ\r\n--b--\r\n")
            .bytes(),
    );
    mail
}

const KEYS: [&str; 14] = [
    "TEXT %",
    "TEXT %",
    "BODY %",
    "SUBJECT %",
    "FROM %",
    "TO %",
    "HEADER X-Konu %",
    "HEADER Message-ID %",
    "NOT TEXT %",
    "OR BODY % SUBJECT %",
    "UNSEEN TEXT %",
    "NOT BODY % NOT FROM %",
    "TEXT % UID 3:12",
    "OR (TEXT % SEEN) (NOT BODY % TEXT a)",
];

fn wanted(dice: &mut Dice) -> String {
    match dice.below(6) {
        0 => words(dice, 4).trim().to_owned(),
        1 => format!("{}{}{}", dice.pick(&WORDS), dice.pick(&GAPS), dice.pick(&WORDS)),
        2 => {
            let word = dice.pick(&WORDS);
            word.chars().skip(dice.below(2)).take(1 + dice.below(3)).collect()
        }
        3 => dice
            .pick(&[
                "uzunkelimeUZUNKELİMEuzunkelimeuzunkelime",
                "ekim rap",
                ", a.",
                "örnek, a.ş. <",
                "kurum3i@hs02",
                "Kurum2I@HS02",
                "KEP.TEST",
                "1.X@hs",
                "yok",
            ])
            .to_owned(),
        4 => "Uzunkelime".repeat(1 + dice.below(6)),
        _ => dice.pick(&WORDS).to_owned(),
    }
}

/// As somebody types it who has no Turkish keyboard.
fn ascii(text: &str) -> String {
    let plain = |c: char| match c {
        'ı' => 'i',
        'İ' => 'I',
        c if c.is_ascii() => c,
        _ => 'k',
    };
    text.chars().map(plain).collect()
}

/// Holds some searches with the index against the same without.
async fn compare(dice: &mut Dice, with: &mut Client, without: &mut Client, rounds: usize) {
    for _ in 0..rounds {
        let (key, mut text) = (dice.pick(&KEYS), wanted(dice));
        // Whoever has ASCII only means all four letters by his two.
        let charset = dice.pick(&["CHARSET UTF-8 ", "", "CHARSET US-ASCII "]);
        if charset.ends_with("US-ASCII ") {
            text = ascii(&text);
        }
        let read = without.search_in(charset, key, &text).await;
        let found = with.search_in(charset, key, &text).await;
        assert_eq!(found, read, "{charset}{key} for {text:?}");
        if charset.ends_with("UTF-8 ") && text.is_ascii() && !key.contains("NOT") {
            // What a Turkish reader finds, ASCII finds too.
            let more = with.search_in("", key, &text).await;
            assert!(found.iter().all(|uid| more.contains(uid)), "{key} for {text:?}");
        }
    }
}

fn segment_files(house: &House) -> Vec<PathBuf> {
    let dir = house.dir.path().join("fulltext").join(house.tenant.0.to_string());
    let mut all: Vec<PathBuf> = std::fs::read_dir(dir)
        .unwrap()
        .map(|e| e.unwrap().path())
        .collect();
    all.sort();
    all
}

async fn index_all(house: &House) {
    let indexing = house.indexing();
    while indexing.run_all().await.unwrap() > 0 {}
    assert_eq!(indexing.waiting().unwrap(), 0);
}

#[tokio::test]
async fn a_search_with_the_index_finds_what_reading_finds() {
    let house = House::build().await.with_passwords().await;
    let mut dice = Dice(0x5eed);
    let mut with = Client::log_in(&house, house.mailboxes.clone(), "mudur@ornekas").await;
    let mut without = Client::log_in(&house, Arc::new(house.unindexed()), "mudur@ornekas").await;
    for round in 0..3 {
        for n in 0..12 {
            let octets = mail(&mut dice, 100 * round + n);
            house.put(&octets, |_| {}).await;
        }
        for client in [&mut with, &mut without] {
            client.say("SELECT INBOX").await;
        }
        // First what is new is unknown to the index, then it knows all.
        compare(&mut dice, &mut with, &mut without, 15).await;
        index_all(&house).await;
        with.say("UID STORE 1:4 +FLAGS.SILENT (\\Seen)").await;
        compare(&mut dice, &mut with, &mut without, 40).await;
    }
    // A file is damaged, then all are lost: what is found stays the same, and the index comes back.
    for path in segment_files(&house) {
        if path.to_string_lossy().ends_with("body.docs") {
            let mut octets = std::fs::read(&path).unwrap();
            octets.iter_mut().for_each(|b| *b ^= 0x55);
            std::fs::write(&path, octets).unwrap();
        }
    }
    compare(&mut dice, &mut with, &mut without, 15).await;
    index_all(&house).await;
    compare(&mut dice, &mut with, &mut without, 15).await;
    std::fs::remove_dir_all(house.dir.path().join("fulltext")).unwrap();
    compare(&mut dice, &mut with, &mut without, 15).await;
    with.leave().await;
    without.leave().await;
    let house = house.restart();
    let mut with = Client::log_in(&house, house.mailboxes.clone(), "mudur@ornekas").await;
    let mut without = Client::log_in(&house, Arc::new(house.unindexed()), "mudur@ornekas").await;
    for client in [&mut with, &mut without] {
        client.say("SELECT INBOX").await;
    }
    compare(&mut dice, &mut with, &mut without, 10).await;
    index_all(&house).await;
    compare(&mut dice, &mut with, &mut without, 40).await;
    assert!(!segment_files(&house).is_empty());
}

/// A receipt carries the mail once more for each recipient: what is in there is found in the mail, and not in its evidence.
#[tokio::test]
async fn a_search_does_not_look_into_the_messages_that_evidence_carries() {
    let house = House::build().await.with_passwords().await;
    let receipt = "Subject: delil\r\nContent-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n\r\nmakbuz metni\r\n--a\r\n\
        Content-Type: message/rfc822; name=orijinal.eml\r\n\r\nSubject: teklif\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n\
        --b\r\n\r\nicerik\r\n--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: derin\r\n\r\ndip\r\n--b\r\n\
        Content-Disposition: attachment; filename=ek.txt\r\n\r\nx\r\n--b--\r\n--a\r\n\r\nson\r\n--a--\r\n";
    for kind in [ItemKind::Evidence, ItemKind::Incoming] {
        house.put(receipt.as_bytes(), |item| item.kind = kind).await;
    }
    let mut with = Client::log_in(&house, house.mailboxes.clone(), "mudur@ornekas").await;
    let mut without = Client::log_in(&house, Arc::new(house.unindexed()), "mudur@ornekas").await;
    for indexed in [false, true] {
        if indexed {
            index_all(&house).await;
        }
        for (mailbox, within) in [("Deliller", &[][..]), ("INBOX", &[1][..])] {
            for client in [&mut with, &mut without] {
                client.say(&format!("SELECT {mailbox}")).await;
                for text in ["teklif", "icerik", "derin", "dip", "ek.txt"] {
                    let found = client.search("BODY %", text).await;
                    assert_eq!(found, within, "{text} in {mailbox}, {indexed}");
                }
                for text in ["makbuz", "son", "orijinal.eml"] {
                    assert_eq!(client.search("BODY %", text).await, [1], "{text} in {mailbox}");
                }
            }
        }
    }
}

#[tokio::test]
async fn what_is_found_by_the_index_alone_is_right() {
    let house = House::build().await.with_passwords().await;
    let mut numbers = Vec::new();
    for text in ["Işık hızı", "ışıkla gelen", "isik"] {
        let mail = format!("Subject: {text}\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n{text}\r\n");
        numbers.push(house.put(mail.as_bytes(), |_| {}).await);
    }
    index_all(&house).await;
    // The blobs are gone: whoever finds these has not read them.
    for id in &numbers {
        let body = items::body(house.db(), house.tenant, *id).unwrap().unwrap();
        remove_blob(&house, &body.row.content.pieces[0].blob);
    }
    let mut client = Client::log_in(&house, house.mailboxes.clone(), "mudur@ornekas").await;
    client.say("SELECT INBOX").await;
    assert_eq!(client.search("TEXT %", "IŞIK").await, [1, 2]);
    assert_eq!(client.search("BODY %", "ışık H").await, [1]);
    assert_eq!(client.search("TEXT %", "isik").await, [3]);
    assert_eq!(client.search("NOT TEXT %", "şık").await, [3]);
}

fn remove_blob(house: &House, blob: &BlobId) {
    let name = blob.to_string();
    std::fs::remove_file(house.dir.path().join("spool").join(&name[..2]).join(&name[2..])).unwrap();
}

#[tokio::test]
async fn nobody_finds_what_he_does_not_see() {
    let house = House::build().await.with_passwords().await;
    let unit = {
        let org = house.mailboxes.organisations.of(house.tenant).unwrap();
        org.unit_by_path("Satış").unwrap().id
    };
    let text = b"Subject: gizli\r\n\r\nortak kelime\r\n";
    let own = house
        .put(text, |item| {
            item.units.insert(unit);
        })
        .await;
    house.put(text, |_| {}).await;
    let officer = house.user("mudur");
    house
        .put(text, |item| {
            item.kind = ItemKind::Draft;
            item.author = Some(officer.user);
        })
        .await;
    index_all(&house).await;
    let mut ayse = Client::log_in(&house, house.mailboxes.clone(), "ayse@ornekas").await;
    let lines = ayse.say("SELECT INBOX").await;
    assert!(lines.iter().any(|l| l.starts_with("* 1 EXISTS")), "{lines:?}");
    assert_eq!(ayse.search("TEXT %", "ortak").await, [1]);
    // It leaves her unit while she has it open and has not been told: it is not found any more.
    house.change(own, |item| item.units.clear()).await;
    assert_eq!(ayse.search("TEXT %", "ortak").await, [0; 0]);
    assert_eq!(ayse.search("NOT TEXT %", "ortak").await, [0; 0]);
    // Another tenant with the same word has an index of his own.
    let other = super::mailbox_house::found(&house.mailboxes.organisations, "baska").await;
    assert_ne!(other, house.tenant);
    index_all(&house).await;
    let index = house.mailboxes.texts.index().unwrap();
    assert!(index.snapshot(other).unwrap().is_none());
}

#[tokio::test]
async fn who_loses_his_unit_finds_nothing_any_more() {
    let house = House::build().await.with_passwords().await;
    let unit = {
        let org = house.mailboxes.organisations.of(house.tenant).unwrap();
        org.unit_by_path("Satış").unwrap().id
    };
    house
        .put(b"Subject: x\r\n\r\nortak kelime\r\n", |item| {
            item.units.insert(unit);
        })
        .await;
    index_all(&house).await;
    let mut ayse = Client::log_in(&house, house.mailboxes.clone(), "ayse@ornekas").await;
    ayse.say("SELECT INBOX").await;
    assert_eq!(ayse.search("TEXT %", "ortak").await, [1]);
    let change = house.mailboxes.organisations.by(crate::provider::admin());
    change
        .set_user(house.tenant, "ayse", |_, user| {
            user.units.clear();
            Ok(())
        })
        .await
        .unwrap();
    assert_eq!(ayse.search("TEXT %", "ortak").await, [0; 0]);
}

#[tokio::test]
async fn drafts_that_take_places_and_the_administrators_search_agree() {
    let house = House::build().await.with_passwords().await;
    let by = house.user("mudur");
    let draft = |text: &str| format!("Message-ID: <d@x>\r\nSubject: taslak\r\n\r\n{text}\r\n");
    let save = |text: &str| {
        let (mailboxes, by, octets) = (house.mailboxes.clone(), by.clone(), draft(text));
        async move {
            let size = octets.len() as u64;
            let mut appending = mailboxes.append(&by, Mailbox::Drafts, size).await.unwrap();
            appending.write(octets.as_bytes()).await.unwrap();
            appending.finish(&Marks::default(), None).await.unwrap();
        }
    };
    let found = |text: &str| {
        let (mailboxes, by) = (house.mailboxes.clone(), by.clone());
        let sought = Sought {
            text: Some(text.to_owned()),
            ..Sought::default()
        };
        async move {
            mailboxes
                .seek(&by, Mailbox::Drafts, &sought, 10)
                .await
                .unwrap()
                .len()
        }
    };
    save("ilk hali").await;
    index_all(&house).await;
    assert_eq!(
        (
            found("İLK HALİ").await,
            found("taslak").await,
            found("son hali").await
        ),
        (1, 1, 0)
    );
    save("son hali").await;
    assert_eq!(
        (
            found("ilk hali").await,
            found("taslak").await,
            found("son hali").await
        ),
        (0, 1, 1)
    );
    index_all(&house).await;
    assert_eq!(
        (
            found("ilk hali").await,
            found("taslak").await,
            found("son hali").await
        ),
        (0, 1, 1)
    );
    house
        .change(ItemId(2), |item| {
            item.trashed = Some(Filed {
                by: by.user,
                at: super::mailbox_house::start(),
            });
        })
        .await;
    assert_eq!(found("taslak").await, 0);
}

/// While the index is written and joined, deliveries go on; and a broken index only makes a search slower.
#[tokio::test]
async fn a_delivery_does_not_wait_for_the_index() {
    let house = House::build().await;
    // A file stands where the folder should be: nothing can be indexed.
    let dir = house.dir.path().join("fulltext");
    std::fs::remove_dir_all(&dir).unwrap();
    std::fs::write(&dir, "in the way").unwrap();
    let id = house.put(b"Subject: x\r\n\r\nkelime\r\n", |_| {}).await;
    let indexing = house.indexing();
    assert_eq!(indexing.run_all().await.unwrap(), 0);
    assert_eq!(indexing.waiting().unwrap(), 1);
    let by = house.user("mudur");
    let sought = Sought {
        text: Some("kelime".into()),
        ..Sought::default()
    };
    let found = house
        .mailboxes
        .seek(&by, Mailbox::Inbox, &sought, 10)
        .await
        .unwrap();
    assert_eq!(found.iter().map(|f| f.look.item().id).collect::<Vec<_>>(), [id]);
    std::fs::remove_file(&dir).unwrap();
    index_all(&house).await;
}

/// A mail of many megabytes is in the index like any other; what it lacks is known without reading it.
#[tokio::test]
async fn a_very_long_mail_is_not_read_at_each_search() {
    let house = House::build().await.with_passwords().await;
    let line = "uzun bir liste, satır satır; \r\n";
    let half = line.repeat(50_000);
    let mail = format!("Subject: x\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n{half}ortası\r\n{half}");
    assert!(mail.len() > 3_000_000);
    let id = house.put(mail.as_bytes(), |_| {}).await;
    index_all(&house).await;
    let body = items::body(house.db(), house.tenant, id).unwrap().unwrap();
    remove_blob(&house, &body.row.content.pieces[0].blob);
    let mut client = Client::log_in(&house, house.mailboxes.clone(), "mudur@ornekas").await;
    client.say("SELECT INBOX").await;
    assert_eq!(client.search("BODY %", "liste, SATIR").await, [1]);
    assert_eq!(client.search("BODY %", "\r\nortası\r\nuzun").await, [1]);
    assert_eq!(client.search("TEXT %", "ortasi").await, [0; 0]);
    assert_eq!(client.search_in("", "TEXT %", "ortasi").await, [1]);
}

/// Who searches what just came waits for its reading once.
#[tokio::test]
async fn a_search_has_new_items_indexed_at_once() {
    let house = House::build().await.with_passwords().await;
    let indexing = house.indexing();
    house.put(b"Subject: x\r\n\r\nkelime\r\n", |_| {}).await;
    assert_eq!(indexing.run_due().await.unwrap(), 0);
    let mut client = Client::log_in(&house, house.mailboxes.clone(), "mudur@ornekas").await;
    client.say("SELECT INBOX").await;
    assert_eq!(client.search("UNSEEN BODY %", "kelime").await, [1]);
    assert_eq!(indexing.run_due().await.unwrap(), 1);
    house.put(b"Subject: x\r\n\r\nbaska\r\n", |_| {}).await;
    assert_eq!(client.search("BODY %", "yok").await, [0; 0]);
    assert_eq!(indexing.run_due().await.unwrap(), 0, "he does not know of it yet");
    client.say("NOOP").await;
    assert_eq!(client.search("BODY %", "yok").await, [0; 0]);
    assert_eq!(
        (indexing.run_due().await.unwrap(), indexing.waiting().unwrap()),
        (1, 0)
    );
}

#[tokio::test]
async fn a_few_new_items_wait_for_company() {
    let house = House::build().await;
    let indexing = house.indexing();
    house.put(b"Subject: x\r\n\r\nkelime\r\n", |_| {}).await;
    assert_eq!(indexing.run_due().await.unwrap(), 0);
    assert_eq!(indexing.waiting().unwrap(), 1);
    house.clock.advance(Duration::from_secs(61));
    assert_eq!(indexing.run_due().await.unwrap(), 1);
    assert_eq!(
        (indexing.run_due().await.unwrap(), indexing.waiting().unwrap()),
        (0, 0)
    );
    for _ in 0..64 {
        house.put(b"Subject: x\r\n\r\nkelime\r\n", |_| {}).await;
    }
    assert_eq!(indexing.run_due().await.unwrap(), 1);
    // A change of attributes is no new item.
    house.change(ItemId(1), |item| item.archived = None).await;
    house.clock.advance(Duration::from_secs(61));
    assert_eq!(indexing.run_due().await.unwrap(), 0);
}
