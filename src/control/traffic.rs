//! Evidence of mail, the queue, and the peers.

use super::words::{ControlDoor, Outcome, list, not_built, one};
use crate::address::KepAddress;
use crate::clock::UtcTime;
use crate::control::protocol::{EvidenceWord, LIST_MAX, PeerAdd, PeerSet, PeerWord, QueueWord, Record};
use crate::domain::mail::{Declared, Mail, Recipient, RecipientState};
use crate::domain::provider::{Fingerprint, Peer, SIZE_MAX_BYTES};
use crate::service::failure::{Failure, Kind};
use crate::service::queueing::QueueEntry;
use crate::service::records::EvidenceRow;
use serde_json::Value;

impl ControlDoor {
    pub(super) async fn evidence(&self, word: EvidenceWord) -> Outcome {
        match word {
            EvidenceWord::List { tenant, mail, limit } => {
                let tenant = self.organisation(&tenant)?.tenant.id;
                self.count_look(tenant, "evidence list");
                let rows = match mail {
                    Some(mail) => self.records.evidence_of(tenant, mail)?,
                    None => self.records.evidence_of_tenant(tenant)?,
                };
                let seen = rows.iter().filter(|row| self.sees(tenant, row.id));
                list(seen.take(limit.min(LIST_MAX)).map(evidence_record))
            }
            EvidenceWord::Show { tenant, evidence } => {
                let tenant = self.organisation(&tenant)?.tenant.id;
                let rows = self.records.evidence_of_tenant(tenant)?;
                let wanted = |e: &&EvidenceRow| e.identifier == evidence || e.id.to_string() == evidence;
                let Some(row) = rows.iter().find(wanted).filter(|row| self.sees(tenant, row.id)) else {
                    let say = format!("there is no evidence \"{evidence}\" of this tenant");
                    return Err(Failure::refused(Kind::NotFound, say));
                };
                let mail = self.records.mail_of_evidence(tenant, row.id)?;
                self.note_look(tenant, "evidence show", mail).await?;
                let document = self.records.document(row).await?;
                let mut record = evidence_record(row);
                for (name, value) in self.archive.findings(row, document.xml.clone()).await? {
                    record = record.with(name, value);
                }
                one(record
                    .text("document_sha256", document.sha256)
                    .with("xml", String::from_utf8_lossy(&document.xml).into_owned()))
            }
            EvidenceWord::Export(wish) => self.export(&wish).await,
            EvidenceWord::Verify(_) => Err(Failure::refused(
                Kind::Invalid,
                "kepctl verifies evidence itself; the daemon is not asked",
            )),
        }
    }

    pub(super) async fn queue(&self, word: QueueWord) -> Outcome {
        self.demand_provider()?;
        match word {
            QueueWord::List => {
                let rows = self.queue.list()?;
                list(
                    rows.iter()
                        .take(LIST_MAX)
                        .map(|(due, entry)| queue_record(*due, entry)),
                )
            }
            QueueWord::Show { id } => {
                let (due, entry) = self.queue.show(id)?;
                one(queue_record(due, &entry))
            }
            QueueWord::Retry { id, all: _ } => {
                let which = id.map_or_else(|| "all".to_owned(), |id| id.to_string());
                self.note_own("queue retry", &serde_json::json!({ "entry": which }))
                    .await?;
                one(Record::new().with("due_now", self.queue.retry(id).await?))
            }
            QueueWord::Hold(rest) => not_built("queue hold", &rest),
            QueueWord::Release(rest) => not_built("queue release", &rest),
        }
    }

    pub(super) async fn peer(&self, word: PeerWord) -> Outcome {
        self.demand_provider()?;
        match word {
            PeerWord::List => list(self.peers.list()?.iter().map(peer_record)),
            PeerWord::Show { domain } => one(peer_record(&self.peers.show(&domain)?)),
            PeerWord::Add(new) => {
                if self.peers.show(&new.domain).is_ok() {
                    let say = format!("there is a peer {} already; `peer set` changes it", new.domain);
                    return Err(Failure::refused(Kind::Exists, say));
                }
                self.keep_peer("peer add", &new_peer(new)?).await
            }
            PeerWord::Set(set) => {
                let peer = changed_peer(self.peers.show(&set.domain)?, set)?;
                self.keep_peer("peer set", &peer).await
            }
            PeerWord::Remove { domain } => {
                let old = self.peers.show(&domain)?;
                let record = self.peer_change("peer remove", Some(&old), None);
                self.peers.remove(&domain, &record).await?;
                one(Record::new().text("removed", domain))
            }
            PeerWord::Import { profile, .. } => {
                let peer: Peer = serde_json::from_str(&profile)
                    .map_err(|e| Failure::refused(Kind::Invalid, format!("not a peer's profile: {e}")))?;
                self.keep_peer("peer import", &peer).await
            }
            PeerWord::Export => {
                let published = self.published.now();
                let profile = Peer {
                    tls_sha256: published.tls_sha256.clone(),
                    seal_sha256: published.seal_sha256.clone(),
                    trust_pem: published.trust_pem.clone(),
                    ..self.profile.clone()
                };
                let profile = serde_json::to_vec(&profile).map_err(|e| Failure::Broken(e.to_string()))?;
                let record = serde_json::from_slice(&profile);
                one(record.map_err(|e| Failure::Broken(e.to_string()))?)
            }
            PeerWord::Test(rest) => not_built("peer test", &rest),
        }
    }

