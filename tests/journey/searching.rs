//! SEARCH, SORT and THREAD through the mailbox door, on mail as it comes: old charsets, attachments, Turkish letters.

use super::imap_client::door;
use super::mailbox_house::{House, PASSWORD, start};
use kepd::clock::{Clock, UtcTime, Wait};
use kepd::domain::audit::Origin;
use kepd::domain::item::{Item, ItemKind};
use kepd::domain::selector::Mailbox;
use kepd::id::ItemId;
use kepd::net::imap::{Begin, ImapDoor};
use kepd::service::mailbox::Sought;
use kepd::store::db::Batch;
use kepd::store::tables::items::{self, Content, ItemBody};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::sync::watch;

const HOUR: Duration = Duration::from_secs(3600);

/// An officer's connection with INBOX open.
struct Client(BufReader<tokio::io::DuplexStream>);

impl Client {
    async fn connect(house: &House) -> Self {
        Self::connect_to(door(house, Duration::ZERO)).await
    }

    async fn connect_to(door: Arc<ImapDoor>) -> Self {
        let (client, server) = tokio::io::duplex(64 * 1024);
        tokio::spawn(async move {
            let (_keep, stopping) = watch::channel(false);
            door.serve(server, Begin::Tls, Origin::Inside, stopping).await
        });
        let mut client = Self(BufReader::new(client));
        client.ask(&format!("LOGIN mudur@ornekas \"{PASSWORD}\"")).await;
        client.ask("SELECT INBOX").await;
        client
    }

    /// RFC 5161 3.1: only with no mailbox selected.
    async fn enable(&mut self, what: &str) {
        self.ask("UNSELECT").await;
        let said = self.ask(&format!("ENABLE {what}")).await;
        assert!(said[0].contains(what), "{said:?}");
        self.ask("SELECT INBOX").await;
    }

    /// The untagged lines, and the tagged end without its tag.
    async fn ask(&mut self, command: &str) -> Vec<String> {
        let line = format!("t {command}\r\n");
        self.0.get_mut().write_all(line.as_bytes()).await.unwrap();
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            assert!(self.0.read_line(&mut line).await.unwrap() > 0, "{lines:?}");
            let line = line.trim_end();
            if let Some(end) = line.strip_prefix("t ") {
                lines.push(end.to_owned());
                return lines;
            }
            lines.push(line.to_owned());
        }
    }

    /// What the one untagged line says behind `* `.
    async fn found(&mut self, command: &str) -> String {
        let lines = self.ask(command).await;
        match &lines[..] {
            [found, done] if done.starts_with("OK ") => found.trim_start_matches("* ").to_owned(),
            other => panic!("{command}: {other:?}"),
        }
    }

    async fn search(&mut self, key: &str) -> String {
        let found = self.found(&format!("SEARCH {key}")).await;
        found.trim_start_matches("SEARCH").trim().to_owned()
    }
}

