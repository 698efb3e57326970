//! What MYRIGHTS says (RFC 4314), held against what the commands do.

use super::folders::{Client, append, letters};
use super::mailbox_house::{House, start};
use kepd::domain::item::{Filed, Item, ItemKind};
use kepd::id::ItemId;

const MAIL: &[u8] = b"From: a@hs02.kep.test\r\nSubject: x\r\n\r\nbody\r\n";

/// The UID of an item in the selected mailbox.
async fn uid_in(house: &House, user: &str, mailbox: &str, item: ItemId) -> u32 {
    let by = house.user(user);
    let which = house.mailboxes.resolve(&by, mailbox).unwrap();
    let opened = house.mailboxes.open(&by, which).await.unwrap();
    opened
        .uid_of(item)
        .unwrap_or_else(|| panic!("{user}: nothing in {mailbox}"))
}

#[tokio::test]
async fn what_myrights_says_is_what_the_commands_do() {
    let house = House::build().await.with_passwords().await;
    let org = house.mailboxes.organisations.of(house.tenant).unwrap();
    let units: Vec<_> = org.live_units().map(|u| u.id).collect();
    let finans = org.label_by_name("Finans").unwrap().id;
    for user in ["mudur", "onay1", "ayse"] {
        let mut client = Client::of(&house, user).await;
        let me = house.user(user).user;
        let seen_by_all = |item: &mut Item| {
            item.units.extend(units.iter().copied());
            item.labels.insert(finans);
        };
        let listed = client.ok("LIST \"\" \"*\"").await;
        for (mailbox, shape) in [
            ("INBOX", None),
            ("Tüm Postalar", None),
            ("Arşiv", Some(true)),
            ("Çöp Kutusu", Some(false)),
            ("Önemli", None),
            ("Etiketler/Finans", None),
            ("Birimler/Mali İşler", None),
            ("Birimler/Satış", None),
        ] {
            if !listed.contains(&format!("\"{mailbox}\"")) {
                assert!(
                    !client.does(&format!("MYRIGHTS \"{mailbox}\"")).await,
                    "{user} {mailbox}"
                );
                continue;
            }
            let rights = letters(&client.ok(&format!("MYRIGHTS \"{mailbox}\"")).await);
            let may = |right| rights.contains(right);
            assert!(may('l') && may('r'), "{user} {mailbox}: {rights}");
            let filed = Filed { by: me, at: start() };
            let item = house
                .put(MAIL, |item| {
                    seen_by_all(item);
                    match shape {
                        Some(true) => item.archived = Some(filed),
                        // What ends in the bin is what its owner wrote, or was written to him.
                        Some(false) => {
                            item.trashed = Some(filed);
                            item.kind = ItemKind::Notice;
                            item.author = Some(me);
                        }
                        None => {}
                    }
                })
                .await;
            if mailbox == "Önemli" {
                client.ok("SELECT \"Tüm Postalar\"").await;
                let uid = uid_in(&house, user, "Tüm Postalar", item).await;
                client
                    .ok(&format!("UID STORE {uid} +FLAGS.SILENT (\\Flagged)"))
                    .await;
            }
            client.ok(&format!("SELECT \"{mailbox}\"")).await;
            let uid = uid_in(&house, user, mailbox, item).await;
            let what = format!("{user} {mailbox} {rights}");
            assert_eq!(
                client.does(&format!("UID STORE {uid} +FLAGS (\\Seen)")).await,
                may('s'),
                "{what}"
            );
            assert_eq!(
                client.does(&format!("UID STORE {uid} +FLAGS (mine)")).await,
                may('w'),
                "{what}"
            );
            assert_eq!(
                client.does(&format!("UID STORE {uid} +FLAGS (\\Deleted)")).await,
                may('t'),
                "{what}"
            );
            let said = client.say(&format!("UID EXPUNGE {uid}")).await;
            let gone = said.contains(" EXPUNGE\n");
            assert_eq!(gone, may('e'), "{what}: {said}");
            if !gone {
                client.ok(&format!("UID STORE {uid} -FLAGS (\\Deleted)")).await;
            }
            // Filed from elsewhere, where that would change something.
            let item = house
                .put(MAIL, |item| {
                    item.units.extend(units.iter().copied());
                    if mailbox == "INBOX" || mailbox == "Tüm Postalar" {
                        item.archived = Some(filed);
                    }
                })
                .await;
            let from = if item_is_archived(&house, item) {
                "Arşiv"
            } else {
                "INBOX"
            };
            client.ok(&format!("SELECT \"{from}\"")).await;
            let uid = uid_in(&house, user, from, item).await;
            let copied = client.does(&format!("UID COPY {uid} \"{mailbox}\"")).await;
            assert_eq!(copied, may('i'), "{what}");
            let appended = append(&mut client, mailbox).await;
            assert!(!appended, "{what}: mail comes by delivery");
        }
        for (mailbox, rights) in [("Taslaklar", user != "onay1"), ("Giden Kutusu", user != "onay1")] {
            if !listed.contains(&format!("\"{mailbox}\"")) {
                continue;
            }
            let letters = letters(&client.ok(&format!("MYRIGHTS \"{mailbox}\"")).await);
            assert_eq!(letters.contains('i'), rights, "{user} {mailbox}: {letters}");
            if mailbox == "Taslaklar" {
                assert_eq!(append(&mut client, mailbox).await, rights, "{user}");
            }
        }
        let labels = letters(&client.ok("MYRIGHTS Etiketler").await);
        let name = format!("Etiketler/Deneme {user}");
        let made = client.does(&format!("CREATE \"{name}\"")).await;
        assert_eq!(made, labels.contains('k'), "{user}: {labels}");
        if made {
            let rights = letters(&client.ok(&format!("MYRIGHTS \"{name}\"")).await);
            assert!(rights.contains('x'), "{rights}");
            client.ok(&format!("DELETE \"{name}\"")).await;
        }
        let said = client.say("GETACL INBOX").await;
        let rights = letters(&client.ok("MYRIGHTS INBOX").await);
        assert_eq!(
            said.contains("* ACL \"INBOX\""),
            rights.contains('a'),
            "{user}: {said}"
        );
        assert_eq!(
            said.contains("ayse@ornekas") && said.contains("onay1@ornekas"),
            rights.contains('a')
        );
        assert!(!client.does("SETACL INBOX ayse@ornekas lrs").await);
        assert!(!client.does("DELETEACL INBOX ayse@ornekas").await);
    }
    let mut officer = Client::of(&house, "mudur").await;
    let said = officer.ok("LISTRIGHTS INBOX onay1@ornekas").await;
    assert!(
        said.contains("* LISTRIGHTS \"INBOX\" onay1@ornekas lrswtd"),
        "{said}"
    );
    assert!(officer.say("GETACL Yok").await.contains(" NO [NONEXISTENT]"));
}

fn item_is_archived(house: &House, item: ItemId) -> bool {
    house.item(item).archived.is_some()
}
