//! Cards, authorities and signatures, each octet of them made here.

use super::*;

/// The list of OIDs as an extension has it.
pub(super) fn oids(list: &[&str]) -> Vec<u8> {
    let entry = |oid: &&str| der::sequence(&[&der::tlv(der::OID, &[&der::oid_from_dotted(oid).unwrap()])]);
    let entries: Vec<Vec<u8>> = list.iter().map(entry).collect();
    der::sequence(&entries.iter().map(Vec::as_slice).collect::<Vec<_>>())
}

pub(super) fn statements(list: &[&str]) -> Vec<u8> {
    extension::write(&[0x2b, 6, 1, 5, 5, 7, 1, 3], false, &oids(list))
}

pub(super) fn policies(list: &[&str]) -> Vec<u8> {
    extension::write(extension::CERTIFICATE_POLICIES, false, &oids(list))
}

/// A card that is right.
pub(super) fn person(number: &str) -> Plan {
    let mut plan = Plan::leaf("x").only(vec![key_usage(0x40), statements(NES), policies(&[NES_POLICY])]);
    plan.subject = dn(&[(&[0x55, 4, 3], "AYŞE ÖRNEK"), (&[0x55, 4, 5], number)]);
    plan
}

pub(super) fn bound(tckn: Option<&str>) -> UserCertificates {
    UserCertificates {
        tckn: tckn.map(|n| n.parse().unwrap()),
        ..UserCertificates::default()
    }
}

/// Authorities, and what is asked for.
pub(super) struct Scene {
    pub(super) root: Party,
    pub(super) tsa: Party,
    pub(super) standards: Standards,
}

pub(super) fn scene() -> Scene {
    let root = Plan::authority("Deneme NES Kök").self_signed();
    let purpose = {
        let list = der::tlv(der::OID, &[EKU_TIME_STAMPING]);
        extension::write(&[0x55, 0x1d, 37], true, &der::sequence(&[&list]))
    };
    let tsa = Plan::leaf("Zaman").only(vec![key_usage(0xc0), purpose]).by(&root);
    let mut trust = TrustStore::new();
    trust.add_anchor(root.certificate.clone());
    Scene {
        standards: Standards {
            stamps: trust.clone(),
            trust,
            least: SignatureProfile::P1,
            takes_test_certificates: false,
            match_address: true,
        },
        root,
        tsa,
    }
}

/// What is signed, and what comes along.
#[derive(Clone)]
pub(super) struct Making<'a> {
    pub(super) signer: &'a Party,
    pub(super) content: &'a [u8],
    pub(super) claimed: Option<UtcTime>,
    pub(super) policy: Option<&'a str>,
    /// Time and authority of the time-stamp, and whether it is over this very signature.
    pub(super) stamp: Option<(UtcTime, &'a Party, bool)>,
    pub(super) certificates: Vec<Vec<u8>>,
    pub(super) crls: Vec<Vec<u8>>,
    pub(super) ocsp: Vec<Vec<u8>>,
    pub(super) digest_oid: &'a [u8],
    pub(super) signers: usize,
    pub(super) names_certificate: bool,
}

pub(super) const SHA256_OID: &[u8] = &[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1];
pub(super) const SHA1_OID: &[u8] = &[0x2b, 14, 3, 2, 26];

impl<'a> Making<'a> {
    pub(super) fn by(signer: &'a Party) -> Self {
        Self {
            signer,
            content: CONTENT,
            claimed: Some(at("06-01T12:00")),
            policy: None,
            stamp: None,
            certificates: Vec::new(),
            crls: Vec::new(),
            ocsp: Vec::new(),
            digest_oid: SHA256_OID,
            signers: 1,
            names_certificate: true,
        }
    }

