//! Whether the keys that seal and stamp may still be relied on (TS 119 312 9.3 and 9.5; `config/algorithms.toml`): a word a year
//! before their algorithm ends, a refusal after. Keys of TLS prove nothing later, so they are not looked at.

use crate::clock::UtcTime;
use crate::cms::{Certificate, DigestAlgorithm, SignatureAlgorithm};
use crate::config::{Config, RsaPadding, SealDigest, Signing};
use crate::seal::key::{self, Manner};
use anyhow::bail;

/// How a key is to sign, as the configuration wishes.
pub fn manner(signing: Signing) -> Manner {
    Manner {
        digest: signing.digest.map(|digest| match digest {
            SealDigest::Sha256 => DigestAlgorithm::Sha256,
            SealDigest::Sha384 => DigestAlgorithm::Sha384,
            SealDigest::Sha512 => DigestAlgorithm::Sha512,
        }),
        rsa_padding: match signing.rsa_padding {
            RsaPadding::Pkcs1 => key::RsaPadding::Pkcs1,
            RsaPadding::Pss => key::RsaPadding::Pss,
        },
    }
}

/// A warning about the key `what`, if there is one to give. The error is a sentence: it must not sign at `at`.
pub(super) fn look(
    config: &Config,
    what: &str,
    (certificate, algorithm): (&Certificate, SignatureAlgorithm),
    at: UtcTime,
) -> anyhow::Result<Option<String>> {
    let (family, digest) = (algorithm.family(), algorithm.digest_algorithm().name());
    match config
        .algorithms()?
        .warning(family, certificate.key_bits(), digest, at)
    {
        Ok(warning) => Ok(warning.map(|why| format!("the {what} key: {why}"))),
        Err(why) => bail!("the {what} key ({}) must not sign: {why}", certificate.subject()),
    }
}
