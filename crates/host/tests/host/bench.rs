//! Services that behave and misbehave on demand, a host around them, and the story of what they did.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use posthaste_host::{
    Host, HostBuilder, HostError, HostedService, Ready, ServiceError, ServiceOptions, Signals,
    Stop, Stopped,
};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep},
};

pub(crate) const SECOND: Duration = Duration::from_secs(1);

/// What happened, in order.
#[derive(Clone, Default)]
pub(crate) struct Story(Arc<Mutex<Vec<String>>>);

impl Story {
    pub(crate) fn lines(&self) -> Vec<String> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn add(&self, line: String) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(line);
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act {
    Serve,
    /// Is never ready; returns when it is forced.
    NeverReady,
    /// Is never ready, and ignores every stop.
    HangAtStart,
    /// Lets go of its `Ready` unsaid and goes on; returns when it is forced.
    ForgetReady,
    FailAtStart,
    /// Ends by itself after this long.
    End(Duration),
    Fail(Duration),
    Panic(Duration),
    /// Stops with an error.
    FailAtStop,
    /// Ignores a graceful stop.
    HangUntilForced,
    /// Ignores a graceful stop, and takes this long to give back what it holds once it is forced.
    GiveBack(Duration),
    /// Ignores every stop.
    Hang,
    /// Takes this long to finish what it has in hand.
    Finish(Duration),
}

/// A failure with a cause.
#[derive(Debug, thiserror::Error)]
#[error("the writer ended")]
struct NoLuck(#[source] io::Error);

impl NoLuck {
    fn new() -> Self {
        Self(io::Error::other("no luck"))
    }
}

pub(crate) struct Service {
    pub(crate) name: &'static str,
    pub(crate) act: Act,
    pub(crate) story: Story,
}

impl Service {
    fn tell(&self, what: &str) {
        self.story.add(format!("{} {what}", self.name));
    }
}

#[async_trait]
impl HostedService for Service {
    fn name(&self) -> &str {
        self.name
    }

    async fn run(self: Box<Self>, ready: Ready, stop: Stop) -> Result<(), ServiceError> {
        self.tell("starts");
        match self.act {
            Act::NeverReady => {
                stop.forced().await;
                self.tell("is forced");
                return Ok(());
            }
            Act::HangAtStart => std::future::pending().await,
            Act::ForgetReady => drop(ready),
            Act::FailAtStart => return Err(NoLuck::new().into()),
            _ => ready.ready(),
        }
        match self.act {
            Act::Serve | Act::NeverReady | Act::HangAtStart | Act::FailAtStart => {
                stop.requested().await;
            }
            Act::End(after) => sleep(after).await,
            Act::Fail(after) => {
                sleep(after).await;
                return Err(NoLuck::new().into());
            }
            Act::Panic(after) => {
                sleep(after).await;
                panic!("boom");
            }
            Act::FailAtStop => {
                stop.requested().await;
                return Err(io::Error::other("the disk is full").into());
            }
            Act::HangUntilForced | Act::ForgetReady => stop.forced().await,
            Act::GiveBack(takes) => {
                stop.forced().await;
                sleep(takes).await;
            }
            Act::Hang => std::future::pending().await,
            Act::Finish(takes) => {
                stop.requested().await;
                tokio::select! {
                    () = sleep(takes) => {}
                    () = stop.forced() => self.tell("is forced"),
                }
            }
        }
        self.tell("ends");
        Ok(())
    }
}

pub(crate) struct Ran {
    pub(crate) outcome: Result<Stopped, HostError>,
    pub(crate) story: Vec<String>,
    /// Until the host returned.
    pub(crate) took: Duration,
}

impl Ran {
    pub(crate) fn stopped(self) -> Stopped {
        self.outcome.expect("the host has started")
    }
}

pub(crate) struct Bench {
    pub(crate) story: Story,
    pub(crate) stop: Stop,
    pub(crate) builder: HostBuilder,
}

impl Bench {
    pub(crate) fn new() -> Self {
        let stop = Stop::new();
        let builder = Host::builder().signals(Signals::None).stop(stop.clone());
        Self {
            story: Story::default(),
            stop,
            builder,
        }
    }

    pub(crate) fn with(self, name: &'static str, act: Act) -> Self {
        self.with_options(name, act, ServiceOptions::default())
    }

    pub(crate) fn with_options(
        mut self,
        name: &'static str,
        act: Act,
        options: ServiceOptions,
    ) -> Self {
        let story = self.story.clone();
        self.builder = self
            .builder
            .service_with(options, Service { name, act, story });
        self
    }

    /// Runs, and asks for a stop after a while.
    pub(crate) async fn run(self, stop_after: Duration) -> Ran {
        let Self {
            story,
            stop,
            builder,
        } = self;
        let began = Instant::now();
        let host = async {
            let outcome = builder.build().run().await;
            (outcome, began.elapsed())
        };
        let ((outcome, took), ()) = tokio::join!(host, async {
            sleep(stop_after).await;
            stop.request();
        });
        Ran {
            outcome,
            story: story.lines(),
            took,
        }
    }

    /// Runs, with signals that come at the given times.
    pub(crate) async fn run_with_signals(self, at: &[(Duration, &'static str)]) -> Ran {
        let Self { story, builder, .. } = self;
        let (signals, names) = mpsc::channel(at.len());
        let began = Instant::now();
        let host = async {
            let outcome = builder
                .signals(Signals::Injected(names))
                .build()
                .run()
                .await;
            (outcome, began.elapsed())
        };
        let ((outcome, took), ()) = tokio::join!(host, async {
            for (at, name) in at {
                tokio::time::sleep_until(began + *at).await;
                // A host that has stopped already hears nothing more.
                signals.send(name).await.ok();
            }
        });
        Ran {
            outcome,
            story: story.lines(),
            took,
        }
    }
}
