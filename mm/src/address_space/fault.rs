//! Resolving a fault: what is known under the lock, what the source must be asked without it, and
//! what is installed afterwards.
//!
//! | access | region | entry | resolution |
//! |---|---|---|---|
//! | read | any | any | the entry |
//! | read | anonymous | none | install `HoleZero` |
//! | read | private, shared | none | ask the source, install |
//! | write | shared | written | the entry |
//! | write | shared | other, none | ask the source for a page to write, install as written |
//! | write | anonymous, private | frame of this space alone | in place |
//! | write | anonymous, private | frame that others see | copy, install |
//! | write | anonymous, private | zeros | new frame, install |
//! | write | anonymous | none | new frame, install |
//! | write | private | none | ask the source, go on as above |

use std::sync::Arc;

use parking_lot::RwLockWriteGuard;

use super::changes::Moment;
use super::mapped::{Access, Fault, Mapped};
use super::source::{Backing, PageSource, SourcePage, WritablePage};
use super::{AddressSpace, State};
use crate::{Content, ContentRef, Entry, LastLookup, Tag};

/// A page that may be accessed now.
#[derive(Debug, Clone, Copy)]
pub struct Resolved<'a> {
    /// Its bytes.
    pub content: ContentRef<'a>,
    /// Whether they may be written where they are.
    pub writable: bool,
}

/// What a fault needs.
enum Plan<S: ?Sized> {
    /// Nothing: what is there will do.
    Ready,
    /// The lock for itself.
    Exclusive,
    /// That page of a source, to be read or to be written in place.
    Ask { source: Arc<S>, index: u64, to_write: bool, asked: Moment },
}

impl<S: PageSource + ?Sized> AddressSpace<S> {
    /// Resolves an access to a page, and lets `install` have the result while nothing can happen to
    /// the page: whoever puts it somewhere else (in the table of a processor) does so there, and
    /// takes it back in the visitors of [`unmap`](Self::unmap), [`discard`](Self::discard),
    /// [`protect`](Self::protect) and [`take_written`](Self::take_written).
    ///
    /// `last` is the caller's memory of regions, one for each thread. `install` must not call the
    /// space.
    pub fn fault<R>(
        &self,
        page: u64,
        access: Access,
        last: &mut LastLookup<Mapped<S>>,
        install: impl FnOnce(Resolved<'_>) -> R,
    ) -> Result<R, Fault<S::Error>> {
        loop {
            let state = self.state.read();
            let plan = state.plan(page, access, last)?;
            match plan {
                Plan::Ready => {
                    return state
                        .resolved(page, access)
                        .map(install)
                        .ok_or(Fault::Unmapped { page });
                }
                plan => {
                    drop(state);
                    if let Some(state) = self.carry_out(plan, page, access, last)? {
                        let resolved = state.resolved(page, access);
                        return resolved.map(install).ok_or(Fault::Unmapped { page });
                    }
                }
            }
        }
    }

    /// Lets `write` change a page that is this space's own: of an anonymous or a private region.
    pub fn write_page<R>(
        &self,
        page: u64,
        last: &mut LastLookup<Mapped<S>>,
        write: impl FnOnce(&mut crate::Page) -> R,
    ) -> Result<R, Fault<S::Error>> {
        loop {
            let plan = self.state.read().plan(page, Access::Write, last)?;
            let plan = if matches!(plan, Plan::Ready) { Plan::Exclusive } else { plan };
            if let Some(mut state) = self.carry_out(plan, page, Access::Write, last)? {
                let bytes = state.table.page_mut(page);
                return bytes.map(|mut bytes| write(&mut bytes)).ok_or(Fault::NotOwned { page });
            }
        }
    }

    /// Does what a fault needs. `None` if something happened to the page meanwhile: then it is to be
    /// looked at again.
    fn carry_out(
        &self,
        plan: Plan<S>,
        page: u64,
        access: Access,
        last: &mut LastLookup<Mapped<S>>,
    ) -> Result<Option<RwLockWriteGuard<'_, State<S>>>, Fault<S::Error>> {
        match plan {
            Plan::Ready | Plan::Exclusive => {
                let mut state = self.state.write();
                // What was planned may be wrong by now; with the lock it is planned for good.
                let plan = state.plan(page, access, last)?;
                if matches!(plan, Plan::Ask { .. }) {
                    return Ok(None);
                }
                state.install_own(page, access)?;
                Ok(Some(state))
            }
            Plan::Ask { source, index, to_write, asked } => {
                let given = ask(source.as_ref(), index, page, to_write)?;
                let mut state = self.state.write();
                if state.changes.touched(page, asked) {
                    return Ok(None);
                }
                state.install_given(page, given, to_write)?;
                if !to_write && access == Access::Write {
                    state.install_own(page, access)?;
                }
                Ok(Some(state))
            }
        }
    }
}