/// Five mails, an hour apart.
const MAILS: [&str; 5] = [
    "From: =?UTF-8?Q?=C5=9Eule_I=C5=9F=C4=B1k?= <sule@hs02.kep.test>\r\nTo: ornekas@hs01.kep.test\r\n\
     Subject: =?UTF-8?Q?=C4=B0hale_I=C5=9EIK_teklifi?=\r\nDate: Wed, 4 Nov 2026 10:00:00 +0300\r\n\
     Message-ID: <m1@x>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nMerhaba DÜNYA\r\n",
    "From: alici@hs02.kep.test\r\nTo: ornekas@hs01.kep.test\r\n\
     Subject: Re: =?ISO-8859-9?Q?=DDhale_I=DEIK_teklifi?=\r\nDate: Thu, 5 Nov 2026 10:00:00 +0300\r\n\
     Message-ID: <m2@x>\r\nReferences: <m1@x>\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n\
     --b\r\nContent-Type: text/plain; charset=iso-8859-9\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n\
     =DEirketimizin yan=FDt=FD\r\n--b\r\nContent-Type: text/csv; charset=windows-1254; name=a.csv\r\n\
     Content-Disposition: attachment; filename=a.csv\r\nContent-Transfer-Encoding: base64\r\n\r\n3VNUQU5CVUw7MTA=\r\n--b--\r\n",
    "From: \"Ali\" <zeki@hs02.kep.test>\r\nTo: =?UTF-8?Q?Zeynep?= <a@hs01.kep.test>\r\nSubject: [liste] cam\r\n\
     Date: Tue, 3 Nov 2026 10:00:00 +0300\r\nMessage-ID: <m3@x>\r\n\r\nuzun uzun uzun uzun uzun uzun uzun uzun uzun uzun\r\n\
     uzun uzun uzun uzun uzun uzun uzun uzun uzun uzun uzun uzun uzun uzun uzun uzun uzun uzun uzun uzun uzun uzun uzun\r\n\
     uzun uzun uzun uzun uzun uzun uzun uzun uzun uzun uzun uzun uzun uzun uzun uzun uzun uzun uzun uzun uzun uzun uzun\r\n\
     uzun uzun uzun uzun uzun uzun uzun uzun uzun uzun uzun uzun uzun uzun uzun uzun uzun uzun uzun uzun uzun uzun uzun\r\n\
     uzun uzun uzun uzun uzun uzun uzun uzun uzun uzun uzun uzun uzun uzun uzun uzun uzun uzun uzun uzun uzun uzun uzun\r\n\
     uzun uzun uzun uzun uzun uzun uzun uzun uzun uzun uzun uzun uzun uzun uzun uzun uzun uzun uzun uzun uzun uzun uzun\r\n",
    "From: =?UTF-8?Q?=C3=87elik?= <b@hs02.kep.test>\r\nTo: ornekas@hs01.kep.test\r\n\
     Subject: =?UTF-8?Q?=C3=A7am?=\r\nMessage-ID: <m4@x>\r\n\r\nkisa\r\n",
    "From: can@hs02.kep.test\r\nTo: ornekas@hs01.kep.test\r\nCc: d@hs01.kep.test\r\nSubject: Re: CAM (fwd)\r\n\
     Message-ID: <m5@x>\r\nIn-Reply-To: <m3@x>\r\n\r\nkisa\r\n",
];

async fn house() -> House {
    let house = House::build().await.with_passwords().await;
    for (n, mail) in MAILS.iter().enumerate() {
        if n > 0 {
            house.clock.advance(HOUR);
        }
        house.put(mail.as_bytes(), |_| {}).await;
    }
    house
}

#[tokio::test]
async fn texts_are_found_in_any_charset_as_a_turkish_reader_expects() {
    let house = house().await;
    let mut client = Client::connect(&house).await;
    for (key, found) in [
        ("CHARSET UTF-8 SUBJECT \"ışık\"", "1 2"),
        ("SUBJECT \"İHALE\"", "1 2"),
        ("SUBJECT \"ihale ış\"", "1 2"),
        // I is the great letter of ı, and not of i: to who says that he knows.
        ("CHARSET UTF-8 SUBJECT \"ihale i\"", ""),
        ("CHARSET UTF-8 SUBJECT \"IHALE\"", ""),
        ("FROM \"şule ı\"", "1"),
        ("FROM \"hs02\" TO zeynep", "3"),
        ("CC d@hs01", "5"),
        ("HEADER Message-ID m4", "4"),
        ("HEADER In-Reply-To \"\"", "5"),
        // The text itself, in the charset of a Turkish mail of old, and an attachment.
        ("BODY \"ŞİRKET\"", "2"),
        ("BODY \"istanbul;10\"", "2"),
        ("TEXT \"dünya\"", "1"),
        ("BODY \"teklifi\"", ""),
        ("TEXT \"teklifi\"", "1 2"),
        ("CHARSET US-ASCII TEXT kisa", "4 5"),
        ("OR BODY merhaba BODY kisa LARGER 10 NOT FROM can", "1 4"),
        ("SENTBEFORE 4-Nov-2026", "3"),
        ("SENTSINCE 5-Nov-2026", "2"),
        ("LARGER 700 SMALLER 100000", "3"),
    ] {
        assert_eq!(client.search(key).await, found, "{key}");
    }
    let refused = client.ask("SEARCH CHARSET ISO-8859-9 TEXT x").await;
    assert!(
        refused[0].starts_with("NO [BADCHARSET (US-ASCII UTF-8)]"),
        "{refused:?}"
    );
}

