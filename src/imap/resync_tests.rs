//! CONDSTORE, QRESYNC and UIDONLY: what is printed as a client would write it is read back the same.

use super::command::*;
use super::name::Spelling;
use super::parse::parse;
use super::search::SearchKey;
use super::session::{Session, Settings};
use super::set::{Bound, SequenceSet};
use bytes::BytesMut;
use proptest::prelude::*;

fn set() -> impl Strategy<Value = SequenceSet> {
    let number = || (1..=u32::MAX).prop_map(Bound::Number);
    prop::collection::vec((number(), number()), 1..4).prop_map(SequenceSet)
}

/// mod-sequence-value: not 0, below 2^63.
fn modseq() -> impl Strategy<Value = u64> {
    prop_oneof![1..50u64, 1..=(i64::MAX as u64)]
}

fn read(text: &str) -> Command {
    let read = parse(format!("a {text}\r\n").as_bytes(), Spelling::Utf7);
    read.unwrap_or_else(|bad| panic!("{text}: {bad:?}")).command
}

fn select_text(examine: bool, with: &SelectWith) -> String {
    let mut parameters = Vec::new();
    if with.condstore {
        parameters.push("CONDSTORE".to_owned());
    }
    if let Some(qresync) = &with.qresync {
        let mut text = format!("QRESYNC ({} {}", qresync.uid_validity, qresync.modseq);
        if let Some(known) = &qresync.known_uids {
            text.push_str(&format!(" {known}"));
        }
        if let Some((numbers, uids)) = &qresync.matched {
            text.push_str(&format!(" ({numbers} {uids})"));
        }
        parameters.push(format!("{text})"));
    }
    let word = if examine { "EXAMINE" } else { "SELECT" };
    match parameters.is_empty() {
        true => format!("{word} INBOX"),
        false => format!("{word} INBOX ({})", parameters.join(" ")),
    }
}

proptest! {
    #[test]
    fn select_is_read_as_printed(
        examine: bool,
        condstore: bool,
        qresync in prop::option::of((
            1..=u32::MAX,
            modseq(),
            prop::option::of(set()),
            prop::option::of((set(), set())),
        )),
    ) {
        let qresync = qresync.map(|(uid_validity, modseq, known_uids, matched)| Qresync {
            uid_validity,
            modseq,
            known_uids,
            matched,
        });
        let wanted = SelectWith { condstore, qresync };
        let text = select_text(examine, &wanted);
        match read(&text) {
            Command::Select { read_only, with, .. } => prop_assert_eq!((read_only, with), (examine, wanted), "{}", text),
            other => prop_assert!(false, "{other:?}"),
        }
    }

    #[test]
    fn modifiers_are_read_as_printed(
        uid: bool,
        set in set(),
        since in modseq(),
        vanished: bool,
        unchanged in prop_oneof![Just(0u64), modseq()],
    ) {
        let vanished = vanished && uid;
        let uid = if uid { "UID " } else { "" };
        let word = if vanished { " VANISHED" } else { "" };
        match read(&format!("{uid}FETCH {set} (FLAGS MODSEQ) (CHANGEDSINCE {since}{word})")) {
            Command::Fetch { changed, items, .. } => {
                prop_assert_eq!(changed, Some(ChangedSince { modseq: since, vanished }));
                prop_assert_eq!(items, vec![FetchItem::Flags, FetchItem::ModSeq]);
            }
            other => prop_assert!(false, "{other:?}"),
        }
        match read(&format!("{uid}STORE {set} (UNCHANGEDSINCE {unchanged}) +FLAGS (\\Seen)")) {
            Command::Store { unchanged_since, .. } => prop_assert_eq!(unchanged_since, Some(unchanged)),
            other => prop_assert!(false, "{other:?}"),
        }
        for entry in ["", "\"/flags/\\\\draft\" priv ", "\"/flags/$Kep\" all "] {
            match read(&format!("SEARCH NOT MODSEQ {entry}{unchanged}")) {
                Command::Search { key, .. } => {
                    prop_assert!(key.asks_modseq());
                    prop_assert_eq!(key, SearchKey::Not(Box::new(SearchKey::ModSeq(unchanged))));
                }
                other => prop_assert!(false, "{other:?}"),
            }
        }
    }
}

#[test]
fn what_is_too_large_or_doubled_is_refused() {
    let past = u64::MAX;
    for text in [
        format!("SELECT INBOX (QRESYNC (7 {past}))"),
        "SELECT INBOX (QRESYNC (0 1))".to_owned(),
        "SELECT INBOX (QRESYNC (7 0))".to_owned(),
        "SELECT INBOX (CONDSTORE CONDSTORE)".to_owned(),
        "SELECT INBOX (QRESYNC (7 1) QRESYNC (7 2))".to_owned(),
        "SELECT INBOX (QRESYNC (7 1 1:4 (1:* 1:4)))".to_owned(),
        format!("FETCH 1 FLAGS (CHANGEDSINCE {past})"),
        "FETCH 1 FLAGS (CHANGEDSINCE 1 CHANGEDSINCE 2)".to_owned(),
        format!("STORE 1 (UNCHANGEDSINCE {past}) FLAGS ()"),
        "SEARCH MODSEQ".to_owned(),
        "SEARCH MODSEQ \"/flags/x\" some 1".to_owned(),
    ] {
        let read = parse(format!("a {text}\r\n").as_bytes(), Spelling::Utf7);
        assert!(read.is_err(), "{text}: {read:?}");
    }
}

#[test]
fn a_door_without_mod_sequences_offers_none() {
    for resync in [true, false] {
        let mut session = Session::new(Settings {
            tls: true,
            starttls: false,
            login_in_clear: false,
            mechanisms: Vec::new(),
            greeting: String::new(),
            append_max_bytes: 1000,
            id: Vec::new(),
            rev2: false,
            resync,
            compress: false,
            quota_resources: &[],
        });
        let mut input = BytesMut::from(&b"a LOGIN x y\r\n"[..]);
        assert!(session.receive(&mut input).is_some());
        session.answer(super::ask::Answer::LoggedIn);
        let mut input = BytesMut::from(&b"b SELECT INBOX (CONDSTORE)\r\n"[..]);
        assert_eq!(session.receive(&mut input).is_some(), resync);
        let said: Vec<u8> = session
            .take_output()
            .into_iter()
            .flat_map(|out| match out {
                super::ask::Out::Bytes(octets) => octets,
                other => panic!("{other:?}"),
            })
            .collect();
        let said = String::from_utf8(said).unwrap();
        assert_eq!(said.contains(" CONDSTORE QRESYNC UIDONLY "), resync, "{said}");
        assert_eq!(
            said.contains("b BAD mod-sequences are not offered"),
            !resync,
            "{said}"
        );
    }
}
