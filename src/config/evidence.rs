//! `[evidence]`: what is done with evidence after it was issued.

use super::value::Period;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The grace of the Turkish signature profiles with lists, P2 and P3: before it is over there is no last word on a signer.
const LASTING_DELAY_DEFAULT: Duration = Duration::from_secs(24 * 3600);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Evidence {
    pub lasting_delay: Period,
}

impl Default for Evidence {
    fn default() -> Self {
        Self {
            lasting_delay: Period(LASTING_DELAY_DEFAULT),
        }
    }
}