/// The letters of a search are those its charset has (RFC 9051 6.4.4). Who has ASCII means by `i` and `I` whichever of the
/// four stands there; who has UTF-8 says which.
#[tokio::test]
async fn letters_are_compared_by_the_charset_of_the_search() {
    let house = house().await;
    let info = "From: =?UTF-8?Q?I=C5=9F=C4=B1k?= <INFO@Firma.test>\r\nTo: ALICI@hs01.kep.test\r\n\
                Subject: INVOICE bilgi\r\nMessage-ID: <ID-1I@Firma.test>\r\nX-Makine: DIZI\r\n\r\nINPUT ilk\r\n";
    house.put(info.as_bytes(), |_| {}).await;
    let mut client = Client::connect(&house).await;
    for (key, plain, utf8) in [
        ("SUBJECT \"invoice\"", "6", ""),
        ("SUBJECT \"INVOICE\"", "6", "6"),
        ("SUBJECT \"BILGI\"", "6", ""),
        ("BODY \"input ILK\"", "6", ""),
        ("BODY \"INPUT\"", "6", "6"),
        ("TEXT \"Ihale\"", "1 2", ""),
        // Addresses, ids and the fields of machines have ASCII letters, whatever the charset.
        ("FROM \"info@firma\"", "6", "6"),
        ("FROM \"INFO\"", "6", "6"),
        ("FROM \"ALICI\"", "2", "2"),
        ("TO \"alici\"", "6", "6"),
        ("TEXT \"alici@hs0\"", "2 6", "2 6"),
        ("TEXT \"ALICI@HS0\"", "2 6", "2 6"),
        ("HEADER Message-ID \"id-1i@FIRMA\"", "6", "6"),
        ("HEADER X-Makine \"dizi\"", "6", "6"),
        ("HEADER Sender \"\"", "", ""),
    ] {
        assert_eq!(client.search(key).await, plain, "{key}");
        assert_eq!(
            client.search(&format!("CHARSET US-ASCII {key}")).await,
            plain,
            "{key}"
        );
        assert_eq!(
            client.search(&format!("CHARSET UTF-8 {key}")).await,
            utf8,
            "{key}"
        );
        let sorted = client.found(&format!("SORT (ARRIVAL) UTF-8 {key}")).await;
        assert_eq!(sorted.trim_start_matches("SORT").trim(), utf8, "{key}");
    }
    // A name is a word, the address beside it is not.
    assert_eq!(client.search("CHARSET UTF-8 FROM \"ışık\"").await, "1 6");
    assert_eq!(client.search("CHARSET UTF-8 FROM \"işik\"").await, "");
    // Who sends more than ASCII has UTF-8; so has who agreed on it.
    assert_eq!(client.search("SUBJECT \"ihale ış\"").await, "1 2");
    assert_eq!(client.search("SUBJECT \"ihale iş\"").await, "");
    client.enable("UTF8=ACCEPT").await;
    assert_eq!(client.search("SUBJECT \"BILGI\"").await, "");
    let refused = client.ask("SEARCH CHARSET UTF-8 SUBJECT x").await;
    assert_eq!(refused, ["BAD after UTF8=ACCEPT a search names no charset"]);
    let mut newer = Client::connect(&house).await;
    newer.enable("IMAP4rev2").await;
    let found = newer.ask("SEARCH RETURN (COUNT) SUBJECT \"BILGI\"").await;
    assert_eq!(found[0], "* ESEARCH (TAG \"t\") COUNT 0");
    let found = newer
        .ask("SEARCH RETURN (COUNT) CHARSET US-ASCII SUBJECT \"BILGI\"")
        .await;
    assert_eq!(found[0], "* ESEARCH (TAG \"t\") COUNT 1");
}

