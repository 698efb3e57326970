//! Revocation values lying ready, by whom they speak of: of thousands, only those about a path are judged with.
//!
//! Which are about a path is told by names and numbers alone. Nothing is believed here: whether a value is signed by whom it
//! should be, and of the right time, is judged by `cms::revocation`, which remembers it here. Nothing is fetched.

use super::algorithm::sha256;
use super::certificate::Certificate;
use super::crl::{Crl, CrlError};
use super::ocsp::{OcspError, Response};
use super::revocation::{Checks, Head, Origin, RevocationValues, Value, ValueSlices};
use crate::clock::UtcTime;
use std::collections::HashSet;
use std::sync::Arc;

/// Most lists and answers on one shelf: those of a year's bundle. Further ones are refused.
pub const SHELF_MAX: usize = 10_000;
/// Most octets of all of them: some dozens of the longest lists, and every answer of a year's bundle.
pub const SHELF_MAX_OCTETS: usize = 512 * 1024 * 1024;

/// Why a value is not put on a shelf.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ShelfError {
    #[error(transparent)]
    Crl(#[from] CrlError),
    #[error(transparent)]
    Ocsp(#[from] OcspError),
    #[error(
        "more than {SHELF_MAX} revocation lists and responses, or {SHELF_MAX_OCTETS} octets of them, are too many"
    )]
    Full,
}

/// Lists and answers, each once.
#[derive(Debug, Clone, Default)]
pub struct RevocationShelf {
    lists: Vec<List>,
    answers: Vec<Reply>,
    certificates: Vec<Certificate>,
    checks: Checks,
    /// Of all lists and answers.
    octets: usize,
}

#[derive(Debug, Clone)]
struct List {
    issuer: Vec<u8>,
    from: UtcTime,
    octets: Arc<[u8]>,
    sha256: [u8; 32],
}

#[derive(Debug, Clone)]
struct Reply {
    serials: Vec<Vec<u8>>,
    /// Serial numbers of certificates that came along: the responder's may have to be asked about, too.
    delegates: Vec<Vec<u8>>,
    octets: Arc<[u8]>,
    sha256: [u8; 32],
}

impl RevocationShelf {
    /// What can be read of `values`; what cannot be read says nothing of anybody.
    pub fn of(values: &RevocationValues) -> Self {
        let mut shelf = Self::default();
        for octets in &values.crls {
            let _ = shelf.add_list(octets);
        }
        for octets in &values.ocsp {
            let _ = shelf.add_answer(octets);
        }
        shelf.certificates.clone_from(&values.certificates);
        shelf
    }

    pub fn add_list(&mut self, octets: &[u8]) -> Result<(), ShelfError> {
        let crl = Crl::read(octets)?;
        let sha256 = sha256(octets);
        if self.lists.iter().any(|l| l.sha256 == sha256) {
            return Ok(());
        }
        self.make_room(octets.len())?;
        self.lists.push(List {
            issuer: crl.issuer_der().to_vec(),
            from: crl.this_update,
            octets: octets.into(),
            sha256,
        });
        Ok(())
    }

    pub fn add_answer(&mut self, octets: &[u8]) -> Result<(), ShelfError> {
        let response = Response::read(octets)?;
        let serials = response.serials().map(<[u8]>::to_vec).collect();
        let delegates = response.certificates.iter();
        let delegates = delegates.map(|c| c.serial().to_vec()).collect();
        let sha256 = sha256(octets);
        if self.answers.iter().any(|a| a.sha256 == sha256) {
            return Ok(());
        }
        self.make_room(octets.len())?;
        self.answers.push(Reply {
            serials,
            delegates,
            octets: octets.into(),
            sha256,
        });
        Ok(())
    }

    /// Certificates of responders, which their answers may have left out.
    pub fn add_certificate(&mut self, certificate: Certificate) {
        if !self.certificates.contains(&certificate) {
            self.certificates.push(certificate);
        }
    }

    /// Takes over what `other` has and this has not, as far as there is room.
    pub fn add_all(&mut self, other: &Self) {
        for list in &other.lists {
            if !self.lists.iter().any(|l| l.sha256 == list.sha256)
                && self.make_room(list.octets.len()).is_ok()
            {
                self.lists.push(list.clone());
            }
        }
        for answer in &other.answers {
            if !self.answers.iter().any(|a| a.sha256 == answer.sha256)
                && self.make_room(answer.octets.len()).is_ok()
            {
                self.answers.push(answer.clone());
            }
        }
        for certificate in &other.certificates {
            self.add_certificate(certificate.clone());
        }
    }

    /// What is remembered of their signatures, and how many may still be checked for one document.
    pub fn checks(&self) -> &Checks {
        &self.checks
    }

    /// The same values, for the document of which `checks` are.
    pub fn checked_by(mut self, checks: &Checks) -> Self {
        self.checks = checks.clone();
        self
    }

    pub fn is_empty(&self) -> bool {
        self.lists.is_empty() && self.answers.is_empty()
    }

    /// Takes the room of one more.
    fn make_room(&mut self, octets: usize) -> Result<(), ShelfError> {
        let is_room = self.lists.len() + self.answers.len() < SHELF_MAX;
        if !is_room || octets > SHELF_MAX_OCTETS - self.octets {
            return Err(ShelfError::Full);
        }
        self.octets += octets;
        Ok(())
    }

    /// Adds to `out` what speaks of `path` (leaf first, anchor last), or of a responder that answers for it; `origin` brought
    /// what is here. What another brought is not added again.
    pub fn about<'a>(&'a self, path: &[Certificate], origin: Origin, out: &mut ValueSlices<'a>) {
        let issuers = || path.iter().skip(1);
        let sides = [&out.by_caller, &out.by_document].into_iter();
        let there = sides.flat_map(|side| &side.crls).map(|(value, _)| value.sha256);
        let there: HashSet<[u8; 32]> = there.collect();
        for list in &self.lists {
            let is_of_path = issuers().any(|c| c.subject_der() == list.issuer);
            if is_of_path && !there.contains(&list.sha256) {
                let head = Head {
                    issuer: &list.issuer,
                    from: list.from,
                };
                let value = Value {
                    octets: &list.octets,
                    sha256: list.sha256,
                };
                out.by_mut(origin).crls.push((value, Some(head)));
            }
        }
        let serials: Vec<&[u8]> = path.iter().map(Certificate::serial).collect();
        let responders = self.answers_about(&serials, origin, out);
        // No responder answers for another, so there it ends.
        self.answers_about(&responders, origin, out);
        for certificate in &self.certificates {
            if !out.certificates.contains(certificate) {
                out.certificates.push(certificate.clone());
            }
        }
    }

    /// Adds what speaks of these serial numbers; gives those of the certificates that came along.
    fn answers_about<'a>(
        &'a self,
        serials: &[&[u8]],
        origin: Origin,
        out: &mut ValueSlices<'a>,
    ) -> Vec<&'a [u8]> {
        let mut along = Vec::new();
        let sides = [&out.by_caller, &out.by_document].into_iter();
        let there = sides.flat_map(|side| &side.ocsp).map(|value| value.sha256);
        let there: HashSet<[u8; 32]> = there.collect();
        for answer in &self.answers {
            let speaks = answer.serials.iter().any(|s| serials.contains(&s.as_slice()));
            if speaks && !there.contains(&answer.sha256) {
                out.by_mut(origin).ocsp.push(Value {
                    octets: &answer.octets,
                    sha256: answer.sha256,
                });
                along.extend(answer.delegates.iter().map(Vec::as_slice));
            }
        }
        along
    }
}
