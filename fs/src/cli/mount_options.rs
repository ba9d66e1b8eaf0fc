//! The options of `-o`: those of every filesystem, and our own.
//!
//! One table says what each means; the man page lists it.

use std::path::PathBuf;

use clap::ValueEnum;

use super::args::{AccessTimeChoice, MountArguments, PolicyChoice, Switch};
use super::error::{CliError, CliResult};
use crate::fuse::KernelOptions;
use crate::settings::{SettingsChange, milliseconds};
use crate::size::{parse_duration, parse_size};

/// What a mount is to be like, whoever said so: an option, or a flag.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MountSettings {
    /// What the kernel is told.
    pub kernel: KernelOptions,
    /// Let other users in.
    pub allow_other: bool,
    /// Mount a block device as such; if nobody says, root does.
    pub block_device: Option<bool>,
    /// What is mounted already gets other flags.
    pub remount: bool,
    /// See [`MountArguments`], also for the rest.
    pub access_time: Option<AccessTimeChoice>,
    /// What can be changed later, too.
    pub change: SettingsChange,
    /// Bytes of the page cache.
    pub cache_bytes: Option<u64>,
    /// Threads that answer requests.
    pub threads: Option<u16>,
    /// Colours of zero pages.
    pub zero_colours: Option<usize>,
    /// Where the log goes.
    pub log_file: Option<PathBuf>,
    /// Options that change nothing here, for the log.
    pub ignored: Vec<String>,
}

/// What an option does.
enum Effect {
    /// Nothing: it is for other programs, or says what is so anyway.
    Nothing,
    /// Something.
    Set(fn(&mut MountSettings)),
    /// Something with the value behind the `=`.
    Value(fn(&mut MountSettings, &str) -> Result<(), String>),
}

/// An option: its name, what it does, and a line for the man page.
struct MountOption {
    name: &'static str,
    effect: Effect,
    help: &'static str,
}

const fn set(
    name: &'static str,
    effect: fn(&mut MountSettings),
    help: &'static str,
) -> MountOption {
    MountOption { name, effect: Effect::Set(effect), help }
}

const fn value(
    name: &'static str,
    effect: fn(&mut MountSettings, &str) -> Result<(), String>,
    help: &'static str,
) -> MountOption {
    MountOption { name, effect: Effect::Value(effect), help }
}

const fn nothing(name: &'static str) -> MountOption {
    MountOption { name, effect: Effect::Nothing, help: "" }
}

const OPTIONS: &[MountOption] = &[
    set("ro", |s| s.kernel.read_only = true, "refuse every change"),
    set("rw", |s| s.kernel.read_only = false, "allow changes"),
    set("suid", |s| s.kernel.suid = true, "honour setuid and setgid"),
    set("nosuid", |s| s.kernel.suid = false, "ignore setuid and setgid"),
    set("dev", |s| s.kernel.dev = true, "let device files be devices"),
    set("nodev", |s| s.kernel.dev = false, "device files are only files"),
    set("exec", |s| s.kernel.exec = true, "let programs be run"),
    set("noexec", |s| s.kernel.exec = false, "do not let programs be run"),
    set("sync", |s| s.kernel.sync = true, "make what is written to a file durable at once"),
    set("async", |s| s.kernel.sync = false, "the opposite of sync"),
    set("relatime", |s| access(s, AccessTimeChoice::Relatime), "see --access-time"),
    set("noatime", |s| access(s, AccessTimeChoice::Noatime), "see --access-time"),
    set("strictatime", |s| access(s, AccessTimeChoice::Strictatime), "see --access-time"),
    set("allow_other", |s| s.allow_other = true, "let other users in"),
    set("remount", |s| s.remount = true, "change flags and settings of what is mounted"),
    value("writeback_policy", policy, "see --writeback-policy"),
    value("dirty_limit", dirty_limit, "see --dirty-limit"),
    value("frozen_limit", frozen_limit, "see --frozen-limit"),
    value("zero_dedup", zero_dedup, "see --zero-dedup"),
    value("zero_colours", zero_colours, "zero pages of different colours, 1 to 128 [default: 1]"),
    value("cache_size", cache_size, "see --cache-size"),
    value("commit", commit, "see --commit-interval; a number is seconds"),
    value("threads", threads, "see --threads"),
    value("log_file", log_file, "see --log-file"),
    set("blkdev", |s| s.block_device = Some(true), "mount a block device as such: root only"),
    set("noblkdev", |s| s.block_device = Some(false), "mount it as an image file would be"),
    nothing("defaults"),
    nothing("dirsync"),
    nothing("default_permissions"),
    nothing("atime"),
    nothing("diratime"),
    nothing("nodiratime"),
    nothing("norelatime"),
    nothing("nostrictatime"),
    nothing("lazytime"),
    nothing("nolazytime"),
    nothing("iversion"),
    nothing("noiversion"),
    nothing("mand"),
    nothing("nomand"),
    nothing("silent"),
    nothing("loud"),
    nothing("user_xattr"),
    nothing("nouser_xattr"),
    nothing("acl"),
    nothing("noacl"),
    nothing("auto"),
    nothing("noauto"),
    nothing("user"),
    nothing("nouser"),
    nothing("users"),
    nothing("nousers"),
    nothing("owner"),
    nothing("noowner"),
    nothing("group"),
    nothing("nogroup"),
    nothing("_netdev"),
    nothing("nofail"),
    nothing("fail"),
    nothing("uhelper"),
    nothing("helper"),
    nothing("comment"),
    nothing("fsname"),
    nothing("subtype"),
];

