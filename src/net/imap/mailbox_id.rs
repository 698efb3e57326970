//! MAILBOXID (RFC 8474 4): an identifier that a mailbox keeps when it is renamed, and that no other mailbox gets.
//!
//! Labels and units have numbers that are not given again; the other mailboxes are always there.

use crate::domain::selector::Mailbox;
use crate::service::account::Principal;

pub(super) fn mailbox_id(by: &Principal, mailbox: Mailbox) -> String {
    let (word, number) = match mailbox {
        Mailbox::Inbox => ("inbox", None),
        Mailbox::Sent => ("sent", None),
        Mailbox::Drafts => ("drafts", None),
        Mailbox::Important => ("important", None),
        Mailbox::All => ("all", None),
        Mailbox::Archive => ("archive", None),
        Mailbox::Trash => ("trash", None),
        Mailbox::Evidence => ("evidence", None),
        Mailbox::JobsPending => ("pending", None),
        Mailbox::JobsElsewhere => ("elsewhere", None),
        Mailbox::JobsDone => ("done", None),
        Mailbox::JobsLate => ("late", None),
        Mailbox::JobsReady => ("ready", None),
        Mailbox::Approve => ("approve", None),
        Mailbox::Reject => ("reject", None),
        Mailbox::Release => ("release", None),
        Mailbox::Return => ("return", None),
        Mailbox::Withdraw => ("withdraw", None),
        Mailbox::Cancel => ("cancel", None),
        Mailbox::Undo => ("undo", None),
        Mailbox::Accept => ("accept", None),
        Mailbox::Refuse => ("refuse", None),
        Mailbox::Flow(rule) => ("flow", Some(rule.0)),
        Mailbox::Label(label) => ("label", Some(label.0)),
        Mailbox::Unit(unit) => ("unit", Some(unit.0)),
    };
    let tenant = by.tenant.0;
    match number {
        Some(number) => format!("F{tenant}-{word}-{number}"),
        None => format!("F{tenant}-{word}"),
    }
}
