//! What clients believe against what is there. Random commands of several clients of several users, over the door, while
//! the institution changes under them; each keeps its picture by what it is told alone (`resync_client`). At quiet
//! points every picture is what a fresh look shows, and from everything that was ever remembered a client comes back to
//! that, by QRESYNC and by CONDSTORE.

use super::events::{mail_with, nth};
use super::mailbox_house::{House, start};
use super::provider::admin;
use super::resync_client::{Client, Flags, Heard, Memory, Mode, expand, row, selected};
use kepd::domain::item::{Filed, Item, ItemKind, Report};
use kepd::domain::selector::Mailbox;
use kepd::id::{ItemId, LabelId, ModSeq, UnitId, UserId, ViewId};
use kepd::service::mailbox::{MarkHow, Marks, Verb};
use kepd::store::db::Batch;
use kepd::store::tables::items;
use kepd::store::tables::views::{self, Scope, TOMBSTONES_MAX, View};
use proptest::prelude::*;
use std::collections::BTreeMap;

const MAILBOXES: [&str; 11] = [
    "INBOX",
    "INBOX",
    "INBOX",
    "Tüm Postalar",
    "Önemli",
    "Arşiv",
    "Çöp Kutusu",
    "Etiketler/Finans",
    "Giden Kutusu",
    "Taslaklar",
    "İşlerim/Bekleyen",
];
/// Where things are moved besides.
const PLACES: [&str; 4] = [
    "Etiketler/Acil",
    "İşlerim/Onayla",
    "İşlerim/Reddet",
    "İş Akışları/Teklif",
];
const FLAGS: [&str; 7] = [
    "\\Seen",
    "\\Flagged",
    "\\Answered",
    "\\Deleted",
    "\\Deleted",
    "$Ozel",
    "Finans",
];
const USERS: [&str; 4] = ["mudur", "muavin", "ayse", "onay1"];
/// What one of a client's memories is tried with, for each mailbox.
const TRIED_MAX: usize = 6;

/// One thing that happens; the numbers are taken modulo how many there are.
type Step = (u8, u8, u8, u8);

struct Play {
    house: House,
    clients: Vec<Client>,
    /// One for each user, who only looks.
    checkers: Vec<Client>,
    made: u32,
}

impl Play {
    async fn begin() -> Self {
        let house = House::build().await.with_passwords().await;
        let mut clients = Vec::new();
        for (user, mode) in [
            ("mudur", Mode::Qresync),
            ("muavin", Mode::Plain),
            ("mudur", Mode::Condstore),
            ("ayse", Mode::Qresync),
            ("onay1", Mode::UidOnly),
        ] {
            clients.push(Client::log_in(&house, user, mode).await);
        }
        let mut checkers = Vec::new();
        for user in USERS {
            checkers.push(Client::log_in(&house, user, Mode::Qresync).await);
        }
        Self {
            house,
            clients,
            checkers,
            made: 0,
        }
    }

