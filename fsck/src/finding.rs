//! One thing that was found wrong.

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use crate::problem::Problem;
use crate::text::printable;

/// A problem that a volume has, with where it has it.
///
/// What the fields mean beyond their own words is up to the problem's template; those that it does
/// not need are `None`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What is wrong.
    pub problem: &'static Problem,
    /// The inode it is about.
    pub inode: Option<u64>,
    /// A second inode or block that has a part in it.
    pub other: Option<u64>,
    /// The block on the volume.
    pub block: Option<u64>,
    /// How many blocks or things, beginning with that one.
    pub count: Option<u64>,
    /// The logical block of the file.
    pub offset: Option<u64>,
    /// The delta it is about.
    pub delta: Option<u64>,
    /// The value that there should be, or that a record gives.
    pub expected: Option<u64>,
    /// The value that there is.
    pub found: Option<u64>,
    /// The name it is about, made printable.
    pub name: Option<String>,
    /// More, in words.
    pub detail: Option<String>,
    /// Where the inode is in the tree of directories, if it has a name there.
    pub paths: Vec<String>,
}

impl Serialize for Finding {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("id", self.problem.id)?;
        map.serialize_entry("severity", &self.problem.severity)?;
        map.serialize_entry("message", &self.message())?;
        for (name, number) in self.numbers() {
            if let Some(number) = number {
                map.serialize_entry(name, &number)?;
            }
        }
        for (name, text) in [("name", &self.name), ("detail", &self.detail)] {
            if let Some(text) = text {
                map.serialize_entry(name, text)?;
            }
        }
        if !self.paths.is_empty() {
            map.serialize_entry("paths", &self.paths)?;
        }
        map.end()
    }
}

/// Declares setters of optional numbers.
macro_rules! setters {
    ($($name:ident),*) => {
        $(
            pub(crate) fn $name(mut self, value: u64) -> Self {
                self.$name = Some(value);
                self
            }
        )*
    };
}

impl Finding {
    pub(crate) fn new(problem: &'static Problem) -> Self {
        Self {
            problem,
            inode: None,
            other: None,
            block: None,
            count: None,
            offset: None,
            delta: None,
            expected: None,
            found: None,
            name: None,
            detail: None,
            paths: Vec::new(),
        }
    }

    setters!(inode, other, block, count, offset, delta, expected, found);

    pub(crate) fn name(mut self, name: &[u8]) -> Self {
        self.name = Some(printable(name));
        self
    }

    pub(crate) fn detail(mut self, detail: impl ToString) -> Self {
        self.detail = Some(detail.to_string());
        self
    }

    /// The message: the problem's template with the fields filled in.
    pub fn message(&self) -> String {
        let mut message = String::new();
        let mut rest = self.problem.template;
        while let Some((text, tail)) = rest.split_once('{') {
            let (field, tail) = tail.split_once('}').unwrap_or((tail, ""));
            message.push_str(text);
            message.push_str(&self.field(field).unwrap_or_else(|| "(unknown)".into()));
            rest = tail;
        }
        message.push_str(rest);
        message
    }

    /// The numbers by the names that templates have for them.
    fn numbers(&self) -> [(&'static str, Option<u64>); 8] {
        [
            ("inode", self.inode),
            ("other", self.other),
            ("block", self.block),
            ("count", self.count),
            ("offset", self.offset),
            ("delta", self.delta),
            ("expected", self.expected),
            ("found", self.found),
        ]
    }

    fn field(&self, field: &str) -> Option<String> {
        match field {
            "name" => self.name.clone(),
            "detail" => self.detail.clone(),
            _ => {
                let (_, number) = self.numbers().into_iter().find(|(name, _)| *name == field)?;
                number.map(|number| number.to_string())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problem::problems;

    #[test]
    fn templates_name_only_fields_of_a_finding() {
        for problem in problems() {
            let finding = Finding::new(problem).name(b"name").detail("detail");
            let finding = finding.inode(1).other(2).block(3).count(4).offset(5).delta(6);
            let message = finding.expected(7).found(8).message();
            assert!(!message.contains(['{', '}']) && !message.contains("(unknown)"), "{message}");
        }
    }
}
