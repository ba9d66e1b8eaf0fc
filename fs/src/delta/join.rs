//! Joining commits without a thread for each caller.
//!
//! A FUSE server has few threads, and an fsync that slept on one of them would keep other fsyncs from
//! joining its flush. So the thread that brings the first fsync leads: it commits, and whoever
//! brings one meanwhile only leaves it here and goes on reading requests. When the leader's flush
//! is done, it answers its group and takes what has gathered as the next one.

use parking_lot::Mutex;

use super::commit::Committer;
use super::request::Scope;
use crate::error::FsResult;

/// What to do when a commit has ended; runs on the leader's thread.
pub type Done = Box<dyn FnOnce(FsResult<()>) + Send>;

/// The commits that wait for the leader.
#[derive(Default)]
pub(super) struct Joined {
    queue: Mutex<Queue>,
}

#[derive(Default)]
struct Queue {
    waiting: Vec<(Scope, Done)>,
    led: bool,
}

impl Joined {
    /// Leaves a request; true if the caller has to lead.
    fn push(&self, scope: Scope, done: Done) -> bool {
        let mut queue = self.queue.lock();
        queue.waiting.push((scope, done));
        !std::mem::replace(&mut queue.led, true)
    }

    /// What has gathered; `None`, and nobody leads any more, if nothing has.
    fn next_group(&self) -> Option<Vec<(Scope, Done)>> {
        let mut queue = self.queue.lock();
        if queue.waiting.is_empty() {
            queue.led = false;
            return None;
        }
        Some(std::mem::take(&mut queue.waiting))
    }
}

impl Committer {
    /// Makes everything in `scope` durable that was changed before this call, then calls `done`:
    /// here, or on the thread that leads.
    pub fn commit_then(&self, scope: Scope, done: Done) {
        if !self.joined.push(scope, done) {
            return;
        }
        while let Some(group) = self.joined.next_group() {
            let (scopes, waiting): (Vec<Scope>, Vec<Done>) = group.into_iter().unzip();
            let outcome = self.commit_all(scopes);
            for done in waiting {
                done(outcome.clone());
            }
        }
    }
}
