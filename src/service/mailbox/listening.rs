//! Many who listen to one mailbox: the view is caught up once for all of them, and who has nothing to hear reads nothing.
//!
//! A stroke of the tenant's bell wakes all its sessions at once. The first of them catches the view up; the others wait for
//! that and look, in what is in memory by then, whether anything of it is about a message they know. Only those ask
//! what is new for them, and nobody catches the view up again. What was read after a stroke holds for everybody who has heard that
//! stroke or an earlier one.

use super::asking::Asker;
use super::views::CaughtUp;
use super::{Mailboxes, News, Opened};
use crate::domain::selector::Mailbox;
use crate::id::{ModSeq, TenantId};
use crate::service::account::Principal;
use crate::service::failure::Failure;
use crate::store::tables::items::ChangeOf;
use crate::store::tables::views::Scope;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::OnceCell;

/// Views kept in mind: more are not listened to at a time. Beyond, all are forgotten and caught up anew.
const LISTENED_MAX: usize = 4096;

/// One catching up, after some stroke of the bell.
#[derive(Debug)]
struct Turn {
    stroke: u64,
    view: OnceCell<CaughtUp>,
}

/// Whose view of which mailbox.
type Which = (TenantId, Mailbox, Scope);

/// The latest turn of each view.
#[derive(Debug, Default)]
pub struct Listening(Mutex<HashMap<Which, Arc<Turn>>>);

impl Listening {
    /// The turn that serves who has heard this stroke.
    fn turn(&self, which: Which, stroke: u64) -> Arc<Turn> {
        let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(turn) = turns.get(&which).filter(|turn| turn.stroke >= stroke) {
            return turn.clone();
        }
        if turns.len() >= LISTENED_MAX {
            turns.clear();
        }
        let turn = Arc::new(Turn {
            stroke,
            view: OnceCell::new(),
        });
        turns.insert(which, turn.clone());
        turn
    }
}

impl Mailboxes {
    /// What is new in an open mailbox for one of many who have heard the bell's stroke. The same as
    /// [`Mailboxes::poll`] otherwise.
    pub async fn hear(&self, by: &Principal, opened: &mut Opened, stroke: u64) -> Result<News, Failure> {
        let (Some(known), heard) = (opened.view, opened.known_to) else {
            return Ok(News::default());
        };
        let seat = self.seat(by)?;
        let viewer = seat.viewer();
        let scope = Asker::new(&viewer, opened.mailbox).scope;
        let turn = self.listening.turn((by.tenant, opened.mailbox, scope), stroke);
        let catching_up = || self.catch_up(by, opened.mailbox, Some((known, heard)));
        let caught = turn.view.get_or_try_init(catching_up).await?;
        if caught.view.id == known {
            let present = self.present(by, caught, Some(opened)).await?;
            let same = present.uid_next == opened.uid_next
                && present.roster.len() == opened.roster.len()
                && opened.roster.left(&present.roster).is_empty();
            if same && self.unconcerned(by, opened, caught.to)? {
                opened.roster = present.roster;
                opened.known_to = heard.max(caught.to);
                opened.seat = caught.seat.clone();
                return Ok(News::default());
            }
        }
        self.news_of(by, opened, caught).await
    }

    /// Whether nothing between what he knows and a change is about a message he knows, or about his flags on one. Who
    /// came and who left is seen in the roster.
    fn unconcerned(&self, by: &Principal, opened: &Opened, to: ModSeq) -> Result<bool, Failure> {
        let mut at = opened.known_to;
        while at < to {
            let Some(slice) = self.changes.after(&*self.db, by.tenant, at)? else {
                break;
            };
            if slice.words(at, to).next().is_some() {
                return Ok(false);
            }
            for change in slice.after(at).take_while(|change| change.modseq <= to) {
                let others = matches!(change.of, ChangeOf::FlagsOf(user) if user != by.user);
                if !others && self.known_uid(by, opened, change.id)?.is_some() {
                    return Ok(false);
                }
            }
            at = slice.last;
        }
        Ok(true)
    }
}
