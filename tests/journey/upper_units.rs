//! The upper unit sees the mail of those below it, and what GETACL, LISTRIGHTS and MYRIGHTS say agrees with what each user
//! sees through the door (RFC 4314), also after the tree has changed.

use super::folders::{Client, letters};
use super::mailbox_house::{House, PASSWORD};
use super::provider::admin;
use kepd::domain::org::{Permission, UserKind};
use kepd::id::ItemId;
use kepd::sasl::Secret;
use kepd::service::organisation::NewUser;
use std::collections::{BTreeMap, BTreeSet};

const USERS: [&str; 6] = ["mudur", "muavin", "gm", "ayse", "cem", "onay1"];

/// `Genel Müdürlük` (gm) over `Satış` (ayse) over `İç Piyasa` (cem); `Mali İşler` (onay1) beside them. One mail for each
/// unit, by a label of its own, and one that was routed to `İç Piyasa`.
async fn house() -> (House, BTreeMap<&'static str, ItemId>) {
    let house = House::build().await.with_passwords().await;
    let (org, tenant) = (&house.mailboxes.organisations, house.tenant);
    let change = org.by(admin());
    change.add_unit(tenant, "Genel Müdürlük", None).await.unwrap();
    change
        .move_unit(tenant, "Satış", Some("Genel Müdürlük"))
        .await
        .unwrap();
    change
        .add_unit(tenant, "İç Piyasa", Some("Genel Müdürlük/Satış"))
        .await
        .unwrap();
    let reads = BTreeSet::from([Permission::View]);
    change.add_role(tenant, "Okur", "", reads).await.unwrap();
    for (name, unit) in [
        ("gm", "Genel Müdürlük"),
        ("cem", "Genel Müdürlük/Satış/İç Piyasa"),
    ] {
        let new = NewUser {
            name: name.into(),
            display_name: name.into(),
            kind: UserKind::Limited,
            units: vec![unit.into()],
            roles: vec!["Okur".into()],
        };
        let user = change.add_user(tenant, &new).await.unwrap();
        let password = Secret::new(PASSWORD.to_owned());
        let set = house.accounts.set_password(admin(), tenant, user.id, password);
        set.await.unwrap();
    }
    let mut mails = BTreeMap::new();
    for (unit, label) in [
        ("Genel Müdürlük", "Yönetim"),
        ("Genel Müdürlük/Satış", "Acil"),
        ("Genel Müdürlük/Satış/İç Piyasa", "Piyasa"),
        ("Mali İşler", "Finans"),
    ] {
        if !["Acil", "Finans"].contains(&label) {
            change.add_label(tenant, label).await.unwrap();
        }
        change
            .label_unit(tenant, unit, &[label.into()], true)
            .await
            .unwrap();
        let id = org.of(tenant).unwrap().label_by_name(label).unwrap().id;
        let text = format!("From: a@hs02.kep.test\r\nSubject: {label}\r\n\r\n{label}\r\n");
        let put = house.put(text.as_bytes(), |item| item.labels.extend([id]));
        mails.insert(label, put.await);
    }
    let inner = org.of(tenant).unwrap();
    let inner = inner.unit_by_path("Genel Müdürlük/Satış/İç Piyasa").unwrap().id;
    let put = house.put(b"Subject: Havale\r\n\r\nx\r\n", |item| item.units.extend([inner]));
    mails.insert("Havale", put.await);
    (house, mails)
}

