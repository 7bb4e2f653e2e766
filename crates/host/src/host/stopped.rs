//! How a host stopped, and what that means for the exit code of its process.

use std::{error::Error, fmt};

/// Why a host stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// A signal, by name.
    Signal(&'static str),
    /// The host's own [`Stop`](crate::Stop).
    Requested,
    /// A service failed.
    Failed {
        /// Its name.
        service: String,
        /// What happened and what had caused it, for people.
        error: String,
    },
}

impl Cause {
    pub(super) fn failed(service: &str, error: &(dyn Error + 'static)) -> Self {
        let causes = std::iter::successors(Some(error), |&error| error.source());
        let causes: Vec<_> = causes.map(ToString::to_string).collect();
        Self::Failed {
            service: service.to_owned(),
            error: causes.join(": "),
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Signal(name) => f.write_str(name),
            Self::Requested => f.write_str("requested"),
            Self::Failed { service, .. } => write!(f, "service `{service}` failed"),
        }
    }
}

/// How a host stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stopped {
    /// What made it stop.
    pub cause: Cause,
    /// Services that had to be aborted, in the order in which that happened.
    pub aborted: Vec<String>,
    /// Services that failed while the host was stopping already.
    pub failed: Vec<String>,
    /// Whether a second signal, or a forced stop, cut the stop short.
    pub forced: bool,
}

impl Stopped {
    /// 0 after a graceful stop; 1 if a service failed or had to be aborted, or a second signal came.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        let graceful = !matches!(self.cause, Cause::Failed { .. })
            && self.aborted.is_empty()
            && self.failed.is_empty()
            && !self.forced;
        u8::from(!graceful)
    }
}