    async fn step(&mut self, (what, a, b, c): Step) {
        let who = usize::from(a) % self.clients.len();
        let client = &mut self.clients[who];
        let numbered = client.mode != Mode::UidOnly;
        let picture = client.picture.clone().unwrap_or_default();
        let member = nth(&picture.uids(), b);
        match what % 22 {
            0 | 1 => {
                client.select(MAILBOXES[usize::from(b) % MAILBOXES.len()]).await;
            }
            2 if numbered && !picture.list.is_empty() => {
                let (low, high) = (usize::from(b) % picture.list.len() + 1, picture.list.len());
                client.say(&format!("FETCH {low}:{high} (UID FLAGS)")).await;
            }
            3 if numbered && client.picture.is_some() => {
                client.say("SEARCH ALL").await;
            }
            2..=6 => {
                let Some(uid) = member else { return };
                let flag = FLAGS[usize::from(c) % FLAGS.len()];
                let sign = if c % 3 == 0 { '-' } else { '+' };
                let since = match client.mode {
                    Mode::Plain => String::new(),
                    _ if c % 2 == 0 => String::new(),
                    _ => format!(
                        " (UNCHANGEDSINCE {})",
                        picture.modseq.saturating_sub(u64::from(c % 5))
                    ),
                };
                let number = picture.list.iter().position(|u| *u == Some(uid)).unwrap() + 1;
                let command = match numbered && b % 2 == 0 {
                    true => format!("STORE {number}{since} {sign}FLAGS ({flag})"),
                    false => format!("UID STORE {uid}{since} {sign}FLAGS ({flag})"),
                };
                client.say(&command).await;
            }
            7 | 8 => {
                let Some(uid) = member else { return };
                let verb = if c % 3 == 0 { "COPY" } else { "MOVE" };
                let all: Vec<&str> = MAILBOXES.iter().chain(&PLACES).copied().collect();
                let to = all[usize::from(c) % all.len()];
                client.say(&format!("UID {verb} {uid} \"{to}\"")).await;
            }
            9 if client.picture.is_some() => {
                let command = match member.filter(|_| c % 2 == 0) {
                    Some(uid) => format!("UID EXPUNGE {uid}:{}", uid + 3),
                    None => "EXPUNGE".to_owned(),
                };
                client.say(&command).await;
            }
            10 => {
                client.say("NOOP").await;
            }
            11 | 12 if client.picture.is_some() => {
                let mut client = self.clients.remove(who);
                client.idle(self.outside(b, c)).await;
                client.complete().await;
                self.clients.insert(who, client);
                return;
            }
            13 if client.picture.is_some() => {
                client.ask(if c % 2 == 0 { "CLOSE" } else { "UNSELECT" }).await;
                client.picture = None;
            }
            14 => {
                let draft = mail_with(&format!("taslak{}", self.made), "Teklif");
                self.made += 1;
                let text = String::from_utf8(draft).unwrap();
                let command = format!("APPEND Taslaklar (\\Seen) {{{}+}}\r\n{text}", text.len());
                client.say(&command).await;
            }
            15 => {
                // Reading marks as seen, and owes evidence.
                let Some(uid) = member else { return };
                client
                    .say(&format!("UID FETCH {uid} (FLAGS BODY[TEXT]<0.4>)"))
                    .await;
            }
            _ => self.outside(b, c).await,
        }
        self.clients[who].complete().await;
    }

    fn labels(&self) -> Vec<LabelId> {
        let org = self.house.mailboxes.organisations.of(self.house.tenant).unwrap();
        org.labels.keys().copied().collect()
    }

    /// Something happens that no client does.
    async fn outside(&mut self, b: u8, c: u8) {
        let labels = self.labels();
        let label = nth(&labels, c);
        let user = self.house.user(USERS[usize::from(c) % USERS.len()]).user;
        let last = items::last_item(self.house.db(), self.house.tenant).unwrap().0;
        let some = (last > 0).then(|| ItemId(u64::from(c) % last + 1));
        let hand = Filed {
            by: UserId(1),
            at: start(),
        };
        self.made += 1;
        let text = mail_with(&format!("posta{}", self.made), "x");
        match (b % 12, some) {
            (0..=3, _) | (_, None) => {
                let shape = |item: &mut Item| match b % 5 {
                    0 => {
                        item.kind = ItemKind::Notice;
                        item.author = Some(user);
                    }
                    1 => item.units.extend([UnitId(1 + u32::from(c) % 2)]),
                    2 => item.labels.extend(label),
                    3 => item.kind = ItemKind::Outgoing,
                    _ => {}
                };
                self.house.put(&text, shape).await;
            }
            (4, Some(id)) => {
                let change = |item: &mut Item| match (item.on_record(), label) {
                    (true, Some(label)) if !item.labels.remove(&label) => item.labels.extend([label]),
                    _ => {}
                };
                self.house.change(id, change).await;
            }
            (5, Some(id)) => {
                let change = |item: &mut Item| item.archived = item.archived.is_none().then_some(hand);
                self.house.change(id, change).await;
            }
            (6, Some(id)) => {
                let change = |item: &mut Item| item.trashed = item.trashed.is_none().then_some(hand);
                self.house.change(id, change).await;
            }
            (7, Some(id)) => {
                let report = Report::ALL[usize::from(c) % Report::ALL.len()];
                let change = |item: &mut Item| item.reports.extend([report]);
                self.house.change(id, change).await;
            }
            (_, Some(_)) => self.institution(b, c).await,
        }
    }

