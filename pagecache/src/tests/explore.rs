//! Breadth first through all states.

use std::collections::{HashSet, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::model::{Half, Model, Pending};
use super::world::{Bounds, Operation, World};
use crate::cache::PageCache;
use crate::config::CacheConfig;
use crate::page::PAGE_SIZE;

/// How far an exploration got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Explored {
    pub(super) states: usize,
    pub(super) operations: usize,
    /// The longest of the shortest ways to a state.
    pub(super) depth: usize,
}

/// A way that leads to a violation.
#[derive(Debug)]
pub(super) struct Violation {
    pub(super) way: Vec<Operation>,
    pub(super) what: String,
}

/// Visits all states.
pub(super) fn explore(bounds: Bounds) -> Result<Explored, Violation> {
    let cache = PageCache::new(CacheConfig::with_pool_bytes(64 * PAGE_SIZE as u64))
        .map_err(|error| Violation { way: Vec::new(), what: error.to_string() })?;
    let start = World::new(&cache, bounds);
    let mut seen = HashSet::from([start.key()]);
    let mut frontier = VecDeque::from([(Vec::new(), start.operations())]);
    let mut explored = Explored { states: 1, operations: 0, depth: 0 };
    while let Some((way, operations)) = frontier.pop_front() {
        explored.depth = explored.depth.max(way.len());
        for operation in operations {
            let way: Vec<Operation> = way.iter().copied().chain([operation]).collect();
            let reached = visit(&cache, bounds, &way)?;
            explored.operations += 1;
            if seen.insert(reached.key) {
                explored.states += 1;
                frontier.push_back((way, reached.operations));
            }
        }
    }
    Ok(explored)
}

/// Where a way leads.
struct Reached {
    key: Vec<u8>,
    operations: Vec<Operation>,
}

/// Goes a way from the start, and writes everything back at its end.
fn visit(cache: &Arc<PageCache>, bounds: Bounds, way: &[Operation]) -> Result<Reached, Violation> {
    let go = || {
        let world = World::new(cache, bounds);
        way.iter().try_for_each(|operation| world.apply(*operation))?;
        let reached = Reached { key: world.key(), operations: world.operations() };
        world.finish()?;
        Ok(reached)
    };
    let outcome = catch_unwind(AssertUnwindSafe(go));
    let outcome = outcome.unwrap_or_else(|_| Err("an assertion of the cache failed".to_string()));
    outcome.map_err(|what| Violation { way: way.to_vec(), what })
}

/// A state in words of one byte.
pub(super) struct Key {
    steps: Vec<u8>,
    versions: Vec<u8>,
    words: Vec<u8>,
}

impl Key {
    /// A key for states like this one.
    pub(super) fn new(model: &Model) -> Self {
        let flights = model.flights.iter().flat_map(|flight| &flight.pages);
        let promised = model.sync.iter().flat_map(|sync| &sync.promised);
        let mut steps: Vec<u8> = (model.live.iter().flatten())
            .chain(flights.flat_map(|(_, content)| content))
            .chain(promised.flatten())
            .map(|half| half.since)
            .chain(model.disk.iter().flat_map(|stored| stored.visible().map(|half| half.since)))
            .collect();
        steps.sort_unstable();
        steps.dedup();
        let versions = model.flights.iter().map(|flight| flight.number).collect();
        Self { steps, versions, words: Vec::with_capacity(64) }
    }

    pub(super) fn add_word(&mut self, word: u8) {
        self.words.push(word);
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.words
    }

    fn add_half(&mut self, half: Half) {
        let rank = self.steps.partition_point(|step| *step < half.since);
        self.words.extend([rank as u8, u8::from(half.byte == 0)]);
    }

    /// Versions by their place in flight; those that ended are all the same.
    fn version(&self, number: u8) -> u8 {
        self.versions.iter().position(|one| *one == number).map_or(0xff, |at| at as u8)
    }

    pub(super) fn add_model(&mut self, model: &Model) {
        model.live.iter().flatten().for_each(|half| self.add_half(*half));
        for pending in &model.pending {
            let word = match pending {
                Pending::Clean => 0xfe,
                Pending::Open => 0xfd,
                Pending::InFlight(number) => self.version(*number),
            };
            self.add_word(word);
        }
        for stored in &model.disk {
            stored.visible().into_iter().for_each(|half| self.add_half(half));
            // Which versions in flight will be hidden when the disk gets them.
            let hides = |number: &&u8| **number <= stored.hidden_through && stored.hidden_since > 0;
            self.add_word(self.versions.iter().filter(hides).count() as u8);
        }
        for flight in &model.flights {
            self.words.extend([0xfc, u8::from(flight.published)]);
            for (page, content) in &flight.pages {
                self.add_word(*page as u8);
                content.iter().for_each(|half| self.add_half(*half));
            }
        }
        let Some(sync) = &model.sync else { return };
        self.add_word(0xfb);
        sync.promised.iter().flatten().for_each(|half| self.add_half(*half));
        let awaited: Vec<u8> = sync.awaited.iter().map(|number| self.version(*number)).collect();
        self.words.extend(awaited);
    }
}