/// Asks a source for a page.
fn ask<S: PageSource + ?Sized>(
    source: &S,
    index: u64,
    page: u64,
    to_write: bool,
) -> Result<Content, Fault<S::Error>> {
    let beyond = Fault::BeyondEnd { page };
    if to_write {
        return match source.write_page(index).map_err(Fault::Source)? {
            WritablePage::Frame(frame) => Ok(Content::Frame(frame)),
            WritablePage::BeyondEnd => Err(beyond),
        };
    }
    match source.read_page(index).map_err(Fault::Source)? {
        SourcePage::Frame(frame) => Ok(Content::Frame(frame)),
        SourcePage::Zeros => Ok(Content::HoleZero),
        SourcePage::BeyondEnd => Err(beyond),
    }
}

impl<S: PageSource + ?Sized> State<S> {
    /// What an access to a page needs.
    fn plan(
        &self,
        page: u64,
        access: Access,
        last: &mut LastLookup<Mapped<S>>,
    ) -> Result<Plan<S>, Fault<S::Error>> {
        let found = self.regions.lookup(page, last);
        let Some(mapped) = found.value() else { return Err(Fault::Unmapped { page }) };
        if !mapped.protection.allows(access) {
            return Err(Fault::Protection { page, access });
        }
        let entry = self.table.get(page);
        let (source, first, to_write) = match (&mapped.backing, access, &entry) {
            (_, Access::Read, Some(_)) => return Ok(Plan::Ready),
            (Backing::Shared { .. }, Access::Write, Some(entry))
                if entry.tags.contains(Tag::Dirty) =>
            {
                return Ok(Plan::Ready);
            }
            (Backing::Shared { source, first }, Access::Write, _) => (source, first, true),
            (Backing::Private { source, first } | Backing::Shared { source, first }, _, None) => {
                (source, first, false)
            }
            _ => return Ok(Plan::Exclusive),
        };
        let index = first.saturating_add(page - found.range().start);
        Ok(Plan::Ask { source: Arc::clone(source), index, to_write, asked: self.changes.now() })
    }

    /// What is there for a page.
    fn resolved(&self, page: u64, access: Access) -> Option<Resolved<'_>> {
        let entry = self.table.get(page)?;
        Some(Resolved { content: entry.content, writable: access == Access::Write })
    }

    /// Makes a page of an anonymous or a private region ready for the access.
    fn install_own(&mut self, page: u64, access: Access) -> Result<(), Fault<S::Error>> {
        if access == Access::Read {
            if self.table.get(page).is_none() {
                self.table.insert(page, Content::HoleZero)?;
            }
            return Ok(());
        }
        if self.table.page_mut(page).is_none() && !self.is_written_shared(page) {
            let pool = self.table.pool();
            let frame = match self.table.get(page).and_then(|entry| entry.frame()) {
                Some(seen_by_others) => pool.allocate_copy(seen_by_others.page())?,
                None => pool.allocate_zeroed()?,
            };
            self.table.insert_tagged(page, Entry::from(frame), Tag::Dirty)?;
        } else {
            self.table.set_tag(page, Tag::Dirty)?;
        }
        Ok(())
    }

    /// Whether the page is a source's, and was made writable.
    fn is_written_shared(&self, page: u64) -> bool {
        let shared = matches!(
            self.regions.find(page).value(),
            Some(Mapped { backing: Backing::Shared { .. }, .. })
        );
        shared && self.table.is_tagged(page, Tag::Dirty)
    }

    /// Installs what a source gave.
    fn install_given(
        &mut self,
        page: u64,
        given: Content,
        to_write: bool,
    ) -> Result<(), Fault<S::Error>> {
        if to_write {
            self.table.insert_tagged(page, given, Tag::Dirty)?;
        } else if self.table.get(page).is_none() {
            self.table.insert(page, given)?;
        }
        Ok(())
    }
}