    /// The organisation changes; what it refuses changes nothing.
    async fn institution(&mut self, b: u8, c: u8) {
        let (house, tenant) = (&self.house, self.house.tenant);
        let org = house.mailboxes.organisations.of(tenant).unwrap();
        let change = house.mailboxes.organisations.by(admin());
        let names: Vec<String> = org.labels.values().map(|l| l.name.clone()).collect();
        let name = names[usize::from(c) % names.len()].clone();
        match b % 4 {
            0 => {
                // Back and forth, so that there is always a mailbox by the name that clients ask for.
                let new = if name == "Acil" || c.is_multiple_of(3) {
                    format!("Yeni {}", self.made)
                } else {
                    "Finans".into()
                };
                let _ = change.rename_label(tenant, &name, &new).await;
            }
            1 if names.len() > 2 => {
                let _ = change.remove_label(tenant, &name).await;
            }
            1 => {
                let _ = change.add_label(tenant, &format!("Daha {}", self.made)).await;
            }
            2 => {
                let _ = change
                    .label_unit(tenant, "Satış", &[name], c.is_multiple_of(2))
                    .await;
            }
            _ => {
                let units: Vec<UnitId> = org.units.keys().copied().collect();
                let set = change.set_user(tenant, "ayse", move |_, user| {
                    let unit = units[usize::from(c) % units.len()];
                    if !user.units.remove(&unit) {
                        user.units.insert(unit);
                    }
                    Ok(())
                });
                let _ = set.await;
            }
        }
    }

    /// Nothing happens any more: all pictures and memories are held against a fresh look.
    async fn settle(&mut self) {
        for client in &mut self.clients {
            client.say("NOOP").await;
            client.complete().await;
        }
        for who in 0..self.clients.len() {
            let (user, picture) = (self.clients[who].user, self.clients[who].picture.clone());
            if let Some(picture) = picture {
                let Some(fresh) = self.fresh(user, &picture.name).await else {
                    continue;
                };
                let place = format!("{user} {:?} {}", self.clients[who].mode, picture.name);
                if picture.validity == fresh.validity {
                    assert_eq!(picture.memory().flags, fresh.flags, "{place}");
                } else if !picture.name.starts_with("Etiketler/") {
                    // By a label's name another label may be found today.
                    assert!(picture.list.is_empty(), "{place}: another view answers");
                }
            }
            let (mode, memories) = (self.clients[who].mode, self.clients[who].memories.clone());
            for (name, memories) in memories {
                let Some(fresh) = self.fresh(user, &name).await else {
                    continue;
                };
                let step = memories.len().div_ceil(TRIED_MAX);
                for (n, memory) in memories.iter().rev().step_by(step).enumerate() {
                    if memory.validity == fresh.validity {
                        self.come_back((user, mode), &name, memory, &fresh, n).await;
                    }
                }
            }
        }
    }

    fn checker(&mut self, user: &str) -> &mut Client {
        self.checkers.iter_mut().find(|c| c.user == user).unwrap()
    }

