//! Functions and files stay short.

use crate::source::rust;
use crate::text::code;

const FUNCTION_LINES: usize = 70;
const FILE_LINES: usize = 500;
/// Files that are longer, and how long they may be; to become shorter, never longer.
const LONG_FILES: [(&str, usize); 0] = [];

/// A function of a file: its name, its first line (from 1), and how many lines it has.
struct Function {
    name: String,
    line: usize,
    lines: usize,
}

/// The functions with a body in code without comments and strings.
fn functions(code: &str) -> Vec<Function> {
    let is_name = |character: char| character.is_ascii_alphanumeric() || character == '_';
    let mut found = Vec::new();
    for (at, _) in code.match_indices("fn ") {
        let rest = &code[at + 3..];
        let name: String = rest.chars().take_while(|character| is_name(*character)).collect();
        let starts_word = !code[..at].ends_with(is_name);
        let body = rest.find(['{', ';']).filter(|at| rest.as_bytes()[*at] == b'{');
        if let (false, true, Some(body)) = (name.is_empty(), starts_word, body) {
            let end = body + block_length(&rest[body..]);
            let line = 1 + code[..at].matches('\n').count();
            found.push(Function { name, line, lines: 1 + rest[..end].matches('\n').count() });
        }
    }
    found
}

/// The length of the block that begins here.
fn block_length(rest: &str) -> usize {
    let mut depth = 0;
    for (at, byte) in rest.bytes().enumerate() {
        match byte {
            b'{' => depth += 1,
            b'}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at;
        }
    }
    rest.len()
}

#[test]
fn functions_are_found() {
    let found =
        functions("impl X {\n  fn a() -> u8 {\n  }\n}\nfn b(f: fn(u8)) where T: X {\n}\nfn c();\n");
    let seen: Vec<_> = found.iter().map(|one| (one.name.as_str(), one.line, one.lines)).collect();
    assert_eq!(seen, [("a", 2, 2), ("b", 5, 2)]);
}

#[test]
fn no_function_is_long() {
    let mut long = Vec::new();
    for source in rust() {
        for function in functions(&code(&source.text)) {
            if function.lines > FUNCTION_LINES {
                let Function { name, line, lines } = function;
                long.push(format!("{}:{line}: {name} has {lines} lines", source.path));
            }
        }
    }
    assert!(long.is_empty(), "functions have at most {FUNCTION_LINES} lines:\n{}", long.join("\n"));
}

#[test]
fn no_file_is_long() {
    for source in rust() {
        let lines = source.text.lines().count();
        let limit = LONG_FILES.iter().find(|(path, _)| *path == source.path);
        let limit = limit.map_or(FILE_LINES, |(_, limit)| *limit);
        assert!(lines <= limit, "{} has {lines} lines, {limit} are allowed", source.path);
    }
}
