//! The one table of flags.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::filesystem::Policy;
use crate::world::Volume;

/// Run test suites on the installed programs of braidfs
///
/// Makes a TEST and a SCRATCH volume in a work directory of its own, mounts them through the
/// helpers of mount(8), runs tests on them, and has the checker look at every volume after every
/// test. Works as root, and as a user as far as tests don't need root.
#[derive(Debug, Parser)]
#[command(name = "xfstests-shim", version, max_term_width = 100)]
#[command(arg_required_else_help = true)]
pub struct Arguments {
    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run tests
    Check(Box<CheckArguments>),
    /// Prepare a built checkout of upstream's xfstests, which stays as it is
    Setup(UpstreamArguments),
    /// Run upstream's tests
    Upstream(UpstreamArguments),
    /// Run suites of others on a volume
    Suite(SuiteArguments),
    /// Show tests and their groups
    List(ListArguments),
    /// Take away what runs have left that were killed: mounts, loop devices, work directories
    Clean(CleanArguments),
    /// Primitives that tests are made of: do things to files, and print what comes of it
    Io(IoArguments),
    /// Random operations on a file, compared with memory after each
    Fsx(FsxArguments),
    /// Random operations on names, by several processes
    Fsstress(FsstressArguments),
    /// Make, mount, unmount, kill or check a volume, from within a test
    #[command(hide = true)]
    Volume(VolumeArguments),
}

/// Which tests.
#[derive(Debug, Clone, Default, Args)]
pub struct SelectionArguments {
    /// Tests of any of these groups
    #[arg(short, long = "group", value_name = "GROUP", value_delimiter = ',')]
    pub groups: Vec<String>,
    /// But none of these groups
    #[arg(short = 'x', long = "exclude-group", value_name = "GROUP", value_delimiter = ',')]
    pub without: Vec<String>,
    /// These tests only
    #[arg(value_name = "TEST")]
    pub tests: Vec<String>,
    /// Where our own tests are
    #[arg(long = "tests", value_name = "DIR")]
    pub directory: Option<PathBuf>,
}

/// Run tests
#[derive(Debug, Args)]
pub struct CheckArguments {
    /// Which
    #[command(flatten)]
    pub selection: SelectionArguments,
    /// Our own tests
    #[arg(long)]
    pub own: bool,
    /// Where braidfs and fsck-braidfs are [default: beside this program, then PATH]
    #[arg(long, value_name = "DIR")]
    pub programs: Option<PathBuf>,
    /// Where the results go
    #[arg(long, value_name = "DIR", default_value = "xfstests-results")]
    pub results: PathBuf,
    /// Which tests can't apply
    #[arg(long, value_name = "FILE")]
    pub excludes: Option<PathBuf>,
    /// The seed of whatever is random
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// How many times as much the random tests do
    #[arg(long, default_value_t = 1, value_name = "FACTOR")]
    pub scale: u64,
    /// Run everything so often, each time with the next seed
    #[arg(long, default_value_t = 1, value_name = "NUMBER")]
    pub repeat: u64,
    /// With which writeback policy; with the program's own if none is given
    #[arg(long, value_enum)]
    pub policy: Option<PolicyArgument>,
    /// Seconds that each test may take, instead of what it says itself
    #[arg(long, value_name = "SECONDS")]
    pub limit: Option<u64>,
    /// Use loop devices over the image files (needs root)
    #[arg(long = "loop")]
    pub with_loops: bool,
    /// Run on a filesystem of the kernel instead, to see whether the tests ask for what Linux does
    #[arg(long, value_name = "TYPE", conflicts_with_all = ["policy", "programs"])]
    pub peer: Option<String>,
    /// Keep the images of failed tests with the results, and the work directory
    #[arg(long)]
    pub keep: bool,
    /// Write the golden outputs of the tests from what they print now
    #[arg(long, hide = true)]
    pub update: bool,
    /// Fail if a test of the selection is notrun for lack of FUSE, root or a feature
    #[arg(long)]
    pub strict: bool,
    /// A line for each test
    #[arg(short, long)]
    pub verbose: bool,
}

