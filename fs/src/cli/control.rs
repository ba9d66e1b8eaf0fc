//! `control`: the settings of a mount, and changes to them; the end of all changes.

use std::time::Duration;

use super::args::{ControlArguments, ShutdownChoice};
use super::channel::Channel;
use super::error::{CliError, CliResult};
use super::output::{json, say};
use crate::fuse::{MountReport, SETTINGS_ATTRIBUTE, SHUTDOWN_ATTRIBUTE};
use crate::settings::SettingsChange;
use crate::size::{human, human_duration};

/// Changes what is to be changed; else shows what is in force.
pub fn run(arguments: &ControlArguments) -> CliResult {
    let channel = Channel::open(&arguments.place)?;
    if let Some(choice) = arguments.shutdown {
        return shut_down(&channel, choice);
    }
    let change = arguments.settings.change();
    if !change.is_empty() {
        make(&channel, &change)?;
    }
    if arguments.json {
        return json(&channel.get::<MountReport>(SETTINGS_ATTRIBUTE)?);
    }
    if change.is_empty() {
        say(describe(&channel.get(SETTINGS_ATTRIBUTE)?).trim_end());
    }
    Ok(())
}

/// Makes a change; one that is in force already is none.
pub fn make(channel: &Channel, change: &SettingsChange) -> CliResult {
    let report: MountReport = channel.get(SETTINGS_ATTRIBUTE)?;
    let wanted = report.settings.with(change);
    if wanted == report.settings {
        return Ok(());
    }
    // The server checks again, but has no words to say why.
    wanted.check().map_err(|error| CliError::usage(error.to_string()))?;
    let value = serde_json::to_vec(change)
        .map_err(|error| CliError::new(format!("cannot write this as JSON: {error}")))?;
    channel.set(SETTINGS_ATTRIBUTE, &value).map_err(|errno| CliError::new(channel.refused(errno)))
}

/// Ends all changes. What is to be durable includes what the kernel has not handed over yet.
fn shut_down(channel: &Channel, choice: ShutdownChoice) -> CliResult {
    if choice == ShutdownChoice::Everything {
        channel.hand_over()?;
    }
    channel
        .set(SHUTDOWN_ATTRIBUTE, choice.word().as_bytes())
        .map_err(|errno| CliError::new(channel.refused(errno)))
}

fn describe(report: &MountReport) -> String {
    let settings = &report.settings;
    let lines = [
        ("writeback-policy", settings.writeback_policy.to_string()),
        ("dirty-limit", human(settings.dirty_limit_bytes)),
        ("frozen-limit", human(settings.frozen_limit_bytes)),
        ("zero-dedup", if settings.zero_dedup { "on" } else { "off" }.to_owned()),
        ("commit-interval", human_duration(Duration::from_millis(settings.commit_interval_ms))),
        ("cache-size", format!("{} (fixed while mounted)", human(settings.cache_bytes))),
        ("threads", format!("{} (fixed while mounted)", report.threads)),
        ("server", format!("pid {}, braidfs {}", report.server_pid, report.server_version)),
    ];
    lines.iter().map(|(name, value)| format!("{name:<18}{value}\n")).collect()
}
