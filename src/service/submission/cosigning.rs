//! An officer's signature made beside the mail: the exact octets to be signed go out, a signature comes back, and both become
//! the signed mail that releases the job.
//!
//! For whoever signs with another program than his mail reader: a card through PKCS#11, a mobile signature, a signing service
//! of the institution. The key and its PIN stay there; what comes in is judged like any signature. All octets of what was
//! approved stand in the new mail as they are, so HTML can be signed this way too.

use super::{Accepted, Submission};
use crate::cms::DigestAlgorithm;
use crate::domain::audit::AuditRoute;
use crate::domain::job::{Job, JobRefusal};
use crate::domain::org::UserKind;
use crate::domain::policy::Asked;
use crate::domain::rule::Direction;
use crate::domain::signature::SignatureDemand;
use crate::id::JobId;
use crate::mime::field;
use crate::service::account::Principal;
use crate::service::failure::{Failure, Kind};
use crate::service::octets::ContentReader;
use crate::store::tables::{items, jobs, mails};
use crate::validation::personal;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::sync::Arc;

/// Characters in a line of base64 (RFC 2045 6.8: at most 76).
const BASE64_LINE_CHARS: usize = 76;

/// A mail cut where the signature goes.
struct Cut {
    /// What stands around: addresses, subject, date.
    outside: Vec<u8>,
    /// What is signed: the content with the header fields that tell of it (RFC 8551 3.1).
    entity: Vec<u8>,
}

fn cut(message: &[u8]) -> Cut {
    let mut walk = field::fields(message);
    let (mut outside, mut entity) = (Vec::new(), Vec::new());
    for one in walk.by_ref() {
        let name = one.raw.get(..8).unwrap_or_default();
        if name.eq_ignore_ascii_case(b"content-") {
            entity.extend_from_slice(one.raw);
        } else if !one.is("MIME-Version") {
            outside.extend_from_slice(one.raw);
        }
    }
    // The empty line, and the body.
    entity.extend_from_slice(walk.rest());
    Cut { outside, entity }
}

impl Cut {
    /// `multipart/signed` around the entity (RFC 8551 3.5.3).
    fn signed(&self, job: JobId, cms_der: &[u8], digest: DigestAlgorithm) -> Vec<u8> {
        let micalg = match digest {
            DigestAlgorithm::Sha256 => "sha-256",
            DigestAlgorithm::Sha384 => "sha-384",
            DigestAlgorithm::Sha512 => "sha-512",
        };
        // The same each time, so that a second try is the same mail; nobody could know it when the mail was written.
        let boundary = format!("kep-{job}");
        let head = format!(
            "X-KEP-Is: {job}\r\nMIME-Version: 1.0\r\nContent-Type: multipart/signed; protocol=\"application/pkcs7-signature\";\r\n \
             micalg={micalg}; boundary=\"{boundary}\"\r\n\r\n--{boundary}\r\n"
        );
        let mut tail = format!(
            "\r\n--{boundary}\r\nContent-Type: application/pkcs7-signature; name=smime.p7s\r\nContent-Transfer-Encoding: base64\r\n\
             Content-Disposition: attachment; filename=smime.p7s\r\n\r\n"
        );
        let packed = STANDARD.encode(cms_der);
        for (n, c) in packed.chars().enumerate() {
            if n > 0 && n % BASE64_LINE_CHARS == 0 {
                tail.push_str("\r\n");
            }
            tail.push(c);
        }
        tail.push_str(&format!("\r\n--{boundary}--\r\n"));
        [&self.outside, head.as_bytes(), &self.entity, tail.as_bytes()].concat()
    }
}

impl Submission {
    /// The exact octets that an officer has to sign to let a job's mail leave.
    pub async fn entity_to_sign(&self, by: &Principal, job: JobId) -> Result<Vec<u8>, Failure> {
        let job = self.to_be_signed(by, job)?;
        job.awaits_signature()?;
        Ok(cut(&self.approved(&job).await?).entity)
    }

