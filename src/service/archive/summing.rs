//! The summary of one bundle: what is printed is found anew, on the documents and by the anchors that go into the bundle.
//!
//! Each document is judged by the anchors of the provider that issued it, and by no other's: one provider cannot vouch
//! for the word of another. What is known of revocation is what lies in the bundle, so that the summary and whoever verifies
//! the bundle say the same.

use super::judging::anchors_of;
use super::{Decided, Parts};
use crate::clock::UtcTime;
use crate::cms::{Certificate, RevocationShelf};
use crate::domain::evidence::EvidenceFacts;
use crate::pdf::Press;
use crate::pdf::summary::{
    ATTACHED_MAX_OCTETS, Anchor, Approval, Attachment, Document, Finding, MailFacts, Person, Preserved,
    SealedCopy, Summary,
};
use crate::rem::personal::ELEMENT as PERSON_ELEMENT;
use crate::seal::{self, TrustStore};
use crate::service::failure::Failure;
use crate::store::tables::evidence::EvidenceRow;
use crate::store::tables::mails;
use crate::validation::personal::masked_number;
use crate::validation::{Basis, Piece, Standpoint, carried, judge, judge_evidence, preserved};
use crate::xml::Level;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Issuers whose anchors are kept read, in one export; some hundred providers are far more than there are.
const STORES_MAX: usize = 256;

/// A document with its row and its name in the bundle.
pub(super) struct Evidence {
    pub name: String,
    pub row: EvidenceRow,
    pub xml: Vec<u8>,
    /// The evidence record beside it.
    pub record: Option<Vec<u8>>,
}

impl Evidence {
    /// Whether it may speak of a person's signature: then the original is looked at too.
    pub(super) fn may_tell_a_person(&self) -> bool {
        let name = PERSON_ELEMENT.as_bytes();
        self.xml.windows(name.len()).any(|octets| octets == name)
    }
}

/// A sealed copy as it lies in the bundle.
pub(super) struct CopyFile {
    pub file: String,
    pub sha256: [u8; 32],
    pub issuer: String,
    /// The evidence record beside it.
    pub record: Option<Vec<u8>>,
}

/// Who makes it, and when.
pub(super) struct Made {
    pub at: UtcTime,
    pub by: String,
}

/// What the summary of one mail is made of; owns all of it, for the blocking pool.
pub(super) struct Summing {
    made: Made,
    mail: MailFacts,
    dispatches: Vec<SealedCopy>,
    approvals: Vec<Approval>,
    documents: Vec<Evidence>,
    /// The original, where a document may speak of who signed it.
    original: Option<Vec<u8>>,
    /// PEM by domain.
    trust: Vec<(String, String)>,
    /// What the authorities said of certificates, where it does not lie in the documents.
    shelf: Arc<RevocationShelf>,
}

impl Summing {
    pub(super) fn new(
        parts: &Parts,
        dispatches: Vec<SealedCopy>,
        (documents, original): (Vec<Evidence>, Option<Vec<u8>>),
        (trust, shelf): (Vec<(String, String)>, Arc<RevocationShelf>),
        made: Made,
    ) -> Self {
        let approval = |decided: &Decided| approval(decided, &parts.original_sha256);
        Self {
            made,
            mail: parts.facts.clone(),
            dispatches,
            approvals: parts.decisions.iter().map(approval).collect(),
            documents,
            original,
            trust,
            shelf,
        }
    }

    /// The person of whom an evidence tells.
    fn person(&self, facts: &EvidenceFacts) -> Option<Person> {
        let signature = facts.sender_authentication.as_ref()?.signature.clone()?;
        let original = self.original.as_deref();
        Some(Person {
            masked_number: original.and_then(|octets| masked_number(octets, signature.certificate_sha256)),
            signature,
        })
    }
}

