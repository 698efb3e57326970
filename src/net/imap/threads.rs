//! THREAD (RFC 5256): from outlines to what `mime` threads, and from its branches to the engine's.
//!
//! Subjects are the same whatever the case and whichever `i` was typed: for grouping, that takes together what
//! i;unicode-casemap takes together, and what a Turkish reader does.

use super::verdict::Known;
use crate::domain::folding::name_key;
use crate::imap::thread::{ThreadAlgorithm, Threaded, Threads};
use crate::mime::base_subject::base_subject;
use crate::mime::references::References;
use crate::mime::threading::{Branch, Letter, OrderedSubject};
use crate::service::failure::{Failure, Kind};

/// Messages threaded at once: each takes some two hundred octets, with the ids it refers to.
const THREADED_MAX: usize = 300_000;

/// The messages found so far.
pub(super) struct Threading {
    how: How,
    count: usize,
}

enum How {
    Subject(OrderedSubject),
    References(Box<References>),
}

impl Threading {
    pub(super) fn new(algorithm: ThreadAlgorithm) -> Self {
        let how = match algorithm {
            ThreadAlgorithm::OrderedSubject => How::Subject(OrderedSubject::default()),
            ThreadAlgorithm::References => How::References(Box::default()),
        };
        Self { how, count: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.count
    }

    /// In order of UID.
    pub(super) fn add(&mut self, known: &Known) -> Result<(), Failure> {
        let Some(summary) = known.letter.as_ref().map(|letter| &letter.outline.summary) else {
            return Ok(());
        };
        if self.count >= THREADED_MAX {
            let say = "there are too many messages to be threaded at once; search for fewer";
            return Err(Failure::refused(Kind::TooMany, say));
        }
        self.count += 1;
        let base = base_subject(&summary.subject);
        let letter = Letter {
            uid: known.uid,
            // RFC 5256 2.2: where there is no sent date, the internal date.
            sent: summary.date.unwrap_or_else(|| known.arrived()),
            subject: &name_key(&base.text),
            is_reply: base.is_reply,
        };
        match &mut self.how {
            How::Subject(threading) => threading.add(letter),
            How::References(threading) => threading.add(
                letter,
                summary.message_id.as_deref(),
                &summary.references,
                summary.in_reply_to.as_deref(),
            ),
        }
        Ok(())
    }

    pub(super) fn threads(self) -> Threads {
        let branches = match self.how {
            How::Subject(threading) => threading.threads(),
            How::References(threading) => threading.threads(),
        };
        let threaded = |Branch { depth, uid }| Threaded { depth, uid };
        branches.into_iter().map(threaded).collect()
    }
}
