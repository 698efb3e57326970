//! What is told of a message, and done to it, agrees with one moment, whoever changes it between two reads or between the
//! last read and the commit. The store of these tests lets somebody in at exactly that place.

use super::behind_each::bring;
use super::folders::Client;
use super::mailbox_house::{House, door};
use kepd::domain::selector::Mailbox;
use kepd::id::{ItemId, LabelId, TenantId, UserId};
use kepd::service::account::Principal;
use kepd::service::mailbox::{Counting, Mailboxes, MarkHow, Marks};
use kepd::store::StoreError;
use kepd::store::db::{Batch, Commit, CommitSeq, Db, Parse, Parsed, Rows};
use kepd::store::tables::views::{self, Scope};
use kepd::store::tables::{flags, items};
use std::sync::{Arc, Mutex};

const MAIL: &[u8] = b"From: a@hs02.kep.test\r\nSubject: x\r\n\r\nbody\r\n";

type Deed = Box<dyn FnOnce(&dyn Db) + Send>;

/// Where somebody comes between.
enum Gap {
    /// After this row was read, before the next is.
    Read(Vec<u8>),
    Commit,
}

/// A store in which somebody else acts once, in the gap that is set.
struct Between {
    db: Arc<dyn Db>,
    gap: Mutex<Option<(Gap, Deed)>>,
}

impl Between {
    fn set(&self, gap: Gap, deed: impl FnOnce(&dyn Db) + Send + 'static) {
        *self.gap.lock().unwrap() = Some((gap, Box::new(deed)));
    }

    fn is_over(&self) -> bool {
        self.gap.lock().unwrap().is_none()
    }

    fn pass(&self, here: impl FnOnce(&Gap) -> bool) {
        let mut gap = self.gap.lock().unwrap();
        let deed = gap.take_if(|(gap, _)| here(gap));
        drop(gap);
        if let Some((_, deed)) = deed {
            deed(&*self.db);
        }
    }
}

impl Db for Between {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let read = self.db.get(key);
        self.pass(|gap| matches!(gap, Gap::Read(wanted) if wanted == key));
        read
    }

    fn parsed(&self, key: &[u8], parse: Parse<'_>) -> Result<Option<Parsed>, StoreError> {
        let parsed = self.db.parsed(key, parse);
        self.pass(|gap| matches!(gap, Gap::Read(wanted) if wanted == key));
        parsed
    }

    fn range(&self, from: &[u8], to: &[u8], limit: usize) -> Result<Rows, StoreError> {
        self.db.range(from, to, limit)
    }

    fn range_back(&self, from: &[u8], to: &[u8], limit: usize) -> Result<Rows, StoreError> {
        self.db.range_back(from, to, limit)
    }

    fn begun(&self) -> CommitSeq {
        self.db.begun()
    }

    fn commit(&self, batch: Batch) -> Commit<'_> {
        self.pass(|gap| matches!(gap, Gap::Commit));
        self.db.commit(batch)
    }
}

/// The mailboxes of the house on such a store.
fn between(house: &House) -> (Arc<Between>, Arc<Mailboxes>) {
    let db = Arc::new(Between {
        db: house.mailboxes.db.clone(),
        gap: Mutex::default(),
    });
    let mut mailboxes = house.unindexed();
    mailboxes.db = db.clone();
    (db, Arc::new(mailboxes))
}

/// A commit on a thread of its own, whoever waits.
fn commit(db: &dyn Db, batch: Batch) {
    std::thread::scope(|scope| {
        let committing = scope.spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            runtime.block_on(db.commit(batch)).unwrap();
        });
        committing.join().unwrap();
    });
}

fn label(db: &dyn Db, tenant: TenantId, id: ItemId, label: LabelId) {
    let old = items::item(db, tenant, id).unwrap().unwrap();
    let mut new = old.row.clone();
    new.labels.insert(label);
    let mut batch = Batch::new();
    items::replace(&mut batch, tenant, &old, &new).unwrap();
    commit(db, batch);
}

