//! Channel binding: what ties an exchange to the TLS connection it goes over (RFC 5056), here `tls-exporter` (RFC 9266).
//!
//! Whoever sits between two TLS connections and passes SASL messages on has two different values, and is found out. The
//! value is exported where TLS ends and handed in; nothing is computed here. Deliberately not done: `tls-unique` (broken
//! before RFC 7627, not there in TLS 1.3) and `tls-server-end-point` (RFC 5929 4).

use aws_lc_rs::constant_time;
use std::fmt;

/// RFC 9266 2: octets exported.
pub const CHANNEL_BINDING_OCTETS: usize = 32;
/// RFC 9266 2: the label of the export; its context is empty.
pub const CHANNEL_BINDING_LABEL: &[u8] = b"EXPORTER-Channel-Binding";
/// The name of the type in a GS2 header (RFC 5801 4).
pub(super) const CHANNEL_BINDING_TYPE: &str = "tls-exporter";

/// The value of one connection. It is no secret of the client's, but nobody else's business either: Debug is silent.
#[derive(Clone)]
pub struct ChannelBinding([u8; CHANNEL_BINDING_OCTETS]);

impl ChannelBinding {
    pub const fn new(exported: [u8; CHANNEL_BINDING_OCTETS]) -> Self {
        Self(exported)
    }

    pub(super) fn octets(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for ChannelBinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ChannelBinding")
    }
}

impl PartialEq for ChannelBinding {
    fn eq(&self, other: &Self) -> bool {
        constant_time::verify_slices_are_equal(&self.0, &other.0).is_ok()
    }
}

impl Eq for ChannelBinding {}
