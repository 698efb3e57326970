//! SEARCH, SORT and THREAD (RFC 9051 6.4.4, RFC 5256): the walk through the open mailbox, and what is made of the found.
//!
//! Whether a key holds is said by `verdict`, orders are made by `sorting`, threads by `threads`. The walk takes turns
//! with other connections, and what it gathers is bounded.

use super::Connection;
use super::carry::Stop;
use super::progress::Pace;
use super::sorting::{self, Entries};
use super::threads::Threading;
use super::verdict::{Asked, At, Key, Known, Question, Wanted};
use crate::id::ItemId;
use crate::imap::ask::{Answer, Ask, Code};
use crate::imap::search::Charset;
use crate::imap::sort::SortKey;
use crate::imap::thread::ThreadAlgorithm;
use crate::service::account::Principal;
use crate::service::failure::Failure;
use crate::service::mailbox::{Opened, Standing};
use crate::service::time_slice::TimeSlice;

/// A search is begun anew when the organisation changes under it: it hardly ever does.
const ATTEMPTS: usize = 8;
/// Messages that cannot be read, up to which the others are searched. With more the disk is not what it should be.
const LOST_MAX: usize = 16;
/// Messages between two looks at the clock.
const STEP: usize = 64;
/// Said when a text was left out that nobody has read (decision 27): not which, and whatever stands in it.
const LEFT_OUT: &str = "the text of mail that nobody has read yet was not searched; it is, once the mail has been opened / \
    kimsenin okumadığı postaların metni aranmadı; posta açıldıktan sonra aranır";
/// From so many messages on, ordering and threading would keep others waiting: they are done on the blocking pool.
const LONG_WORK_FROM: usize = 10_000;

/// What a walk could not look at.
#[derive(Debug, Clone, Copy, Default)]
struct Omitted {
    /// Messages that cannot be read.
    lost: usize,
    /// Text that nobody has read.
    unread: bool,
}

