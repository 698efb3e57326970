//! Keeps everything that was sealed provable for as long as it is kept (RFC 4998; `docs/decisions/0026-evidence-records.md`).
//!
//! At the end of each day what was sealed on it goes into one hash tree whose root is time-stamped. Before the authority's
//! certificate ends or its algorithms age, the time-stamp is renewed; before the digest algorithm of the tree ages, all
//! objects are hashed anew. When that is, a policy with dates says (`domain::algorithm_policy`). The record of one object is
//! cut when somebody asks.
//!
//! A crash at any line loses nothing: what is owed stays owed until its place is written, a night that was not filed whole
//! is filed on, and a renewal is one commit for each night.

use crate::clock::{Clock, UtcTime};
use crate::cms::algorithm::{ContentDigest, DigestAlgorithm};
use crate::cms::ers::{self, Tree, TreeBuilder};
use crate::cms::tsp::Token;
use crate::domain::algorithm_policy::{AlgorithmPolicy, Due, Renewal, Standing};
use crate::domain::schedule::DAY;
use crate::seal::tsa::{StampFailure, Stamps};
use crate::service::evidence_records::{Kept, places};
use crate::service::failure::Failure;
use crate::service::octets::ContentReader;
use crate::service::yielding::commit_or_yield;
use crate::store::db::{Batch, Db};
use crate::store::spool::Spool;
use crate::store::tables::Stored;
use crate::store::tables::items::Content;
use crate::store::tables::preservation::{self, Generation, Listed, PreservedNight, PreservedPlace};
use crate::store::tables::work::{self, OwedPreservation, RenewalDue};
use aws_lc_rs::digest;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Objects taken into one tree: their list stays below some tens of megabytes in memory. A day that has more makes several.
const OBJECTS_MAX: usize = 100_000;
/// Places written by one commit.
const PLACES_AT_ONCE: usize = 1000;
/// Nights renewed with one time-stamp.
const NIGHTS_AT_ONCE: usize = 1000;

pub struct Preservation {
    pub db: Arc<dyn Db>,
    pub spool: Arc<Spool>,
    pub clock: Arc<dyn Clock>,
    pub stamps: Arc<dyn Stamps>,
    pub policy: Arc<AlgorithmPolicy>,
}

impl Preservation {
    /// Files what an interruption left, takes in what is owed, renews what is due. Gives how much there was.
    pub async fn run_due(&self) -> Result<usize, Failure> {
        let mut done = 0;
        if let Some(night) = preservation::last_night(&*self.db)?
            && night.row.filed < night.row.leaves
        {
            done += self.file(night, Vec::new()).await?;
        }
        done += self.take_in().await?;
        Ok(done + self.renew().await?)
    }

    /// Puts what is owed into one hash tree.
    async fn take_in(&self) -> Result<usize, Failure> {
        let now = self.clock.now();
        let owed = work::due::<OwedPreservation>(&*self.db, now, OBJECTS_MAX)?;
        let (mut list, mut taken, mut doubled) = (Vec::new(), Vec::new(), Vec::new());
        let mut seen = BTreeSet::new();
        for stored in &owed {
            let row = &stored.row;
            let sha256 = match row.sha256 {
                Some(known) => known,
                None => match self.digest(&row.content, DigestAlgorithm::Sha256).await {
                    Ok(ContentDigest::Sha256(digest)) => digest,
                    outcome => {
                        self.set_aside(stored, outcome.err()).await?;
                        continue;
                    }
                },
            };
            // Taken in before: by a night that was interrupted, or because both sides of the road are here.
            if !seen.insert(sha256) || preservation::place(&*self.db, &sha256)?.is_some() {
                doubled.push(stored);
                continue;
            }
            let content = row.content.clone();
            list.push(Listed { sha256, content });
            taken.push(stored);
        }
        for some in doubled.chunks(PLACES_AT_ONCE) {
            let mut batch = Batch::new();
            some.iter().for_each(|stored| stored.remove(&mut batch));
            commit_or_yield(&*self.db, batch).await?;
        }
        if list.is_empty() {
            return Ok(owed.len());
        }
        let night = self.night(&list, now).await?;
        self.file(night, taken).await?;
        tracing::info!(objects = list.len(), "taken into a hash tree");
        Ok(owed.len())
    }

