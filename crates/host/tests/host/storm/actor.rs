//! Services of any manners, and the trace that they leave.

use std::{
    io,
    panic::resume_unwind,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use posthaste_host::{HostedService, Ready, ServiceError, Stop};
use proptest::prelude::*;
use tokio::time::{Instant, sleep};

pub(super) const MILLISECOND: Duration = Duration::from_millis(1);

/// How a service acts: times are milliseconds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Manners {
    pub(super) start: Start,
    pub(super) work: Work,
    pub(super) end: End,
    pub(super) care: Care,
    pub(super) share: Option<u32>,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Start {
    Ready(u32),
    Fail(u32),
    Panic(u32),
    Never,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Work {
    Serve,
    End(u32),
    Fail(u32),
    Panic(u32),
}

/// What it does once it is told to stop.
#[derive(Debug, Clone, Copy)]
pub(super) enum End {
    Finish(u32),
    Fail(u32),
    Panic(u32),
    /// Goes on until it is forced, and then for a while.
    Ignore(u32),
    Hang,
}

/// What the host does when it fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Care {
    Stop,
    Ignore,
    /// Builds it again; lives after so many are sound.
    Restart(u32),
}

/// Manners of which one in about `200 / wild` is bad, for each of start, work and end.
pub(super) fn manners(wild: u32) -> impl Strategy<Value = Manners> {
    let start = prop_oneof![
        160 => Just(Start::Ready(0)),
        40 => (0..500_u32).prop_map(Start::Ready),
        wild => (0..2000_u32).prop_map(Start::Fail),
        wild => (0..2000_u32).prop_map(Start::Panic),
        wild => Just(Start::Never),
    ];
    let work = prop_oneof![
        200 => Just(Work::Serve),
        wild => (0..20_000_u32).prop_map(Work::End),
        wild => (0..20_000_u32).prop_map(Work::Fail),
        wild => (0..20_000_u32).prop_map(Work::Panic),
    ];
    let end = prop_oneof![
        160 => Just(End::Finish(0)),
        40 => (0..4000_u32).prop_map(End::Finish),
        wild => (0..4000_u32).prop_map(End::Fail),
        wild => (0..4000_u32).prop_map(End::Panic),
        wild => (0..4000_u32).prop_map(End::Ignore),
        wild => Just(End::Hang),
    ];
    let care = prop_oneof![
        6 => Just(Care::Stop),
        1 => Just(Care::Ignore),
        2 => (0..6_u32).prop_map(Care::Restart),
    ];
    let share = prop::option::of(0..3000_u32);
    (start, work, end, care, share).prop_map(|(start, work, end, care, share)| Manners {
        start,
        work,
        end,
        care,
        share,
    })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    Starts,
    Ready,
    Asked,
    Forced,
    Ended,
    Failed,
    /// Its future is gone. Without one of the two above it was dropped in the midst.
    Gone,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Event {
    pub(super) who: usize,
    pub(super) what: What,
    /// Since the host began.
    pub(super) at: Duration,
}

/// What all services did, in order.
#[derive(Debug, Clone)]
pub(super) struct Trace {
    began: Instant,
    events: Arc<Mutex<Vec<Event>>>,
}

impl Trace {
    pub(super) fn begin() -> Self {
        Self {
            began: Instant::now(),
            events: Arc::default(),
        }
    }

    pub(super) fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    pub(super) fn events(&self) -> Vec<Event> {
        let events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        events.clone()
    }

    fn tell(&self, who: usize, what: What) {
        let at = self.elapsed();
        let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        events.push(Event { who, what, at });
    }
}

/// One life of a service, named by its place.
pub(super) struct Actor {
    pub(super) who: usize,
    pub(super) name: String,
    pub(super) manners: Manners,
    pub(super) trace: Trace,
}

/// Tells that a life is over, however it ends.
struct Life<'a>(&'a Actor);

impl Drop for Life<'_> {
    fn drop(&mut self) {
        self.0.tell(What::Gone);
    }
}

impl Actor {
    fn tell(&self, what: What) {
        self.trace.tell(self.who, what);
    }

    async fn serves(&self, ready: Ready) -> Result<(), ServiceError> {
        match self.manners.start {
            Start::Ready(after) => {
                if after > 0 {
                    sleep(after * MILLISECOND).await;
                }
                self.tell(What::Ready);
                ready.ready();
            }
            Start::Fail(after) => return self.fails(after).await,
            Start::Panic(after) => return self.panics(after).await,
            Start::Never => return std::future::pending().await,
        }
        match self.manners.work {
            Work::Serve => std::future::pending().await,
            Work::End(after) => sleep(after * MILLISECOND).await,
            Work::Fail(after) => return self.fails(after).await,
            Work::Panic(after) => return self.panics(after).await,
        }
        self.tell(What::Ended);
        Ok(())
    }

    /// `asked` is told before anything that is done in the same moment.
    async fn watches(&self, stop: &Stop) {
        stop.requested().await;
        self.tell(What::Asked);
        stop.forced().await;
        self.tell(What::Forced);
        std::future::pending().await
    }

    async fn stops(&self, stop: &Stop) -> Result<(), ServiceError> {
        stop.requested().await;
        match self.manners.end {
            End::Finish(0) => {}
            End::Finish(after) => tokio::select! {
                biased;
                () = stop.forced() => {}
                () = sleep(after * MILLISECOND) => {}
            },
            End::Fail(after) => return self.fails(after).await,
            End::Panic(after) => return self.panics(after).await,
            End::Ignore(after) => {
                stop.forced().await;
                sleep(after * MILLISECOND).await;
            }
            End::Hang => std::future::pending().await,
        }
        self.tell(What::Ended);
        Ok(())
    }

    async fn fails(&self, after: u32) -> Result<(), ServiceError> {
        sleep(after * MILLISECOND).await;
        self.tell(What::Failed);
        Err(io::Error::other("no luck").into())
    }

    async fn panics(&self, after: u32) -> Result<(), ServiceError> {
        sleep(after * MILLISECOND).await;
        self.tell(What::Failed);
        // As a panic does it, but for the message on standard error.
        resume_unwind(Box::new("boom"))
    }
}

#[async_trait]
impl HostedService for Actor {
    fn name(&self) -> &str {
        &self.name
    }

    async fn run(self: Box<Self>, ready: Ready, stop: Stop) -> Result<(), ServiceError> {
        self.tell(What::Starts);
        let _life = Life(&self);
        tokio::select! {
            biased;
            () = self.watches(&stop) => Ok(()),
            ended = self.serves(ready) => ended,
            ended = self.stops(&stop) => ended,
        }
    }
}
