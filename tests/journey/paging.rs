//! ESORT (RFC 5267 3) and PARTIAL (RFC 9394) over stored mail: pages put together are the whole, in the order that was
//! asked for, and what is told with them is what a client finds out itself.

use super::folders::Client;
use super::mailbox_house::House;
use std::collections::BTreeMap;
use std::time::Duration;

/// Mails a minute apart. By size they stand 2 4 5 3 1.
async fn house() -> House {
    let house = House::build().await.with_passwords().await;
    for length in [500, 100, 400, 200, 300] {
        let text = format!(
            "From: a@hs02.kep.test\r\nSubject: x\r\n\r\n{}\r\n",
            "x".repeat(length)
        );
        house.put(text.as_bytes(), |_| {}).await;
        house.clock.advance(Duration::from_secs(60));
    }
    house
}

const BY_SIZE: [u32; 5] = [2, 4, 5, 3, 1];

/// The numbers of a set in its order. RFC 5267 3.2: its ranges rise.
fn expand(set: &str) -> Vec<u32> {
    let number = |text: &str| text.parse::<u32>().unwrap_or_else(|_| panic!("{set}"));
    let range = |part: &str| match part.split_once(':') {
        Some((low, high)) => {
            assert!(number(low) < number(high), "{set}");
            number(low)..=number(high)
        }
        None => number(part)..=number(part),
    };
    set.split(',').flat_map(range).collect()
}

/// The one untagged line of an answer, without its tag.
async fn told(client: &mut Client, command: &str) -> String {
    let said = client.ok(command).await;
    let (line, rest) = said.split_once('\n').unwrap();
    assert_eq!(rest.lines().count(), 1, "{command}: {said}");
    let line = line.trim_start_matches("* ");
    match line
        .split_once(") ")
        .filter(|_| line.starts_with("ESEARCH (TAG "))
    {
        Some((_, data)) => format!("ESEARCH {data}"),
        None => line.split(" (TAG ").next().unwrap().to_owned(),
    }
}

async fn uids_fetched(client: &mut Client, command: &str) -> Vec<u32> {
    let said = client.ok(command).await;
    let uids = said.lines().filter_map(|line| line.split_once("(UID "));
    let digits = |text: &str| text.chars().take_while(char::is_ascii_digit).collect::<String>();
    uids.map(|(_, rest)| digits(rest).parse().unwrap()).collect()
}

#[tokio::test]
async fn an_extended_sort_tells_by_its_order() {
    let house = house().await;
    let mut client = Client::of(&house, "mudur").await;
    client.ok("SELECT INBOX").await;
    for (command, answer) in [
        (
            "UID SORT RETURN () (REVERSE DATE) UTF-8 UNDELETED UNKEYWORD $Junk",
            "ESEARCH UID ALL 5,4,3,2,1",
        ),
        ("SORT RETURN (ALL) (SIZE) UTF-8 ALL", "ESEARCH ALL 2,4:5,3,1"),
        ("UID SORT RETURN (MIN) (SIZE) UTF-8 ALL", "ESEARCH UID MIN 2"),
        ("SORT RETURN (MAX) (SIZE) UTF-8 ALL", "ESEARCH MAX 1"),
        (
            "SORT RETURN (COUNT MAX MIN) (REVERSE SIZE) UTF-8 2:5",
            "ESEARCH MIN 3 MAX 2 COUNT 4",
        ),
        (
            "SORT RETURN (MIN MAX ALL COUNT) (SIZE) UTF-8 SUBJECT yok",
            "ESEARCH COUNT 0",
        ),
        ("UID SORT RETURN () (SIZE) UTF-8 SUBJECT yok", "ESEARCH UID"),
        ("SORT (SIZE) UTF-8 ALL", "SORT 2 4 5 3 1"),
        (
            "UID SORT RETURN (SAVE MIN MAX) (SIZE) UTF-8 ALL",
            "ESEARCH UID MIN 2 MAX 1",
        ),
        ("UID SEARCH $", "SEARCH 1 2"),
        (
            "UID SORT RETURN (SAVE PARTIAL -2:-1 MIN) (SIZE) UTF-8 ALL",
            "ESEARCH UID MIN 2 PARTIAL (-2:-1 3,1)",
        ),
        ("SORT (REVERSE ARRIVAL) UTF-8 $", "SORT 3 2 1"),
    ] {
        assert_eq!(told(&mut client, command).await, answer, "{command}");
    }
    let said = client.ok("SORT RETURN (SAVE) (SIZE) UTF-8 LARGER 350").await;
    assert!(!said.contains("* "), "{said}");
    assert_eq!(told(&mut client, "SEARCH $").await, "SEARCH 1 3");
}

