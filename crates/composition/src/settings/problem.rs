//! What is wrong with a configuration: each problem with its place, all of them at once.

use std::fmt;

/// One problem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The stable code.
    pub code: Code,
    /// File with line and column, or variable; empty where no single place is to blame.
    pub place: String,
    /// What is wrong. Never the value of a secret.
    pub message: String,
    /// What to do.
    pub help: Option<String>,
}

/// The kinds of problems.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Code {
    /// A key that does not exist.
    UnknownKey,
    /// Production without a place for its data.
    NoDataPlace,
    /// Production with a transport that delivers to nobody.
    DeliversToNobody,
    /// Development that other machines could reach.
    Reachable,
    /// A value that cannot be read or is out of range.
    BadValue,
    /// A key that must be given.
    Missing,
    /// A file that cannot be read.
    Unreadable,
    /// Values that do not fit together.
    Conflict,
}

impl Code {
    /// The code as it is printed.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::UnknownKey => "E0301",
            Self::NoDataPlace => "E0302",
            Self::DeliversToNobody => "E0303",
            Self::Reachable => "E0304",
            Self::BadValue => "E0305",
            Self::Missing => "E0306",
            Self::Unreadable => "E0307",
            Self::Conflict => "E0308",
        }
    }
}

impl Problem {
    pub(crate) fn new(code: Code, place: &str, message: impl Into<String>) -> Self {
        Self {
            code,
            place: place.to_owned(),
            message: message.into(),
            help: None,
        }
    }

    /// What problems are sorted by: the file or variable, then line and column as numbers.
    pub(super) fn order(&self) -> (&str, usize, usize, &str) {
        let mut parts = self.place.rsplitn(3, ':');
        let (column, line, file) = (parts.next(), parts.next(), parts.next());
        let number = |part: Option<&str>| part.and_then(|part| part.parse().ok());
        let place = file.zip(number(line)).zip(number(column));
        place.map_or(
            (&self.place, 0, 0, &self.message),
            |((file, line), column)| (file, line, column, &self.message),
        )
    }

    pub(crate) fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error[{}]: ", self.code.as_str())?;
        if !self.place.is_empty() {
            write!(f, "{}  ", self.place)?;
        }
        f.write_str(&self.message)?;
        self.help
            .as_ref()
            .map_or(Ok(()), |help| write!(f, "\n  help: {help}"))
    }
}
