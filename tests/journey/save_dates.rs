//! SAVEDATE (RFC 8514) through the door: when a message was put into the mailbox that shows it, whatever it says of
//! itself. The house opens on 4-Nov-2026 at 8:30.

use super::folders::Client;
use super::mailbox_house::{House, start};
use std::time::Duration;

const DAY: Duration = Duration::from_secs(24 * 3600);
const MAIL: &[u8] = b"From: a@hs02.kep.test\r\nSubject: x\r\n\r\nx\r\n";

/// A date of a message as FETCH tells it.
async fn date(client: &mut Client, number: u32, item: &str) -> String {
    let said = client.ok(&format!("FETCH {number} ({item})")).await;
    let quoted = said.split('"').nth(1);
    quoted.unwrap_or_else(|| panic!("{said}")).to_owned()
}

async fn found(client: &mut Client, key: &str) -> String {
    let said = client.ok(&format!("SEARCH {key}")).await;
    let line = said.lines().find_map(|line| line.strip_prefix("* SEARCH"));
    line.unwrap_or_else(|| panic!("{said}")).trim().to_owned()
}

/// The days are those of the dates that FETCH tells: what came a second before midnight came the day before.
#[tokio::test]
async fn days_of_saving_are_searched() {
    let house = House::build().await.with_passwords().await;
    let old = start().minus(400 * DAY);
    house.clock.advance(Duration::from_secs(15 * 3600 + 29 * 60 + 59));
    house.put(MAIL, |item| item.internal_date = old).await;
    house.clock.advance(Duration::from_secs(1));
    house.put(MAIL, |_| {}).await;
    house.clock.advance(DAY);
    house.put(MAIL, |_| {}).await;
    // What was stored is told; a start anew changes nothing.
    let house = house.restart();
    let mut client = Client::of(&house, "mudur").await;
    client.ok("EXAMINE INBOX").await;
    for (number, told) in [
        (1, " 4-Nov-2026 23:59:59 +0000"),
        (2, " 5-Nov-2026 00:00:00 +0000"),
        (3, " 6-Nov-2026 00:00:00 +0000"),
    ] {
        assert_eq!(date(&mut client, number, "SAVEDATE").await, told);
    }
    let internal = date(&mut client, 1, "INTERNALDATE").await;
    assert_eq!(internal, "30-Sep-2025 08:30:00 +0000");
    for (key, numbers) in [
        ("SAVEDON 4-Nov-2026", "1"),
        ("SAVEDON 5-Nov-2026", "2"),
        ("SAVEDON 30-Sep-2025", ""),
        ("SAVEDBEFORE 5-Nov-2026", "1"),
        ("SAVEDBEFORE 4-Nov-2026", ""),
        ("SAVEDSINCE 5-Nov-2026", "2 3"),
        ("SAVEDSINCE 7-Nov-2026", ""),
        ("NOT SAVEDON 5-Nov-2026", "1 3"),
        ("OR SAVEDON 4-Nov-2026 SAVEDSINCE 6-Nov-2026", "1 3"),
        ("BEFORE 1-Oct-2025 SAVEDSINCE 4-Nov-2026", "1"),
        ("SAVEDATESUPPORTED", "1 2 3"),
        ("NOT SAVEDATESUPPORTED", ""),
        ("SAVEDATESUPPORTED SUBJECT x SAVEDSINCE 5-Nov-2026", "2 3"),
    ] {
        assert_eq!(found(&mut client, key).await, numbers, "{key}");
    }
    let said = client
        .ok("UID SORT RETURN (ALL) (REVERSE ARRIVAL) UTF-8 SAVEDSINCE 5-Nov-2026")
        .await;
    assert!(
        said.starts_with("* ESEARCH ") && said.contains(" UID ALL 3,2\n"),
        "{said}"
    );
}

