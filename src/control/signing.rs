//! An officer's signature that is made beside the mail: the octets to be signed go into a file, the signature comes back.

use super::words::{ControlDoor, Outcome, hex, one};
use crate::control::protocol::Record;
use crate::id::JobId;
use crate::service::failure::{Failure, Kind};
use crate::service::submission::Accepted;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::io::Write as _;
use std::path::Path;

impl ControlDoor {
    pub(super) async fn entity(&self, job: JobId, out: &Path) -> Outcome {
        let by = self.actor()?;
        let octets = self.mailboxes.submission.entity_to_sign(by, job).await?;
        self.note_entity(job, out).await?;
        let sha256 = hex(&digest(&octets));
        let (size, file) = (octets.len(), out.to_owned());
        // Never over something else: what is signed must be what was written.
        let written = tokio::task::spawn_blocking(move || {
            let mut file = std::fs::File::create_new(file)?;
            file.write_all(&octets)
        });
        let written = written.await.map_err(|e| Failure::Broken(e.to_string()))?;
        written.map_err(|e| {
            let say = format!("{} cannot be written: {e}", out.display());
            Failure::refused(Kind::Invalid, say)
        })?;
        one(Record::new()
            .text("job", job)
            .text("file", out.display())
            .with("size", size)
            .text("sha256", sha256))
    }

    pub(super) async fn release_signed(&self, job: JobId, cms: &str) -> Outcome {
        let by = self.actor()?;
        let packed = STANDARD.decode(cms.trim());
        let cms_der =
            packed.map_err(|_| Failure::refused(Kind::Invalid, "the signature is not in base64"))?;
        let accepted = self.mailboxes.submission.release_with(by, job, &cms_der).await?;
        let record = Record::new().text("job", job);
        one(match accepted {
            Accepted::Released { mail, .. } => record.text("state", "released").text("mail", mail),
            // It was released by this very signature before.
            Accepted::Sent { mail } | Accepted::Job { mail, .. } => {
                record.text("state", "released").text("mail", mail)
            }
            Accepted::Draft { item, .. } => record.text("state", "draft").with("item", item.0),
        })
    }
}

fn digest(octets: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, octets).as_ref());
    out
}