/// Suites of others
#[derive(Debug, Args)]
pub struct SuiteArguments {
    /// Which; all, if none is named; `list` shows them
    pub names: Vec<String>,
    /// How much is done; what it counts, `suite list` says
    #[arg(long)]
    pub count: Option<u64>,
    /// The seed of whatever is random
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// With which writeback policy; with the program's own if none is given
    #[arg(long, value_enum)]
    pub policy: Option<PolicyArgument>,
    /// Where programs from crates.io are installed
    #[arg(long, value_name = "DIR", default_value = "xfstests-cache")]
    pub cache: PathBuf,
    /// Where braidfs and fsck-braidfs are [default: beside this program, then PATH]
    #[arg(long, value_name = "DIR")]
    pub programs: Option<PathBuf>,
    /// Run on a filesystem of the kernel instead
    #[arg(long, value_name = "TYPE", conflicts_with_all = ["policy", "programs"])]
    pub peer: Option<String>,
    /// Where the results go
    #[arg(long, value_name = "DIR", default_value = "xfstests-results")]
    pub results: PathBuf,
}

/// Upstream's tests
#[derive(Debug, Args)]
pub struct UpstreamArguments {
    /// The checkout
    pub checkout: PathBuf,
    /// Tests and options for upstream's `check`, as `-g quick` or `generic/001`
    #[arg(last = true, value_name = "ARGUMENT")]
    pub arguments: Vec<String>,
    /// Where devices, helpers and upstream's results go
    #[arg(long, value_name = "DIR", default_value = "xfstests-work")]
    pub work: PathBuf,
    /// As what the devices are mounted: fuseblk.braidfs passes sync(2) on, fuse.braidfs does not
    #[arg(long = "type", value_name = "TYPE", default_value = "fuseblk.braidfs")]
    pub kind: String,
    /// Where braidfs and fsck-braidfs are [default: beside this program, then PATH]
    #[arg(long, value_name = "DIR")]
    pub programs: Option<PathBuf>,
    /// Where the results go
    #[arg(long, value_name = "DIR", default_value = "xfstests-results")]
    pub results: PathBuf,
    /// Which tests can't apply
    #[arg(long, value_name = "FILE")]
    pub excludes: Option<PathBuf>,
    /// A line for each test
    #[arg(short, long)]
    pub verbose: bool,
}

/// A policy, or all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PolicyArgument {
    /// Fork pages
    Fork,
    /// Wait for them
    Wait,
    /// Copy them
    Copy,
    /// Each of these in turn
    All,
}

impl PolicyArgument {
    /// What is to be run.
    #[must_use]
    pub fn policies(self) -> Vec<Policy> {
        match self {
            Self::Fork => vec![Policy::Fork],
            Self::Wait => vec![Policy::Wait],
            Self::Copy => vec![Policy::Copy],
            Self::All => Policy::ALL.to_vec(),
        }
    }
}

/// Show tests and their groups
#[derive(Debug, Args)]
pub struct ListArguments {
    /// Which
    #[command(flatten)]
    pub selection: SelectionArguments,
    /// Show the groups and how many tests each has
    #[arg(long)]
    pub by_group: bool,
}

/// Take away what is left
#[derive(Debug, Args)]
pub struct CleanArguments {
    /// Where work directories are made [default: that of temporary files]
    #[arg(long, value_name = "DIR")]
    pub directory: Option<PathBuf>,
}

/// Primitives
#[derive(Debug, Args)]
pub struct IoArguments {
    /// The file that is opened first
    pub file: Option<PathBuf>,
    /// How: r, w, rw (default), and c create, x exclusive, t truncate, a append, d direct, s sync,
    /// y data sync, n no follow, p path only, D directory, T temporary; as `rwct`
    #[arg(short, long, default_value = "rw", value_name = "LETTERS")]
    pub flags: String,
    /// A command and its arguments; may be given several times
    #[arg(short, long = "command", value_name = "COMMAND")]
    pub commands: Vec<String>,
    /// Read commands from stdin until `quit`, and print a line `--` after each
    #[arg(short, long)]
    pub interactive: bool,
}

