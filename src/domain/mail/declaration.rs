//! What a recipient declares of a mail he has: he accepts it or refuses it, once (TS 102 640-2,
//! AcceptanceRejectionByRecipient).
//!
//! The table of legal moves is drawn in `domain::mail`. A declaration stands beside the states there and moves none of
//! them: accepting is not reading, and refusing stops no clock (`docs/decisions/0020`). Who may declare for a tenant is
//! not known here.

use super::{Consignment, Recipient, RecipientState};
use crate::clock::UtcTime;
use crate::domain::job::{NOTE_MAX_OCTETS, Route};
use crate::id::UserId;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Declared {
    Accepted,
    Refused,
}

impl Declared {
    pub const ALL: [Declared; 2] = [Declared::Accepted, Declared::Refused];

    /// The verb of `kepctl`.
    pub fn word(self) -> &'static str {
        match self {
            Declared::Accepted => "accept",
            Declared::Refused => "refuse",
        }
    }

    /// What has been done, in words.
    pub fn done(self) -> &'static str {
        match self {
            Declared::Accepted => "accepted",
            Declared::Refused => "refused",
        }
    }

    /// What stands after an event: the first word holds, and there is no second.
    pub fn after(before: Option<Declared>, event: Declared) -> Option<Declared> {
        before.is_none().then_some(event)
    }
}

/// The recipient's own word, with who said it for him. Written once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Declaration {
    pub declared: Declared,
    pub by: UserId,
    /// The login at that time.
    pub by_login: String,
    pub route: Route,
    /// Told to the sender, too.
    pub note: String,
    pub at: UtcTime,
    /// The original it is about.
    pub original_sha256: [u8; 32],
}

/// Why a declaration is not taken. Each says what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeclarationRefusal {
    #[error(
        "this mail was {} already, by {by} at {at} (by {route}); a mail is accepted or refused once, and that stands",
        .declared.done()
    )]
    Already {
        declared: Declared,
        by: String,
        at: UtcTime,
        route: &'static str,
    },
    #[error(
        "the digest you name is not that of this mail's original; open the mail again and declare on what it holds"
    )]
    OtherOctets,
    #[error("the note is longer than {NOTE_MAX_OCTETS} octets; shorten it")]
    NoteTooLong,
}

impl Consignment {
    /// The consignment with the declaration on it.
    pub fn declare(&self, declaration: Declaration) -> Result<Consignment, DeclarationRefusal> {
        let before = self.declaration.as_ref();
        let next = Declared::after(before.map(|d| d.declared), declaration.declared);
        if let (Some(old), None) = (before, next) {
            return Err(DeclarationRefusal::Already {
                declared: old.declared,
                by: old.by_login.clone(),
                at: old.at,
                route: old.route.word(),
            });
        }
        if declaration.original_sha256 != self.original_sha256 {
            return Err(DeclarationRefusal::OtherOctets);
        }
        if declaration.note.len() > NOTE_MAX_OCTETS {
            return Err(DeclarationRefusal::NoteTooLong);
        }
        Ok(Consignment {
            declaration: Some(declaration),
            ..self.clone()
        })
    }
}

impl RecipientState {
    /// Whether a recipient of whom this is known can have the mail, and so declare something of it.
    pub fn may_declare(self) -> bool {
        use RecipientState::*;
        !matches!(self, Refused | Failed | NotConsigned)
    }
}

impl Recipient {
    /// What is known of his declaration after evidence of one; `None` when it tells nothing new.
    pub fn after_declaration(&self, declared: Declared) -> Option<Declared> {
        let may = self.state.may_declare();
        Declared::after(self.declared, declared).filter(|_| may)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::mail::{ConsignmentState, SenderHome};
    use crate::id::{ItemId, MailId, TenantId};

    fn consignment() -> Consignment {
        Consignment {
            id: MailId::from_octets([1; 16]),
            tenant: TenantId(1),
            item: ItemId(1),
            home: SenderHome::Here {
                tenant: TenantId(2),
                mail: MailId::from_octets([2; 16]),
            },
            sender: "a@b.c".parse().unwrap(),
            recipient: "d@b.c".parse().unwrap(),
            listed: vec!["d@b.c".parse().unwrap()],
            subject: String::new(),
            message_id: String::new(),
            rem_message_id: "x".into(),
            original_sha256: [7; 32],
            submitted_at: None,
            delivered_at: UtcTime::from_unix_s(0),
            state: ConsignmentState::Delivered,
            declaration: None,
        }
    }

    fn declaration(declared: Declared) -> Declaration {
        Declaration {
            declared,
            by: UserId(1),
            by_login: "mudur@ornekas".into(),
            route: Route::Folder,
            note: String::new(),
            at: UtcTime::from_unix_s(5),
            original_sha256: [7; 32],
        }
    }

    #[test]
    fn it_is_declared_once_on_these_octets_and_moves_no_state() {
        for state in ConsignmentState::ALL {
            for declared in Declared::ALL {
                let before = Consignment {
                    state,
                    ..consignment()
                };
                let after = before.declare(declaration(declared)).unwrap();
                assert_eq!(after.state, state);
                assert_eq!(after.declaration, Some(declaration(declared)));
                for again in Declared::ALL {
                    let refused = after.declare(declaration(again)).unwrap_err().to_string();
                    let told = [declared.done(), "mudur@ornekas", "1970-01-01T00:00:05Z", "folder"];
                    assert!(told.iter().all(|word| refused.contains(word)), "{refused}");
                }
            }
        }
    }

    #[test]
    fn other_octets_and_endless_notes_are_refused() {
        let other = Declaration {
            original_sha256: [8; 32],
            ..declaration(Declared::Accepted)
        };
        assert_eq!(consignment().declare(other), Err(DeclarationRefusal::OtherOctets));
        let mut long = declaration(Declared::Refused);
        long.note = "n".repeat(NOTE_MAX_OCTETS);
        assert!(consignment().declare(long.clone()).is_ok());
        long.note.push('n');
        assert_eq!(consignment().declare(long), Err(DeclarationRefusal::NoteTooLong));
    }
}
