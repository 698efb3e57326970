//! SEARCH, SORT and THREAD (RFC 9051 6.4.4, RFC 5256): the walk through the open mailbox, and what is made of the found.
//!
//! Whether a key holds is said by `verdict`, orders are made by `sorting`, threads by `threads`. The walk takes turns
//! with other connections, and what it gathers is bounded.

use super::Connection;
use super::carry::Stop;
use super::progress::Pace;
use super::sorting::{self, Entries};
use super::threads::Threading;
use super::turn::Turn;
use super::verdict::{At, Key, Known, Question, Wanted};
use crate::id::ItemId;
use crate::imap::ask::{Answer, Ask};
use crate::imap::sort::SortKey;
use crate::imap::thread::ThreadAlgorithm;
use crate::service::account::Principal;
use crate::service::failure::Failure;
use crate::service::mailbox::Opened;

/// Messages between two looks at the clock.
const STEP: usize = 64;
/// From so many messages on, ordering and threading would keep others waiting: they are done on the blocking pool.
const LONG_WORK_FROM: usize = 10_000;

impl Connection<'_> {
    pub(super) async fn query(&mut self, by: &Principal, ask: Ask) -> Result<Answer, Stop> {
        let answer = match ask {
            Ask::Search(key) => {
                let mut found = Vec::new();
                let keep = |known: Known| {
                    found.push(known.uid);
                    Ok(())
                };
                self.sift(by, &key, Wanted::default(), keep).await?;
                self.tell_found(by, &key, &found).await?;
                Answer::Found(found)
            }
            Ask::Sort { order, key } => self.sort(by, order, &key).await?,
            Ask::Thread { algorithm, key } => self.thread(by, algorithm, &key).await?,
            _ => return Err(Failure::Broken("that is no search".into()).into()),
        };
        self.apply_news().await?;
        Ok(answer)
    }

    async fn sort(&mut self, by: &Principal, order: Vec<SortKey>, key: &Key) -> Result<Answer, Stop> {
        let wanted = sorting::wanted(&order);
        let mut entries = Entries::new(order);
        self.sift(by, key, wanted, |known| entries.add(&known)).await?;
        let sorted = apart(entries.len(), move || entries.sorted()).await?;
        self.tell_found(by, key, &sorted).await?;
        Ok(Answer::Found(sorted))
    }

    async fn thread(
        &mut self,
        by: &Principal,
        algorithm: ThreadAlgorithm,
        key: &Key,
    ) -> Result<Answer, Stop> {
        let mut threading = Threading::new(algorithm);
        let wanted = Wanted {
            letter: true,
            ..Wanted::default()
        };
        self.sift(by, key, wanted, |known| threading.add(&known)).await?;
        let threads = apart(threading.len(), move || threading.threads()).await?;
        Ok(Answer::Threaded(threads))
    }

    /// Hands over each message of the open mailbox for which the key holds, in order of UID.
    async fn sift(
        &mut self,
        by: &Principal,
        key: &Key,
        wanted: Wanted,
        keep: impl FnMut(Known) -> Result<(), Failure> + Send,
    ) -> Result<(), Stop> {
        // Taken out, so that the client can be told meanwhile that it goes on.
        let opened = self.opened.take().ok_or_else(super::carry::nothing_open)?;
        let walked = self.walk(by, &opened, key, wanted, keep).await;
        self.opened = Some(opened);
        walked
    }

    async fn walk(
        &mut self,
        by: &Principal,
        opened: &Opened,
        key: &Key,
        wanted: Wanted,
        mut keep: impl FnMut(Known) -> Result<(), Failure> + Send,
    ) -> Result<(), Stop> {
        let mailboxes = self.door.mailboxes.clone();
        let now = mailboxes.clock.now();
        let question = Question::new(key, now);
        let mut pace = Pace::begin(now);
        let mut members = opened.members();
        let (of, _) = members.size_hint();
        let (mut done, mut others) = (0, Turn::begin());
        loop {
            let turn: Vec<(u32, ItemId)> = members.by_ref().take(STEP).collect();
            if turn.is_empty() {
                return Ok(());
            }
            for &(uid, item) in &turn {
                if question.is_out(uid, item) {
                    continue;
                }
                // Rights may be lost in the middle of a long search.
                let seat = mailboxes.seat(by)?;
                let viewer = seat.viewer();
                let at = At { by, opened, uid, item };
                let asked = question.ask(&mailboxes, &viewer, &at, wanted);
                if let Some(known) = asked.await? {
                    keep(known)?;
                }
                others.share().await;
            }
            done += turn.len();
            self.tell_progress(&mut pace, done, of).await?;
            others.share().await;
        }
    }
}

/// Work on so many messages, out of the way of other connections when it is long.
async fn apart<T: Send + 'static>(
    count: usize,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Failure> {
    if count < LONG_WORK_FROM {
        return Ok(work());
    }
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| Failure::Broken(format!("ordering what was found: {error}")))
}