/// RFC 8514 3: what is moved is saved anew where it is moved to, and the date stays as long as it lies there. So a client
/// that empties the bin of what has lain there for a month does not take what was thrown away today.
#[tokio::test]
async fn the_bin_and_the_archive_tell_when_it_was_put_there() {
    let house = House::build().await.with_passwords().await;
    for _ in 0..2 {
        house.put(MAIL, |_| {}).await;
    }
    let mut client = Client::of(&house, "mudur").await;
    client.ok("SELECT INBOX").await;
    house.clock.advance(40 * DAY);
    client.ok("COPY 1:2 \"Etiketler/Acil\"").await;
    client.ok("STORE 1 +FLAGS (\\Flagged)").await;
    assert_eq!(
        date(&mut client, 1, "SAVEDATE").await,
        " 4-Nov-2026 08:30:00 +0000"
    );
    client.ok("MOVE 1 \"Çöp Kutusu\"").await;
    client.ok("MOVE 1 \"Arşiv\"").await;
    // A day later it is the same.
    house.clock.advance(DAY);
    for mailbox in ["Çöp Kutusu", "Arşiv"] {
        client.ok(&format!("SELECT \"{mailbox}\"")).await;
        client.ok("STORE 1 +FLAGS (\\Answered)").await;
        assert_eq!(
            date(&mut client, 1, "SAVEDATE").await,
            "14-Dec-2026 08:30:00 +0000",
            "{mailbox}"
        );
        assert_eq!(
            date(&mut client, 1, "INTERNALDATE").await,
            " 4-Nov-2026 08:30:00 +0000"
        );
        for (key, numbers) in [
            ("SAVEDON 14-Dec-2026", "1"),
            ("SAVEDBEFORE 14-Dec-2026", ""),
            ("SAVEDSINCE 15-Dec-2026", ""),
            ("SAVEDATESUPPORTED BEFORE 14-Dec-2026", "1"),
        ] {
            assert_eq!(found(&mut client, key).await, numbers, "{mailbox}: {key}");
        }
    }
    // The other mailboxes are views of what is here, and show it since it came.
    for mailbox in ["Tüm Postalar", "Etiketler/Acil"] {
        client.ok(&format!("SELECT \"{mailbox}\"")).await;
        assert_eq!(
            date(&mut client, 1, "SAVEDATE").await,
            " 4-Nov-2026 08:30:00 +0000",
            "{mailbox}"
        );
        assert_eq!(found(&mut client, "SAVEDON 4-Nov-2026").await, "1", "{mailbox}");
    }
    // From the one into the other and back, out of the bin and into it again: each time it is put there anew.
    client.ok("SELECT \"Arşiv\"").await;
    client.ok("MOVE 1 \"Çöp Kutusu\"").await;
    client.ok("SELECT \"Çöp Kutusu\"").await;
    assert_eq!(
        date(&mut client, 2, "SAVEDATE").await,
        "15-Dec-2026 08:30:00 +0000"
    );
    assert_eq!(found(&mut client, "SAVEDBEFORE 15-Dec-2026").await, "1");
    client.ok("MOVE 1 INBOX").await;
    house.clock.advance(DAY);
    client.ok("MOVE 1 \"Arşiv\"").await;
    client.ok("SELECT \"Arşiv\"").await;
    assert_eq!(
        date(&mut client, 1, "SAVEDATE").await,
        "16-Dec-2026 08:30:00 +0000"
    );
    client.ok("SELECT INBOX").await;
    assert_eq!(
        date(&mut client, 1, "SAVEDATE").await,
        " 4-Nov-2026 08:30:00 +0000"
    );
    client.ok("MOVE 1 \"Çöp Kutusu\"").await;
    client.ok("SELECT \"Çöp Kutusu\"").await;
    assert_eq!(
        date(&mut client, 1, "SAVEDATE").await,
        "16-Dec-2026 08:30:00 +0000"
    );
}

/// RFC 8514 3: APPEND sets the internal date, and nobody sets this one. What takes the place of a draft is saved anew.
#[tokio::test]
async fn a_client_cannot_set_it() {
    let house = House::build().await.with_passwords().await;
    let mut client = Client::of(&house, "ayse").await;
    let draft = |words: &str| {
        let text =
            format!("From: ornekas@hs01.kep.test\r\nMessage-ID: <a@x>\r\nSubject: x\r\n\r\n{words}\r\n");
        format!("\" 5-Nov-1994 10:00:00 +0000\" {{{}+}}\r\n{text}", text.len())
    };
    client.ok(&format!("APPEND Taslaklar {}", draft("bir"))).await;
    client.ok("SELECT Taslaklar").await;
    assert_eq!(
        date(&mut client, 1, "SAVEDATE").await,
        " 4-Nov-2026 08:30:00 +0000"
    );
    assert_eq!(
        date(&mut client, 1, "INTERNALDATE").await,
        " 5-Nov-1994 10:00:00 +0000"
    );
    house.clock.advance(DAY);
    client.ok(&format!("REPLACE 1 Taslaklar {}", draft("iki"))).await;
    client.ok("NOOP").await;
    assert_eq!(
        date(&mut client, 1, "SAVEDATE").await,
        " 5-Nov-2026 08:30:00 +0000"
    );
    assert_eq!(found(&mut client, "SAVEDON 5-Nov-2026 ON 5-Nov-1994").await, "1");
    let said = client
        .say("STORE 1 SAVEDATE \" 5-Nov-1994 10:00:00 +0000\"")
        .await;
    assert!(said.starts_with(" BAD "), "{said}");
}