fn flag(
    db: &dyn Db,
    tenant: TenantId,
    user: UserId,
    id: ItemId,
    set: impl FnOnce(&mut kepd::domain::item::UserFlags),
) {
    let old = flags::flags(db, tenant, user, id).unwrap();
    let mut new = old.clone().unwrap_or_default();
    set(&mut new);
    let mut batch = Batch::new();
    flags::put_flags(&mut batch, tenant, user, id, old.as_ref(), &new).unwrap();
    commit(db, batch);
}

struct Scene {
    house: House,
    by: Principal,
    id: ItemId,
    finans: LabelId,
    acil: LabelId,
}

impl Scene {
    async fn build() -> Self {
        let house = House::build().await.with_passwords().await;
        let id = house.put(MAIL, |_| {}).await;
        let org = house.mailboxes.organisations.of(house.tenant).unwrap();
        let named = |name: &str| org.label_by_name(name).unwrap().id;
        Self {
            by: house.user("mudur"),
            id,
            finans: named("Finans"),
            acil: named("Acil"),
            house,
        }
    }

    /// First a label changes, then a flag of the reader.
    fn two_changes(&self) -> impl FnOnce(&dyn Db) + Send + use<> {
        let (tenant, user, id, finans) = (self.house.tenant, self.by.user, self.id, self.finans);
        move |db: &dyn Db| {
            label(db, tenant, id, finans);
            flag(db, tenant, user, id, |flags| flags.flagged = true);
        }
    }

    fn item_key(&self) -> Vec<u8> {
        items::key(self.house.tenant, self.id)
    }
}

async fn client(scene: &Scene, mailboxes: &Arc<Mailboxes>) -> Client {
    let door = Arc::new(door(mailboxes.clone(), scene.house.accounts.clone()));
    let mut client = Client::connect(door).await;
    client.login("mudur").await;
    client.ok("SELECT INBOX (CONDSTORE)").await;
    client
}

/// The first line about a message, and the number it is told with.
fn told(said: &str) -> (&str, u64) {
    let line = said.lines().find(|line| line.starts_with("* 1 FETCH ")).unwrap();
    let from = line.find("MODSEQ (").unwrap() + 8;
    (line, line[from..].split(')').next().unwrap().parse().unwrap())
}

#[tokio::test]
async fn an_item_and_the_flags_on_it_are_told_as_they_were_together() {
    let scene = Scene::build().await;
    let (db, mailboxes) = between(&scene.house);
    db.set(Gap::Read(scene.item_key()), scene.two_changes());
    let seat = mailboxes.seat(&scene.by).unwrap();
    let look = mailboxes.look(&seat.viewer(), scene.id).unwrap().unwrap();
    assert!(db.is_over());
    let last = items::last_modseq(scene.house.db(), scene.house.tenant).unwrap();
    // The number of the flags promises all that happened before them.
    assert!(
        look.changed_at < last || look.marks.keywords.contains("Finans"),
        "{look:?}"
    );
    assert_eq!((look.changed_at, look.marks.flagged), (last, true));
}

#[tokio::test]
async fn a_fetch_promises_nothing_that_it_does_not_show() {
    let scene = Scene::build().await;
    let (db, mailboxes) = between(&scene.house);
    let mut client = client(&scene, &mailboxes).await;
    // Something has happened to it that the client has not heard of yet, so its page of flags is read again.
    label(scene.house.db(), scene.house.tenant, scene.id, scene.acil);
    db.set(Gap::Read(scene.item_key()), scene.two_changes());
    let said = client.ok("FETCH 1 (FLAGS)").await;
    assert!(db.is_over());
    let last = items::last_modseq(scene.house.db(), scene.house.tenant).unwrap();
    let (line, modseq) = told(&said);
    assert!(modseq < last.0 || line.contains("Finans"), "{said}");
    assert!(line.contains("Acil"), "{said}");
    // Whatever was told first, it is known in the end.
    let end = said.lines().rfind(|line| line.starts_with("* 1 FETCH ")).unwrap();
    assert!(end.contains("Finans") && end.contains("\\Flagged"), "{said}");
}

