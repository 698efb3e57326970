//! A provider that does what it should not: dispatches and evidence of any content, sealed with a real key.

use crate::provider::pki;
use kepd::clock::{Clock, ManualClock};
use kepd::cms::algorithm::sha256;
use kepd::domain::evidence::{Event, EvidenceFacts, EvidenceKind};
use kepd::id::{IdSource, SystemIds};
use kepd::rem::dispatch::{self, Dispatch};
use kepd::rem::layout::{EvidencePart, Outer};
use kepd::rem::receipt::{self, Enclosed, Receipt, Run};
use kepd::rem::{evidence, extensions, message, notice};
use kepd::seal::key::SealKey;
use kepd::seal::pki::Credential;
use kepd::seal::sealer::Sealer;
use kepd::seal::trust::TrustStore;
use kepd::seal::tsa::{DevAuthority, LocalTransport, SystemNonces, TimestampClient};
use std::sync::Arc;

pub struct Forge {
    sealer: Sealer,
    clock: Arc<ManualClock>,
    from: String,
}

impl Forge {
    /// With the seal and the time-stamp authority of a provider.
    pub fn of(domain: &str, clock: &Arc<ManualClock>) -> Self {
        let pki = pki(domain);
        let key = |c: &Credential| SealKey::from_pem(&c.key_pem).unwrap();
        let authority = DevAuthority::new(key(&pki.tsa), pki.tsa.certificate().unwrap()).unwrap();
        let time: Arc<dyn Clock> = clock.clone();
        let mut trust = TrustStore::new();
        trust.add_pem_text(&pki.ca.certificate_pem).unwrap();
        let transport = Arc::new(LocalTransport::new(authority, time, 1_000_000));
        let stamps = TimestampClient::new(transport, Arc::new(SystemNonces), Arc::new(trust));
        let sealer = Sealer::new(key(&pki.seal), vec![pki.seal.certificate().unwrap()], stamps).unwrap();
        Self {
            sealer,
            clock: clock.clone(),
            from: format!("kep@{domain}"),
        }
    }

    pub async fn sealed(&self, facts: &EvidenceFacts) -> Vec<u8> {
        let document = evidence::write(facts).unwrap();
        self.sealer
            .seal_evidence(&document.xml, self.clock.now())
            .await
            .unwrap()
    }

    /// An evidence that is signed and has no time-stamp.
    pub async fn unstamped(&self, facts: &EvidenceFacts) -> Vec<u8> {
        let sealed = String::from_utf8(self.sealed(facts).await).unwrap();
        let from = sealed.find("<xades:UnsignedProperties>").unwrap();
        let end = "</xades:UnsignedProperties>";
        let to = sealed.find(end).unwrap() + end.len();
        [&sealed[..from], &sealed[to..]].concat().into_bytes()
    }

    /// A dispatch around `original`, with an evidence as it is.
    pub async fn dispatch(
        &self,
        facts: &EvidenceFacts,
        xml: &[u8],
        original: &[u8],
        stamped: bool,
    ) -> Vec<u8> {
        let parts = dispatch::build(&Dispatch {
            outer: self.outer(facts),
            intro: notice::dispatch_intro("x", &facts.message.subject, facts.event_time, "x"),
            evidence: &[EvidencePart {
                kind: facts.kind,
                xml,
            }],
            extensions: &extensions::write(&extensions::Extensions::default()),
            original_is_8bit: true,
            original_file: "orijinal.eml",
        });
        let entity = [parts.entity_head.as_slice(), original, &parts.entity_tail].concat();
        let now = self.clock.now();
        let cms = match stamped {
            true => self.sealer.seal_entity(sha256(&entity), now).await.unwrap(),
            false => self.sealer.sign_entity(sha256(&entity), now).await.unwrap(),
        };
        [
            parts.outer_header.as_slice(),
            &entity,
            &parts.signature_part(&cms),
        ]
        .concat()
    }

    /// A dispatch as it should be, for facts as they are.
    pub async fn dispatch_of(&self, facts: &EvidenceFacts, original: &[u8]) -> Vec<u8> {
        let xml = self.sealed(facts).await;
        self.dispatch(facts, &xml, original, true).await
    }

    /// An evidence message.
    pub async fn evidence_message(&self, facts: &EvidenceFacts) -> Vec<u8> {
        let xml = self.sealed(facts).await;
        let part = EvidencePart {
            kind: facts.kind,
            xml: &xml,
        };
        let ext = extensions::write(&extensions::Extensions::default());
        let parts = message::build(&self.outer(facts), &notice::evidence_intro(facts), &[part], &ext);
        let cms = self
            .sealer
            .sign_entity(sha256(&parts.entity), self.clock.now())
            .await
            .unwrap();
        parts.assemble(&cms)
    }

    /// A full receipt that carries these octets as the original.
    pub async fn full_receipt(&self, facts: &EvidenceFacts, original: &[u8]) -> Vec<u8> {
        self.receipt(facts, original, None, false).await
    }

    /// The same, with another provider's message or without, with a time-stamp of its own or without.
    pub async fn receipt(
        &self,
        facts: &EvidenceFacts,
        original: &[u8],
        attestation_is_8bit: Option<bool>,
        stamped: bool,
    ) -> Vec<u8> {
        let xml = self.sealed(facts).await;
        let parts = receipt::build(&Receipt {
            outer: self.outer(facts),
            intro: notice::evidence_intro(facts),
            evidence: EvidencePart {
                kind: facts.kind,
                xml: &xml,
            },
            extensions: &extensions::write(&extensions::Extensions::default()),
            enclosed: Enclosed::Original { is_8bit: false },
            attestation_is_8bit,
        });
        let run = |run: &Run| match run {
            Run::Octets(octets) => octets.clone(),
            Run::Original | Run::Attestation => original.to_vec(),
        };
        let entity: Vec<u8> = parts.entity.iter().flat_map(run).collect();
        let now = self.clock.now();
        let signed = match stamped {
            true => self.sealer.seal_entity(sha256(&entity), now).await,
            false => self.sealer.sign_entity(sha256(&entity), now).await,
        };
        let end = parts.signature_part(&signed.unwrap());
        [parts.outer_header.as_slice(), &entity, &end].concat()
    }

    fn outer<'a>(&'a self, facts: &'a EvidenceFacts) -> Outer<'a> {
        Outer {
            from: &self.from,
            from_display: "x".into(),
            reply_to: None,
            to: &[],
            cc: &[],
            subject: &facts.message.subject,
            date: self.clock.now(),
            message_id: "<x@forge>",
            original_message_id: None,
            rem_message_id: &facts.message.rem_message_id,
            original_sha256: None,
            evidence: Some((facts.kind, facts.event, facts.id.to_string())),
            boundary_id: SystemIds.uuid(),
            digest: kepd::cms::DigestAlgorithm::Sha256,
        }
    }
}

/// Other facts of the same mail, about its first recipient.
pub fn about(facts: &EvidenceFacts, kind: EvidenceKind, event: Event) -> EvidenceFacts {
    let mut other = facts.clone();
    other.id = kepd::id::EvidenceId::fresh(&SystemIds);
    (other.kind, other.event) = (kind, event);
    other.refers_to_recipient = kind.is_per_recipient().then_some(1);
    other
}