    /// What cannot be read now must not hold up the others; it is looked at again a day later, and loudly.
    async fn set_aside(&self, owed: &Stored<OwedPreservation>, why: Option<Failure>) -> Result<(), Failure> {
        tracing::error!(why = ?why, "something sealed cannot be read and is not covered by a hash tree");
        let mut batch = Batch::new();
        work::postpone(&mut batch, owed, self.clock.now().plus(DAY), &owed.row)?;
        commit_or_yield(&*self.db, batch).await
    }

    /// Makes and stamps the tree, and writes the night down.
    async fn night(&self, list: &[Listed], now: UtcTime) -> Result<Stored<PreservedNight>, Failure> {
        let algorithm = self.algorithm(now)?;
        let mut builder = TreeBuilder::with_capacity(algorithm, list.len() as u32);
        for listed in list {
            let digest = match algorithm {
                DigestAlgorithm::Sha256 => ContentDigest::Sha256(listed.sha256),
                other => self.digest(&listed.content, other).await?,
            };
            builder.push(&digest).map_err(broken)?;
        }
        let (generation, due) = self.generation(builder, now).await?;
        let octets = postcard::to_stdvec(list).map_err(broken)?;
        let number = preservation::last_night(&*self.db)?.map_or(1, |last| last.row.number + 1);
        let night = PreservedNight {
            number,
            made_at: now,
            list: self.spool.store(&octets).await?,
            leaves: list.len() as u32,
            filed: 0,
            generations: vec![generation],
        };
        let mut batch = Batch::new();
        preservation::add_night(&mut batch, &night)?;
        work::add(
            &mut batch,
            due.from.max(now.plus(DAY)),
            &RenewalDue { night: number },
        )?;
        self.db.commit(batch).await?;
        let missing = || Failure::Broken(format!("night {number} was written and is not there"));
        preservation::night(&*self.db, number)?.ok_or_else(missing)
    }

    /// A stamped tree, durable but named by no row yet, and when it has to be renewed.
    async fn generation(&self, builder: TreeBuilder, now: UtcTime) -> Result<(Generation, Due), Failure> {
        let tree = builder.finish().map_err(broken)?;
        let token = self.stamp(tree.root().map_err(broken)?, now).await?;
        let stamped = ers::Batch::new(&tree, &token).map_err(broken)?;
        let due = self.due(&stamped)?;
        let stamps = stamped.to_der();
        let (tree, stamps) = tokio::try_join!(self.spool.store(tree.octets()), self.spool.store(&stamps))?;
        Ok((Generation { tree, stamps }, due))
    }

    /// Writes the place of each object that has none yet, and that nothing is owed for it any more.
    async fn file(
        &self,
        mut night: Stored<PreservedNight>,
        owed: Vec<&Stored<OwedPreservation>>,
    ) -> Result<usize, Failure> {
        let list = self.list(&night.row).await?;
        let number = night.row.number;
        while night.row.filed < night.row.leaves {
            let from = night.row.filed as usize;
            let to = list.len().min(from + PLACES_AT_ONCE);
            let mut batch = Batch::new();
            for (leaf, listed) in list.iter().enumerate().take(to).skip(from) {
                let leaf = leaf as u32;
                preservation::set_place(&mut batch, &listed.sha256, PreservedPlace { night: number, leaf })?;
                if let Some(owed) = owed.get(leaf as usize) {
                    owed.remove(&mut batch);
                }
            }
            let filed = PreservedNight {
                filed: to as u32,
                ..night.row.clone()
            };
            night.replace(&mut batch, &filed)?;
            self.db.commit(batch).await?;
            let missing = || Failure::Broken(format!("night {number} is gone"));
            night = preservation::night(&*self.db, number)?.ok_or_else(missing)?;
        }
        Ok(list.len())
    }

    async fn list(&self, night: &PreservedNight) -> Result<Vec<Listed>, Failure> {
        let octets = self.spool.load(&night.list).await?;
        let list: Vec<Listed> = postcard::from_bytes(&octets).map_err(broken)?;
        if list.len() == night.leaves as usize {
            Ok(list)
        } else {
            Err(Failure::Broken(format!(
                "the list of night {} is damaged",
                night.number
            )))
        }
    }

