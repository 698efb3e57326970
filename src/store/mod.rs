//! Rows and bytes: the only room that opens files at work. It decides nothing.
//!
//! [`db`] keeps ordered keys in an embedded engine, with atomic conditional batches that are durable when they return;
//! [`spool`] keeps blobs by the SHA-256 of their content; [`tables`] says which rows exist.

pub mod db;
mod fjall_engine;
mod floors;
pub mod folder;
pub mod fulltext;
mod group;
mod ledger;
mod lock;
mod lookout;
pub mod many_folders;
pub mod probe;
pub mod row;
mod row_cache;
mod sled_engine;
pub mod spool;
pub mod tables;
mod torn_journal;

pub use db::prefix_end;

/// Why the store could not be read.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("the store cannot be read: {0}")]
    Io(String),
    #[error("the row under key {} cannot be read: {error}", Hex(.key))]
    Unreadable { key: Vec<u8>, error: row::RowError },
    #[error("{0}")]
    Row(#[from] row::RowError),
}

/// Octets as they are logged.
struct Hex<'a>(&'a [u8]);

impl std::fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))
    }
}
