//! `list`: shows tests and their groups.

use std::collections::BTreeMap;

use crate::error::Result;
use crate::own;
use crate::select::Selection;

use super::args::{ListArguments, SelectionArguments};

/// Prints them.
pub fn run(arguments: &ListArguments) -> Result<()> {
    let tests = own::tests(&directory(&arguments.selection))?;
    let chosen = selection(&arguments.selection).choose(&tests)?;
    if arguments.by_group {
        let mut groups: BTreeMap<&str, usize> = BTreeMap::new();
        for group in chosen.iter().flat_map(|test| &test.header.groups) {
            *groups.entry(group).or_default() += 1;
        }
        groups.iter().for_each(|(group, tests)| println!("{tests:4} {group}"));
    } else {
        for test in &chosen {
            println!("{} {} ({})", test.id, test.header.title, test.header.groups.join(" "));
        }
    }
    Ok(())
}

/// What was asked for.
pub fn selection(arguments: &SelectionArguments) -> Selection {
    Selection {
        groups: arguments.groups.clone(),
        without: arguments.without.clone(),
        tests: arguments.tests.clone(),
    }
}

/// Where our tests are.
pub fn directory(arguments: &SelectionArguments) -> std::path::PathBuf {
    arguments.directory.clone().unwrap_or_else(own::default_directory)
}
