//! Text from a volume, made safe for a terminal.

/// `bytes` with everything that is no printable character replaced by `\xNN`, so that a name or a
/// label can neither break a line nor send orders to a terminal.
pub fn printable(bytes: &[u8]) -> String {
    let mut text = String::new();
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            if character.is_control() || character == '\\' || is_bidirectional(character) {
                text.extend(character.escape_default());
            } else {
                text.push(character);
            }
        }
        for byte in chunk.invalid() {
            text.push_str(&format!("\\x{byte:02x}"));
        }
    }
    text
}

/// Marks that turn the direction of the text around them.
fn is_bidirectional(character: char) -> bool {
    matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn printable_keeps_letters_and_escapes_the_rest() {
        assert_eq!(printable("caf\u{e9} 1".as_bytes()), "caf\u{e9} 1");
        assert_eq!(printable(b"a\x1b[2J\n\\"), "a\\u{1b}[2J\\n\\\\");
        assert_eq!(printable(b"\xff\xfea"), "\\xff\\xfea");
        assert_eq!(printable("\u{202e}txt".as_bytes()), "\\u{202e}txt");
    }
}
