//! Export: everything about one mail in a folder that verifies without us (`docs/operating.md`, "Export").
//!
//! `original.eml` holds the exact octets that were approved, `dispatch.eml` the sealed copy, `evidence/` the documents
//! in order of event, `approvals.json` who decided what on which digest - of a mail that was given back and handed in
//! anew also what was decided then -, `trust/` the anchors, `manifest.json` the
//! digests of all of it.

use crate::domain::job::{Entry, Job, Route};
use crate::id::{EvidenceId, JobId, MailId, TenantId};
use crate::service::failure::{Failure, Kind};
use crate::service::identity::{Identity, Published};
use crate::service::octets::{ContentReader, cut};
use crate::store::db::Db;
use crate::store::folder::NewFolder;
use crate::store::spool::Spool;
use crate::store::tables::evidence::EvidenceRow;
use crate::store::tables::items::Content;
use crate::store::tables::{evidence, items, jobs, mails, peers};
use aws_lc_rs::digest::{Context, SHA256};
use serde::Serialize;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub struct Archive {
    pub db: Arc<dyn Db>,
    pub spool: Arc<Spool>,
    pub identity: Arc<Identity>,
    /// By what our own seals and time-stamps are checked.
    pub published: Arc<Published>,
}

/// What was exported.
#[derive(Debug, Clone, Serialize)]
pub struct Exported {
    pub folder: PathBuf,
    pub mail_id: String,
    pub original_sha256: String,
    pub files: Vec<ExportedFile>,
}

#[derive(Debug, Clone, Serialize)]
pub struct ExportedFile {
    pub path: String,
    pub sha256: String,
    pub size: u64,
    /// The provider whose word the file is; none for the original and the manifest's own lists.
    pub issuer: Option<String>,
}

#[derive(Serialize)]
struct Manifest<'a> {
    mail_id: &'a str,
    original_sha256: &'a str,
    files: &'a [ExportedFile],
}

#[derive(Serialize)]
struct Approval<'a> {
    job_id: String,
    rule: &'a str,
    rule_version: u32,
    step: Option<u16>,
    role: Option<&'a str>,
    actor: &'a str,
    /// Whom the actor stood for.
    #[serde(skip_serializing_if = "Option::is_none")]
    in_name_of: Option<&'a str>,
    /// To whom the step was handed.
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<&'a str>,
    decision: &'static str,
    route: &'static str,
    note: &'a str,
    at: String,
    original_sha256: String,
}

/// The parts of a mail, from whichever side it is exported.
struct Parts {
    original: Content,
    original_sha256: [u8; 32],
    /// With the number of the copy: 0 is the one for all named recipients.
    dispatches: Vec<(u16, Content)>,
    dispatch_issuer: String,
    approvals: Vec<u8>,
}

impl Archive {
    /// The tenant a mail was sent by, or consigned to.
    pub fn tenant_of(&self, mail: MailId) -> Result<TenantId, Failure> {
        let none = || Failure::refused(Kind::NotFound, format!("there is no mail {mail}"));
        mails::tenant_of(&*self.db, mail)?.ok_or_else(none)
    }

    /// The evidence of a mail, in order of event; events of the same moment in the order of the road.
    pub fn evidence_of(&self, tenant: TenantId, mail: MailId) -> Result<Vec<EvidenceRow>, Failure> {
        let rows = evidence::of_mail(&*self.db, tenant, mail)?;
        let mut rows: Vec<EvidenceRow> = rows.into_iter().map(|e| e.row).collect();
        rows.sort_by_key(|row| (row.event_time, row.kind));
        Ok(rows)
    }

    /// One sealed document.
    pub async fn document(&self, tenant: TenantId, id: EvidenceId) -> Result<Vec<u8>, Failure> {
        let rows = evidence::of_tenant(&*self.db, tenant)?;
        let found = rows.into_iter().find(|e| e.row.id == id);
        let row = found
            .ok_or_else(|| Failure::refused(Kind::NotFound, format!("there is no evidence {id}")))?
            .row;
        Ok(self.spool.load(&row.xml).await?)
    }

