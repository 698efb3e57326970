//! Many who listen to one mailbox: the view is caught up once for all of them, and who has nothing to hear reads nothing.
//!
//! A stroke of the tenant's bell wakes all its sessions at once. The first of them catches the view up; the others wait for
//! that and look, in what is in memory by then, whether anything of it is about a message they know. Only for those is
//! the mailbox asked ([`Mailboxes::poll`]). What was read after a stroke holds for everybody who has heard that
//! stroke or an earlier one.

use super::asking::Asker;
use super::{Mailboxes, News, Opened};
use crate::domain::selector::{Mailbox, Viewer};
use crate::id::{ModSeq, TenantId};
use crate::service::account::Principal;
use crate::service::failure::Failure;
use crate::store::tables::items::ChangeOf;
use crate::store::tables::views::{Scope, View};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::OnceCell;

/// Views kept in mind: more are not listened to at a time. Beyond, all are forgotten and caught up anew.
const LISTENED_MAX: usize = 4096;

/// One catching up, after some stroke of the bell.
#[derive(Debug)]
struct Turn {
    stroke: u64,
    view: OnceCell<View>,
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
        let Some((known, heard)) = opened.standing() else {
            return Ok(News::default());
        };
        let seat = self.seat(by)?;
        let viewer = seat.viewer();
        let scope = Asker::new(&viewer, opened.mailbox).scope;
        let turn = self.listening.turn((by.tenant, opened.mailbox, scope), stroke);
        let catching_up = || self.catch_up(by, opened.mailbox, Some((known.id, heard)));
        let view = turn.view.get_or_try_init(catching_up).await?;
        let same =
            view.id == known.id && view.generation == known.generation && view.uid_next == known.uid_next;
        if same && self.unconcerned(by, &viewer, opened, heard, view.caught_up)? {
            opened.heard_to(view.caught_up);
            return Ok(News::default());
        }
        self.poll(by, opened).await
    }

    /// Whether nothing between two changes is about a message the mailbox shows, or about this user's flags on one.
    fn unconcerned(
        &self,
        by: &Principal,
        viewer: &Viewer<'_>,
        opened: &Opened,
        from: ModSeq,
        to: ModSeq,
    ) -> Result<bool, Failure> {
        let with_evidence = Asker::new(viewer, opened.mailbox).shows_evidence();
        let mut at = from;
        while at < to {
            let Some(slice) = self.changes.after(&*self.db, by.tenant, at)? else {
                break;
            };
            for change in slice.after(at) {
                let known = opened.uid_of(change.item.id).is_some();
                match change.of {
                    ChangeOf::FlagsOf(user) if user != by.user => {}
                    _ if known => return Ok(false),
                    ChangeOf::Item if with_evidence => {
                        let moved = slice.evidence(&*self.db, &change.item)?;
                        if moved.iter().any(|evidence| opened.uid_of(evidence.id).is_some()) {
                            return Ok(false);
                        }
                    }
                    _ => {}
                }
            }
            at = slice.last;
        }
        Ok(true)
    }
}