/// Before somebody reads a consigned mail, nobody learns its words by asking for them (decision 27).
#[tokio::test]
async fn the_text_of_a_mail_that_nobody_has_read_is_not_searched() {
    let house = House::build().await.with_passwords().await;
    let mail = b"From: a@hs02.kep.test\r\nSubject: konu\r\n\r\ngizli kelime\r\n";
    house.deliver(mail).await;
    house.put(mail, |_| {}).await;
    let indexing = house.indexing();
    let mut client = Client::connect(&house).await;
    let by = house.user("mudur");
    for indexed in [false, true, false] {
        // With whether something was left out: told whatever stands in the text, and not where something else decides.
        for (key, found, told) in [
            ("BODY kelime", "2", true),
            ("BODY yok", "", true),
            ("TEXT kelime", "2", true),
            ("TEXT konu", "1 2", false),
            ("NOT BODY kelime", "1", true),
            ("OR BODY gizli SUBJECT konu", "1 2", false),
            ("SUBJECT baska BODY kelime", "", false),
            ("SUBJECT konu BODY kelime", "2", true),
            ("BODY kelime LARGER 100000", "", false),
            ("SEEN TEXT kelime", "", false),
            ("UID 2 BODY kelime", "2", false),
            ("BODY \"\"", "1 2", false),
        ] {
            assert_eq!(
                searched(&mut client, key).await,
                (told, found.into()),
                "{key}, indexed: {indexed}"
            );
        }
        let sought = Sought {
            text: Some("kelime".into()),
            ..Sought::default()
        };
        let found = house
            .mailboxes
            .seek(&by, Mailbox::Inbox, &sought, 9)
            .await
            .unwrap();
        assert_eq!(found.len(), 1, "indexed: {indexed}");
        if !indexed {
            while indexing.run_all().await.unwrap() > 0 {}
        }
    }
    // Searching was no reading; this is.
    assert!(
        house
            .mailboxes
            .would_be_reading(&by, &house.item(ItemId(1)))
            .unwrap()
    );
    let lines = client.ask("SORT (ARRIVAL) UTF-8 BODY kelime").await;
    assert!(
        lines[0].starts_with(LEFT_OUT) && lines[1] == "* SORT 2",
        "{lines:?}"
    );
    let lines = client.ask("THREAD REFERENCES UTF-8 BODY kelime").await;
    assert!(
        lines[0].starts_with(LEFT_OUT) && lines[1] == "* THREAD (2)",
        "{lines:?}"
    );
    client.ask("FETCH 1 BODY.PEEK[TEXT]").await;
    assert_eq!(client.search("BODY kelime").await, "1 2");
    assert_eq!(client.search("TEXT KELIME NOT BODY yok").await, "1 2");
}

const LEFT_OUT: &str = "* OK the text of mail that nobody has read yet was not searched";

/// Whether the searcher is told once that a text was left out, in letters that every client reads, and what was found.
async fn searched(client: &mut Client, key: &str) -> (bool, String) {
    let mut lines = client.ask(&format!("SEARCH {key}")).await;
    let told = lines[0].starts_with(LEFT_OUT);
    if told {
        let note = lines.remove(0);
        assert!(
            note.is_ascii() && note.contains(" / kimsenin okumadigi postalarin metni aranmadi"),
            "{note}"
        );
    }
    let [found, done] = lines.as_slice() else {
        panic!("{key}: {lines:?}");
    };
    assert!(done.starts_with("OK "), "{done}");
    (told, found.trim_start_matches("* SEARCH").trim().to_owned())
}

