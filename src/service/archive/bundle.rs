//! The files of one bundle while it is written: each is noted with its digest for the manifest.

use super::{Archive, EXPORTING, ExportedFile, hex, unwritable};
use crate::service::aside::aside;
use crate::service::failure::Failure;
use crate::service::octets::ContentReader;
use crate::store::folder::NewFolder;
use crate::store::tables::items::Content;
use crate::store::tables::mails;
use aws_lc_rs::digest::{Context, SHA256};

pub(super) struct Bundle<'a> {
    archive: &'a Archive,
    /// None: only digests are wanted.
    folder: Option<NewFolder>,
    pub files: Vec<ExportedFile>,
}

impl<'a> Bundle<'a> {
    pub(super) fn into(archive: &'a Archive, folder: NewFolder) -> Self {
        Self {
            archive,
            folder: Some(folder),
            files: Vec::new(),
        }
    }

    /// Reads and digests as if it was written.
    pub(super) fn of_nothing(archive: &'a Archive) -> Self {
        Self {
            archive,
            folder: None,
            files: Vec::new(),
        }
    }

    /// A stored content, in pieces; gives its SHA-256.
    pub(super) async fn content(
        &mut self,
        name: &str,
        content: &Content,
        issuer: Option<&str>,
    ) -> Result<[u8; 32], Failure> {
        let mut file = match &mut self.folder {
            Some(folder) => Some(folder.file(name).map_err(unwritable)?),
            None => None,
        };
        let mut digest = Context::new(&SHA256);
        let mut reader = ContentReader::whole(&self.archive.spool, content);
        while let Some(chunk) = reader.next_chunk().await? {
            digest.update(&chunk);
            if let Some(file) = &mut file {
                file.write(&chunk).map_err(unwritable)?;
            }
        }
        let mut sha256 = [0; 32];
        sha256.copy_from_slice(digest.finish().as_ref());
        self.note(name, sha256, content.size_bytes(), issuer);
        Ok(sha256)
    }

    pub(super) fn octets(&mut self, name: &str, octets: &[u8], issuer: Option<&str>) -> Result<(), Failure> {
        if let Some(folder) = &mut self.folder {
            let mut file = folder.file(name).map_err(unwritable)?;
            file.write(octets).map_err(unwritable)?;
        }
        self.note(name, mails::digest(octets), octets.len() as u64, issuer);
        Ok(())
    }

    fn note(&mut self, path: &str, sha256: [u8; 32], size: u64, issuer: Option<&str>) {
        self.files.push(ExportedFile {
            path: path.to_owned(),
            sha256: hex(&sha256),
            size,
            issuer: issuer.map(str::to_owned),
        });
    }

    /// Writes the manifest, which does not list itself, and gives the folder its name.
    pub(super) async fn finish(self, manifest: &[u8]) -> Result<Vec<ExportedFile>, Failure> {
        if let Some(mut folder) = self.folder {
            let mut file = folder.file("manifest.json").map_err(unwritable)?;
            file.write(manifest).map_err(unwritable)?;
            aside(EXPORTING, move || folder.finish().map_err(unwritable)).await??;
        }
        Ok(self.files)
    }
}
