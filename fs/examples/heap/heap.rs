//! The heap: a hash table of words in a mapped file.
//!
//! | page | content |
//! |---|---|
//! | 0 | word 0: [`MAGIC`]; word 1: records; word 2: the sum of all balances |
//! | 1 to [`MOST_THREADS`] | a slot each: state, two keys, what they held, transfers made |
//! | the rest | records: key and balance, found by hash and the next free place |

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use braidfs::{
    Credentials, FaultMechanism, LiveMapping, MapOptions, MkfsOptions, MountOptions, ROOT_INODE,
    SetAttributes, Volume,
};
use braidfs_block::{FileDevice, FileOptions};

use super::Outcome;
use super::options::Options;

pub const PAGE: usize = 4096;
pub const MOST_THREADS: usize = 64;
const NAME: &[u8] = b"heap";
const MAGIC: u64 = 0x7061_6568_6b76_0001;
const RECORD: usize = 16;
const RECORDS_START: usize = (1 + MOST_THREADS) * PAGE;
/// What an account starts with.
const BALANCE: u64 = 1000;

/// An open heap.
pub struct Heap {
    volume: Arc<Volume>,
    mapping: LiveMapping,
    /// Places for records, a power of two; half of them are used.
    places: u64,
}

/// A record: where its balance is.
#[derive(Clone, Copy)]
pub struct Account<'a>(&'a AtomicU64);

impl Account<'_> {
    pub fn balance(self) -> u64 {
        self.0.load(Ordering::Acquire)
    }

    pub fn set(self, balance: u64) {
        self.0.store(balance, Ordering::Release);
    }
}

impl Heap {
    /// Opens the heap on the image, or makes both.
    pub fn open(options: &Options) -> Outcome<Self> {
        let is_new = !options.image.exists();
        let bytes = (options.mib << 20).max(4 << 20);
        let device = if is_new {
            // What is written beside the old content, twice, and the log.
            FileDevice::open(&options.image, &FileOptions::create(3 * bytes + (256 << 20)))?
        } else {
            FileDevice::open(&options.image, &FileOptions::read_write())?
        };
        if is_new {
            Volume::mkfs(&device, &MkfsOptions::default(), &|_, _| ())?;
        }
        let mount = MountOptions {
            cache_bytes: Some(bytes + bytes / 2 + (128 << 20)),
            // Only snapshots end deltas.
            commit_interval: std::time::Duration::from_secs(3600),
            ..MountOptions::default()
        };
        let volume = Volume::mount(Arc::new(device), mount)?;
        let inode = match volume.lookup(ROOT_INODE, NAME) {
            Ok(found) => found.inode,
            Err(_) => {
                let owner = Credentials::default();
                let inode = volume.mknod(ROOT_INODE, NAME, 0o100_600, 0, &owner)?.inode;
                let size = SetAttributes { size: Some(bytes), ..SetAttributes::default() };
                volume.setattr(inode, &size)?;
                inode
            }
        };
        let size = volume.getattr(inode)?.size;
        let map = MapOptions { mechanism: options.mechanism, ..MapOptions::default() };
        let mapping = volume.map(inode, 0..size, map)?;
        let room = (size as usize - RECORDS_START) / RECORD;
        let heap = Self { volume, mapping, places: 1 << room.ilog2() };
        if heap.word(0).load(Ordering::Acquire) != MAGIC {
            heap.fill()?;
        }
        Ok(heap)
    }

    /// Makes the records, and makes them durable before anything says that they are there.
    fn fill(&self) -> Outcome<()> {
        for key in 1..=self.places / 2 {
            let place = self.probe(key).find(|place| self.key_at(*place) == 0);
            let place = place.ok_or("the table is full")?;
            self.word(place + 8).store(BALANCE, Ordering::Release);
            self.word(place).store(key, Ordering::Release);
        }
        self.word(8).store(self.places / 2, Ordering::Release);
        self.word(16).store(self.places / 2 * BALANCE, Ordering::Release);
        self.sync()?;
        self.word(0).store(MAGIC, Ordering::Release);
        self.sync()
    }

    /// Number of records; their keys count from 1.
    pub fn records(&self) -> u64 {
        self.word(8).load(Ordering::Acquire)
    }

