//! Sees to it that others go on where a commit keeps a worker of the runtime waiting for the disk.
//!
//! A commit that comes alone is written on the worker that carries it, and mostly the disk has answered before another
//! thread would have taken over. Now and then it has not. Then nobody may be looking after the sockets and timers: one
//! worker does so while it rests, and it may be this one, while the others sleep. So somebody looks every now and then, and
//! wakes another worker if a commit is going on that he sees for the second time, or one behind another. Where nothing is
//! committed nobody looks (decision 47).

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::runtime::Handle;

/// How often somebody looks while there are commits. What comes to a socket waits no longer than twice that for one commit.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// Looks since a commit last began, until nobody looks any more.
const IDLE_LOOKS_MAX: u32 = 10;

pub(super) struct Lookout {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    post: Mutex<Post>,
    /// Somebody sleeps no more, or for good.
    changed: Condvar,
}

/// What is seen from where one looks out.
#[derive(Default)]
struct Post {
    /// The runtime whose worker a commit keeps now, unless another worker was woken for it.
    kept: Option<Handle>,
    /// Whether one was kept at the last look.
    was_kept: bool,
    /// Looks since a commit last began.
    idle_looks: u32,
    asleep: bool,
    closed: bool,
}

/// What is to be done behind a look.
enum Next {
    LookAgain,
    /// A worker is kept, and was at the look before.
    Wake(Handle),
    Sleep,
}

/// A worker is kept as long as this lives.
pub(super) struct Kept<'l>(&'l Shared);

impl Lookout {
    pub fn start() -> std::io::Result<Self> {
        let shared = Arc::<Shared>::default();
        let his = shared.clone();
        let thread = std::thread::Builder::new().name("lookout".into());
        let thread = Some(thread.spawn(move || look_out(&his))?);
        Ok(Self { shared, thread })
    }

    /// A commit begins on a worker of this runtime. One at a time.
    pub fn keeps(&self, runtime: Handle) -> Kept<'_> {
        let mut post = self.shared.post();
        post.begin(runtime);
        if std::mem::take(&mut post.asleep) {
            self.shared.changed.notify_one();
        }
        Kept(&self.shared)
    }
}

impl Drop for Kept<'_> {
    fn drop(&mut self) {
        self.0.post().kept = None;
    }
}

impl Drop for Lookout {
    fn drop(&mut self) {
        self.shared.post().closed = true;
        self.shared.changed.notify_one();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn post(&self) -> MutexGuard<'_, Post> {
        self.post.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Post {
    fn begin(&mut self, runtime: Handle) {
        (self.kept, self.idle_looks) = (Some(runtime), 0);
    }

    fn look(&mut self) -> Next {
        let was_kept = std::mem::replace(&mut self.was_kept, self.kept.is_some());
        if was_kept && let Some(runtime) = self.kept.take() {
            return Next::Wake(runtime);
        }
        self.idle_looks += 1;
        match self.idle_looks < IDLE_LOOKS_MAX {
            true => Next::LookAgain,
            false => Next::Sleep,
        }
    }
}

fn look_out(shared: &Shared) {
    let mut post = shared.post();
    while !post.closed {
        match post.look() {
            Next::LookAgain => {}
            Next::Wake(runtime) => {
                drop(post);
                // Whoever is woken for a task that does nothing then looks for what else there is to do.
                runtime.spawn(async {});
                post = shared.post();
            }
            Next::Sleep => {
                post.asleep = true;
                let sleeps = |post: &mut Post| post.asleep && !post.closed;
                let woken = shared.changed.wait_while(post, sleeps);
                post = woken.unwrap_or_else(PoisonError::into_inner);
            }
        }
        let open = |post: &mut Post| !post.closed;
        let looked = shared.changed.wait_timeout_while(post, LOOK_EVERY, open);
        post = looked.unwrap_or_else(PoisonError::into_inner).0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn for_what_goes_on_at_two_looks_another_is_woken_and_only_once() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let mut post = Post::default();
        let mut said = String::new();
        // `(` a commit begins, `)` it is over, `.` a look.
        for step in "(.)..(.(..).()(.).(.)(...".chars() {
            match step {
                '(' => post.begin(runtime.handle().clone()),
                ')' => post.kept = None,
                _ => said.push(match post.look() {
                    Next::LookAgain => 'a',
                    Next::Wake(_) => 'W',
                    Next::Sleep => 's',
                }),
            }
        }
        assert_eq!(said, "aaaaWaaaaaWaa");
    }

    #[test]
    fn where_nothing_is_committed_nobody_looks() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let mut post = Post::default();
        let looks = |post: &mut Post| {
            let again = std::iter::repeat_with(|| post.look());
            again.take_while(|next| matches!(next, Next::LookAgain)).count() as u32
        };
        assert_eq!(looks(&mut post), IDLE_LOOKS_MAX - 1);
        post.begin(runtime.handle().clone());
        post.kept = None;
        assert_eq!(looks(&mut post), IDLE_LOOKS_MAX - 1);
    }

    #[test]
    fn a_commit_wakes_who_fell_asleep_and_he_wakes_another_worker() {
        let until = |what: &dyn Fn() -> bool| {
            let begun = std::time::Instant::now();
            while !what() {
                assert!(begun.elapsed() < Duration::from_secs(20), "for ever");
                std::thread::yield_now();
            }
        };
        let runtime = tokio::runtime::Builder::new_multi_thread().build().unwrap();
        let lookout = Lookout::start().unwrap();
        for _ in 0..2 {
            until(&|| lookout.shared.post().asleep);
            let kept = lookout.keeps(runtime.handle().clone());
            until(&|| lookout.shared.post().kept.is_none());
            drop(kept);
        }
    }
}
