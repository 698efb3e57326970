//! Mailboxes as lists, through the door: who sees which, with which rights, subscribed to, how full, and what is noted of
//! them. What MYRIGHTS says is held against what the commands do.

use super::imap_client::door;
use super::mailbox_house::{House, PASSWORD, found, start};
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};
use kepd::domain::audit::Origin;
use kepd::domain::evidence::{Event, EvidenceKind};
use kepd::domain::item::{Item, ItemKind};
use kepd::id::{EvidenceId, ItemId, MailId, SystemIds, TenantId};
use kepd::net::imap::{Begin, DoorSettings, ImapDoor};
use kepd::sasl::Secret;
use kepd::service::failure::{Failure, Kind};
use kepd::service::organisation::Changes;
use kepd::store::db::Batch;
use kepd::store::tables::evidence::{self, EvidenceRow};
use kepd::store::tables::items::{self, Content};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, DuplexStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

const MAIL: &[u8] = b"From: a@hs02.kep.test\r\nSubject: x\r\n\r\nbody\r\n";
/// Far longer than anything takes, so that what never comes fails a test instead of holding it up.
const PATIENCE: Duration = Duration::from_secs(30);

/// A session of a user.
pub struct Client {
    stream: BufReader<DuplexStream>,
    serving: JoinHandle<()>,
    tags: u32,
}

impl Client {
    pub async fn connect(door: Arc<ImapDoor>) -> Self {
        let (client, server) = tokio::io::duplex(64 * 1024);
        let serving = tokio::spawn(async move {
            let (_keep, stopping) = watch::channel(false);
            let _ = door.serve(server, Begin::Tls, Origin::Inside, stopping).await;
        });
        let mut client = Self {
            stream: BufReader::new(client),
            serving,
            tags: 0,
        };
        client.line().await;
        client
    }

    /// Goes, and waits until the door has let go of everything.
    async fn leave(self) {
        drop(self.stream);
        self.serving.await.unwrap();
    }

    /// Logged in, with names in UTF-8.
    pub async fn of(house: &House, user: &str) -> Self {
        let mut client = Self::connect(door(house, Duration::ZERO)).await;
        client.login(user).await;
        client
    }

    pub async fn login(&mut self, user: &str) {
        let said = self.say(&format!("LOGIN {user}@ornekas \"{PASSWORD}\"")).await;
        assert!(said.contains(" OK "), "{said}");
        self.say("ENABLE UTF8=ACCEPT").await;
    }

    /// The next line; the connection must not end before it.
    pub async fn line(&mut self) -> String {
        let mut line = String::new();
        let read = timeout(PATIENCE, self.stream.read_line(&mut line)).await;
        assert!(read.unwrap().unwrap() > 0, "the connection ended");
        line.trim_end().to_owned()
    }

    pub async fn write(&mut self, text: &str) {
        self.stream.get_mut().write_all(text.as_bytes()).await.unwrap();
    }

    /// The whole answer to a command, its tag taken away.
    pub async fn say(&mut self, command: &str) -> String {
        self.tags += 1;
        let tag = format!("t{}", self.tags);
        self.write(&format!("{tag} {command}\r\n")).await;
        let mut answer = Vec::new();
        loop {
            let line = self.line().await;
            if let Some(end) = line.strip_prefix(&format!("{tag} ")) {
                answer.push(format!(" {end}"));
                return answer.join("\n");
            }
            answer.push(line);
        }
    }

    pub async fn ok(&mut self, command: &str) -> String {
        let said = self.say(command).await;
        assert!(said.contains(" OK "), "{command}: {said}");
        said
    }

    /// Whether the command is done; a NO says why not.
    pub async fn does(&mut self, command: &str) -> bool {
        let said = self.say(command).await;
        assert!(!said.contains(" BAD "), "{command}: {said}");
        said.rsplit('\n').next().unwrap().starts_with(" OK")
    }

    /// Reads until a line that is told unasked has this in it.
    pub async fn hears(&mut self, wanted: &str) -> String {
        loop {
            let line = self.line().await;
            if line.contains(wanted) {
                return line;
            }
        }
    }
}

fn admin(house: &House) -> (Changes<'_>, TenantId) {
    (
        house.mailboxes.organisations.by(crate::provider::admin()),
        house.tenant,
    )
}