    /// Renews the nights whose time has come.
    async fn renew(&self) -> Result<usize, Failure> {
        let now = self.clock.now();
        let due = work::due::<RenewalDue>(&*self.db, now, NIGHTS_AT_ONCE)?;
        let mut stamps: Vec<Renewing<'_>> = Vec::new();
        for stored in &due {
            let Some(night) = preservation::night(&*self.db, stored.row.night)? else {
                return Err(Failure::Broken(format!(
                    "night {} is not there",
                    stored.row.night
                )));
            };
            let last = self.last_batch(&night.row).await?;
            let again = self.due(&last)?;
            let renewing = Renewing {
                work: stored,
                night,
                last,
            };
            match again.renewal {
                // The policy was changed meanwhile, or a renewal was interrupted behind its commit.
                _ if again.from > now => self.postpone(stored, again.from).await?,
                Renewal::HashTree => self.renew_tree(renewing, now).await?,
                Renewal::Timestamp => stamps.push(renewing),
            }
        }
        for algorithm in [
            DigestAlgorithm::Sha256,
            DigestAlgorithm::Sha384,
            DigestAlgorithm::Sha512,
        ] {
            let (mine, others) = stamps.into_iter().partition(|r| r.last.algorithm() == algorithm);
            stamps = others;
            self.renew_stamps(mine, now).await?;
        }
        Ok(due.len())
    }

    /// One time-stamp over the last time-stamps of all.
    async fn renew_stamps(&self, nights: Vec<Renewing<'_>>, now: UtcTime) -> Result<(), Failure> {
        let Some(first) = nights.first() else {
            return Ok(());
        };
        let mut builder = TreeBuilder::new(first.last.algorithm());
        for renewing in &nights {
            builder.push(&renewing.last.renewal_leaf()).map_err(broken)?;
        }
        let tree = builder.finish().map_err(broken)?;
        let token = self.stamp(tree.root().map_err(broken)?, now).await?;
        let count = nights.len();
        for (leaf, renewing) in nights.into_iter().enumerate() {
            let renewed = renewing
                .last
                .renewed(&tree, leaf as u32, &token)
                .map_err(broken)?;
            let due = self.due(&renewed)?;
            if due.last <= self.due(&renewing.last)?.last {
                // Asked for again and again it would only grow; an operator has to name an authority that lasts longer.
                tracing::error!(night = renewing.night.row.number, ends = %due.last,
                    "a renewed time-stamp would end no later; name an authority whose certificate is newer");
                self.postpone(renewing.work, now.plus(DAY)).await?;
                continue;
            }
            let mut night = renewing.night.row.clone();
            if let Some(generation) = night.generations.last_mut() {
                generation.stamps = self.spool.store(&renewed.to_der()).await?;
            }
            self.replace(renewing, &night, due).await?;
        }
        tracing::info!(nights = count, "time-stamps renewed");
        Ok(())
    }

    /// Every object of a night is read and hashed anew, together with all that was said of it.
    async fn renew_tree(&self, renewing: Renewing<'_>, now: UtcTime) -> Result<(), Failure> {
        let row = &renewing.night.row;
        let algorithm = self.algorithm(now)?;
        let list = self.list(row).await?;
        let mut kept: Kept<Vec<u8>> = Vec::new();
        for generation in &row.generations {
            let octets = self.spool.load(&generation.tree).await?;
            let batch = ers::Batch::from_der(&self.spool.load(&generation.stamps).await?).map_err(broken)?;
            kept.push((batch, Tree::open(octets).map_err(broken)?));
        }
        let mut builder = TreeBuilder::with_capacity(algorithm, row.leaves);
        for (leaf, listed) in list.iter().enumerate() {
            let object = self.digest(&listed.content, algorithm).await?;
            let sequence = ers::batch::sequence(&places(&kept, leaf as u32)).map_err(broken)?;
            builder
                .push(&ers::renewed_digest(&object, &sequence))
                .map_err(broken)?;
        }
        let (generation, due) = self.generation(builder, now).await?;
        let mut night = row.clone();
        if let Some(old) = night.generations.last_mut() {
            old.stamps = self.spool.store(&renewing.last.clone().closed().to_der()).await?;
        }
        night.generations.push(generation);
        let number = night.number;
        self.replace(renewing, &night, due).await?;
        tracing::info!(
            night = number,
            objects = list.len(),
            algorithm = algorithm.name(),
            "hashed anew"
        );
        Ok(())
    }