    async fn keep_peer(&self, deed: &str, peer: &Peer) -> Outcome {
        let old = self.peers.show(&peer.domain).ok();
        let record = self.peer_change(deed, old.as_ref(), Some(peer));
        self.peers.put(peer, &record).await?;
        one(peer_record(peer))
    }
}

fn fingerprints(texts: Vec<String>) -> Result<Vec<Fingerprint>, Failure> {
    let parsed = texts.into_iter().map(Fingerprint::try_from);
    parsed
        .collect::<Result<_, _>>()
        .map_err(|say| Failure::refused(Kind::Invalid, say))
}

fn new_peer(new: PeerAdd) -> Result<Peer, Failure> {
    let invalid = |e: crate::address::AddressError| Failure::refused(Kind::Invalid, e.to_string());
    let service = match new.service {
        Some(service) => service,
        None => KepAddress::new("kep", &new.domain).map_err(invalid)?,
    };
    Ok(Peer {
        domain: new.domain,
        host: new.host,
        port: new.port,
        tls_sha256: fingerprints(new.tls_sha256)?,
        seal_sha256: fingerprints(new.seal_sha256)?,
        trust_pem: new.trust_pem,
        service,
        size_max_bytes: new.size_max_bytes.unwrap_or(SIZE_MAX_BYTES),
    })
}

fn changed_peer(mut peer: Peer, set: PeerSet) -> Result<Peer, Failure> {
    if let Some(host) = set.host {
        peer.host = host;
    }
    if let Some(port) = set.port {
        peer.port = port;
    }
    if !set.tls_sha256.is_empty() {
        peer.tls_sha256 = fingerprints(set.tls_sha256)?;
    }
    if !set.seal_sha256.is_empty() {
        peer.seal_sha256 = fingerprints(set.seal_sha256)?;
    }
    if let Some(pem) = set.trust_pem {
        peer.trust_pem = pem;
    }
    if let Some(size) = set.size_max_bytes {
        peer.size_max_bytes = size;
    }
    Ok(peer)
}

fn peer_record(peer: &Peer) -> Record {
    let texts = |pins: &[Fingerprint]| pins.iter().map(ToString::to_string).collect::<Vec<_>>();
    Record::new()
        .text("domain", &peer.domain)
        .text("host", &peer.host)
        .with("port", peer.port)
        .text("service", &peer.service)
        .with("size_max_bytes", peer.size_max_bytes)
        .with("tls_sha256", texts(&peer.tls_sha256))
        .with("seal_sha256", texts(&peer.seal_sha256))
        .with(
            "certificates",
            peer.trust_pem.matches("-----BEGIN CERTIFICATE-----").count(),
        )
}

fn queue_record(due: UtcTime, entry: &QueueEntry) -> Record {
    let recipients = entry.recipients.iter().map(ToString::to_string);
    Record::new()
        .text("id", entry.id)
        .text("peer", &entry.peer)
        .with("recipients", recipients.collect::<Vec<_>>())
        .with("attempts", entry.attempts)
        .text("next_attempt", due)
        .text("created_at", entry.created_at)
        .text("expires_at", entry.expires_at)
        .text("last_outcome", &entry.last_outcome)
}

fn evidence_record(row: &EvidenceRow) -> Record {
    Record::new()
        .text("evidence", row.id)
        .text("identifier", &row.identifier)
        .text("kind", row.kind.element_name())
        .text("event", format!("{:?}", row.event))
        .text("event_time", row.event_time)
        .with("recipient", row.recipient.clone())
        .text("issuer", &row.issuer)
        .text("sha256", row.xml.id)
}

/// All recipients, blind ones included: who looks here answers for the tenant.
pub(super) fn recipients_of(mail: &Mail) -> Vec<Value> {
    let recipient = |r: &Recipient| {
        let record = Record::new()
            .text("address", &r.address)
            .with("blind", r.blind)
            .text("state", recipient_word(r.state))
            .with("declared", r.declared.map(Declared::done));
        record.into()
    };
    mail.recipients.iter().map(recipient).collect()
}

fn recipient_word(state: RecipientState) -> &'static str {
    match state {
        RecipientState::Waiting => "waiting",
        RecipientState::Queued => "queued",
        RecipientState::Relayed => "relayed",
        RecipientState::Taken => "taken",
        RecipientState::Refused => "refused",
        RecipientState::Failed => "failed",
        RecipientState::Consigned => "consigned",
        RecipientState::NotConsigned => "not-consigned",
        RecipientState::Read => "read",
        RecipientState::Expired => "expired",
    }
}
