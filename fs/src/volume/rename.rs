//! Renaming: replace, no-replace and exchange, within and between directories.

use braidfs_format::{FileKind, InodeNumber, item::MAX_LINKS, item::MAX_TREE_INLINE_BYTES};

use braidfs_store::Reservation;

use super::Volume;
use super::create::{Beginning, NEW_NAME_BLOCKS};
use super::names::{NewEntry, check_name, lock_entries, require_alive};
use super::remove::require_empty;
use crate::ROOT_INODE;
use crate::delta::ChangeGuard;
use crate::error::{FsError, FsErrorKind, FsResult};
use crate::inode::{Inode, PinnedInode, now};
use crate::types::RenameMode;

/// A name in a directory.
struct Place<'a> {
    directory: &'a PinnedInode<'a>,
    name: &'a [u8],
}

impl Volume {
    /// Renames, by `mode`. A file that replaces another goes to disk with its data in the same delta:
    /// replace-by-rename is safe without fsync.
    ///
    /// # Errors
    /// `NotFound`, `Exists`, `NotEmpty`, `IsADirectory`, `NotADirectory`, `Invalid` (a directory
    /// into itself), `TooManyLinks`.
    pub fn rename(
        &self,
        parent: InodeNumber,
        name: &[u8],
        new_parent: InodeNumber,
        new_name: &[u8],
        mode: RenameMode,
    ) -> FsResult<()> {
        let renamed = || {
            check_name(name)?;
            check_name(new_name)?;
            let space = match mode {
                RenameMode::Whiteout { .. } => self.reserve(NEW_NAME_BLOCKS)?,
                _ => Reservation::default(),
            };
            let _one_at_a_time = (parent != new_parent).then(|| self.rename.lock());
            let guard = self.enter_change()?;
            let directory = self.pin_directory(parent)?;
            let new_directory = self.pin_directory(new_parent)?;
            let from = Place { directory: &directory, name };
            let to = Place { directory: &new_directory, name: new_name };
            self.rename_places(&guard, &from, &to, mode)?;
            guard.charge(space);
            Ok(())
        };
        renamed().map_err(|error: FsError| error.during("rename").on(parent))
    }

    fn rename_places(
        &self,
        guard: &ChangeGuard<'_>,
        from: &Place<'_>,
        to: &Place<'_>,
        mode: RenameMode,
    ) -> FsResult<()> {
        loop {
            let (source, target) = self.resolve(guard, from, to)?;
            let mut locked: Vec<&Inode> = vec![from.directory, to.directory, &source];
            locked.extend(target.as_deref());
            let _entries = lock_entries(&locked);
            let (source_now, target_now) = self.resolve(guard, from, to)?;
            let same_target = target.as_ref().map(|inode| inode.number())
                == target_now.as_ref().map(|inode| inode.number());
            if source_now.number() != source.number() || !same_target {
                continue;
            }
            return match (target.as_ref(), mode) {
                (None, RenameMode::Exchange) => {
                    Err(FsError::new(FsErrorKind::NotFound, "there is nothing to exchange with"))
                }
                (
                    Some(_),
                    RenameMode::NoReplace | RenameMode::Whiteout { no_replace: true, .. },
                ) => Err(FsError::new(FsErrorKind::Exists, "the new name is taken")),
                (Some(target), _) if target.number() == source.number() => Ok(()),
                (Some(target), RenameMode::Exchange) => {
                    self.exchange(guard, from, &source, to, target)
                }
                (target, RenameMode::Whiteout { owner, .. }) => {
                    let whiteout = Some(self.plan_whiteout(guard, from.directory, &owner)?);
                    self.move_entry(guard, from, &source, (to, target), whiteout)
                }
                (target, _) => self.move_entry(guard, from, &source, (to, target), None),
            };
        }
    }

