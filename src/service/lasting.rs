//! Makes sealed documents last (level B-LT, EN 319 132-1 6): some time after the time-stamp the authorities' last word on the
//! certificates is collected and kept with the document (`docs/decisions/0034-lasting-forms.md`).
//!
//! What was issued is never changed. Of evidence a lasting form is kept, the same document with values in it; the values of a
//! dispatch are kept beside it. Documents that rest on the same certificates are settled together, so what is asked of the
//! authorities is in proportion to certificates and not to documents. What is not the last word yet is put off; that a
//! certificate was revoked before the time-stamp is told loudly, and its proof is kept all the same.
//!
//! A crash at any line loses nothing: what is owed stays owed until its form is written, in the same commit.

use crate::address::Domain;
use crate::clock::{Clock, UtcTime};
use crate::cms::der::DerError;
use crate::cms::revocation::RevocationValues;
use crate::cms::without_names;
use crate::domain::schedule::DAY;
use crate::rem::open::{self, Opened};
use crate::seal::TrustStore;
use crate::seal::lasting::{Certified, LastingError, Outcome, Paths, Proof, Stood, Wait};
use crate::seal::revocation::{Collector, GRACE_DEFAULT};
use crate::service::aside::aside;
use crate::service::failure::Failure;
use crate::service::identity::{Identity, Published};
use crate::service::octets::ContentReader;
use crate::service::yielding::commit_or_yield;
use crate::store::db::{Batch, CommitError, Db};
use crate::store::spool::Spool;
use crate::store::tables::items::Content;
use crate::store::tables::lasting::{self, LastingForm, OwedLasting, Piece, Standing, Value};
use crate::store::tables::{Stored, peers, work};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// What is said should judging break off.
const JUDGING: &str = "judging a lasting form";
/// Documents settled in one look. Each is some tens of kilobytes in memory; dispatches are read one after the other.
const AT_ONCE: usize = 128;
/// How long one look asks about the documents of one provider, however many certificates they rest on: places of its that
/// hang hold up no other. What is left is put off.
const ISSUER_WITHIN: Duration = Duration::from_secs(60);
/// Looks after which that is given up which nobody can judge: no anchors of its issuer, or octets that cannot be read. The
/// pauses grow to a day, so that is after three weeks and more.
pub const ATTEMPTS_MAX: u32 = 30;
/// Owed documents that are counted, those first that are due first; what is more is an alarm, not a figure.
const COUNTED_MAX: usize = 100_000;
/// Added to a delay, and to when there may be a last word: a time-stamp is made a little later than its event, and what is
/// asked for in that very second is a little too early.
const MARGIN: Duration = Duration::from_secs(15 * 60);
/// The pause after the first look that brought no last word, and the longest.
const PAUSE_FIRST: Duration = Duration::from_secs(10 * 60);
const PAUSE_LONGEST: Duration = DAY;
/// Owed for so long beyond its delay, somebody must look: lists come weekly at the latest.
pub const LATE_AFTER: Duration = Duration::from_secs(7 * 24 * 3600);
/// Largest dispatch looked at; peers agree on far less.
const DISPATCH_MAX_OCTETS: u64 = 128 * 1024 * 1024;

pub struct Lasting {
    pub db: Arc<dyn Db>,
    pub spool: Arc<Spool>,
    pub clock: Arc<dyn Clock>,
    pub identity: Arc<Identity>,
    pub published: Arc<Published>,
    /// None: nobody is asked about revocation.
    pub collector: Option<Arc<Collector>>,
    /// How long after the event the last word is asked for.
    pub delay: Duration,
    pub counts: Counts,
}

/// What was done since the start.
#[derive(Debug, Default)]
pub struct Counts {
    pub made: AtomicU64,
    /// Documents whose certificates were revoked before the time-stamp.
    pub revoked: AtomicU64,
    /// Documents that nobody can judge.
    pub given_up: AtomicU64,
}

/// How much waits, and what was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Figures {
    pub owed: u64,
    pub oldest_s: u64,
    pub late: u64,
    pub made: u64,
    pub revoked: u64,
    pub given_up: u64,
}

