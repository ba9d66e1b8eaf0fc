//! The files of the project.

use std::fs;
use std::path::{Path, PathBuf};

/// A file, by its path from the top of the project.
pub struct Source {
    /// The path, with '/' between names.
    pub path: String,
    /// All of it.
    pub text: String,
}

/// The top of the project.
pub fn top() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().expect("the tests lie in the project").to_owned()
}

/// All files with one of these endings, in order.
pub fn files(endings: &[&str]) -> Vec<Source> {
    let mut found = Vec::new();
    collect(&top(), "", endings, &mut found);
    found.sort_by(|left, right| left.path.cmp(&right.path));
    assert!(!found.is_empty());
    found
}

/// All Rust files.
pub fn rust() -> Vec<Source> {
    files(&[".rs"])
}

fn collect(directory: &Path, prefix: &str, endings: &[&str], found: &mut Vec<Source>) {
    for entry in fs::read_dir(directory).expect("the project can be read") {
        let entry = entry.expect("an entry");
        let name = entry.file_name().into_string().expect("names are ASCII");
        let path = format!("{prefix}{name}");
        let kind = entry.file_type().expect("a type");
        if kind.is_dir() && name != "target" && name != ".git" {
            collect(&entry.path(), &format!("{path}/"), endings, found);
        } else if kind.is_file() && endings.iter().any(|ending| name.ends_with(ending)) {
            let bytes = fs::read(entry.path()).expect("a source can be read");
            let text = String::from_utf8(bytes).unwrap_or_else(|_| panic!("{path} is not text"));
            found.push(Source { path, text });
        }
    }
}
