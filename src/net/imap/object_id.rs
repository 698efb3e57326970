//! The ids of OBJECTID (RFC 8474): one function for each, so that FETCH and SEARCH say the same.
//!
//! An item is never copied, so its number names the message in every mailbox. There is no stored thread: a thread is
//! named after the first message of its References, which answers carry along. Two messages that share only an
//! ancestor neither of them names stay two threads here.

use crate::id::ItemId;
use crate::mime::summary::Summary;
use crate::mime::threading::{bracketed, ids_of};
use aws_lc_rs::digest::{SHA256, digest};

/// Octets of the digest of a root's Message-ID that make a THREADID: nobody meets another's by chance.
const ROOT_OCTETS: usize = 16;

/// EMAILID (RFC 8474 5.1).
pub(super) fn email_id(item: ItemId) -> String {
    format!("M{}", item.0)
}

/// THREADID (RFC 8474 5.2). It changes only with the content, and content never changes.
pub(super) fn thread_id(item: ItemId, summary: &Summary) -> String {
    let references = || summary.references.iter().flat_map(|text| ids_of(text)).next();
    let answered = || summary.in_reply_to.as_deref().map(bracketed)?.into_iter().next();
    let own = || summary.message_id.as_deref().map(ids_of)?.into_iter().next();
    match references().or_else(answered).or_else(own) {
        Some(root) => {
            let digest = digest(&SHA256, root.as_bytes());
            let hex = digest.as_ref().iter().take(ROOT_OCTETS);
            hex.fold("T".to_owned(), |id, octet| format!("{id}{octet:02x}"))
        }
        // It is in no thread but its own.
        None => format!("T{}", item.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn thread(fields: &str) -> String {
        thread_id(ItemId(7), &Summary::of(fields.as_bytes()))
    }

    #[test]
    fn a_thread_is_named_after_its_root() {
        let root = thread("Message-ID: <1@x>\r\n\r\n");
        assert_eq!(root.len(), 1 + 2 * ROOT_OCTETS);
        assert_eq!(thread("Message-ID: <2@x>\r\nIn-Reply-To: <1@x>\r\n\r\n"), root);
        assert_eq!(
            thread("Message-ID: <3@x>\r\nReferences: <\"1\"@x>\r\n <2@x>\r\n\r\n"),
            root
        );
        assert_ne!(thread("Message-ID: <2@x>\r\n\r\n"), root);
        assert_eq!(thread("Subject: x\r\n\r\n"), "T7");
        assert_eq!(email_id(ItemId(7)), "M7");
        let allowed = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        assert!(root.chars().all(allowed));
    }
}
