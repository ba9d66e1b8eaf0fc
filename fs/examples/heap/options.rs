//! What the example is asked to do.

use std::path::PathBuf;
use std::time::Duration;

use braidfs::FaultMechanism;

use super::Outcome;

const USAGE: &str = "usage: heap run|check|kill-test IMAGE [--mib N] [--seconds N] [--threads N] \
                     [--interval-ms N] [--rounds N] [--dirty-percent N] [--figures FILE] \
                     [--mechanism automatic|userfault|userfault-signal|protect]";

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    Run,
    Check,
    KillTest,
}

/// Arguments of the program.
#[derive(Debug, Clone)]
pub struct Options {
    pub action: Action,
    pub image: PathBuf,
    /// Size of a new heap.
    pub mib: u64,
    pub threads: usize,
    pub duration: Duration,
    /// From one snapshot to the next.
    pub interval: Duration,
    pub rounds: u64,
    /// Writes so many percent of the pages between two snapshots and no more; as much as it can if
    /// `None`.
    pub dirty_percent: Option<f64>,
    /// Where to write what was measured.
    pub figures: Option<PathBuf>,
    pub mechanism: FaultMechanism,
}

impl Options {
    pub fn from_arguments() -> Outcome<Self> {
        let mut arguments = std::env::args().skip(1);
        let action = match arguments.next().as_deref() {
            Some("run") => Action::Run,
            Some("check") => Action::Check,
            Some("kill-test") => Action::KillTest,
            _ => return Err(USAGE.into()),
        };
        let mut options = Self {
            action,
            image: arguments.next().ok_or(USAGE)?.into(),
            mib: 64,
            threads: 2,
            duration: Duration::from_secs(5),
            interval: Duration::from_secs(1),
            rounds: 3,
            dirty_percent: None,
            figures: None,
            mechanism: FaultMechanism::Automatic,
        };
        while let Some(name) = arguments.next() {
            options.set(&name, &arguments.next().ok_or(USAGE)?)?;
        }
        Ok(options)
    }

    fn set(&mut self, name: &str, value: &str) -> Outcome<()> {
        match name {
            "--mib" => self.mib = value.parse()?,
            "--threads" => self.threads = value.parse::<usize>()?.clamp(1, 64),
            "--seconds" => self.duration = Duration::from_secs_f64(value.parse()?),
            "--interval-ms" => self.interval = Duration::from_millis(value.parse()?),
            "--rounds" => self.rounds = value.parse()?,
            "--dirty-percent" => self.dirty_percent = Some(value.parse()?),
            "--figures" => self.figures = Some(value.into()),
            "--mechanism" => {
                let all = FaultMechanism::ALL.into_iter().chain([FaultMechanism::Automatic]);
                self.mechanism = all.into_iter().find(|one| one.name() == value).ok_or(USAGE)?;
            }
            _ => return Err(USAGE.into()),
        }
        Ok(())
    }

    /// The arguments of a run of the same heap.
    pub fn to_arguments(&self) -> Vec<String> {
        let pairs = [
            ("--mib", self.mib.to_string()),
            ("--threads", self.threads.to_string()),
            ("--interval-ms", self.interval.as_millis().to_string()),
            ("--mechanism", self.mechanism.name().to_owned()),
        ];
        let mut arguments = vec![self.image.display().to_string()];
        arguments.extend(pairs.into_iter().flat_map(|(name, value)| [name.to_owned(), value]));
        arguments
    }
}