/// Subjects of what stands in a mailbox; `None`: it does not open.
async fn shown(client: &mut Client, mailbox: &str) -> Option<BTreeSet<String>> {
    if !client.does(&format!("SELECT \"{mailbox}\"")).await {
        return None;
    }
    let said = client
        .ok("UID FETCH 1:* (BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
        .await;
    let subjects = said.lines().filter_map(|line| line.strip_prefix("Subject: "));
    Some(subjects.map(str::to_owned).collect())
}

/// Mailboxes that a user is listed, by name; those that only hold others left out.
async fn listed(client: &mut Client, pattern: &str) -> BTreeSet<String> {
    let said = client.ok(&format!("LIST \"\" \"{pattern}\"")).await;
    let lines = said
        .lines()
        .filter(|line| line.starts_with("* LIST") && !line.contains("\\Noselect"));
    lines
        .map(|line| line.rsplit('"').nth(1).unwrap().to_owned())
        .collect()
}

fn set(subjects: &[&str]) -> BTreeSet<String> {
    subjects.iter().map(|s| (*s).to_owned()).collect()
}

/// What GETACL says of a mailbox, and what each user says and sees of it, agree.
async fn agree(clients: &mut BTreeMap<&'static str, Client>) {
    let mut names = listed(clients.get_mut("mudur").unwrap(), "Birimler/*").await;
    assert!(names.len() >= 4, "{names:?}");
    names.extend(["INBOX", "Arşiv", "Etiketler/Piyasa", "Etiketler/Finans"].map(str::to_owned));
    for name in names {
        let said = clients
            .get_mut("mudur")
            .unwrap()
            .ok(&format!("GETACL \"{name}\""))
            .await;
        let line = said.lines().find(|line| line.starts_with("* ACL ")).unwrap();
        let words: Vec<&str> = line.rsplit("\" ").next().unwrap().split(' ').collect();
        let acl: BTreeMap<&str, &str> = words.chunks(2).map(|pair| (pair[0], pair[1])).collect();
        for (user, client) in clients.iter_mut() {
            let login = format!("{user}@ornekas");
            let opens = shown(client, &name).await.is_some();
            let told = acl.get(login.as_str()).copied();
            assert_eq!(told.is_some(), opens, "{name}: {user} opens it: {opens}; {line}");
            assert_eq!(
                listed(client, "*").await.contains(&name),
                opens,
                "{name} is listed to {user}"
            );
            if let Some(told) = told {
                let own = letters(&client.ok(&format!("MYRIGHTS \"{name}\"")).await);
                assert_eq!(own, told, "{name}: {user}");
                assert!(told.contains('l') && told.contains('r'), "{name}: {user} {told}");
            } else {
                // A level above one's own unit is there to hold it, and is no mailbox.
                let said = client.say(&format!("MYRIGHTS \"{name}\"")).await;
                assert!(
                    said.contains(" NO ") || letters(&said) == "l",
                    "{name}: {user} {said}"
                );
            }
        }
    }
}

#[tokio::test]
async fn the_upper_unit_sees_what_those_below_see_and_acls_agree() {
    let (house, _mails) = house().await;
    let mut clients = BTreeMap::new();
    for user in USERS {
        clients.insert(user, Client::of(&house, user).await);
    }
    let all = set(&["Yönetim", "Acil", "Piyasa", "Finans", "Havale"]);
    for (user, inbox) in [
        ("mudur", all.clone()),
        ("gm", set(&["Yönetim", "Acil", "Piyasa", "Havale"])),
        ("ayse", set(&["Acil", "Piyasa", "Havale"])),
        ("cem", set(&["Piyasa", "Havale"])),
        ("onay1", set(&["Finans"])),
    ] {
        let client = clients.get_mut(user).unwrap();
        assert_eq!(shown(client, "INBOX").await, Some(inbox.clone()), "{user}");
        assert_eq!(shown(client, "Tüm Postalar").await, Some(inbox), "{user}");
    }
    // Each unit's mailbox shows the unit's own and all below it, to whoever sees the unit.
    for (unit, subjects, users) in [
        (
            "Birimler/Genel Müdürlük",
            set(&["Yönetim", "Acil", "Piyasa", "Havale"]),
            &["mudur", "muavin", "gm"][..],
        ),
        (
            "Birimler/Genel Müdürlük/Satış",
            set(&["Acil", "Piyasa", "Havale"]),
            &["mudur", "muavin", "gm", "ayse"],
        ),
        (
            "Birimler/Genel Müdürlük/Satış/İç Piyasa",
            set(&["Piyasa", "Havale"]),
            &["mudur", "muavin", "gm", "ayse", "cem"],
        ),
        (
            "Birimler/Mali İşler",
            set(&["Finans"]),
            &["mudur", "muavin", "onay1"],
        ),
    ] {
        for (user, client) in &mut clients {
            let wanted = users.contains(user).then(|| subjects.clone());
            assert_eq!(shown(client, unit).await, wanted, "{unit} {user}");
        }
    }
    agree(&mut clients).await;
    // The tree changes: who is above no more sees nothing of it, in sessions that are open as well.
    let change = house.mailboxes.organisations.by(admin());
    let moved = change.move_unit(house.tenant, "Genel Müdürlük/Satış/İç Piyasa", Some("Mali İşler"));
    moved.await.unwrap();
    for (user, inbox) in [
        ("gm", set(&["Yönetim", "Acil"])),
        ("ayse", set(&["Acil"])),
        ("cem", set(&["Piyasa", "Havale"])),
        ("onay1", set(&["Finans", "Piyasa", "Havale"])),
    ] {
        let client = clients.get_mut(user).unwrap();
        assert_eq!(shown(client, "INBOX").await, Some(inbox), "{user}");
    }
    let inner = "Birimler/Mali İşler/İç Piyasa";
    assert_eq!(
        shown(clients.get_mut("onay1").unwrap(), inner).await,
        Some(set(&["Piyasa", "Havale"]))
    );
    agree(&mut clients).await;
}