impl MountSettings {
    /// What people get who mount an image: nothing in it can give anybody privileges.
    pub fn for_people() -> Self {
        let kernel = KernelOptions { exec: true, ..KernelOptions::default() };
        Self { kernel, ..Self::default() }
    }

    /// What mount(8) gets: what other filesystems do. What users mount gives nobody privileges;
    /// fusermount3 refuses to do it otherwise.
    pub fn for_mount_helper(is_root: bool) -> Self {
        let kernel =
            KernelOptions { exec: true, suid: is_root, dev: is_root, ..KernelOptions::default() };
        Self { kernel, allow_other: is_root, ..Self::default() }
    }

    /// Whether it says anything about what the server, not the kernel, goes by.
    pub fn asks_for_settings(&self) -> bool {
        !self.change.is_empty() || self.cache_bytes.is_some() || self.threads.is_some()
    }

    /// Applies a list of options, separated by commas. What is not known is an error, unless
    /// `sloppy`.
    pub fn apply(&mut self, list: &str, sloppy: bool) -> CliResult {
        list.split(',')
            .filter(|word| !word.is_empty())
            .try_for_each(|word| self.apply_one(word, sloppy))
    }

    /// Applies what the flags say, which have the last word.
    pub fn apply_flags(&mut self, arguments: &MountArguments) {
        self.kernel.read_only |= arguments.read_only;
        self.allow_other |= arguments.allow_other;
        self.change.update(&arguments.settings.change());
        self.cache_bytes = arguments.cache_size.or(self.cache_bytes);
        self.threads = arguments.threads.or(self.threads);
        self.log_file = arguments.log_file.clone().or(self.log_file.take());
        if let Some(choice) = arguments.access_time {
            access(self, choice);
        }
    }

    fn apply_one(&mut self, word: &str, sloppy: bool) -> CliResult {
        let (name, value) = match word.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (word, None),
        };
        let Some(option) = OPTIONS.iter().find(|option| option.name == name) else {
            if sloppy || name.starts_with("x-") || name.starts_with("X-") {
                self.ignored.push(word.to_owned());
                return Ok(());
            }
            return Err(CliError::usage(format!(
                "the mount option `{word}` is not known; `braidfs help mount` lists them"
            )));
        };
        match (&option.effect, value) {
            (Effect::Nothing, _) => self.ignored.push(word.to_owned()),
            (Effect::Set(effect), None) => effect(self),
            (Effect::Value(effect), Some(value)) => effect(self, value)
                .map_err(|why| CliError::usage(format!("the mount option `{word}`: {why}")))?,
            (Effect::Set(_), Some(_)) => {
                let message = format!("the mount option `{name}` takes no value; leave `=...` out");
                return Err(CliError::usage(message));
            }
            (Effect::Value(_), None) => {
                let message = format!("the mount option `{name}` needs a value: {name}=...");
                return Err(CliError::usage(message));
            }
        }
        Ok(())
    }
}

/// The options that mean something, for the man page.
pub fn described() -> impl Iterator<Item = (String, &'static str)> {
    OPTIONS.iter().filter(|option| !option.help.is_empty()).map(|option| {
        let takes_value = matches!(option.effect, Effect::Value(_));
        (format!("{}{}", option.name, if takes_value { "=VALUE" } else { "" }), option.help)
    })
}

fn access(settings: &mut MountSettings, choice: AccessTimeChoice) {
    settings.access_time = Some(choice);
    settings.kernel.noatime = choice == AccessTimeChoice::Noatime;
}

fn policy(settings: &mut MountSettings, value: &str) -> Result<(), String> {
    let choice = PolicyChoice::from_str(value, false)
        .map_err(|_| "it must be fork, wait or copy".to_owned())?;
    settings.change.writeback_policy = Some(choice.policy());
    Ok(())
}

fn dirty_limit(settings: &mut MountSettings, value: &str) -> Result<(), String> {
    settings.change.dirty_limit_bytes = Some(parse_size(value)?);
    Ok(())
}

fn frozen_limit(settings: &mut MountSettings, value: &str) -> Result<(), String> {
    settings.change.frozen_limit_bytes = Some(parse_size(value)?);
    Ok(())
}