#[tokio::test]
async fn lists_tell_children_and_rights_and_only_known_labels() {
    let house = House::build().await.with_passwords().await;
    let (change, tenant) = admin(&house);
    change.add_unit(tenant, "İç Piyasa", Some("Satış")).await.unwrap();
    let mut officer = Client::of(&house, "mudur").await;
    let said = officer.ok("LIST \"\" \"Birimler*\" RETURN (CHILDREN)").await;
    for line in [
        "* LIST (\\Noselect \\HasChildren) \"/\" \"Birimler\"",
        "* LIST (\\HasChildren) \"/\" \"Birimler/Satış\"",
        "* LIST (\\HasNoChildren) \"/\" \"Birimler/Satış/İç Piyasa\"",
        "* LIST (\\HasNoChildren) \"/\" \"Birimler/Mali İşler\"",
    ] {
        assert!(said.contains(line), "{line}: {said}");
    }
    let said = officer
        .ok("LIST (SPECIAL-USE) \"\" \"*\" RETURN (MYRIGHTS METADATA (/shared/comment))")
        .await;
    assert!(said.contains("* MYRIGHTS \"Taslaklar\" lrswiteda"), "{said}");
    assert!(
        said.contains("* METADATA \"Taslaklar\" (/shared/comment NIL)"),
        "{said}"
    );
    // A label is known to who labels, and to those whose units see mail by it.
    for (user, known) in [
        ("mudur", &["Acil", "Finans"][..]),
        ("onay1", &["Finans"]),
        ("ayse", &[]),
    ] {
        let mut client = Client::of(&house, user).await;
        let said = client.ok("LIST \"\" \"Etiketler/*\"").await;
        assert_eq!(said.matches("* LIST").count(), known.len(), "{user}: {said}");
        let said = client.ok("SELECT INBOX").await;
        for label in ["Acil", "Finans"] {
            let knows = known.contains(&label);
            assert_eq!(said.contains(label), knows, "{user} {label}: {said}");
            let open = client.does(&format!("STATUS Etiketler/{label} (MESSAGES)")).await;
            assert_eq!(open, knows, "{user} {label}");
        }
    }
}

#[tokio::test]
async fn subscriptions_are_each_users_own_and_last() {
    let house = House::build().await.with_passwords().await;
    let mut client = Client::of(&house, "mudur").await;
    let all = client.ok("LIST (SUBSCRIBED) \"\" \"*\"").await;
    assert!(
        all.contains("\"Deliller\"") && all.contains("\"Etiketler/Acil\""),
        "{all}"
    );
    client.ok("UNSUBSCRIBE Deliller").await;
    client.ok("UNSUBSCRIBE Deliller").await;
    client.ok("SUBSCRIBE Etiketler/Yok").await;
    client.leave().await;
    let house = house.restart();
    let mut client = Client::of(&house, "mudur").await;
    let said = client.ok("LIST (SUBSCRIBED) \"\" \"*\"").await;
    assert!(!said.contains("\"Deliller\""), "{said}");
    assert!(
        said.contains(
            "* LIST (\\NonExistent \\Noselect \\HasNoChildren \\Subscribed) \"/\" \"Etiketler/Yok\""
        ),
        "{said}"
    );
    let said = client.ok("LIST \"\" \"*\" RETURN (SUBSCRIBED)").await;
    assert!(
        said.contains("* LIST (\\HasNoChildren) \"/\" \"Deliller\""),
        "{said}"
    );
    assert!(!said.contains("Etiketler/Yok"), "{said}");
    let said = client.ok("LSUB \"\" \"*\"").await;
    assert!(
        !said.contains("\"Deliller\"") && said.contains("* LSUB (\\Noselect"),
        "{said}"
    );
    let mut other = Client::of(&house, "muavin").await;
    assert!(other.ok("LSUB \"\" Deliller").await.contains("Deliller"));
    // A name that comes to be there is subscribed as it was.
    client.ok("CREATE Etiketler/Yok").await;
    client.ok("SUBSCRIBE Deliller").await;
    let said = client.ok("LIST (SUBSCRIBED) \"\" (Deliller Etiketler/Yok)").await;
    assert!(
        !said.contains("NonExistent") && said.matches("* LIST").count() == 2,
        "{said}"
    );
    client.ok("UNSUBSCRIBE Etiketler/Yok").await;
    assert!(!client.ok("LSUB \"\" Etiketler/Yok").await.contains("* LSUB"));
}

pub async fn append(client: &mut Client, mailbox: &str) -> bool {
    let octets = String::from_utf8_lossy(MAIL);
    client
        .does(&format!("APPEND \"{mailbox}\" {{{}+}}\r\n{octets}", octets.len()))
        .await
}

