//! Export: everything about one mail in a folder that verifies without us (`docs/operating.md`, "Export").
//!
//! `original.eml` holds the exact octets that were approved, `dispatch.eml` the sealed copy, `evidence/` the documents
//! in order of event, `approvals.json` who decided what on which digest - of a mail that was given back and handed in
//! anew also what was decided then -, `trust/` the anchors, `revocation/` what was said of certificates where it does not lie
//! in the documents, `ozet.pdf` the summary for a court, `manifest.json` the digests of all of it. Of evidence the lasting
//! form is there, once there is one. A bundle has its name when it is whole and on disk.

mod bundle;
mod contents;
mod guide;
mod judging;
mod period;
mod revocation;
mod summing;

pub use period::{Period, PeriodMark, PeriodSide, Step, Visible};

use crate::address::Domain;
use crate::clock::Clock;
use crate::cms::RevocationShelf;
use crate::domain::audit_chain::hex;
use crate::domain::job::{Entry, Job, Route};
use crate::id::{EvidenceId, JobId, MailId, TenantId};
use crate::pdf::summary::{MailFacts, SealedCopy, Side};
use crate::service::aside::aside;
use crate::service::failure::{Failure, Kind};
use crate::service::identity::{Identity, Published};
use crate::service::octets::{ContentReader, cut};
use crate::service::outline::Outline;
use crate::store::db::Db;
use crate::store::folder::{NewFile, NewFolder};
use crate::store::spool::Spool;
use crate::store::tables::evidence::EvidenceRow;
use crate::store::tables::items::Content;
use crate::store::tables::{evidence, items, jobs, lasting, mails, peers};
use bundle::Bundle;
use serde::Serialize;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use summing::{Evidence, Sums};

/// Largest mail that is held in memory for the summary, to judge its seal or its signer: above what any mail may have with its seal.
const JUDGED_MAX_OCTETS: u64 = 64 * 1024 * 1024;
/// Name of the summary in a bundle.
const SUMMARY: &str = "ozet.pdf";

pub struct Archive {
    pub db: Arc<dyn Db>,
    pub spool: Arc<Spool>,
    /// A summary says when it was made.
    pub clock: Arc<dyn Clock>,
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
    pub manifest_sha256: String,
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

/// Whether a bundle of the mail is there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum There {
    No,
    /// One that is not up to date any more: the new one takes its place when it is whole.
    Old,
}

/// The parts of a mail, from whichever side it is exported.
struct Parts {
    original: Content,
    original_sha256: [u8; 32],
    /// With the number of the copy: 0 is the one for all named recipients.
    dispatches: Vec<(u16, Content)>,
    dispatch_issuer: String,
    decisions: Vec<Decided>,
    facts: MailFacts,
}

