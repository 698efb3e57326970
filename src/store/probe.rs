//! Named points around every durable step, so that tests can end the process exactly there.

/// Hears that a point was reached. In production nobody listens.
pub trait Probe: Send + Sync + 'static {
    fn reached(&self, point: &'static str);
}

#[derive(Debug, Default, Clone, Copy)]
pub struct NoProbe;

impl Probe for NoProbe {
    fn reached(&self, _point: &'static str) {}
}

pub const BEFORE_WRITE: &str = "group: before the write";
pub const BEFORE_SYNC: &str = "group: written, not synced";
pub const BEFORE_ACK: &str = "group: synced, not acknowledged";
pub const BLOB_WRITTEN: &str = "blob: written, not synced";
pub const BLOB_SYNCED: &str = "blob: synced, not renamed";
pub const BLOB_RENAMED: &str = "blob: renamed, folder not synced";
pub const BLOB_DURABLE: &str = "blob: durable, not acknowledged";

/// All of them, for tests that walk them.
pub const CRASH_POINTS: [&str; 7] = [
    BEFORE_WRITE,
    BEFORE_SYNC,
    BEFORE_ACK,
    BLOB_WRITTEN,
    BLOB_SYNCED,
    BLOB_RENAMED,
    BLOB_DURABLE,
];
