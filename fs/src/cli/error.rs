//! What a command ends with when it fails: one line for people, one number for scripts.

use std::fmt;
use std::process::ExitCode;

/// Something went wrong.
pub const FAILURE: u8 = 1;
/// The command line makes no sense.
pub const USAGE: u8 = 2;
/// What mount(8) expects of its helpers when a mount fails.
pub const MOUNT_FAILURE: u8 = 32;

/// A failure with its exit code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CliError {
    message: String,
    code: u8,
}

/// The result of a command.
pub type CliResult<T = ()> = Result<T, CliError>;

impl CliError {
    /// A failure; `message` is a lower-case sentence that says what is wrong and what to do.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), code: FAILURE }
    }

    /// A command line that makes no sense.
    pub fn usage(message: impl Into<String>) -> Self {
        Self { message: message.into(), code: USAGE }
    }

    /// The same with another exit code.
    #[must_use]
    pub fn with_code(self, code: u8) -> Self {
        Self { code, ..self }
    }

    /// The exit code.
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.code)
    }
}

/// In one line, whatever the message is made of.
impl fmt::Display for CliError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("braidfs: ")?;
        let mut words = self.message.split_whitespace();
        if let Some(first) = words.next() {
            formatter.write_str(first)?;
        }
        words.try_for_each(|word| write!(formatter, " {word}"))
    }
}

impl From<crate::fuse::FuseError> for CliError {
    fn from(error: crate::fuse::FuseError) -> Self {
        Self::new(error.to_string())
    }
}

impl From<crate::error::FsError> for CliError {
    fn from(error: crate::error::FsError) -> Self {
        Self::new(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_one_line() {
        let error = CliError::new("cannot do this:\n  it is\tbroken; mend it\n");
        assert_eq!(error.to_string(), "braidfs: cannot do this: it is broken; mend it");
    }
}
