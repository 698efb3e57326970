//! The ids of OBJECTID (RFC 8474): one function for each, so that FETCH and SEARCH say the same.

use crate::id::ItemId;
use crate::mime::summary::Summary;

/// EMAILID (RFC 8474 5.1): an item is never copied, so its number names the message in every mailbox.
pub(super) fn email_id(item: ItemId) -> String {
    format!("M{}", item.0)
}

/// THREADID (RFC 8474 5.2): each message is a thread of its own as long as none are kept.
pub(super) fn thread_id(item: ItemId, _summary: &Summary) -> String {
    format!("T{}", item.0)
}
