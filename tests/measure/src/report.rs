//! The report of a run: a table on standard output, and a file.

use std::io;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use crate::Figure;
use crate::load::load_averages;

/// Collects the figures of one run of a benchmark.
pub struct Report {
    name: &'static str,
    is_quick: bool,
    chosen: Vec<String>,
    figures: Vec<Figure>,
    /// What the file will say of each group that was run.
    groups: Map<String, Value>,
}

impl Report {
    /// A report for what the arguments of the program ask for: `--quick` for small counts, and the
    /// names of groups, all if none is named. Ends the program if there is no such group.
    pub fn from_arguments(name: &'static str, groups: &[&str]) -> Self {
        let arguments: Vec<String> = std::env::args().skip(1).collect();
        let chosen: Vec<String> =
            arguments.iter().filter(|argument| !argument.starts_with("--")).cloned().collect();
        if let Some(unknown) = chosen.iter().find(|group| !groups.contains(&group.as_str())) {
            eprintln!("{name}: there is no group '{unknown}'; use some of: {}", groups.join(", "));
            std::process::exit(2);
        }
        let is_quick = arguments.iter().any(|argument| argument == "--quick");
        Self { name, is_quick, chosen, figures: Vec::new(), groups: Map::new() }
    }

    /// Whether small counts were asked for: to see that it works, not to measure.
    pub fn is_quick(&self) -> bool {
        self.is_quick
    }

    /// The first for a full run, the second for a quick one.
    pub fn choose<T>(&self, full: T, quick: T) -> T {
        if self.is_quick { quick } else { full }
    }

    /// Runs a group, if it was chosen.
    pub fn group(&mut self, group: &str, run: impl FnOnce(&mut Self)) {
        if !self.chosen.is_empty() && !self.chosen.iter().any(|chosen| chosen == group) {
            return;
        }
        let before = load_averages();
        println!("{}: {group} (load average {before:?})", self.name);
        run(self);
        let after = load_averages();
        println!("  load average after: {after:?}");
        let figures: Vec<Value> = self.figures.drain(..).map(|figure| figure.json()).collect();
        let entry = json!({
            "quick": self.is_quick,
            "load_average_before": before,
            "load_average_after": after,
            "figures": figures,
        });
        self.groups.insert(group.to_owned(), entry);
    }

    /// Adds a figure to the group that is running, and prints it.
    pub fn add(&mut self, figure: Figure) {
        println!("{}", figure.text());
        self.figures.push(figure);
    }

    /// Says something that is no figure, such as why one is missing.
    pub fn remark(&self, text: &str) {
        println!("  {text}");
    }

    /// Writes the file.
    pub fn finish(self) -> io::Result<()> {
        let path = figures_directory().join(self.name).with_extension("json");
        let mut groups = groups_in(&path);
        groups.extend(self.groups);
        if let Some(directory) = path.parent() {
            std::fs::create_dir_all(directory)?;
        }
        let text = serde_json::to_string_pretty(&json!({ "name": self.name, "groups": groups }))?;
        std::fs::write(&path, text + "\n")?;
        println!("written to {}", path.display());
        Ok(())
    }
}

/// The groups a file has already.
fn groups_in(path: &Path) -> Map<String, Value> {
    let text = std::fs::read(path).unwrap_or_default();
    let file: Value = serde_json::from_slice(&text).unwrap_or_default();
    file["groups"].as_object().cloned().unwrap_or_default()
}

/// `figures` in the target directory, in which the program lies two levels deep.
fn figures_directory() -> PathBuf {
    let program = std::env::current_exe().unwrap_or_default();
    let target = program.ancestors().nth(3).filter(|target| target.join("CACHEDIR.TAG").exists());
    target.map_or_else(|| PathBuf::from("target"), Path::to_owned).join("figures")
}
