//! `[persons]`: whose certificates persons sign their mail with, and what a signature has to reach.

use crate::domain::signature::SignatureProfile;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Persons {
    /// None: signatures of persons are not looked at, and no account can demand them.
    pub trust: Option<PathBuf>,
    /// Dotted OIDs of certificate policies of which one must hold; empty: any.
    pub policies: Vec<String>,
    /// The least profile a signature has to reach.
    pub profile: SignatureProfile,
    pub match_address: bool,
    /// Whether certificates for trying out count.
    pub test_certificates: bool,
}

impl Default for Persons {
    fn default() -> Self {
        Self {
            trust: None,
            policies: Vec::new(),
            profile: SignatureProfile::P1,
            match_address: true,
            test_certificates: false,
        }
    }
}

impl Persons {
    pub(super) fn check_sense(&self) -> Result<(), String> {
        let is_number = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        let is_oid = |oid: &String| oid.contains('.') && oid.split('.').all(is_number);
        match self.policies.iter().find(|oid| !is_oid(oid)) {
            Some(oid) => Err(format!(
                "persons.policies: \"{oid}\" is no object identifier; write numbers with dots between them"
            )),
            None => Ok(()),
        }
    }
}
