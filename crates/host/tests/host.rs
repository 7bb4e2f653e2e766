//! The host's rules, in paused time.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use posthaste_host::{
    Cause, Host, HostBuilder, HostError, HostedService, OnFailure, Ready, RestartPolicy,
    ServiceError, ServiceOptions, Signals, Stop, Stopped,
};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep},
};

const SECOND: Duration = Duration::from_secs(1);

/// What happened, in order.
type Story = Arc<Mutex<Vec<String>>>;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Act {
    Serve,
    NeverReady,
    FailAtStart,
    EndEarly,
    Fail(u32),
    Panic(u32),
    /// Ignores a graceful stop.
    HangUntilForced,
    /// Ignores every stop.
    Hang,
    /// Takes so many seconds to stop.
    Slow(u32),
}

struct Service {
    name: &'static str,
    act: Act,
    story: Story,
}

impl Service {
    fn tell(&self, what: &str) {
        self.story
            .lock()
            .expect("no service panics here")
            .push(format!("{} {what}", self.name));
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
                return Ok(());
            }
            Act::FailAtStart => return Err("no luck".into()),
            _ => ready.ready(),
        }
        match self.act {
            Act::Serve | Act::NeverReady | Act::FailAtStart => stop.requested().await,
            Act::EndEarly => {}
            Act::Fail(after) => {
                sleep(after * SECOND).await;
                return Err("no luck".into());
            }
            Act::Panic(after) => {
                sleep(after * SECOND).await;
                panic!("boom");
            }
            Act::HangUntilForced => stop.forced().await,
            Act::Hang => std::future::pending().await,
            Act::Slow(seconds) => {
                stop.requested().await;
                sleep(seconds * SECOND).await;
            }
        }
        self.tell("ends");
        Ok(())
    }
}

struct Bench {
    story: Story,
    stop: Stop,
    builder: HostBuilder,
}

impl Bench {
    fn new() -> Self {
        let stop = Stop::new();
        let builder = Host::builder().signals(Signals::None).stop(stop.clone());
        Self {
            story: Story::default(),
            stop,
            builder,
        }
    }

    fn with(self, name: &'static str, act: Act) -> Self {
        self.with_options(name, act, ServiceOptions::default())
    }

    fn with_options(mut self, name: &'static str, act: Act, options: ServiceOptions) -> Self {
        let service = Service {
            name,
            act,
            story: Arc::clone(&self.story),
        };
        self.builder = self.builder.service_with(options, service);
        self
    }

    /// Runs, and stops `after` so many seconds.
    async fn run(self, after: u32) -> (Result<Stopped, HostError>, Vec<String>, Duration) {
        let Self {
            story,
            stop,
            builder,
        } = self;
        let began = Instant::now();
        let (outcome, ()) = tokio::join!(builder.build().run(), async {
            sleep(after * SECOND).await;
            stop.request();
        });
        let story = story.lock().expect("no service panics here").clone();
        (outcome, story, began.elapsed())
    }
}

#[tokio::test(start_paused = true)]
async fn services_start_in_order_and_stop_in_reverse() {
    let bench = Bench::new()
        .with("a", Act::Serve)
        .with("b", Act::Slow(2))
        .with("c", Act::Serve);
    let (outcome, story, _) = bench.run(5).await;
    assert_eq!(
        story,
        [
            "a starts", "b starts", "c starts", "c ends", "b ends", "a ends"
        ]
    );
    let stopped = outcome.unwrap();
    assert_eq!(
        (stopped.cause.clone(), stopped.exit_code()),
        (Cause::Requested, 0)
    );
}

#[tokio::test(start_paused = true)]
async fn a_service_that_fails_at_start_stops_those_before_it_and_starts_none_behind_it() {
    let bench = Bench::new()
        .with("a", Act::Serve)
        .with("b", Act::FailAtStart)
        .with("c", Act::Serve);
    let (outcome, story, _) = bench.run(5).await;
    assert_eq!(story, ["a starts", "b starts", "a ends"]);
    assert!(matches!(outcome, Err(HostError::Start { service, .. }) if service == "b"));
}

