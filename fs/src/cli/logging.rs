//! Where the log goes, and how much of it.

use std::fs::OpenOptions;
use std::io::IsTerminal;
use std::path::Path;
use std::sync::Mutex;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::writer::BoxMakeWriter;

use super::error::{CliError, CliResult};

/// Says what is logged, as `braidfs=debug` or `info`; has the last word.
const VARIABLE: &str = "BRAIDFS_LOG";

/// Starts logging.
pub fn start(verbosity: u8, log_file: Option<&Path>) -> CliResult {
    let (writer, colour) = match log_file {
        None => (BoxMakeWriter::new(std::io::stderr), std::io::stderr().is_terminal()),
        Some(path) => (writer_to(path)?, false),
    };
    let started = tracing_subscriber::fmt()
        .with_env_filter(filter(verbosity)?)
        .with_writer(writer)
        .with_ansi(colour)
        .try_init();
    started.map_err(|error| CliError::new(format!("cannot start logging: {error}")))
}

fn writer_to(path: &Path) -> CliResult<BoxMakeWriter> {
    let file = OpenOptions::new().create(true).append(true).open(path).map_err(|error| {
        let path = path.display();
        CliError::new(format!("cannot write the log file {path}: {error}; choose another one"))
    })?;
    Ok(BoxMakeWriter::new(Mutex::new(file)))
}

fn filter(verbosity: u8) -> CliResult<EnvFilter> {
    let wanted = match std::env::var(VARIABLE) {
        Ok(wanted) if !wanted.is_empty() => wanted,
        _ => default_filter(verbosity).to_owned(),
    };
    EnvFilter::try_new(&wanted).map_err(|error| {
        CliError::usage(format!("{VARIABLE} is `{wanted}`, which makes no sense: {error}"))
    })
}

/// What `-v` means.
fn default_filter(verbosity: u8) -> &'static str {
    match verbosity {
        0 => "warn",
        1 => "info",
        2 => "debug",
        _ => "trace",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_filters_are_understood() {
        for verbosity in 0..4 {
            assert!(EnvFilter::try_new(default_filter(verbosity)).is_ok());
        }
    }
}
