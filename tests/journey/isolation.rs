//! Two tenants with equal names and equal numbers: nothing that one does or says reaches the other. By structure: each key
//! that is written while one acts is his own or the provider's. And by trying: every word of `kepctl` and of IMAP.

use super::administering::{Typed, control, say};
use super::auditing::without_records;
use super::canary::{Client, door};
use super::mailbox_house::{House, PASSWORD, found};
use super::provider::{Provider, START, Wires, admin};
use clap::CommandFactory as _;
use kepd::clock::ManualClock;
use kepd::control::ControlDoor;
use kepd::domain::audit::Origin;
use kepd::domain::item::ItemKind;
use kepd::domain::org::UserKind;
use kepd::domain::rule::{Comparison, Condition, Direction, Field};
use kepd::domain::tenant::TenantKind;
use kepd::id::{ItemId, JobId, MailId, TenantId};
use kepd::sasl::Secret;
use kepd::service::account::Principal;
use kepd::service::approval::JobList;
use kepd::service::organisation::{NewStep, RuleWish};
use kepd::service::submission::Accepted;
use kepd::store::db::Db;
use kepd::store::tables::{audit, evidence, items, jobs, mails, org};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What stands only with the neighbour: in his names, his subjects, his texts.
const SECRET: &str = "komsugizli";

type Rows = BTreeMap<Vec<u8>, Vec<u8>>;

fn rows(db: &dyn Db) -> Rows {
    db.range(&[0], &[0xff], 1_000_000).unwrap().into_iter().collect()
}

fn of_tenant(rows: &Rows, tenant: TenantId) -> Rows {
    let prefix = [b"t".as_slice(), &tenant.0.to_be_bytes()].concat();
    let own = rows.iter().filter(|(key, _)| key.starts_with(&prefix));
    own.map(|(key, row)| (key.clone(), row.clone())).collect()
}

/// The tags of the provider's keys, as they are documented.
fn provider_tags() -> BTreeSet<Vec<u8>> {
    let text = include_str!("../../docs/storage.md");
    let table = text
        .split("\nProvider:\n")
        .nth(1)
        .unwrap()
        .split("\nTenant:\n")
        .next()
        .unwrap();
    let rows = table.lines().filter_map(|line| line.strip_prefix("| `"));
    rows.map(|row| row.as_bytes()[..2].to_vec()).collect()
}

/// `ornekas` and `komsu` on one provider: the same institution twice, and with the neighbour some names of his own.
struct Street {
    _dir: tempfile::TempDir,
    provider: Provider,
    ours: TenantId,
    theirs: TenantId,
}

async fn institution(provider: &Provider, name: &str) -> TenantId {
    let tenant = provider.add_tenant(name, TenantKind::Tuzel).await;
    let change = provider.organisations.by(admin());
    change.add_unit(tenant, "Satış", None).await.unwrap();
    change.add_label(tenant, "Finans").await.unwrap();
    let all = kepd::domain::org::Permission::ALL.into_iter().collect();
    change.add_role(tenant, "Onay Rolü", "", all).await.unwrap();
    provider
        .add_user(tenant, "mudur", UserKind::Officer, &[], &[])
        .await;
    provider
        .add_user(tenant, "ayse", UserKind::Limited, &["Satış"], &["Onay Rolü"])
        .await;
    provider
        .add_user(tenant, "onay1", UserKind::Limited, &["Satış"], &["Onay Rolü"])
        .await;
    change
        .add_rule(tenant, "Teklif", Direction::Outgoing, &rule_of("Onay Rolü"))
        .await
        .unwrap();
    tenant
}

fn rule_of(role: &str) -> RuleWish {
    RuleWish {
        conditions: Some(vec![Condition {
            field: Field::Subject,
            comparison: Comparison::Contains,
            text: "Teklif".into(),
        }]),
        steps: Some(vec![NewStep::of(role, 1)]),
        ..RuleWish::default()
    }
}

fn mail(tenant: &str, subject: &str) -> String {
    format!(
        "From: {tenant}@hs01.kep.test\r\nTo: {tenant}@hs01.kep.test\r\nSubject: {subject}\r\n\
         Message-ID: <one@hs01.kep.test>\r\n\r\n{subject}\r\n"
    )
}

