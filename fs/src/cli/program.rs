//! Which program this is: that depends on the name it was started by.

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;

use super::args::{Arguments, Command, MkfsArguments, MountHelperArguments, UmountHelperArguments};
use super::error::{CliError, CliResult};
use super::mount::{MountPlan, as_mount_helper};
use super::{control, documents, dump, fsck, info, lab, logging, mkfs, stats, sync, trim, umount};

/// The programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// `braidfs`, and any name that is not known.
    Braidfs,
    /// `mkfs.braidfs`, `mkfs.fuse.braidfs`, `mkfs.fuseblk.braidfs`: for mkfs(8).
    Mkfs,
    /// `mount.braidfs`, `mount.fuse.braidfs`, `mount.fuseblk.braidfs`: for mount(8). Whether a block
    /// device is to be mounted as such, if the name says that.
    Mount(Option<bool>),
    /// `umount.braidfs`, `umount.fuse.braidfs`, `umount.fuseblk.braidfs`: for umount(8).
    Umount,
    /// `fsck.fuse.braidfs`, `fsck.fuseblk.braidfs`: for fsck(8), where that is the type.
    Fsck,
}

/// `mkfs` on its own.
#[derive(Debug, Parser)]
#[command(name = "mkfs.braidfs", version, max_term_width = 100)]
struct MkfsProgram {
    #[command(flatten)]
    arguments: MkfsArguments,
    /// Say more
    #[arg(short, long)]
    verbose: bool,
}

impl Program {
    /// The program that this command line is for.
    pub fn of(command_line: &[OsString]) -> Self {
        let name = command_line.first().and_then(|name| Path::new(name).file_name());
        match name.and_then(|name| name.to_str()) {
            Some("mkfs.braidfs" | "mkfs.fuse.braidfs" | "mkfs.fuseblk.braidfs") => Self::Mkfs,
            Some("mount.braidfs") => Self::Mount(None),
            Some("mount.fuse.braidfs") => Self::Mount(Some(false)),
            Some("mount.fuseblk.braidfs") => Self::Mount(Some(true)),
            Some("umount.braidfs" | "umount.fuse.braidfs" | "umount.fuseblk.braidfs") => {
                Self::Umount
            }
            Some("fsck.fuse.braidfs" | "fsck.fuseblk.braidfs") => Self::Fsck,
            _ => Self::Braidfs,
        }
    }

    /// Runs it.
    pub fn run(self, command_line: &[OsString]) -> CliResult<ExitCode> {
        match self {
            Self::Braidfs => run_braidfs(command_line),
            Self::Mkfs => run_mkfs(command_line),
            Self::Mount(block_device) => run_mount_helper(command_line, block_device),
            Self::Umount => run_umount_helper(command_line),
            Self::Fsck => success(fsck::run(command_line.get(1..).unwrap_or_default())),
        }
    }
}

fn run_braidfs(command_line: &[OsString]) -> CliResult<ExitCode> {
    let Some(arguments) = parse::<Arguments>(command_line)? else { return Ok(ExitCode::SUCCESS) };
    let verbosity = arguments.verbosity.verbose;
    let logged = |verb: &dyn Fn() -> CliResult| {
        logging::start(verbosity, None)?;
        success(verb())
    };
    match &arguments.command {
        // Logs only once it is in the background, if it is to go there.
        Command::Mount(mount) => MountPlan::for_people(mount, verbosity)?.run(command_line),
        Command::Mkfs(mkfs) => logged(&|| mkfs::run(mkfs)),
        Command::Umount(umount) => logged(&|| umount::run(&umount.place, umount.lazy)),
        Command::Sync(sync) => logged(&|| sync::run(&sync.place)),
        Command::Trim(trim) => logged(&|| trim::run(&trim.place)),
        Command::Control(control) => logged(&|| control::run(control)),
        Command::Stats(stats) => logged(&|| stats::run(stats)),
        Command::Fsck(fsck) => logged(&|| fsck::run(&fsck.arguments)),
        Command::Info(info) => logged(&|| info::run(info)),
        Command::Dump(dump) => logged(&|| dump::run(dump)),
        Command::Lab(lab) => logged(&|| lab::run(lab)),
        Command::Completions(wanted) => logged(&|| documents::completions(wanted.shell)),
        Command::Man(man) => logged(&|| documents::man(&man.directory)),
    }
}

