//! A naive mail client on a pipe: it keeps its list of a mailbox by nothing but what it is told, and remembers what a
//! client may write to its disk (RFC 7162 5, RFC 4549 3): UIDVALIDITY, a mod-sequence, UIDs and flags.

use super::canary::door;
use super::mailbox_house::{House, PASSWORD};
use kepd::domain::audit::Origin;
use kepd::net::imap::Begin;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader, DuplexStream};
use tokio::sync::watch;

/// Who does not answer within this never will.
const PATIENCE: Duration = Duration::from_secs(120);

pub(super) type Flags = BTreeSet<String>;

/// What a client has switched on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    Plain,
    Condstore,
    Qresync,
    UidOnly,
}

/// A mailbox as it is written to a disk.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Memory {
    pub validity: u32,
    pub modseq: u64,
    pub flags: BTreeMap<u32, Flags>,
}

/// The selected mailbox as the client pictures it.
#[derive(Debug, Clone, Default)]
pub(super) struct Picture {
    pub name: String,
    pub validity: u32,
    pub modseq: u64,
    /// By sequence number; `None` where only EXISTS has told of it.
    pub list: Vec<Option<u32>>,
    pub flags: BTreeMap<u32, (Flags, u64)>,
}

impl Picture {
    pub fn uids(&self) -> Vec<u32> {
        self.list.iter().copied().flatten().collect()
    }

    fn is_whole(&self) -> bool {
        self.list
            .iter()
            .all(|uid| uid.is_some_and(|u| self.flags.contains_key(&u)))
    }

    pub fn memory(&self) -> Memory {
        let flags = self.uids().into_iter().map(|u| (u, self.flags[&u].0.clone()));
        Memory {
            validity: self.validity,
            modseq: self.modseq,
            flags: flags.collect(),
        }
    }
}

/// What was answered to a command.
pub(super) struct Heard {
    pub untagged: Vec<String>,
    pub tagged: String,
}

pub(super) struct Client {
    pub user: &'static str,
    pub mode: Mode,
    pub picture: Option<Picture>,
    /// All it has ever written to its disk, by mailbox.
    pub memories: BTreeMap<String, Vec<Memory>>,
    pipe: BufReader<DuplexStream>,
    said: u32,
    _stopping: watch::Sender<bool>,
}

pub(super) fn expand(set: &str) -> Vec<u32> {
    let each = |range: &str| {
        let (a, b) = range.split_once(':').unwrap_or((range, range));
        a.parse::<u32>().unwrap()..=b.parse::<u32>().unwrap()
    };
    set.split(',').flat_map(each).collect()
}

fn between<'t>(text: &'t str, from: &str, to: &str) -> Option<&'t str> {
    let (_, rest) = text.split_once(from)?;
    rest.split_once(to).map(|(inside, _)| inside)
}

pub(super) fn number_in(text: &str, from: &str, to: &str) -> Option<u64> {
    between(text, from, to).map(|n| n.parse().unwrap())
}

/// A FETCH line: UID, flags and mod-sequence, as far as it tells them.
pub(super) fn row(line: &str) -> (Option<u32>, Option<Flags>, Option<u64>) {
    let uid = between(line, "UID ", " ").or_else(|| between(line, "UID ", ")"));
    let flags = between(line, "FLAGS (", ")");
    (
        uid.map(|n| n.parse().unwrap()),
        // \Recent is of one session, not of the message (RFC 3501 2.3.2).
        flags.map(|f| {
            let lasting = f.split_whitespace().filter(|flag| *flag != "\\Recent");
            lasting.map(str::to_owned).collect()
        }),
        number_in(line, "MODSEQ (", ")"),
    )
}

impl Client {
    pub async fn log_in(house: &House, user: &'static str, mode: Mode) -> Self {
        let (pipe, server) = tokio::io::duplex(64 * 1024);
        let (keep, stopping) = watch::channel(false);
        let door = door(house);
        tokio::spawn(async move { door.serve(server, Begin::Tls, Origin::Inside, stopping).await });
        let mut client = Self {
            user,
            mode,
            picture: None,
            memories: BTreeMap::new(),
            pipe: BufReader::new(pipe),
            said: 0,
            _stopping: keep,
        };
        client.line().await;
        let welcome = client.ask(&format!("LOGIN {user}@ornekas \"{PASSWORD}\"")).await;
        assert!(welcome.tagged.contains(" OK "), "{}", welcome.tagged);
        let wanted = match mode {
            Mode::Plain => "UTF8=ACCEPT",
            Mode::Condstore => "UTF8=ACCEPT CONDSTORE",
            Mode::Qresync => "UTF8=ACCEPT QRESYNC",
            Mode::UidOnly => "UTF8=ACCEPT CONDSTORE UIDONLY",
        };
        let enabled = client.ask(&format!("ENABLE {wanted}")).await;
        assert_eq!(enabled.untagged, [format!("ENABLED {wanted}")]);
        client
    }