impl Street {
    async fn build() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::at(START));
        let provider = Provider::open("hs01.kep.test", dir.path(), &clock, &Wires::default());
        let ours = institution(&provider, "ornekas").await;
        let theirs = institution(&provider, "komsu").await;
        let change = provider.organisations.by(admin());
        change
            .add_unit(theirs, &format!("{SECRET}birim"), None)
            .await
            .unwrap();
        change
            .add_label(theirs, &format!("{SECRET}etiket"))
            .await
            .unwrap();
        let approve = BTreeSet::from([kepd::domain::org::Permission::Approve]);
        let role = format!("{SECRET}rol");
        change.add_role(theirs, &role, "", approve).await.unwrap();
        change
            .add_rule(
                theirs,
                &format!("{SECRET}kural"),
                Direction::Outgoing,
                &rule_of(&role),
            )
            .await
            .unwrap();
        provider
            .add_user(theirs, &format!("{SECRET}user"), UserKind::Limited, &[], &[&role])
            .await;
        Self {
            _dir: dir,
            provider,
            ours,
            theirs,
        }
    }

    /// Hands a mail in at both, which waits there; gives the job and mail of a tenant.
    async fn hand_in(&self, tenant: &str, subject: &str) -> (JobId, MailId) {
        let to = format!("{tenant}@hs01.kep.test");
        let accepted = self
            .provider
            .submit(&format!("ayse@{tenant}"), &[&to], &mail(tenant, subject))
            .await;
        match accepted.unwrap() {
            Accepted::Job { job, mail, .. } => (job, mail),
            other => panic!("{other:?}"),
        }
    }
}

/// Says a line of words to the door; `None` when they are not words. What was typed is taken out of the answer.
async fn obey(door: &ControlDoor, words: &[String]) -> Option<String> {
    let reply = say(door, words).await?;
    let mut text = serde_json::to_string(&reply).unwrap();
    let pieces = words
        .iter()
        .flat_map(|word| word.split(':').chain([word.as_str()]));
    for typed in pieces.filter(|piece| piece.contains(SECRET)) {
        text = text.replace(typed, "");
    }
    Some(text)
}

#[tokio::test]
async fn what_one_tenant_does_is_written_under_his_own_keys() {
    let street = Street::build().await;
    let p = &street.provider;
    street.hand_in("komsu", "Teklif").await;
    p.work().await;
    let before = rows(&*p.db);
    let (job, _) = street.hand_in("ornekas", "Teklif").await;
    let door = control(&street.provider);
    for line in [
        "unit|add|ornekas|Depo",
        "unit|move|ornekas|Depo|--under|Satış",
        "unit|label|ornekas|Depo|Finans",
        "unit|merge|ornekas|Depo|Satış",
        "label|add|ornekas|Acil",
        "label|rename|ornekas|Acil|Ivedi",
        "role|add|ornekas|Okur|--permit|view",
        "role|grant|ornekas|Okur|compose",
        "user|add|veli@ornekas|--role|Okur",
        "user|remove|veli@ornekas",
        "rule|set|ornekas|Teklif|--total|4",
        "tenant|set|ornekas|--title|Yeni|--credit|prepaid|--credit-warn-below|9",
        "credit|add|ornekas|5",
    ] {
        let words: Vec<String> = line.split('|').map(str::to_owned).collect();
        let said = obey(&door, &words).await.unwrap();
        assert!(!said.to_ascii_lowercase().contains("refused"), "{line}: {said}");
    }
    for (act, by) in [("approve", "onay1@ornekas"), ("release", "mudur@ornekas")] {
        let words = ["job", act, &job.to_string(), "--as", by].map(str::to_owned);
        obey(&door, &words).await.unwrap();
    }
    // Sealed, delivered to himself, with all its evidence.
    assert!(p.work().await > 3);
    let (after, tags) = (rows(&*p.db), provider_tags());
    assert!(tags.len() > 10);
    let own = [b"t".as_slice(), &street.ours.0.to_be_bytes()].concat();
    let mut written = 0;
    for (key, row) in &after {
        if before.get(key) == Some(row) {
            continue;
        }
        written += 1;
        let provider = key.first() == Some(&b'g') && tags.contains(&key[1..3]);
        // The store's own: the number of the last commit.
        let counter = key.as_slice() == b"\0seq";
        assert!(
            key.starts_with(&own) || provider || counter,
            "{:?}",
            String::from_utf8_lossy(key)
        );
    }
    assert!(written > 50, "{written}");
    assert_eq!(
        of_tenant(&after, street.theirs),
        of_tenant(&before, street.theirs)
    );
    let delivered = |tenant: &str| {
        p.items(tenant)
            .iter()
            .filter(|i| i.kind == ItemKind::Incoming)
            .count()
    };
    assert_eq!((delivered("ornekas"), delivered("komsu")), (1, 0));
}

