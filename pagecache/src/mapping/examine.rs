//! Looks into a mapping for the tests that compare it with a model.

use braidfs_mm::{ContentRef, Tag};

use super::Mapping;
use super::version::{Standing, was_written};
use crate::page::PageBytes;

impl Mapping {
    /// The number of the frame in which a page is cached.
    pub(crate) fn frame_of(&self, page: u64) -> Option<usize> {
        let state = self.state.read();
        Some(state.table.get(page)?.frame()?.number().as_usize())
    }

    /// The bytes of a page that is cached; zeros if it is cached without a frame.
    pub(crate) fn cached_bytes(&self, page: u64) -> Option<PageBytes> {
        let state = self.state.read();
        let entry = state.table.get(page)?;
        Some(entry.frame().map_or([0; crate::PAGE_SIZE], |frame| *frame.page()))
    }

    /// All that decides what happens next, but for the bytes: what is cached how, whose it is, who else sees
    /// it, which versions are gathered.
    pub(crate) fn describe(&self, pages: u64, say: &mut dyn FnMut(u8)) {
        let mut state = self.state.write();
        for page in 0..pages {
            let Some(entry) = state.table.get(page) else {
                say(0xfa);
                continue;
            };
            let standing = match state.standing(&entry) {
                Standing::Clean => 0,
                Standing::Open => 1,
                Standing::InFlight => {
                    let its_own = |one: &super::state::InFlight| one.version.stamped(entry.mark);
                    2 + state.in_flight.iter().position(its_own).map_or(9, |at| at as u8)
                }
            };
            say(standing);
            let tags = [Tag::Dirty, Tag::Writeback].map(|tag| u8::from(entry.tags.contains(tag)));
            say(tags[0] + 2 * tags[1] + 4 * u8::from(was_written(entry.mark)));
            say(match entry.content {
                ContentRef::Frame(_) => 0,
                ContentRef::HoleZero => 1,
                ContentRef::DedupZero => 2,
                ContentRef::Placed(_) => 3,
            });
            say(u8::from(state.table.page_mut(page).is_some()));
        }
        for version in &state.in_flight {
            say(u8::from(version.gathered));
            say(version.sole_frames as u8);
        }
    }
}
