//! Errors of the services answer three questions: whose fault, try again, what may the peer hear.

use crate::domain::job::JobRefusal;
use crate::store::StoreError;
use crate::store::db::CommitError;
use crate::store::row::RowError;
use crate::store::spool::SpoolError;

/// Why something asked for is not done, by kind. The doors have one table each from here to their own codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Not an address of a known realm.
    NotKepAddress,
    UnknownProvider,
    UnknownRecipient,
    /// The account does not send or receive now.
    AccountClosed,
    NoPermission,
    /// The sender's address is not the user's.
    NotYourAddress,
    TooLarge,
    /// It has to carry its sender's signature, and carries none.
    Unsigned,
    /// A person's signature does not verify, or is not the one that is asked for.
    BadSignature,
    /// The certificate of a person's signature had ended or was revoked.
    SignerEnded,
    /// The message is not well-formed.
    Malformed,
    /// A seal, certificate, time-stamp or schema does not hold.
    NotGenuine,
    TooMany,
    /// The account's storage is full.
    OverQuota,
    /// The account's prepaid credit does not reach.
    NoCredit,
    /// No such thing.
    NotFound,
    /// Its name is taken.
    Exists,
    /// The wish itself makes no sense.
    Invalid,
    /// Right wish, wrong moment.
    WrongState,
    /// It stands on the legal record.
    OnRecord,
}

/// Between the English and the Turkish of a sentence that is said in both.
pub const BETWEEN_LANGUAGES: &str = " / ";

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct Refusal {
    pub kind: Kind,
    /// A sentence for whoever asked: what is wrong and what to do.
    pub text: String,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The asker's to change; asking again brings the same.
    #[error("{0}")]
    Refused(Refusal),
    /// Nobody's fault; the same may work later. The text is for the log.
    #[error("temporarily not possible: {0}")]
    Unavailable(String),
    /// Ours. The text is for the log; state is as it was.
    #[error("internal error: {0}")]
    Broken(String),
}

impl Failure {
    pub fn refused(kind: Kind, text: impl Into<String>) -> Self {
        Failure::Refused(Refusal {
            kind,
            text: text.into(),
        })
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unreadable { .. } | StoreError::Row(_) => Failure::Broken(error.to_string()),
            other => Failure::Unavailable(other.to_string()),
        }
    }
}

impl From<RowError> for Failure {
    fn from(error: RowError) -> Self {
        if error.too_large {
            let say = format!("this is more than can be recorded in one place ({error})");
            return Failure::refused(Kind::TooMany, say);
        }
        Failure::Broken(error.to_string())
    }
}

impl From<CommitError> for Failure {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::Broken(text) | CommitError::Unreadable(text) => Failure::Broken(text),
            CommitError::TooLarge(text) => {
                Failure::refused(Kind::TooMany, format!("too much at once: {text}"))
            }
            other => Failure::Unavailable(other.to_string()),
        }
    }
}

impl From<SpoolError> for Failure {
    fn from(error: SpoolError) -> Self {
        match error {
            // A row names it: it will not be there later either.
            SpoolError::Missing(_) => Failure::Broken(error.to_string()),
            other => Failure::Unavailable(other.to_string()),
        }
    }
}

impl From<JobRefusal> for Failure {
    fn from(refusal: JobRefusal) -> Self {
        let kind = match refusal {
            JobRefusal::NotYourStep { .. }
            | JobRefusal::OwnMail
            | JobRefusal::NotOfficer
            | JobRefusal::NotJobManager
            | JobRefusal::NotAuthor => Kind::NoPermission,
            JobRefusal::NoteTooLong | JobRefusal::NotAble(_) | JobRefusal::NobodyAble(_) => Kind::Invalid,
            _ => Kind::WrongState,
        };
        Failure::refused(kind, refusal.to_string())
    }
}
