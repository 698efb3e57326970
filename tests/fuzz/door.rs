//! The real door over a pipe, with a real store in a temporary folder, whose mailboxes hold spoiled mails.

use super::chance::Chance;
use super::grammar::{Corpus, utterance};
use super::mails;
use crate::mailbox_house::{House, PASSWORD, found};
use crate::provider::admin;
use kepd::domain::audit::Origin;
use kepd::net::imap::{Begin, ImapDoor};
use kepd::sasl::Secret;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// Longer than anything a session here may take, on the slowest machine.
const HANGS: Duration = Duration::from_secs(120);
/// How long a client that does not read tries to write.
const STUCK: Duration = Duration::from_millis(20);
/// Pieces that such a client does not get rid of before it gives up: cut octet by octet a command would take minutes.
const STUCK_PIECES: usize = 50;

/// A house that is attacked, and a neighbour in it that is not.
pub struct Ground {
    house: House,
    door: Arc<ImapDoor>,
    /// What the neighbour sees.
    quiet: String,
    uid_next: u64,
}

impl Ground {
    pub async fn new() -> Self {
        let mut house = House::build().await.with_passwords().await;
        let ours = house.tenant;
        let neighbour = found(&house.mailboxes.organisations, "komsu").await;
        house.tenant = neighbour;
        let id = house.mailboxes.organisations.of(neighbour).unwrap();
        let id = id.user_by_name("mudur").unwrap().id;
        let password = Secret::new(PASSWORD.to_owned());
        let set = house.accounts.set_password(admin(), neighbour, id, password);
        set.await.unwrap();
        house
            .deliver(b"From: a@hs02.kep.test\r\nSubject: sakin\r\n\r\nSakin\r\n")
            .await;
        house.tenant = ours;
        let door = Arc::new(crate::mailbox_house::door(
            house.mailboxes.clone(),
            house.accounts.clone(),
        ));
        let mut ground = Self {
            house,
            door,
            quiet: String::new(),
            uid_next: 0,
        };
        ground.quiet = ground.look("mudur@komsu").await;
        assert!(ground.quiet.contains("1 EXISTS"), "{}", ground.quiet);
        ground
    }

    /// New mails, some sessions at once, then a look around. Gives how many commands were said.
    pub async fn round(&mut self, chance: &mut Chance, corpus: &Arc<Corpus>, sessions: usize) -> u64 {
        for _ in 0..3 {
            let mail = mails::mail(chance);
            mails::read(&mail);
            self.house.put(&mail, |_| {}).await;
        }
        let mut running = Vec::new();
        for _ in 0..sessions {
            let (chance, corpus, door) = (Chance::new(chance.next()), corpus.clone(), self.door.clone());
            running.push(tokio::spawn(async move { hostile(door, chance, &corpus).await }));
        }
        let mut commands = 0;
        for session in running {
            commands += timeout(HANGS, session).await.expect("a session hangs").unwrap();
        }
        self.check().await;
        commands
    }

    /// The next sessions work, agree with each other, and the neighbour has noticed nothing.
    async fn check(&mut self) {
        let (first, second) = (self.look("mudur@ornekas").await, self.look("mudur@ornekas").await);
        assert_eq!(first, second);
        assert_eq!(self.look("mudur@komsu").await, self.quiet);
        let next = first
            .split("[UIDNEXT ")
            .nth(1)
            .and_then(|rest| rest.split(']').next());
        let next = next.and_then(|n| n.parse().ok()).expect("no UIDNEXT");
        assert!(next >= self.uid_next, "UIDs went back");
        self.uid_next = next;
    }

    /// All of somebody's INBOX but the content.
    async fn look(&self, login: &str) -> String {
        let (mut client, serving) = connect(&self.door, 64 * 1024);
        let said = format!(
            "a LOGIN {login} \"{PASSWORD}\"\r\nr ENABLE IMAP4rev2\r\nb SELECT INBOX\r\nc UID FETCH 1:* (FLAGS RFC822.SIZE BODYSTRUCTURE ENVELOPE)\r\nd LOGOUT\r\n"
        );
        client.write_all(said.as_bytes()).await.unwrap();
        let mut heard = Vec::new();
        let all = timeout(HANGS, client.read_to_end(&mut heard)).await;
        all.expect("a look hangs").unwrap();
        serving.await.expect("the door panicked");
        let heard = String::from_utf8_lossy(&heard).into_owned();
        for tag in ["\na OK", "\nb OK", "\nc OK", "\nd OK"] {
            assert!(heard.contains(tag), "{heard}");
        }
        heard
    }
}

fn connect(door: &Arc<ImapDoor>, octets: usize) -> (tokio::io::DuplexStream, JoinHandle<()>) {
    let (client, server) = tokio::io::duplex(octets);
    let door = door.clone();
    let serving = tokio::spawn(async move {
        let (_keep, stopping) = watch::channel(false);
        // How it ends is the client's doing.
        let _ = door.serve(server, Begin::Tls, Origin::Inside, stopping).await;
    });
    (client, serving)
}

/// One hostile session; gives how many commands were said.
async fn hostile(door: Arc<ImapDoor>, mut chance: Chance, corpus: &Corpus) -> u64 {
    let chance = &mut chance;
    let (client, serving) = connect(&door, *chance.pick(&[64, 4096, 256 * 1024]));
    let (mut reader, mut writer) = tokio::io::split(client);
    let deaf = chance.one_in(8);
    let listening = tokio::spawn(async move {
        let mut octets = vec![0; 16 * 1024];
        if !deaf {
            while matches!(reader.read(&mut octets).await, Ok(n) if n > 0) {}
        }
        reader
    });
    let user = *chance.pick(&["ayse", "mudur", "mudur", "onay1"]);
    let mut first = Vec::new();
    if !chance.one_in(6) {
        let mailbox = super::grammar::mailbox(chance);
        first = format!("a LOGIN {user}@ornekas \"{PASSWORD}\"\r\nb SELECT {mailbox}\r\n").into_bytes();
    }
    let (mut tag, mut stuck) = (0, 0);
    for n in 0..50 {
        if stuck > STUCK_PIECES {
            break;
        }
        let octets = match n {
            0 => std::mem::take(&mut first),
            _ => utterance(chance, corpus, &mut tag, true),
        };
        for piece in chance.pieces(&octets) {
            let write = writer.write_all(piece);
            let written = match deaf {
                true => timeout(STUCK, write).await.unwrap_or_else(|_| {
                    stuck += 1;
                    Ok(())
                }),
                false => timeout(HANGS, write).await.expect("the door does not read"),
            };
            if written.is_err() || stuck > STUCK_PIECES {
                break;
            }
        }
    }
    // Sometimes in the middle of things, sometimes in order.
    let _ = timeout(STUCK, writer.write_all(b"\r\nz LOGOUT\r\n")).await;
    let _ = timeout(STUCK, writer.shutdown()).await;
    let reader = match deaf {
        true => Some(listening.await.expect("nobody listened")),
        false => None,
    };
    drop((reader, writer));
    timeout(HANGS, serving)
        .await
        .expect("the door does not end")
        .expect("the door panicked");
    tag
}
