//! Tests that a document names are there.

use std::collections::BTreeSet;

use crate::source::{rust, top};

/// The document that names tests in the last column of its tables.
const DOCUMENT: &str = "docs/FORKING.md";

/// What is between backquotes.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// The tests in the last column of the tables of a document.
fn named(document: &str) -> Vec<&str> {
    let rows = document.lines().filter(|line| line.starts_with("| ") && line.ends_with('|'));
    let last = rows.filter_map(|row| row.trim_end_matches('|').rsplit('|').next());
    last.flat_map(quoted).collect()
}

/// The functions behind a test attribute.
fn tests(source: &str) -> impl Iterator<Item = &str> {
    let behind_attribute = source.split("#[test]").skip(1);
    behind_attribute.filter_map(|rest| {
        let name = rest.split_once("fn ")?.1;
        Some(&name[..name.find('(')?])
    })
}

#[test]
fn every_test_that_is_named_is_there() {
    let text = std::fs::read_to_string(top().join(DOCUMENT)).expect("the document is there");
    let sources = rust();
    let there: BTreeSet<&str> = sources.iter().flat_map(|source| tests(&source.text)).collect();
    let named = named(&text);
    assert!(named.len() > 40, "{DOCUMENT} names tests");
    let missing: Vec<&&str> = named.iter().filter(|name| !there.contains(**name)).collect();
    assert!(missing.is_empty(), "{DOCUMENT} names tests that are not there: {missing:#?}");
}

#[test]
fn rows_without_a_test_are_noticed() {
    let text = std::fs::read_to_string(top().join(DOCUMENT)).expect("the document is there");
    for row in text.lines().filter(|line| line.starts_with("| ")) {
        let is_heading = row.starts_with("| objection |")
            || row.starts_with("| race |")
            || row.starts_with("| question |");
        assert!(is_heading || !named(row).is_empty(), "no test answers {row}");
    }
}
