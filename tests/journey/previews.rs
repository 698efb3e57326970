//! PREVIEW (RFC 8970) through the door: the first words of any mail in one line, and of one that nobody has read, none.

use super::folders::Client;
use super::imap_client::door;
use super::mailbox_house::{House, PASSWORD, start};
use kepd::domain::evidence::EvidenceKind;
use kepd::store::tables::work::{self, OwedEvidence};
use std::time::Duration;

/// RFC 8970 3.3: a server should not go beyond; 256 are forbidden.
const CHARS_MAX: usize = 200;

/// The previews of a FETCH, in its order; `None` is NIL.
async fn previews(client: &mut Client, command: &str) -> Vec<Option<String>> {
    let said = client.ok(command).await;
    let told = said.split('\n').filter_map(|line| line.split_once("PREVIEW "));
    told.map(|(_, told)| quoted(told)).collect()
}

/// NIL, or a quoted string with its backslashes undone.
fn quoted(told: &str) -> Option<String> {
    let inner = told.strip_prefix('"').or_else(|| {
        assert!(told.starts_with("NIL"), "{told}");
        None
    })?;
    let (mut text, mut chars) = (String::new(), inner.chars());
    loop {
        match chars.next().unwrap() {
            '"' => return Some(text),
            '\\' => text.push(chars.next().unwrap()),
            c => text.push(c),
        }
    }
}

/// Mails, and what is to be told of each.
fn mails() -> Vec<(Vec<u8>, String)> {
    let text = |head: &str, body: &str| format!("Subject: x\r\n{head}\r\n{body}\r\n").into_bytes();
    let utf8 = "Content-Type: text/plain; charset=utf-8\r\n";
    let mixed = |parts: &str| {
        text(
            "Content-Type: multipart/mixed; boundary=b\r\n",
            &format!("{parts}--b--"),
        )
    };
    let html = [
        b"Subject: x\r\nContent-Type: text/html; charset=windows-1254\r\n\r\n<html><head><title>t</title>"
            .as_slice(),
        b"<style>p { color: red }</style></head><body><!-- c --><p>Say\xfdn <b>Al\xfdc\xfd</b>,</p>\r\n",
        b"<p>ekte&nbsp;&lt;tablo&gt;</p><script>alert(1)</script></body></html>\r\n",
    ]
    .concat();
    vec![
        (
            text(
                "Content-Type: text/plain; charset=iso-8859-9\r\nContent-Transfer-Encoding: quoted-printable\r\n",
                "=DEirketimizin =\r\nyan=FDt=FD\r\n\r\nikinci\tsat=FDr",
            ),
            "Şirketimizin yanıtı ikinci satır".into(),
        ),
        (
            text(
                &format!("{utf8}Content-Transfer-Encoding: base64\r\n"),
                "ScWfxLFsIMSwem1pcidkZSAiw6dheSIgXCBpw6d0aQ0K",
            ),
            "Işıl İzmir'de \"çay\" \\ içti".into(),
        ),
        (text(utf8, &"ğ".repeat(600)), "ğ".repeat(CHARS_MAX)),
        (text(utf8, &"📨".repeat(600)), "📨".repeat(CHARS_MAX)),
        (html, "Sayın Alıcı, ekte <tablo>".into()),
        (
            text(
                "Content-Type: multipart/alternative; boundary=b\r\n",
                &format!(
                    "--b\r\n{utf8}\r\ndüz\r\n--b\r\nContent-Type: text/html\r\n\r\n<p>zengin</p>\r\n--b--"
                ),
            ),
            "düz".into(),
        ),
        (
            text(
                "Content-Type: multipart/alternative; boundary=b\r\n",
                &format!(
                    "--b\r\n{utf8}\r\n\r\n--b\r\nContent-Type: text/html\r\n\r\n<p>yalnız burada</p>\r\n--b--"
                ),
            ),
            "yalnız burada".into(),
        ),
        (
            text(
                "Content-Type: multipart/mixed; boundary=b\r\n",
                &format!(
                    "--b\r\n{utf8}\r\n\r\n--b\r\nContent-Type: text/calendar\r\n\r\nBEGIN:VCALENDAR\r\n--b--"
                ),
            ),
            String::new(),
        ),
        // Attachments, and nothing else.
        (
            mixed(
                "--b\r\nContent-Type: application/pdf; name=a.pdf\r\n\r\n%PDF\r\n\
                 --b\r\nContent-Type: text/csv\r\nContent-Disposition: attachment; filename=a.csv\r\n\r\n1,2\r\n\
                 --b\r\nContent-Type: message/rfc822\r\nContent-Disposition: attachment\r\n\r\nSubject: y\r\n\r\nnot mine\r\n",
            ),
            String::new(),
        ),
        // Encrypted, and in an encoding nobody knows (RFC 8970 3.2, 3.3).
        (
            text("Content-Type: application/pkcs7-mime\r\n", "MIIB"),
            String::new(),
        ),
        (
            text("Content-Transfer-Encoding: x-uuencode\r\n", "begin 644 x"),
            String::new(),
        ),
        (text("", ""), String::new()),
        // An answer: what it answers comes behind.
        (text(utf8, "> eski\r\n> söz\r\n\r\nyeni söz"), "yeni söz".into()),
        (
            text(
                utf8,
                &format!(
                    "Bülten{}\r\n\u{202e}dünya\u{2028}iki",
                    " \u{200c}\u{a0}".repeat(300)
                ),
            ),
            "Bülten dünya iki".into(),
        ),
        (
            [b"Subject: x\r\n\r\n\xff\xfe a\x1b[31m\x00b\r\n".as_slice()].concat(),
            "\u{fffd}\u{fffd} a[31mb".into(),
        ),
        // A frame of a provider around the letter.
        (
            mixed(
                "--b\r\nX-REM-Section-Type: Introduction\r\n\r\nFrom your provider\r\n\
                 --b\r\nContent-Type: message/rfc822\r\nContent-Disposition: attachment\r\nX-REM-Section-Type: Original Message\r\n\r\n\
                 Subject: y\r\n\r\nThe letter\r\n",
            ),
            "The letter".into(),
        ),
        // Markup without an end, and more of it than is looked at.
        (
            text("Content-Type: text/html\r\n", &"<".repeat(60_000)),
            String::new(),
        ),
        (
            text(
                "Content-Type: text/html\r\n",
                &format!("<style>{}", "p{}".repeat(20_000)),
            ),
            String::new(),
        ),
    ]
}

