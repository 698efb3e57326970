//! Hostile sessions, made by chance from a seed: what no person would think of saying.
//!
//! A corpus (the dialogues of `tests/dialogues`) and a grammar give commands; mutation spoils some of them; they are said in
//! random pieces to the engines with a door that answers by chance (`engine`, `smtp`), and to the real door over a pipe
//! with a real store (`door`), whose mailboxes hold spoiled mails (`mails`). Nothing may panic, what is held stays bounded,
//! and after each session the next one works and sees the same mailbox. The same seed makes the same session, as far as
//! the store's own threads allow. `tests/journey/fuzzing.rs` runs a short part, `benches/fuzz_imap.rs` millions.

pub mod chance;
pub mod door;
pub mod engine;
pub mod grammar;
pub mod mails;
pub mod smtp;

/// Names the seed when whatever runs under it fails.
pub struct Named(pub &'static str, pub u64);

impl Drop for Named {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{} failed; the seed: KEPD_FUZZ_SEED={}", self.0, self.1);
        }
    }
}