#[tokio::test(start_paused = true)]
async fn a_service_that_is_never_ready_is_given_up_after_its_time() {
    let options = ServiceOptions {
        start_timeout: 7 * SECOND,
        ..ServiceOptions::default()
    };
    let bench = Bench::new()
        .with("a", Act::Serve)
        .with_options("b", Act::NeverReady, options);
    let (outcome, story, _) = bench.run(60).await;
    assert!(
        matches!(outcome, Err(HostError::StartTimeout { service, after }) if service == "b" && after == 7 * SECOND)
    );
    assert_eq!(story.last().unwrap(), "a ends");
}

#[tokio::test(start_paused = true)]
async fn an_error_a_panic_or_an_early_end_stops_the_host_with_a_non_zero_exit() {
    for (act, text) in [
        (Act::Fail(3), "no luck"),
        (Act::Panic(3), "panicked: boom"),
        (Act::EndEarly, "ended although nobody had asked it to"),
    ] {
        let (outcome, story, _) = Bench::new()
            .with("a", Act::Serve)
            .with("b", act)
            .run(60)
            .await;
        let stopped = outcome.unwrap();
        assert_eq!(
            stopped.cause,
            Cause::Failed {
                service: "b".into(),
                error: text.into()
            }
        );
        assert_eq!(stopped.exit_code(), 1);
        assert_eq!(
            story.last().unwrap(),
            "a ends",
            "the others are stopped in order"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_failure_that_is_to_be_ignored_is() {
    let options = ServiceOptions {
        on_failure: OnFailure::Ignore,
        ..ServiceOptions::default()
    };
    let bench = Bench::new()
        .with("a", Act::Serve)
        .with_options("b", Act::Panic(1), options);
    let (outcome, _, elapsed) = bench.run(60).await;
    assert_eq!(outcome.unwrap().exit_code(), 0);
    assert!(elapsed >= 60 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_service_that_hangs_at_stop_eats_its_own_time_and_not_the_others() {
    let bench = Bench::new()
        .with("a", Act::Slow(1))
        .with("b", Act::Hang)
        .with("c", Act::Serve);
    let (outcome, story, elapsed) = bench.run(5).await;
    let stopped = outcome.unwrap();
    assert_eq!(
        (stopped.aborted.clone(), stopped.exit_code()),
        (vec!["b".to_owned()], 1)
    );
    assert_eq!(
        story.last().unwrap(),
        "a ends",
        "the reserve of those behind it is kept"
    );
    assert!(elapsed < 5 * SECOND + 33 * SECOND, "{elapsed:?}");
}

#[tokio::test(start_paused = true)]
async fn a_service_past_its_share_is_forced_and_need_not_be_aborted() {
    let options = ServiceOptions {
        stop_share: Some(4 * SECOND),
        ..ServiceOptions::default()
    };
    let bench = Bench::new().with_options("a", Act::HangUntilForced, options);
    let (outcome, story, elapsed) = bench.run(5).await;
    assert_eq!(outcome.unwrap().exit_code(), 0);
    assert_eq!(story.last().unwrap(), "a ends");
    assert!(elapsed < 10 * SECOND, "{elapsed:?}");
}

#[tokio::test(start_paused = true)]
async fn the_first_signal_is_graceful_and_the_second_immediate() {
    let mut bench = Bench::new()
        .with("a", Act::Serve)
        .with("b", Act::HangUntilForced);
    let (signals, names) = mpsc::channel(2);
    bench.builder = bench.builder.signals(Signals::Injected(names));
    let signal = async {
        sleep(SECOND).await;
        signals.send("SIGTERM").await.unwrap();
        sleep(SECOND).await;
        signals.send("SIGINT").await.unwrap();
        signals
    };
    let began = Instant::now();
    let (outcome, signals) = tokio::join!(bench.builder.build().run(), signal);
    let stopped = outcome.unwrap();
    assert_eq!(stopped.cause, Cause::Signal("SIGTERM"));
    assert!(stopped.forced && stopped.aborted.is_empty());
    assert_eq!(stopped.exit_code(), 1);
    assert!(began.elapsed() < 3 * SECOND);
    drop(signals);
}

#[tokio::test(start_paused = true)]
async fn a_stop_while_starting_starts_nothing_more() {
    let bench = Bench::new()
        .with("a", Act::Serve)
        .with("b", Act::NeverReady)
        .with("c", Act::Serve);
    let (outcome, story, elapsed) = bench.run(2).await;
    assert_eq!(outcome.unwrap().cause, Cause::Requested);
    assert!(!story.iter().any(|line| line.starts_with('c')), "{story:?}");
    assert!(elapsed < 40 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn the_callback_comes_once_when_all_are_ready() {
    let calls = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&calls);
    let mut bench = Bench::new().with("a", Act::Serve).with("b", Act::Serve);
    let story = Arc::clone(&bench.story);
    bench.builder = bench.builder.on_started(move || {
        assert_eq!(*story.lock().unwrap(), ["a starts", "b starts"]);
        counted.fetch_add(1, Ordering::SeqCst);
    });
    bench.run(1).await.0.unwrap();
    assert_eq!(calls.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn a_restarting_service_is_built_again_with_growing_waits_and_given_up_when_it_fails_too_often()
 {
    let story = Story::default();
    let starts = Arc::new(Mutex::new(Vec::new()));
    let (told, seen) = (Arc::clone(&story), Arc::clone(&starts));
    let policy = RestartPolicy {
        first: SECOND,
        longest: 4 * SECOND,
        most: 4,
        within: 600 * SECOND,
    };
    let began = Instant::now();
    let host = Host::builder()
        .signals(Signals::None)
        .restarting("flaky", policy, move || {
            seen.lock().unwrap().push(began.elapsed().as_secs());
            Box::new(Service {
                name: "flaky",
                act: Act::Panic(0),
                story: Arc::clone(&told),
            })
        });
    let stopped = host.build().run().await.unwrap();
    assert_eq!(*starts.lock().unwrap(), [0, 1, 3, 7, 11]);
    assert!(matches!(stopped.cause, Cause::Failed { service, .. } if service == "flaky"));
}

#[tokio::test(start_paused = true)]
async fn a_service_that_recovers_goes_on_and_stops_gracefully() {
    let story = Story::default();
    let (told, lives) = (Arc::clone(&story), AtomicU32::new(0));
    let stop = Stop::new();
    let builder = Host::builder().signals(Signals::None).stop(stop.clone());
    let host = builder.restarting("flaky", RestartPolicy::default(), move || {
        let act = if lives.fetch_add(1, Ordering::SeqCst) < 2 {
            Act::Fail(1)
        } else {
            Act::Serve
        };
        Box::new(Service {
            name: "flaky",
            act,
            story: Arc::clone(&told),
        })
    });
    let (stopped, ()) = tokio::join!(host.build().run(), async {
        sleep(60 * SECOND).await;
        stop.request();
    });
    assert_eq!(stopped.unwrap().exit_code(), 0);
    assert_eq!(
        *story.lock().unwrap(),
        ["flaky starts", "flaky starts", "flaky starts", "flaky ends"]
    );
}

#[tokio::test(start_paused = true)]
async fn two_hosts_in_one_process_know_nothing_of_each_other() {
    let one = Bench::new().with("one", Act::Fail(2));
    let two = Bench::new().with("two", Act::Serve);
    let ((failed, ..), (served, _, elapsed)) = tokio::join!(one.run(60), two.run(30));
    assert_eq!(failed.unwrap().exit_code(), 1);
    assert_eq!(served.unwrap().exit_code(), 0);
    assert!(elapsed >= 30 * SECOND);
}