    async fn octets(&mut self, octets: &[u8]) {
        self.pipe.get_mut().write_all(octets).await.unwrap();
    }

    /// One line with the literals in it, without its end.
    async fn line(&mut self) -> String {
        let mut line = Vec::new();
        let read = async {
            loop {
                self.pipe.read_until(b'\n', &mut line).await.unwrap();
                let text = String::from_utf8_lossy(&line);
                assert!(
                    text.ends_with("\r\n"),
                    "{}: closed in the middle: {text}",
                    self.user
                );
                let text = text.trim_end();
                let literal = text.ends_with('}').then(|| text.rsplit('{').next()).flatten();
                let Some(size) = literal.and_then(|n| n.trim_end_matches('}').parse::<usize>().ok()) else {
                    return text.to_owned();
                };
                let from = line.len();
                line.resize(from + size, 0);
                self.pipe.read_exact(&mut line[from..]).await.unwrap();
            }
        };
        tokio::time::timeout(PATIENCE, read).await.expect("an answer")
    }

    /// Says a command and hears its answer; takes nothing of it into the picture.
    pub async fn ask(&mut self, command: &str) -> Heard {
        let tag = self.begin(command).await;
        self.until(&tag).await
    }

    pub async fn begin(&mut self, command: &str) -> String {
        self.said += 1;
        let tag = format!("t{}", self.said);
        self.octets(format!("{tag} {command}\r\n").as_bytes()).await;
        tag
    }

    pub async fn until(&mut self, tag: &str) -> Heard {
        let mut untagged = Vec::new();
        loop {
            let line = self.line().await;
            match line.strip_prefix("* ") {
                Some(rest) => untagged.push(rest.to_owned()),
                None if line.starts_with('+') => {}
                None => {
                    assert!(line.starts_with(&format!("{tag} ")), "{line}");
                    let tagged = line;
                    return Heard { untagged, tagged };
                }
            }
        }
    }

    /// Says a command by which the picture changes only as it is told.
    pub async fn say(&mut self, command: &str) -> Heard {
        let heard = self.ask(command).await;
        let by_number = ["FETCH", "STORE", "SEARCH"]
            .iter()
            .any(|word| command.starts_with(word));
        self.take_in(&heard.untagged, by_number, false);
        self.end(&heard);
        heard
    }

    /// IDLE, and whatever is told until DONE. Each line may be the last one heard: what is known then is remembered.
    pub async fn idle(&mut self, meanwhile: impl Future<Output = ()>) {
        let tag = self.begin("IDLE").await;
        let mut before = Vec::new();
        loop {
            let line = self.line().await;
            match line.strip_prefix("* ") {
                Some(rest) => before.push(rest.to_owned()),
                None => break,
            }
        }
        self.take_in(&before, false, true);
        meanwhile.await;
        self.octets(b"DONE\r\n").await;
        let heard = self.until(&tag).await;
        self.take_in(&heard.untagged, false, true);
        self.end(&heard);
    }

    fn take_in(&mut self, lines: &[String], by_number: bool, eager: bool) {
        for line in lines {
            self.take_in_line(line, by_number);
            // A client may believe each line of an IDLE as it comes. Many messages may change at one mod-sequence, so he
            // knows of all that happened before it.
            if eager && self.mode == Mode::Qresync {
                let modseq = row(line).2;
                if let (Some(picture), Some(modseq)) = (&mut self.picture, modseq) {
                    picture.modseq = picture.modseq.max(modseq - 1);
                }
                self.remember();
            }
        }
    }