#[tokio::test]
async fn what_is_the_neighbours_cannot_be_named_in_the_store() {
    let street = Street::build().await;
    let p = &street.provider;
    let (our_job, our_mail) = street.hand_in("ornekas", "Teklif").await;
    let (their_job, their_mail) = street.hand_in("komsu", "Teklif").await;
    // The same Message-ID is each one's own.
    assert_ne!((our_job, our_mail), (their_job, their_mail));
    let (db, ours, theirs) = (&*p.db, street.ours, street.theirs);
    let known = |tenant, name: &str| {
        let author = p.principal(&format!("ayse@{name}")).user;
        mails::known(db, tenant, author, "<one@hs01.kep.test>")
            .unwrap()
            .unwrap()
            .row
            .mail
    };
    assert_eq!(
        (known(ours, "ornekas"), known(theirs, "komsu")),
        (Some(our_mail), Some(their_mail))
    );
    // The same numbers are different things.
    let mail_of = |tenant| items::item(db, tenant, ItemId(1)).unwrap().unwrap().row.mail;
    assert_eq!(
        (mail_of(ours), mail_of(theirs)),
        (Some(our_mail), Some(their_mail))
    );
    assert!(jobs::job(db, ours, their_job).unwrap().is_none());
    assert!(jobs::history(db, ours, their_job).unwrap().is_empty());
    assert!(jobs::entry(db, ours, their_job, 0).unwrap().is_none());
    assert!(!jobs::open(db, ours).unwrap().contains(&their_job));
    assert!(jobs::all(db, ours).unwrap().iter().all(|j| j.row.id != their_job));
    assert!(mails::mail(db, ours, their_mail).unwrap().is_none());
    assert!(
        mails::all(db, ours)
            .unwrap()
            .iter()
            .all(|m| m.row.id != their_mail)
    );
    assert!(mails::consignment(db, ours, their_mail).unwrap().is_none());
    assert!(mails::dispatches(db, ours, their_mail).unwrap().is_empty());
    assert!(evidence::of_mail(db, ours, their_mail).unwrap().is_empty());
    assert!(
        audit::about(db, ours, kepd::domain::audit::Matter::Job(their_job), 10)
            .unwrap()
            .is_empty()
    );
    let loaded = format!("{:?}", org::load(db, ours).unwrap().unwrap());
    assert!(!loaded.contains(SECRET) && !loaded.contains("komsu"), "{loaded}");
    // Passwords are each one's own, whatever the names.
    let by = p.principal("mudur@komsu");
    let password = Secret::new("bambaska bir parola".into());
    p.accounts
        .set_password(crate::provider::admin(), by.tenant, by.user, password)
        .await
        .unwrap();
    let stranger = (format!("{SECRET}user@ornekas"), format!("{SECRET}user-parola"));
    for (login, password) in [
        ("mudur@ornekas", "bambaska bir parola"),
        ("mudur@komsu", "mudur-parola"),
        (&stranger.0, &stranger.1),
    ] {
        assert!(logged_in(p, login, password).await.is_none(), "{login}");
    }
    assert_eq!(
        logged_in(p, "mudur@ornekas", "mudur-parola")
            .await
            .unwrap()
            .tenant,
        ours
    );
}

