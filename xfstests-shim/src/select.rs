//! Which tests are run: by group, by name.

use crate::error::{Result, ShimError};

/// What was asked for.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// Tests of any of these groups; all groups if there is none.
    pub groups: Vec<String>,
    /// But not those of any of these.
    pub without: Vec<String>,
    /// These tests, by name; whatever their group if no group is given.
    pub tests: Vec<String>,
}

/// What can be chosen from.
pub trait Candidate {
    /// The name within the suite.
    fn id(&self) -> &str;
    /// The groups.
    fn groups(&self) -> &[String];
}

impl Selection {
    /// Those that were asked for, in their order.
    ///
    /// # Errors
    /// When a named test or group does not exist, so that a slip is no empty success.
    pub fn choose<'a, T: Candidate>(&self, all: &'a [T]) -> Result<Vec<&'a T>> {
        for name in &self.tests {
            if !all.iter().any(|test| test.id() == name) {
                return Err(ShimError::Wrong(format!("there is no test {name}; `list` shows all")));
            }
        }
        for group in self.groups.iter().chain(&self.without) {
            if !all.iter().any(|test| test.groups().contains(group)) {
                return Err(ShimError::Wrong(format!("no test is in the group {group}")));
            }
        }
        let is_in = |test: &T, groups: &[String]| test.groups().iter().any(|g| groups.contains(g));
        let chosen = all.iter().filter(|test| {
            let by_group = self.groups.is_empty() || is_in(test, &self.groups);
            let by_name = self.tests.is_empty() || self.tests.iter().any(|name| name == test.id());
            by_group && by_name && !is_in(test, &self.without)
        });
        Ok(chosen.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Test(&'static str, Vec<String>);

    impl Candidate for Test {
        fn id(&self) -> &str {
            self.0
        }
        fn groups(&self) -> &[String] {
            &self.1
        }
    }

    fn words(list: &str) -> Vec<String> {
        list.split_whitespace().map(str::to_owned).collect()
    }

    fn chosen(groups: &str, without: &str, tests: &str) -> Result<Vec<&'static str>> {
        let all =
            [Test("1", words("auto rw")), Test("2", words("auto acl")), Test("3", words("soak"))];
        let selection =
            Selection { groups: words(groups), without: words(without), tests: words(tests) };
        Ok(selection.choose(&all)?.iter().map(|test| test.0).collect())
    }

    #[test]
    fn groups_and_names_choose() {
        assert_eq!(chosen("", "", "").unwrap(), ["1", "2", "3"]);
        assert_eq!(chosen("auto", "acl", "").unwrap(), ["1"]);
        assert_eq!(chosen("rw soak", "", "").unwrap(), ["1", "3"]);
        assert_eq!(chosen("", "", "3 2").unwrap(), ["2", "3"]);
        assert!(chosen("nonsense", "", "").is_err() && chosen("", "", "9").is_err());
    }
}
