//! `PROBLEMS.md`, the table of problems for those who read rather than compile.

use std::fmt::Write;

use braidfs_fsck::{PASSES, RepairFlags, Severity, problems};

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/PROBLEMS.md");
const HEAD: &str = "\
# What fsck.braidfs can find

Made from the table in `src/problem/`; `BRAIDFS_BLESS=1 cargo test -p braidfs-fsck` writes it anew.
Ids never change their meaning. A *notice* is what a power loss may leave and the filesystem heals; it
does not count as a problem. Repair is not there yet: the last two columns say what it will do. *safe*:
`-p` does it without asking. *loses*: names, attributes or content go. *recheck*: other problems can
come or go with it. *by itself*: the next unify does it. *copy*: the volume itself cannot give it back.
";

fn document() -> String {
    let mut text = HEAD.to_owned();
    for pass in PASSES {
        let rows = problems().filter(|problem| problem.pass() == pass.id);
        let mut rows = rows.peekable();
        writeln!(text, "\n## Pass {}: {}\n\nLooks at {}.\n", pass.id, pass.name, pass.description)
            .unwrap();
        if rows.peek().is_some() {
            text.push_str("| id | problem | repair | is |\n|---|---|---|---|\n");
        }
        for row in rows {
            let notice = if row.severity == Severity::Notice { " (notice)" } else { "" };
            let words = words(row.flags).join(", ");
            writeln!(text, "| {} | {}{notice} | {} | {words} |", row.id, row.summary, row.repair)
                .unwrap();
        }
    }
    text
}

fn words(flags: RepairFlags) -> Vec<&'static str> {
    let all = [
        (RepairFlags::PREEN, "safe"),
        (RepairFlags::LOSES_DATA, "loses"),
        (RepairFlags::RECHECK, "recheck"),
        (RepairFlags::BY_UNIFY, "by itself"),
        (RepairFlags::NEEDS_COPY, "copy"),
    ];
    all.into_iter().filter(|(flag, _)| flags.contains(*flag)).map(|(_, word)| word).collect()
}

#[test]
fn the_document_is_current() {
    let due = document();
    if std::env::var_os("BRAIDFS_BLESS").is_some() {
        std::fs::write(PATH, &due).unwrap();
    }
    let found = std::fs::read_to_string(PATH).unwrap_or_default();
    assert!(found == due, "write PROBLEMS.md anew: BRAIDFS_BLESS=1 cargo test -p braidfs-fsck");
}
