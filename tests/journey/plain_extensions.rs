//! Small extensions through the door, each so that it is noticed when it does something else than its RFC says.

use super::folders::Client;
use super::imap_client::door;
use super::mailbox_house::{House, start};
use kepd::domain::item::Filed;
use std::time::Duration;

/// Mails of different sizes.
async fn house(mails: usize) -> House {
    let house = House::build().await.with_passwords().await;
    for n in 0..mails {
        let text = format!(
            "From: a@hs02.kep.test\r\nSubject: {n}\r\n\r\n{}\r\n",
            "x".repeat(n * 7)
        );
        house.put(text.as_bytes(), |_| {}).await;
    }
    house
}

/// The number behind a word of a line.
fn number(line: &str, word: &str) -> u64 {
    let from = line
        .find(&format!("{word} "))
        .unwrap_or_else(|| panic!("{word}: {line}"));
    let digits = line[from + word.len() + 1..]
        .chars()
        .take_while(char::is_ascii_digit);
    digits.collect::<String>().parse().unwrap()
}

/// RFC 3691: the mailbox is left, nothing is expunged. CLOSE (RFC 9051 6.4.1) expunges, and not where it was only examined.
#[tokio::test]
async fn unselect_expunges_nothing_and_close_does() {
    let house = house(3).await;
    let mut client = Client::of(&house, "mudur").await;
    let there = async |client: &mut Client| number(&client.ok("STATUS INBOX (MESSAGES)").await, "MESSAGES");
    client.ok("SELECT INBOX").await;
    client.ok("STORE 2 +FLAGS.SILENT (\\Deleted)").await;
    let said = client.ok("UNSELECT").await;
    assert!(!said.contains("EXPUNGE"), "{said}");
    assert!(
        client.say("FETCH 1 FLAGS").await.contains(" BAD "),
        "nothing is selected any more"
    );
    assert!(client.say("UNSELECT").await.contains(" BAD "));
    assert_eq!(there(&mut client).await, 3);
    client.ok("EXAMINE INBOX").await;
    client.ok("CLOSE").await;
    assert_eq!(there(&mut client).await, 3);
    client.ok("SELECT INBOX").await;
    assert!(client.ok("FETCH 2 (FLAGS)").await.contains("\\Deleted"));
    let said = client.ok("CLOSE").await;
    assert!(!said.contains("EXPUNGE"), "{said}");
    assert!(client.say("FETCH 1 FLAGS").await.contains(" BAD "));
    assert_eq!(there(&mut client).await, 2);
}