    /// The mailbox as a client sees it who has never seen it, which is what is stored.
    async fn fresh(&mut self, user: &'static str, name: &str) -> Option<Memory> {
        let checker = self.checker(user);
        if !checker.select(name).await {
            return None;
        }
        let fresh = checker.picture.as_ref().unwrap().memory();
        let by = self.house.user(user);
        let mailbox = self.house.mailboxes.resolve(&by, name).unwrap();
        let (db, tenant) = (self.house.db(), self.house.tenant);
        let view = [Scope::Officers, Scope::User(by.user)]
            .into_iter()
            .filter_map(|scope| views::view(db, tenant, mailbox, scope).unwrap())
            .find(|view| view.row.uid_validity == fresh.validity)?;
        let members = views::members(db, tenant, view.row.id, 0, usize::MAX).unwrap();
        let own = members.iter().filter(|m| m.only.is_none_or(|u| u == by.user));
        let stored: Vec<u32> = own.map(|m| m.uid).collect();
        assert!(
            fresh.flags.keys().eq(stored.iter()),
            "{user} {name}: {fresh:?} {stored:?}"
        );
        assert_eq!(view.row.count(by.user) as usize, stored.len(), "{user} {name}");
        // Counted long ago and kept up since, as what was looked at just now has it.
        let having = |flag: &str| fresh.flags.values().filter(|f| f.contains(flag)).count();
        let counted = [stored.len(), stored.len() - having("\\Seen"), having("\\Deleted")];
        let status = checker_status(self.checker(user), name).await;
        assert_eq!(status, counted, "{user} {name}: {fresh:?}");
        let unseen = fresh.flags.values().position(|f| !f.contains("\\Seen"));
        assert_eq!(
            first_unseen(self.checker(user), name).await,
            unseen.map(|n| n + 1)
        );
        let (told, summed) = octets(self.checker(user), name).await;
        assert_eq!(told, summed, "{user} {name}");
        Some(fresh)
    }

    async fn come_back(
        &mut self,
        (user, mode): (&str, Mode),
        name: &str,
        memory: &Memory,
        fresh: &Memory,
        n: usize,
    ) {
        let checker = self.checker(user);
        let known: Vec<String> = memory.flags.keys().map(u32::to_string).collect();
        let (validity, modseq) = (memory.validity, memory.modseq);
        let last = memory.flags.keys().last().copied().unwrap_or(0);
        // RFC 7162 3.2.5: with the known UIDs, or without them.
        let known_uids = match n % 2 {
            0 if !known.is_empty() => format!(" {}", known.join(",")),
            _ => String::new(),
        };
        let command = format!("SELECT \"{name}\" (QRESYNC ({validity} {modseq}{known_uids}))");
        // Who has not enabled QRESYNC is not told how far he may believe himself while an EXPUNGE is held back, and asks
        // who is left.
        if mode != Mode::Condstore {
            let mut by_qresync = memory.flags.clone();
            let heard = checker.ask(&command).await;
            assert_eq!(selected(name, &heard).validity, validity);
            take_in(&mut by_qresync, &heard);
            // Who names what he knows asks for the rest; who does not is told of the new ones as well, by their mod-sequences.
            if n.is_multiple_of(2) {
                let command = format!("UID FETCH {}:* (UID FLAGS)", last + 1);
                take_in(&mut by_qresync, &checker.ask(&command).await);
            }
            assert_eq!(
                by_qresync, fresh.flags,
                "QRESYNC of {user} {mode:?} {name} from {memory:?}: {command}"
            );
        }
        // RFC 4549 6.1: what changed, then who is left, then who is new.
        let mut by_condstore = memory.flags.clone();
        checker.ask(&format!("EXAMINE \"{name}\" (CONDSTORE)")).await;
        if last > 0 {
            let command = format!("UID FETCH 1:{last} (UID FLAGS) (CHANGEDSINCE {modseq})");
            take_in(&mut by_condstore, &checker.ask(&command).await);
            let heard = checker
                .ask(&format!("UID SEARCH RETURN (ALL) UID 1:{last}"))
                .await;
            let left = heard.untagged.iter().find_map(|line| line.split_once(" ALL "));
            let left = left.map_or_else(Vec::new, |(_, set)| expand(set));
            by_condstore.retain(|uid, _| left.contains(uid));
        }
        let heard = checker
            .ask(&format!("UID FETCH {}:* (UID FLAGS)", last + 1))
            .await;
        take_in(&mut by_condstore, &heard);
        assert_eq!(
            by_condstore, fresh.flags,
            "CONDSTORE of {user} {mode:?} {name} from {memory:?}"
        );
    }
}

