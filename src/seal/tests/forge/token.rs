//! Time-stamp tokens and responses field by field (RFC 3161 2.4.2).

use super::super::now;
use super::cms::{CmsDraft, Signer};
use super::keys::{Party, World};
use crate::clock::UtcTime;
use crate::cms::DigestAlgorithm;
use crate::cms::der;
use crate::cms::signed::CONTENT_TST_INFO;

pub const POLICY: &str = "2.999.792.1";

/// What an authority is led to state.
#[derive(Clone)]
pub struct TokenDraft {
    pub party: &'static Party,
    /// The algorithm that is named for the imprint.
    pub imprint_algorithm: Vec<u8>,
    pub imprint: Vec<u8>,
    pub version: u8,
    pub policy: String,
    pub gen_time: UtcTime,
    pub nonce: Option<Vec<u8>>,
    /// What follows the nonce: tsa, extensions.
    pub tail: Vec<u8>,
    pub content_type: Vec<u8>,
    /// Changes the SignedData before it is signed.
    pub bend: fn(&mut CmsDraft),
}

impl TokenDraft {
    /// An honest token over octets.
    pub fn honest(world: &'static World, octets: &[u8]) -> Self {
        Self::by(&world.tsa, octets)
    }

    pub fn by(party: &'static Party, octets: &[u8]) -> Self {
        let digest = DigestAlgorithm::Sha256;
        Self {
            party,
            imprint_algorithm: digest.identifier(),
            imprint: digest.digest(octets),
            version: 1,
            policy: POLICY.to_owned(),
            gen_time: now(),
            nonce: None,
            tail: Vec::new(),
            content_type: CONTENT_TST_INFO.to_vec(),
            bend: |_| {},
        }
    }

    pub fn info(&self) -> Vec<u8> {
        let policy = der::oid_from_dotted(&self.policy).unwrap();
        let nonce = self.nonce.as_ref().map(|n| der::unsigned(n)).unwrap_or_default();
        der::sequence(&[
            &der::tlv(der::INTEGER, &[&[self.version]]),
            &der::tlv(der::OID, &[&policy]),
            &der::sequence(&[
                &self.imprint_algorithm,
                &der::tlv(der::OCTET_STRING, &[&self.imprint]),
            ]),
            &der::unsigned(&[7, 7]),
            &der::generalized_time(self.gen_time),
            &nonce,
            &self.tail,
        ])
    }

    pub fn der(&self) -> Vec<u8> {
        let info = self.info();
        let mut draft = CmsDraft {
            version: 3,
            content_type: self.content_type.clone(),
            content: Some(info.clone()),
            signers: vec![Signer::honest(self.party, &self.content_type, &info)],
            ..CmsDraft::honest(self.party, &info)
        };
        (self.bend)(&mut draft);
        draft.der()
    }
}

/// A TimeStampResp with this status, and what follows it in PKIStatusInfo.
pub fn response(status: u8, info: &[u8], token: &[u8]) -> Vec<u8> {
    der::sequence(&[
        &der::sequence(&[&der::tlv(der::INTEGER, &[&[status]]), info]),
        token,
    ])
}
