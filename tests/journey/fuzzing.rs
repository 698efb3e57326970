//! A short part of the hostile sessions of `tests/fuzz`: one seed that is always the same, and one that is not.
//! `make fuzz` says millions of commands.

use crate::fuzz::chance::Chance;
use crate::fuzz::door::Ground;
use crate::fuzz::grammar::Corpus;
use crate::fuzz::{Named, engine, mails, smtp};
use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;

const ALWAYS: u64 = 4;
const ENGINE_SESSIONS: usize = 60;
const MAILS: usize = 500;
const ROUNDS: usize = 4;

/// The seed that is always the same, and another: the one from outside, or chance.
fn seeds() -> [u64; 2] {
    let given = std::env::var("KEPD_FUZZ_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok());
    [
        ALWAYS,
        given.unwrap_or_else(|| RandomState::new().hash_one(0) >> 16),
    ]
}

#[test]
fn hostile_octets_are_survived_by_the_engines() {
    let (imap, smtp_lines) = (
        Corpus::load("imap", &["C: "]),
        Corpus::load("smtp", &["C: ", "C~ "]),
    );
    for seed in seeds() {
        let _named = Named("the engines", seed);
        let mut chance = Chance::new(seed);
        let mut answered = 0;
        for _ in 0..ENGINE_SESSIONS {
            answered += engine::session(&mut chance, &imap).1;
            answered += smtp::session(&mut chance, &smtp_lines);
        }
        assert!(
            answered > 1000,
            "{answered} answers: what is said is not understood"
        );
    }
}

#[test]
fn spoiled_mails_are_read_as_far_as_they_can_be() {
    for seed in seeds() {
        let _named = Named("reading mails", seed);
        let mut chance = Chance::new(seed);
        for _ in 0..MAILS {
            mails::read(&mails::mail(&mut chance));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_hostile_session_the_next_one_works_and_sees_the_same() {
    let corpus = Arc::new(Corpus::load("imap", &["C: "]));
    for seed in seeds() {
        let _named = Named("the door", seed);
        let mut chance = Chance::new(seed);
        let mut ground = Ground::new().await;
        for _ in 0..ROUNDS {
            ground.round(&mut chance, &corpus, 2).await;
        }
    }
}