#[tokio::test]
async fn pages_put_together_are_the_whole() {
    let house = house().await;
    let mut client = Client::of(&house, "mudur").await;
    client.ok("SELECT INBOX").await;
    let commands = [
        ("UID SEARCH RETURN (PARTIAL ?) ALL", vec![1, 2, 3, 4, 5]),
        ("UID SORT RETURN (PARTIAL ?) (SIZE) UTF-8 ALL", BY_SIZE.to_vec()),
        ("UID FETCH 1:* (UID) (PARTIAL ?)", vec![1, 2, 3, 4, 5]),
    ];
    for (command, whole) in commands {
        for page in 1..=6u32 {
            for minus in ["", "-"] {
                let mut walked = Vec::new();
                for from in (1..).step_by(page as usize) {
                    let range = format!("{minus}{from}:{minus}{}", from + page - 1);
                    let mut part = part(&mut client, &command.replace('?', &range), &range).await;
                    assert!(part.len() <= page as usize, "{command} {range}: {part:?}");
                    if part.is_empty() {
                        break;
                    }
                    match minus {
                        "" => walked.append(&mut part),
                        _ => walked.splice(0..0, part).for_each(drop),
                    }
                }
                assert_eq!(walked, whole, "{command}: {page} at a time, {minus}");
            }
        }
    }
}

/// What is on a page; nothing where NIL is told, or no message.
async fn part(client: &mut Client, command: &str, range: &str) -> Vec<u32> {
    if command.contains("FETCH") {
        return uids_fetched(client, command).await;
    }
    let line = told(client, command).await;
    let inner = line
        .strip_prefix(&format!("ESEARCH UID PARTIAL ({range} "))
        .and_then(|rest| rest.strip_suffix(')'));
    match inner.unwrap_or_else(|| panic!("{command}: {line}")) {
        "NIL" => Vec::new(),
        set => expand(set),
    }
}

/// RFC 4731 3.2, RFC 7162 3.1.6: the mod-sequence is the highest of what was found, as FETCH tells it; and of a page only
/// what has changed is fetched (RFC 9394 3.4).
#[tokio::test]
async fn mod_sequences_go_with_what_is_told() {
    let house = house().await;
    let mut client = Client::of(&house, "mudur").await;
    client.ok("ENABLE CONDSTORE").await;
    client.ok("SELECT INBOX").await;
    let mut modseqs = BTreeMap::new();
    // 3 last, before it 4 and 1.
    for uid in [1, 4, 3] {
        client
            .ok(&format!("UID STORE {uid} +FLAGS.SILENT (\\Flagged)"))
            .await;
    }
    for line in client
        .ok("FETCH 1:* (UID MODSEQ)")
        .await
        .lines()
        .filter(|line| line.contains(" FETCH ("))
    {
        let numbers: Vec<u64> = line
            .split(|c: char| !c.is_ascii_digit())
            .filter_map(|n| n.parse().ok())
            .collect();
        modseqs.insert(numbers[1] as u32, numbers[2]);
    }
    let of = |uid: u32| modseqs[&uid];
    assert!(
        modseqs.len() == 5 && of(3) > of(4) && of(4) > of(1) && of(1) > of(2).max(of(5)),
        "{modseqs:?}"
    );
    let since = of(1);
    for (command, answer) in [
        (
            "UID SORT (SIZE) UTF-8 MODSEQ 1".to_owned(),
            format!("SORT 2 4 5 3 1 (MODSEQ {})", of(3)),
        ),
        (
            format!("UID SORT (SIZE) UTF-8 MODSEQ {since}"),
            format!("SORT 4 3 1 (MODSEQ {})", of(3)),
        ),
        (
            "SORT RETURN (MIN) (SIZE) UTF-8 MODSEQ 1".to_owned(),
            format!("ESEARCH MIN 2 MODSEQ {}", of(2)),
        ),
        (
            "SORT RETURN (MAX) (SIZE) UTF-8 MODSEQ 1".to_owned(),
            format!("ESEARCH MAX 1 MODSEQ {}", of(1)),
        ),
        (
            format!("SORT RETURN (MIN MAX) (SIZE) UTF-8 MODSEQ {since}"),
            format!("ESEARCH MIN 4 MAX 1 MODSEQ {}", of(4)),
        ),
        (
            "UID SORT RETURN (MIN ALL) (SIZE) UTF-8 MODSEQ 1".to_owned(),
            format!("ESEARCH UID MIN 2 ALL 2,4:5,3,1 MODSEQ {}", of(3)),
        ),
        (
            "SORT RETURN (COUNT) (SIZE) UTF-8 MODSEQ 9999999".to_owned(),
            "ESEARCH COUNT 0".to_owned(),
        ),
        ("SORT (SIZE) UTF-8 MODSEQ 9999999".to_owned(), "SORT".to_owned()),
    ] {
        assert_eq!(told(&mut client, &command).await, answer, "{command}");
    }
    for (modifiers, uids) in [
        (format!("PARTIAL -1:-2 CHANGEDSINCE {since}"), vec![4]),
        (format!("CHANGEDSINCE {since} PARTIAL -1:-3"), vec![3, 4]),
        (format!("PARTIAL 1:2 CHANGEDSINCE {}", since - 1), vec![1]),
        (format!("PARTIAL 1:2 CHANGEDSINCE {since}"), vec![]),
        (format!("PARTIAL 6:9 CHANGEDSINCE {}", since - 1), vec![]),
    ] {
        let command = format!("UID FETCH 1:* (UID FLAGS) ({modifiers})");
        assert_eq!(uids_fetched(&mut client, &command).await, uids, "{modifiers}");
    }
}
