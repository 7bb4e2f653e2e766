//! What reading gathers beside the values: problems, and what `config show` tells.

use std::{cell::RefCell, collections::BTreeSet};

use super::problem::Problem;

/// A value as `config show` tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// The key, with its section.
    pub key: String,
    /// The value; `***` for a secret.
    pub value: String,
    /// Where it comes from.
    pub origin: String,
}

/// What reading gathers beside the values.
#[derive(Debug, Default)]
pub(super) struct Notes {
    pub(super) problems: RefCell<Vec<Problem>>,
    pub(super) shown: RefCell<Vec<Shown>>,
    /// Keys that a stand-in is read for: nothing may be concluded from their values.
    flawed: RefCell<BTreeSet<String>>,
}

impl Notes {
    pub(super) fn problem(&self, problem: Problem) {
        self.problems.borrow_mut().push(problem);
    }

    /// A problem of the value of one key.
    pub(super) fn flaw(&self, key: String, problem: Problem) {
        self.flawed.borrow_mut().insert(key);
        self.problem(problem);
    }

    /// Whether a key, or a section with all its keys, was read without a problem. Rules between values ask first: told of
    /// a stand-in, they would be about a value that nobody gave.
    pub(super) fn sound(&self, key: &str) -> bool {
        let inside = |flawed: &String| {
            flawed
                .strip_prefix(key)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        !self.flawed.borrow().iter().any(inside)
    }
}