/// Messages, those unseen, and those marked as deleted.
async fn checker_status(checker: &mut Client, name: &str) -> [usize; 3] {
    let heard = checker
        .ask(&format!("STATUS \"{name}\" (MESSAGES UNSEEN DELETED)"))
        .await;
    ["MESSAGES ", "UNSEEN ", "DELETED "].map(|word| {
        let told = heard.untagged.iter().find_map(|line| line.split_once(word));
        let number = told.unwrap().1.split([' ', ')']).next();
        number.unwrap().parse().unwrap()
    })
}

/// The octets of a mailbox that is open, as STATUS tells them and as its messages do.
async fn octets(checker: &mut Client, name: &str) -> (u64, u64) {
    let number = |line: &str, word: &str| -> Option<u64> {
        let told = line.split_once(word)?.1.split([' ', ')']).next()?;
        told.parse().ok()
    };
    let heard = checker.ask(&format!("STATUS \"{name}\" (SIZE)")).await;
    let told = heard.untagged.iter().find_map(|line| number(line, "(SIZE "));
    let heard = checker.ask("UID FETCH 1:* (RFC822.SIZE)").await;
    let sizes = heard
        .untagged
        .iter()
        .filter_map(|line| number(line, "RFC822.SIZE "));
    (told.unwrap(), sizes.sum())
}

/// The sequence number that EXAMINE tells (RFC 3501 6.3.1).
async fn first_unseen(checker: &mut Client, name: &str) -> Option<usize> {
    let heard = checker.ask(&format!("EXAMINE \"{name}\"")).await;
    let told = heard
        .untagged
        .iter()
        .find_map(|line| line.split_once("[UNSEEN "))?;
    told.1.split(']').next().unwrap().parse().ok()
}

/// What a client does with the answer to a question about what changed.
fn take_in(flags: &mut BTreeMap<u32, Flags>, heard: &Heard) {
    assert!(heard.tagged.contains(" OK "), "{}", heard.tagged);
    for line in &heard.untagged {
        if let Some(set) = line.strip_prefix("VANISHED (EARLIER) ") {
            for uid in expand(set) {
                flags.remove(&uid);
            }
        } else if let (Some(uid), Some(told), Some(_)) = row(line) {
            flags.insert(uid, told);
        }
    }
}

fn play(steps: &[Step]) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut play = Play::begin().await;
        for n in 0..8 {
            play.outside(n, n * 7).await;
        }
        for n in 0..5 {
            play.step((0, n, n, 0)).await;
        }
        for part in steps.chunks(steps.len().div_ceil(3)) {
            for step in part {
                play.step(*step).await;
            }
            play.settle().await;
        }
    });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_clients_believe_is_what_is_there(
        steps in prop::collection::vec((any::<u8>(), any::<u8>(), any::<u8>(), any::<u8>()), 90..140),
    ) {
        play(&steps);
    }
}