    fn resolve<'v>(
        &'v self,
        guard: &ChangeGuard<'_>,
        from: &Place<'_>,
        to: &Place<'_>,
    ) -> FsResult<(PinnedInode<'v>, Option<PinnedInode<'v>>)> {
        let view = guard.view();
        let source = self.require_entry(&view, from.directory, from.name)?;
        let target = self.find_entry(&view, to.directory, to.name)?;
        let target = target.map(|entry| self.pin(entry.inode)).transpose()?;
        Ok((self.pin(source.inode)?, target))
    }

    fn move_entry(
        &self,
        guard: &ChangeGuard<'_>,
        from: &Place<'_>,
        source: &PinnedInode<'_>,
        (to, target): (&Place<'_>, Option<&PinnedInode<'_>>),
        whiteout: Option<Beginning>,
    ) -> FsResult<()> {
        require_alive(to.directory)?;
        let moves = from.directory.number() != to.directory.number();
        if moves {
            self.check_no_loop(source, to.directory)?;
        }
        if let Some(target) = target {
            check_replaceable(source, target)?;
        }
        if moves && source.is_directory() && target.is_none() {
            require_room_for_directory(to.directory)?;
        }
        let left = whiteout
            .as_ref()
            .map(|_| NewEntry { inode: self.inodes.allocate_number(), kind: FileKind::CharDevice });
        self.change_entries(guard, (from, left.as_ref()), (to, source))?;
        self.count_entries(guard, from.directory, left.as_ref().map_or(-1, |_| 0));
        if let (Some(NewEntry { inode, .. }), Some(beginning)) = (left, whiteout) {
            self.begin(guard, inode, beginning).drop_kernel_references(1);
        }
        self.count_entries(guard, to.directory, i64::from(target.is_none()));
        if let Some(target) = target {
            self.drop_link(guard, Some(to.directory), target);
            self.stage_data_with_rename(guard, source);
        }
        if source.is_directory() {
            self.change_parent_links(guard, from.directory, -1);
            self.change_parent_links(guard, to.directory, 1);
        }
        self.settle_in(guard, source, to.directory);
        Ok(())
    }

    /// Points two names to other inodes, or the first one to nothing: both or, after an error, none.
    fn change_entries(
        &self,
        guard: &ChangeGuard<'_>,
        (from, replacement): (&Place<'_>, Option<&NewEntry>),
        (to, moved): (&Place<'_>, &PinnedInode<'_>),
    ) -> FsResult<()> {
        let view = guard.view();
        let mut first = self.edit_entries(&view, from.directory, from.name)?;
        match replacement {
            Some(entry) => first.point(from.name, entry)?,
            None => first.remove(from.name),
        }
        let mut second = self.edit_entries(&view, to.directory, to.name)?;
        if first.key == second.key {
            first.point(to.name, &entry_of(moved))?;
        } else {
            second.point(to.name, &entry_of(moved))?;
            self.apply_edit(guard, second);
        }
        self.apply_edit(guard, first);
        Ok(())
    }

    fn exchange(
        &self,
        guard: &ChangeGuard<'_>,
        from: &Place<'_>,
        source: &PinnedInode<'_>,
        to: &Place<'_>,
        target: &PinnedInode<'_>,
    ) -> FsResult<()> {
        let moves = from.directory.number() != to.directory.number();
        if moves {
            self.check_no_loop(source, to.directory)?;
            self.check_no_loop(target, from.directory)?;
        }
        self.change_entries(guard, (from, Some(&entry_of(target))), (to, source))?;
        self.count_entries(guard, from.directory, 0);
        self.count_entries(guard, to.directory, 0);
        let leaves = |inode: &PinnedInode<'_>| i64::from(inode.is_directory());
        let gained = leaves(source) - leaves(target);
        if moves && gained != 0 {
            self.change_parent_links(guard, from.directory, -gained);
            self.change_parent_links(guard, to.directory, gained);
        }
        self.settle_in(guard, source, to.directory);
        self.settle_in(guard, target, from.directory);
        Ok(())
    }

    fn change_parent_links(
        &self,
        guard: &ChangeGuard<'_>,
        directory: &PinnedInode<'_>,
        change: i64,
    ) {
        self.change_record(guard, directory, |record| {
            let links = i64::from(record.links).saturating_add(change);
            record.links = u32::try_from(links).unwrap_or(0);
        });
    }

    /// The moved inode learns its new place.
    fn settle_in(
        &self,
        guard: &ChangeGuard<'_>,
        inode: &PinnedInode<'_>,
        directory: &PinnedInode<'_>,
    ) {
        self.change_record(guard, inode, |record| {
            record.changed = now();
            if inode.is_directory() {
                record.parent = directory.number();
            }
        });
    }

    fn stage_data_with_rename(&self, guard: &ChangeGuard<'_>, source: &PinnedInode<'_>) {
        if source.kind() == FileKind::Regular && source.state().has_dirty_data() {
            let pages = source.existing_mapping().map_or(0, |mapping| mapping.dirty_pages());
            guard.changes().count_bytes(log_bytes_of_pages(pages));
            self.prepare_data(guard, source);
            self.committer.note_replaced(source.share(), guard.delta());
        }
    }

    /// Refuses to move a directory below itself. The rename lock keeps the ancestors where they are.
    fn check_no_loop(&self, moved: &Inode, into: &Inode) -> FsResult<()> {
        if !moved.is_directory() {
            return Ok(());
        }
        let mut ancestor = into.number();
        while ancestor != ROOT_INODE {
            if ancestor == moved.number() {
                let detail = "a directory can't move into itself";
                return Err(FsError::new(FsErrorKind::Invalid, detail));
            }
            let parent = self.pin(ancestor)?.state().record.parent;
            if parent == 0 || parent == ancestor {
                break;
            }
            ancestor = parent;
        }
        Ok(())
    }
}

fn entry_of(inode: &Inode) -> NewEntry {
    NewEntry { inode: inode.number(), kind: inode.kind() }
}

/// Bytes of log that the content of a replaced file may take: short pages go there whole.
fn log_bytes_of_pages(pages: u64) -> usize {
    const SHORT_PAGES: usize = 16;
    const EXTENT_BYTES: usize = 64;
    let pages = usize::try_from(pages).unwrap_or(usize::MAX);
    pages.min(SHORT_PAGES) * MAX_TREE_INLINE_BYTES + pages.saturating_mul(EXTENT_BYTES)
}

fn check_replaceable(source: &Inode, target: &Inode) -> FsResult<()> {
    match (source.is_directory(), target.is_directory()) {
        (true, false) => {
            let detail = "a directory can't replace a file";
            Err(FsError::new(FsErrorKind::NotADirectory, detail))
        }
        (false, true) => {
            let detail = "a file can't replace a directory";
            Err(FsError::new(FsErrorKind::IsADirectory, detail))
        }
        (true, true) => require_empty(target),
        (false, false) => Ok(()),
    }
}

fn require_room_for_directory(parent: &Inode) -> FsResult<()> {
    if parent.state().record.links >= MAX_LINKS {
        let detail = "the directory has 64998 subdirectories already";
        return Err(FsError::new(FsErrorKind::TooManyLinks, detail));
    }
    Ok(())
}