/// A document whose turn has come.
struct Due {
    owed: Stored<OwedLasting>,
    certified: Certified,
    /// Of evidence that values can be put into; anything else is not kept in memory.
    octets: Option<Vec<u8>>,
}

/// Documents of one provider, by the certificates they rest on.
type Groups = BTreeMap<[u8; 32], Vec<Due>>;

/// What was read.
struct Sealed {
    certified: Certified,
    octets: Option<Vec<u8>>,
    /// It brought the last word with it.
    suffices: bool,
}

/// A document and its last word.
struct Settled {
    due: Due,
    form: Result<Form, LastingError>,
}

/// What is to be stored.
struct Form {
    document: Option<Vec<u8>>,
    beside: RevocationValues,
    certificates: Option<String>,
    standing: Standing,
}

impl Lasting {
    /// Settles what is due. Gives how many documents were looked at.
    pub async fn run_due(&self) -> Result<usize, Failure> {
        let until = self.clock.now().minus(self.wait());
        let owed = work::due::<OwedLasting>(&*self.db, until, AT_ONCE)?;
        let count = owed.len();
        let mut issuers: BTreeMap<Domain, Groups> = BTreeMap::new();
        for owed in owed {
            if lasting::form(&*self.db, &owed.row.content)?.is_some() {
                // Made for the other side of the road, or before a crash that the next look does not know of.
                self.remove(&owed).await?;
                continue;
            }
            match self.read(&owed.row).await {
                Ok(sealed) if sealed.suffices => self.remove(&owed).await?,
                Ok(Sealed {
                    certified, octets, ..
                }) => {
                    // What brought values of its own is given no more of them; they lie beside it.
                    let octets = octets.filter(|_| !certified.is_embedded);
                    let groups = issuers.entry(owed.row.issuer.clone()).or_default();
                    let group = groups.entry(certified.certificates_sha256()).or_default();
                    // The same document, owed by both sides.
                    if group.iter().all(|due| due.owed.row.content != owed.row.content) {
                        group.push(Due {
                            owed,
                            certified,
                            octets,
                        });
                    }
                }
                Err(failure) => self.put_off_or_give_up(&owed, failure).await?,
            }
        }
        for (issuer, groups) in issuers {
            self.settle_all(&issuer, groups).await?;
        }
        Ok(count)
    }

    /// When there is something to do next.
    pub fn next_due(&self) -> Result<Option<UtcTime>, Failure> {
        Ok(work::next_due::<OwedLasting>(&*self.db)?.map(|since| since.plus(self.wait())))
    }

    pub fn figures(&self) -> Result<Figures, Failure> {
        let now = self.clock.now();
        let late_before = now.minus(self.wait()).minus(LATE_AFTER);
        let owed = lasting::owed(&*self.db, late_before, COUNTED_MAX)?;
        Ok(Figures {
            owed: owed.count,
            oldest_s: owed.oldest.map_or(0, |since| since.until(now).as_secs()),
            late: owed.late,
            made: self.counts.made.load(Ordering::Relaxed),
            revoked: self.counts.revoked.load(Ordering::Relaxed),
            given_up: self.counts.given_up.load(Ordering::Relaxed),
        })
    }

    /// How long after the moment that it is filed under something is due. With no delay: at once.
    fn wait(&self) -> Duration {
        self.delay.saturating_add(self.delay.min(MARGIN))
    }

    fn grace(&self) -> Duration {
        self.collector.as_ref().map_or(GRACE_DEFAULT, |c| c.grace())
    }

    async fn remove(&self, owed: &Stored<OwedLasting>) -> Result<(), Failure> {
        let mut batch = Batch::new();
        owed.remove(&mut batch);
        commit_or_yield(&*self.db, batch).await
    }

