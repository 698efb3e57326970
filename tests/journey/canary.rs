//! Every message has a word that stands nowhere else, in each of its places. Users who see little say whatever IMAP
//! lets them say, while others change the institution under them. No octet of an answer holds the word of a message
//! that its user does not see at that moment, and no count tells that there is one. Nor does a status message hold the
//! word of a mail that its reader does not see when he is told.

use super::events::{Event, event, mail_with, nth};
use super::mailbox_house::{House, PASSWORD};
use super::world::World;
use kepd::domain::audit::Origin;
use kepd::domain::org::Permission;
use kepd::id::{ItemId, UserId};
use kepd::mime::summary::Summary;
use kepd::net::imap::{Begin, ImapDoor};
use kepd::sasl::Secret;
use kepd::service::herald::Herald;
use kepd::service::mailbox::{MarkHow, Marks};
use kepd::service::octets::ContentReader;
use kepd::store::tables::{flags, items};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio::sync::watch;

/// A keyword that an officer sets for himself on whatever he finds.
const OFFICERS_OWN: &str = "mudurunsozu";
/// How long an answer may take before the test is given up.
const PATIENCE: Duration = Duration::from_secs(30);
/// What the pipe between client and door holds.
const PIPE_OCTETS: usize = 4096;

pub(super) fn door(house: &House) -> Arc<ImapDoor> {
    Arc::new(crate::mailbox_house::door(
        house.mailboxes.clone(),
        house.accounts.clone(),
    ))
}

/// A client on a pipe.
pub(super) struct Client {
    pipe: DuplexStream,
    said: u32,
    /// The server has said goodbye.
    farewell: bool,
    _stopping: watch::Sender<bool>,
}

impl Client {
    pub(super) async fn log_in(door: &Arc<ImapDoor>, login: &str) -> Self {
        let (pipe, server) = tokio::io::duplex(PIPE_OCTETS);
        let (keep, stopping) = watch::channel(false);
        let door = door.clone();
        tokio::spawn(async move { door.serve(server, Begin::Tls, Origin::Inside, stopping).await });
        let mut client = Self {
            pipe,
            said: 0,
            farewell: false,
            _stopping: keep,
        };
        let welcome = client.say(&format!("LOGIN \"{login}\" \"{PASSWORD}\"")).await;
        assert!(welcome.contains("OK"), "{welcome}");
        client
    }

    fn tag(&mut self, command: &str) -> (String, String) {
        self.said += 1;
        let tag = format!("tag{:06}", self.said);
        (tag.clone(), format!("{tag} {command}\r\n"))
    }

    /// Says a command, and gives all that is answered up to its end.
    pub(super) async fn say(&mut self, command: &str) -> String {
        let (tag, line) = self.tag(command);
        // Who was removed has the door closed on him: what is left to hear is heard all the same.
        let _ = self.pipe.write_all(line.as_bytes()).await;
        self.until(&format!("{tag} ")).await
    }

    /// Hears what is there.
    async fn some(&mut self) -> String {
        let mut heard = Vec::new();
        self.pipe.read_buf(&mut heard).await.unwrap();
        String::from_utf8(heard).unwrap()
    }

    /// Hears until a line begins with `end`, and that line is whole.
    async fn until(&mut self, end: &str) -> String {
        let mut heard = Vec::new();
        let hear = async {
            loop {
                let text = String::from_utf8_lossy(&heard).into_owned();
                self.farewell |= text.contains("* BYE ");
                let ending = text
                    .rmatch_indices(end)
                    .find(|(at, _)| *at == 0 || text[..*at].ends_with("\r\n"));
                if ending.is_some_and(|(at, _)| text[at..].ends_with("\r\n")) {
                    return text;
                }
                if self.pipe.read_buf(&mut heard).await.unwrap() == 0 {
                    assert!(
                        self.farewell || text.contains("* BYE "),
                        "closed in the middle: {text}"
                    );
                    self.farewell = true;
                    return format!("{text}{end}NO closed\r\n");
                }
            }
        };
        tokio::time::timeout(PATIENCE, hear).await.expect(end)
    }
}

