//! CMS and what stands on it: certificates, path validation, revocation, detached SignedData, RFC 3161 time-stamps,
//! evidence records.
//!
//! The rule of this room: foreign DER is never decoded and encoded again before it is hashed or checked. The reader of
//! [`der`] hands out slices of the octets as they came; RFC 3161 requests and the values of certificate extensions, which
//! are only read, go through `rasn`. No key lives here: whoever signs is given octets and gives a signature back.

pub mod algorithm;
mod ber;
pub mod certificate;
pub mod crl;
pub mod der;
pub mod ers;
pub mod extension;
pub mod locations;
pub mod memory;
mod name;
pub mod ocsp;
pub mod path;
mod pss;
pub mod qualified;
pub mod revocation;
mod revocation_info;
pub mod shelf;
pub mod signed;
#[cfg(test)]
pub(crate) mod testing;
pub mod tsp;

pub use algorithm::{ContentDigest, DigestAlgorithm, SignatureAlgorithm};
pub use certificate::Certificate;
pub use memory::{CertificateMemory, Known};
pub use name::without_names;
pub use path::{PathError, Purpose};
pub use revocation::{RevocationReason, RevocationValues, Standing};
pub use shelf::RevocationShelf;
