//! A file without a cache: what reads must show, what versions contain, what is on the disk.
//!
//! Content is told apart by *when* it was written. A page has two halves, so that writes of a part,
//! cuts within a page and fills before a write of a part are seen.

use crate::page::{PAGE_SIZE, PageBytes};
use crate::planted::{Mistake, planted};

/// Bytes of half a page.
pub(super) const HALF: usize = PAGE_SIZE / 2;

/// What half a page contains.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) struct Half {
    /// The step that wrote or zeroed it; 0 if nothing did.
    pub(super) since: u8,
    /// The byte it is full of: the step that wrote it, or 0.
    pub(super) byte: u8,
}

impl Half {
    /// Data of that step.
    pub(super) fn written(step: u8) -> Self {
        Self { since: step, byte: step }
    }

    /// Zeros of that step.
    pub(super) fn zeroed(step: u8) -> Self {
        Self { since: step, byte: 0 }
    }
}

/// What a page contains.
pub(super) type Content = [Half; 2];

/// The bytes of a page.
pub(super) fn bytes(content: Content) -> PageBytes {
    let mut bytes = [content[0].byte; PAGE_SIZE];
    bytes[HALF..].fill(content[1].byte);
    bytes
}

/// What reading a page found: the bytes its halves are full of.
pub(super) fn halves_of(bytes: &PageBytes) -> Result<[u8; 2], String> {
    let of = |half: &[u8]| match half.split_first() {
        // Equal to itself moved by one: all bytes are the same.
        Some((first, rest)) if *rest == half[..rest.len()] => Ok(*first),
        _ => Err("a half is torn".to_string()),
    };
    Ok([of(&bytes[..HALF])?, of(&bytes[HALF..])?])
}

/// What writeback has to do with a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) enum Pending {
    /// Nothing.
    #[default]
    Clean,
    /// It is dirty in the open version.
    Open,
    /// It is in flight with the version of that number.
    InFlight(u8),
}

/// A version in flight.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Flight {
    pub(super) number: u8,
    /// Its pages, and what they contain.
    pub(super) pages: Vec<(usize, Content)>,
    /// Whether the disk has it.
    pub(super) published: bool,
}

/// An fsync under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sync {
    /// The file as it was at the call.
    pub(super) promised: Vec<Content>,
    /// The versions that it waits for.
    pub(super) awaited: Vec<u8>,
}

/// A page on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Stored {
    /// The version that wrote it; 0 if none did.
    pub(super) version: u8,
    pub(super) content: Content,
    /// A hole since: shows instead of what versions up to `hidden_through` wrote.
    pub(super) hidden_through: u8,
    pub(super) hidden_since: u8,
}

impl Stored {
    /// What the disk shows.
    pub(super) fn visible(&self) -> Content {
        match self.hidden_since > 0 && self.version <= self.hidden_through {
            true => [Half::zeroed(self.hidden_since); 2],
            false => self.content,
        }
    }
}

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Model {
    pub(super) live: Vec<Content>,
    pub(super) pending: Vec<Pending>,
    pub(super) disk: Vec<Stored>,
    pub(super) flights: Vec<Flight>,
    pub(super) sync: Option<Sync>,
    /// Versions frozen so far.
    pub(super) versions: u8,
    /// Operations so far.
    pub(super) step: u8,
}

impl Model {
    pub(super) fn new(pages: usize) -> Self {
        Self {
            live: vec![Content::default(); pages],
            pending: vec![Pending::Clean; pages],
            disk: vec![Stored::default(); pages],
            flights: Vec::new(),
            sync: None,
            versions: 0,
            step: 0,
        }
    }

    /// A page is written from `half` on.
    pub(super) fn write(&mut self, page: usize, half: usize, byte: Half) {
        self.live[page][half..].fill(byte);
        self.pending[page] = Pending::Open;
    }

    /// A page becomes a hole.
    pub(super) fn punch(&mut self, page: usize) {
        self.live[page] = [Half::zeroed(self.step); 2];
        self.pending[page] = Pending::Clean;
        let stored = &mut self.disk[page];
        (stored.hidden_through, stored.hidden_since) = (self.versions, self.step);
    }

    /// What is dirty becomes the next version in flight; false if nothing is.
    pub(super) fn freeze(&mut self) -> bool {
        let open = |page: &usize| self.pending[*page] == Pending::Open;
        let pages: Vec<_> = (0..self.live.len()).filter(open).collect();
        if pages.is_empty() {
            return false;
        }
        self.versions += 1;
        pages.iter().for_each(|page| self.pending[*page] = Pending::InFlight(self.versions));
        let pages = pages.into_iter().map(|page| (page, self.live[page])).collect();
        self.flights.push(Flight { number: self.versions, pages, published: false });
        true
    }

    /// The version at `at` ends, durable: the disk has it and all before it.
    pub(super) fn complete(&mut self, at: usize) {
        for flight in self.flights[..=at].iter_mut().filter(|flight| !flight.published) {
            flight.published = true;
            for (page, content) in &flight.pages {
                let stored = &mut self.disk[*page];
                (stored.version, stored.content) = (flight.number, *content);
            }
        }
        self.end(at, Pending::Clean);
    }

    /// The version at `at` ends without having been written.
    pub(super) fn fail(&mut self, at: usize) {
        let number = self.flights[at].number;
        // Whoever waits for it gets the error.
        self.sync = self.sync.take().filter(|sync| !sync.awaited.contains(&number));
        self.end(at, Pending::Open);
    }

    fn end(&mut self, at: usize, as_if: Pending) {
        let number = self.flights.remove(at).number;
        let its_own = |pending: &&mut Pending| **pending == Pending::InFlight(number);
        self.pending.iter_mut().filter(its_own).for_each(|pending| *pending = as_if);
        if let Some(sync) = &mut self.sync {
            sync.awaited.retain(|awaited| *awaited != number);
        }
    }

    /// An fsync is called. It froze what was dirty, if anything was.
    pub(super) fn begin_sync(&mut self, froze: bool) {
        let forgets = planted(Mistake::SyncForgetsVersionsInFlight);
        let earlier = self.flights.len() - usize::from(froze);
        let skipped = if forgets { earlier } else { 0 };
        let awaited = self.flights.iter().skip(skipped).map(|flight| flight.number).collect();
        self.sync = Some(Sync { promised: self.live.clone(), awaited });
    }

    /// Ends an fsync that has nothing more to wait for, and sees that it kept its promise.
    pub(super) fn end_sync(&mut self) -> Result<(), String> {
        let Some(sync) = self.sync.take_if(|sync| sync.awaited.is_empty()) else { return Ok(()) };
        for (page, promised) in sync.promised.iter().enumerate() {
            let durable = self.disk[page].visible();
            if (0..2).any(|half| durable[half].since < promised[half].since) {
                return Err(format!("fsync returned before page {page} was durable"));
            }
        }
        Ok(())
    }
}