/// What one of the users says.
#[derive(Debug, Clone)]
enum Said {
    Word {
        which: u8,
        mailbox: u8,
        other: u8,
    },
    Fetch {
        what: u8,
        set: u8,
        by_uid: bool,
    },
    Search {
        what: u8,
        item: u8,
    },
    Store {
        what: u8,
        set: u8,
    },
    File {
        set: u8,
        to: u8,
        copy: bool,
    },
    /// Something happens while he idles.
    Idle(Event),
}

fn said() -> impl Strategy<Value = Said> {
    let n = any::<u8>;
    prop_oneof![
        6 => (n(), n(), n()).prop_map(|(which, mailbox, other)| Said::Word { which, mailbox, other }),
        5 => (n(), n(), any::<bool>()).prop_map(|(what, set, by_uid)| Said::Fetch { what, set, by_uid }),
        4 => (n(), n()).prop_map(|(what, item)| Said::Search { what, item }),
        2 => (n(), n()).prop_map(|(what, set)| Said::Store { what, set }),
        2 => (n(), n(), any::<bool>()).prop_map(|(set, to, copy)| Said::File { set, to, copy }),
        2 => event().prop_map(Said::Idle),
    ]
}

const SETS: [&str; 7] = ["1:*", "1", "*", "2:4", "1:4294967295", "7,9,3", "5:*"];
const FETCHES: [&str; 14] = [
    "FLAGS",
    "(UID ENVELOPE)",
    "BODYSTRUCTURE",
    "BODY.PEEK[]",
    "BODY[]",
    "BODY.PEEK[HEADER.FIELDS (SUBJECT X-WORD)]",
    "BODY.PEEK[HEADER.FIELDS.NOT (SUBJECT)]",
    "BODY.PEEK[1]",
    "BODY.PEEK[2.MIME]",
    "BODY.PEEK[TEXT]<0.60>",
    "RFC822.SIZE",
    "RFC822",
    "FULL",
    "(FLAGS INTERNALDATE RFC822.SIZE ENVELOPE)",
];
const STORES: [&str; 8] = [
    "+FLAGS (\\Seen)",
    "-FLAGS.SILENT (\\Seen)",
    "+FLAGS (\\Deleted)",
    "+FLAGS (\\Flagged Finans)",
    "-FLAGS (Finans)",
    "+FLAGS ($KepOnay)",
    "+FLAGS ($KepRet)",
    "FLAGS (benim)",
];

struct Sessions {
    world: World,
    door: Arc<ImapDoor>,
    /// The words that stand in each message.
    words: BTreeMap<ItemId, BTreeSet<String>>,
    /// Of each user: his connection, and the mailbox he has selected.
    clients: BTreeMap<u32, (Client, Option<String>)>,
}

/// All words of ours in a text.
fn words_in(text: &str) -> BTreeSet<String> {
    const OCTETS: usize = "kanarya00000x".len();
    let found = text
        .match_indices("kanarya")
        .filter_map(|(at, _)| text.get(at..at + OCTETS));
    found
        .filter(|word| word.ends_with('x'))
        .map(str::to_owned)
        .collect()
}

/// Whether the command was done, by the last line of its answer.
fn went_well(heard: &str) -> bool {
    heard.lines().last().is_some_and(|line| line.contains(" OK "))
}

