//! The IMAP server engine: RFC 9051 and RFC 3501 without any input or output of its own.
//!
//! ```text
//! octets --> framer --> parse --> command --> session --> Ask      (the door carries it out)
//!                                               view      Answer   (and says what came of it)
//! octets <-- Out  <-- response <----------------'
//! ```
//!
//! The engine knows the grammar, the states, sequence numbers and what may be said when. It does not know where mail
//! lives, who may log in, or that registered mail exists: it asks ([`ask::Ask`]) and is answered ([`ask::Answer`]).
//! Message bodies never sit in it: APPEND comes as chunks, FETCH leaves as [`ask::Out::Content`] requests.

pub mod ask;
pub mod command;
pub mod flag;
pub mod framer;
pub mod grammar;
pub mod limits;
mod literal;
pub mod name;
pub mod notify;
pub mod parse;
mod parse_around;
pub mod parse_fetch;
mod parse_notify;
mod parse_property;
pub mod parse_search;
mod parse_sort;
mod parse_store;
pub mod partial;
pub mod property;
pub mod recent;
pub mod response;
mod response_fetch;
pub mod search;
pub mod session;
pub mod set;
pub mod sort;
pub mod structure;
pub mod thread;
mod translate;
mod translate_resync;
pub mod view;
mod wildcard;

#[cfg(test)]
mod dialogue_tests;
#[cfg(test)]
mod resync_tests;
#[cfg(test)]
mod test_content;
#[cfg(test)]
mod test_door;
#[cfg(test)]
mod test_folders;
#[cfg(test)]
mod test_mailbox;
#[cfg(test)]
mod test_search;

pub use ask::{Answer, Ask, Changes, Out, Refusal};
pub use session::{Session, Settings};