impl Connection<'_> {
    pub(super) async fn query(&mut self, by: &Principal, ask: Ask) -> Result<Answer, Stop> {
        let answer = match ask {
            Ask::Search { charset, key } => Answer::Found(self.search(by, (charset, &key)).await?),
            Ask::Sort { order, charset, key } => self.sort(by, order, (charset, &key)).await?,
            Ask::Thread {
                algorithm,
                charset,
                key,
            } => self.thread(by, algorithm, (charset, &key)).await?,
            _ => return Err(Failure::Broken("that is no search".into()).into()),
        };
        self.apply_news().await?;
        Ok(answer)
    }

    /// UIDs of the messages for which the key holds. A key comes with the charset of its texts.
    async fn search(&mut self, by: &Principal, asked: (Charset, &Key)) -> Result<Vec<u32>, Stop> {
        let mailboxes = self.door.mailboxes.clone();
        for _ in 0..ATTEMPTS {
            let opened = self.opened.as_ref().ok_or_else(super::carry::nothing_open)?;
            let standing = mailboxes.standing(by, opened).await?;
            let mut found = Vec::new();
            let keep = |known: Known| {
                found.push(known.uid);
                Ok(())
            };
            let sought = (Wanted::default(), Some(&standing));
            let omitted = self.sift(by, asked, sought, keep).await?;
            // What was found without a look at the message was found by right of standing in the mailbox.
            if mailboxes.still_holds(by, &standing)? {
                self.tell_omitted(omitted);
                self.tell_found(by, asked.1, &found).await?;
                return Ok(found);
            }
        }
        let why = "the organisation changes faster than a search ends";
        Err(Failure::Unavailable(why.into()).into())
    }

    async fn sort(
        &mut self,
        by: &Principal,
        order: Vec<SortKey>,
        asked: (Charset, &Key),
    ) -> Result<Answer, Stop> {
        let wanted = sorting::wanted(&order);
        let mut entries = Entries::new(order);
        let sifted = self.sift(by, asked, (wanted, None), |known| entries.add(&known));
        let omitted = sifted.await?;
        self.tell_omitted(omitted);
        let sorted = apart(entries.len(), move || entries.sorted()).await?;
        self.tell_found(by, asked.1, &sorted).await?;
        Ok(Answer::Found(sorted))
    }

    async fn thread(
        &mut self,
        by: &Principal,
        algorithm: ThreadAlgorithm,
        asked: (Charset, &Key),
    ) -> Result<Answer, Stop> {
        let mut threading = Threading::new(algorithm);
        let wanted = Wanted {
            letter: true,
            ..Wanted::default()
        };
        let sifted = self.sift(by, asked, (wanted, None), |known| threading.add(&known));
        let omitted = sifted.await?;
        self.tell_omitted(omitted);
        let threads = apart(threading.len(), move || threading.threads()).await?;
        Ok(Answer::Threaded(threads))
    }

    /// Hands over each message of the open mailbox for which the key holds, in order of UID.
    async fn sift(
        &mut self,
        by: &Principal,
        asked: (Charset, &Key),
        sought: (Wanted, Option<&Standing>),
        keep: impl FnMut(Known) -> Result<(), Failure> + Send,
    ) -> Result<Omitted, Stop> {
        // Taken out, so that the client can be told meanwhile that it goes on.
        let opened = self.opened.take().ok_or_else(super::carry::nothing_open)?;
        let walked = self.walk(by, &opened, asked, sought, keep).await;
        self.opened = Some(opened);
        walked
    }

    /// Neither silent nor in the way: an untagged NO is a warning, an untagged OK a word (RFC 9051 7.1).
    fn tell_omitted(&mut self, omitted: Omitted) {
        let lost = omitted.lost;
        if lost > 0 {
            let text =
                format!("{lost} of the messages cannot be read and were not searched; it has been logged");
            self.session.warn(Code::ServerBug, &text);
        }
        if omitted.unread {
            self.session.inform(LEFT_OUT);
        }
    }

    async fn walk(
        &mut self,
        by: &Principal,
        opened: &Opened,
        asked: (Charset, &Key),
        (wanted, standing): (Wanted, Option<&Standing>),
        mut keep: impl FnMut(Known) -> Result<(), Failure> + Send,
    ) -> Result<Omitted, Stop> {
        let mailboxes = self.door.mailboxes.clone();
        let now = mailboxes.clock.now();
        let question = Question::new(&mailboxes, by, asked, now).await?;
        let mut pace = Pace::begin(now);
        let mut members = opened.members();
        let of = opened.roster().len();
        let (mut done, mut lost, mut others) = (0, 0, TimeSlice::begin());
        loop {
            let turn: Vec<(u32, ItemId)> = members.by_ref().take(STEP).collect();
            if turn.is_empty() {
                let unread = question.left_out();
                return Ok(Omitted { lost, unread });
            }
            let mut marks = mailboxes.mark_reader(by, opened.known_to());
            for &(uid, item) in &turn {
                match question.verdict(uid, item, &mut marks)? {
                    Some(false) => continue,
                    Some(true) if standing.is_some_and(|standing| standing.has(uid)) => {
                        keep(Known::new(uid, item))?;
                        continue;
                    }
                    _ => {}
                }
                if question.lacks(item) {
                    mailboxes.texts.want_index(by.tenant);
                }
                // Rights may be lost in the middle of a long search.
                let seat = mailboxes.seat(by)?;
                let viewer = seat.viewer();
                let at = At {
                    by,
                    opened,
                    uid,
                    item,
                };
                match question.ask(&mailboxes, &viewer, &at, wanted).await? {
                    Asked::Found(known) => keep(*known)?,
                    Asked::Not => {}
                    Asked::Lost => lost += 1,
                }
                if lost > LOST_MAX {
                    return Err(Failure::Broken("too many messages cannot be read".into()).into());
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