/// The number behind a word of an answer.
fn number_after(text: &str, word: &str) -> Option<usize> {
    let rest = &text[text.find(word)? + word.len()..];
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

impl Sessions {
    async fn build() -> Self {
        let mut world = World::build().await;
        for (kind, unit) in [(0, 0), (0, 2), (0, 4), (2, 1), (3, 1), (4, 1)] {
            world
                .happen(Event::Put {
                    kind,
                    author: unit,
                    unit,
                    label: unit,
                })
                .await;
        }
        for about in 0..3 {
            world.happen(Event::Evidence { about }).await;
        }
        world.happen(Event::HandIn { user: 2, rule: 0 }).await;
        world.happen(Event::HandIn { user: 2, rule: 1 }).await;
        let mut clients = BTreeMap::new();
        let door = door(&world.house);
        for name in ["ayse", "onay1"] {
            let user = world.house.user(name).user;
            let password = Secret::new(PASSWORD.to_owned());
            world
                .house
                .accounts
                .set_password(crate::provider::admin(), world.house.tenant, user, password)
                .await
                .unwrap();
            let client = Client::log_in(&door, &format!("{name}@ornekas")).await;
            clients.insert(user.0, (client, None));
        }
        Self {
            world,
            door,
            words: BTreeMap::new(),
            clients,
        }
    }

    /// The words of the messages a user sees now.
    async fn allowed(&mut self, user: u32) -> BTreeSet<String> {
        let world = &self.world;
        let (log, now) = (world.log(), kepd::clock::Clock::now(&*world.house.clock));
        let mut allowed = BTreeSet::new();
        for (id, mail) in &log.0 {
            if !self.words.contains_key(id) {
                let body = items::body(world.house.db(), world.house.tenant, *id)
                    .unwrap()
                    .unwrap();
                let reader = ContentReader::whole(&world.house.mailboxes.spool, &body.row.content);
                let octets = reader.collect().await.unwrap();
                self.words
                    .insert(*id, words_in(&String::from_utf8_lossy(&octets)));
                self.officer_marks(*id).await;
            }
            if world.drawing.sees(user, mail, &log, now) {
                allowed.extend(self.words[id].iter().cloned());
            }
        }
        allowed
    }

    async fn officer_marks(&self, item: ItemId) {
        let keywords = BTreeSet::from([OFFICERS_OWN.to_owned()]);
        let marks = Marks {
            keywords,
            ..Marks::default()
        };
        let by = self.world.house.user("mudur");
        let marked = self
            .world
            .house
            .mailboxes
            .mark(&by, &[item], MarkHow::Add, &marks)
            .await;
        assert!(marked.unwrap().refused.is_none());
    }

    /// What stands in a mailbox of the user, if he is offered it.
    fn content(&self, user: u32, mailbox: &str) -> Option<BTreeSet<ItemId>> {
        let (world, now) = (&self.world, kepd::clock::Clock::now(&*self.world.house.clock));
        let there = !world.drawing.people[&user].removed && world.drawing.offers(user, now).contains(mailbox);
        let (db, tenant) = (world.house.db(), world.house.tenant);
        there.then(|| {
            world
                .drawing
                .content(db, tenant, user, mailbox, &world.log(), now)
        })
    }

    fn unseen(&self, user: u32, content: &BTreeSet<ItemId>) -> usize {
        let (db, tenant) = (self.world.house.db(), self.world.house.tenant);
        let seen = |id: &&ItemId| {
            flags::flags(db, tenant, UserId(user), **id)
                .unwrap()
                .is_some_and(|f| f.seen)
        };
        content.len() - content.iter().filter(seen).count()
    }

    /// Every name there is, the user's or not, and some that are nobody's.
    fn names(&self) -> Vec<String> {
        let drawing = &self.world.drawing;
        let now = kepd::clock::Clock::now(&*self.world.house.clock);
        let mut names: BTreeSet<String> = BTreeSet::from(["Birimler/Yok".into(), "Birimler".into()]);
        for user in self.world.people() {
            names.extend(drawing.offers(user, now));
        }
        names.into_iter().collect()
    }

    async fn step(&mut self, user: u32, said: Said) {
        let before = self.allowed(user).await;
        let (mut client, mut selected) = self.clients.remove(&user).unwrap();
        let heard = match said {
            Said::Idle(event) => {
                let (tag, line) = client.tag("IDLE");
                let _ = client.pipe.write_all(line.as_bytes()).await;
                let heard = client.until("+ ").await;
                self.world.happen(event).await;
                let _ = client.pipe.write_all(b"DONE\r\n").await;
                heard + &client.until(&format!("{tag} ")).await
            }
            Said::Word {
                which,
                mailbox,
                other,
            } => {
                let names = self.names();
                let name = &names[usize::from(mailbox) % names.len()];
                let other = &names[usize::from(other) % names.len()];
                self.word(user, &mut client, &mut selected, which, name, other)
                    .await
            }
            Said::Fetch { what, set, by_uid } => {
                let (what, set) = (nth(&FETCHES, what).unwrap(), nth(&SETS, set).unwrap());
                client
                    .say(&format!("{}FETCH {set} {what}", if by_uid { "UID " } else { "" }))
                    .await
            }
            Said::Search { what, item } => {
                self.search(user, &mut client, selected.as_deref(), what, item)
                    .await
            }
            Said::Store { what, set } => {
                let (what, set) = (nth(&STORES, what).unwrap(), nth(&SETS, set).unwrap());
                client.say(&format!("UID STORE {set} {what}")).await
            }
            Said::File { set, to, copy } => {
                let names = self.names();
                let (set, to) = (nth(&SETS, set).unwrap(), &names[usize::from(to) % names.len()]);
                client
                    .say(&format!(
                        "UID {} {set} \"{to}\"",
                        if copy { "COPY" } else { "MOVE" }
                    ))
                    .await
            }
        };
        self.clients.insert(user, (client, selected));
        let mut allowed = before;
        allowed.extend(self.allowed(user).await);
        let found = words_in(&heard);
        let foreign: Vec<_> = found.difference(&allowed).collect();
        assert!(foreign.is_empty(), "user {user} was told {foreign:?}:\n{heard}");
        assert!(!heard.contains(OFFICERS_OWN), "another's keyword:\n{heard}");
    }

    async fn word(
        &mut self,
        user: u32,
        client: &mut Client,
        selected: &mut Option<String>,
        which: u8,
        name: &str,
        other: &str,
    ) -> String {
        match which % 12 {
            0..4 => {
                let heard = client.say(&format!("SELECT \"{name}\"")).await;
                let content = self.content(user, name);
                assert_eq!(went_well(&heard), content.is_some(), "SELECT {name}:\n{heard}");
                if let Some(content) = &content {
                    assert!(
                        heard.contains(&format!("* {} EXISTS", content.len())),
                        "{name} {content:?}:\n{heard}"
                    );
                }
                *selected = content.map(|_| name.to_owned());
                heard
            }
            4 | 5 => {
                let heard = client
                    .say(&format!("STATUS \"{name}\" (MESSAGES UNSEEN UIDNEXT)"))
                    .await;
                match self.content(user, name) {
                    Some(content) => {
                        assert_eq!(
                            number_after(&heard, "MESSAGES "),
                            Some(content.len()),
                            "{name}:\n{heard}"
                        );
                        assert_eq!(
                            number_after(&heard, "UNSEEN "),
                            Some(self.unseen(user, &content)),
                            "{heard}"
                        );
                    }
                    None => assert!(!went_well(&heard), "{heard}"),
                }
                heard
            }
            6 => {
                client
                    .say("LIST \"\" \"*\" RETURN (STATUS (MESSAGES UNSEEN SIZE))")
                    .await
            }
            7 => client.say("NOOP").await,
            8 => client.say("EXPUNGE").await,
            9 => {
                let text = String::from_utf8(self.world.text("Teklif")).unwrap();
                client
                    .say(&format!(
                        "APPEND \"{name}\" (\\Seen) {{{}+}}\r\n{text}",
                        text.len()
                    ))
                    .await
            }
            10 if !self.world.drawing.holds(user, Permission::Jobs) => {
                let heard = client.say(&format!("RENAME \"{name}\" \"{other}\"")).await;
                assert!(!went_well(&heard), "{heard}");
                heard
            }
            _ => {
                *selected = None;
                client.say("UNSELECT").await
            }
        }
    }

    /// A search after NOOP finds exactly what is there.
    async fn search(
        &mut self,
        user: u32,
        client: &mut Client,
        selected: Option<&str>,
        what: u8,
        item: u8,
    ) -> String {
        let all: Vec<String> = self.words.values().flatten().cloned().collect();
        let word = &all[usize::from(item) % all.len()];
        let keys = [
            format!("TEXT {word}"),
            format!("BODY {word}"),
            format!("HEADER X-WORD {word}"),
            format!("SUBJECT {word}"),
            format!("FROM {word}"),
            format!("NOT NOT TEXT {word}"),
            "ALL".to_owned(),
            "UNSEEN".to_owned(),
            format!("KEYWORD {OFFICERS_OWN}"),
        ];
        let which = usize::from(what) % keys.len();
        let heard = client.say("NOOP").await;
        let before = selected.and_then(|name| self.content(user, name));
        let found = client
            .say(&format!("UID SEARCH RETURN (COUNT) {}", keys[which]))
            .await;
        if let Some(content) = before {
            let has = |id: &&ItemId| self.words[id].contains(word);
            let expected = match which {
                6 => content.len(),
                7 => self.unseen(user, &content),
                8 => 0,
                _ => content.iter().filter(has).count(),
            };
            let exact = which == 6 || which == 7 || which == 8 || expected == 0;
            let count = number_after(&found, "COUNT ");
            // A notice quotes the subject of a message without its other places.
            let fits = if exact {
                count == Some(expected)
            } else {
                count.is_some_and(|n| n <= expected)
            };
            assert!(fits, "{selected:?} {}: {expected} expected\n{found}", keys[which]);
        }
        heard + &found
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 5, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_answer_holds_a_word_of_what_its_user_does_not_see(
        steps in prop::collection::vec((any::<bool>(), said(), prop::option::weighted(0.3, event())), 20..60)
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut sessions = Sessions::build().await;
            let users: Vec<u32> = sessions.clients.keys().copied().collect();
            for (first, said, event) in steps {
                sessions.step(users[usize::from(first)], said).await;
                if let Some(event) = event {
                    sessions.world.happen(event).await;
                }
            }
        });
    }
}