/// The word of a label changes between the reading of the organisation and that of a message.
#[tokio::test]
async fn a_labels_word_is_of_the_same_moment() {
    let scene = Scene::build().await;
    let (_, mailboxes) = between(&scene.house);
    label(scene.house.db(), scene.house.tenant, scene.id, scene.finans);
    let seat = mailboxes.seat(&scene.by).unwrap();
    let change = scene.house.mailboxes.organisations.by(crate::provider::admin());
    change
        .rename_label(scene.house.tenant, "Finans", "Para")
        .await
        .unwrap();
    flag(
        scene.house.db(),
        scene.house.tenant,
        scene.by.user,
        scene.id,
        |flags| {
            flags.seen = true;
        },
    );
    let look = mailboxes.look(&seat.viewer(), scene.id).unwrap().unwrap();
    let last = items::last_modseq(scene.house.db(), scene.house.tenant).unwrap();
    assert_eq!(look.changed_at, last);
    assert!(look.marks.keywords.contains("Para"), "{look:?}");
}

/// A label changes after a STORE has read the message and before it is committed: its answer shows the label, for the
/// client takes all up to the number of the answer for known.
#[tokio::test]
async fn a_store_hides_no_label_that_came_before_its_commit() {
    for silent in ["", ".SILENT"] {
        let scene = Scene::build().await;
        let (db, mailboxes) = between(&scene.house);
        let mut client = client(&scene, &mailboxes).await;
        let (tenant, id, finans) = (scene.house.tenant, scene.id, scene.finans);
        db.set(Gap::Commit, move |db: &dyn Db| label(db, tenant, id, finans));
        let said = client.ok(&format!("STORE 1 +FLAGS{silent} (\\Flagged)")).await;
        assert!(db.is_over());
        let of_flags: Vec<&str> = said.lines().filter(|line| line.contains("FLAGS (")).collect();
        let [line] = of_flags.as_slice() else {
            panic!("{said}");
        };
        assert!(line.contains("Finans") && line.contains("\\Flagged"), "{said}");
        assert!(!client.ok("NOOP").await.contains("FETCH"));
    }
}

/// RFC 7162 3.1: a number only grows. A message that another session has moved, and that this one was not told is gone, has
/// the number it had at least, told and under a condition.
#[tokio::test]
async fn a_number_never_goes_back_before_a_message_is_told_gone() {
    let scene = Scene::build().await;
    let mut reads = client(&scene, &scene.house.mailboxes).await;
    let mut stores = client(&scene, &scene.house.mailboxes).await;
    let said = reads.ok("FETCH 1 (FLAGS MODSEQ)").await;
    let (_, before) = told(&said);
    let mut other = Client::of(&scene.house, "mudur").await;
    other.ok("SELECT INBOX").await;
    assert!(other.ok("UID MOVE 1 INBOX").await.contains("COPYUID"));
    let said = reads.ok("FETCH 1 (FLAGS MODSEQ)").await;
    assert!(told(&said).1 >= before, "{before}: {said}");
    let command = format!("STORE 1 (UNCHANGEDSINCE {}) +FLAGS (\\Flagged)", before - 1);
    let said = stores.ok(&command).await;
    assert!(said.contains("[MODIFIED 1]"), "{said}");
}

