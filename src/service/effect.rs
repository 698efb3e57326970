//! What an evidence does to the mail it speaks of: the recipient's state, and the keyword the sender sees.

use crate::address::KepAddress;
use crate::domain::evidence::{Event, EvidenceKind};
use crate::domain::item::Report;
use crate::domain::mail::{MailEvent, RecipientEvent};
use crate::id::{MailId, TenantId};
use crate::service::failure::Failure;
use crate::store::db::{Batch, Db};
use crate::store::tables::{items, mails};

/// The event of a recipient's life that an evidence tells, if it tells one.
fn recipient_event(kind: EvidenceKind, event: Event) -> Option<RecipientEvent> {
    use EvidenceKind as K;
    Some(match (kind, event) {
        (K::RelayREMMDAcceptanceRejection, Event::Acceptance) => RecipientEvent::PeerTook,
        (K::RelayREMMDAcceptanceRejection, Event::Rejection) => RecipientEvent::PeerRefused,
        (K::RelayREMMDFailure, _) => RecipientEvent::GaveUp,
        (K::DeliveryNonDeliveryToRecipient, Event::Delivery) => RecipientEvent::Consigned,
        (K::DeliveryNonDeliveryToRecipient, _) => RecipientEvent::NotConsigned,
        (K::RetrievalNonRetrievalByRecipient, Event::Retrieval) => RecipientEvent::Read,
        (K::RetrievalNonRetrievalByRecipient, Event::RetrievalExpiration) => RecipientEvent::Expired,
        _ => return None,
    })
}

fn report(event: RecipientEvent) -> Option<Report> {
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
    let Some(event) = recipient_event(told.0, told.1) else {
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
    let Some(next) = who.state.after(event) else {
        return Ok(());
    };
    who.state = next;
    if changed.recipients.iter().all(|r| r.state.is_final()) {
        changed.state = changed.state.after(MailEvent::Concluded).unwrap_or(changed.state);
    }
    stored.replace(batch, &changed)?;
    if let Some(report) = report(event)
        && let Some(old) = items::item(db, tenant, changed.item)?
        && !old.row.reports.contains(&report)
    {
        let mut item = old.row.clone();
        item.reports.insert(report);
        items::replace(batch, tenant, &old, &item)?;
    }
    Ok(())
}
