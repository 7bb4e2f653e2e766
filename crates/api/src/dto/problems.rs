//! What is wrong with a request, field by field, each with a JSON pointer (RFC 6901) to it.

use std::fmt;

/// Most fields that one answer names; the rest is counted.
pub const MAX_SHOWN: usize = 100;
/// Longest member name that is repeated in a pointer, in characters.
const MAX_NAME: usize = 100;

/// A JSON pointer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pointer(String);

impl Pointer {
    /// The whole document.
    #[must_use]
    pub fn root() -> Self {
        Self::default()
    }

    /// A member of what this points to. A very long name is cut: it is the caller's own, and an answer is bounded.
    #[must_use]
    pub fn member(&self, name: &str) -> Self {
        let mut name = name.replace('~', "~0").replace('/', "~1");
        if let Some((end, _)) = name.char_indices().nth(MAX_NAME) {
            name.truncate(end);
            name.push('…');
        }
        Self(format!("{}/{name}", self.0))
    }

    /// An item of the list that this points to.
    #[must_use]
    pub fn item(&self, index: usize) -> Self {
        Self(format!("{}/{index}", self.0))
    }

    /// The pointer as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// One field that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldProblem {
    /// Where.
    pub pointer: Pointer,
    /// What, in words for the caller; never the value itself.
    pub detail: String,
    /// Whether it is simply not there.
    pub missing: bool,
}

/// The field in the way a person writes it: `to[0]`.
impl fmt::Display for FieldProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut path = String::new();
        for token in self.pointer.0.split('/').skip(1) {
            let token = token.replace("~1", "/").replace("~0", "~");
            if token.parse::<usize>().is_ok() {
                path = format!("{path}[{token}]");
            } else if path.is_empty() {
                path = token;
            } else {
                path = format!("{path}.{token}");
            }
        }
        if path.is_empty() {
            path.push_str("body");
        }
        write!(f, "`{path}`: {}", self.detail)
    }
}

/// Everything that is wrong with one request.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Problems(Vec<FieldProblem>);

impl Problems {
    /// A field has a value that is not accepted.
    pub fn invalid(&mut self, pointer: Pointer, detail: impl Into<String>) {
        self.push(pointer, detail.into(), false);
    }

    /// A field is not there.
    pub fn missing(&mut self, pointer: Pointer, detail: impl Into<String>) {
        self.push(pointer, detail.into(), true);
    }

    /// Whether something is wrong with a field, or inside it, already.
    #[must_use]
    pub fn has(&self, pointer: &Pointer) -> bool {
        let inside = |problem: &FieldProblem| {
            let rest = problem.pointer.0.strip_prefix(&pointer.0);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        self.0.iter().any(inside)
    }

    /// The same; but where the document itself is of another kind, nothing about members that it cannot have.
    #[must_use]
    pub fn without_consequences(mut self) -> Self {
        let whole = |problem: &FieldProblem| problem.pointer.0.is_empty();
        if self.0.iter().any(whole) {
            self.0.retain(whole);
        }
        self
    }

    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether fields are missing and nothing else is wrong.
    #[must_use]
    pub fn only_missing(&self) -> bool {
        self.0.iter().all(|problem| problem.missing)
    }

    /// Takes out what is wrong with an item of the document, told as of a document of its own.
    #[must_use]
    pub fn of_item(&mut self, index: usize) -> Self {
        let item = Pointer::root().item(index);
        let rest = |problem: &FieldProblem| {
            let rest = problem.pointer.0.strip_prefix(&item.0)?;
            (rest.is_empty() || rest.starts_with('/')).then(|| rest.to_owned())
        };
        let mut own = Vec::new();
        self.0.retain(|problem| {
            let rest = rest(problem);
            own.extend(rest.clone().map(|rest| FieldProblem {
                pointer: Pointer(rest),
                ..problem.clone()
            }));
            rest.is_none()
        });
        Self(own)
    }

    /// Adds what is wrong with an item that was told as of a document of its own.
    pub fn add_item(&mut self, index: usize, problems: Self) {
        let item = Pointer::root().item(index);
        let problems = problems.without_consequences().0.into_iter();
        self.0.extend(problems.map(|problem| FieldProblem {
            pointer: Pointer(format!("{}{}", item.0, problem.pointer.0)),
            ..problem
        }));
    }

    /// Whether all that is wrong is in this member, of the document or of an item of a batch.
    #[must_use]
    pub fn only_in(&self, member: &str) -> bool {
        let is_there = |problem: &FieldProblem| {
            let mut tokens = problem.pointer.0.split('/').skip(1);
            let mut token = tokens.next();
            if token.is_some_and(|token| token.bytes().all(|b| b.is_ascii_digit())) {
                token = tokens.next();
            }
            token == Some(member)
        };
        self.0.iter().all(is_there)
    }

    /// How many fields are wrong, in words.
    #[must_use]
    pub fn summary(&self) -> String {
        let what = if self.only_missing() {
            "missing"
        } else {
            "invalid"
        };
        match self.0.len() {
            1 => format!("1 field is {what}"),
            count => format!("{count} fields are {what}"),
        }
    }

    /// The fields that an answer names: the first hundred.
    #[must_use]
    pub fn into_shown(mut self) -> Vec<FieldProblem> {
        self.0.truncate(MAX_SHOWN);
        self.0
    }

    fn push(&mut self, pointer: Pointer, detail: String, missing: bool) {
        self.0.push(FieldProblem {
            pointer,
            detail,
            missing,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_named_as_a_person_writes_it() {
        let check = |pointer: Pointer, expected: &str| {
            let problem = FieldProblem {
                pointer,
                detail: "d".into(),
                missing: false,
            };
            assert_eq!(problem.to_string(), format!("`{expected}`: d"));
        };
        check(Pointer::root(), "body");
        check(Pointer::root().member("to").item(0), "to[0]");
        check(
            Pointer::root()
                .member("template")
                .member("variables")
                .member("a/b~c"),
            "template.variables.a/b~c",
        );
    }

    #[test]
    fn a_pointer_escapes_its_tokens_and_stays_short() {
        assert_eq!(Pointer::root().member("a/b~c").as_str(), "/a~1b~0c");
        assert_eq!(
            Pointer::root()
                .member(&"x".repeat(5000))
                .as_str()
                .chars()
                .count(),
            102
        );
    }
}
