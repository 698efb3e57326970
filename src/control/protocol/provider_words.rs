//! The words about what lies between providers: peers, and the queue to them.

use super::NotBuilt;
use super::words::words;
use crate::address::{Domain, KepAddress};
use crate::id::QueueId;
use clap::{Args, Subcommand};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

words! {
    #[derive(Subcommand)]
    pub enum PeerWord {
        List,
        Show { domain: Domain },
        Add(PeerAdd),
        /// Change a profile
        Set(PeerSet),
        Remove { domain: Domain },
        /// Take a peer's profile from the file its `peer export` wrote
        Import {
            #[serde(skip)]
            file: PathBuf,
            #[arg(skip)]
            profile: String,
        },
        /// Print this provider's own profile for a peer to import
        Export,
        /// (not built yet)
        Test(NotBuilt),
    }

    #[derive(Args)]
    pub struct PeerAdd {
        pub domain: Domain,
        /// Name or address of its relay door
        #[arg(long)]
        pub host: String,
        #[arg(long, default_value_t = 25)]
        pub port: u16,
        /// SHA-256 of its TLS certificate; may be repeated
        #[arg(long = "tls")]
        pub tls_sha256: Vec<String>,
        /// SHA-256 of its seal certificate; may be repeated
        #[arg(long = "seal")]
        pub seal_sha256: Vec<String>,
        /// PEM file: anchors and intermediates of its seal and time-stamps
        #[arg(long, value_name = "FILE")]
        #[serde(skip)]
        pub trust: PathBuf,
        #[arg(skip)]
        pub trust_pem: String,
        /// Where its users' evidence goes; kep@DOMAIN when left out
        #[arg(long)]
        pub service: Option<KepAddress>,
        /// Largest message it takes, in octets
        #[arg(long)]
        pub size_max_bytes: Option<u64>,
    }

    #[derive(Args)]
    pub struct PeerSet {
        pub domain: Domain,
        #[arg(long)]
        pub host: Option<String>,
        #[arg(long)]
        pub port: Option<u16>,
        /// In place of the TLS fingerprints known so far
        #[arg(long = "tls")]
        pub tls_sha256: Vec<String>,
        /// In place of the seal fingerprints known so far
        #[arg(long = "seal")]
        pub seal_sha256: Vec<String>,
        /// PEM file in place of the trust material known so far
        #[arg(long, value_name = "FILE")]
        #[serde(skip)]
        pub trust: Option<PathBuf>,
        #[arg(skip)]
        pub trust_pem: Option<String>,
        #[arg(long)]
        pub size_max_bytes: Option<u64>,
    }

    #[derive(Subcommand)]
    pub enum QueueWord {
        List,
        Show { id: QueueId },
        /// Try an entry, or all, now
        Retry {
            #[arg(required_unless_present = "all")]
            id: Option<QueueId>,
            #[arg(long, conflicts_with = "id")]
            all: bool,
        },
        /// (not built yet)
        Hold(NotBuilt),
        /// (not built yet)
        Release(NotBuilt),
    }
}