    /// Moves a document to a later look: when there may be a last word, or after a pause that grows.
    async fn put_off(&self, owed: &Stored<OwedLasting>, wait: &Wait) -> Result<(), Failure> {
        let now = self.clock.now();
        let again = OwedLasting {
            attempts: owed.row.attempts.saturating_add(1),
            ..owed.row.clone()
        };
        let pause = PAUSE_FIRST
            .saturating_mul(1 << owed.row.attempts.min(16))
            .min(PAUSE_LONGEST);
        let due = match wait.again_from {
            Some(from) if from > now => from.plus(MARGIN),
            _ => now.plus(pause),
        };
        let content = owed.row.content.pieces.first().map(|p| p.blob.to_string());
        if again.since.plus(self.wait()).plus(LATE_AFTER) < now {
            tracing::error!(content, issuer = %again.issuer, attempt = again.attempts, why = %wait.why,
                "there is still no last word on the certificates of a document; somebody must look");
        } else {
            tracing::debug!(content, until = %due, why = %wait.why, "no last word on certificates yet");
        }
        let mut batch = Batch::new();
        // Filed under the moment to which the delay is added.
        work::postpone(&mut batch, owed, due.minus(self.wait()), &again)?;
        commit_or_yield(&*self.db, batch).await
    }

    /// The same for what cannot be judged; after many looks it is given up, and that is told.
    async fn put_off_or_give_up(&self, owed: &Stored<OwedLasting>, why: Failure) -> Result<(), Failure> {
        // Our own anchors and files are ours to mend.
        let is_own = owed.row.issuer == self.identity.domain;
        if is_own || owed.row.attempts < ATTEMPTS_MAX {
            return self.put_off(owed, &because(why)).await;
        }
        let why = without_names(&why.to_string());
        tracing::error!(content = ?owed.row.content, issuer = %owed.row.issuer, why,
            "a document is not made lasting; nothing is left to judge it by");
        let form = LastingForm {
            document: None,
            beside: Vec::new(),
            certificates: None,
            standing: Standing::GivenUp(why),
            made_at: self.clock.now(),
        };
        let mut batch = Batch::new();
        owed.remove(&mut batch);
        lasting::add(&mut batch, &owed.row.content, &form)?;
        commit_or_yield(&*self.db, batch).await?;
        self.counts.given_up.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// What has to be judged of a document; of evidence its octets as well.
    async fn read(&self, owed: &OwedLasting) -> Result<Sealed, Failure> {
        if owed.content.size_bytes() > DISPATCH_MAX_OCTETS {
            return Err(Failure::Broken(
                "a sealed document is too large to be read".into(),
            ));
        }
        let octets = ContentReader::whole(&self.spool, &owed.content).collect().await?;
        let (piece, grace) = (owed.piece, self.grace());
        let trust_pem = self.trust_pem(&owed.issuer);
        aside(JUDGING, move || {
            let (certified, octets) = match piece {
                Piece::Evidence => (Certified::of_evidence(&octets).map_err(broken)?, Some(octets)),
                Piece::Dispatch => (Certified::of_seal(&seal_of(&octets)?).map_err(broken)?, None),
            };
            let suffices = certified.is_lasting
                && trust_pem
                    .ok()
                    .and_then(|pem| trust_of(&pem).ok())
                    .is_some_and(|trust| certified.brings_the_last_word(&trust, grace));
            Ok(Sealed {
                certified,
                octets,
                suffices,
            })
        })
        .await?
    }

    /// Settles the documents of one provider, as far as its time reaches.
    async fn settle_all(&self, issuer: &Domain, groups: Groups) -> Result<(), Failure> {
        let trust = match self.trust(issuer) {
            Ok(trust) => Arc::new(trust),
            Err(failure) => {
                let why = failure.to_string();
                for due in groups.into_values().flatten() {
                    self.put_off_or_give_up(&due.owed, Failure::Unavailable(why.clone()))
                        .await?;
                }
                return Ok(());
            }
        };
        let until = self.clock.now().plus(ISSUER_WITHIN);
        for group in groups.into_values() {
            self.settle(&trust, group, until).await?;
        }
        Ok(())
    }

    /// Collects once for a group, and judges each of its documents.
    async fn settle(
        &self,
        trust: &Arc<TrustStore>,
        mut group: Vec<Due>,
        until: UtcTime,
    ) -> Result<(), Failure> {
        // The newest first: what is known after its moment serves all before it.
        group.sort_by_key(|due| std::cmp::Reverse(due.certified.latest()));
        let trust = trust.clone();
        let values = match (&self.collector, group.first()) {
            (Some(collector), Some(newest)) => match self.collect(collector, newest, &trust, until).await {
                Ok(values) => Some(values),
                Err(wait) => return self.put_off_all(&group, &wait).await,
            },
            _ => None,
        };
        let grace = self.grace();
        let judged = aside(JUDGING, move || judge_all(group, &trust, values.as_ref(), grace)).await?;
        let (mut settled, mut waiting) = (Vec::new(), Vec::new());
        for one in judged {
            match one {
                Ok(done) => settled.push(done),
                Err(open) => waiting.push(*open),
            }
        }
        for (due, wait) in &waiting {
            self.put_off(&due.owed, wait).await?;
        }
        self.keep(settled).await
    }

    async fn put_off_all(&self, group: &[Due], wait: &Wait) -> Result<(), Failure> {
        for due in group {
            self.put_off(&due.owed, wait).await?;
        }
        Ok(())
    }

    /// By whose anchors the documents of a provider are judged.
    fn trust(&self, issuer: &Domain) -> Result<TrustStore, Failure> {
        let unread = |e| Failure::Unavailable(format!("the trust anchors of {issuer} cannot be read: {e}"));
        trust_of(&self.trust_pem(issuer)?).map_err(unread)
    }

    fn trust_pem(&self, issuer: &Domain) -> Result<String, Failure> {
        if *issuer == self.identity.domain {
            return Ok(self.published.now().trust_pem.clone());
        }
        let peer = peers::peer(&*self.db, issuer)?;
        let none = || Failure::Unavailable(format!("there are no trust anchors of {issuer}"));
        Ok(peer.ok_or_else(none)?.row.trust_pem)
    }

    /// What the authorities of one document's certificates say now.
    async fn collect(
        &self,
        collector: &Collector,
        newest: &Due,
        trust: &TrustStore,
        until: UtcTime,
    ) -> Result<RevocationValues, Wait> {
        let (certified, store) = (newest.certified.clone(), trust.clone());
        // Hostile certificates can make the search long.
        let paths = aside(JUDGING, move || certified.paths(&store))
            .await
            .map_err(because)?;
        let Paths { signer, stamps } = paths.map_err(|why| because(broken(why)))?;
        let latest = newest.certified.latest();
        let asking = async {
            let mut all = collector.collect(&signer, latest, collector.grace()).await;
            for path in &stamps {
                let more = collector.collect(path, latest, Duration::ZERO).await;
                all.values.add_all(more.values);
                all.failures.extend(more.failures);
            }
            all
        };
        tokio::select! {
            collected = asking => {
                for failure in &collected.failures {
                    let failure = without_names(failure);
                    tracing::warn!(%failure, "a place that says what is revoked");
                }
                Ok(collected.values)
            }
            () = self.clock.wait_until(until) => Err(Wait {
                again_from: None,
                why: "asking what is revoked took too long".into(),
            }),
        }
    }

    /// Stores what was settled: the octets first, then in one commit the rows and that nothing is owed any more.
    async fn keep(&self, settled: Vec<Settled>) -> Result<(), Failure> {
        let now = self.clock.now();
        let mut batch = Batch::new();
        let (mut made, mut revoked) = (0, 0);
        for Settled { due, form } in settled {
            let form = match form {
                Ok(form) => form,
                Err(why) => {
                    self.put_off(&due.owed, &because(broken(why))).await?;
                    continue;
                }
            };
            if let Standing::Revoked(why) = &form.standing {
                revoked += 1;
                tracing::error!(content = ?due.owed.row.content, issuer = %due.owed.row.issuer, why,
                    "a certificate was revoked before the time-stamp of a document that rests on it");
            }
            let row = self.store(form, now).await?;
            due.owed.remove(&mut batch);
            lasting::add(&mut batch, &due.owed.row.content, &row)?;
            if let Some(document) = row.document {
                // The form is an object of its own for the hash trees; what was issued has its place in its own night.
                let content = Content::whole(document.id, document.size_bytes);
                work::preserve(&mut batch, now, content, Some(document.id.0))?;
            }
            made += 1;
        }
        if made == 0 {
            return Ok(());
        }
        match self.db.commit(batch).await {
            Ok(_) => {
                self.counts.made.fetch_add(made, Ordering::Relaxed);
                self.counts.revoked.fetch_add(revoked, Ordering::Relaxed);
                tracing::info!(documents = made, "made lasting");
                Ok(())
            }
            // Somebody was here meanwhile; the next look sees what is left.
            Err(CommitError::Conflict { .. }) => Ok(()),
            Err(other) => Err(other.into()),
        }
    }

    async fn store(&self, form: Form, made_at: UtcTime) -> Result<LastingForm, Failure> {
        let document = match &form.document {
            Some(octets) => Some(self.spool.store(octets).await?),
            None => None,
        };
        let certificates = match &form.certificates {
            Some(pem) => Some(self.spool.store(pem.as_bytes()).await?),
            None => None,
        };
        let mut beside = Vec::new();
        for response in &form.beside.ocsp {
            beside.push(Value::Response(self.spool.store(response).await?));
        }
        for list in &form.beside.crls {
            beside.push(Value::List(self.spool.store(list).await?));
        }
        Ok(LastingForm {
            document,
            beside,
            certificates,
            standing: form.standing,
            made_at,
        })
    }
}

/// Judges a group, newest first. Most documents end by the very values of the first.
fn judge_all(
    group: Vec<Due>,
    trust: &TrustStore,
    values: Option<&RevocationValues>,
    grace: Duration,
) -> Vec<Result<Settled, Box<(Due, Wait)>>> {
    let mut first: Option<Proof> = None;
    let mut out = Vec::new();
    for due in group {
        let like = match (&first, values) {
            (Some(proof), Some(_)) => due.certified.judge_by(proof, trust, grace),
            _ => None,
        };
        let proof = match like {
            Some(proof) => proof,
            None => match due.certified.judge(trust, values, grace) {
                Outcome::Final(proof) => *proof,
                Outcome::NotYet(wait) => {
                    out.push(Err(Box::new((due, wait))));
                    continue;
                }
            },
        };
        let form = form_of(&proof, due.octets.as_deref());
        out.push(Ok(Settled { due, form }));
        first = Some(proof);
    }
    out
}

fn form_of(proof: &Proof, evidence: Option<&[u8]>) -> Result<Form, LastingError> {
    let standing = match &proof.stood {
        Stood::Valid => Standing::Valid,
        Stood::NotAsked => Standing::NotAsked,
        Stood::Revoked(why) => Standing::Revoked(why.clone()),
    };
    Ok(match evidence {
        Some(octets) => {
            let (document, beside) = proof.embed(octets)?;
            Form {
                document: Some(document),
                beside,
                certificates: None,
                standing,
            }
        }
        None => Form {
            document: None,
            beside: proof.values(),
            certificates: Some(proof.certificates().iter().map(|c| c.pem()).collect()),
            standing,
        },
    })
}

fn trust_of(pem: &str) -> Result<TrustStore, DerError> {
    let mut trust = TrustStore::new();
    trust.add_pem_text(pem)?;
    Ok(trust)
}

/// The signature of a dispatch.
fn seal_of(octets: &[u8]) -> Result<Vec<u8>, Failure> {
    let (_, opened) = open::open_octets(octets);
    let (Opened::Dispatch { sealed, .. } | Opened::Evidence { sealed, .. }) = opened.map_err(broken)?;
    Ok(sealed.signature_der)
}

fn because(failure: Failure) -> Wait {
    Wait {
        again_from: None,
        why: failure.to_string(),
    }
}

fn broken(error: impl std::fmt::Display) -> Failure {
    Failure::Broken(error.to_string())
}
