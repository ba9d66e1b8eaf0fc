//! Reader pins: freed blocks are not given back while a reader may still look at them.
//!
//! Whoever reads the tree or maps an extent holds a [`ReadPin`] of the generation that was current
//! then. Retiring blocks ends the generation: they go back to the allocator when the last pin of
//! that generation, and of every one before it, has gone. Without readers they go back at once.
//!
//! Invariant: a generation keeps its successor alive, so generations end in order.
//! Lock order: pins are taken under the layers' lock; the allocator's locks come after it. A pin may
//! be dropped anywhere the allocator may be called.

use std::sync::{Arc, OnceLock};

use crate::space::{BlockRun, Space};

/// Keeps blocks that were in use when it was taken from being used anew.
#[derive(Debug, Clone)]
pub struct ReadPin {
    _generation: Arc<Generation>,
}

/// The current generation of readers.
#[derive(Debug)]
pub(crate) struct Pins {
    space: Arc<Space>,
    current: Arc<Generation>,
}

#[derive(Debug)]
struct Generation {
    space: Arc<Space>,
    end: OnceLock<End>,
}

/// How a generation ended: what its readers may still look at, and what follows it.
#[derive(Debug)]
struct End {
    runs: Vec<BlockRun>,
    next: Arc<Generation>,
}

impl Pins {
    pub(crate) fn new(space: Arc<Space>) -> Self {
        let current = Generation::new(&space);
        Self { space, current }
    }

    /// A pin of everything that can be found now.
    pub(crate) fn pin(&self) -> ReadPin {
        ReadPin { _generation: Arc::clone(&self.current) }
    }

    /// Gives `runs`, which cannot be found any more, back once no reader can be looking at them.
    pub(crate) fn retire(&mut self, runs: Vec<BlockRun>) {
        if runs.is_empty() {
            return;
        }
        if Arc::get_mut(&mut self.current).is_some() {
            self.space.release(&runs);
            return;
        }
        let next = Generation::new(&self.space);
        let ended = std::mem::replace(&mut self.current, Arc::clone(&next));
        // Only this function ends a generation, and each only once: the set cannot fail.
        let _ = ended.end.set(End { runs, next });
    }
}

impl Generation {
    fn new(space: &Arc<Space>) -> Arc<Self> {
        Arc::new(Self { space: Arc::clone(space), end: OnceLock::new() })
    }
}

impl Drop for Generation {
    /// Goes along the chain in a loop: one that hangs on a single old reader can be long.
    fn drop(&mut self) {
        let mut end = self.end.take();
        while let Some(End { runs, next }) = end {
            self.space.release(&runs);
            end = Arc::into_inner(next).and_then(|mut next| next.end.take());
        }
    }
}