fn run_mkfs(command_line: &[OsString]) -> CliResult<ExitCode> {
    let Some(program) = parse::<MkfsProgram>(command_line)? else { return Ok(ExitCode::SUCCESS) };
    logging::start(u8::from(program.verbose), None)?;
    success(mkfs::run(&program.arguments))
}

fn run_mount_helper(command_line: &[OsString], block_device: Option<bool>) -> CliResult<ExitCode> {
    let Some(arguments) = parse::<MountHelperArguments>(command_line)? else {
        return Ok(ExitCode::SUCCESS);
    };
    let mut plan = MountPlan::for_mount_helper(&arguments)?;
    plan.settings.block_device = plan.settings.block_device.or(block_device);
    if arguments.fake {
        return Ok(ExitCode::SUCCESS);
    }
    plan.run(command_line).map_err(as_mount_helper)
}

fn run_umount_helper(command_line: &[OsString]) -> CliResult<ExitCode> {
    let Some(arguments) = parse::<UmountHelperArguments>(command_line)? else {
        return Ok(ExitCode::SUCCESS);
    };
    logging::start(u8::from(arguments.verbose), None)?;
    success(umount::run(&arguments.place, arguments.lazy))
}

fn success(result: CliResult) -> CliResult<ExitCode> {
    result.map(|()| ExitCode::SUCCESS)
}

/// Parses a command line; `None` if it asked for help, which is printed.
fn parse<P: Parser>(command_line: &[OsString]) -> CliResult<Option<P>> {
    match P::try_parse_from(command_line) {
        Ok(parsed) => Ok(Some(parsed)),
        Err(error) => match error.kind() {
            ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
                let _ = error.print();
                Ok(None)
            }
            ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
                let _ = error.print();
                Err(CliError::usage("say what to do: one of the commands above"))
            }
            _ => Err(CliError::usage(in_one_line(&error.render().to_string()))),
        },
    }
}

/// What clap has to say, without the usage that it adds.
fn in_one_line(text: &str) -> String {
    let text = text.strip_prefix("error: ").unwrap_or(text);
    let end = ["\n\nUsage:", "\n\nFor more information"].iter().filter_map(|tail| text.find(tail));
    let message = &text[..end.min().unwrap_or(text.len())];
    format!("{}; --help shows what there is", message.trim_end_matches(['.', '\n']))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn program(name: &str) -> Program {
        Program::of(&[OsString::from(name)])
    }

    #[test]
    fn the_name_decides() {
        assert_eq!(program("/usr/bin/braidfs"), Program::Braidfs);
        assert_eq!(program("target/debug/mkfs.braidfs"), Program::Mkfs);
        assert_eq!(program("/sbin/mount.fuse.braidfs"), Program::Mount(Some(false)));
        assert_eq!(program("mount.fuseblk.braidfs"), Program::Mount(Some(true)));
        assert_eq!(program("mount.braidfs"), Program::Mount(None));
        assert_eq!(program("umount.braidfs"), Program::Umount);
        assert_eq!(program("fsck.fuse.braidfs"), Program::Fsck);
        assert_eq!(Program::of(&[]), Program::Braidfs);
    }

    #[test]
    fn mistakes_are_told_in_one_line() {
        let told = |words: &[&str]| {
            let line: Vec<OsString> = words.iter().map(OsString::from).collect();
            parse::<Arguments>(&line).unwrap_err().to_string()
        };
        let size = told(&["braidfs", "mount", "a", "b", "--create", "many"]);
        assert!(size.starts_with("braidfs: ") && size.contains("`many` is no size"), "{size}");
        let missing = told(&["braidfs", "mount", "a"]);
        assert!(missing.contains("DIR") && !missing.contains("Usage"), "{missing}");
        assert!(told(&["braidfs", "frobnicate"]).contains("frobnicate"));
    }

    #[test]
    fn mkfs_alone_takes_what_mkfs_takes() {
        MkfsProgram::command().debug_assert();
        let line = ["mkfs.braidfs", "-L", "x", "-f", "--", "/dev/loop0"].map(OsString::from);
        let program = parse::<MkfsProgram>(&line).unwrap().unwrap();
        assert_eq!(program.arguments.label, "x");
        assert!(program.arguments.force);
    }
}
