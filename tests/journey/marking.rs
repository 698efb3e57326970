//! Many who mark one mailbox of one user at once, through the door: nobody is refused, nothing is lost, each hears what the
//! others did, and what somebody set himself is told once.

use super::folders::Client;
use super::mailbox_house::House;
use kepd::id::ItemId;
use kepd::store::tables::flags::{self, PAGE_ITEMS};
use std::collections::BTreeSet;

const MAIL: &[u8] = b"From: a@hs02.kep.test\r\nSubject: x\r\n\r\nbody\r\n";
const SESSIONS: usize = 16;
const EACH: usize = 4;

async fn filled(mails: usize) -> (House, Vec<ItemId>) {
    let house = House::build().await.with_passwords().await;
    let mut ids = Vec::new();
    for _ in 0..mails {
        ids.push(house.put(MAIL, |_| {}).await);
    }
    (house, ids)
}

/// Sequence numbers that a SEARCH found.
fn found(said: &str) -> Vec<usize> {
    let line = said.lines().find(|line| line.starts_with("* SEARCH"));
    let numbers = line.unwrap_or_default().split(' ').skip(2);
    numbers.map(|n| n.trim().parse().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_that_mark_other_mails_of_one_mailbox_are_in_nobodys_way() {
    let (house, ids) = filled(SESSIONS * EACH).await;
    // All lie on one page, or on two.
    assert!(ids[ids.len() - 1].0 / PAGE_ITEMS - ids[0].0 / PAGE_ITEMS <= 1);
    let mut clients = Vec::new();
    for _ in 0..SESSIONS {
        let mut client = Client::of(&house, "mudur").await;
        client.say("SELECT INBOX").await;
        clients.push(client);
    }
    let work = clients.into_iter().enumerate().map(|(n, mut client)| {
        tokio::spawn(async move {
            for round in 0..3 {
                for k in 0..EACH {
                    let number = n * EACH + k + 1;
                    let sign = if round == 1 { '-' } else { '+' };
                    let said = client
                        .say(&format!("STORE {number} {sign}FLAGS.SILENT (\\Flagged soz{n})"))
                        .await;
                    assert!(said.contains(" OK "), "{said}");
                }
            }
            client
        })
    });
    let mut clients: Vec<Client> = Vec::new();
    for work in work.collect::<Vec<_>>() {
        clients.push(work.await.unwrap());
    }
    let by = house.user("mudur");
    let mut numbers = BTreeSet::new();
    for (n, id) in ids.iter().enumerate() {
        let flags = flags::flags(house.db(), house.tenant, by.user, *id)
            .unwrap()
            .unwrap();
        assert!(flags.flagged && !flags.seen);
        assert_eq!(flags.keywords, [format!("soz{}", n / EACH)].into());
        numbers.insert(flags.modseq);
    }
    assert_eq!(
        numbers.len(),
        ids.len(),
        "each was changed by a commit of its own"
    );
    for client in &mut clients {
        let said = client.say("SEARCH FLAGGED").await;
        assert_eq!(found(&said).len(), ids.len(), "{said}");
    }
}

#[tokio::test]
async fn what_was_set_at_once_is_told_once_and_to_the_others() {
    let (house, ids) = filled(300).await;
    let (mut one, mut other) = (
        Client::of(&house, "mudur").await,
        Client::of(&house, "mudur").await,
    );
    for client in [&mut one, &mut other] {
        client.say("SELECT INBOX").await;
    }
    let told = |said: &str| said.lines().filter(|line| line.contains(" FETCH ")).count();
    assert_eq!(told(&one.say("STORE 1:* +FLAGS (\\Seen)").await), ids.len());
    assert_eq!(told(&one.say("NOOP").await), 0, "he has set it himself");
    assert_eq!(told(&other.say("NOOP").await), ids.len());
    assert_eq!(told(&other.say("NOOP").await), 0);
    // A part of it, and what somebody else set on the same mails meanwhile.
    assert_eq!(told(&other.say("STORE 5 +FLAGS.SILENT (\\Deleted)").await), 0);
    let said = one.say("STORE 4:6 -FLAGS (\\Seen)").await;
    assert_eq!(told(&said), 3, "{said}");
    let deleted = said.lines().filter(|line| line.contains("\\Deleted"));
    assert!(
        deleted.eq(said.lines().filter(|line| line.starts_with("* 5 FETCH"))),
        "{said}"
    );
    assert_eq!(told(&one.say("NOOP").await), 0);
    let said = other.say("NOOP").await;
    assert_eq!(told(&said), 3, "{said}");
    // Searching by flags, by all of them and by what only the mail tells.
    let search = async |client: &mut Client, key: &str| found(&client.say(&format!("SEARCH {key}")).await);
    assert_eq!(search(&mut one, "UNSEEN").await, [4, 5, 6]);
    assert_eq!(search(&mut other, "UNSEEN NOT DELETED").await, [4, 6]);
    assert_eq!(search(&mut other, "OR DELETED UNSEEN").await, [4, 5, 6]);
    assert_eq!(search(&mut other, "UNSEEN UNDRAFT").await, [4, 5, 6]);
    assert_eq!(search(&mut one, "UNSEEN SUBJECT x LARGER 1").await, [4, 5, 6]);
    assert!(search(&mut one, "UNSEEN KEYWORD nobodys").await.is_empty());
    assert_eq!(search(&mut one, "SEEN").await.len(), ids.len() - 3);
}

/// RFC 9051 6.4.6: who sets flags in silence is spared what he set, and hears what others did to the same message.
#[tokio::test]
async fn silence_hides_nothing_that_others_did() {
    let (house, _) = filled(3).await;
    let (mut one, mut other) = (
        Client::of(&house, "mudur").await,
        Client::of(&house, "mudur").await,
    );
    for client in [&mut one, &mut other] {
        client.say("SELECT INBOX (CONDSTORE)").await;
    }
    one.say("STORE 2 +FLAGS (\\Flagged)").await;
    let said = other.say("STORE 1:3 +FLAGS.SILENT (\\Seen)").await;
    let lines: Vec<&str> = said.lines().filter(|line| line.contains("FLAGS (")).collect();
    let [line] = lines.as_slice() else {
        panic!("{said}");
    };
    assert!(
        line.starts_with("* 2 FETCH") && line.contains("\\Flagged") && line.contains("\\Seen"),
        "{line}"
    );
    assert!(!other.say("NOOP").await.contains("FETCH"));
    // Nothing was to be set: what somebody else did is told all the same.
    one.say("STORE 3 +FLAGS (\\Answered)").await;
    let said = other.say("STORE 3 +FLAGS.SILENT (\\Seen)").await;
    let told = |said: &str, word: &str| {
        said.lines()
            .any(|line| line.starts_with("* 3 FETCH") && line.contains(word))
    };
    assert!(told(&said, "\\Answered"), "{said}");
}

/// Marks on many messages are few rows, so a page that was written by many commits and by one says the same to a client
/// that comes back.
#[tokio::test]
async fn numbers_of_a_page_are_those_of_its_messages() {
    let (house, _) = filled(200).await;
    let mut client = Client::of(&house, "mudur").await;
    client.say("SELECT INBOX (CONDSTORE)").await;
    let modseq = |said: &str, number: usize| {
        let line = said
            .lines()
            .find(|line| line.starts_with(&format!("* {number} FETCH ")));
        let line = line.unwrap_or_else(|| panic!("{number} is not in {said}"));
        let from = line.find("MODSEQ (").unwrap() + 8;
        line[from..].split(')').next().unwrap().parse::<u64>().unwrap()
    };
    let all = client.say("STORE 1:* +FLAGS (\\Seen)").await;
    let one = client.say("STORE 7 +FLAGS (\\Flagged)").await;
    let (before, after) = (modseq(&all, 7), modseq(&one, 7));
    assert!(after > before);
    assert_eq!(modseq(&all, 6), before);
    let said = client.say("FETCH 6:8 (FLAGS)").await;
    let numbers = [6, 7, 8].map(|n| modseq(&said, n));
    assert_eq!(numbers, [before, after, before]);
    let said = client
        .say(&format!("FETCH 1:* (FLAGS) (CHANGEDSINCE {before})"))
        .await;
    assert_eq!(
        said.lines().filter(|line| line.contains(" FETCH (")).count(),
        1,
        "{said}"
    );
    // A conditional STORE looks at each message's own number, not at the page's.
    let said = client
        .say(&format!(
            "STORE 6:8 (UNCHANGEDSINCE {before}) +FLAGS (\\Answered)"
        ))
        .await;
    assert!(said.contains("[MODIFIED 7]"), "{said}");
    let said = client.say("SEARCH ANSWERED").await;
    assert_eq!(found(&said), [6, 8], "{said}");
}