fn approval(Decided { job, entry }: &Decided, original_sha256: &[u8; 32]) -> Approval {
    let d = &entry.happening;
    Approval {
        at: d.at,
        actor: d.actor_login.clone(),
        in_name_of: d.in_name_of.clone(),
        deed: d.deed.clone(),
        to: d.to.clone(),
        rule: job.rule_name.clone(),
        step: d.step,
        role: d.role.clone(),
        note: d.note.clone(),
        on_original: entry.original_sha256 == *original_sha256,
    }
}

/// What one export, of a mail or of many, needs once: the press, and the anchors it has read.
pub(super) struct Sums {
    press: Press,
    /// Of no certain day, as a bundle is verified unless somebody names one.
    standpoint: Standpoint,
    /// By the PEM text, which may change between two mails.
    stores: Mutex<HashMap<String, Arc<TrustStore>>>,
}

impl Sums {
    pub(super) fn begin() -> Result<Self, Failure> {
        Ok(Self {
            press: Press::new().map_err(|e| Failure::Broken(e.to_string()))?,
            standpoint: Standpoint::of_this_version(None).map_err(|e| Failure::Broken(e.to_string()))?,
            stores: Mutex::default(),
        })
    }

    /// Judges every document and prints. Takes its time: for the blocking pool.
    pub(super) fn print(&self, summing: &Summing) -> Result<Vec<u8>, Failure> {
        let documents = summing.documents.iter().map(|d| self.document(summing, d));
        let summary = Summary {
            prepared_at: summing.made.at,
            provider: summing.made.by.clone(),
            mail: summing.mail.clone(),
            documents: documents.collect::<Result<_, _>>()?,
            dispatches: summing.dispatches.clone(),
            approvals: summing.approvals.clone(),
            anchors: anchors(&summing.trust),
            attachments: attachments(&summing.documents),
        };
        self.press
            .print(&summary)
            .map_err(|e| Failure::Broken(format!("the summary of {}: {e}", summary.mail.id)))
    }

    /// Judges the seal of a copy by the anchors of whoever sealed it. `octets`: None when there are too many to be held.
    pub(super) fn copy(
        &self,
        copy: CopyFile,
        octets: Option<&[u8]>,
        (trust, shelf): (&[(String, String)], &RevocationShelf),
    ) -> SealedCopy {
        let CopyFile {
            file,
            sha256,
            issuer,
            record,
        } = copy;
        let unknown = |why: &str| Finding::Unknown(why.to_owned());
        let bare = |why: &str| SealedCopy {
            file: file.clone(),
            sha256,
            issuer: issuer.clone(),
            stamp_time: None,
            preserved: Preserved::NotYet,
            signer: None,
            signature: unknown(why),
            trust: unknown(why),
            timestamp: unknown(why),
        };
        let Some(octets) = octets else {
            return bare("the copy is too large to be judged here; kepctl evidence verify judges it");
        };
        let pem = trust.iter().find(|(domain, _)| *domain == issuer);
        let store = self.store(pem.map_or("", |(_, pem)| pem));
        // The documents inside are judged by themselves, each by the anchors of its own issuer.
        let basis = Basis::known(&store, shelf);
        let judged = judge(&file, octets, None, basis);
        let judged = carried(judged, (octets, record.as_deref()), basis, &self.standpoint);
        let Some(seal) = judged.into_iter().find(|j| j.piece == Piece::Dispatch) else {
            return bare("it is not a sealed dispatch");
        };
        SealedCopy {
            stamp_time: seal.stamp_time,
            preserved: preserved(seal.preserved),
            signer: seal.signer.map(|signer| signer.subject),
            signature: finding_of(&seal.findings.signature),
            trust: finding_of(&seal.findings.trust),
            timestamp: finding_of(&seal.findings.timestamp),
            ..bare("")
        }
    }

