//! What an evidence does to the mail it speaks of: the recipient's state, and the keyword the sender sees.

use crate::address::KepAddress;
use crate::domain::evidence::{Event, EvidenceKind};
use crate::domain::item::Report;
use crate::domain::mail::{Declared, MailEvent, Recipient, RecipientEvent, RecipientState};
use crate::id::{MailId, TenantId};
use crate::service::failure::Failure;
use crate::store::db::{Batch, Db};
use crate::store::tables::{items, mails};

/// What an evidence tells of a recipient.
#[derive(Clone, Copy)]
enum Tale {
    /// An event of his life as the road knows it.
    Of(RecipientEvent),
    /// His own word on the mail, which stands beside that.
    Declared(Declared),
}

fn tale(kind: EvidenceKind, event: Event) -> Option<Tale> {
    use EvidenceKind as K;
    if kind == K::AcceptanceRejectionByRecipient {
        return match event {
            Event::Acceptance => Some(Tale::Declared(Declared::Accepted)),
            Event::Rejection => Some(Tale::Declared(Declared::Refused)),
            _ => None,
        };
    }
    Some(Tale::Of(match (kind, event) {
        (K::RelayREMMDAcceptanceRejection, Event::Acceptance) => RecipientEvent::PeerTook,
        (K::RelayREMMDAcceptanceRejection, Event::Rejection) => RecipientEvent::PeerRefused,
        (K::RelayREMMDFailure, _) => RecipientEvent::GaveUp,
        (K::DeliveryNonDeliveryToRecipient, Event::Delivery) => RecipientEvent::Consigned,
        (K::DeliveryNonDeliveryToRecipient, _) => RecipientEvent::NotConsigned,
        (K::RetrievalNonRetrievalByRecipient, Event::Retrieval) => RecipientEvent::Read,
        (K::RetrievalNonRetrievalByRecipient, Event::RetrievalExpiration) => RecipientEvent::Expired,
        _ => return None,
    }))
}

/// The recipient as he is known afterwards; `None` when it tells nothing new.
fn after(who: &Recipient, tale: Tale) -> Option<Recipient> {
    Some(match tale {
        Tale::Of(event) => Recipient {
            state: who.state.after(event)?,
            ..who.clone()
        },
        Tale::Declared(declared) => Recipient {
            declared: Some(who.after_declaration(declared)?),
            ..who.clone()
        },
    })
}

/// Whether it tells of a delivery that a reading has overtaken: that moves nothing any more, and is shown all the same.
fn is_late_delivery(who: &Recipient, tale: Tale) -> bool {
    let read = matches!(who.state, RecipientState::Read | RecipientState::Expired);
    read && matches!(tale, Tale::Of(RecipientEvent::Consigned))
}

fn report(tale: Tale) -> Option<Report> {
    let event = match tale {
        Tale::Of(event) => event,
        Tale::Declared(declared) => return Some(declared.into()),
    };
    Some(match event {
        RecipientEvent::Consigned => Report::Delivered,
        RecipientEvent::Read => Report::Read,
        RecipientEvent::Expired => Report::ReadExpired,
        RecipientEvent::PeerRefused | RecipientEvent::GaveUp | RecipientEvent::NotConsigned => {
            Report::Refused
        }
        RecipientEvent::Queued | RecipientEvent::PeerReplied | RecipientEvent::PeerTook => return None,
    })
}

/// Adds to the batch what the evidence changes. Evidence that tells nothing new changes nothing.
pub fn apply(
    db: &dyn Db,
    batch: &mut Batch,
    tenant: TenantId,
    mail: MailId,
    told: (EvidenceKind, Event),
    recipient: Option<&KepAddress>,
) -> Result<(), Failure> {
    let Some(tale) = tale(told.0, told.1) else {
        return Ok(());
    };
    let Some(stored) = mails::mail(db, tenant, mail)? else {
        return Ok(());
    };
    let Some(index) = recipient.and_then(|r| stored.row.position(r)) else {
        return Ok(());
    };
    let mut changed = stored.row.clone();
    let Some(who) = changed.recipients.get_mut(index.0 as usize) else {
        return Ok(());
    };
    match after(who, tale) {
        Some(next) => *who = next,
        None if is_late_delivery(who, tale) => {}
        None => return Ok(()),
    }
    if changed.recipients.iter().all(|r| r.state.is_final()) {
        changed.state = changed.state.after(MailEvent::Concluded).unwrap_or(changed.state);
    }
    stored.replace(batch, &changed)?;
    if let Some(report) = report(tale)
        && let Some(old) = items::item(db, tenant, changed.item)?
        && !old.row.reports.contains(&report)
    {
        let mut item = old.row.clone();
        item.reports.insert(report);
        items::replace(batch, tenant, &old, &item)?;
    }
    Ok(())
}