pub fn letters(said: &str) -> String {
    let line = said.lines().find(|l| l.starts_with("* MYRIGHTS")).unwrap();
    line.rsplit(' ').next().unwrap().to_owned()
}

/// `(usage, limit)` of a resource.
fn resource(said: &str, name: &str) -> (u64, u64) {
    let line = said.lines().find(|l| l.starts_with("* QUOTA ")).unwrap();
    let words: Vec<&str> = line.split(['(', ')', ' ']).collect();
    let at = words.iter().position(|w| *w == name).unwrap();
    (words[at + 1].parse().unwrap(), words[at + 2].parse().unwrap())
}

#[tokio::test]
async fn a_full_account_brings_nothing_more_and_still_receives() {
    let house = House::build().await.with_passwords().await;
    let (change, tenant) = admin(&house);
    let mut client = Client::of(&house, "mudur").await;
    let said = client.ok("GETQUOTAROOT INBOX").await;
    assert!(said.contains("* QUOTAROOT \"INBOX\" ornekas"), "{said}");
    assert_eq!(resource(&said, "STORAGE"), (0, i64::MAX as u64));
    // A number that was given out and comes to the disk later than the next one is counted all the same.
    let late = house.mailboxes.items.next(tenant).unwrap();
    let big = vec![b'x'; 5000];
    house.put(&big, |_| {}).await;
    let said = client.ok("GETQUOTA ornekas").await;
    assert_eq!(
        (resource(&said, "MESSAGE").0, resource(&said, "STORAGE").0),
        (1, 5)
    );
    let blob = house.mailboxes.spool.store(&big).await.unwrap();
    let content = Content::whole(blob.id, blob.size_bytes);
    let outline = kepd::service::outline::Outline::of(&house.mailboxes.spool, &content)
        .await
        .unwrap();
    let mut batch = Batch::new();
    let item = Item::new(late, ItemKind::Incoming, start());
    items::add(&mut batch, tenant, &item, &outline.body(content)).unwrap();
    house.db().commit(batch).await.unwrap();
    for _ in 0..3 {
        let said = client.ok("GETQUOTA ornekas").await;
        assert_eq!(
            (resource(&said, "MESSAGE").0, resource(&said, "STORAGE").0),
            (2, 10)
        );
    }
    change
        .set_tenant(tenant, |t| t.storage_max_bytes = Some(10_050))
        .await
        .unwrap();
    assert!(append(&mut client, "Taslaklar").await);
    let said = client
        .say(&format!(
            "APPEND Taslaklar {{{}+}}\r\n{}",
            MAIL.len(),
            String::from_utf8_lossy(MAIL)
        ))
        .await;
    assert!(said.contains(" NO [OVERQUOTA] "), "{said}");
    // Nor is anything submitted, but what comes in is kept.
    let to = vec!["alici@hs02.kep.test".parse().unwrap()];
    let mail = b"From: ornekas@hs01.kep.test\r\nTo: alici@hs02.kep.test\r\nSubject: x\r\n\r\nbody\r\n";
    let mut receiving = house.mailboxes.submission.begin(&house.user("ayse"), to);
    receiving.write(mail).await.unwrap();
    match receiving.finish().await {
        Err(Failure::Refused(refusal)) => assert_eq!(refusal.kind, Kind::OverQuota),
        other => panic!("{other:?}"),
    }
    let (item, mail) = house.deliver(MAIL).await;
    // Evidence is not the account's.
    leave_evidence(&house, item, mail).await;
    client.leave().await;
    let house = house.restart();
    let mut client = Client::of(&house, "mudur").await;
    let said = client.ok("GETQUOTA ornekas").await;
    assert_eq!(resource(&said, "MESSAGE").0, 4);
    let said = client.ok("STATUS INBOX (MESSAGES DELETED DELETED-STORAGE)").await;
    assert!(said.contains("DELETED-STORAGE 0"), "{said}");
    // Who does not see all of the account is not told its sums.
    let mut limited = Client::of(&house, "ayse").await;
    assert!(!limited.ok("GETQUOTAROOT INBOX").await.contains("STORAGE"));
    assert!(limited.say("GETQUOTA ornekas").await.contains(" NO [NOPERM]"));
    assert!(client.say("GETQUOTA other").await.contains(" NO [NONEXISTENT]"));
    assert!(
        client
            .say("SETQUOTA ornekas (STORAGE 1)")
            .await
            .contains(" NO [NOPERM]")
    );
}

