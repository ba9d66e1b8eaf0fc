//! Files that are written once, and compared in the end or after a crash.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use rustix::io::Errno;

use super::action::errno;
use crate::exercise::Random;

/// Bytes of the largest.
const MOST_BYTES: u64 = 200_000;

/// A file whose content is known.
#[derive(Debug, Clone)]
pub(super) struct Keepsake {
    path: PathBuf,
    seed: u64,
    length: u64,
}

impl Keepsake {
    /// The next one of a process.
    pub(super) fn draw(random: &mut Random, directory: &Path, number: u64) -> Self {
        let path = directory.join(format!("kept-{number}"));
        Self { path, seed: random.below(u64::MAX), length: random.below(MOST_BYTES) }
    }

    fn content(&self) -> Vec<u8> {
        let mut random = Random::new(self.seed);
        let words = (0..self.length.div_ceil(8)).flat_map(|_| random.below(u64::MAX).to_le_bytes());
        words.take(usize::try_from(self.length).unwrap_or(0)).collect()
    }

    fn verify(&self) -> Result<(), String> {
        let shown = self.path.display();
        let content = std::fs::read(&self.path).map_err(|error| format!("{shown}: {error}"))?;
        if content == self.content() {
            return Ok(());
        }
        Err(format!(
            "{shown} is not what was written: {} bytes instead of {}, or others",
            content.len(),
            self.length
        ))
    }

    fn line(&self) -> String {
        format!("{} {} {}\n", self.seed, self.length, self.path.display())
    }

    fn parse(line: &str) -> Option<Self> {
        let mut words = line.splitn(3, ' ');
        let seed = words.next()?.parse().ok()?;
        let length = words.next()?.parse().ok()?;
        Some(Self { path: PathBuf::from(words.next()?), seed, length })
    }
}

/// The files of one process.
pub(super) struct Keepsakes {
    made: Vec<Keepsake>,
    directory: PathBuf,
    journal: Option<File>,
}

impl Keepsakes {
    /// None yet.
    pub(super) fn new(directory: &Path, journal: Option<&Path>) -> Result<Self, String> {
        let open = |path: &Path| {
            let file = OpenOptions::new().create(true).append(true).open(path);
            file.map_err(|error| format!("{}: {error}", path.display()))
        };
        let journal = journal.map(open).transpose()?;
        Ok(Self { made: Vec::new(), directory: directory.to_owned(), journal })
    }

    /// Makes one: under its name at once, or by a rename. Half of them are fsynced, and then noted.
    pub(super) fn make(&mut self, random: &mut Random, keepsake: Keepsake) -> Result<(), Errno> {
        let by_rename = random.below(2) == 0;
        let is_synced = random.below(2) == 0;
        let first = match by_rename {
            true => self.directory.join("unfinished"),
            false => keepsake.path.clone(),
        };
        let written = File::create(&first).and_then(|mut file| {
            for part in keepsake.content().chunks(30_000) {
                file.write_all(part)?;
            }
            if is_synced { file.sync_all() } else { Ok(()) }
        });
        written.map_err(|error| errno(&error))?;
        if by_rename {
            let renamed = std::fs::rename(&first, &keepsake.path).and_then(|()| {
                let directory = File::open(&self.directory)?;
                if is_synced { directory.sync_all() } else { Ok(()) }
            });
            renamed.map_err(|error| errno(&error))?;
        }
        if let (true, Some(journal)) = (is_synced, &mut self.journal) {
            journal.write_all(keepsake.line().as_bytes()).map_err(|error| errno(&error))?;
        }
        self.made.push(keepsake);
        Ok(())
    }

    /// Compares all.
    pub(super) fn verify(&self) -> Result<(), String> {
        self.made.iter().try_for_each(Keepsake::verify)
    }
}

/// Compares all files that are noted in a journal, or in those of several processes, which are
/// called after it. Returns how many these are.
pub(super) fn verify_journal(journal: &Path) -> Result<usize, String> {
    let shown = journal.display().to_string();
    let numbered = (0..).map(|number| PathBuf::from(format!("{shown}.{number}")));
    let all = numbered.take_while(|path| path.exists());
    let all: Vec<PathBuf> =
        std::iter::once(journal.to_owned()).filter(|p| p.exists()).chain(all).collect();
    if all.is_empty() {
        return Err(format!("there is no journal {shown}"));
    }
    let mut count = 0;
    for path in all {
        let text = std::fs::read_to_string(&path).map_err(|error| error.to_string())?;
        // The last line may have been cut off with the process that wrote it.
        for line in text.split_inclusive('\n').filter(|line| line.ends_with('\n')) {
            let keepsake = Keepsake::parse(line.trim_end());
            keepsake.ok_or_else(|| format!("{shown}: {line} is no line of a journal"))?.verify()?;
            count += 1;
        }
    }
    Ok(count)
}
