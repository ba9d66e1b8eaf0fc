//! Documents lead where they say.

use std::collections::BTreeSet;

use crate::source::{files, top};

/// What each document must be there for.
const DOCUMENTS: [&str; 6] = [
    "README.md",
    "CHANGELOG.md",
    "docs/ARCHITECTURE.md",
    "docs/DESIGN.md",
    "docs/FORMAT.md",
    "docs/SEMANTICS.md",
];

/// The targets of the links in a line.
fn links(line: &str) -> Vec<&str> {
    let parts = line.split("](").skip(1);
    parts.filter_map(|part| part.split_once(')').map(|(target, _)| target)).collect()
}

/// The lines of a document outside of its fenced blocks.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut is_fenced = false;
    text.lines().filter(move |line| {
        let is_fence = line.trim_start().starts_with("```");
        is_fenced ^= is_fence;
        !is_fenced && !is_fence
    })
}

/// The name that a heading can be linked to by.
fn anchor(heading: &str) -> String {
    let text = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = text.chars().filter(|one| one.is_alphanumeric() || matches!(one, ' ' | '-' | '_'));
    kept.map(|one| if one == ' ' { '-' } else { one }).collect()
}

fn anchors(text: &str) -> BTreeSet<String> {
    prose(text).filter(|line| line.starts_with('#')).map(anchor).collect()
}

#[test]
fn documents_are_there() {
    for document in DOCUMENTS {
        assert!(top().join(document).exists(), "{document} is missing");
    }
}

#[test]
fn links_lead_somewhere() {
    for source in files(&[".md"]) {
        let folder = source.path.rsplit_once('/').map_or("", |(folder, _)| folder);
        for target in prose(&source.text).flat_map(links) {
            if target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            let (file, place) = target.split_once('#').unwrap_or((target, ""));
            let path = top().join(folder).join(file);
            assert!(file.is_empty() || path.exists(), "{}: {target} leads nowhere", source.path);
            if !place.is_empty() && (file.is_empty() || file.ends_with(".md")) {
                let text = match file {
                    "" => source.text.clone(),
                    _ => std::fs::read_to_string(&path).expect("a document"),
                };
                let has = anchors(&text).contains(place);
                assert!(has, "{}: there is no heading for {target}", source.path);
            }
        }
    }
}

#[test]
fn the_changelog_has_a_section_for_what_is_new() {
    let path = top().join("CHANGELOG.md");
    let text = std::fs::read_to_string(path).expect("there is a changelog");
    let mut headings = text.lines().filter_map(|line| line.strip_prefix("## "));
    let newest = headings.next().expect("the changelog has sections");
    let newest = newest.trim_start_matches('[');
    let is_version = newest.starts_with(|one: char| one.is_ascii_digit());
    assert!(newest.starts_with("Unreleased") || is_version, "the newest section is {newest}");
}

#[test]
fn anchors_are_made_as_on_the_web() {
    assert_eq!(anchor("## What `fsync` does, and why"), "what-fsync-does-and-why");
    assert_eq!(links("see [a](b.md#c) and [d](e)"), ["b.md#c", "e"]);
}
