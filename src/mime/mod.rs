//! Messages as octets: where their parts lie, what their headers say, and small composing.
//!
//! RFC 5322, 2045-2047, 2231, 9051 (section numbers), and 5256: threads. Nothing here re-encodes a received message: what is signed or
//! digested is always the exact octets, found by offset.

pub mod answer;
pub mod base_subject;
pub mod compose;
pub mod decode;
pub mod edit;
pub mod field;
mod html;
mod leaves;
pub mod mailbox;
pub mod references;
pub mod scan;
pub mod structure;
pub mod summary;
pub mod threading;
pub mod transfer;

pub use scan::Scanner;
pub use structure::{Part, PartKind, Section, Span, Structure};
