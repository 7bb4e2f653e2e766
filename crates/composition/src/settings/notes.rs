//! What reading gathers beside the values: problems, and what `config show` tells.

use std::cell::RefCell;

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
}

impl Notes {
    pub(super) fn problem(&self, problem: Problem) {
        self.problems.borrow_mut().push(problem);
    }
}