    fn take_in_line(&mut self, line: &str, by_number: bool) {
        let (user, mode) = (self.user, self.mode);
        let Some(picture) = &mut self.picture else { return };
        let place = format!("{user} {mode:?} {}: {line}", picture.name);
        let words: Vec<&str> = line.splitn(3, ' ').collect();
        match words[..] {
            ["VANISHED", "(EARLIER)", _] => panic!("nobody asked: {place}"),
            ["VANISHED", set] => {
                assert!(
                    !by_number && matches!(mode, Mode::Qresync | Mode::UidOnly),
                    "{place}"
                );
                for uid in expand(set) {
                    let at = picture.list.iter().position(|u| *u == Some(uid));
                    // It may be one of which only EXISTS was told.
                    let at = at.or_else(|| picture.list.iter().position(Option::is_none));
                    picture
                        .list
                        .remove(at.unwrap_or_else(|| panic!("not there: {place}")));
                    picture.flags.remove(&uid);
                }
            }
            [number, "EXPUNGE"] => {
                assert!(
                    !by_number && matches!(mode, Mode::Plain | Mode::Condstore),
                    "{place}"
                );
                let at: usize = number.parse().unwrap();
                let gone = picture.list.remove(at - 1);
                gone.map(|uid| picture.flags.remove(&uid));
            }
            [number, "EXISTS"] => {
                let there: usize = number.parse().unwrap();
                assert!(there >= picture.list.len(), "{place}");
                picture.list.resize(there, None);
            }
            [number, kind @ ("FETCH" | "UIDFETCH"), _] => {
                assert_eq!(kind == "UIDFETCH", mode == Mode::UidOnly, "{place}");
                let (uid, flags, modseq) = row(line);
                let number: u32 = number.parse().unwrap();
                let uid = if mode == Mode::UidOnly {
                    if !picture.list.contains(&Some(number)) {
                        let free = picture.list.iter().position(Option::is_none);
                        picture.list[free.unwrap_or_else(|| panic!("too many: {place}"))] = Some(number);
                    }
                    number
                } else {
                    let told = &mut picture.list[number as usize - 1];
                    let uid = uid.or(*told).unwrap_or_else(|| panic!("whose: {place}"));
                    assert!(told.is_none_or(|told| told == uid), "another UID: {place}");
                    *told = Some(uid);
                    uid
                };
                assert_eq!(modseq.is_some(), mode != Mode::Plain, "{place}");
                if let Some(flags) = flags {
                    let before = picture.flags.insert(uid, (flags, modseq.unwrap_or(0)));
                    let before = before.map_or(0, |(_, modseq)| modseq);
                    assert!(
                        before <= modseq.unwrap_or(0),
                        "it went back from {before}: {place}"
                    );
                }
            }
            _ => {}
        }
        let uids = picture.uids();
        assert!(uids.windows(2).all(|two| two[0] < two[1]), "{uids:?}: {place}");
    }

    /// How far the client believes itself now: what it was told last, or the highest mod-sequence it has seen.
    fn end(&mut self, heard: &Heard) {
        let Some(picture) = &mut self.picture else { return };
        let lines = || heard.untagged.iter().chain([&heard.tagged]);
        let told = lines()
            .filter_map(|line| number_in(line, "[HIGHESTMODSEQ ", "]"))
            .next_back();
        let seen = lines().filter_map(|line| row(line).2).max().unwrap_or(0);
        picture.modseq = told.unwrap_or(picture.modseq.max(seen));
    }

    /// Writes the picture to the disk, if it is whole.
    pub fn remember(&mut self) {
        if self.mode == Mode::Plain {
            return;
        }
        if let Some(picture) = self.picture.as_ref().filter(|p| p.is_whole() && p.modseq > 0) {
            let memory = picture.memory();
            let all = self.memories.entry(picture.name.clone()).or_default();
            if all.last() != Some(&memory) {
                all.push(memory);
            }
        }
    }

    /// Asks about what only EXISTS has told of.
    pub async fn complete(&mut self) {
        for round in 0.. {
            let Some(picture) = self.picture.as_ref().filter(|p| !p.is_whole()) else {
                break;
            };
            assert!(round < 20, "{}: never whole: {picture:?}", self.user);
            // From behind the last one before the first of which nothing is known.
            let told = |uid: &Option<u32>| uid.is_some_and(|u| picture.flags.contains_key(&u));
            let known = picture.list.iter().take_while(|uid| told(uid)).last();
            let from = known.copied().flatten().map_or(1, |uid| uid + 1);
            let heard = self.say(&format!("UID FETCH {from}:* (UID FLAGS)")).await;
            assert!(heard.tagged.contains(" OK "), "{}", heard.tagged);
        }
        self.remember();
    }

    /// Selects a mailbox as if it had never been seen. `false`: it cannot be selected.
    pub async fn select(&mut self, name: &str) -> bool {
        self.picture = None;
        let heard = self.ask(&format!("SELECT \"{name}\"")).await;
        if !heard.tagged.contains(" OK ") {
            return false;
        }
        self.picture = Some(selected(name, &heard));
        self.complete().await;
        true
    }
}

/// What SELECT tells.
pub(super) fn selected(name: &str, heard: &Heard) -> Picture {
    let told = |from: &str| heard.untagged.iter().find_map(|line| number_in(line, from, "]"));
    let exists = heard
        .untagged
        .iter()
        .find_map(|line| line.strip_suffix(" EXISTS"));
    Picture {
        name: name.to_owned(),
        validity: told("[UIDVALIDITY ").unwrap() as u32,
        modseq: told("[HIGHESTMODSEQ ").unwrap(),
        list: vec![None; exists.unwrap().parse().unwrap()],
        flags: BTreeMap::new(),
    }
}
