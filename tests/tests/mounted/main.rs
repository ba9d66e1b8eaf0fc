//! System calls on a real mount, by family. Each test has a volume of its own, which must be clean
//! afterwards.

mod access;
mod attributes;
mod commands;
mod data;
mod direct;
mod directories;
mod durability;
mod files;
mod load;
mod locks;
mod names;
mod ranges;
mod times;
mod unnamed;
mod xattrs;

use std::io;
use std::path::Path;

use braidfs_tests::steps::Data;

/// Bytes that are nothing in particular.
fn bytes(length: usize, seed: u64) -> Vec<u8> {
    Data { length: length as u64, seed }.bytes()
}

/// The error number of a call that must fail.
#[track_caller]
fn errno<T>(result: io::Result<T>) -> i32 {
    match result {
        Ok(_) => panic!("it worked"),
        Err(error) => error.raw_os_error().expect("an error of the system"),
    }
}

/// The names in a directory, in order.
fn names(directory: impl AsRef<Path>) -> Vec<String> {
    let entries = std::fs::read_dir(directory).expect("a directory");
    let name = |entry: io::Result<std::fs::DirEntry>| {
        entry.expect("an entry").file_name().into_string().expect("a name in UTF-8")
    };
    let mut names: Vec<String> = entries.map(name).collect();
    names.sort();
    names
}