#[tokio::test]
async fn evidence_of_a_mail_is_metadata_for_who_sees_the_mail() {
    let house = House::build().await.with_passwords().await;
    let (item, mail) = house.deliver(MAIL).await;
    leave_evidence(&house, item, mail).await;
    let mut client = Client::of(&house, "mudur").await;
    let said = client
        .ok("GETMETADATA INBOX (/shared/vendor/kepd/evidence/1 /shared/vendor/kepd/evidence/2 /private/comment)")
        .await;
    let line = "DeliveryNonDeliveryToRecipient Delivery ornekas@hs01.kep.test 2026-11-04T";
    assert!(
        said.contains("/shared/vendor/kepd/evidence/1 {") && said.contains(line),
        "{said}"
    );
    assert!(
        said.contains("/shared/vendor/kepd/evidence/2 NIL") && said.contains("/private/comment NIL"),
        "{said}"
    );
    let said = client
        .ok("GETMETADATA (DEPTH 1 MAXSIZE 10) INBOX /shared/vendor/kepd/evidence")
        .await;
    assert!(said.contains(" OK [METADATA LONGENTRIES "), "{said}");
    let said = client
        .ok("GETMETADATA (DEPTH infinity) INBOX /shared/vendor")
        .await;
    assert!(said.contains("/shared/vendor/kepd/evidence/1 {"), "{said}");
    assert!(
        client
            .say("SETMETADATA INBOX (/private/comment \"x\")")
            .await
            .contains(" NO [METADATA NOPRIVATE]")
    );
    assert!(
        client
            .say("SETMETADATA \"\" (/shared/comment \"x\")")
            .await
            .contains(" NO [NOPERM]")
    );
    let said = client
        .ok("GETMETADATA \"\" (/shared/admin /shared/comment /shared/vendor/kepd/version)")
        .await;
    assert!(
        said.contains("/shared/admin NIL") && said.contains("of hs01.kep.test"),
        "{said}"
    );
    // She does not see the mail, so there is nothing to tell her.
    let mut stranger = Client::of(&house, "ayse").await;
    let said = stranger
        .ok("GETMETADATA INBOX /shared/vendor/kepd/evidence/1")
        .await;
    assert!(said.contains("evidence/1 NIL"), "{said}");
    let with_contact = ImapDoor {
        recents: Default::default(),
        mailboxes: house.mailboxes.clone(),
        accounts: house.accounts.clone(),
        decoy_secret: b"x".to_vec(),
        greeting: "x".into(),
        login_failure_delay: Duration::ZERO,
        settings: DoorSettings {
            contact: Some("mailto:destek@hs01.kep.test".into()),
            compress: false,
        },
    };
    let mut client = Client::connect(Arc::new(with_contact)).await;
    client.login("mudur").await;
    let said = client.ok("GETMETADATA (DEPTH infinity) \"\" /shared").await;
    assert!(
        said.contains("/shared/admin \"mailto:destek@hs01.kep.test\""),
        "{said}"
    );
}

/// An evidence document with its message, as the notary files both.
async fn leave_evidence(house: &House, about: ItemId, mail: MailId) -> ItemId {
    let blob = house.mailboxes.spool.store(b"<x/>").await.unwrap();
    let row = EvidenceRow {
        id: EvidenceId::fresh(&SystemIds),
        identifier: "x".into(),
        kind: EvidenceKind::DeliveryNonDeliveryToRecipient,
        event: Event::Delivery,
        event_time: start(),
        recipient: Some("ornekas@hs01.kep.test".into()),
        issuer: "hs01.kep.test".parse().unwrap(),
        xml: blob,
    };
    let mut batch = Batch::new();
    evidence::add(&mut batch, house.tenant, mail, &row, row.event_time).unwrap();
    house.db().commit(batch).await.unwrap();
    house
        .put(MAIL, |item| {
            item.kind = ItemKind::Evidence;
            item.about = Some(about);
            item.mail = Some(mail);
        })
        .await
}

