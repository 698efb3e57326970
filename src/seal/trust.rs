//! Whom to believe: trust anchors, intermediates that help to reach them, and pinned certificates.
//!
//! The store of one provider or of all of them; it is filled at start (or from an export bundle) and never changes while
//! in use. Nothing is fetched. [`TrustStore::check`] does not look at revocation; [`TrustStore::judge`] does, by values
//! that somebody collected (see `seal::revocation`).

use crate::clock::UtcTime;
use crate::cms::certificate::Certificate;
use crate::cms::der::DerError;
use crate::cms::memory::CertificateMemory;
use crate::cms::path::{self, Demand, Ground, PathError, Purpose};
use crate::cms::revocation::{self, Checks, RevocationValues, Standing, ValueSlices};
use std::collections::{BTreeSet, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Most certificates in one store.
const CERTIFICATES_MAX: usize = 4096;
/// Most pairs remembered: some providers and authorities, far from what hostile mail could fill at a cost.
const ISSUED_MAX: usize = 4096;
/// Largest PEM file read.
const PEM_FILE_MAX_OCTETS: u64 = 4 * 1024 * 1024;

#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    #[error("reading {path}: {source}")]
    Io { path: PathBuf, source: std::io::Error },
    #[error("{path}: {source}")]
    Certificate { path: PathBuf, source: DerError },
    #[error("{0}: too large, or too many certificates")]
    TooMany(PathBuf),
}

/// Anchors, intermediates and pins.
#[derive(Debug, Clone, Default)]
pub struct TrustStore {
    anchors: Vec<Certificate>,
    intermediates: Vec<Certificate>,
    pins: BTreeSet<[u8; 32]>,
    policies: Vec<Vec<u8>>,
    issued: Arc<Mutex<Issued>>,
    /// What is remembered of signatures on revocation values that documents bring.
    values: Checks,
    /// What was read lately of certificates that documents carry.
    certificates: CertificateMemory,
}

/// A path that holds, and how it stood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judged {
    pub standing: Standing,
    /// Leaf first, anchor last.
    pub path: Vec<Certificate>,
}

/// Which certificate was found to be signed by which other (SHA-256 of both). Only proven pairs are remembered.
type Issued = HashSet<([u8; 32], [u8; 32])>;

impl TrustStore {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn add_anchor(&mut self, certificate: Certificate) {
        if !self.anchors.contains(&certificate) {
            self.anchors.push(certificate);
        }
    }

    pub fn add_intermediate(&mut self, certificate: Certificate) {
        if !self.intermediates.contains(&certificate) {
            self.intermediates.push(certificate);
        }
    }

    /// Once there is a pin, a seal is trusted only if its certificate has one of the pinned SHA-256 fingerprints (and a
    /// path to an anchor). Time-stamps are not pinned.
    pub fn add_pin(&mut self, fingerprint: [u8; 32]) {
        self.pins.insert(fingerprint);
    }

    /// Once there is a policy, every path must be valid for one of them (RFC 5280 6.1.1 (c)): content octets of its OID.
    pub fn add_policy(&mut self, oid: Vec<u8>) {
        if !self.policies.contains(&oid) {
            self.policies.push(oid);
        }
    }

    /// Adds every certificate of a PEM text: self-issued ones as anchors, all others as intermediates.
    pub fn add_pem_text(&mut self, text: &str) -> Result<(), DerError> {
        for certificate in Certificate::from_pem_text(text)? {
            if certificate.is_self_issued() {
                self.add_anchor(certificate);
            } else {
                self.add_intermediate(certificate);
            }
        }
        if self.anchors.len() + self.intermediates.len() > CERTIFICATES_MAX {
            return Err(DerError("too many certificates"));
        }
        Ok(())
    }

    /// Adds a PEM file, or every `*.pem` of a folder in order of name, as [`TrustStore::add_pem_text`] does.
    pub fn add_path(&mut self, path: &Path) -> Result<(), TrustError> {
        let io = |source| TrustError::Io {
            path: path.to_owned(),
            source,
        };
        let meta = std::fs::metadata(path).map_err(io)?;
        if meta.is_dir() {
            let mut files = Vec::new();
            for entry in std::fs::read_dir(path).map_err(io)? {
                let file = entry.map_err(io)?.path();
                if file.extension().is_some_and(|e| e == "pem") {
                    files.push(file);
                }
            }
            files.sort();
            return files
                .iter()
                .filter(|f| f.is_file())
                .try_for_each(|f| self.add_path(f));
        }
        if meta.len() > PEM_FILE_MAX_OCTETS {
            return Err(TrustError::TooMany(path.to_owned()));
        }
        let text = std::fs::read_to_string(path).map_err(io)?;
        self.add_pem_text(&text)
            .map_err(|source| TrustError::Certificate {
                path: path.to_owned(),
                source,
            })
    }

    pub fn anchors(&self) -> &[Certificate] {
        &self.anchors
    }

    pub fn intermediates(&self) -> &[Certificate] {
        &self.intermediates
    }