/// One mail whose octets are gone does not break the search of the others, and the searcher is told of it.
#[tokio::test]
async fn a_mail_that_is_lost_is_told_of_and_the_others_are_searched() {
    let house = house().await;
    let body = items::body(house.db(), house.tenant, ItemId(4)).unwrap().unwrap();
    let name = body.row.content.pieces[0].blob.to_string();
    std::fs::remove_file(house.dir.path().join("spool").join(&name[..2]).join(&name[2..])).unwrap();
    let mut client = Client::connect(&house).await;
    let lost = "* NO [SERVERBUG] 1 of the messages cannot be read and were not searched; it has been logged";
    for (key, found) in [("TEXT kisa", "* SEARCH 5"), ("NOT BODY kisa", "* SEARCH 1 2 3")] {
        let lines = client.ask(&format!("SEARCH {key}")).await;
        assert_eq!(lines, [lost, found, "OK SEARCH done"]);
    }
    // Whoever does not need what is lost does not hear of it.
    assert_eq!(client.search("SUBJECT cam BODY kisa").await, "5");
    // A disk that is not there is another matter.
    for _ in 0..20 {
        house.put(MAILS[3].as_bytes(), |_| {}).await;
    }
    std::fs::remove_dir_all(house.dir.path().join("spool")).unwrap();
    client.ask("NOOP").await;
    let refused = client.ask("SEARCH BODY kisa").await;
    assert!(refused[0].starts_with("NO [SERVERBUG]"), "{refused:?}");
}

/// RFC 5322 4.3: years of old mails have two digits, or three.
#[tokio::test]
async fn years_of_old_mails_are_read() {
    let house = House::build().await.with_passwords().await;
    for date in [
        "Wed, 4 Nov 26 10:00:00 +0300",
        "1 Jan 99 10:00 EST",
        "2 Feb 101 10:00 GMT",
        "3 Mar 50 10:00 GMT",
    ] {
        house
            .put(format!("Date: {date}\r\n\r\nx\r\n").as_bytes(), |_| {})
            .await;
    }
    let mut client = Client::connect(&house).await;
    for (key, found) in [
        ("SENTON 4-Nov-2026", "1"),
        ("SENTON 1-Jan-1999", "2"),
        ("SENTON 2-Feb-2001", "3"),
        ("SENTBEFORE 1-Jan-1951", "4"),
        ("SENTSINCE 1-Jan-2001", "1 3"),
    ] {
        assert_eq!(client.search(key).await, found, "{key}");
    }
}

#[tokio::test]
async fn ages_dates_and_ids_are_searched() {
    let house = house().await;
    let mut client = Client::connect(&house).await;
    for (key, found) in [
        ("YOUNGER 3600", "4 5"),
        ("OLDER 7200", "1 2 3"),
        ("OLDER 3601 YOUNGER 10800", "2 3"),
        ("ON 4-Nov-2026", "1 2 3 4 5"),
        ("SAVEDON 4-Nov-2026", "1 2 3 4 5"),
        ("SAVEDBEFORE 4-Nov-2026", ""),
        ("SAVEDSINCE 4-Nov-2026 SAVEDATESUPPORTED 2:3", "2 3"),
        ("EMAILID M2", "2"),
        ("EMAILID M0", ""),
        // An answer is in the thread of what it answers.
        ("THREADID T77b037d209608fe9055f7483a27a36be", "1 2"),
    ] {
        assert_eq!(client.search(key).await, found, "{key}");
    }
    house.clock.advance(HOUR);
    assert_eq!(client.search("YOUNGER 3600").await, "5");
}