#[tokio::test]
async fn a_preview_is_the_first_words_of_any_mail_in_one_line() {
    let house = House::build().await.with_passwords().await;
    let (octets, wanted): (Vec<_>, Vec<_>) = mails().into_iter().unzip();
    for octets in &octets {
        house.put(octets, |_| {}).await;
    }
    let mut client = Client::of(&house, "mudur").await;
    client.ok("SELECT INBOX").await;
    let told = previews(&mut client, "FETCH 1:* (PREVIEW)").await;
    for (n, (told, wanted)) in told.iter().zip(&wanted).enumerate() {
        assert_eq!(told.as_ref(), Some(wanted), "{}", n + 1);
    }
    assert_eq!(told.len(), wanted.len());
    // It is at hand at once, and the same each time (3.2), in whatever company it is asked for.
    for command in [
        "FETCH 1:* PREVIEW (LAZY)",
        "UID FETCH 1:* (UID FLAGS INTERNALDATE PREVIEW)",
        "FETCH 1:* (RFC822.SIZE PREVIEW (LAZY) UID EMAILID SAVEDATE)",
    ] {
        assert_eq!(previews(&mut client, command).await, told, "{command}");
    }
    let page = previews(&mut client, "UID FETCH 1:* (PREVIEW (LAZY)) (PARTIAL 2:3)").await;
    assert_eq!(page, told[1..3]);
    // Nothing was read by it.
    let said = client.ok("SEARCH SEEN").await;
    assert!(said.starts_with("* SEARCH\n"), "{said}");
}

