//! APPEND and REPLACE (RFC 9051 6.3.12, RFC 3502, RFC 8508): messages that come in, from the engine to the service.

use super::Connection;
use super::carry::{log, marks, nothing_open, pairs, refusal};
use crate::clock::UtcTime;
use crate::id::ItemId;
use crate::imap::ask::{Answer, AppendNext, AppendOpen, AppendUid, Code, Member};
use crate::imap::flag::Flags;
use crate::service::account::Principal;
use crate::service::failure::{Failure, Kind};
use crate::service::mailbox::Appending;
use tokio::time::Instant;

/// Messages that are coming in.
pub(super) struct Arriving {
    appending: Appending,
    /// Of the message under way.
    flags: Flags,
    date: Option<UtcTime>,
    literal8: bool,
    replaces: Option<Member>,
    /// What went wrong on the way; told at its end.
    failed: Option<Failure>,
    /// Until when it must have come in whole.
    pub(super) until: Instant,
}

impl Arriving {
    /// The failure on the way, as the client hears it.
    fn refused(&mut self) -> Option<Answer> {
        let failure = self.failed.take()?;
        let malformed = matches!(&failure, Failure::Refused(refused) if refused.kind == Kind::Malformed);
        let mut refusal = refusal(failure);
        if malformed && self.literal8 {
            // RFC 3516 4.4: a literal8 that cannot be kept as it is. It would have to be encoded, and so altered.
            refusal.code = Some(Code::UnknownCte);
        }
        Some(Answer::Refused(refusal))
    }
}

impl Connection<'_> {
    pub(super) async fn append_open(&mut self, by: &Principal, open: AppendOpen) -> Result<Answer, Failure> {
        self.appending = None;
        let mailboxes = &self.door.mailboxes;
        let mailbox = match mailboxes.resolve(by, open.mailbox.as_str()) {
            Err(Failure::Refused(refused)) if refused.kind == Kind::NotFound => {
                return self.not_there(by, &open.mailbox, refused.text);
            }
            other => other?,
        };
        let mut appending = mailboxes.append(by, mailbox, open.size).await?;
        if let Some(old) = open.replaces {
            let from = self.opened.as_ref().ok_or_else(nothing_open)?.mailbox;
            appending = appending.replacing(from, ItemId(old.key))?;
        }
        self.appending = Some(Arriving {
            appending,
            flags: open.flags,
            date: open.date,
            literal8: open.literal8,
            replaces: open.replaces,
            failed: None,
            until: Instant::now() + super::MESSAGE_WITHIN,
        });
        Ok(Answer::Done)
    }

    /// RFC 3502: the message so far is complete, another follows. Refused, all are forgotten.
    pub(super) async fn append_next(&mut self, next: AppendNext) -> Result<Answer, Failure> {
        let mut arriving = self.appending.take().ok_or_else(none_coming)?;
        if let Some(refused) = arriving.refused() {
            return Ok(refused);
        }
        let marks = marks(&arriving.flags);
        arriving.appending.next(&marks, arriving.date, next.size).await?;
        self.appending = Some(Arriving {
            flags: next.flags,
            date: next.date,
            literal8: next.literal8,
            until: Instant::now() + super::MESSAGE_WITHIN,
            ..arriving
        });
        Ok(Answer::Done)
    }

    pub(super) async fn append_chunk(&mut self, octets: &[u8]) {
        if let Some(arriving) = &mut self.appending
            && arriving.failed.is_none()
            && let Err(failure) = arriving.appending.write(octets).await
        {
            arriving.failed = Some(failure);
        }
    }

    pub(super) async fn append_end(&mut self, by: &Principal) -> Result<Answer, Failure> {
        let mut arriving = self.appending.take().ok_or_else(none_coming)?;
        if let Some(refused) = arriving.refused() {
            return Ok(refused);
        }
        let marks = marks(&arriving.flags);
        let uids = arriving.appending.finish_all(&marks, arriving.date).await?;
        tracing::debug!(login = %by.login, "appended");
        // What was brought is there: that news cannot be told just now is no failure of this command.
        if let Err(failure) = self.told_replaced(by, arriving.replaces).await {
            log(&failure);
        }
        Ok(Answer::Appended(
            uids.map(|(uid_validity, uids)| AppendUid { uid_validity, uids }),
        ))
    }

    async fn told_replaced(&mut self, by: &Principal, old: Option<Member>) -> Result<(), Failure> {
        if let (Some(old), Some(opened)) = (old, &mut self.opened) {
            let mailboxes = &self.door.mailboxes;
            mailboxes.told_left(by, opened, &pairs(&[old])).await?;
        }
        self.apply_news().await
    }
}

fn none_coming() -> Failure {
    Failure::Broken("no message is coming in".into())
}
