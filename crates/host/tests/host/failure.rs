//! Failures of a running service.

use std::time::Duration;

use posthaste_host::{Cause, OnFailure, ServiceOptions, service_fn};
use tokio::time::sleep;

use crate::bench::{Act, Bench, SECOND};

#[tokio::test(start_paused = true)]
async fn an_error_a_panic_or_an_early_end_stops_the_host_with_a_non_zero_exit() {
    for (act, text) in [
        (Act::Fail(3 * SECOND), "the writer ended: no luck"),
        (Act::Panic(3 * SECOND), "panicked: boom"),
        (
            Act::End(Duration::ZERO),
            "ended although nobody had asked it to",
        ),
    ] {
        let ran = Bench::new()
            .with("a", Act::Serve)
            .with("b", act)
            .run(60 * SECOND)
            .await;
        assert_eq!(
            ran.story.last().unwrap(),
            "a ends",
            "the others are stopped in order"
        );
        let stopped = ran.stopped();
        assert_eq!(
            stopped.cause,
            Cause::Failed {
                service: "b".into(),
                error: text.into()
            }
        );
        assert_eq!(stopped.exit_code(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_failure_that_is_to_be_ignored_is() {
    let options = ServiceOptions {
        on_failure: OnFailure::Ignore,
        ..ServiceOptions::default()
    };
    let ran = Bench::new()
        .with("a", Act::Serve)
        .with_options("b", Act::Panic(SECOND), options)
        .run(60 * SECOND)
        .await;
    assert!(ran.took >= 60 * SECOND);
    assert_eq!(ran.stopped().exit_code(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_service_that_fails_while_it_stops_makes_the_exit_non_zero() {
    let ran = Bench::new()
        .with("a", Act::Serve)
        .with("b", Act::FailAtStop)
        .run(5 * SECOND)
        .await;
    assert_eq!(ran.story.last().unwrap(), "a ends");
    assert_eq!(ran.stopped().exit_code(), 1);
}

/// The reader of a channel ends when its last sender does, which is the stop itself.
#[tokio::test(start_paused = true)]
async fn a_service_that_ends_by_itself_while_the_host_stops_has_not_failed() {
    for (act, code) in [(Act::End(6 * SECOND), 0), (Act::Panic(6 * SECOND), 1)] {
        let ran = Bench::new()
            .with("reader", act)
            .with("sender", Act::Finish(3 * SECOND))
            .run(5 * SECOND)
            .await;
        assert_eq!(ran.took, 8 * SECOND);
        let stopped = ran.stopped();
        assert_eq!(
            (stopped.cause.clone(), stopped.exit_code()),
            (Cause::Requested, code)
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_service_may_ask_for_the_stop_and_end() {
    let mut bench = Bench::new();
    let stop = bench.stop.clone();
    bench.builder = bench
        .builder
        .service(service_fn("once", |ready, _| async move {
            ready.ready();
            sleep(SECOND).await;
            stop.request();
            Ok(())
        }));
    let ran = bench.run(60 * SECOND).await;
    assert_eq!(ran.took, SECOND);
    assert_eq!(ran.stopped().exit_code(), 0);
}

#[tokio::test(start_paused = true)]
async fn two_hosts_in_one_process_know_nothing_of_each_other() {
    let one = Bench::new().with("one", Act::Fail(2 * SECOND));
    let two = Bench::new().with("two", Act::Serve);
    let (failed, served) = tokio::join!(one.run(60 * SECOND), two.run(30 * SECOND));
    assert_eq!(failed.took, 2 * SECOND);
    assert_eq!(failed.stopped().exit_code(), 1);
    assert_eq!(served.took, 30 * SECOND);
    assert_eq!(served.stopped().exit_code(), 0);
}
