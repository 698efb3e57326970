//! What a recipient says of a mail he has: accepted, or refused.

use super::words::{ControlDoor, Outcome, hex, one};
use crate::control::protocol::{Declare, Record};
use crate::domain::job::Route;
use crate::domain::mail::Declared;
use crate::domain::provider::Fingerprint;
use crate::service::declaring::DeclarationAsked;
use crate::service::failure::{Failure, Kind};

impl ControlDoor {
    pub(super) async fn declare(&self, wish: Declare, declared: Declared) -> Outcome {
        let by = self.actor()?;
        let invalid = |say: &str| Failure::refused(Kind::Invalid, say);
        let original_sha256 = match wish.sha256 {
            Some(text) => Some(Fingerprint::try_from(text).map_err(invalid)?.0),
            None => None,
        };
        let asked = DeclarationAsked {
            mail: wish.mail,
            declared,
            route: Route::Kepctl,
            note: &wish.note,
            original_sha256,
        };
        let consignment = self.declaring.declare(by, asked).await?;
        let record = Record::new()
            .text("mail", consignment.id)
            .text("subject", &consignment.subject)
            .text("from", &consignment.sender)
            .text("to", &consignment.recipient);
        one(match consignment.declaration {
            None => record,
            Some(declaration) => record
                .text("declared", declaration.declared.done())
                .text("by", declaration.by_login)
                .text("route", declaration.route.word())
                .text("note", declaration.note)
                .text("at", declaration.at)
                .text("original_sha256", hex(&declaration.original_sha256)),
        })
    }
}