    /// Writes the bundle of one mail into `out/<mail>`.
    pub async fn export(&self, tenant: TenantId, mail: MailId, out: &Path) -> Result<Exported, Failure> {
        let parts = self.parts(tenant, mail)?;
        let dir = out.join(mail.to_string());
        let folder = NewFolder::create(&dir).map_err(unwritable)?;
        let mut bundle = Bundle {
            archive: self,
            folder,
            files: Vec::new(),
        };
        bundle.content("original.eml", &parts.original, None).await?;
        for (number, dispatch) in &parts.dispatches {
            let name = if *number == 0 {
                "dispatch.eml".to_owned()
            } else {
                format!("dispatch-blind-{number}.eml")
            };
            bundle
                .content(&name, dispatch, Some(&parts.dispatch_issuer))
                .await?;
        }
        let rows = self.evidence_of(tenant, mail)?;
        for (n, row) in rows.iter().enumerate() {
            let name = format!("evidence/{:02}-{}.xml", n + 1, row.kind.element_name());
            bundle.octets(
                &name,
                &self.spool.load(&row.xml).await?,
                Some(row.issuer.as_str()),
            )?;
        }
        bundle.octets("approvals.json", &parts.approvals, None)?;
        let issuers: BTreeSet<&str> = rows
            .iter()
            .map(|r| r.issuer.as_str())
            .chain([parts.dispatch_issuer.as_str()])
            .collect();
        for (domain, pem) in self.trust(&issuers)? {
            bundle.octets(&format!("trust/{domain}.pem"), pem.as_bytes(), Some(&domain))?;
        }
        let (mail_id, original_sha256) = (mail.to_string(), hex(&parts.original_sha256));
        let manifest = Manifest {
            mail_id: &mail_id,
            original_sha256: &original_sha256,
            files: &bundle.files,
        };
        let manifest = json(&manifest)?;
        let mut file = bundle.folder.file("manifest.json").map_err(unwritable)?;
        file.write(&manifest)
            .and_then(|()| file.finish())
            .map_err(unwritable)?;
        Ok(Exported {
            folder: dir,
            mail_id,
            original_sha256,
            files: bundle.files,
        })
    }

    /// The anchors of every provider concerned, by domain.
    fn trust(&self, issuers: &BTreeSet<&str>) -> Result<Vec<(String, String)>, Failure> {
        let mut trust = vec![(
            self.identity.domain.to_string(),
            self.published.now().trust_pem.clone(),
        )];
        for peer in peers::all(&*self.db)? {
            if issuers.contains(peer.row.domain.as_str()) {
                trust.push((peer.row.domain.to_string(), peer.row.trust_pem));
            }
        }
        Ok(trust)
    }

    fn parts(&self, tenant: TenantId, id: MailId) -> Result<Parts, Failure> {
        let none = || Failure::refused(Kind::NotFound, format!("there is no mail {id}"));
        if let Some(mail) = mails::mail(&*self.db, tenant, id)? {
            let body = items::body(&*self.db, tenant, mail.row.item)?
                .ok_or_else(none)?
                .row;
            let dispatches = mails::dispatches(&*self.db, tenant, id)?;
            return Ok(Parts {
                original: body.content,
                original_sha256: mail.row.original_sha256,
                dispatches: dispatches
                    .into_iter()
                    .map(|d| (d.row.copy, d.row.content))
                    .collect(),
                dispatch_issuer: self.identity.domain.to_string(),
                approvals: self.approvals(tenant, mail.row.job.or(mail.row.follows))?,
            });
        }
        let consignment = mails::consignment(&*self.db, tenant, id)?.ok_or_else(none)?.row;
        let body = items::body(&*self.db, tenant, consignment.item)?
            .ok_or_else(none)?
            .row;
        let outline: crate::service::outline::Outline = postcard::from_bytes(&body.outline)
            .map_err(|e| Failure::Broken(format!("outline of {id}: {e}")))?;
        let original = outline
            .structure
            .parts
            .iter()
            .find(|p| p.is_type("message/rfc822"))
            .ok_or_else(none)?;
        let item = items::item(&*self.db, tenant, consignment.item)?.ok_or_else(none)?;
        let job = item.row.job.map(|facet| facet.id);
        let issuer = consignment
            .rem_message_id
            .rsplit_once('@')
            .map_or("", |(_, domain)| domain);
        Ok(Parts {
            original: Content {
                pieces: cut(&body.content, original.body.range()),
            },
            original_sha256: consignment.original_sha256,
            dispatches: vec![(0, body.content)],
            dispatch_issuer: issuer.to_owned(),
            approvals: self.approvals(tenant, job)?,
        })
    }

