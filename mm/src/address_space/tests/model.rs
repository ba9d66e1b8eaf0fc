//! Random operations on a space and its forks, compared with a naive map after every step.

use proptest::prelude::*;

use super::*;

const PAGES: u64 = 40;
const FILE_PAGES: u64 = 30;

/// What a naive space knows of a page.
#[derive(Debug, Clone, Copy)]
struct Slot {
    kind: Kind,
    protection: Protection,
    /// What the space itself wrote.
    own: Option<u8>,
    /// What a read of the source found: it stays until it is discarded.
    seen: Option<u8>,
    /// Whether the source was asked for the right to write.
    written: bool,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    Anonymous,
    Private(u64),
    Shared(u64),
}

type Naive = Vec<Option<Slot>>;

#[derive(Debug, Clone)]
enum Step {
    Map(Range<u64>, u8, Protection),
    Unmap(Range<u64>),
    Discard(Range<u64>),
    Protect(Range<u64>, Protection),
    Read(u64),
    Write(u64, u8),
    TakeWritten(Range<u64>),
    Fork,
    Drop(usize),
    Switch(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let range =
        || (0..PAGES, 1..16u64).prop_map(|(start, length)| start..(start + length).min(PAGES));
    let protection = || {
        prop::sample::select(vec![
            Protection::ReadWrite,
            Protection::ReadWrite,
            Protection::Read,
            Protection::None,
        ])
    };
    let step = prop_oneof![
        5 => (range(), 0..3u8, protection()).prop_map(|(pages, kind, how)| Step::Map(pages, kind, how)),
        2 => range().prop_map(Step::Unmap),
        2 => range().prop_map(Step::Discard),
        2 => (range(), protection()).prop_map(|(pages, how)| Step::Protect(pages, how)),
        6 => (0..PAGES).prop_map(Step::Read),
        8 => (0..PAGES, 200..255u8).prop_map(|(page, byte)| Step::Write(page, byte)),
        1 => range().prop_map(Step::TakeWritten),
        2 => Just(Step::Fork),
        1 => (0..4usize).prop_map(Step::Drop),
        2 => (0..4usize).prop_map(Step::Switch),
    ];
    prop::collection::vec(step, 1..80)
}

/// The naive read: what is seen, or the signal.
fn naive_read(naive: &mut Naive, page: u64, file: &File) -> Result<u8, Signal> {
    let slot = naive[page as usize].as_mut().ok_or(Signal::Segv)?;
    if slot.protection == Protection::None {
        return Err(Signal::Segv);
    }
    let (Kind::Private(index) | Kind::Shared(index)) = slot.kind else {
        return Ok(slot.own.unwrap_or(0));
    };
    if let Some(known) = slot.own.or(slot.seen) {
        return Ok(known);
    }
    if index >= FILE_PAGES {
        return Err(Signal::Bus);
    }
    Ok(*slot.seen.insert(file.byte(index)))
}

/// The naive write of a byte, or of what the source makes of a shared page.
fn naive_write(naive: &mut Naive, page: u64, byte: u8, file: &File) -> Result<(), Signal> {
    let slot = naive[page as usize].as_mut().ok_or(Signal::Segv)?;
    if slot.protection != Protection::ReadWrite {
        return Err(Signal::Segv);
    }
    match slot.kind {
        Kind::Shared(_) if slot.written => {}
        Kind::Private(index) if slot.own.or(slot.seen).is_none() && index >= FILE_PAGES => {
            return Err(Signal::Bus);
        }
        Kind::Shared(index) if index >= FILE_PAGES => return Err(Signal::Bus),
        Kind::Shared(index) => slot.seen = Some(file.byte(index).wrapping_add(1)),
        Kind::Private(_) | Kind::Anonymous => slot.own = Some(byte),
    }
    slot.written = true;
    Ok(())
}

fn range_of<'a>(
    naive: &'a mut Naive,
    pages: &Range<u64>,
) -> impl Iterator<Item = (u64, &'a mut Option<Slot>)> + use<'a> {
    (pages.start..).zip(&mut naive[pages.start as usize..pages.end as usize])
}

fn written_in(naive: &mut Naive, pages: &Range<u64>) -> Vec<u64> {
    let mut written = Vec::new();
    for (page, slot) in range_of(naive, pages) {
        if let Some(slot) = slot.as_mut().filter(|slot| slot.written) {
            slot.written = false;
            written.push(page);
        }
    }
    written
}

fn map(
    space: &Space,
    naive: &mut Naive,
    file: &Arc<File>,
    (pages, kind, protection): (Range<u64>, u8, Protection),
) {
    let source = Arc::clone(file);
    let backing = match kind {
        0 => Backing::Anonymous,
        1 => Backing::Private { source, first: pages.start },
        _ => Backing::Shared { source, first: 2 },
    };
    let free = range_of(naive, &pages).all(|(_, slot)| slot.is_none());
    assert_eq!(space.map(pages.clone(), backing, protection).is_ok(), free);
    for (page, slot) in range_of(naive, &pages).filter(|_| free) {
        let kind = match kind {
            0 => Kind::Anonymous,
            1 => Kind::Private(page),
            _ => Kind::Shared(2 + page - pages.start),
        };
        *slot = Some(Slot { kind, protection, own: None, seen: None, written: false });
    }
}

fn protect(space: &Space, naive: &mut Naive, pages: Range<u64>, protection: Protection) {
    let mapped = range_of(naive, &pages).all(|(_, slot)| slot.is_some());
    let mut runs = Vec::new();
    let done = space.protect(pages.clone(), protection, |run| runs.push(run));
    assert_eq!(done.is_ok(), mapped);
    if !mapped {
        return;
    }
    let forbidden = protection != Protection::ReadWrite;
    let expected = if forbidden { written_in(naive, &pages) } else { Vec::new() };
    assert_eq!(pages_of(&runs), expected);
    range_of(naive, &pages)
        .filter_map(|(_, slot)| slot.as_mut())
        .for_each(|slot| slot.protection = protection);
}

/// A write; to a shared page, the fault that makes it writable.
fn write_both(space: &Space, naive: &mut Naive, file: &File, page: u64, byte: u8, last: &mut Last) {
    let expected = naive_write(naive, page, byte, file);
    let shared = naive[page as usize].is_some_and(|slot| matches!(slot.kind, Kind::Shared(_)));
    let done = if shared {
        space.fault(page, Access::Write, last, |_| ()).map_err(|fault| fault.signal())
    } else {
        write(space, page, byte, last)
    };
    assert_eq!(done, expected, "page {page}");
}

fn forget(naive: &mut Naive, pages: &Range<u64>, unmapped: bool) {
    for (_, slot) in range_of(naive, pages) {
        *slot = slot.filter(|_| !unmapped).map(|slot| Slot {
            own: None,
            seen: None,
            written: false,
            ..slot
        });
    }
}

fn run(step: Step, spaces: &mut Vec<(Space, Naive)>, file: &Arc<File>, last: &mut Last) {
    let count = spaces.len();
    let Some((space, naive)) = spaces.last_mut() else { return };
    match step {
        Step::Map(pages, kind, protection) => map(space, naive, file, (pages, kind, protection)),
        Step::Unmap(pages) => {
            let expected = range_of(naive, &pages).filter(|(_, slot)| slot.is_some()).count();
            assert_eq!(space.unmap(pages.clone(), |_| {}), Ok(expected as u64));
            forget(naive, &pages, true);
        }
        Step::Discard(pages) => {
            space.discard(pages.clone(), |_| {}).unwrap();
            forget(naive, &pages, false);
        }
        Step::Protect(pages, protection) => protect(space, naive, pages, protection),
        Step::Read(page) => assert_eq!(read(space, page, last), naive_read(naive, page, file)),
        Step::Write(page, byte) => write_both(space, naive, file, page, byte, last),
        Step::TakeWritten(pages) => {
            let mut runs = Vec::new();
            space.take_written(pages.clone(), |run| runs.push(run)).unwrap();
            assert_eq!(pages_of(&runs), written_in(naive, &pages));
        }
        Step::Fork if count < 5 => {
            let mut runs = Vec::new();
            let fork = space.fork(|run| runs.push(run)).unwrap();
            assert_eq!(pages_of(&runs), written_in(naive, &(0..PAGES)));
            let naive = naive.clone();
            spaces.push((fork, naive));
        }
        Step::Fork => {}
        Step::Drop(at) if count > 1 => drop(spaces.remove(at % count)),
        Step::Drop(_) => {}
        Step::Switch(at) => {
            spaces.swap(at % count, count - 1);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn spaces_and_their_forks_equal_naive_maps(steps in steps()) {
        let pool = pool();
        {
            let file = File::new(&pool, FILE_PAGES, 1);
            let mut spaces = vec![(space(&pool), vec![None; PAGES as usize])];
            let mut last = Last::new();
            for step in steps {
                run(step, &mut spaces, &file, &mut last);
            }
            // To the end every space has what it had, whichever goes first.
            for (space, naive) in &mut spaces {
                for page in 0..PAGES {
                    prop_assert_eq!(read(space, page, &mut last), naive_read(naive, page, &file));
                }
            }
            while let Some((space, _)) = spaces.pop() {
                space.unmap(0..PAGES, |_| {}).unwrap();
                if let Some((space, naive)) = spaces.first_mut() {
                    prop_assert_eq!(read(space, 0, &mut last), naive_read(naive, 0, &file));
                }
            }
        }
        assert_nothing_left(&pool);
    }
}