#[tokio::test]
async fn notify_tells_what_happens_elsewhere() {
    let house = House::build().await.with_passwords().await;
    let (item, mail) = house.deliver(MAIL).await;
    let mut other = Client::of(&house, "mudur").await;
    let mut client = Client::of(&house, "mudur").await;
    // IMAP4rev2 has no \Recent: what is told does not depend on who was told first.
    client.ok("ENABLE IMAP4rev2").await;
    client.ok("SELECT INBOX").await;
    let said = client
        .ok("NOTIFY SET STATUS (selected (MessageNew (UID BODY.PEEK[HEADER.FIELDS (Subject)]) MessageExpunge FlagChange)) \
             (mailboxes (\"Tüm Postalar\" INBOX Etiketler/Acil Etiketler) (MessageNew MessageExpunge MailboxMetadataChange)) \
             (personal (MailboxName SubscriptionChange))")
        .await;
    assert!(
        said.contains("* STATUS \"Tüm Postalar\" (MESSAGES 1 UIDNEXT 2 UIDVALIDITY "),
        "{said}"
    );
    assert!(
        said.contains("* STATUS \"Etiketler/Acil\" (MESSAGES 0 "),
        "{said}"
    );
    assert!(
        said.contains("* LIST (\\NoAccess) \"/\" \"Etiketler\"") && !said.contains("STATUS \"INBOX\""),
        "{said}"
    );
    // A mail that comes in: in the selected mailbox with its attributes, in the other as STATUS.
    house.deliver(MAIL).await;
    assert_eq!(client.line().await, "* 2 EXISTS");
    client
        .hears("* STATUS \"Tüm Postalar\" (MESSAGES 2 UIDNEXT 3")
        .await;
    assert_eq!(
        client.line().await,
        "* 2 FETCH (UID 2 BODY[HEADER.FIELDS (Subject)] {14}"
    );
    client.hears(")").await;
    // Flags, and a mail that goes, without a command.
    other.ok("SELECT INBOX").await;
    other.ok("STORE 1 +FLAGS (\\Answered)").await;
    client.hears("* 1 FETCH (UID 1 FLAGS (\\Answered))").await;
    other.ok("COPY 2 Etiketler/Acil").await;
    client
        .hears("* STATUS \"Etiketler/Acil\" (MESSAGES 1 UIDNEXT 2")
        .await;
    other.ok("MOVE 2 \"Arşiv\"").await;
    client.hears("* 2 EXPUNGE").await;
    // Names and subscriptions.
    other.ok("CREATE Etiketler/Yeni").await;
    assert_eq!(
        client.hears("Yeni").await,
        "* LIST (\\HasNoChildren \\Subscribed) \"/\" \"Etiketler/Yeni\""
    );
    other.ok("RENAME Etiketler/Acil Etiketler/Ivedi").await;
    let line = client.hears("Ivedi").await;
    assert_eq!(
        line,
        "* LIST (\\HasNoChildren \\Subscribed) \"/\" \"Etiketler/Ivedi\" (\"OLDNAME\" (\"Etiketler/Acil\"))"
    );
    other.ok("UNSUBSCRIBE Etiketler/Yeni").await;
    client
        .hears("* LIST (\\HasNoChildren) \"/\" \"Etiketler/Yeni\"")
        .await;
    other.ok("DELETE Etiketler/Yeni").await;
    client
        .hears("* LIST (\\NonExistent \\Noselect) \"/\" \"Etiketler/Yeni\"")
        .await;
    // New evidence of a mail is a change of what is noted of it; INBOX itself is watched beside being selected.
    leave_evidence(&house, item, mail).await;
    client
        .hears("* METADATA \"INBOX\" /shared/vendor/kepd/evidence/1")
        .await;
    // Nothing any more.
    client.ok("NOTIFY NONE").await;
    client.write("x IDLE\r\n").await;
    client.hears("+ idling").await;
    house.deliver(MAIL).await;
    client.write("DONE\r\n").await;
    let first = client.line().await;
    assert!(first.contains("EXISTS") || first.starts_with("x OK"), "{first}");
}

#[tokio::test]
async fn too_much_to_watch_is_refused() {
    let house = House::build().await.with_passwords().await;
    let (change, tenant) = admin(&house);
    for n in 0..260 {
        change.add_label(tenant, &format!("Etiket {n}")).await.unwrap();
    }
    let mut client = Client::of(&house, "mudur").await;
    let said = client
        .say("NOTIFY SET (personal (MessageNew MessageExpunge))")
        .await;
    assert!(said.contains(" NO [NOTIFICATIONOVERFLOW] "), "{said}");
    client
        .ok("NOTIFY SET (inboxes (MessageNew MessageExpunge)) (personal (MailboxName))")
        .await;
    house.deliver(MAIL).await;
    client.hears("* STATUS \"INBOX\" (MESSAGES 1").await;
}