async fn logged_in(p: &Provider, login: &str, password: &str) -> Option<Principal> {
    let login = login.parse().unwrap();
    p.accounts
        .check_password(&login, Secret::new(password.into()))
        .await
        .unwrap()
}

/// What is typed for an argument: ours where it says whose, the neighbour's where it names something.
fn value(path: &str, argument: &str, theirs: (JobId, MailId)) -> Vec<String> {
    let secret = |what: &str| format!("{SECRET}{what}");
    let one = |text: &str| vec![text.to_owned()];
    // What is ours to choose is our own: only what is sought is the neighbour's.
    let chosen = argument == "name" && (path.ends_with(" add") || path.ends_with(" set"));
    match argument {
        "name" if chosen && !path.starts_with("rule set") => one("Yepyeni"),
        "name" if path == "unit rename" => one("Yepyeni"),
        "new" | "title" | "note" | "description" | "subject" | "from" | "when" => one("subject is Yeni"),
        "rename" | "activity" | "tax_office" | "postal_address" => one("Yeni"),
        "since" | "before" | "until" => one("2026-12-01"),
        "mailbox" => one(&format!("Etiketler/{SECRET}etiket")),
        "items" => vec![theirs.1.to_string(), "1".to_owned()],
        "deputy" | "drop_deputy" => vec![secret("user"), secret("user@komsu")],
        "to" if path.starts_with("rule") => one("Yeni"),
        "tenant" => one("ornekas"),
        "name" if path.starts_with("tenant") => one("ornekas"),
        "login" => one("ayse@ornekas"),
        "job" => vec![theirs.0.to_string()],
        "mail" => vec![theirs.1.to_string()],
        "to" => vec![
            secret("user@komsu"),
            format!("user:{SECRET}user"),
            format!("role:{SECRET}rol"),
        ],
        "steps" => vec![
            format!("{SECRET}rol:1"),
            format!("unit:{SECRET}birim:1"),
            format!("user:{SECRET}user:1"),
        ],
        "subjects" => vec![format!("unit:{SECRET}birim"), format!("user:{SECRET}user")],
        "permissions" | "permit" => one("view"),
        "out" | "pdf" | "password_file" => one("/dev/null/x"),
        "limit" => one("50"),
        "labels" | "label" => one(&secret("etiket")),
        "role" | "roles" => one(&secret("rol")),
        "rule" => one(&secret("kural")),
        "user" => one(&secret("user")),
        "add" | "drop" if path.ends_with("role") => one(&secret("rol")),
        "name" => one(&secret(match path.split(' ').next() {
            Some("role") => "rol",
            Some("label") => "etiket",
            Some("rule") => "kural",
            _ => "birim",
        })),
        _ => one(&secret("birim")),
    }
}

/// All lines of one word: each argument by each of its values, and each option by itself.
fn lines(path: &[String], command: &clap::Command, theirs: (JobId, MailId)) -> Vec<Vec<String>> {
    let name = path.join(" ");
    let with_option = |argument: &clap::Arg, text: &str| -> Vec<String> {
        match argument.get_long() {
            Some(long) => vec![format!("--{long}"), text.to_owned()],
            None => vec![text.to_owned()],
        }
    };
    let arguments: Vec<&clap::Arg> = command.get_arguments().filter(|a| a.get_id() != "help").collect();
    let mut all = vec![path.to_vec()];
    for argument in arguments
        .iter()
        .filter(|a| a.is_required_set() || a.is_positional())
    {
        let values = value(&name, argument.get_id().as_str(), theirs);
        let each = |line: &Vec<String>| {
            let line = line.clone();
            let with = |text: &String| [line.clone(), with_option(argument, text)].concat();
            values.iter().map(with).collect::<Vec<_>>()
        };
        all = all.iter().flat_map(each).collect();
    }
    let options = arguments
        .iter()
        .filter(|a| !a.is_required_set() && !a.is_positional());
    let mut more = Vec::new();
    for option in options {
        for text in value(&name, option.get_id().as_str(), theirs) {
            more.extend(
                all.iter()
                    .map(|line| [line.clone(), with_option(option, &text)].concat()),
            );
        }
    }
    all.extend(more);
    all
}