/// RFC 9051 6.4.3: EXPUNGE removes what has `\Deleted` now. Who was faster took it away.
#[tokio::test]
async fn what_is_not_marked_any_more_when_it_is_committed_is_not_expunged() {
    let scene = Scene::build().await;
    let other = scene.house.put(MAIL, |_| {}).await;
    let (db, mailboxes) = between(&scene.house);
    let mut client = client(&scene, &mailboxes).await;
    let (tenant, user, id) = (scene.house.tenant, scene.by.user, scene.id);
    for command in ["EXPUNGE", "UID EXPUNGE 1:*"] {
        client.ok("STORE 1:* +FLAGS.SILENT (\\Deleted)").await;
        db.set(Gap::Commit, move |db: &dyn Db| {
            flag(db, tenant, user, id, |flags| flags.deleted = false);
        });
        let said = client.ok(command).await;
        assert!(db.is_over(), "{command}");
        assert!(
            said.contains("* 2 EXPUNGE") && !said.contains("* 1 EXPUNGE"),
            "{command}: {said}"
        );
        assert!(scene.house.item(id).trashed.is_none(), "{command}");
        assert!(scene.house.item(other).trashed.is_some(), "{command}");
        scene.house.change(other, |item| item.trashed = None).await;
        assert!(client.ok("NOOP").await.contains("* 2 EXISTS"), "{command}");
    }
}

/// The same of a draft that was saved anew: the older one stays, so nothing took its place.
#[tokio::test]
async fn a_draft_that_stays_is_nobodys_earlier_version() {
    let scene = Scene::build().await;
    let house = &scene.house;
    let draft = |subject: &str| format!("From: ornekas@hs01.kep.test\r\nSubject: {subject}\r\n\r\nx\r\n");
    let author = scene.by.user;
    let mut ids = Vec::new();
    for subject in ["Rapor", "Rapor tamam"] {
        let text = draft(subject);
        let put = house.put(text.as_bytes(), |item| {
            item.kind = kepd::domain::item::ItemKind::Draft;
            item.author = Some(author);
        });
        ids.push(put.await);
    }
    let (db, mailboxes) = between(house);
    let mut opened = mailboxes.open(&scene.by, Mailbox::Drafts).await.unwrap();
    let deleted = Marks {
        deleted: true,
        ..Marks::default()
    };
    mailboxes
        .mark(&scene.by, &ids[..1], MarkHow::Add, &deleted)
        .await
        .unwrap();
    let (tenant, old) = (house.tenant, ids[0]);
    db.set(Gap::Commit, move |db: &dyn Db| {
        flag(db, tenant, author, old, |flags| flags.deleted = false);
    });
    let filed = mailboxes.expunge(&scene.by, &mut opened, None).await.unwrap();
    assert!(db.is_over() && filed.pairs.is_empty() && filed.refused.is_none());
    assert_eq!(house.item(ids[1]).supersedes, None);
    assert!(!house.item(ids[0]).gone);
    // Marked again, it goes, and is known as the earlier one.
    mailboxes
        .mark(&scene.by, &ids[..1], MarkHow::Add, &deleted)
        .await
        .unwrap();
    let filed = mailboxes.expunge(&scene.by, &mut opened, None).await.unwrap();
    assert_eq!(filed.pairs.len(), 1);
    assert_eq!(house.item(ids[1]).supersedes, Some(ids[0]));
}

/// A draft, its place in the mailbox and the mailbox's row are one commit: who counts before it does not have its number.
#[tokio::test]
async fn a_status_counts_the_message_of_its_number() {
    let house = House::build().await;
    let by = house.user("mudur");
    bring(&house.mailboxes, &by, 1).await.unwrap();
    let (db, mailboxes) = between(&house);
    let row = views::key(house.tenant, Mailbox::Drafts, Scope::User(by.user)).unwrap();
    let (others, his) = (house.mailboxes.clone(), by.clone());
    db.set(Gap::Read(row), move |_: &dyn Db| {
        std::thread::scope(|scope| {
            let bringing = scope.spawn(|| {
                let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
                runtime.block_on(bring(&others, &his, 2)).unwrap();
            });
            bringing.join().unwrap();
        });
    });
    let status = mailboxes
        .status(&by, Mailbox::Drafts, Counting::default())
        .await
        .unwrap();
    assert!(db.is_over());
    let now = mailboxes.open(&by, Mailbox::Drafts).await.unwrap();
    assert_eq!(
        (status.messages, status.uid_next, status.highest_modseq),
        (2, now.uid_next, now.known_to().0)
    );
}
