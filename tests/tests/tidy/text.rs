//! Rust text without what is not code.

/// The text with comments, strings and characters blanked out, line by line as it was.
pub fn code(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let length = skip(&bytes[at..], at.checked_sub(1).map(|before| bytes[before]));
        match length {
            0 => {
                out.push(bytes[at]);
                at += 1;
            }
            _ => {
                let skipped = &bytes[at..at + length];
                out.extend(skipped.iter().map(|byte| if *byte == b'\n' { b'\n' } else { b' ' }));
                at += length;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// How long the comment, string or character is that starts here; 0 if there is none.
fn skip(rest: &[u8], before: Option<u8>) -> usize {
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    match rest {
        [b'/', b'/', ..] => rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len()),
        [b'/', b'*', ..] => block_comment(rest),
        [b'"', ..] => string(rest),
        [b'r', b'"' | b'#', ..] if !before.is_some_and(is_name) => raw_string(rest, 1),
        [b'b', b'r', b'"' | b'#', ..] if !before.is_some_and(is_name) => raw_string(rest, 2),
        [b'\'', b'\\', ..] => 2 + find(&rest[2..], b'\'') + 1,
        [b'\'', _, b'\'', ..] => 3,
        _ => 0,
    }
}

fn find(bytes: &[u8], wanted: u8) -> usize {
    // From 1 on: an escaped quote is not the end.
    1 + bytes.iter().skip(1).position(|byte| *byte == wanted).unwrap_or(bytes.len() - 2)
}

fn block_comment(rest: &[u8]) -> usize {
    let end = rest.windows(2).position(|pair| pair == b"*/");
    end.map_or(rest.len(), |end| end + 2)
}

fn string(rest: &[u8]) -> usize {
    let mut at = 1;
    while at < rest.len() {
        match rest[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    rest.len()
}

/// A raw string whose `r` and perhaps `b` are `prefix` bytes; 0 if it is a raw name.
fn raw_string(rest: &[u8], prefix: usize) -> usize {
    let hashes = rest[prefix..].iter().take_while(|byte| **byte == b'#').count();
    if rest.get(prefix + hashes) != Some(&b'"') {
        return 0;
    }
    let end = [b"\"".as_slice(), &b"#".repeat(hashes)].concat();
    let start = prefix + hashes + 1;
    let found = rest[start..].windows(end.len()).position(|window| window == end);
    found.map_or(rest.len(), |found| start + found + end.len())
}

/// Whether a word stands in code that was made by [`code`].
pub fn has_word(code: &str, word: &str) -> bool {
    let is_name = |character: char| character.is_ascii_alphanumeric() || character == '_';
    code.match_indices(word).any(|(at, _)| {
        let (before, after) = (&code[..at], &code[at + word.len()..]);
        !before.ends_with(is_name) && !after.starts_with(is_name)
    })
}

#[test]
fn what_is_not_code_is_blanked_out() {
    let text = "let a = \"{ \\\" }\"; // {\nlet b = '{'; let c = '\\''; /* { */ r#\"{\"\"#; fn r#x<'a>() {}";
    let code = code(text);
    assert_eq!(code.matches('{').count(), 1, "{code}");
    assert_eq!(code.lines().count(), 2);
    assert!(has_word(&code, "let") && !has_word(&code, "le"));
}