    fn document(&self, summing: &Summing, evidence: &Evidence) -> Result<Document, Failure> {
        let row = &evidence.row;
        let issuer = row.issuer.to_string();
        let pem = summing.trust.iter().find(|(domain, _)| *domain == issuer);
        let trust = self.store(pem.map_or("", |(_, pem)| pem));
        let basis = Basis::known(&trust, &summing.shelf);
        let stated = Some(summing.mail.original_sha256);
        let judged = judge_evidence(evidence.name.clone(), &evidence.xml, stated, basis);
        let files = (evidence.xml.as_slice(), evidence.record.as_deref());
        let judged = carried(vec![judged], files, basis, &self.standpoint);
        let Some(judged) = judged.into_iter().next() else {
            return Err(Failure::Broken(format!("{} was not judged", evidence.name)));
        };
        let found = judged.findings;
        // Without anchors nothing can be said of trust, which is not the same as distrust.
        let unknown = trust.anchors().is_empty() && found.signature.is_ok();
        let by_anchors = |finding: &seal::Finding| {
            if unknown {
                Finding::Unknown(format!("there are no trust anchors of {issuer}"))
            } else {
                finding_of(finding)
            }
        };
        let facts = judged.facts;
        let named = facts.as_ref().and_then(|f| f.message.original_sha256);
        let person = facts.as_ref().and_then(|f| summing.person(f));
        Ok(Document {
            file: evidence.name.clone(),
            sha256: mails::digest(&evidence.xml),
            kind: row.kind,
            event: row.event,
            event_time: row.event_time,
            stamp_time: judged.stamp_time,
            identifier: row.identifier.clone(),
            issuer_name: facts.as_ref().map(|f| f.issuer.name.clone()).unwrap_or_default(),
            signer: judged.signer.map(|s| s.subject),
            recipient: row.recipient.clone(),
            reasons: facts.map(|f| f.reasons).unwrap_or_default(),
            other_reasons: judged.unknown_reasons,
            schema: finding_of(&found.schema),
            signature: finding_of(&found.signature),
            trust: by_anchors(&found.trust),
            timestamp: by_anchors(&found.timestamp),
            level: judged.level.map(Level::word),
            preserved: preserved(judged.preserved),
            person,
            names_original: named.map(|digest| digest == summing.mail.original_sha256),
            issuer,
        })
    }

    /// The anchors of a PEM text, read once; none when it cannot be read.
    fn store(&self, pem: &str) -> Arc<TrustStore> {
        let mut stores = self.stores.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(store) = stores.get(pem) {
            return store.clone();
        }
        let store = Arc::new(anchors_of(pem));
        if stores.len() >= STORES_MAX {
            stores.clear();
        }
        stores.insert(pem.to_owned(), store.clone());
        store
    }
}

fn preserved(found: preserved::Preserved) -> Preserved {
    match found {
        preserved::Preserved::NotGiven => Preserved::NotYet,
        preserved::Preserved::Since { since, until, .. } => Preserved::Since { since, until },
        preserved::Preserved::Failed(why) => Preserved::Failed(why),
    }
}

fn finding_of(finding: &seal::Finding) -> Finding {
    match finding {
        seal::Finding::Ok => Finding::Ok,
        seal::Finding::Failed(why) => Finding::Failed(why.clone()),
        seal::Finding::Unknown(why) => Finding::Unknown(why.clone()),
    }
}

fn anchors(trust: &[(String, String)]) -> Vec<Anchor> {
    let of = |(domain, pem): &(String, String)| -> Vec<Anchor> {
        let all = Certificate::from_pem_text(pem).unwrap_or_default();
        let one = |c: Certificate| Anchor {
            provider: domain.clone(),
            subject: c.subject(),
            sha256: c.fingerprint(),
            not_before: c.not_before(),
            not_after: c.not_after(),
        };
        all.into_iter().map(one).collect()
    };
    trust.iter().flat_map(of).collect()
}

/// All documents ride in the PDF, or none.
fn attachments(documents: &[Evidence]) -> Vec<Attachment> {
    let all: usize = documents.iter().map(|d| d.xml.len()).sum();
    if all > ATTACHED_MAX_OCTETS {
        return Vec::new();
    }
    let name = |path: &str| path.rsplit('/').next().unwrap_or(path).to_owned();
    let one = |document: &Evidence| Attachment {
        name: name(&document.name),
        media_type: "application/xml",
        octets: document.xml.clone(),
    };
    documents.iter().map(one).collect()
}