/// RFC 2342, RFC 2971, RFC 5161: what NAMESPACE says is how names are; ID is answered at any time; only what is known is
/// enabled, said once, and has its effect.
#[tokio::test]
async fn namespace_id_and_enable_say_what_holds() {
    let house = house(1).await;
    let mut client = Client::connect(door(&house, Duration::ZERO)).await;
    for asked in ["ID NIL", "ID (\"name\" \"x\" \"version\" NIL)"] {
        assert!(
            client.ok(asked).await.starts_with("* ID (\"name\" \"kepd\""),
            "{asked}"
        );
    }
    assert!(client.say("ID (\"name\")").await.contains(" BAD "));
    assert!(client.say("NAMESPACE").await.contains(" BAD "), "before login");
    let login = format!("LOGIN mudur@ornekas \"{}\"", super::mailbox_house::PASSWORD);
    client.ok(&login).await;
    assert!(client.ok("ID NIL").await.starts_with("* ID (\"name\" \"kepd\""));
    let said = client.ok("NAMESPACE").await;
    assert!(said.starts_with("* NAMESPACE ((\"\" \"/\")) NIL NIL"), "{said}");
    // The separator is that of LIST, and every level of every name is there under it.
    assert!(
        client
            .ok("LIST \"\" \"\"")
            .await
            .starts_with("* LIST (\\Noselect) \"/\" \"\"")
    );
    let listed = client.ok("LIST \"\" \"*\"").await;
    let names: Vec<&str> = listed
        .lines()
        .filter(|line| line.starts_with("* LIST"))
        .map(|line| line.rsplit('"').nth(1).unwrap())
        .collect();
    assert!(
        listed
            .lines()
            .filter(|l| l.starts_with("* LIST"))
            .all(|l| l.contains(") \"/\" \""))
    );
    for name in &names {
        for (at, _) in name.match_indices('/') {
            assert!(names.contains(&&name[..at]), "{name}");
        }
    }
    // In modified UTF-7 until UTF-8 was agreed on.
    assert!(names.iter().all(|name| name.is_ascii()) && names.iter().any(|name| name.contains("&AV8-")));
    let enabled = async |client: &mut Client, what: &str| {
        let said = client.ok(&format!("ENABLE {what}")).await;
        let line = said.lines().find(|line| line.starts_with("* ENABLED"));
        line.unwrap_or_default().to_owned()
    };
    client.ok("SELECT INBOX").await;
    assert!(!client.ok("FETCH 1 (FLAGS)").await.contains("MODSEQ"));
    client.ok("UNSELECT").await;
    assert_eq!(
        enabled(&mut client, "X-YOK UTF8=ACCEPT CONDSTORE IDLE").await,
        "* ENABLED UTF8=ACCEPT CONDSTORE"
    );
    assert!(!enabled(&mut client, "X-YOK").await.contains("X-YOK"));
    assert!(client.say("ENABLE").await.contains(" BAD "));
    assert!(client.ok("LIST \"\" \"*\"").await.contains("\"Arşiv\""));
    client.ok("SELECT INBOX").await;
    client.ok("STORE 1 +FLAGS.SILENT (\\Seen)").await;
    assert!(client.ok("FETCH 1 (FLAGS MODSEQ)").await.contains("MODSEQ ("));
    let said = client.ok("STORE 1 +FLAGS (\\Flagged)").await;
    assert!(said.contains("MODSEQ ("), "CONDSTORE was enabled: {said}");
}

/// RFC 8438, RFC 5819, RFC 9051 6.3.11: the numbers of STATUS, alone and with LIST, are those a client counts itself.
#[tokio::test]
async fn numbers_of_status_are_those_that_a_client_counts() {
    let house = house(9).await;
    let by = house.user("mudur").user;
    let filed = Some(Filed { by, at: start() });
    for (n, id) in (1..=9).map(|n| (n, kepd::id::ItemId(n))) {
        house
            .change(id, |item| match n % 4 {
                1 => item.archived = filed,
                2 => item.trashed = filed,
                _ => {}
            })
            .await;
    }
    let mut client = Client::of(&house, "mudur").await;
    client.ok("SELECT INBOX").await;
    client.ok("STORE 1:2 +FLAGS.SILENT (\\Seen \\Flagged)").await;
    client.ok("STORE 2:3 +FLAGS.SILENT (\\Deleted)").await;
    client.ok("UNSELECT").await;
    let items = "MESSAGES UNSEEN DELETED UIDNEXT UIDVALIDITY SIZE";
    let listed = client
        .ok(&format!("LIST \"\" \"*\" RETURN (STATUS ({items}))"))
        .await;
    let mut looked_at = 0;
    for mailbox in [
        "INBOX",
        "Arşiv",
        "Çöp Kutusu",
        "Önemli",
        "Tüm Postalar",
        "Taslaklar",
    ] {
        let with_list = listed
            .lines()
            .find(|line| line.starts_with(&format!("* STATUS \"{mailbox}\"")))
            .unwrap_or_else(|| panic!("{mailbox}: {listed}"));
        let alone = client.ok(&format!("STATUS \"{mailbox}\" ({items})")).await;
        assert_eq!(alone.lines().next(), Some(with_list));
        let selected = client.ok(&format!("SELECT \"{mailbox}\"")).await;
        assert_eq!(
            number(with_list, "UIDNEXT"),
            number(&selected, "[UIDNEXT"),
            "{mailbox}"
        );
        assert_eq!(
            number(with_list, "UIDVALIDITY"),
            number(&selected, "[UIDVALIDITY"),
            "{mailbox}"
        );
        let rows = match number(with_list, "MESSAGES") {
            0 => String::new(),
            _ => client.ok("UID FETCH 1:* (FLAGS RFC822.SIZE)").await,
        };
        let rows: Vec<&str> = rows
            .lines()
            .filter(|line| line.starts_with("* ") && line.contains(" FETCH "))
            .collect();
        let count = |is: &dyn Fn(&str) -> bool| rows.iter().filter(|row| is(row)).count() as u64;
        assert_eq!(number(with_list, "MESSAGES"), count(&|_| true), "{mailbox}");
        assert_eq!(
            number(with_list, "UNSEEN"),
            count(&|row| !row.contains("\\Seen")),
            "{mailbox}"
        );
        assert_eq!(
            number(with_list, "DELETED"),
            count(&|row| row.contains("\\Deleted")),
            "{mailbox}"
        );
        let octets: u64 = rows.iter().map(|row| number(row, "RFC822.SIZE")).sum();
        assert_eq!(number(with_list, "SIZE"), octets, "{mailbox}");
        looked_at += rows.len();
        client.ok("UNSELECT").await;
    }
    assert!(looked_at > 15, "{looked_at}");
}

