//! A memory of certificates that were read lately, so that those which a thousand documents carry are parsed once.
//!
//! They are found again by all their octets, never by a part or a digest of them: what is remembered of a certificate (where its parts
//! stand, its key made ready for verifying) depends on nothing else. Nothing is judged here, and nothing is trusted for being known.

use super::certificate::Certificate;
use super::der::DerError;
use std::borrow::Borrow;
use std::collections::HashSet;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, Mutex, PoisonError};

/// Most certificates remembered: those of some providers and authorities, and less than 2 MiB of such as there are. When hostile mail
/// has filled it, it begins anew.
const CERTIFICATES_MAX: usize = 512;
/// Larger ones are read each time: so the memory is bounded by what it holds as well.
const REMEMBERED_MAX_OCTETS: usize = 4 * 1024;

/// Shared by all its clones.
#[derive(Debug, Clone, Default)]
pub struct CertificateMemory(Arc<Mutex<HashSet<ByOctets>>>);

/// A certificate that is found by its octets.
#[derive(Debug)]
struct ByOctets(Certificate);

impl Borrow<[u8]> for ByOctets {
    fn borrow(&self) -> &[u8] {
        self.0.der()
    }
}

impl Hash for ByOctets {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.der().hash(state);
    }
}

impl PartialEq for ByOctets {
    fn eq(&self, other: &Self) -> bool {
        self.0.der() == other.0.der()
    }
}

impl Eq for ByOctets {}

/// What somebody who reads signatures has at hand beside them.
#[derive(Debug, Clone, Copy, Default)]
pub struct Known<'a> {
    /// Certificates of signers who may leave theirs out.
    pub certificates: &'a [Certificate],
    pub memory: Option<&'a CertificateMemory>,
}

impl<'a> Known<'a> {
    pub fn memory(memory: &'a CertificateMemory) -> Self {
        Self {
            certificates: &[],
            memory: Some(memory),
        }
    }

    pub fn read(&self, octets: &[u8]) -> Result<Certificate, DerError> {
        match self.memory {
            Some(memory) => memory.read(octets),
            None => Certificate::from_der(octets),
        }
    }
}

impl CertificateMemory {
    /// [`Certificate::from_der`], or what came of it the last time.
    pub fn read(&self, octets: &[u8]) -> Result<Certificate, DerError> {
        let known = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = known().get(octets) {
            return Ok(found.0.clone());
        }
        let read = Certificate::from_der(octets)?;
        if octets.len() <= REMEMBERED_MAX_OCTETS {
            let mut known = known();
            if known.len() >= CERTIFICATES_MAX {
                known.clear();
            }
            known.insert(ByOctets(read.clone()));
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cms::testing;

    #[test]
    fn what_is_remembered_is_what_would_be_read() {
        let memory = CertificateMemory::default();
        let der = testing::Plan::authority("Root")
            .self_signed()
            .certificate
            .der()
            .to_vec();
        let first = memory.read(&der).unwrap();
        let again = memory.read(&der).unwrap();
        assert_eq!(first, Certificate::from_der(&der).unwrap());
        assert!(std::ptr::eq(first.der(), again.der()));
        // Each octet changed is another certificate, or none; after it as before.
        for at in 0..der.len() {
            let mut other = der.clone();
            other[at] ^= 1;
            match (memory.read(&other), Certificate::from_der(&other)) {
                (Ok(a), Ok(b)) => assert!(a == b && a.der() == other && a != first),
                (Err(a), Err(b)) => assert_eq!(a, b),
                (a, b) => panic!("{at}: {a:?} {b:?}"),
            }
        }
        assert!(memory.0.lock().unwrap().len() <= CERTIFICATES_MAX);
    }
}