fn zero_dedup(settings: &mut MountSettings, value: &str) -> Result<(), String> {
    let switch = Switch::from_str(value, false).map_err(|_| "it must be on or off".to_owned())?;
    settings.change.zero_dedup = Some(switch.is_on());
    Ok(())
}

fn cache_size(settings: &mut MountSettings, value: &str) -> Result<(), String> {
    settings.cache_bytes = Some(parse_size(value)?);
    Ok(())
}

fn commit(settings: &mut MountSettings, value: &str) -> Result<(), String> {
    settings.change.commit_interval_ms = Some(milliseconds(parse_duration(value)?));
    Ok(())
}

fn threads(settings: &mut MountSettings, value: &str) -> Result<(), String> {
    let number = value.parse().ok().filter(|number| (1..=256).contains(number));
    settings.threads = Some(number.ok_or("it must be a number from 1 to 256")?);
    Ok(())
}

fn zero_colours(settings: &mut MountSettings, value: &str) -> Result<(), String> {
    let number = value.parse().ok();
    let fits = |number: &usize| (1..=128).contains(number) && number.is_power_of_two();
    settings.zero_colours =
        Some(number.filter(fits).ok_or("it must be a power of two from 1 to 128")?);
    Ok(())
}

fn log_file(settings: &mut MountSettings, value: &str) -> Result<(), String> {
    settings.log_file = Some(PathBuf::from(value));
    Ok(())
}

#[cfg(test)]
mod tests {
    use braidfs_pagecache::WritebackPolicy;

    use super::*;

    fn parsed(list: &str) -> CliResult<MountSettings> {
        let mut settings = MountSettings::for_people();
        settings.apply(list, false).map(|()| settings)
    }

    #[test]
    fn names_stand_in_the_table_once() {
        for (index, option) in OPTIONS.iter().enumerate() {
            assert!(OPTIONS[..index].iter().all(|other| other.name != option.name));
        }
    }

    #[test]
    fn generic_options_are_taken() {
        let list = "rw,defaults,relatime,suid,dev,exec,user_xattr,acl,_netdev,nofail,noauto,user,\
                    x-systemd.requires=/a,comment=hello,,default_permissions,allow_other";
        let settings = parsed(list).unwrap();
        assert!(settings.allow_other && settings.kernel.suid && settings.kernel.dev);
        assert!(settings.ignored.contains(&"x-systemd.requires=/a".to_owned()));
        let settings = parsed("ro,noatime,sync,dirsync,noexec").unwrap();
        let kernel = settings.kernel;
        assert!(kernel.read_only && kernel.noatime && kernel.sync);
        assert!(!kernel.exec && !kernel.suid && !kernel.dev);
    }

    #[test]
    fn only_root_mounts_with_setuid_and_devices() {
        let [root, user] = [true, false].map(|root| MountSettings::for_mount_helper(root).kernel);
        assert!(root.suid && root.dev && root.exec);
        assert!(!user.suid && !user.dev && user.exec);
    }

    #[test]
    fn the_last_one_counts() {
        assert!(!parsed("ro,rw").unwrap().kernel.read_only);
        assert!(!parsed("noatime,relatime").unwrap().kernel.noatime);
    }

    #[test]
    fn own_options_have_values() {
        let settings =
            parsed("writeback_policy=wait,cache_size=64M,commit=30,threads=4,log_file=/l").unwrap();
        assert_eq!(settings.change.writeback_policy, Some(WritebackPolicy::Wait));
        assert_eq!(settings.cache_bytes, Some(64 << 20));
        assert_eq!(settings.change.commit_interval_ms, Some(30_000));
        assert_eq!(settings.threads, Some(4));
        assert_eq!(settings.log_file, Some(PathBuf::from("/l")));
        let change = parsed("dirty_limit=1G,frozen_limit=512M,zero_dedup=off").unwrap().change;
        assert_eq!(change.dirty_limit_bytes, Some(1 << 30));
        assert_eq!(change.frozen_limit_bytes, Some(512 << 20));
        assert_eq!(change.zero_dedup, Some(false));
    }

    #[test]
    fn mistakes_are_told() {
        for list in ["nonsense", "ro=1", "commit", "commit=", "threads=0", "cache_size=big"] {
            assert!(parsed(list).is_err(), "{list}");
        }
        let told = |list| parsed(list).unwrap_err().to_string();
        assert!(told("writeback_policy=stall").contains("fork, wait or copy"));
        assert!(told("zero_colours=3").contains("a power of two"));
        assert!(told("zero_dedup=1").contains("on or off"));
        assert!(told("dirty_limit=lots").contains("2G, 512M"));
        let mut settings = MountSettings::default();
        assert!(settings.apply("nonsense,ro", true).is_ok());
        assert!(settings.kernel.read_only);
    }
}
