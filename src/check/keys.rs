//! Whether the keys that seal and stamp may still be relied on (TS 119 312 9.3 and 9.5; `config/algorithms.toml`): a word a year
//! before their algorithm ends, a refusal after. Keys of TLS prove nothing later, so they are not looked at.

use crate::clock::UtcTime;
use crate::cms::Certificate;
use crate::config::Config;
use anyhow::bail;

/// Keys sign with SHA-256 (`seal::key`).
const DIGEST: &str = "SHA-256";

/// A warning about the key `what`, if there is one to give. The error is a sentence: it must not sign at `at`.
pub(super) fn look(
    config: &Config,
    what: &str,
    certificate: &Certificate,
    at: UtcTime,
) -> anyhow::Result<Option<String>> {
    let (family, bits) = (certificate.key_kind().family(), certificate.key_bits());
    match config.algorithms()?.warning(family, bits, DIGEST, at) {
        Ok(warning) => Ok(warning.map(|why| format!("the {what} key: {why}"))),
        Err(why) => bail!("the {what} key ({}) must not sign: {why}", certificate.subject()),
    }
}