#[tokio::test]
async fn who_was_here_is_forgotten() {
    let house = House::build().await.with_passwords().await;
    let mut client = Client::of(&house, "mudur").await;
    client.ok("SELECT INBOX").await;
    assert!(letters(&client.ok("MYRIGHTS INBOX").await).contains('a'));
    client
        .ok("NOTIFY SET (selected (MessageNew MessageExpunge)) (inboxes (MessageNew MessageExpunge))")
        .await;
    let said = client.ok("UNAUTHENTICATE").await;
    assert!(said.contains("AUTH=SCRAM-SHA-256"), "{said}");
    // The mail of the one who was here is not told to the next.
    house.deliver(MAIL).await;
    assert!(client.say("MYRIGHTS INBOX").await.contains(" BAD log in first"));
    client.login("ayse").await;
    let said = client.ok("SELECT INBOX").await;
    assert!(said.contains("* 0 EXISTS"), "{said}");
    assert!(!letters(&client.ok("MYRIGHTS INBOX").await).contains('a'));
}

#[tokio::test]
async fn who_logs_in_after_another_hears_of_his_own_mail() {
    let mut house = House::build().await.with_passwords().await;
    let mut client = Client::of(&house, "mudur").await;
    client.ok("SELECT INBOX").await;
    let organisations = &house.mailboxes.organisations;
    let neighbour = found(organisations, "komsu").await;
    let officer = organisations
        .of(neighbour)
        .unwrap()
        .user_by_name("mudur")
        .unwrap()
        .id;
    let password = Secret::new(PASSWORD.to_owned());
    let set = house
        .accounts
        .set_password(crate::provider::admin(), neighbour, officer, password);
    set.await.unwrap();
    house.tenant = neighbour;
    // In one go: nobody is logged in at no moment at which the connection waits.
    let said =
        format!("u UNAUTHENTICATE\r\nl LOGIN mudur@komsu \"{PASSWORD}\"\r\ns SELECT INBOX\r\ni IDLE\r\n");
    client.write(&said).await;
    client.hears("+ idling").await;
    house.deliver(MAIL).await;
    client.hears("* 1 EXISTS").await;
}

#[tokio::test]
async fn a_compressed_session_goes_on_compressed() {
    let house = House::build().await.with_passwords().await;
    let mut plain = Client::of(&house, "mudur").await;
    assert!(plain.say("COMPRESS DEFLATE").await.contains(" BAD "));
    let door = ImapDoor {
        recents: Default::default(),
        mailboxes: house.mailboxes.clone(),
        accounts: house.accounts.clone(),
        decoy_secret: b"x".to_vec(),
        greeting: "x".into(),
        login_failure_delay: Duration::ZERO,
        settings: DoorSettings {
            contact: None,
            compress: true,
        },
    };
    let mut client = Client::connect(Arc::new(door)).await;
    client.login("mudur").await;
    assert!(client.ok("CAPABILITY").await.contains("COMPRESS=DEFLATE"));
    client.ok("COMPRESS DEFLATE").await;
    let mut deflate = Compress::new(Compression::default(), false);
    let mut inflate = Decompress::new(false);
    let mut stream = client.stream.into_inner();
    for (command, end) in [
        ("a CAPABILITY\r\n", "a OK"),
        ("b LIST \"\" \"*\"\r\nc SELECT INBOX\r\n", "c OK"),
        ("d COMPRESS DEFLATE\r\n", "d NO [COMPRESSIONACTIVE]"),
        ("e LOGOUT\r\n", "e OK"),
    ] {
        let mut octets = Vec::with_capacity(1000);
        deflate
            .compress_vec(command.as_bytes(), &mut octets, FlushCompress::Sync)
            .unwrap();
        stream.write_all(&octets).await.unwrap();
        let mut said = Vec::with_capacity(100_000);
        while !String::from_utf8_lossy(&said).contains(end) {
            let mut came = [0; 4096];
            let read = timeout(PATIENCE, stream.read(&mut came)).await.unwrap().unwrap();
            assert!(read > 0, "{}", String::from_utf8_lossy(&said));
            inflate
                .decompress_vec(&came[..read], &mut said, FlushDecompress::None)
                .unwrap();
        }
        assert!(!String::from_utf8_lossy(&said).contains("COMPRESS=DEFLATE"));
    }
}