/// Random operations on a file
#[derive(Debug, Args)]
pub struct FsxArguments {
    /// The file; it is made anew
    pub file: PathBuf,
    /// How many operations
    #[arg(short = 'n', long, default_value_t = 10_000)]
    pub operations: u64,
    /// The seed
    #[arg(short, long, default_value_t = 1)]
    pub seed: u64,
    /// Bytes that the file may have
    #[arg(short = 'l', long, default_value_t = 1 << 20, value_name = "BYTES")]
    pub length: u64,
    /// Bytes that one operation may touch
    #[arg(short = 'o', long, default_value_t = 1 << 16, value_name = "BYTES")]
    pub most: u64,
    /// Leave out mappings of the file
    #[arg(long)]
    pub no_map: bool,
    /// Read and write with O_DIRECT, too
    #[arg(long)]
    pub direct: bool,
    /// Do every operation through a handle of its own
    #[arg(long)]
    pub reopen: bool,
    /// Before each fsync that succeeds, put the expected content here, outside of the mount
    #[arg(long, value_name = "FILE")]
    pub expect: Option<PathBuf>,
}

/// Random operations on names
#[derive(Debug, Args)]
pub struct FsstressArguments {
    /// The directory; it is made
    pub directory: PathBuf,
    /// How many operations each process does
    #[arg(short = 'n', long, default_value_t = 1000)]
    pub operations: u64,
    /// How many processes
    #[arg(short, long, default_value_t = 4)]
    pub processes: u64,
    /// The seed
    #[arg(short, long, default_value_t = 1)]
    pub seed: u64,
    /// Files that were fsynced are noted here, outside of the mount
    #[arg(long, value_name = "FILE")]
    pub journal: Option<PathBuf>,
    /// Do nothing but compare the files that are noted in the journal
    #[arg(long, requires = "journal")]
    pub verify: bool,
    /// The server will be killed: when it is gone, end as if all were done
    #[arg(long)]
    pub until_killed: bool,
}

/// Volumes
#[derive(Debug, Args)]
pub struct VolumeArguments {
    /// What to do
    #[command(subcommand)]
    pub verb: VolumeVerb,
}

/// What can be done with a volume.
#[derive(Debug, Subcommand)]
pub enum VolumeVerb {
    /// Make it anew
    Mkfs {
        /// Which
        volume: VolumeArgument,
        /// Bytes
        bytes: Option<u64>,
        /// For mkfs
        #[arg(last = true)]
        extra: Vec<String>,
    },
    /// Mount it
    Mount {
        /// Which
        volume: VolumeArgument,
        /// As in /etc/fstab
        #[arg(short, long, default_value = "")]
        options: String,
    },
    /// Unmount it and wait until it is on its device
    Unmount {
        /// Which
        volume: VolumeArgument,
    },
    /// Kill its server, and take the dead mount away
    Kill {
        /// Which
        volume: VolumeArgument,
    },
    /// Check it
    Check {
        /// Which
        volume: VolumeArgument,
    },
    /// Print the process id of its server
    Server {
        /// Which
        volume: VolumeArgument,
    },
}

/// A volume.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum VolumeArgument {
    /// TEST
    Test,
    /// SCRATCH
    Scratch,
}

impl From<VolumeArgument> for Volume {
    fn from(argument: VolumeArgument) -> Self {
        match argument {
            VolumeArgument::Test => Self::Test,
            VolumeArgument::Scratch => Self::Scratch,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_table_of_flags_is_sound() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn groups_are_split_at_commas() {
        let parsed = Arguments::try_parse_from(["x", "check", "-g", "a,b", "-x", "c", "001"]);
        let Command::Check(check) = parsed.unwrap().command else { panic!("not check") };
        assert_eq!(check.selection.groups, ["a", "b"]);
        assert_eq!(check.selection.without, ["c"]);
        assert_eq!(check.selection.tests, ["001"]);
    }
}