    pub fn mebibytes(&self) -> usize {
        self.mapping.memory().len() >> 20
    }

    pub fn mechanism(&self) -> FaultMechanism {
        self.mapping.mechanism()
    }

    /// The record of a key.
    pub fn find(&self, key: u64) -> Option<Account<'_>> {
        let ends = |place: &usize| [0, key].contains(&self.key_at(*place));
        let place = self.probe(key).find(ends)?;
        (self.key_at(place) == key).then(|| Account(self.word(place + 8)))
    }

    /// Makes everything durable, as of one moment.
    pub fn sync(&self) -> Outcome<()> {
        Ok(self.mapping.sync()?)
    }

    /// Nanoseconds that stores were kept waiting by snapshots so far.
    pub fn pause_ns(&self) -> u64 {
        self.volume.statistics().cache.mapped_pause_ns
    }

    /// Pages that were forked so far, and faults.
    pub fn forks_and_faults(&self) -> (u64, u64) {
        let cache = self.volume.statistics().cache;
        (cache.forks, cache.mapped_faults)
    }

    /// Moves money, in the slot of a thread, which has these accounts to itself.
    pub fn transfer(&self, thread: usize, keys: [u64; 2], amount: u64) -> Outcome<()> {
        let accounts = keys.map(|key| self.find(key));
        let [Some(from), Some(to)] = accounts else { return Err("a key is missing".into()) };
        let before = [from.balance(), to.balance()];
        let moved = amount.min(before[0]);
        let slot = (1 + thread) * PAGE;
        for (at, word) in keys.into_iter().chain(before).enumerate() {
            self.word(slot + 8 + 8 * at).store(word, Ordering::Release);
        }
        // From here on the transfer is undone if it does not come to its end.
        self.word(slot).store(1, Ordering::Release);
        from.set(before[0] - moved);
        to.set(before[1] + moved);
        self.word(slot).store(0, Ordering::Release);
        self.word(slot + 40).fetch_add(1, Ordering::Release);
        Ok(())
    }

    /// Transfers made since the heap is there.
    pub fn transfers(&self) -> u64 {
        (0..MOST_THREADS).map(|thread| self.load((1 + thread) * PAGE + 40)).sum()
    }

    /// Undoes the transfers that were under way, and checks the sum. Says how many they were.
    pub fn recover(&self) -> Outcome<u64> {
        let mut undone = 0;
        for slot in (0..MOST_THREADS).map(|thread| (1 + thread) * PAGE) {
            if self.load(slot) == 0 {
                continue;
            }
            for at in [8, 16] {
                let account = self.find(self.load(slot + at)).ok_or("a slot names no record")?;
                account.set(self.load(slot + at + 16));
            }
            self.word(slot).store(0, Ordering::Release);
            undone += 1;
        }
        let balances = (1..=self.records()).map(|key| self.find(key).map(Account::balance));
        let sum = balances.sum::<Option<u64>>().ok_or("a record is missing")?;
        let expected = self.load(16);
        if sum != expected || self.records() == 0 {
            return Err(format!("the sum is {sum}, and was {expected}").into());
        }
        Ok(undone)
    }

    /// Makes everything durable and unmounts.
    pub fn close(self) -> Outcome<()> {
        let Self { volume, mapping, .. } = self;
        mapping.sync()?;
        drop(mapping);
        Ok(volume.unmount()?)
    }

    /// Where a key may be, in the order in which to look.
    fn probe(&self, key: u64) -> impl Iterator<Item = usize> + use<> {
        let mask = self.places - 1;
        let start = key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20;
        (0..=mask).map(move |step| RECORDS_START + ((start + step) & mask) as usize * RECORD)
    }

    fn key_at(&self, place: usize) -> u64 {
        self.load(place)
    }

    fn load(&self, offset: usize) -> u64 {
        self.word(offset).load(Ordering::Acquire)
    }

    fn word(&self, offset: usize) -> &AtomicU64 {
        static NOWHERE: AtomicU64 = AtomicU64::new(0);
        // Offsets are made from what fits the heap.
        self.mapping.memory().word(offset).unwrap_or(&NOWHERE)
    }
}