/// A herald beside a house, held against the drawing.
struct Telling {
    world: World,
    herald: Herald,
    told: BTreeSet<ItemId>,
}

impl Telling {
    /// Somebody manages jobs who sees none of those that concern the role of approvers.
    async fn build() -> Self {
        let mut world = World::build().await;
        let place = |name: &str, of: &BTreeMap<u32, String>| {
            let at = of.values().position(|n| n == name).unwrap();
            u8::try_from(at).unwrap()
        };
        let org = world
            .house
            .mailboxes
            .organisations
            .of(world.house.tenant)
            .unwrap();
        let roles: BTreeMap<u32, String> = org.roles.values().map(|r| (r.id.0, r.name.clone())).collect();
        let units: BTreeMap<u32, String> = org.units.values().map(|u| (u.id.0, u.name.clone())).collect();
        world
            .happen(Event::AddUser {
                unit: place("Mali İşler", &units),
                role: place("İş Yönetimi", &roles),
            })
            .await;
        let m = &world.house.mailboxes;
        let herald = Herald {
            db: m.db.clone(),
            spool: m.spool.clone(),
            clock: m.clock.clone(),
            ids: m.ids.clone(),
            organisations: m.organisations.clone(),
            identity: m.identity.clone(),
            items: m.items.clone(),
            bells: m.bells.clone(),
            terms: m.approval.terms.clone(),
        };
        Self {
            world,
            herald,
            told: BTreeSet::new(),
        }
    }

