//! What can be told to a mount, when it is made and later.

use std::path::PathBuf;
use std::time::Duration;

use braidfs_pagecache::WritebackPolicy;
use clap::{Args, ValueEnum};

use crate::settings::{SettingsChange, milliseconds};
use crate::size::{parse_duration, parse_size};

/// Show the settings of a mount, or change them
///
/// Without settings it shows those in force. Changes hold until the volume is unmounted; only root
/// and the user who mounted it may make them.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    braidfs control mnt\n  \
    braidfs control mnt --writeback-policy wait --dirty-limit 256M")]
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