/// The words at the end of all branches.
fn leaves(path: Vec<String>, command: &clap::Command, all: &mut Vec<(Vec<String>, clap::Command)>) {
    let mut below = command
        .get_subcommands()
        .filter(|c| c.get_name() != "help")
        .peekable();
    if below.peek().is_none() {
        all.push((path, command.clone()));
        return;
    }
    for sub in below {
        let mut path = path.clone();
        path.push(sub.get_name().to_owned());
        leaves(path, sub, all);
    }
}

#[tokio::test]
async fn no_word_of_kepctl_reaches_the_neighbour() {
    let street = Street::build().await;
    let door = control(&street.provider);
    street.hand_in("ornekas", "Teklif").await;
    let theirs = street.hand_in("komsu", &format!("Teklif {SECRET}konu")).await;
    let before = rows(&*street.provider.db);
    let mut neighbour = of_tenant(&before, street.theirs);
    let mut all = Vec::new();
    leaves(Vec::new(), &Typed::command(), &mut all);
    assert!(all.len() > 60, "{}", all.len());
    // The administrator of the provider names a job or a mail by its number alone, whosever it is.
    let provider_wide = BTreeSet::from(["job show", "mail show"].map(str::to_owned));
    for (by, known) in [
        (&[][..], provider_wide),
        (&["--as", "mudur@ornekas"][..], BTreeSet::new()),
    ] {
        let (mut told, mut said) = (BTreeSet::new(), 0);
        for (path, command) in &all {
            let name = path.join(" ");
            for mut line in lines(path, command, theirs) {
                line.extend(by.iter().map(|word| (*word).to_owned()));
                let Some(answer) = obey(&door, &line).await else {
                    continue;
                };
                said += 1;
                if answer.contains(SECRET) {
                    told.insert(name.clone());
                }
            }
        }
        assert!(said > 150, "{said}");
        assert_eq!(told, known);
        // That the provider looked is on the record of whom he looked at; by a user nothing is changed.
        let then = of_tenant(&rows(&*street.provider.db), street.theirs);
        assert_eq!(without_records(&then), without_records(&neighbour));
        assert!(by.is_empty() || then == neighbour);
        neighbour = then;
    }
    let after = rows(&*street.provider.db);
    assert_ne!(
        of_tenant(&after, street.ours),
        of_tenant(&before, street.ours),
        "nothing was done at all"
    );
}

#[tokio::test]
async fn a_user_of_another_tenant_decides_nothing() {
    let street = Street::build().await;
    let (door, p) = (control(&street.provider), &street.provider);
    let (job, _) = street.hand_in("ornekas", "Teklif").await;
    let before = rows(&*p.db);
    let acts = [
        "approve", "reject", "return", "release", "withdraw", "cancel", "undo", "note",
    ];
    for by in ["mudur@komsu", "ayse@komsu", "onay1@komsu"] {
        for act in acts {
            let words = ["job", act, &job.to_string(), "--as", by, "--note", "x"].map(str::to_owned);
            let said = obey(&door, &words).await.unwrap();
            assert!(
                said.to_ascii_lowercase().contains("refused") && said.contains("there is no job"),
                "{act} {by}: {said}"
            );
        }
        let words = ["job", "list", "ornekas", "all", "--as", by].map(str::to_owned);
        assert!(
            obey(&door, &words)
                .await
                .unwrap()
                .to_ascii_lowercase()
                .contains("refused"),
            "{by}"
        );
        assert!(p.approval.show(&p.principal(by), job).is_err());
    }
    for to in ["onay1@komsu", "onay1@ornekas"] {
        let words = [
            "job",
            "delegate",
            &job.to_string(),
            "--as",
            "onay1@komsu",
            "--to",
            to,
        ]
        .map(str::to_owned);
        assert!(
            obey(&door, &words)
                .await
                .unwrap()
                .to_ascii_lowercase()
                .contains("refused")
        );
    }
    assert_eq!(rows(&*p.db), before);
    assert_eq!(p.approval.list(street.theirs, None, JobList::All).unwrap(), []);
}