/// A decision with the job it was taken on.
struct Decided {
    job: Arc<Job>,
    entry: Entry,
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
        Ok(self.spool.load(&lasting::document(&*self.db, &row.xml)?).await?)
    }

    /// Writes the bundle of one mail into `out/<mail>`.
    pub async fn export(&self, tenant: TenantId, mail: MailId, out: &Path) -> Result<Exported, Failure> {
        let sums = Arc::new(Sums::begin()?);
        self.export_with(&sums, tenant, mail, out.join(mail.to_string()), There::No)
            .await
    }

    /// Writes the summary alone into a file, which must not exist.
    pub async fn export_summary(&self, tenant: TenantId, mail: MailId, file: &Path) -> Result<(), Failure> {
        let sums = Arc::new(Sums::begin()?);
        let parts = self.parts(tenant, mail).await?;
        let mut bundle = Bundle::of_nothing(self);
        let octets = self.fill(&sums, tenant, mail, &parts, &mut bundle).await?;
        let mut file = NewFile::create(file).map_err(unwritable)?;
        file.write(&octets).map_err(unwritable)?;
        aside(EXPORTING, move || file.finish().map_err(unwritable)).await?
    }

    async fn export_with(
        &self,
        sums: &Arc<Sums>,
        tenant: TenantId,
        mail: MailId,
        dir: PathBuf,
        there: There,
    ) -> Result<Exported, Failure> {
        // Nothing is begun for a mail that is not there.
        let parts = self.parts(tenant, mail).await?;
        let folder = match there {
            There::No => NewFolder::create(&dir),
            There::Old => NewFolder::replacing(&dir),
        };
        let mut bundle = Bundle::into(self, folder.map_err(unwritable)?);
        self.fill(sums, tenant, mail, &parts, &mut bundle).await?;
        let (mail_id, original_sha256) = (mail.to_string(), hex(&parts.original_sha256));
        let manifest = Manifest {
            mail_id: &mail_id,
            original_sha256: &original_sha256,
            files: &bundle.files,
        };
        let manifest = json(&manifest)?;
        let files = bundle.finish(&manifest).await?;
        Ok(Exported {
            folder: dir,
            mail_id,
            original_sha256,
            manifest_sha256: hex(&mails::digest(&manifest)),
            files,
        })
    }

    /// Everything of a bundle but its manifest; gives the summary's octets.
    async fn fill(
        &self,
        sums: &Arc<Sums>,
        tenant: TenantId,
        mail: MailId,
        parts: &Parts,
        bundle: &mut Bundle<'_>,
    ) -> Result<Vec<u8>, Failure> {
        let digest = bundle.content("original.eml", &parts.original, None).await?;
        if digest != parts.original_sha256 {
            return Err(Failure::Broken(format!(
                "the original of {mail} does not have its digest"
            )));
        }
        let beside = self.beside(tenant, mail, parts)?;
        // What the summary says is what whoever verifies the bundle finds.
        let shelf = Arc::new(beside.shelf(&self.spool).await?);
        let copies = self.copies(sums, parts, bundle, &shelf).await?;
        let documents = self.documents(tenant, mail, bundle).await?;
        beside.write(&self.spool, bundle).await?;
        bundle.octets("approvals.json", &approvals(&parts.decisions)?, None)?;
        let issuers: BTreeSet<&str> = documents
            .iter()
            .map(|d| d.row.issuer.as_str())
            .chain([parts.dispatch_issuer.as_str()])
            .collect();
        let trust = self.trust(&issuers)?;
        for (domain, pem) in &trust {
            bundle.octets(&format!("trust/{domain}.pem"), pem.as_bytes(), Some(domain))?;
        }
        let made = summing::Made {
            at: self.clock.now(),
            by: self.identity.domain.to_string(),
        };
        let original = match documents.iter().any(Evidence::may_tell_a_person) {
            true => self.held(&parts.original).await?,
            false => None,
        };
        let summing = summing::Summing::new(parts, copies, (documents, original), (trust, shelf), made);
        let sums = sums.clone();
        let octets = aside(EXPORTING, move || sums.print(&summing)).await??;
        bundle.octets(SUMMARY, &octets, None)?;
        bundle.octets(guide::NAME, guide::TEXT.as_bytes(), None)?;
        Ok(octets)
    }

    /// The sealed copies, their records beside them; gives what was found on their seals.
    async fn copies(
        &self,
        sums: &Arc<Sums>,
        parts: &Parts,
        bundle: &mut Bundle<'_>,
        shelf: &Arc<RevocationShelf>,
    ) -> Result<Vec<SealedCopy>, Failure> {
        let mut copies = Vec::new();
        let sealed_by = self.trust(&BTreeSet::from([parts.dispatch_issuer.as_str()]))?;
        for (number, dispatch) in &parts.dispatches {
            let file = dispatch_name(*number);
            let issuer = parts.dispatch_issuer.clone();
            let sha256 = bundle.content(&file, dispatch, Some(&issuer)).await?;
            let record = self.record(bundle, &file, sha256).await?;
            let copy = summing::CopyFile {
                file,
                sha256,
                issuer,
                record,
            };
            let basis = (sealed_by.clone(), shelf.clone());
            copies.push(self.judged_copy(sums, copy, dispatch, basis).await?);
        }
        Ok(copies)
    }

    /// The evidence documents in order of event, in their lasting form once there is one, their records beside them.
    async fn documents(
        &self,
        tenant: TenantId,
        mail: MailId,
        bundle: &mut Bundle<'_>,
    ) -> Result<Vec<Evidence>, Failure> {
        let mut documents = Vec::new();
        for (n, row) in self.evidence_of(tenant, mail)?.into_iter().enumerate() {
            let name = evidence_name(n, &row);
            let document = lasting::document(&*self.db, &row.xml)?;
            let xml = self.spool.load(&document).await?;
            bundle.octets(&name, &xml, Some(row.issuer.as_str()))?;
            let record = self.record(bundle, &name, document.id.0).await?;
            documents.push(Evidence {
                name,
                row,
                xml,
                record,
            });
        }
        Ok(documents)
    }

    /// What was found on the seal of a copy.
    async fn judged_copy(
        &self,
        sums: &Arc<Sums>,
        copy: summing::CopyFile,
        content: &Content,
        (trust, shelf): (Vec<(String, String)>, Arc<RevocationShelf>),
    ) -> Result<SealedCopy, Failure> {
        let octets = self.held(content).await?;
        let sums = sums.clone();
        aside(EXPORTING, move || {
            sums.copy(copy, octets.as_deref(), (&trust, &shelf))
        })
        .await
    }

    /// The octets in memory; none when they are too many for that.
    async fn held(&self, content: &Content) -> Result<Option<Vec<u8>>, Failure> {
        if content.size_bytes() > JUDGED_MAX_OCTETS {
            return Ok(None);
        }
        let mut all = Vec::with_capacity(content.size_bytes() as usize);
        let mut reader = ContentReader::whole(&self.spool, content);
        while let Some(chunk) = reader.next_chunk().await? {
            all.extend_from_slice(&chunk);
        }
        Ok(Some(all))
    }

    /// The evidence record of a sealed document beside it, once there is one.
    async fn record(
        &self,
        bundle: &mut Bundle<'_>,
        name: &str,
        sha256: [u8; 32],
    ) -> Result<Option<Vec<u8>>, Failure> {
        let record = self.record_of(sha256).await?;
        if let Some(der) = &record {
            bundle.octets(&format!("{name}.ers"), der, Some(self.identity.domain.as_str()))?;
        }
        Ok(record)
    }

    /// The anchors of every provider concerned, by domain; our own first.
    fn trust(&self, issuers: &BTreeSet<&str>) -> Result<Vec<(String, String)>, Failure> {
        let own = self.identity.domain.to_string();
        let others: Vec<Domain> = issuers
            .iter()
            .filter(|issuer| **issuer != own)
            .filter_map(|issuer| issuer.parse().ok())
            .collect();
        // What was sealed under an earlier authority is checked by that.
        let published = self.published.now();
        let mut trust = vec![(own, published.trust_pem.clone() + &published.past_pem)];
        for domain in others {
            if let Some(peer) = peers::peer(&*self.db, &domain)? {
                trust.push((peer.row.domain.to_string(), peer.row.trust_pem));
            }
        }
        Ok(trust)
    }

    async fn parts(&self, tenant: TenantId, id: MailId) -> Result<Parts, Failure> {
        let none = || Failure::refused(Kind::NotFound, format!("there is no mail {id}"));
        if let Some(mail) = mails::mail(&*self.db, tenant, id)? {
            let mail = mail.row;
            let body = items::body(&*self.db, tenant, mail.item)?.ok_or_else(none)?.row;
            let dispatches = mails::dispatches(&*self.db, tenant, id)?;
            return Ok(Parts {
                original: body.content,
                original_sha256: mail.original_sha256,
                dispatches: dispatches
                    .into_iter()
                    .map(|d| (d.row.copy, d.row.content))
                    .collect(),
                dispatch_issuer: self.identity.domain.to_string(),
                decisions: self.decisions(tenant, mail.job.or(mail.follows))?,
                facts: MailFacts {
                    id: id.to_string(),
                    side: Side::Sent,
                    subject: mail.subject,
                    sender: mail.sender.to_string(),
                    recipients: mail.recipients.iter().map(|r| r.address.to_string()).collect(),
                    message_id: mail.message_id,
                    rem_message_id: self.identity.rem_message_id(id, 0),
                    submitted_at: Some(mail.submitted_at),
                    original_sha256: mail.original_sha256,
                    original_size_bytes: mail.original_size_bytes,
                },
            });
        }
        let consignment = mails::consignment(&*self.db, tenant, id)?.ok_or_else(none)?.row;
        let body = items::body(&*self.db, tenant, consignment.item)?
            .ok_or_else(none)?
            .row;
        let outline = Outline::of_body(&self.spool, &body).await?;
        let original = outline
            .structure
            .parts
            .iter()
            .find(|p| p.is_type("message/rfc822"))
            .ok_or_else(none)?;
        let item = items::item(&*self.db, tenant, consignment.item)?.ok_or_else(none)?;
        let job = item.row.job.as_ref().map(|facet| facet.id);
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
            decisions: self.decisions(tenant, job)?,
            facts: MailFacts {
                id: id.to_string(),
                side: Side::Received {
                    delivered_at: consignment.delivered_at,
                },
                subject: consignment.subject,
                sender: consignment.sender.to_string(),
                recipients: consignment.listed.iter().map(ToString::to_string).collect(),
                message_id: consignment.message_id,
                rem_message_id: consignment.rem_message_id,
                submitted_at: consignment.submitted_at,
                original_sha256: consignment.original_sha256,
                original_size_bytes: original.body.octets(),
            },
        })
    }

    /// The decisions of a job and of all that it follows, in order. What the clock did is no decision.
    fn decisions(&self, tenant: TenantId, last: Option<JobId>) -> Result<Vec<Decided>, Failure> {
        let mut all = Vec::new();
        for job in self.chain(tenant, last)? {
            let job = Arc::new(job);
            let history = jobs::history(&*self.db, job.tenant, job.id)?;
            let by_people = history.into_iter().filter(|e| e.happening.actor.is_some());
            all.extend(by_people.map(|entry| Decided {
                job: job.clone(),
                entry,
            }));
        }
        Ok(all)
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
}

fn dispatch_name(number: u16) -> String {
    match number {
        0 => "dispatch.eml".to_owned(),
        blind => format!("dispatch-blind-{blind}.eml"),
    }
}

fn evidence_name(n: usize, row: &EvidenceRow) -> String {
    format!("evidence/{:02}-{}.xml", n + 1, row.kind.element_name())
}

fn approvals(decisions: &[Decided]) -> Result<Vec<u8>, Failure> {
    let one = |Decided { job, entry }: &Decided| -> serde_json::Value {
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
    json(&decisions.iter().map(one).collect::<Vec<_>>())
}

/// What is said should work on an export break off.
const EXPORTING: &str = "exporting";

fn json(value: &impl Serialize) -> Result<Vec<u8>, Failure> {
    let mut octets = serde_json::to_vec_pretty(value).map_err(|e| Failure::Broken(e.to_string()))?;
    octets.push(b'\n');
    Ok(octets)
}

fn unwritable(error: std::io::Error) -> Failure {
    Failure::refused(Kind::Invalid, format!("the export cannot be written: {error}"))
}
