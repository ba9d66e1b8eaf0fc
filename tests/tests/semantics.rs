//! Executes the examples of docs/SEMANTICS.md, in order, on a real mount.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use braidfs_tests::mounted::{braidfs, detach, has_fuse};
use tempfile::TempDir;

/// What the shell prints behind the output of a command, with the exit status.
const END: &str = "--- end of the command:";
const PATIENCE: Duration = Duration::from_secs(60);

/// A command of the document, and what it must print.
struct Example {
    line: usize,
    command: String,
    expected: Vec<String>,
}

/// The examples in the fenced blocks marked `console`.
fn examples(text: &str) -> Vec<Example> {
    let mut examples: Vec<Example> = Vec::new();
    let mut is_console = false;
    for (number, line) in text.lines().enumerate() {
        if let Some(kind) = line.strip_prefix("```") {
            is_console = kind == "console";
        } else if let (true, Some(command)) = (is_console, line.strip_prefix("$ ")) {
            let (line, command) = (number + 1, command.to_owned());
            examples.push(Example { line, command, expected: Vec::new() });
        } else if is_console {
            let example = examples.last_mut().expect("output comes after its command");
            example.expected.push(line.to_owned());
        }
    }
    examples
}

/// Whether the lines are those of a pattern, in which `...` is any lines and `[..]` any text.
fn matches(pattern: &[String], found: &[String]) -> bool {
    match pattern.split_first() {
        None => found.is_empty(),
        Some((first, rest)) if first == "..." => {
            (0..=found.len()).any(|skipped| matches(rest, &found[skipped..]))
        }
        Some((first, rest)) => found.split_first().is_some_and(|(line, others)| {
            let parts: Vec<&str> = first.split("[..]").collect();
            line_matches(&parts, line) && matches(rest, others)
        }),
    }
}

fn line_matches(parts: &[&str], line: &str) -> bool {
    match parts {
        [] => false,
        [only] => *only == line,
        [first, rest @ ..] => line.strip_prefix(first).is_some_and(|tail| {
            let mut places = (0..=tail.len()).filter(|at| tail.is_char_boundary(*at));
            places.any(|at| line_matches(rest, &tail[at..]))
        }),
    }
}

/// A shell in a directory of its own, and whatever is mounted there.
struct Shell {
    directory: TempDir,
    child: Child,
    input: ChildStdin,
    output: Receiver<String>,
}

impl Shell {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let programs = braidfs().parent().expect("a directory of programs").to_owned();
        let path = std::env::var("PATH").unwrap_or_default();
        let mut child = Command::new("bash")
            .current_dir(directory.path())
            .env("PATH", format!("{}:{path}", programs.display()))
            .env("LC_ALL", "C")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("bash runs");
        let input = child.stdin.take().expect("it was piped");
        let output = lines(child.stdout.take().expect("it was piped"));
        let mut shell = Self { directory, child, input, output };
        shell.run("exec 2>&1");
        shell
    }

    /// Runs a command; returns its lines, and its exit status if that is not 0.
    fn run(&mut self, command: &str) -> Vec<String> {
        writeln!(self.input, "{{ {command}\n}} </dev/null\nprintf '\\n{END} %s\\n' $?")
            .expect("the shell listens");
        let mut lines = Vec::new();
        loop {
            let line = self.output.recv_timeout(PATIENCE);
            let line = line.unwrap_or_else(|_| panic!("`{command}` does not end: {lines:?}"));
            if let Some(status) = line.strip_prefix(END) {
                // The line break before the end belongs to the end.
                if lines.last().is_some_and(String::is_empty) {
                    lines.pop();
                }
                if status.trim() != "0" {
                    lines.push(format!("?{status}"));
                }
                return lines;
            }
            lines.push(line);
        }
    }
}

impl Drop for Shell {
    /// Takes the mounts away; their servers end with them.
    fn drop(&mut self) {
        for place in ["mnt", "second"] {
            detach(&self.directory.path().join(place));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn lines(stream: impl std::io::Read + Send + 'static) -> Receiver<String> {
    let (send, receive) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            let _ = send.send(line);
        }
    });
    receive
}

#[test]
fn the_examples_of_the_document_are_true() {
    if !has_fuse() {
        return;
    }
    let document = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/SEMANTICS.md");
    let text = fs::read_to_string(document).expect("the document is there");
    let examples = examples(&text);
    assert!(examples.len() > 30);
    let mut shell = Shell::new();
    for Example { line, command, expected } in examples {
        let found = shell.run(&command);
        assert!(
            matches(&expected, &found),
            "docs/SEMANTICS.md:{line}: {command}\nexpected:\n{}\nfound:\n{}",
            expected.join("\n"),
            found.join("\n")
        );
    }
}

#[test]
fn patterns_match_what_they_say() {
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
    assert!(matches(&lines("a [..] c\n...\nend"), &lines("a b b c\nx\ny\nend")));
    assert!(matches(&lines("[..]x"), &lines("x")));
    assert!(!matches(&lines("a"), &lines("a\nb")));
    assert!(!matches(&lines("a[..]b"), &lines("acbd")));
}