/// A user of the second tenant of a house.
fn neighbour(house: &House, tenant: TenantId, name: &str) -> Principal {
    let org = house.mailboxes.organisations.of(tenant).unwrap();
    Principal {
        tenant,
        user: org.user_by_name(name).unwrap().id,
        login: format!("{name}@komsu").parse().unwrap(),
        from: Origin::Inside,
    }
}

#[tokio::test]
async fn no_word_of_imap_reaches_the_neighbour() {
    let mut house = House::build().await.with_passwords().await;
    let ours = house.tenant;
    let organisations = house.mailboxes.organisations.clone();
    let theirs = found(&organisations, "komsu").await;
    let change = organisations.by(admin());
    change
        .add_unit(theirs, &format!("{SECRET}birim"), None)
        .await
        .unwrap();
    change
        .add_label(theirs, &format!("{SECRET}etiket"))
        .await
        .unwrap();
    house
        .put(b"From: a@hs02.kep.test\r\nSubject: ours\r\n\r\nours\r\n", |_| {})
        .await;
    // The neighbour's mail has the numbers of ours and more, and hangs on his units and labels.
    house.tenant = theirs;
    let text = format!(
        "From: {SECRET} <a@hs02.kep.test>\r\nSubject: {SECRET}\r\nMessage-ID: <{SECRET}@hs02.kep.test>\r\n\r\n{SECRET}\r\n"
    );
    for n in 0..5 {
        let author = neighbour(&house, theirs, "mudur").user;
        house
            .put(text.as_bytes(), |item| {
                item.kind = [
                    ItemKind::Incoming,
                    ItemKind::Outgoing,
                    ItemKind::Draft,
                    ItemKind::Evidence,
                    ItemKind::Notice,
                ][n];
                item.author = Some(author);
            })
            .await;
    }
    house.tenant = ours;
    let before = of_tenant(&rows(house.db()), theirs);
    let door = door(&house);
    let secret = |what: &str| format!("{SECRET}{what}");
    for login in ["mudur@ornekas", "onay1@ornekas"] {
        let mut client = Client::log_in(&door, login).await;
        let named = [
            format!("Birimler/{}", secret("birim")),
            format!("Etiketler/{}", secret("etiket")),
            "INBOX".to_owned(),
            "Tüm Postalar".to_owned(),
            "Giden Kutusu".to_owned(),
            "Deliller".to_owned(),
            "Çöp Kutusu".to_owned(),
        ];
        let mut heard = client
            .say("LIST \"\" \"*\" RETURN (STATUS (MESSAGES UNSEEN SIZE))")
            .await;
        for name in &named {
            for command in [
                format!("SELECT \"{name}\""),
                format!("STATUS \"{name}\" (MESSAGES UNSEEN)"),
                "UID FETCH 1:4294967295 (FLAGS ENVELOPE BODY.PEEK[])".to_owned(),
                "FETCH 1:* BODY[]".to_owned(),
                "UID SEARCH RETURN (COUNT ALL) ALL".to_owned(),
                format!("UID SEARCH TEXT {SECRET}"),
                format!("UID COPY 1:* \"Etiketler/{}\"", secret("etiket")),
                format!("UID STORE 1:* +FLAGS ({})", secret("etiket")),
                format!("APPEND \"{name}\" {{{}+}}\r\n{text}", text.len()),
                format!("RENAME \"Etiketler/{}\" \"Etiketler/Baska\"", secret("etiket")),
                format!("DELETE \"Etiketler/{}\"", secret("etiket")),
                "UID MOVE 2:5 \"Çöp Kutusu\"".to_owned(),
                "NOOP".to_owned(),
            ] {
                let said = client.say(&command).await;
                // A keyword of his own, and what he brings himself, he may hear again; the rest would be the neighbour's.
                heard += &said.replace(&secret("etiket"), "").replace(name.as_str(), "");
            }
        }
        assert!(!heard.contains(SECRET), "{login}: {heard}");
    }
    assert_eq!(of_tenant(&rows(house.db()), theirs), before);
    let mut client = Client::log_in(&door, "mudur@ornekas").await;
    let refused = client.say(&format!("LOGIN \"mudur@komsu\" \"{PASSWORD}\"")).await;
    assert!(!refused.contains(" OK "), "{refused}");
}
