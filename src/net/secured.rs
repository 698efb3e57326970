//! What a TLS connection lends to a login: the value to bind an exchange to, and the certificate that the client showed.

use super::asking::can_prove;
use crate::cms::Certificate;
use crate::sasl::{CHANNEL_BINDING_LABEL, CHANNEL_BINDING_OCTETS, ChannelBinding, Mechanism};
use crate::service::account::Presented;
use rustls::{ProtocolVersion, ServerConnection};

/// Certificates taken from a client beside its own: no national hierarchy is deeper.
const ALONG_MAX: usize = 8;

/// Of one connection, once hands are shaken.
#[derive(Debug, Clone, Default)]
pub struct Secured {
    binding: Option<ChannelBinding>,
    presented: Option<Presented>,
}

impl Secured {
    pub fn of(connection: &ServerConnection) -> Self {
        Self {
            binding: binding(connection),
            presented: presented(connection),
        }
    }

    pub fn binding(&self) -> Option<ChannelBinding> {
        self.binding.clone()
    }

    pub fn presented(&self) -> Option<&Presented> {
        self.presented.as_ref()
    }

    /// The mechanisms to offer on this connection, by name.
    pub fn mechanisms(&self) -> Vec<String> {
        let offered = Mechanism::offered(self.binding.is_some(), self.presented.is_some());
        offered.map(|m| m.name().to_owned()).collect()
    }
}

/// RFC 9266 2. Under TLS 1.2 the value binds only with an extended master secret (RFC 9266 4.2), and rustls does not say
/// whether there is one: no binding is offered there.
fn binding(connection: &ServerConnection) -> Option<ChannelBinding> {
    if connection.protocol_version() != Some(ProtocolVersion::TLSv1_3) {
        return None;
    }
    let exported =
        connection.export_keying_material([0; CHANNEL_BINDING_OCTETS], CHANNEL_BINDING_LABEL, None);
    exported.ok().map(ChannelBinding::new)
}

fn presented(connection: &ServerConnection) -> Option<Presented> {
    let (first, rest) = connection.peer_certificates()?.split_first()?;
    let Some(leaf) = Certificate::from_der(first).ok().filter(can_prove) else {
        return Some(Presented::Unusable);
    };
    // What cannot be read helps no path; the rest may.
    let along = rest.iter().take(ALONG_MAX);
    let along = along.filter_map(|der| Certificate::from_der(der).ok()).collect();
    Some(Presented::Proved { leaf, along })
}