    /// The decisions of a job and of all that it follows, in order.
    fn approvals(&self, tenant: TenantId, last: Option<JobId>) -> Result<Vec<u8>, Failure> {
        let mut all = Vec::new();
        for job in self.chain(tenant, last)? {
            all.extend(self.decisions(&job)?);
        }
        json(&all)
    }

    /// A job and those of the earlier attempts: its mail was given back and handed in anew. The oldest first.
    fn chain(&self, tenant: TenantId, last: Option<JobId>) -> Result<Vec<Job>, Failure> {
        let (mut chain, mut seen) = (Vec::new(), BTreeSet::new());
        let mut next = last;
        while let Some(id) = next.filter(|id| seen.insert(*id)) {
            let Some(job) = jobs::job(&*self.db, tenant, id)?.map(|j| j.row) else {
                return Err(Failure::Broken(format!("the job {id} is not there")));
            };
            next = job.follows;
            chain.push(job);
        }
        chain.reverse();
        Ok(chain)
    }

    fn decisions(&self, job: &Job) -> Result<Vec<serde_json::Value>, Failure> {
        let decisions = jobs::history(&*self.db, job.tenant, job.id)?;
        let one = |entry: &Entry| -> serde_json::Value {
            let d = &entry.happening;
            serde_json::json!(Approval {
                job_id: job.id.to_string(),
                rule: &job.rule_name,
                rule_version: job.rule_version,
                step: d.step,
                role: d.role.as_deref(),
                actor: &d.actor_login,
                in_name_of: d.in_name_of.as_deref(),
                to: d.to.as_deref(),
                decision: d.deed.word(),
                route: d.route.map_or("", Route::word),
                note: &d.note,
                at: d.at.rfc3339(),
                original_sha256: hex(&entry.original_sha256),
            })
        };
        // What the clock did is no decision.
        let by_people = decisions.iter().filter(|e| e.happening.actor.is_some());
        Ok(by_people.map(one).collect())
    }
}

struct Bundle<'a> {
    archive: &'a Archive,
    folder: NewFolder,
    files: Vec<ExportedFile>,
}

impl Bundle<'_> {
    async fn content(&mut self, name: &str, content: &Content, issuer: Option<&str>) -> Result<(), Failure> {
        let mut file = self.folder.file(name).map_err(unwritable)?;
        let mut digest = Context::new(&SHA256);
        let mut reader = ContentReader::whole(&self.archive.spool, content);
        while let Some(chunk) = reader.next_chunk().await? {
            digest.update(&chunk);
            file.write(&chunk).map_err(unwritable)?;
        }
        file.finish().map_err(unwritable)?;
        self.note(name, hex(digest.finish().as_ref()), content.size_bytes(), issuer);
        Ok(())
    }

    fn octets(&mut self, name: &str, octets: &[u8], issuer: Option<&str>) -> Result<(), Failure> {
        let mut file = self.folder.file(name).map_err(unwritable)?;
        file.write(octets)
            .and_then(|()| file.finish())
            .map_err(unwritable)?;
        self.note(name, hex(&mails::digest(octets)), octets.len() as u64, issuer);
        Ok(())
    }

    fn note(&mut self, path: &str, sha256: String, size: u64, issuer: Option<&str>) {
        self.files.push(ExportedFile {
            path: path.to_owned(),
            sha256,
            size,
            issuer: issuer.map(str::to_owned),
        });
    }
}

fn json(value: &impl Serialize) -> Result<Vec<u8>, Failure> {
    let mut octets = serde_json::to_vec_pretty(value).map_err(|e| Failure::Broken(e.to_string()))?;
    octets.push(b'\n');
    Ok(octets)
}

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|b| format!("{b:02x}")).collect()
}

fn unwritable(error: std::io::Error) -> Failure {
    Failure::refused(Kind::Invalid, format!("the export cannot be written: {error}"))
}
