//! An answer to a status message becomes a note on the job: the fourth route for notes.
//!
//! The address that is answered was given to one user for one answer. It is taken only from that user, logged in, as the
//! only recipient; the note, and that the address is used up, are one commit. The same octets again are the same answer, so
//! a client that never saw the `250` loses and doubles nothing. An answer is not a mail: nothing of it is stored but the
//! note, no evidence is owed, and `Giden Kutusu` shows nothing - but the client's own copy is recognised there.

use crate::clock::Clock;
use crate::domain::job::Route;
use crate::domain::reply::ReplyToken;
use crate::id::JobId;
use crate::mime::answer::{self, Unread};
use crate::mime::summary::Summary;
use crate::service::account::Principal;
use crate::service::approval::Approval;
use crate::service::failure::{Failure, Kind};
use crate::service::submission::{check_header, header_end};
use crate::store::db::{Batch, Db};
use crate::store::tables::Stored;
use crate::store::tables::mails::{self, Known, digest};
use crate::store::tables::replies::{self, ReplyReference};
use std::sync::Arc;

/// Octets of an answer, held in memory: what a person writes, what he quotes, and a signature with a picture.
const ANSWER_MAX_OCTETS: usize = 512 * 1024;

pub struct Answering {
    pub db: Arc<dyn Db>,
    pub clock: Arc<dyn Clock>,
    pub approval: Arc<Approval>,
}

impl Answering {
    /// Whether the user may answer to this address now. One that was used may be: the same answer is sent again.
    pub fn check(&self, by: &Principal, token: ReplyToken) -> Result<(), Failure> {
        let reference = self.reference(by, token)?;
        self.approval.show(by, reference.row.job).map(drop)
    }

    fn reference(&self, by: &Principal, token: ReplyToken) -> Result<Stored<ReplyReference>, Failure> {
        let found = replies::find(&*self.db, by.tenant, &digest(&token.octets()))?;
        let Some(found) = found.filter(|found| self.clock.now() < found.row.until) else {
            let say = "this answer address is not known, or it has expired; answer a newer status message, or use kepctl job note";
            return Err(Failure::refused(Kind::UnknownRecipient, say));
        };
        if found.row.user != by.user {
            let say = "this answer address was given to another user; answer the status message that you got yourself";
            return Err(Failure::refused(Kind::NoPermission, say));
        }
        Ok(found)
    }

    /// Starts to take an answer in.
    pub fn begin(self: &Arc<Self>, by: &Principal, token: ReplyToken) -> Answer {
        Answer {
            to: self.clone(),
            by: by.clone(),
            token,
            octets: Vec::new(),
        }
    }

    /// Adds to the batch that the address is used up, and that the client's copy of this answer is known.
    fn use_up(&self, batch: &mut Batch, answer: &Answer, message_id: Option<&str>) -> Result<(), Failure> {
        let reference = self.reference(&answer.by, answer.token)?;
        if reference.row.used_by.is_some() {
            return Err(used());
        }
        let used = ReplyReference {
            used_by: Some(digest(&answer.octets)),
            ..reference.row.clone()
        };
        reference.replace(batch, &used)?;
        let (tenant, user) = (answer.by.tenant, answer.by.user);
        if let Some(id) = message_id
            && mails::known(&*self.db, tenant, user, id)?.is_none()
        {
            let known = Known {
                item: reference.row.item,
                mail: None,
            };
            mails::set_known(batch, tenant, user, id, None, known)?;
        }
        Ok(())
    }
}

fn used() -> Failure {
    let say = "this answer address has been used: your note is with the job already; for another one answer a newer \
               status message, or use kepctl job note";
    Failure::refused(Kind::WrongState, say)
}

/// An answer that is coming in.
pub struct Answer {
    to: Arc<Answering>,
    by: Principal,
    token: ReplyToken,
    octets: Vec<u8>,
}

impl Answer {
    /// Takes the next octets, dots unstuffed.
    pub fn write(&mut self, chunk: &[u8]) -> Result<(), Failure> {
        if self.octets.len() + chunk.len() > ANSWER_MAX_OCTETS {
            let say = format!(
                "an answer to a status message has at most {ANSWER_MAX_OCTETS} octets; leave attachments and quoted text out"
            );
            return Err(Failure::refused(Kind::TooLarge, say));
        }
        self.octets.extend_from_slice(chunk);
        Ok(())
    }

    /// The answer is complete. `Ok` means that its note is with the job and durable.
    pub async fn finish(self) -> Result<JobId, Failure> {
        let to = self.to.clone();
        let reference = to.reference(&self.by, self.token)?;
        let job = reference.row.job;
        match reference.row.used_by {
            Some(by) if by == digest(&self.octets) => return Ok(job),
            Some(_) => return Err(used()),
            None => {}
        }
        let organisation = to.approval.organisations.of(self.by.tenant)?;
        let header = header_end(&self.octets, 0).unwrap_or(self.octets.len());
        check_header(&organisation, self.octets.get(..header).unwrap_or_default())?;
        let note = self.note()?;
        let message_id = Summary::of(&self.octets).message_id;
        let with = |batch: &mut Batch| to.use_up(batch, &self, message_id.as_deref());
        let left = to
            .approval
            .note_with(&self.by, job, &note, Route::Mail, &with)
            .await;
        match left {
            Ok(_) => Ok(job),
            // On another connection the same answer was faster.
            Err(refused) => match to.reference(&self.by, self.token)?.row.used_by {
                Some(by) if by == digest(&self.octets) => Ok(job),
                _ => Err(refused),
            },
        }
    }

    /// The words of the user himself.
    fn note(&self) -> Result<String, Failure> {
        let invalid = |say: &str| Err(Failure::refused(Kind::Invalid, say));
        if answer::is_automatic(&self.octets) {
            return invalid(
                "this answer was made by a program (Auto-Submitted); only a person's words become a note",
            );
        }
        match answer::own_words(&self.octets) {
            Ok(words) if words.is_empty() => invalid(
                "the answer has no words of its own; write your note above the quoted text and send it again",
            ),
            Ok(words) => Ok(words),
            Err(Unread::NoText) => {
                invalid("the answer has no text; write your note as plain text and send it again")
            }
            Err(Unread::Html) => {
                invalid("the answer is in HTML only; set your mail reader to plain text and send it again")
            }
            Err(Unread::TooLong) => invalid("the text of the answer is too long; leave quoted text out"),
        }
    }
}
