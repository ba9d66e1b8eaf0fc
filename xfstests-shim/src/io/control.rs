//! What makes things durable, ends them, or waits.

use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{Advice, fadvise};

use super::words::Words;
use super::{Failure, Machine, Outcome, kernel};

const PATIENCE: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(2);

pub(super) fn fsync(machine: &mut Machine, _: &mut Words) -> Outcome {
    machine.handle()?.file.sync_all()?;
    Ok(String::new())
}

pub(super) fn fdatasync(machine: &mut Machine, _: &mut Words) -> Outcome {
    machine.handle()?.file.sync_data()?;
    Ok(String::new())
}

pub(super) fn syncfs(machine: &mut Machine, _: &mut Words) -> Outcome {
    rustix::fs::syncfs(&machine.handle()?.file)?;
    Ok(String::new())
}

pub(super) fn drop_cache(machine: &mut Machine, _: &mut Words) -> Outcome {
    let file = &machine.handle()?.file;
    // Dirty pages stay unless they are written first.
    file.sync_data()?;
    fadvise(file, 0, None, Advice::DontNeed)?;
    Ok(String::new())
}

pub(super) fn shutdown(machine: &mut Machine, words: &mut Words) -> Outcome {
    let flush_log = if words.flag("-f") { 1 } else { 2 };
    kernel::shutdown(&machine.handle()?.file, flush_log)?;
    Ok(String::new())
}

pub(super) fn wait(_: &mut Machine, words: &mut Words) -> Outcome {
    let path = PathBuf::from(words.word()?);
    let started = Instant::now();
    while !path.exists() {
        if started.elapsed() > PATIENCE {
            return Err(Failure::Wrong(format!("{} has not come", path.display())));
        }
        thread::sleep(POLL);
    }
    Ok(String::new())
}

pub(super) fn touch(_: &mut Machine, words: &mut Words) -> Outcome {
    std::fs::write(words.word()?, "")?;
    Ok(String::new())
}

pub(super) fn sleep(_: &mut Machine, words: &mut Words) -> Outcome {
    thread::sleep(Duration::from_millis(words.number()?));
    Ok(String::new())
}

pub(super) fn echo(_: &mut Machine, words: &mut Words) -> Outcome {
    let all: Vec<String> = std::iter::from_fn(|| words.next()).collect();
    Ok(format!("{}\n", all.join(" ")))
}