/// RFC 3502 with RFC 4315: copies of sent mail are recognised and stand there once. Each has its UID told in the order in
/// which it was brought, and no UID is told twice.
#[tokio::test]
async fn copies_brought_together_have_a_uid_each_and_none_is_told_twice() {
    let house = house(0).await;
    let mut client = Client::of(&house, "ayse").await;
    let text = |n: u32| {
        format!(
            "From: ornekas@hs01.kep.test\r\nTo: ornekas@hs01.kep.test\r\nSubject: Teklif {n}\r\n\
             Message-ID: <t{n}@hs01.kep.test>\r\n\r\nx\r\n"
        )
    };
    let literal = |n: u32| format!("(\\Seen) {{{}+}}\r\n{}", text(n).len(), text(n));
    for n in 1..=2 {
        client.ok(&format!("APPEND Taslaklar {}", literal(n))).await;
    }
    client.ok("SELECT Taslaklar").await;
    client.ok("UID MOVE 1:* \"İş Akışları/Teklif\"").await;
    client.ok("UNSELECT").await;
    let sent = "\"Giden Kutusu\"";
    let there = client
        .ok(&format!("STATUS {sent} (MESSAGES UIDNEXT UIDVALIDITY)"))
        .await;
    assert_eq!(number(&there, "MESSAGES"), 2);
    let validity = number(&there, "UIDVALIDITY");
    for (brought, told) in [
        (&[1][..], format!("[APPENDUID {validity} 1]")),
        (&[1, 2], format!("[APPENDUID {validity} 1:2]")),
        (&[2, 1], format!("[APPENDUID {validity} 2,1]")),
        (&[1, 1], " OK APPEND done".to_owned()),
        (&[2, 1, 2], " OK APPEND done".to_owned()),
    ] {
        let literals: Vec<String> = brought.iter().map(|n| literal(*n)).collect();
        let said = client.ok(&format!("APPEND {sent} {}", literals.join(" "))).await;
        assert!(said.contains(&told), "{brought:?}: {said}");
        let now = client
            .ok(&format!("STATUS {sent} (MESSAGES UIDNEXT UIDVALIDITY)"))
            .await;
        assert_eq!(now, there, "{brought:?}");
    }
    // All of it was done: they are marked.
    client.ok(&format!("SELECT {sent}")).await;
    let rows = client.ok("FETCH 1:* (FLAGS)").await;
    assert_eq!(rows.matches("\\Seen").count(), 2, "{rows}");
}