#[tokio::test]
async fn what_was_found_is_saved_paged_and_used() {
    let house = house().await;
    let mut client = Client::connect(&house).await;
    let saved = client
        .ask("UID SEARCH RETURN (SAVE COUNT) SUBJECT \"ışık\"")
        .await;
    assert_eq!(saved, ["* ESEARCH (TAG \"t\") UID COUNT 2", "OK SEARCH done"]);
    let fetched = client.ask("FETCH $ (UID)").await;
    assert_eq!(
        fetched,
        ["* 1 FETCH (UID 1)", "* 2 FETCH (UID 2)", "OK FETCH done"]
    );
    assert_eq!(client.search("NOT $").await, "3 4 5");
    assert_eq!(
        client.ask("STORE $ +FLAGS.SILENT (\\Flagged)").await,
        ["OK STORE done"]
    );
    assert_eq!(client.search("FLAGGED").await, "1 2");
    let page = client.found("UID SEARCH RETURN (PARTIAL -1:-2 MIN) ALL").await;
    assert_eq!(page, "ESEARCH (TAG \"t\") UID MIN 1 PARTIAL (-1:-2 4:5)");
    let page = client.ask("UID FETCH 1:* (UID) (PARTIAL 2:3)").await;
    assert_eq!(page, ["* 2 FETCH (UID 2)", "* 3 FETCH (UID 3)", "OK FETCH done"]);
    let copied = client.ask("UID COPY $ \"Etiketler/Acil\"").await;
    assert!(copied.last().unwrap().starts_with("OK [COPYUID "), "{copied:?}");
    let moved = client.ask("MOVE $ \"Ar&AV8-iv\"").await;
    assert!(moved[0].starts_with("* OK [COPYUID "), "{moved:?}");
    let ends = ["* 2 EXPUNGE", "* 1 EXPUNGE", "OK MOVE done"];
    assert!(
        ends.iter().all(|line| moved.contains(&(*line).to_owned())),
        "{moved:?}"
    );
    assert_eq!(client.search("$").await, "");
    assert_eq!(client.ask("FETCH $ FLAGS").await, ["OK nothing to do"]);
}

#[tokio::test]
async fn mail_is_sorted_and_threaded() {
    let house = house().await;
    let mut client = Client::connect(&house).await;
    for (command, found) in [
        ("SORT (SUBJECT) UTF-8 ALL", "SORT 3 5 4 1 2"),
        ("SORT (REVERSE SUBJECT DATE) UTF-8 ALL", "SORT 1 2 4 3 5"),
        ("SORT (REVERSE ARRIVAL) US-ASCII ALL", "SORT 5 4 3 2 1"),
        ("UID SORT (DATE) UTF-8 NOT 2", "SORT 3 1 4 5"),
        ("SORT (FROM) UTF-8 ALL", "SORT 2 4 5 1 3"),
        ("SORT (DISPLAYFROM) UTF-8 ALL", "SORT 3 2 5 4 1"),
        ("SORT (REVERSE DISPLAYTO) UTF-8 ALL", "SORT 3 1 2 4 5"),
        ("SORT (REVERSE SIZE) UTF-8 1:3", "SORT 3 2 1"),
        ("SORT (CC SUBJECT) UTF-8 SUBJECT yok", "SORT"),
        (
            "UID SORT RETURN (MIN MAX ALL COUNT) (SUBJECT) UTF-8 ALL",
            "ESEARCH (TAG \"t\") UID MIN 3 MAX 2 ALL 3,5,4,1:2 COUNT 5",
        ),
        ("THREAD REFERENCES UTF-8 ALL", "THREAD (3 5)(1 2)(4)"),
        ("UID THREAD ORDEREDSUBJECT UTF-8 ALL", "THREAD (3 5)(1 2)(4)"),
        ("THREAD REFERENCES UTF-8 2", "THREAD (2)"),
        ("THREAD REFERENCES UTF-8 SUBJECT yok", "THREAD"),
    ] {
        assert_eq!(client.found(command).await, found, "{command}");
    }
}