    /// Lets a job's mail leave with an officer's detached signature (CAdES, DER) over [`Self::entity_to_sign`].
    pub async fn release_with(
        self: &Arc<Self>,
        by: &Principal,
        job: JobId,
        cms_der: &[u8],
    ) -> Result<Accepted, Failure> {
        let job = self.to_be_signed(by, job)?;
        let digest = personal::digest_algorithm(cms_der)
            .map_err(|fault| Failure::refused(Kind::BadSignature, fault.text()))?;
        let Some(mail) = mails::mail(&*self.db, job.tenant, job.mail)?.map(|mail| mail.row) else {
            return Err(Failure::Broken(format!("mail {}: its row is missing", job.mail)));
        };
        let message = cut(&self.approved(&job).await?).signed(job.id, cms_der, digest);
        let recipients: Vec<_> = mail.recipients.into_iter().map(|r| r.address).collect();
        for recipient in &recipients {
            self.check_recipient(recipient, Some(message.len() as u64))?;
        }
        let mut receiving = self
            .begin(by, recipients)
            .by_route(AuditRoute::Kepctl)
            .force(Asked::Send);
        receiving.write(&message).await?;
        receiving.finish_attested().await
    }

    fn to_be_signed(&self, by: &Principal, job: JobId) -> Result<Job, Failure> {
        let organisation = self.organisations.of(by.tenant)?;
        let user = organisation.users.get(&by.user).filter(|u| !u.removed);
        if user.is_none_or(|u| u.kind != UserKind::Officer) {
            return Err(JobRefusal::NotOfficer.into());
        }
        if organisation.tenant.signature != SignatureDemand::Officer {
            let say = "this account does not ask its officers to sign; release the job without a signature";
            return Err(Failure::refused(Kind::WrongState, say));
        }
        let found = jobs::job(&*self.db, by.tenant, job)?.map(|job| job.row);
        found
            .filter(|job| job.direction == Direction::Outgoing)
            .ok_or_else(|| {
                Failure::refused(
                    Kind::NotFound,
                    format!("there is no job {job} of a mail that is to be sent"),
                )
            })
    }

    /// The octets that were approved; a mail is never larger than what may be held here.
    async fn approved(&self, job: &Job) -> Result<Vec<u8>, Failure> {
        let Some(body) = items::body(&*self.db, job.tenant, job.item)?.map(|body| body.row) else {
            return Err(Failure::Broken(format!("item {} has no content", job.item)));
        };
        ContentReader::whole(&self.spool, &body.content).collect().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mime::Structure;
    use crate::validation::personal::{Shape, shape};

    #[test]
    fn what_is_signed_stands_whole_between_the_boundaries() {
        let plain =
            b"From: a@b\r\nContent-Type: text/html;\r\n charset=utf-8\r\nSubject: x\r\nMIME-Version: 1.0\r\n\
            content-transfer-encoding: 8bit\r\n\r\n<p>\xc5\x9f</p>\r\n";
        let bare = b"From: a@b\r\nSubject: x\r\n\r\nMerhaba\r\n";
        let wanted: [(&[u8], &[u8], &[u8]); 2] = [
            (
                plain,
                b"From: a@b\r\nSubject: x\r\n",
                b"Content-Type: text/html;\r\n charset=utf-8\r\ncontent-transfer-encoding: 8bit\r\n\r\n<p>\xc5\x9f</p>\r\n",
            ),
            (bare, b"From: a@b\r\nSubject: x\r\n", b"\r\nMerhaba\r\n"),
        ];
        for (message, outside, entity) in wanted {
            let parts = cut(message);
            assert_eq!(
                (parts.outside.as_slice(), parts.entity.as_slice()),
                (outside, entity)
            );
            let signed = parts.signed(JobId::from_octets([7; 16]), &[9; 100], DigestAlgorithm::Sha384);
            assert!(signed.starts_with(outside));
            let structure = Structure::of(&signed);
            let Shape::Detached {
                entity: found,
                signature,
            } = shape(&structure)
            else {
                panic!("{}", String::from_utf8_lossy(&signed));
            };
            assert_eq!(found.of(&signed), Some(entity));
            let encoded = signature.body.of(&signed).unwrap();
            assert_eq!(
                crate::mime::decode::transfer(signature.encoding.as_deref(), encoded),
                [9; 100]
            );
        }
    }
}
