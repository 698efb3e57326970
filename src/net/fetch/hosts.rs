//! Whose turn it is at a host: of what is fetched at the same time only a little goes to one of them.
//!
//! Hosts are told apart by their name alone; two names of one machine are two hosts.

use super::{AT_ONE_HOST_MAX, FetchError, failed};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The hosts that somebody goes to or waits for, and no others.
#[derive(Debug, Default)]
pub(super) struct Hosts(Mutex<HashMap<String, Queue>>);

#[derive(Debug)]
struct Queue {
    turns: Arc<Semaphore>,
    /// Those whose turn it is, and those who wait.
    people: usize,
}

/// A turn at a host; it ends when this is dropped.
#[derive(Debug)]
pub(super) struct Turn<'h> {
    _in_queue: InQueue<'h>,
    _permit: OwnedSemaphorePermit,
}

/// Somebody who stands in a queue. Who gives up leaves it, too.
#[derive(Debug)]
struct InQueue<'h> {
    hosts: &'h Hosts,
    host: String,
}

impl Hosts {
    pub async fn turn(&self, host: &str) -> Result<Turn<'_>, FetchError> {
        // Names are the same in any case (RFC 3986 3.2.2).
        let host = host.to_ascii_lowercase();
        let turns = {
            let mut queues = self.queues();
            let queue = queues.entry(host.clone()).or_insert_with(|| Queue {
                turns: Arc::new(Semaphore::new(AT_ONE_HOST_MAX)),
                people: 0,
            });
            queue.people += 1;
            queue.turns.clone()
        };
        let in_queue = InQueue { hosts: self, host };
        let permit = turns.acquire_owned().await.map_err(failed)?;
        Ok(Turn {
            _in_queue: in_queue,
            _permit: permit,
        })
    }

    fn queues(&self) -> MutexGuard<'_, HashMap<String, Queue>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    pub fn count(&self) -> usize {
        self.queues().len()
    }
}

impl Drop for InQueue<'_> {
    fn drop(&mut self) {
        let mut queues = self.hosts.queues();
        if let Some(queue) = queues.get_mut(&self.host) {
            queue.people -= 1;
            if queue.people == 0 {
                queues.remove(&self.host);
            }
        }
    }
}
