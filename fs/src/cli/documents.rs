//! Man pages and completions, made from the table of flags.

use std::fs;
use std::io;
use std::path::Path;

use clap::{Command, CommandFactory};
use clap_complete::Shell;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

use super::args::{Arguments, MountHelperArguments, UmountHelperArguments};
use super::error::{CliError, CliResult};
use super::mount_options::described;
use super::output::{done, say};

/// Prints completions.
pub fn completions(shell: Shell) -> CliResult {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "braidfs", &mut script);
    done(io::Write::write_all(&mut io::stdout().lock(), &script))
}

/// Writes man pages.
pub fn man(directory: &Path) -> CliResult {
    let failed = |error: io::Error| {
        let shown = directory.display();
        CliError::new(format!("cannot write man pages into {shown}: {error}"))
    };
    fs::create_dir_all(directory).map_err(failed)?;
    let pages = pages().map_err(failed)?;
    for (name, page) in &pages {
        fs::write(directory.join(name), page).map_err(failed)?;
    }
    say(&format!("wrote {} man pages into {}", pages.len(), directory.display()));
    Ok(())
}

/// All pages, by file name.
fn pages() -> io::Result<Vec<(String, Vec<u8>)>> {
    let mut main = Arguments::command();
    main.build();
    let verbs = main.get_subcommands().filter(|verb| verb.get_name() != "help").cloned();
    let verbs: Vec<Command> = verbs.collect();
    let mut pages = vec![page(main, "braidfs")?];
    for verb in verbs {
        let name = format!("braidfs-{}", verb.get_name());
        pages.push(page(verb, &name)?);
    }
    pages.push(page(MountHelperArguments::command(), "mount.fuse.braidfs")?);
    pages.push(page(UmountHelperArguments::command(), "umount.fuse.braidfs")?);
    Ok(pages)
}

/// The page of one command, in section 8.
fn page(command: Command, name: &str) -> io::Result<(String, Vec<u8>)> {
    let mounts = name.contains("mount") && !name.contains("umount");
    let has_verbs = command.has_subcommands();
    // What stands behind the flags, in full: but mount options get a section of their own.
    let in_full = command.get_after_long_help().filter(|_| !mounts);
    let examples = in_full.or(command.get_after_help()).map(ToString::to_string);
    let man = Man::new(command.name(name.to_owned()).bin_name(name.to_owned())).section("8");
    let mut text = Vec::new();
    man.render_title(&mut text)?;
    man.render_name_section(&mut text)?;
    man.render_synopsis_section(&mut text)?;
    man.render_description_section(&mut text)?;
    man.render_options_section(&mut text)?;
    if has_verbs {
        man.render_subcommands_section(&mut text)?;
    }
    if mounts {
        mount_options().to_writer(&mut text)?;
    }
    if let Some(examples) = examples {
        as_written(&examples).to_writer(&mut text)?;
    }
    man.render_version_section(&mut text)?;
    Ok((format!("{name}.8"), text))
}

/// The section with the examples, in lines as they are.
fn as_written(examples: &str) -> Roff {
    let mut section = Roff::new();
    section.control("SH", ["EXAMPLES"]).control("nf", []);
    for line in examples.lines() {
        section.text([roman(line)]);
    }
    section.control("fi", []);
    section
}

/// The section that lists the options of `-o`.
fn mount_options() -> Roff {
    let mut section = Roff::new();
    section.control("SH", ["MOUNT OPTIONS"]);
    for (name, help) in described() {
        section.control("TP", []);
        section.text([bold(name)]);
        section.text([roman(help)]);
    }
    section
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_a_page_for_each_verb() {
        let pages = pages().unwrap();
        let text = |name: &str| {
            let (_, page) = pages.iter().find(|(found, _)| found == name).unwrap();
            String::from_utf8(page.clone()).unwrap()
        };
        assert!(
            text("braidfs.8").contains("braidfs\\-mount") || text("braidfs.8").contains("mount")
        );
        assert!(text("braidfs-mkfs.8").contains("force"));
        assert!(text("braidfs-mount.8").contains("MOUNT OPTIONS"));
        assert!(text("mount.fuse.braidfs.8").contains("noatime"));
        assert!(!text("braidfs-umount.8").contains("MOUNT OPTIONS"));
    }

    #[test]
    fn completions_know_the_flags() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Arguments::command(), "braidfs", &mut script);
            assert!(String::from_utf8(script).unwrap().contains("commit-interval"));
        }
    }
}
