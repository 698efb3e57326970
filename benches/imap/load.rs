//! One of many connections at work, each in an account of its own.

use super::client::Client;
use super::mails::{Dice, mail};

const OCTETS: usize = 5 * 1024;
/// Numbers that are left for the mails of one connection.
pub const BROUGHT_EACH: usize = 100_000;

/// A connection with its mailbox selected.
pub struct Busy {
    client: Client,
    mailbox: String,
    dice: Dice,
    /// The number of the next mail it brings.
    next: usize,
    /// Mails that were there before; twenty at least for the mixed load.
    own: usize,
}

/// One thing that it does.
#[derive(Clone, Copy)]
pub enum Step {
    /// STORE of one flag on its mails in turn, with or without.
    Store(char),
    /// Bodies, flags, polls, and new mail, drawn by a fixed sequence.
    Mixed,
    Append,
}

impl Busy {
    /// `next`: the number of the first mail it brings. No two have the same: a draft takes the place of one that has its
    /// Message-ID.
    pub fn new(next: usize, client: Client, mailbox: &str, own: usize) -> Self {
        Self {
            client,
            mailbox: mailbox.to_owned(),
            dice: Dice::new(next as u64),
            next,
            own,
        }
    }

    pub async fn step(&mut self, step: Step, round: usize) {
        let number = self.dice.below(self.own) + 1;
        let command = match step {
            Step::Store(how) => format!("STORE {} {how}FLAGS (\\Flagged)", round % self.own + 1),
            Step::Append => return self.append().await,
            Step::Mixed => match self.dice.below(10) {
                0..4 => format!("FETCH {number} BODY.PEEK[]"),
                4..6 => format!("STORE {number} +FLAGS (\\Seen)"),
                6 => format!("STORE {number} -FLAGS (\\Seen)"),
                7 => "FETCH 1:20 (UID FLAGS ENVELOPE)".to_owned(),
                8 => "NOOP".to_owned(),
                _ => return self.append().await,
            },
        };
        self.client.ok(&command).await;
    }

    async fn append(&mut self) {
        let message = mail(self.next, OCTETS, "user4@hs01.kep.test");
        self.next += 1;
        self.client.append(&self.mailbox, &message).await;
    }
}

/// All do the same step so many times; gives them back.
pub async fn all(many: Vec<Busy>, rounds: usize, step: Step) -> Vec<Busy> {
    let mut tasks = tokio::task::JoinSet::new();
    for mut busy in many {
        tasks.spawn(async move {
            for round in 0..rounds {
                busy.step(step, round).await;
            }
            busy
        });
    }
    tasks.join_all().await
}