/// What no outline is needed for is answered where there is none to be had.
#[tokio::test]
async fn cheap_keys_read_no_outline() {
    let house = House::build().await.with_passwords().await;
    let mailboxes = &house.mailboxes;
    for _ in 0..2 {
        let blob = mailboxes.spool.store(MAILS[3].as_bytes()).await.unwrap();
        let number = mailboxes.items.next(house.tenant).unwrap();
        let item = Item::new(number, ItemKind::Incoming, start());
        let body = ItemBody {
            content: Content::whole(blob.id, blob.size_bytes),
            outline: Vec::new(),
        };
        let mut batch = Batch::new();
        items::add(&mut batch, house.tenant, &item, &body).unwrap();
        house.db().commit(batch).await.unwrap();
    }
    std::fs::remove_dir_all(house.dir.path().join("spool")).unwrap();
    let mut client = Client::connect(&house).await;
    assert_eq!(client.search("UNSEEN").await, "1 2");
    assert_eq!(client.search("UID 2 NOT FLAGGED SINCE 1-Nov-2026").await, "2");
    assert_eq!(client.search("LARGER 10 EMAILID M1").await, "1");
    assert_eq!(client.search("SEEN SUBJECT x").await, "");
    assert_eq!(
        client.found("SORT (REVERSE ARRIVAL SIZE) UTF-8 ALL").await,
        "SORT 1 2"
    );
    let told = client.ask("SEARCH SUBJECT x").await;
    assert!(
        told[0].starts_with("* NO [SERVERBUG] 2 of the messages"),
        "{told:?}"
    );
    assert_eq!(told[1..], ["* SEARCH", "OK SEARCH done"]);
}

/// A clock that goes on by eleven seconds whenever somebody looks: whatever is done takes long.
#[derive(Debug)]
struct FastClock(AtomicI64);

impl Clock for FastClock {
    fn now(&self) -> UtcTime {
        UtcTime::from_unix_s(self.0.fetch_add(11, Ordering::Relaxed))
    }

    fn wait_until(&self, moment: UtcTime) -> Wait<'_> {
        Box::pin(async move {
            while self.now() < moment {
                tokio::task::yield_now().await;
            }
        })
    }
}

/// Each line says how far it is, and none says less than the one before.
fn assert_progress(lines: &[String]) {
    let told = |line: &String| {
        let line = line.strip_prefix("* OK [INPROGRESS (\"t\" ")?;
        line.strip_suffix(" 200)] still at it")?.parse::<u32>().ok()
    };
    let done: Option<Vec<u32>> = lines.iter().map(told).collect();
    let done = done.unwrap_or_default();
    assert!(!done.is_empty() && done.iter().all(|n| *n <= 200), "{lines:?}");
    assert!(done.is_sorted_by(|a, b| a < b), "{lines:?}");
}

#[tokio::test]
async fn a_long_command_says_that_it_goes_on() {
    let house = House::build().await.with_passwords().await;
    for _ in 0..200 {
        house.put(MAILS[3].as_bytes(), |_| {}).await;
    }
    let mut client = Client::connect(&house).await;
    // While no time passes nothing is said.
    assert_eq!(client.ask("SEARCH RETURN (COUNT) ALL").await.len(), 2);
    let mut mailboxes = house.unindexed();
    mailboxes.clock = Arc::new(FastClock(AtomicI64::new(house.clock.now().unix_s())));
    let slow = crate::mailbox_house::door(Arc::new(mailboxes), house.accounts.clone());
    let mut client = Client::connect_to(Arc::new(slow)).await;
    let mut lines = client.ask("SEARCH RETURN (COUNT) ALL").await;
    let answer = lines.split_off(lines.len() - 2);
    assert_eq!(answer, ["* ESEARCH (TAG \"t\") COUNT 200", "OK SEARCH done"]);
    assert_progress(&lines);
    for command in ["SORT (SUBJECT) UTF-8 ALL", "THREAD REFERENCES UTF-8 ALL"] {
        let mut lines = client.ask(command).await;
        let answer = lines.split_off(lines.len() - 2);
        assert!(answer[1].starts_with("OK "), "{answer:?}");
        assert_progress(&lines);
    }
    let lines = client.ask("MOVE 1:* \"Ar&AV8-iv\"").await;
    assert_eq!(lines[0], "* OK [INPROGRESS (\"t\" NIL NIL)] still at it");
    assert_eq!(lines.last().map(String::as_str), Some("OK MOVE done"));
}
