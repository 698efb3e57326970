//! Dialogues from `tests/dialogues/imap/NN-name.txt` against a small door in memory.
//!
//! `C:` is said by the client (CRLF is added), `S:` must be answered, in order and completely; an `S:` line that ends
//! in ` ...` fixes only its beginning. `D:` makes something happen at the door. `#` is a comment. Every dialogue runs
//! twice: in whole lines and octet by octet.

use super::ask::Out;
use super::session::{Session, Settings};
use super::test_door::Door;
use bytes::BytesMut;
use proptest::prelude::*;

fn settings() -> Settings {
    Settings {
        tls: false,
        starttls: true,
        login_in_clear: false,
        mechanisms: vec!["PLAIN".to_owned()],
        greeting: "hazır".to_owned(),
        append_max_bytes: 1000,
        id: vec![("name".to_owned(), "kepd".to_owned())],
        rev2: true,
        resync: false,
        compress: true,
        quota_resources: &["V-KEPD-CREDIT"],
    }
}

struct Client {
    session: Session,
    door: Door,
    input: BytesMut,
    output: Vec<u8>,
}

impl Client {
    fn new(settings: Settings) -> Self {
        let mut client = Self {
            session: Session::new(settings),
            door: Door::new(),
            input: BytesMut::new(),
            output: Vec::new(),
        };
        client.collect();
        client
    }

    fn say(&mut self, octets: &[u8], step: usize) {
        for piece in octets.chunks(step) {
            self.input.extend_from_slice(piece);
            loop {
                while let Some(ask) = self.session.receive(&mut self.input) {
                    if let Some(answer) = self.door.carry_out(&mut self.session, ask) {
                        self.session.answer(answer);
                    }
                    self.collect();
                }
                self.door.tell_owed(&mut self.session);
                self.collect();
                if !self.session.is_held_back() {
                    break;
                }
            }
        }
    }

    fn collect(&mut self) {
        let selected = self.session.selected().cloned().unwrap_or_default();
        for out in self.session.take_output() {
            match out {
                Out::Bytes(octets) => self.output.extend_from_slice(&octets),
                Out::Content { member, offset, len } => {
                    self.output
                        .extend_from_slice(&self.door.stored(&selected, member, offset, len));
                }
                Out::Decoded {
                    member,
                    offset,
                    len,
                    how,
                    skip,
                    take,
                } => {
                    let stored = self.door.stored(&selected, member, offset, len);
                    let all = super::test_door::decoded(&stored, how);
                    let (skip, take) = (skip as usize, take as usize);
                    self.output.extend_from_slice(&all[skip..skip + take]);
                }
            }
        }
    }
}

fn run(name: &str, script: &str, step: usize) {
    let mut settings = settings();
    settings.tls = script.contains("# tls");
    settings.resync = script.contains("# resync");
    let mut client = Client::new(settings);
    let mut said = Vec::new();
    for (at, line) in script.lines().enumerate() {
        let place = format!("{name}:{} (step {step})", at + 1);
        if let Some(text) = line.strip_prefix("C: ").or(line.strip_prefix("C:")) {
            said.extend_from_slice(text.as_bytes());
            said.extend_from_slice(b"\r\n");
            continue;
        }
        if !said.is_empty() {
            assert!(
                client.output.is_empty(),
                "{place}: not expected: {}",
                show(&client.output)
            );
            client.say(&std::mem::take(&mut said), step);
        }
        if let Some(want) = line.strip_prefix("S: ") {
            expect(&mut client.output, want, &place);
        } else if let Some(event) = line.strip_prefix("D: ") {
            assert!(
                client.output.is_empty(),
                "{place}: not expected: {}",
                show(&client.output)
            );
            client.door.event(&mut client.session, event);
            client.door.tell_owed(&mut client.session);
            client.collect();
        } else {
            assert!(line.is_empty() || line.starts_with('#'), "{place}: what is this?");
        }
    }
    client.say(&said, step);
    assert!(
        client.output.is_empty(),
        "{name}: left over: {}",
        show(&client.output)
    );
}

