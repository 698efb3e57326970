//! Threads by references: each step of the algorithm on mailboxes small enough to see, and hostile ones for the bounds.

use super::*;
use crate::clock::UtcTime;
use crate::mime::base_subject::base_subject;
use proptest::prelude::*;

/// (number, sent, subject, Message-ID, References)
type Mail<'a> = (u32, i64, &'a str, &'a str, &'a str);

fn add(threading: &mut References, (uid, sent, subject, id, references): Mail<'_>) {
    let base = base_subject(subject);
    let letter = Letter {
        uid,
        sent: UtcTime::from_unix_s(sent),
        subject: &base.text.to_ascii_lowercase(),
        is_reply: base.is_reply,
    };
    let id = (!id.is_empty()).then_some(id);
    threading.add(letter, id, &[references.to_owned()], None);
}

fn shown(branches: &[Branch]) -> String {
    let one = |b: &Branch| {
        let who = b.uid.map_or("?".to_owned(), |uid| uid.to_string());
        format!("{}{who}", ".".repeat(b.depth as usize))
    };
    branches.iter().map(one).collect::<Vec<_>>().join(" ")
}

fn threads(mails: &[Mail<'_>]) -> String {
    let mut threading = References::default();
    for mail in mails {
        add(&mut threading, *mail);
    }
    shown(&threading.threads())
}

#[test]
fn answers_hang_below_what_they_answer() {
    let mails = [
        (1, 10, "a", "<1@x>", ""),
        (2, 30, "Re: a", "<2@x>", "<1@x>"),
        (3, 20, "Re: a", "<3@x>", "<1@x>"),
        (4, 40, "Re: a", "<4@x>", "<1@x> <3@x>"),
        (5, 5, "b", "<5@x>", ""),
    ];
    assert_eq!(threads(&mails), "5 1 .3 ..4 .2");
    // Whatever order they lie in.
    let turned: Vec<Mail<'_>> = mails.iter().rev().copied().collect();
    assert_eq!(threads(&turned), "5 1 .3 ..4 .2");
}

#[test]
fn in_reply_to_counts_where_there_are_no_references() {
    let mut threading = References::default();
    add(&mut threading, (1, 1, "a", "<1@x>", ""));
    let letter = |uid, subject| Letter {
        uid,
        sent: UtcTime::from_unix_s(i64::from(uid)),
        subject,
        is_reply: false,
    };
    threading.add(
        letter(2, "b"),
        Some("<2@x>"),
        &[],
        Some("your mail to c@d of Monday <1@x> <9@x>"),
    );
    threading.add(
        letter(3, "c"),
        Some("<3@x>"),
        &["no ids".to_owned()],
        Some("<2@x>"),
    );
    threading.add(
        letter(4, "d"),
        Some("<4@x>"),
        &["<1@x>".to_owned()],
        Some("<3@x>"),
    );
    assert_eq!(shown(&threading.threads()), "1 .2 ..3 .4");
}

#[test]
fn who_is_not_here_holds_together_only_those_who_would_fall_apart() {
    // Two answers of an absent message stay siblings; one stands alone.
    assert_eq!(
        threads(&[(3, 1, "a", "<3@x>", "<0@x>"), (5, 2, "b", "<5@x>", "<0@x>")]),
        "? .3 .5"
    );
    assert_eq!(threads(&[(3, 1, "a", "<3@x>", "<0@x>")]), "3");
    // Absent in the middle: the grandchild is taken by the grandparent.
    let middle = [
        (1, 1, "a", "<1@x>", ""),
        (2, 2, "b", "<2@x>", "<1@x> <gone@x> <lost@x>"),
    ];
    assert_eq!(threads(&middle), "1 .2");
    // A chain of the absent above two branches is one.
    let chain = [
        (1, 1, "a", "<1@x>", "<p@x> <q@x> <r@x>"),
        (2, 2, "b", "<2@x>", "<p@x> <q@x> <s@x>"),
        (3, 3, "c", "<3@x>", "<p@x> <q@x> <s@x>"),
    ];
    assert_eq!(threads(&chain), "? .1 .2 .3");
}

#[test]
fn an_id_used_twice_is_the_first_ones() {
    let mails = [
        (1, 1, "a", "<1@x>", ""),
        (2, 2, "b", "<1@x>", ""),
        (3, 3, "c", "<3@x>", "<1@x>"),
        (4, 4, "d", "", "<3@x>"),
        (5, 5, "e", "no id", ""),
    ];
    assert_eq!(threads(&mails), "1 .3 ..4 2 5");
    // Quoted and bare are the same id; case tells ids apart.
    let quoted = [
        (1, 1, "a", "<\"1\"@x>", ""),
        (2, 2, "b", "<2@x>", "<1@x>"),
        (3, 3, "c", "<3@x>", "<1@X>"),
    ];
    assert_eq!(threads(&quoted), "1 .2 3");
}

#[test]
fn no_references_make_a_loop() {
    assert_eq!(
        threads(&[(1, 1, "a", "<1@x>", "<2@x>"), (2, 2, "b", "<2@x>", "<1@x>")]),
        "2 .1"
    );
    assert_eq!(threads(&[(1, 1, "a", "<1@x>", "<1@x>")]), "1");
    assert_eq!(threads(&[(1, 1, "a", "<1@x>", "<2@x> <1@x> <2@x> <3@x>")]), "1");
}

#[test]
fn what_a_message_says_of_itself_counts_more_than_what_others_say() {
    // 3 is called a child of 1, but names 2 itself.
    let mails = [
        (1, 1, "a", "<1@x>", ""),
        (2, 2, "b", "<2@x>", ""),
        (4, 4, "d", "<4@x>", "<1@x> <3@x>"),
        (3, 3, "c", "<3@x>", "<2@x>"),
    ];
    assert_eq!(threads(&mails), "1 2 .3 ..4");
    // A message without references has no parent, whatever others say.
    let denied = [(2, 2, "b", "<2@x>", "<0@x> <1@x>"), (1, 1, "a", "<1@x>", "")];
    assert_eq!(threads(&denied), "1 .2");
}

#[test]
fn threads_of_one_subject_are_gathered() {
    // An answer without references hangs below the original, wherever it lies.
    assert_eq!(
        threads(&[(1, 1, "Teklif", "<1@x>", ""), (2, 2, "Re: teklif", "<2@x>", "")]),
        "1 .2"
    );
    assert_eq!(
        threads(&[(1, 1, "Re: Teklif", "<1@x>", ""), (2, 2, "Teklif", "<2@x>", "")]),
        "2 .1"
    );
    // Two alike, or two answers, are siblings.
    assert_eq!(
        threads(&[(1, 1, "a", "<1@x>", ""), (2, 2, "a", "<2@x>", "")]),
        "? .1 .2"
    );
    assert_eq!(
        threads(&[(1, 1, "Re: a", "<1@x>", ""), (2, 2, "Fwd: a", "<2@x>", "")]),
        "? .1 .2"
    );
    // A third one joins them.
    let three = [
        (1, 1, "a", "<1@x>", ""),
        (2, 2, "a", "<2@x>", ""),
        (3, 3, "a", "<3@x>", ""),
    ];
    assert_eq!(threads(&three), "? .1 .2 .3");
    // Into a thread whose head is not here; two such become one.
    let headless = [
        (1, 1, "Re: a", "<1@x>", "<0@x>"),
        (2, 2, "Re: b", "<2@x>", "<0@x>"),
        (3, 3, "a", "<3@x>", ""),
        (4, 4, "a", "<4@x>", "<9@x>"),
        (5, 5, "b", "<5@x>", "<9@x>"),
    ];
    assert_eq!(threads(&headless), "? .1 .2 .3 .4 .5");
    // Without a subject nobody is gathered.
    assert_eq!(
        threads(&[(1, 1, "Re:", "<1@x>", ""), (2, 2, "", "<2@x>", "")]),
        "1 2"
    );
}

#[test]
fn siblings_stand_by_their_dates_and_then_by_their_numbers() {
    let mails = [
        (7, 9, "a", "<1@x>", "<0@x>"),
        (8, 3, "b", "<2@x>", "<0@x>"),
        (9, 9, "c", "<3@x>", "<0@x>"),
        (10, 5, "d", "<4@x>", ""),
        (11, 1, "e", "<5@x>", "<4@x>"),
    ];
    assert_eq!(threads(&mails), "? .8 .7 .9 10 .11");
}

#[test]
fn long_and_hostile_mailboxes_end() {
    let mut chain = References::default();
    for n in 1..=50_000u32 {
        let (id, before) = (format!("<{n}@x>"), format!("<{}@x>", n - 1));
        add(&mut chain, (n, i64::from(n), "a", &id, &before));
    }
    let threads = chain.threads();
    assert_eq!(threads.len(), 50_000);
    assert_eq!(
        threads.last().map(|b| (b.depth, b.uid)),
        Some((49_999, Some(50_000)))
    );
    // Each names the next, and in the end all name the first: every link asks for a long walk.
    let mut loops = References {
        steps_left: 1_000,
        ..References::default()
    };
    for n in 1..=5_000u32 {
        let (id, next) = (format!("<{n}@x>"), format!("<{}@x> <1@x>", n + 1));
        add(&mut loops, (n, 0, "b", &id, &next));
    }
    let uids = loops.threads().iter().filter(|b| b.uid.is_some()).count();
    assert_eq!(uids, 5_000);
    let mut absent = References {
        absent_left: 10,
        ..References::default()
    };
    for n in 1..=100u32 {
        add(&mut absent, (n, 0, "", "", &format!("<{n}@absent>")));
    }
    assert_eq!(absent.nodes.len(), 110);
}

proptest! {
    /// Every message stands once, below its parent; who is not here stands only at the root, above several.
    #[test]
    fn every_message_stands_once(
        mails in prop::collection::vec((0..6u8, prop::collection::vec(0..9u8, 0..4), 0..5u8, 0..4i64), 0..14),
    ) {
        let mut threading = References::default();
        for (n, (id, references, subject, sent)) in mails.iter().enumerate() {
            let references: Vec<String> = references.iter().map(|r| format!("<{r}@x>")).collect();
            let subject = ["", "a", "Re: a", "b", "Fwd: b"][usize::from(*subject)];
            add(&mut threading, (n as u32 + 1, *sent, subject, &format!("<{id}@x>"), &references.join(" ")));
        }
        let branches = threading.threads();
        let mut uids: Vec<u32> = branches.iter().filter_map(|b| b.uid).collect();
        uids.sort_unstable();
        prop_assert_eq!(uids, (1..=mails.len() as u32).collect::<Vec<_>>());
        for (at, branch) in branches.iter().enumerate() {
            let above = at.checked_sub(1).map_or(0, |before| branches[before].depth + 1);
            prop_assert!(branch.depth <= above);
            if branch.uid.is_none() {
                prop_assert_eq!(branch.depth, 0);
                let thread = branches[at + 1..].iter().take_while(|b| b.depth > 0);
                prop_assert!(thread.filter(|b| b.depth == 1).count() >= 2);
            }
        }
    }
}
