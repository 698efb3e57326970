//! The segments as files that others can check: text, seal, and by whose certificates.

use super::AuditBook;
use crate::cms::Certificate;
use crate::cms::algorithm::{ContentDigest, DigestAlgorithm};
use crate::cms::signed;
use crate::domain::audit_chain::hex;
use crate::service::aside::aside;
use crate::service::failure::{Failure, Kind};
use crate::service::identity::Credentials;
use crate::store::folder::NewFolder;
use crate::store::tables::audit::{self, AuditSegment};
use std::collections::BTreeMap;
use std::path::Path;

/// Certificates that sealed, of all years: one a year, and a few more.
const SIGNERS_MAX: usize = 512;

impl AuditBook {
    /// Writes every segment behind `after`, its seal and the trust material into a folder, which must not exist. Gives how
    /// many segments.
    pub async fn export(&self, out: &Path, after: u64) -> Result<usize, Failure> {
        let mut folder = NewFolder::create(out).map_err(unwritable)?;
        let (mut written, mut heads, mut signers) = (0, String::new(), BTreeMap::new());
        for stored in audit::segments(&*self.db)? {
            let row = stored.row;
            if row.number <= after {
                continue;
            }
            let (text, seal) = tokio::try_join!(self.spool.load(&row.text), self.spool.load(&row.seal))?;
            put(&mut folder, &format!("{:06}.jsonl", row.number), &text)?;
            put(&mut folder, &format!("{:06}.p7s", row.number), &seal)?;
            gather(&mut signers, &text, &seal);
            heads.push_str(&line(&row));
            written += 1;
        }
        put(&mut folder, "segments.txt", heads.as_bytes())?;
        let published = self.published.now();
        for (name, pem) in trust_files(&published, &signers) {
            put(&mut folder, &name, pem.as_bytes())?;
        }
        // Waits for the disk.
        aside("exporting", move || folder.finish().map_err(unwritable)).await??;
        Ok(written)
    }
}

/// `NUMBER:HASH`, as `audit verify --known` takes it.
fn line(row: &AuditSegment) -> String {
    format!("{}:{} {}\n", row.number, hex(&row.last), row.made_at)
}

/// The certificates that came with a seal, but for self-issued ones: those are no reason to believe it. A seal that does
/// not hold is told of where it is judged.
fn gather(signers: &mut BTreeMap<[u8; 32], String>, text: &[u8], seal: &[u8]) {
    let algorithm = signed::digest_algorithm(seal).unwrap_or(DigestAlgorithm::Sha256);
    let Ok(verified) = signed::verify_detached(seal, &ContentDigest::of(algorithm, text)) else {
        return;
    };
    let leads = |certificate: &Certificate| !certificate.is_self_issued();
    for certificate in verified.certificates.iter().filter(|c| leads(c)) {
        if signers.len() < SIGNERS_MAX {
            signers.insert(certificate.fingerprint(), certificate.pem());
        }
    }
}

/// Anchors of now and of earlier times, and who sealed.
fn trust_files(published: &Credentials, signers: &BTreeMap<[u8; 32], String>) -> Vec<(String, String)> {
    let mut files = vec![("trust/provider.pem".to_owned(), published.trust_pem.clone())];
    if !published.past_pem.is_empty() {
        files.push(("trust/provider-past.pem".into(), published.past_pem.clone()));
    }
    let path: String = signers.values().map(String::as_str).collect();
    if !path.is_empty() {
        files.push(("trust/signers.pem".into(), path));
    }
    files
}

fn put(folder: &mut NewFolder, name: &str, octets: &[u8]) -> Result<(), Failure> {
    let mut file = folder.file(name).map_err(unwritable)?;
    file.write(octets)
        .and_then(|()| file.finish())
        .map_err(unwritable)
}

fn unwritable(error: std::io::Error) -> Failure {
    Failure::refused(Kind::Invalid, format!("the export cannot be written: {error}"))
}