    /// Writes the renewed night, and when it is due again.
    async fn replace(&self, renewing: Renewing<'_>, night: &PreservedNight, due: Due) -> Result<(), Failure> {
        let mut batch = Batch::new();
        renewing.night.replace(&mut batch, night)?;
        let next = due.from.max(self.clock.now().plus(DAY));
        work::postpone(&mut batch, renewing.work, next, &renewing.work.row)?;
        commit_or_yield(&*self.db, batch).await
    }

    async fn postpone(&self, stored: &Stored<RenewalDue>, to: UtcTime) -> Result<(), Failure> {
        let mut batch = Batch::new();
        work::postpone(&mut batch, stored, to, &stored.row)?;
        commit_or_yield(&*self.db, batch).await
    }

    async fn last_batch(&self, night: &PreservedNight) -> Result<ers::Batch, Failure> {
        let none = || Failure::Broken(format!("night {} has no hash tree", night.number));
        let last = night.generations.last().ok_or_else(none)?;
        ers::Batch::from_der(&self.spool.load(&last.stamps).await?).map_err(broken)
    }

    /// When a batch has to be renewed, and how: its last time-stamp says it.
    fn due(&self, batch: &ers::Batch) -> Result<Due, Failure> {
        let last = batch.tokens().next_back().unwrap_or_default();
        let token = Token::read(last).map_err(broken)?;
        let standing = Standing {
            digest: batch.algorithm().name(),
            signature: token.algorithm.family(),
            signature_bits: token.signer.key_bits(),
            signature_digest: token.algorithm.digest_algorithm().name(),
            certificate_until: token.signer.not_after(),
        };
        self.policy.due(&standing).map_err(broken)
    }

    fn algorithm(&self, now: UtcTime) -> Result<DigestAlgorithm, Failure> {
        let name = self.policy.digest_for_new(now);
        let all = [
            DigestAlgorithm::Sha256,
            DigestAlgorithm::Sha384,
            DigestAlgorithm::Sha512,
        ];
        let found = all.into_iter().find(|a| Some(a.name()) == name);
        let say = "the algorithm policy leaves no digest algorithm for new hash trees; install a newer one";
        found.ok_or_else(|| Failure::Broken(say.into()))
    }

    async fn stamp(&self, root: ContentDigest, now: UtcTime) -> Result<Vec<u8>, Failure> {
        let stamp = self.stamps.stamp(root, now).await.map_err(|e: StampFailure| {
            if e.is_temporary() {
                Failure::Unavailable(e.to_string())
            } else {
                Failure::Broken(e.to_string())
            }
        })?;
        Ok(stamp.token_der)
    }

    /// The digest of all octets of a content.
    async fn digest(&self, content: &Content, algorithm: DigestAlgorithm) -> Result<ContentDigest, Failure> {
        let mut context = digest::Context::new(match algorithm {
            DigestAlgorithm::Sha256 => &digest::SHA256,
            DigestAlgorithm::Sha384 => &digest::SHA384,
            DigestAlgorithm::Sha512 => &digest::SHA512,
        });
        let mut reader = ContentReader::whole(&self.spool, content);
        while let Some(chunk) = reader.next_chunk().await? {
            context.update(&chunk);
        }
        let digest = context.finish();
        ContentDigest::from_octets(algorithm, digest.as_ref())
            .ok_or_else(|| Failure::Broken("a digest of the wrong length".into()))
    }
}

/// A night whose time has come.
struct Renewing<'a> {
    work: &'a Stored<RenewalDue>,
    night: Stored<PreservedNight>,
    last: ers::Batch,
}

fn broken(error: impl std::fmt::Display) -> Failure {
    Failure::Broken(error.to_string())
}