    /// A memory of whose signature a revocation value carries: the list that a thousand documents bring is verified once. The
    /// pair of its octets and its signer says all that the answer depends on; what it says of anybody is judged each time.
    pub(super) fn values(&self) -> &Checks {
        &self.values
    }

    /// A memory of certificates: who judges by this store reads those of a thousand documents once. They are not trusted for it.
    pub(super) fn certificates(&self) -> &CertificateMemory {
        &self.certificates
    }

    /// A path from `leaf` to an anchor at `at`; `along` came with the signature. Nothing is said of revocation.
    pub fn check(
        &self,
        leaf: &Certificate,
        along: &[Certificate],
        at: UtcTime,
        purpose: Purpose,
    ) -> Result<(), PathError> {
        self.find(leaf, along, at, purpose, &mut |_| true).map(|_| ())
    }

    /// The path itself, leaf first: whoever collects revocation values asks for each of its certificates.
    pub fn path(
        &self,
        leaf: &Certificate,
        along: &[Certificate],
        at: UtcTime,
        purpose: Purpose,
    ) -> Result<Vec<Certificate>, PathError> {
        self.find(leaf, along, at, purpose, &mut |_| true)
    }

    /// Every path that holds, leaf first, at most `max` of them; a certificate that was signed crosswise has several.
    pub fn paths(
        &self,
        leaf: &Certificate,
        along: &[Certificate],
        at: UtcTime,
        purpose: Purpose,
        max: usize,
    ) -> Result<Vec<Vec<Certificate>>, PathError> {
        let mut all: Vec<Vec<Certificate>> = Vec::new();
        let found = self.find(leaf, along, at, purpose, &mut |path| {
            all.push(path.to_vec());
            all.len() >= max
        });
        match found {
            Err(why) if all.is_empty() => Err(why),
            _ => Ok(all),
        }
    }

    /// [`TrustStore::check`] with revocation: the path and its standing at `at`, by `values` (see `cms::revocation`). Of
    /// several paths (cross-signing) the first that was valid counts, else the first that is not known to be revoked.
    pub fn judge(
        &self,
        leaf: &Certificate,
        along: &[Certificate],
        at: UtcTime,
        purpose: Purpose,
        values: &RevocationValues,
        grace: Duration,
    ) -> Result<Judged, PathError> {
        let slices = ValueSlices::of(values);
        self.judge_by(leaf, along, at, purpose, &mut |path| {
            revocation::judge_slices(path, at, &slices, grace)
        })
    }

    /// [`TrustStore::judge`], with somebody else to say how a path stands.
    pub fn judge_by(
        &self,
        leaf: &Certificate,
        along: &[Certificate],
        at: UtcTime,
        purpose: Purpose,
        standing_of: &mut dyn FnMut(&[Certificate]) -> Standing,
    ) -> Result<Judged, PathError> {
        let mut best: Option<Judged> = None;
        let found = self.find(leaf, along, at, purpose, &mut |path| {
            let standing = standing_of(path);
            let is_valid = matches!(standing, Standing::ValidAt(_));
            let was_revoked = |known: &Judged| matches!(known.standing, Standing::RevokedSince { .. });
            let is_better = is_valid
                || best
                    .as_ref()
                    .is_none_or(|known| was_revoked(known) && matches!(standing, Standing::Unknown { .. }));
            if is_better {
                best = Some(Judged {
                    standing,
                    path: path.to_vec(),
                });
            }
            is_valid
        });
        match (best, found) {
            (Some(judged), _) => Ok(judged),
            (None, Err(why)) => Err(why),
            (None, Ok(_)) => Err(PathError::NoAnchor(leaf.subject())),
        }
    }

    fn find(
        &self,
        leaf: &Certificate,
        along: &[Certificate],
        at: UtcTime,
        purpose: Purpose,
        accept: &mut dyn FnMut(&[Certificate]) -> bool,
    ) -> Result<Vec<Certificate>, PathError> {
        if purpose == Purpose::Signing && !self.pins.is_empty() && !self.pins.contains(&leaf.fingerprint()) {
            return Err(PathError::NotPinned(leaf.subject()));
        }
        let pool: Vec<Certificate> = self.intermediates.iter().chain(along).cloned().collect();
        let ground = Ground {
            pool: &pool,
            anchors: &self.anchors,
            is_signed_by: &|subject, issuer| self.is_signed_by(subject, issuer),
        };
        let demand = Demand {
            at,
            purpose,
            policies: &self.policies,
        };
        path::find(leaf, ground, demand, accept)
    }

    /// Half the cost of judging an evidence is this question, and its answer never changes: it depends on the octets of both
    /// certificates alone. Dates, purposes, policies and revocation are judged each time.
    fn is_signed_by(&self, subject: &Certificate, issuer: &Certificate) -> bool {
        let pair = (subject.fingerprint(), issuer.fingerprint());
        let issued = || self.issued.lock().unwrap_or_else(PoisonError::into_inner);
        if issued().contains(&pair) {
            return true;
        }
        let proven = subject.is_signed_by(issuer);
        if proven {
            let mut issued = issued();
            if issued.len() >= ISSUED_MAX {
                issued.clear();
            }
            issued.insert(pair);
        }
        proven
    }
}
