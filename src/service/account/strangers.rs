//! How a name that nobody here has is written down: by a word that says whether two are the same, and not what they are.
//!
//! People type passwords and identity numbers into the field for the name, and an identity number has eleven digits: of a
//! plain hash all of them are tried in seconds. So the word is made with a secret that stays in the store: the same over
//! restarts, and of no use to whoever has a copy of the audit record or of the log alone. Whoever has the store has the
//! secret too.

use crate::address::LoginName;
use crate::domain::audit_chain::hex;
use aws_lc_rs::hmac;

/// Octets of the word: enough that two names of one hour are not taken for one, short enough for a line of a log.
const WORD_OCTETS: usize = 8;
/// What the kept secret is used for here; it has other uses.
const PURPOSE: &[u8] = b"unknown login name ";

/// Makes those words.
pub struct Strangers(hmac::Key);

impl Strangers {
    /// With a secret that is kept.
    pub fn of(secret: &[u8]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, secret))
    }

    /// Names that differ in the case of ASCII letters are the same login, and get the same word.
    pub fn word(&self, name: &LoginName) -> String {
        let mut context = hmac::Context::with_key(&self.0);
        context.update(PURPOSE);
        context.update(name.to_string().as_bytes());
        let tag = hex(context.sign().as_ref());
        format!("#{}", tag.get(..2 * WORD_OCTETS).unwrap_or(&tag))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{ManualClock, UtcTime};
    use crate::domain::audit::Origin;
    use crate::service::account::{Accounts, Door};
    use crate::service::bell::Bells;
    use crate::service::organisation::Organisations;
    use crate::store::db::{self, EngineKind};
    use crate::store::probe::NoProbe;
    use std::path::Path;
    use std::sync::{Arc, Mutex};

    async fn accounts(folder: &Path) -> Accounts {
        let db = db::open(EngineKind::Fjall, folder, Arc::new(NoProbe)).unwrap();
        let clock = Arc::new(ManualClock::at(UtcTime::default()));
        let organisations = Arc::new(Organisations::new(db.clone(), clock, Bells::default()));
        let accounts = Accounts::new(db, organisations).unwrap();
        let secret = accounts.decoy_secret().await.unwrap();
        accounts.with_secret(&secret)
    }

    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Log {
        fn write(&mut self, octets: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(octets);
            Ok(octets.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    /// Somebody types his identity number, or his password, where the name belongs: it stands in no log and no record, and
    /// that it was the same one is seen after a restart too.
    #[tokio::test]
    async fn a_name_that_nobody_has_stands_nowhere_in_clear() {
        let folder = tempfile::tempdir().unwrap();
        let name: LoginName = "12345678901@ornekas".parse().unwrap();
        let mut words = Vec::new();
        for _ in 0..2 {
            let accounts = accounts(folder.path()).await;
            let log = Log::default();
            let lines = log.clone();
            let subscriber = tracing_subscriber::fmt()
                .with_writer(move || lines.clone())
                .with_ansi(false)
                .finish();
            let now = UtcTime::from_unix_s(1_795_000_000);
            tracing::subscriber::with_default(subscriber, || {
                let from = Origin::Network("192.0.2.1".parse().unwrap());
                accounts.not_let_in(now, from, Some(&name), Door::Imap);
            });
            let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
            assert!(log.contains("login failed") && log.contains("192.0.2.1"), "{log}");
            let told = accounts.visits.due(now, true).remove(0).record().after;
            assert!(
                !log.contains("12345678901") && !told.contains("12345678901"),
                "{log} {told}"
            );
            let word = accounts.strangers.word(&name);
            assert!(log.contains(&word) && told.contains(&word), "{log} {told}");
            words.push(word);
        }
        assert_eq!(words[0], words[1]);
    }

    #[test]
    fn a_word_stays_the_same_and_is_found_by_nobody_without_the_secret() {
        let name: LoginName = "12345678901@ornekas".parse().unwrap();
        let other: LoginName = "12345678902@ornekas".parse().unwrap();
        let ours = Strangers::of(&[7; 32]);
        assert_eq!(ours.word(&name), Strangers::of(&[7; 32]).word(&name));
        assert_ne!(ours.word(&name), ours.word(&other));
        assert_ne!(ours.word(&name), Strangers::of(&[8; 32]).word(&name));
        // Whoever tries all numbers has no hash to compare with.
        let plain = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, name.to_string().as_bytes());
        let plain = hex(plain.as_ref());
        let word = ours.word(&name);
        assert_eq!(word.len(), 1 + 2 * WORD_OCTETS);
        assert!(!plain.starts_with(&word[1..9]) && !word.contains("1234567"));
    }
}