/// RFC 8970 3.3: in UTF-8 whatever the client enabled. Who enabled nothing hears it as a literal, of so many octets.
#[tokio::test]
async fn a_client_of_old_hears_the_same_octets() {
    let house = House::build().await.with_passwords().await;
    let body = "ışık ".repeat(100);
    let mail = format!("Subject: x\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n{body}\r\n");
    house.put(mail.as_bytes(), |_| {}).await;
    let mut client = Client::connect(door(&house, Duration::ZERO)).await;
    client.ok(&format!("LOGIN mudur@ornekas \"{PASSWORD}\"")).await;
    client.ok("SELECT INBOX").await;
    let said = client.ok("FETCH 1 (PREVIEW)").await;
    let words = "ışık ".repeat(40).trim_end().to_owned();
    assert_eq!(
        said.lines().take(2).collect::<Vec<_>>(),
        [
            format!("* 1 FETCH (PREVIEW {{{}}}", words.len()),
            format!("{words})")
        ]
    );
}

/// Decision 25: a consigned mail has none before somebody has read it, and asking for one is no reading.
#[tokio::test]
async fn what_nobody_has_read_has_none() {
    let house = House::build().await.with_passwords().await;
    let mail = "Subject: x\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nGizli söz\r\n";
    for _ in 0..2 {
        house.deliver(mail.as_bytes()).await;
    }
    let some = |text: &str| Some(text.to_owned());
    let read = || {
        let owed = work::due::<OwedEvidence>(house.db(), start(), 100).unwrap();
        let read = owed
            .iter()
            .filter(|o| o.row.facts.kind == EvidenceKind::RetrievalNonRetrievalByRecipient);
        read.count()
    };
    let mut client = Client::of(&house, "mudur").await;
    client.ok("SELECT INBOX").await;
    let empty = vec![some(""), some("")];
    assert_eq!(
        previews(&mut client, "FETCH 1:2 (UID PREVIEW FLAGS RFC822.SIZE ENVELOPE)").await,
        empty
    );
    assert_eq!(
        previews(&mut client, "FETCH 1:2 PREVIEW (LAZY)").await,
        vec![None, None]
    );
    // Whoever asks once without LAZY is not told NIL (RFC 8970 3.2).
    for both in ["PREVIEW PREVIEW (LAZY)", "PREVIEW (LAZY) PREVIEW"] {
        let said = client.ok(&format!("FETCH 1 ({both})")).await;
        assert!(said.starts_with("* 1 FETCH (PREVIEW \"\")\n"), "{said}");
    }
    let said = client.ok("SEARCH SEEN").await;
    assert!(said.starts_with("* SEARCH\n") && read() == 0, "{said}");
    // A colleague opens one of them: of that one the words are told from then on, to all who see it.
    let mut colleague = Client::of(&house, "muavin").await;
    colleague.ok("SELECT INBOX").await;
    colleague.ok("FETCH 1 (BODY.PEEK[TEXT])").await;
    for item in ["PREVIEW", "PREVIEW (LAZY)"] {
        let told = previews(&mut client, &format!("FETCH 1:2 {item}")).await;
        let unread = if item == "PREVIEW" { some("") } else { None };
        assert_eq!(told, [some("Gizli söz"), unread], "{item}");
    }
    assert_eq!(read(), 1);
    // What is not consigned has one from the beginning.
    let draft = "From: ornekas@hs01.kep.test\r\nMessage-ID: <a@x>\r\nSubject: x\r\n\r\ntaslak\r\n";
    let mut writer = Client::of(&house, "ayse").await;
    writer
        .ok(&format!("APPEND Taslaklar {{{}+}}\r\n{draft}", draft.len()))
        .await;
    writer.ok("SELECT Taslaklar").await;
    assert_eq!(
        previews(&mut writer, "FETCH 1 PREVIEW (LAZY)").await,
        [some("taslak")]
    );
}
