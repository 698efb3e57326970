//! Tests of the whole room: independent judges, mutations, time-stamp authorities that lie.

mod asking;
mod attacks;
mod authorities;
mod corpus;
mod foreign;
mod forge;
mod judges;
mod lasting;
mod reliance;
mod remembering;
mod revocation;
mod revocation_judges;
mod rolling;
mod sharing;
mod slow_places;
mod stamp_corpus;
mod stamps;
mod tokens;

use super::pki::{DevPki, KeyAlgorithm, Plan};
use super::tsa::{
    DevAuthority, LocalTransport, NonceSource, SystemNonces, TimestampClient, TimestampTransport,
};
use super::verifier::{EvidenceReport, verify_evidence};
use super::{SealError, SealKey, Sealer, TrustStore};
use crate::clock::{ManualClock, UtcTime};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

pub(super) const SCHEMA: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/tests/schemas/rem-02640-xades2024/rem-all.xsd"
);

/// 2026-11-23T20:45:05Z
pub(super) fn now() -> UtcTime {
    UtcTime::from_unix_s(1_795_466_705)
}

pub(super) const EVIDENCE: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<rem:SubmissionAcceptanceRejection xmlns:rem="http://uri.etsi.org/02640/v2#" version="2.1.1" Id="_e1">
 <rem:EventCode>http:uri.etsi.org/02640/Event#Acceptance</rem:EventCode>
 <rem:EvidenceIdentifier>ev-1</rem:EvidenceIdentifier>
 <rem:EvidenceIssuerDetails><rem:AttributedElectronicAddress scheme="mailto">kep@hs01.kep.test</rem:AttributedElectronicAddress></rem:EvidenceIssuerDetails>
 <rem:EventTime>2026-11-23T20:45:01Z</rem:EventTime>
 <rem:SenderDetails><rem:AttributedElectronicAddress scheme="mailto" DisplayName="Şule &amp; İ">a@hs01.kep.test</rem:AttributedElectronicAddress></rem:SenderDetails>
 <rem:RecipientsDetails><rem:EntityDetails><rem:AttributedElectronicAddress>b@hs02.kep.test</rem:AttributedElectronicAddress></rem:EntityDetails></rem:RecipientsDetails>
 <rem:EvidenceRefersToRecipient>1</rem:EvidenceRefersToRecipient>
 <rem:SenderMessageDetails isNotification="false"><rem:MessageSubject>Konu: ığüşöç</rem:MessageSubject><rem:MessageIdentifierByREMMD>&lt;2@hs01.kep.test&gt;</rem:MessageIdentifierByREMMD><ds:DigestMethod xmlns:ds="http://www.w3.org/2000/09/xmldsig#" Algorithm="http://www.w3.org/2001/04/xmlenc#sha256"/><ds:DigestValue xmlns:ds="http://www.w3.org/2000/09/xmldsig#">AAAA</ds:DigestValue></rem:SenderMessageDetails>
</rem:SubmissionAcceptanceRejection>
"#;

/// A provider with everything it needs to seal, and the store that trusts it.
pub(super) struct House {
    pub pki: DevPki,
    pub trust: Arc<TrustStore>,
    pub sealer: Sealer,
}

pub(super) fn pki(algorithm: KeyAlgorithm) -> DevPki {
    DevPki::generate(&Plan {
        domain: "hs01.kep.test".parse().unwrap(),
        seal_address: "kep@hs01.kep.test".parse().unwrap(),
        dns_names: vec!["mx.hs01.kep.test".to_owned()],
        not_before: now().minus(Duration::from_secs(86_400)),
        not_after: now().plus(Duration::from_secs(86_400 * 3650)),
        seal_key: algorithm,
    })
    .unwrap()
}

pub(super) fn authority(pki: &DevPki) -> DevAuthority {
    let key = SealKey::from_pem(&pki.tsa.key_pem).unwrap();
    DevAuthority::new(key, pki.tsa.certificate().unwrap()).unwrap()
}

pub(super) fn client(
    transport: impl TimestampTransport + 'static,
    trust: &Arc<TrustStore>,
) -> TimestampClient {
    let nonces: Arc<dyn NonceSource> = Arc::new(SystemNonces);
    TimestampClient::new(Arc::new(transport), nonces, trust.clone())
}

pub(super) fn house_with(pki: DevPki, transport: impl TimestampTransport + 'static) -> House {
    let key = SealKey::from_pem(&pki.seal.key_pem).unwrap();
    house_with_key(pki, key, transport)
}

pub(super) fn house_with_key(
    pki: DevPki,
    key: SealKey,
    transport: impl TimestampTransport + 'static,
) -> House {
    let mut trust = TrustStore::new();
    trust.add_pem_text(&pki.ca.certificate_pem).unwrap();
    let trust = Arc::new(trust);
    let sealer = Sealer::new(
        key,
        vec![pki.seal.certificate().unwrap()],
        client(transport, &trust),
    )
    .unwrap();
    House { pki, trust, sealer }
}

pub(super) fn house(algorithm: KeyAlgorithm) -> House {
    let pki = pki(algorithm);
    let transport = LocalTransport::new(authority(&pki), Arc::new(ManualClock::at(now())), 1);
    house_with(pki, transport)
}

/// Stands in for the schema where it is not the matter.
pub(super) fn no_schema(_: &[u8]) -> Result<(), String> {
    Ok(())
}

pub(super) fn judge(house: &House, xml: &[u8]) -> EvidenceReport {
    verify_evidence(xml, &house.trust, no_schema)
}

/// Runs a judge; its words are in the failure.
pub(super) fn run(command: &mut Command) -> String {
    let out = command.output().unwrap();
    let words = format!(
        "{}{}",
        String::from_utf8_lossy(&out.stdout),
        String::from_utf8_lossy(&out.stderr)
    );
    assert!(out.status.success(), "{command:?}\n{words}");
    words
}