    /// The number by which an event names a user who is there.
    fn place_of(&self, name: &str) -> u8 {
        let people = self.world.people();
        let named = |n: &u32| self.world.drawing.people[n].name == name;
        u8::try_from(people.iter().position(named).unwrap()).unwrap()
    }

    async fn words(&self, item: ItemId) -> BTreeSet<String> {
        let (db, tenant) = (self.world.house.db(), self.world.house.tenant);
        let body = items::body(db, tenant, item).unwrap().unwrap();
        let reader = ContentReader::whole(&self.world.house.mailboxes.spool, &body.row.content);
        let octets = reader.collect().await.unwrap();
        // The subject goes out encoded where it is not ASCII.
        let subject = Summary::of(&octets).subject;
        words_in(&(String::from_utf8_lossy(&octets) + subject.as_str()))
    }

    /// Tells what is owed. Gives how many messages name a mail.
    async fn tell(&mut self) -> usize {
        let before = self.world.log().0;
        while self.herald.run_due().await.unwrap() > 0 {}
        let (log, now) = (
            self.world.log(),
            kepd::clock::Clock::now(&*self.world.house.clock),
        );
        let mut naming = 0;
        for (id, notice) in log.0.iter().filter(|(id, _)| !before.contains_key(id)) {
            assert!(self.told.insert(*id));
            let reader = notice.item.author.unwrap().0;
            let named = self.words(*id).await;
            naming += usize::from(!named.is_empty());
            let mut allowed = BTreeSet::new();
            for (id, mail) in &before {
                if self.world.drawing.sees(reader, mail, &log, now) {
                    allowed.extend(self.words(*id).await);
                }
            }
            let foreign: Vec<_> = named.difference(&allowed).collect();
            assert!(foreign.is_empty(), "user {reader} was told of {foreign:?}");
        }
        naming
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_status_message_holds_a_word_of_what_its_reader_does_not_see(
        events in prop::collection::vec(event(), 10..40)
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut telling = Telling::build().await;
            let ayse = telling.place_of("ayse");
            for rule in 0..2 {
                telling.world.happen(Event::HandIn { user: ayse, rule }).await;
            }
            assert!(telling.tell().await >= 2, "the author and who decides are told");
            // Nobody is left to decide: who manages jobs would like to know.
            let onay1 = telling.place_of("onay1");
            telling.world.happen(Event::RemoveUser { user: onay1 }).await;
            assert!(telling.tell().await > 0, "officers are told that nobody can decide");
            for event in events {
                telling.world.happen(event).await;
                telling.tell().await;
            }
        });
    }
}

