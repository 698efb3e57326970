//! One token for many signatures: those that come within a moment are put under the root of a hash tree, the root is stamped,
//! and each gets an evidence record of its own (RFC 4998) with the way from it to that root.
//!
//! For authorities that are paid by the token, or slow. Whoever comes first waits longest: the window, and the answer. A
//! signature that was alone gets the plain token.

use super::{StampFailure, Stamps};
use crate::clock::UtcTime;
use crate::cms::ContentDigest;
use crate::cms::algorithm::DigestAlgorithm;
use crate::cms::ers::{Batch, Place, TreeBuilder, TreeError, batch};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, oneshot};

/// Most signatures under one root: what a notary seals at once many times over, and twelve digests of way.
pub const SHARED_MAX: usize = 4096;

/// How a moment is proved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Witness {
    /// A token over the signature itself.
    Token(Vec<u8>),
    /// An evidence record that covers it.
    Record(Vec<u8>),
}

/// Gathers signatures, and has them stamped together.
pub struct SharedStamps {
    stamps: Arc<dyn Stamps>,
    window: Duration,
    /// Those who wait for others, if anybody does.
    open: Arc<Mutex<Option<Arc<Gathering>>>>,
}

/// Who will share a token: their digests are of one algorithm, for the tree is.
struct Gathering {
    algorithm: DigestAlgorithm,
    all: Mutex<Vec<Waiter>>,
    /// Rung when there is no room for another.
    full: Notify,
}

struct Waiter {
    imprint: ContentDigest,
    answer: oneshot::Sender<Result<Witness, StampFailure>>,
}

impl std::fmt::Debug for SharedStamps {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SharedStamps")
            .field("window", &self.window)
            .finish_non_exhaustive()
    }
}

impl SharedStamps {
    /// Signatures wait up to `window` for others.
    pub fn new(stamps: Arc<dyn Stamps>, window: Duration) -> Self {
        Self {
            stamps,
            window,
            open: Arc::default(),
        }
    }

    /// A witness for the signature whose digest is `imprint`, fresh at `now`.
    pub async fn witness(&self, imprint: ContentDigest, now: UtcTime) -> Result<Witness, StampFailure> {
        let (answer, coming) = oneshot::channel();
        self.join(Waiter { imprint, answer }, now);
        // Who was to answer is gone only when the house is.
        coming.await.unwrap_or(Err(StampFailure::NoTime))
    }

    /// The first one opens a gathering and sends somebody, who waits for the others and fetches the token: whoever asked may
    /// lose patience without harm to them. After a key was exchanged for one of another digest, others gather anew.
    fn join(&self, waiter: Waiter, now: UtcTime) {
        let mut open = lock(&self.open);
        let algorithm = waiter.imprint.algorithm();
        if let Some(gathering) = open.as_ref().filter(|g| g.algorithm == algorithm) {
            let mut all = lock(&gathering.all);
            all.push(waiter);
            if all.len() >= SHARED_MAX {
                drop(all);
                gathering.full.notify_one();
                *open = None;
            }
            return;
        }
        let gathering = Arc::new(Gathering {
            algorithm,
            all: Mutex::new(vec![waiter]),
            full: Notify::new(),
        });
        *open = Some(gathering.clone());
        let (stamps, window, opened) = (self.stamps.clone(), self.window, self.open.clone());
        tokio::spawn(async move {
            // Full or not, the time is over.
            let _ = tokio::time::timeout(window, gathering.full.notified()).await;
            lock(&opened).take_if(|open| Arc::ptr_eq(open, &gathering));
            let all = std::mem::take(&mut *lock(&gathering.all));
            share(&*stamps, algorithm, all, now).await;
        });
    }
}

/// Fetches the token, and hands out what each gets of it.
async fn share(stamps: &dyn Stamps, algorithm: DigestAlgorithm, all: Vec<Waiter>, now: UtcTime) {
    let imprints: Vec<ContentDigest> = all.iter().map(|w| w.imprint).collect();
    let witnesses = match together(stamps, algorithm, &imprints, now).await {
        Ok(witnesses) => witnesses.into_iter().map(Ok).collect(),
        Err(failure) => vec![Err(failure); all.len()],
    };
    for (waiter, witness) in all.into_iter().zip(witnesses) {
        // Somebody who no longer listens will ask again.
        let _ = waiter.answer.send(witness);
    }
}

/// One witness for each of the imprints, in their order.
async fn together(
    stamps: &dyn Stamps,
    algorithm: DigestAlgorithm,
    imprints: &[ContentDigest],
    now: UtcTime,
) -> Result<Vec<Witness>, StampFailure> {
    if let [only] = imprints {
        let stamp = stamps.stamp(*only, now).await?;
        return Ok(vec![Witness::Token(stamp.token_der)]);
    }
    let mut builder = TreeBuilder::new(algorithm);
    let leaves: Result<Vec<u32>, TreeError> = imprints.iter().map(|imprint| builder.push(imprint)).collect();
    let (leaves, tree) = (leaves.map_err(broken)?, builder.finish().map_err(broken)?);
    let root = tree.root().map_err(broken)?;
    let stamp = stamps.stamp(root, now).await?;
    let batch = Batch::new(&tree, &stamp.token_der).map_err(broken)?;
    let record = |leaf| {
        let place = Place {
            batch: &batch,
            tree: &tree,
            leaf,
        };
        batch::record(&[place]).map(Witness::Record).map_err(broken)
    };
    leaves.into_iter().map(record).collect()
}

/// A tree of digests of one algorithm, whose root was stamped, has a record for each leaf; anything else is our bug.
fn broken(why: impl std::fmt::Display) -> StampFailure {
    StampFailure::Shared(why.to_string())
}

fn lock<T>(what: &Mutex<T>) -> MutexGuard<'_, T> {
    what.lock().unwrap_or_else(PoisonError::into_inner)
}
