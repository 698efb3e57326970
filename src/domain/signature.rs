//! Signatures of persons on what they send: who has to sign, what a signature reaches, and what evidence says of it.
//!
//! The profiles are those of BTK's decision 2012/DK-15/299. Which octets are signed and whether it holds is not known here
//! (`validation::personal`). No identity number stands in any of these values: evidence goes to other providers.

use crate::clock::UtcTime;
use serde::{Deserialize, Serialize};

/// Whose signature mail of an account has to carry when it is handed in or leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SignatureDemand {
    /// Nobody's. One that is there is looked at all the same.
    #[default]
    None,
    /// Of whoever hands the mail in, to be sent or into a flow.
    Author,
    /// Of an officer who lets it leave: on his own mail, or on what others wrote and was approved.
    Officer,
}

impl SignatureDemand {
    pub fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Author => "author",
            Self::Officer => "officer",
        }
    }

    /// Whether a mail has to be signed when it is handed in. `into_flow`: it waits for approval first.
    pub fn when_handed_in(self, into_flow: bool) -> bool {
        match self {
            Self::None => false,
            Self::Author => true,
            Self::Officer => !into_flow,
        }
    }
}

/// How much a signature brings along (2012/DK-15/299), the weakest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub enum SignatureProfile {
    /// S/MIME as common mail readers write it: the signature does not name its signer's certificate (below BES, and below
    /// every profile of the decision). Counts only where the provider says so.
    #[serde(rename = "plain")]
    Plain,
    /// The signature alone (BES).
    #[default]
    P1,
    /// With a time-stamp; revocation lists are waited for (T).
    P2,
    /// With certificates and revocation lists (XL).
    P3,
    /// With certificates and OCSP responses (XL).
    P4,
}

impl SignatureProfile {
    pub const ALL: [Self; 5] = [Self::Plain, Self::P1, Self::P2, Self::P3, Self::P4];

    pub fn word(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::P1 => "P1",
            Self::P2 => "P2",
            Self::P3 => "P3",
            Self::P4 => "P4",
        }
    }

    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|p| p.word() == word)
    }

    /// The profile whose policy this is; those below P2 have none.
    pub fn from_policy(oid: &str) -> Option<Self> {
        Some(match oid {
            "2.16.792.1.61.0.1.5070.3.1.1" => Self::P2,
            "2.16.792.1.61.0.1.5070.3.2.1" => Self::P3,
            "2.16.792.1.61.0.1.5070.3.3.1" => Self::P4,
            _ => return None,
        })
    }
}

/// What is known of a revocation of the signer's certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum SignatureStanding {
    /// It was not revoked, and nothing that is said later changes that.
    Final,
    /// Not revoked so far; what is issued from that moment on is the last word.
    NotFinal { final_from: UtcTime },
    /// This provider asks nobody.
    NotAsked,
}

impl SignatureStanding {
    pub fn word(self) -> &'static str {
        match self {
            Self::Final => "final",
            Self::NotFinal { .. } => "not-final",
            Self::NotAsked => "not-asked",
        }
    }
}

/// A signature of a person that holds, as evidence tells of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PersonSignature {
    pub profile: SignatureProfile,
    /// Common names, for people.
    pub signer: String,
    pub issuer: String,
    pub certificate_sha256: [u8; 32],
    /// When the signer says he signed.
    pub claimed_at: Option<UtcTime>,
    /// When the signature was there by the word of a time-stamp authority.
    pub stamped_at: Option<UtcTime>,
    /// The moment the certificate was judged for: of the time-stamp, else of receipt.
    pub judged_at: UtcTime,
    pub standing: SignatureStanding,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_to_sign_what() {
        use SignatureDemand::{Author, None, Officer};
        for (demand, sent, into_flow) in [(None, false, false), (Author, true, true), (Officer, true, false)]
        {
            assert_eq!(demand.when_handed_in(false), sent, "{demand:?}");
            assert_eq!(demand.when_handed_in(true), into_flow, "{demand:?}");
        }
    }

    #[test]
    fn profiles_grow_and_are_known_by_word_and_policy() {
        assert!(SignatureProfile::ALL.windows(2).all(|pair| pair[0] < pair[1]));
        for profile in SignatureProfile::ALL {
            assert_eq!(SignatureProfile::from_word(profile.word()), Some(profile));
        }
        let of = |n: u8| SignatureProfile::from_policy(&format!("2.16.792.1.61.0.1.5070.3.{n}.1"));
        assert_eq!(
            [of(0), of(1), of(2), of(3), of(4)],
            [
                None,
                Some(SignatureProfile::P2),
                Some(SignatureProfile::P3),
                Some(SignatureProfile::P4),
                None
            ]
        );
    }
}
