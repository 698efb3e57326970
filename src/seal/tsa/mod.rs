//! Time-stamp authorities (RFC 3161): one of them, several in order, and an embedded one for development.
//!
//! No socket is opened here: [`TimestampTransport`] carries one request and brings the answer. [`TimestampClient`] asks
//! one authority and believes nothing: status, imprint, nonce, policy, signature, purpose, path to an anchor at the
//! stamp's time, plausible time. [`Authorities`] asks several in turn, puts aside who fails, and holds our clock against
//! theirs. Whoever needs a stamp asks [`Stamps`]; whoever may share one with others, [`SharedStamps`].

mod client;
mod dev;
mod pace;
mod several;
mod shared;

use crate::clock::UtcTime;
use crate::cms::tsp::{NONCE_OCTETS, StampError};
use crate::cms::{ContentDigest, PathError};
pub use client::TimestampClient;
pub use dev::{DEV_POLICY, DevAuthority, LocalTransport};
pub use several::{Authorities, Authority, Figures, Terms};
pub use shared::{SHARED_MAX, SharedStamps, Witness};
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;
use zeroize::Zeroizing;

/// How far a fresh stamp's time may lie from ours, whatever is configured.
pub const TOLERANCE_DEFAULT: Duration = Duration::from_secs(300);

/// The authority cannot be reached now, or answered with something that is not an answer; try again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the time-stamp authority is not available: {0}")]
pub struct TransportError(pub String);

/// The answer of a transport.
pub type Exchange<'a> = Pin<Box<dyn Future<Output = Result<Vec<u8>, TransportError>> + Send + 'a>>;

/// Carries a TimeStampReq to an authority and brings the TimeStampResp.
pub trait TimestampTransport: Send + Sync {
    fn exchange<'a>(&'a self, request_der: Vec<u8>) -> Exchange<'a>;
}

/// Tells an authority who asks, by a header beside the request.
pub trait Introduction: Send + Sync {
    /// Name and value of the header for this request.
    fn header(&self, request_der: &[u8]) -> Result<(&'static str, Zeroizing<String>), TransportError>;
}

/// Where nonces come from; chance in the daemon, counted in tests.
pub trait NonceSource: Send + Sync {
    /// None when there is no chance to be had.
    fn nonce(&self) -> Option<[u8; NONCE_OCTETS]>;
}

/// The operating system's generator.
#[derive(Debug, Default, Clone, Copy)]
pub struct SystemNonces;

impl NonceSource for SystemNonces {
    fn nonce(&self) -> Option<[u8; NONCE_OCTETS]> {
        let mut octets = [0; NONCE_OCTETS];
        aws_lc_rs::rand::fill(&mut octets).ok().map(|()| octets)
    }
}

/// Why there is no stamp.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StampFailure {
    #[error(transparent)]
    Transport(#[from] TransportError),
    #[error(transparent)]
    Stamp(#[from] StampError),
    #[error("the time-stamp authority is not trusted: {0}")]
    Trust(#[from] PathError),
    #[error("no chance for a nonce")]
    Nonce,
    #[error("more stamps are asked for than timestamp.per_second allows")]
    Pace,
    /// Negative when our clock is ahead.
    #[error(
        "the clock of this host is {drift_ms} ms away from the time-stamp authorities; nothing is sealed until they agree"
    )]
    Clock { drift_ms: i64 },
    #[error("all time-stamp authorities are put aside, and none had the time to answer")]
    NoTime,
    #[error("a token for several signatures could not be shared: {0}")]
    Shared(String),
}

impl StampFailure {
    /// Whether trying again later may help: the authority was away, or said no; or our clock will be set.
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Transport(_) | Self::Nonce | Self::Pace | Self::Clock { .. } | Self::NoTime => true,
            Self::Stamp(error) => matches!(error, StampError::Refused { .. }),
            Self::Trust(_) | Self::Shared(_) => false,
        }
    }
}

/// A token that passed every check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamp {
    pub token_der: Vec<u8>,
    pub gen_time: UtcTime,
}

/// A stamp to come.
pub type Stamping<'a> = Pin<Box<dyn Future<Output = Result<Stamp, StampFailure>> + Send + 'a>>;

/// Who gives stamps.
pub trait Stamps: Send + Sync {
    /// A stamp over `imprint`, fresh at `now`.
    fn stamp(&self, imprint: ContentDigest, now: UtcTime) -> Stamping<'_>;
}
