//! The words about certificates that users log in with.

use super::words::words;
use crate::address::LoginName;
use clap::Args;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

words! {
    #[derive(Args)]
    pub struct CertWish {
        /// USER@TENANT
        pub login: LoginName,
        /// Bind the (first) certificate of this file, PEM
        #[arg(long, value_name = "FILE", group = "wish")]
        #[serde(skip)]
        pub add: Option<PathBuf>,
        /// What stood in the file: one certificate
        #[arg(skip)]
        pub pem: Option<String>,
        /// Let in every qualified certificate (NES) that carries this identity number
        #[arg(long, value_name = "NUMBER", group = "wish")]
        pub tckn: Option<TcknText>,
        /// Take the certificate with this SHA-256 fingerprint, or beginning of it, away
        #[arg(long, value_name = "FINGERPRINT", group = "wish")]
        pub remove: Option<String>,
        /// Take the identity number away
        #[arg(long, group = "wish")]
        #[serde(default)]
        pub remove_tckn: bool,
    }
}

/// An identity number as it was typed. Debug says nothing.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TcknText(pub String);

impl FromStr for TcknText {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Debug for TcknText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TcknText")
    }
}