fn marked(set: impl FnOnce(&mut Marks)) -> Marks {
    let mut marks = Marks::default();
    set(&mut marks);
    marks
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_who_store_under_one_condition_one_does() {
    let house = House::build().await;
    let by = house.user("mudur");
    let id = house.put(b"Subject: x\r\n\r\nx\r\n", |_| {}).await;
    let opened = house.mailboxes.open(&by, Mailbox::Inbox).await.unwrap();
    let since = opened.known_to();
    let mut tasks = Vec::new();
    for n in 0..8 {
        let (mailboxes, by, opened) = (house.mailboxes.clone(), by.clone(), opened.clone());
        tasks.push(tokio::spawn(async move {
            // One of them files, which changes the mail itself; the others set flags of their own.
            let word = if n == 0 {
                "Acil".to_owned()
            } else {
                format!("k{n}")
            };
            let word = marked(|m| {
                m.keywords.insert(word);
            });
            let which = [(1, id)];
            let marked = mailboxes.mark_in(&by, Some(&opened), &which, MarkHow::Add, &word, Some(since));
            let marked = marked.await.unwrap();
            (marked.done.len(), marked.changed_since.len())
        }));
    }
    let mut all = (0, 0);
    for task in tasks {
        let (done, left_alone) = task.await.unwrap();
        all = (all.0 + done, all.1 + left_alone);
    }
    assert_eq!(all, (1, 7));
    // Somebody else's change of the mail itself counts as well, though the flags are one's own.
    let opened = house.mailboxes.open(&by, Mailbox::Inbox).await.unwrap();
    let since = opened.known_to();
    house.change(id, |item| item.reports.extend([Report::Read])).await;
    let seen = marked(|m| m.seen = true);
    let which = [(1, id)];
    let mark = |since| {
        house
            .mailboxes
            .mark_in(&by, Some(&opened), &which, MarkHow::Add, &seen, Some(since))
    };
    assert_eq!(mark(since).await.unwrap().changed_since, [1]);
    assert_eq!(mark(ModSeq(u64::MAX)).await.unwrap().done.len(), 1);
}

#[tokio::test]
async fn who_has_the_same_open_holds_the_same_memory() {
    let house = House::build().await;
    let (one, other) = (house.user("mudur"), house.user("muavin"));
    let mailboxes = &house.mailboxes;
    for _ in 0..20 {
        house.put(b"Subject: x\r\n\r\nx\r\n", |_| {}).await;
    }
    let mut a = mailboxes.open(&one, Mailbox::Inbox).await.unwrap();
    let mut b = mailboxes.open(&other, Mailbox::Inbox).await.unwrap();
    assert!(a.roster().is_shared_with(b.roster()));
    let filed = mailboxes.file(&one, &mut a, &[(3, ItemId(3))], Mailbox::Archive, Verb::Move);
    filed.await.unwrap();
    house.put(b"Subject: y\r\n\r\ny\r\n", |_| {}).await;
    mailboxes.poll(&one, &mut a).await.unwrap();
    let news = mailboxes.poll(&other, &mut b).await.unwrap();
    assert_eq!((news.removed, news.added), (vec![3], vec![(21, ItemId(21))]));
    assert!(a.roster().is_shared_with(b.roster()));
    // A notice to one of them stands in his alone.
    let to_other = |item: &mut Item| {
        item.kind = ItemKind::Notice;
        item.author = Some(other.user);
    };
    house.put(b"Subject: z\r\n\r\nz\r\n", to_other).await;
    assert_eq!(mailboxes.poll(&one, &mut a).await.unwrap().added, []);
    assert_eq!(mailboxes.poll(&other, &mut b).await.unwrap().added.len(), 1);
}

#[tokio::test]
async fn a_label_that_is_called_otherwise_changes_its_mail() {
    let house = House::build().await;
    let by = house.user("mudur");
    let mailboxes = &house.mailboxes;
    let org = mailboxes.organisations.of(house.tenant).unwrap();
    let finans = org.label_by_name("Finans").unwrap().id;
    house
        .put(b"Subject: x\r\n\r\nx\r\n", |item| item.labels.extend([finans]))
        .await;
    house.put(b"Subject: y\r\n\r\ny\r\n", |_| {}).await;
    let mut opened = mailboxes.open(&by, Mailbox::Inbox).await.unwrap();
    let before = opened.known_to();
    let change = mailboxes.organisations.by(admin());
    change
        .rename_label(house.tenant, "Finans", "Maliye")
        .await
        .unwrap();
    let news = mailboxes.poll(&by, &mut opened).await.unwrap();
    let told: Vec<(u32, bool)> = news
        .marks
        .iter()
        .map(|(uid, marks, at)| (*uid, marks.keywords.contains("Maliye") && *at > before))
        .collect();
    assert_eq!(told, [(1, true)]);
    assert!(opened.known_to() > before);
    // And so does one that is gone, also after the process has started anew.
    let before = opened.known_to();
    change.remove_label(house.tenant, "Maliye").await.unwrap();
    let house = house.restart();
    let opened = house.mailboxes.open(&by, Mailbox::Inbox).await.unwrap();
    let seat = house.mailboxes.seat(&by).unwrap();
    let look = house.mailboxes.look(&seat.viewer(), ItemId(1)).unwrap().unwrap();
    assert!(look.marks.keywords.is_empty());
    assert!(house.mailboxes.modseq(&by, &opened, 1, look.changed_at).unwrap() > before);
}

#[tokio::test]
async fn nobody_is_moved_for_what_a_message_was_when_another_read_it() {
    let house = House::build().await;
    let (officer, limited) = (house.user("muavin"), house.user("onay1"));
    let mailboxes = &house.mailboxes;
    let org = mailboxes.organisations.of(house.tenant).unwrap();
    let finans = org.label_by_name("Finans").unwrap().id;
    let id = house
        .put(b"Subject: x\r\n\r\nx\r\n", |item| item.labels.extend([finans]))
        .await;
    let mut theirs = mailboxes.open(&officer, Mailbox::Inbox).await.unwrap();
    let mut his = mailboxes.open(&limited, Mailbox::Inbox).await.unwrap();
    house
        .change(id, |item| {
            item.labels.remove(&finans);
        })
        .await;
    // The officer's mailbox reads the change log while the label is gone.
    mailboxes.poll(&officer, &mut theirs).await.unwrap();
    house.change(id, |item| item.labels.extend([finans])).await;
    let news = mailboxes.poll(&limited, &mut his).await.unwrap();
    assert_eq!((news.removed, news.added), (vec![], vec![]));
    assert_eq!(his.uid_of(id), Some(1));
}

#[tokio::test]
async fn tombstones_are_dropped_from_the_oldest_and_it_is_known_up_to_where() {
    const MANY: u32 = 4_000;
    let house = House::build().await;
    let (db, tenant) = (house.db(), house.tenant);
    let mut view = View::new(ViewId(77), 1, ModSeq(0));
    let mut left = Vec::new();
    for round in 0..6 {
        let mut batch = Batch::new();
        for n in 0..MANY {
            let item = ItemId(u64::from(round * MANY + n + 1));
            views::enter(&mut batch, tenant, &mut view, item, None);
        }
        db.commit(batch).await.unwrap();
        let mut batch = Batch::new();
        for member in views::members(db, tenant, view.id, 0, usize::MAX).unwrap() {
            left.push(member.uid);
            views::leave(&mut batch, tenant, &mut view, &member);
        }
        views::forget(db, &mut batch, tenant, &mut view).unwrap();
        db.commit(batch).await.unwrap();
    }
    assert_eq!((view.common, view.tombstones), (0, TOMBSTONES_MAX));
    assert!(view.forgotten > ModSeq(0));
    let on_record = views::left_after(db, tenant, view.id, view.forgotten, 7).unwrap();
    let first = on_record.first().unwrap();
    // A step ends with a commit, however little was asked for.
    assert_eq!(on_record.len(), MANY as usize);
    assert_eq!(first.uid, MANY + 1);
    let all = views::left_after(db, tenant, view.id, view.forgotten, usize::MAX).unwrap();
    let uids: Vec<u32> = all.iter().map(|l| l.uid).collect();
    assert_eq!(uids, left[MANY as usize..]);
}