/// A right is taken away while a long answer is under way: what comes behind is not told any more.
#[tokio::test]
async fn a_right_lost_in_the_middle_of_an_answer_ends_it() {
    let sessions = Sessions::build().await;
    let house = &sessions.world.house;
    let ayse = house.user("ayse");
    let org = house.mailboxes.organisations.of(house.tenant).unwrap();
    let unit = org.unit_by_path("Satış").unwrap().id;
    let mut mails = Vec::new();
    for n in 0..3 {
        let mut text = mail_with(&format!("kanarya9000{n}x"), "long");
        if n == 0 {
            // Longer than all that is gathered before it is written.
            text.extend_from_slice("0123456789abcdef\r\n".repeat(20_000).as_bytes());
        }
        mails.push(house.put(&text, |item| item.units.extend([unit])).await);
    }
    let door = sessions.door.clone();
    let mut client = Client::log_in(&door, "ayse@ornekas").await;
    assert!(client.say("SELECT INBOX").await.contains(" OK "));
    let (tag, line) = client.tag("FETCH 1:* BODY.PEEK[]");
    client.pipe.write_all(line.as_bytes()).await.unwrap();
    // The door has filled the pipe and waits.
    let mut heard = client.some().await;
    let organisations = sessions.world.house.mailboxes.organisations.clone();
    organisations
        .by(super::provider::admin())
        .set_user(ayse.tenant, "ayse", |_, user| {
            user.units.clear();
            Ok(())
        })
        .await
        .unwrap();
    heard += &client.until(&format!("{tag} ")).await;
    let found = words_in(&heard);
    assert!(
        found.contains("kanarya90000x"),
        "what was being written is written to its end"
    );
    assert!(
        !found.contains("kanarya90001x") && !found.contains("kanarya90002x"),
        "{found:?}"
    );
    let after = client.say("FETCH 1:* (FLAGS ENVELOPE)").await;
    assert!(
        words_in(&after).iter().all(|w| !w.starts_with("kanarya9")),
        "{after}"
    );
}
