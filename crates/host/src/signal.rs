//! The signals of the process. Only this file names them.
//!
//! Two of the same kind that come before the first is looked at are one: the system does not count them either. Once a
//! host has listened, a signal no longer ends the process by itself, not even after the host has stopped.

use std::io;

use tokio::{signal::unix, sync::mpsc};

/// Where a host hears that it is to stop.
#[derive(Debug, Default)]
pub enum Signals {
    /// SIGTERM and SIGINT of this process: the first one stops gracefully, the second at once.
    #[default]
    Process,
    /// Names of signals from elsewhere: for tests, and for a process whose signals somebody else handles.
    Injected(mpsc::Receiver<&'static str>),
    /// None: the host ends when its [`Stop`](crate::Stop) is requested or a service ends it.
    None,
}

/// Signals that are being listened to.
pub(crate) enum Listener {
    Process {
        terminate: unix::Signal,
        interrupt: unix::Signal,
    },
    Injected(mpsc::Receiver<&'static str>),
    None,
}

impl Listener {
    pub(crate) fn install(signals: Signals) -> io::Result<Self> {
        Ok(match signals {
            Signals::Process => Self::Process {
                terminate: unix::signal(unix::SignalKind::terminate())?,
                interrupt: unix::signal(unix::SignalKind::interrupt())?,
            },
            Signals::Injected(names) => Self::Injected(names),
            Signals::None => Self::None,
        })
    }

    /// The name of the next signal; never returns where none can come.
    pub(crate) async fn next(&mut self) -> &'static str {
        let name = match self {
            Self::Process {
                terminate,
                interrupt,
            } => tokio::select! {
                Some(()) = terminate.recv() => Some("SIGTERM"),
                Some(()) = interrupt.recv() => Some("SIGINT"),
                else => None,
            },
            Self::Injected(names) => names.recv().await,
            Self::None => None,
        };
        match name {
            Some(name) => name,
            None => std::future::pending().await,
        }
    }
}
