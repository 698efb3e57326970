//! Keys, sealing, time-stamp authorities, trust and verification. The only room that sees a private key.
//!
//! A *seal* is what the provider does. [`sealer::Sealer`] seals evidence (XAdES B-T) and MIME entities (CAdES with a
//! signature time-stamp); [`verifier`] says what is to be thought of both, offline and without a clock; [`tsa`] speaks to
//! time-stamp authorities through a trait, for no socket is opened here, and so does [`revocation`], which collects what
//! authorities say of revoked certificates; [`lasting`] says by what a document can be judged for ever; [`holder`] judges
//! certificates that users log in with; [`pki`] makes certificates for development, and [`revoking`] revokes them.

pub mod asking;
pub mod enveloped;
pub mod holder;
pub mod kamusm;
pub mod key;
pub mod lasting;
pub mod pki;
pub mod reliance;
pub mod revocation;
pub mod revoking;
pub mod sealer;
pub mod signatory;
pub mod trust;
pub mod tsa;
pub mod verifier;

pub use asking::Asker;
pub use holder::{CertificateJudge, Judging, PathJudge, Unfit};
pub use key::{KeyError, SealKey};
pub use reliance::{Basis, Reliance, Relied, Revocation, Revoked};
pub use sealer::{SealError, Sealer};
pub use signatory::{Ring, Signatory};
pub use trust::{Judged, TrustStore};
pub use tsa::{Authorities, DevAuthority, Stamps, TimestampClient, TimestampTransport, TransportError};
pub use verifier::{
    EntityReport, EvidenceReport, Finding, Findings, verify_entity, verify_evidence, verify_tree,
};

#[cfg(test)]
mod tests;