fn expect(output: &mut Vec<u8>, want: &str, place: &str) {
    let end = output.windows(2).position(|w| w == b"\r\n");
    let Some(end) = end else {
        panic!("{place}: wanted {want:?}, there is only {}", show(output))
    };
    let line: Vec<u8> = output.drain(..end + 2).collect();
    let line = String::from_utf8_lossy(&line[..end]).into_owned();
    match want.strip_suffix(" ...") {
        Some(start) => assert!(line.starts_with(start), "{place}: wanted {want:?}, got {line:?}"),
        None => assert_eq!(line, want, "{place}"),
    }
}

fn show(octets: &[u8]) -> String {
    format!("{:?}", String::from_utf8_lossy(octets))
}

#[test]
fn dialogues() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/dialogues/imap");
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|e| e.unwrap().path())
        .collect();
    files.sort();
    assert!(files.len() >= 8, "the dialogues are missing");
    for file in files {
        let script = std::fs::read_to_string(&file).unwrap();
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        run(&name, &script, usize::MAX);
        run(&name, &script, 1);
    }
}

#[test]
fn hostile_nesting_is_refused_without_a_deep_stack() {
    let mut client = Client::new(Settings {
        tls: true,
        ..settings()
    });
    client.say(b"a LOGIN ayse gizli\r\nb SELECT INBOX\r\n", usize::MAX);
    client.output.clear();
    for opening in ["(", "NOT ", "OR ALL "] {
        let deep = opening.repeat(60_000 / opening.len());
        client.say(format!("c SEARCH {deep}ALL\r\n").as_bytes(), usize::MAX);
        let got = String::from_utf8(std::mem::take(&mut client.output)).unwrap();
        assert!(got.starts_with("c BAD the search is nested too deeply"), "{got}");
    }
    let wide = "1:*,".repeat(15_000);
    client.say(
        format!("d FETCH {wide}1:4294967295 UID\r\n").as_bytes(),
        usize::MAX,
    );
    let got = String::from_utf8(std::mem::take(&mut client.output)).unwrap();
    assert_eq!(
        got,
        "* 1 FETCH (UID 1)\r\n* 2 FETCH (UID 2)\r\n* 3 FETCH (UID 3)\r\nd OK FETCH done\r\n"
    );
}

#[test]
fn what_follows_starttls_in_the_clear_is_thrown_away() {
    let mut client = Client::new(settings());
    client.say(b"a STARTTLS\r\nb LOGIN ayse gizli\r\n", usize::MAX);
    let got = String::from_utf8(client.output).unwrap();
    assert!(got.ends_with("a OK begin TLS negotiation now\r\n"), "{got}");
    assert!(!client.session.is_authenticated());
}

proptest! {
    #[test]
    fn any_octets_are_survived(
        words in prop::collection::vec(prop_oneof![
            prop::collection::vec(any::<u8>(), 0..12),
            "(a|b) (FETCH|UID FETCH|STORE|SEARCH|UID SEARCH|SORT|UID SORT|THREAD|UID THREAD|LIST|APPEND|STATUS|COPY|MOVE|IDLE|SELECT|NOTIFY|GETMETADATA|SETACL|SETQUOTA|COMPRESS|UNAUTHENTICATE) ".prop_map(String::into_bytes),
            "(1:\\*|\\(CHANGEDSINCE 2 VANISHED\\)|\\(UNCHANGEDSINCE 3\\)|\\(QRESYNC \\(7 1\\)\\)|MODSEQ|INBOX|\\(|\\)|BODY\\[1.MIME\\]|FLAGS|\\\\Seen|NOT|OR|\\$|PARTIAL -1:-2|SAVE|\\(REVERSE DATE\\)|REFERENCES|UTF-8|ALL|OLDER 1|\\{[0-9]{1,4}\\+?\\}|RETURN|\"x\") ?".prop_map(String::into_bytes),
            Just(b"\r\n".to_vec()),
        ], 0..60),
        logged_in: bool,
    ) {
        let mut client = Client::new(Settings { tls: true, resync: true, ..settings() });
        if logged_in {
            client.say(b"a LOGIN ayse gizli\r\nc ENABLE QRESYNC\r\nb SELECT INBOX\r\n", usize::MAX);
        }
        client.say(&words.concat(), usize::MAX);
        prop_assert!(client.input.is_empty() || client.session.is_closing());
    }
}
