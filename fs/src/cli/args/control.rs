//! What can be told to a mount, when it is made and later.

use std::path::PathBuf;
use std::time::Duration;

use braidfs_pagecache::WritebackPolicy;
use clap::{Args, ValueEnum};

use crate::settings::{SettingsChange, milliseconds};
use crate::size::{parse_duration, parse_size};

/// Show the settings of a mount, or change them; or end all changes
///
/// Without settings it shows those in force. Changes hold until the volume is unmounted; only root
/// and the user who mounted it may make them.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    braidfs control mnt\n  \
    braidfs control mnt --writeback-policy wait --dirty-limit 256M\n  \
    braidfs control mnt --shutdown=nothing")]
pub struct ControlArguments {
    /// A directory of the mount
    #[arg(value_name = "DIR")]
    pub place: PathBuf,
    /// What to change
    #[command(flatten)]
    pub settings: SettingsArguments,
    /// Print the settings as JSON
    #[arg(long)]
    pub json: bool,
    /// End all changes at once, after making this durable (everything, if it is not said): every
    /// change and every fsync fails from then on, until the volume is unmounted and mounted again
    #[arg(
        long,
        value_name = "WHAT",
        value_enum,
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "everything",
        conflicts_with_all = ["SettingsArguments", "json"]
    )]
    pub shutdown: Option<ShutdownChoice>,
}

/// What is made durable before a shutdown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ShutdownChoice {
    /// Everything that was changed
    Everything,
    /// Names and attributes
    Names,
    /// Nothing that is not durable already, as in a crash
    Nothing,
}

impl ShutdownChoice {
    /// What is written to the attribute of the server.
    pub fn word(self) -> &'static str {
        match self {
            Self::Everything => "everything",
            Self::Names => "names",
            Self::Nothing => "nothing",
        }
    }
}

/// The settings that can be changed while a volume is mounted.
#[derive(Debug, Clone, Args)]
pub struct SettingsArguments {
    /// What to do when a page is written that is under writeback
    #[arg(long, value_name = "POLICY", value_enum)]
    pub writeback_policy: Option<PolicyChoice>,
    /// Writers wait when this much is not on disk yet, and are slowed down from a quarter of it on; a
    /// mount begins with half of the cache
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    pub dirty_limit: Option<u64>,
    /// Writers wait instead of copying when the copies for writeback take this much; a mount begins
    /// with a quarter of the cache
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    pub frozen_limit: Option<u64>,
    /// Make holes of pages of zeros; a mount begins with on
    #[arg(long, value_name = "ON|OFF", value_enum)]
    pub zero_dedup: Option<Switch>,
    /// The longest a change stays in memory only, as 5s or 500ms; a mount begins with 5s
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub commit_interval: Option<Duration>,
}

impl SettingsArguments {
    /// The same, for whoever makes the change.
    pub fn change(&self) -> SettingsChange {
        SettingsChange {
            writeback_policy: self.writeback_policy.map(PolicyChoice::policy),
            dirty_limit_bytes: self.dirty_limit,
            frozen_limit_bytes: self.frozen_limit,
            zero_dedup: self.zero_dedup.map(Switch::is_on),
            commit_interval_ms: self.commit_interval.map(milliseconds),
        }
    }
}

/// What to do when a page is written that is under writeback.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PolicyChoice {
    /// Copy the page, write to the copy, and never wait
    Fork,
    /// Wait until the page is written
    Wait,
    /// Copy every page as soon as its writeback begins
    Copy,
}

impl PolicyChoice {
    /// The policy.
    pub fn policy(self) -> WritebackPolicy {
        match self {
            Self::Fork => WritebackPolicy::Fork,
            Self::Wait => WritebackPolicy::Wait,
            Self::Copy => WritebackPolicy::Copy,
        }
    }
}

/// Yes or no.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Switch {
    /// Yes
    On,
    /// No
    Off,
}

impl Switch {
    /// Whether it is on.
    pub fn is_on(self) -> bool {
        self == Self::On
    }
}