    pub(super) fn attribute(last: u8, value: &[u8]) -> Vec<u8> {
        let base = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9];
        let oid = match last {
            3..=5 => [&base[..], &[last]].concat(),
            other => [&base[..], &[16, 2, other]].concat(),
        };
        der::sequence(&[&der::tlv(der::OID, &[&oid]), &der::tlv(der::SET, &[value])])
    }

    pub(super) fn signed_attributes(&self) -> Vec<u8> {
        let data = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 1];
        let mut list = vec![
            Self::attribute(3, &der::tlv(der::OID, &[&data])),
            Self::attribute(4, &der::tlv(der::OCTET_STRING, &[&sha256(self.content)])),
        ];
        list.extend(self.claimed.map(|t| Self::attribute(5, &der::time(t))));
        if self.names_certificate {
            let hash = der::tlv(der::OCTET_STRING, &[&self.signer.certificate.fingerprint()]);
            let id = der::sequence(&[&der::sequence(&[&der::sequence(&[&hash])])]);
            list.push(Self::attribute(47, &id));
        }
        if let Some(policy) = self.policy {
            let id = der::tlv(der::OID, &[&der::oid_from_dotted(policy).unwrap()]);
            let digest = der::sequence(&[
                &der::sequence(&[&der::tlv(der::OID, &[SHA256_OID])]),
                &der::tlv(der::OCTET_STRING, &[&[7; 32]]),
            ]);
            list.push(Self::attribute(15, &der::sequence(&[&id, &digest])));
        }
        der::set_of(der::SET, list)
    }

    pub(super) fn unsigned_attributes(&self, signature: &[u8]) -> Vec<u8> {
        let values = |list: &[Vec<u8>]| der::sequence(&list.iter().map(Vec::as_slice).collect::<Vec<_>>());
        let mut list = Vec::new();
        if let Some((time, authority, over_this)) = self.stamp {
            let covered = if over_this { signature } else { b"something else" };
            list.push(Self::attribute(14, &token(authority, time, covered)));
        }
        if !self.certificates.is_empty() {
            list.push(Self::attribute(23, &values(&self.certificates)));
        }
        if !self.crls.is_empty() || !self.ocsp.is_empty() {
            let of = |n, list: &[Vec<u8>]| match list.is_empty() {
                true => Vec::new(),
                false => der::tlv(context(n), &[&values(list)]),
            };
            list.push(Self::attribute(
                24,
                &der::sequence(&[&of(0, &self.crls), &of(1, &self.ocsp)]),
            ));
        }
        match list.is_empty() {
            true => Vec::new(),
            false => der::set_of(context(1), list),
        }
    }

    pub(super) fn der(&self) -> Vec<u8> {
        let attributes = self.signed_attributes();
        let signature = self.signer.key.sign(&attributes).unwrap();
        let mut implicit = attributes;
        implicit[0] = context(0);
        let digest = der::sequence(&[&der::tlv(der::OID, &[self.digest_oid])]);
        let info = der::sequence(&[
            &der::tlv(der::INTEGER, &[&[1]]),
            &der::sequence(&[
                self.signer.certificate.issuer_der(),
                &der::tlv(der::INTEGER, &[self.signer.certificate.serial()]),
            ]),
            &digest,
            &implicit,
            &ECDSA.identifier(),
            &der::tlv(der::OCTET_STRING, &[&signature]),
            &self.unsigned_attributes(&signature),
        ]);
        let data = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 1];
        let signed_data = der::sequence(&[
            &der::tlv(der::INTEGER, &[&[1]]),
            &der::tlv(der::SET, &[&digest]),
            &der::sequence(&[&der::tlv(der::OID, &[&data])]),
            &der::tlv(context(0), &[self.signer.certificate.der()]),
            &der::tlv(der::SET, &[&info.repeat(self.signers)]),
        ]);
        let oid = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 2];
        der::sequence(&[
            &der::tlv(der::OID, &[&oid]),
            &der::tlv(context(0), &[&signed_data]),
        ])
    }
}

pub(super) fn token(authority: &Party, time: UtcTime, covered: &[u8]) -> Vec<u8> {
    use crate::cms::signed::{Assembly, SignedAttributes};
    let info = TstInfo {
        policy: "2.999.1",
        imprint: &ContentDigest::Sha256(sha256(covered)),
        serial: 1,
        gen_time: time,
        accuracy_s: 1,
        nonce_der: None,
    }
    .der()
    .unwrap();
    let attributes = SignedAttributes::new(CONTENT_TST_INFO, &sha256(&info), &authority.certificate, time);
    let signature = authority.key.sign(attributes.to_be_signed()).unwrap();
    let assembly = Assembly {
        attributes: &attributes,
        signer: &authority.certificate,
        chain: &[],
        algorithm: ECDSA,
        signature: &signature,
        content_type: CONTENT_TST_INFO,
        content: Some(&info),
        stamp_token: None,
    };
    assembly.der()
}
