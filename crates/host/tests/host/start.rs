//! Start: in order, each service when the one before it is ready.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use posthaste_host::{Cause, HostError, OnFailure, ServiceOptions, Signals, Stop, service_fn};
use tokio::sync::mpsc;

use crate::bench::{Act, Bench, SECOND};

fn within(seconds: u32) -> ServiceOptions {
    ServiceOptions {
        start_timeout: seconds * SECOND,
        ..ServiceOptions::default()
    }
}

fn ignored() -> ServiceOptions {
    ServiceOptions {
        on_failure: OnFailure::Ignore,
        ..ServiceOptions::default()
    }
}

#[tokio::test(start_paused = true)]
async fn a_service_that_fails_at_start_stops_those_before_it_and_starts_none_behind_it() {
    let ran = Bench::new()
        .with("a", Act::Serve)
        .with("b", Act::Serve)
        .with("c", Act::FailAtStart)
        .with("d", Act::Serve)
        .run(5 * SECOND)
        .await;
    assert_eq!(
        ran.story,
        ["a starts", "b starts", "c starts", "b ends", "a ends"]
    );
    let error = ran.outcome.unwrap_err();
    assert_eq!(error.to_string(), "service `c` failed to start");
    let source = std::error::Error::source(&error).unwrap();
    assert_eq!(source.to_string(), "the writer ended");
    assert_eq!(source.source().unwrap().to_string(), "no luck");
}

#[tokio::test(start_paused = true)]
async fn a_service_that_is_never_ready_is_given_up_after_its_time_and_forced() {
    let ran = Bench::new()
        .with("a", Act::Serve)
        .with_options("b", Act::NeverReady, within(7))
        .with("c", Act::Serve)
        .run(60 * SECOND)
        .await;
    assert_eq!(
        ran.story,
        ["a starts", "b starts", "b is forced", "a ends"],
        "it had its time: no share of the stop is spent on it"
    );
    assert_eq!(ran.took, 7 * SECOND);
    let error = ran.outcome.unwrap_err();
    assert_eq!(error.to_string(), "service `b` was not ready within 7 s");
    assert!(
        matches!(error, HostError::StartTimeout { service, after } if service == "b" && after == 7 * SECOND)
    );
}

#[tokio::test(start_paused = true)]
async fn one_that_hangs_at_start_is_aborted_after_a_short_grace() {
    let ran = Bench::new()
        .with("a", Act::Serve)
        .with_options("b", Act::HangAtStart, within(7))
        .run(60 * SECOND)
        .await;
    assert!(matches!(ran.outcome, Err(HostError::StartTimeout { .. })));
    assert_eq!(ran.story.last().unwrap(), "a ends");
    assert!(ran.took <= 10 * SECOND, "{:?}", ran.took);
}

#[tokio::test(start_paused = true)]
async fn a_service_that_forgets_to_say_ready_is_given_up_whatever_the_others_do_meanwhile() {
    let ran = Bench::new()
        .with_options("a", Act::Fail(SECOND), ignored())
        .with_options("b", Act::ForgetReady, within(7))
        .run(60 * SECOND)
        .await;
    assert!(matches!(ran.outcome, Err(HostError::StartTimeout { service, .. }) if service == "b"));
}

#[tokio::test(start_paused = true)]
async fn a_failure_of_one_that_runs_is_not_taken_for_one_at_start_even_under_the_same_name() {
    let ran = Bench::new()
        .with("twin", Act::Fail(SECOND))
        .with("twin", Act::NeverReady)
        .run(60 * SECOND)
        .await;
    let cause = ran.stopped().cause;
    assert!(matches!(cause, Cause::Failed { service, .. } if service == "twin"));
}

#[tokio::test(start_paused = true)]
async fn a_service_whose_failures_are_ignored_holds_nobody_up_by_failing_at_start() {
    let ran = Bench::new()
        .with_options("a", Act::FailAtStart, ignored())
        .with("b", Act::Serve)
        .run(5 * SECOND)
        .await;
    assert_eq!(ran.story, ["a starts", "b starts", "b ends"]);
    assert_eq!(ran.stopped().exit_code(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_stop_while_starting_starts_nothing_more() {
    let ran = Bench::new()
        .with("a", Act::Serve)
        .with("b", Act::NeverReady)
        .with("c", Act::Serve)
        .run(2 * SECOND)
        .await;
    assert_eq!(ran.story, ["a starts", "b starts", "b is forced", "a ends"]);
    assert_eq!(ran.stopped().cause, Cause::Requested);
}

#[tokio::test(start_paused = true)]
async fn a_stop_before_the_start_starts_nothing() {
    for level in [Stop::request, Stop::force] {
        let bench = Bench::new().with("a", Act::Serve).with("b", Act::Serve);
        level(&bench.stop);
        bench.stop.request();
        let ran = bench.run(SECOND).await;
        assert_eq!((ran.story.len(), ran.took), (0, Duration::ZERO));
        let stopped = ran.stopped();
        assert_eq!(
            (stopped.cause.clone(), stopped.exit_code()),
            (Cause::Requested, 0)
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_signal_before_the_start_starts_nothing() {
    let mut bench = Bench::new().with("a", Act::Serve);
    let (signals, names) = mpsc::channel(1);
    signals.send("SIGTERM").await.unwrap();
    bench.builder = bench.builder.signals(Signals::Injected(names));
    let ran = bench.run(SECOND).await;
    assert_eq!((ran.story.len(), ran.took), (0, Duration::ZERO));
    assert_eq!(ran.stopped().cause, Cause::Signal("SIGTERM"));
}

/// Services that are ready at once leave no pause in which a stop could be seen by chance.
#[tokio::test(start_paused = true)]
async fn a_stop_is_seen_between_two_services_that_are_ready_at_once() {
    let mut bench = Bench::new().with("a", Act::Serve);
    let stop = bench.stop.clone();
    bench.builder = bench
        .builder
        .service(service_fn("b", move |ready, own| async move {
            ready.ready();
            stop.request();
            own.requested().await;
            Ok(())
        }));
    let ran = bench.with("c", Act::Serve).run(SECOND).await;
    assert_eq!(ran.story, ["a starts", "a ends"]);
}

#[tokio::test(start_paused = true)]
async fn the_callback_comes_once_when_all_are_ready() {
    let calls = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&calls);
    let mut bench = Bench::new().with("a", Act::Serve).with("b", Act::Serve);
    let story = bench.story.clone();
    bench.builder = bench.builder.on_started(move || {
        assert_eq!(story.lines(), ["a starts", "b starts"]);
        counted.fetch_add(1, Ordering::SeqCst);
    });
    assert_eq!(bench.run(SECOND).await.stopped().exit_code(), 0);
    assert_eq!(calls.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn the_callback_does_not_come_after_a_failed_start() {
    let mut bench = Bench::new().with("a", Act::FailAtStart);
    bench.builder = bench
        .builder
        .on_started(|| unreachable!("nothing has started"));
    assert!(bench.run(SECOND).await.outcome.is_err());
}
