//! The words of a command: flags, numbers, names.

use super::Failure;

/// Words, taken one after the other.
pub(super) struct Words {
    words: std::collections::VecDeque<String>,
}

impl Words {
    /// Splits a line as a shell does.
    pub(super) fn of(line: &str) -> Option<Self> {
        shlex::split(line).map(|words| Self { words: words.into() })
    }

    /// The next one.
    pub(super) fn next(&mut self) -> Option<String> {
        self.words.pop_front()
    }

    /// The next one, which must be there.
    pub(super) fn word(&mut self) -> Result<String, Failure> {
        self.next().ok_or_else(|| Failure::Usage("a word is missing".to_owned()))
    }

    /// The next one as a number.
    pub(super) fn number(&mut self) -> Result<u64, Failure> {
        let word = self.word()?;
        number(&word).ok_or_else(|| Failure::Usage(format!("{word} is no number")))
    }

    /// The next one as an octal mode.
    pub(super) fn mode(&mut self) -> Result<u32, Failure> {
        let word = self.word()?;
        u32::from_str_radix(&word, 8).map_err(|_| Failure::Usage(format!("{word} is no mode")))
    }

    /// Takes a flag if it comes next.
    pub(super) fn flag(&mut self, flag: &str) -> bool {
        let is_next = self.words.front().is_some_and(|word| word == flag);
        if is_next {
            self.words.pop_front();
        }
        is_next
    }

    /// Takes a word that begins with `-` if one comes next, without it.
    pub(super) fn letters(&mut self) -> String {
        match self.words.front().and_then(|word| word.strip_prefix('-')) {
            Some(letters) => {
                let letters = letters.to_owned();
                self.words.pop_front();
                letters
            }
            None => String::new(),
        }
    }

    /// How many are left.
    pub(super) fn left(&self) -> usize {
        self.words.len()
    }

    /// There must be none left.
    pub(super) fn end(&self) -> Result<(), Failure> {
        match self.words.front() {
            Some(word) => Err(Failure::Usage(format!("{word} is one word too many"))),
            None => Ok(()),
        }
    }
}

/// A number, with 0x in front or a unit behind.
fn number(word: &str) -> Option<u64> {
    if let Some(digits) = word.strip_prefix("0x") {
        return u64::from_str_radix(digits, 16).ok();
    }
    let (digits, shift) = match word.char_indices().last()? {
        (at, 'k') => (&word[..at], 10),
        (at, 'm') => (&word[..at], 20),
        (at, 'g') => (&word[..at], 30),
        (at, 't') => (&word[..at], 40),
        (at, 'p') => (&word[..at], 50),
        (at, 'e') => (&word[..at], 60),
        _ => (word, 0),
    };
    digits.parse::<u64>().ok()?.checked_mul(1 << shift)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_units() {
        assert_eq!(number("0x10"), Some(16));
        assert_eq!(number("3k"), Some(3072));
        assert_eq!(number("7e"), Some(7 << 60));
        assert_eq!(number("17e"), None);
        assert_eq!(number("k"), None);
        assert_eq!(number("9223372036854775807"), Some(i64::MAX.unsigned_abs()));
    }
}
