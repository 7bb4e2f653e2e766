//! The signals of the process. Only this file names them.
//!
//! Two of the same kind that come before the first is looked at are one: the system does not count them either. Once they
//! are listened to, a signal no longer ends the process by itself, not even after the host has stopped.

use std::io;

use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::mpsc,
};

/// Where a host hears that it is to stop.
#[derive(Debug, Default)]
pub enum Signals {
    /// SIGTERM and SIGINT of this process, from the moment in which the host runs: the first one stops gracefully, the
    /// second at once.
    #[default]
    Process,
    /// The same from an earlier moment on.
    Listening(ProcessSignals),
    /// Names of signals from elsewhere: for tests, and for a process whose signals somebody else handles.
    Injected(mpsc::Receiver<&'static str>),
    /// None: the host ends when its [`Stop`](crate::Stop) is requested or a service ends it.
    None,
}

/// SIGTERM and SIGINT of this process. Each value hears every signal, so hosts need not share one.
///
/// What comes before a host runs is kept for it: a program that puts its services together for a while is not ended in
/// the midst of that.
#[derive(Debug)]
pub struct ProcessSignals {
    terminate: Signal,
    interrupt: Signal,
}

impl ProcessSignals {
    /// Listens from now on.
    ///
    /// # Errors
    /// What the system says where signals cannot be received.
    pub fn listen() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) -> Option<&'static str> {
        tokio::select! {
            Some(()) = self.terminate.recv() => Some("SIGTERM"),
            Some(()) = self.interrupt.recv() => Some("SIGINT"),
            else => None,
        }
    }
}

/// Signals that are being listened to, and how many have come.
pub(crate) struct Listener {
    source: Source,
    heard: usize,
}

enum Source {
    Process(ProcessSignals),
    Injected(mpsc::Receiver<&'static str>),
    None,
}

impl Listener {
    pub(crate) fn install(signals: Signals) -> io::Result<Self> {
        let source = match signals {
            Signals::Process => Source::Process(ProcessSignals::listen()?),
            Signals::Listening(signals) => Source::Process(signals),
            Signals::Injected(names) => Source::Injected(names),
            Signals::None => Source::None,
        };
        Ok(Self { source, heard: 0 })
    }

    /// The name of the next signal; never returns where none can come.
    pub(crate) async fn next(&mut self) -> &'static str {
        let name = match &mut self.source {
            Source::Process(signals) => signals.next().await,
            Source::Injected(names) => names.recv().await,
            Source::None => None,
        };
        match name {
            Some(name) => {
                self.heard += 1;
                name
            }
            None => std::future::pending().await,
        }
    }

    /// Whether no more than one signal has come.
    pub(crate) fn is_first(&self) -> bool {
        self.heard <= 1
    }
}
