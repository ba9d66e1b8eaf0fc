//! What commands print.
//!
//! Data goes to stdout. If nobody reads it any more (`braidfs dump ... | head`), the command ends
//! quietly: that is [`io::ErrorKind::BrokenPipe`], which [`done`] takes for success.

use std::io::{self, Write};

use serde::Serialize;

use super::error::{CliError, CliResult};

/// Prints a line; that nobody reads it is no reason to stop what else is being done.
pub fn say(line: &str) {
    let mut stdout = io::stdout().lock();
    let _ = writeln!(stdout, "{line}").and_then(|()| stdout.flush());
}

/// Prints a value as JSON.
pub fn json(value: &impl Serialize) -> CliResult {
    let text = serde_json::to_string_pretty(value)
        .map_err(|error| CliError::new(format!("cannot write this as JSON: {error}")))?;
    done(writeln!(io::stdout().lock(), "{text}"))
}

/// The result of having printed data.
pub fn done(result: io::Result<()>) -> CliResult {
    match result {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(CliError::new(format!("cannot write the output: {error}")))
        }
        _ => Ok(()),
    }
}
