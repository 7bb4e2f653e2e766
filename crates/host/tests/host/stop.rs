//! Stop: in reverse order, within one budget.

use std::{
    sync::mpsc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use posthaste_host::{
    Cause, Host, HostedService, Ready, ServiceError, ServiceOptions, Signals, Stop,
};
use tokio::time::sleep;

use crate::bench::{Act, Bench, SECOND};

const QUARTER: Duration = Duration::from_millis(250);

fn share(seconds: u32) -> ServiceOptions {
    ServiceOptions {
        stop_share: Some(seconds * SECOND),
        ..ServiceOptions::default()
    }
}

#[tokio::test(start_paused = true)]
async fn services_start_in_order_and_stop_in_reverse() {
    let ran = Bench::new()
        .with("a", Act::Serve)
        .with("b", Act::Finish(2 * SECOND))
        .with("c", Act::Serve)
        .run(5 * SECOND)
        .await;
    assert_eq!(
        ran.story,
        [
            "a starts", "b starts", "c starts", "c ends", "b ends", "a ends"
        ]
    );
    let stopped = ran.stopped();
    assert_eq!(
        (stopped.cause.clone(), stopped.exit_code()),
        (Cause::Requested, 0)
    );
}

#[tokio::test(start_paused = true)]
async fn a_service_that_hangs_at_stop_leaves_the_others_time_to_finish() {
    let ran = Bench::new()
        .with("a", Act::Finish(QUARTER))
        .with("b", Act::Hang)
        .with("c", Act::Serve)
        .run(5 * SECOND)
        .await;
    assert_eq!(
        ran.story,
        ["a starts", "b starts", "c starts", "c ends", "a ends"],
        "the time kept for `a` is not eaten: it finishes without being forced"
    );
    let stopped = ran.stopped();
    assert_eq!(
        (stopped.aborted.clone(), stopped.exit_code()),
        (vec!["b".to_owned()], 1)
    );
}

#[tokio::test(start_paused = true)]
async fn the_budget_holds_even_if_every_service_hangs() {
    let ran = Bench::new()
        .with("a", Act::Hang)
        .with("b", Act::Hang)
        .with("c", Act::Hang)
        .with("d", Act::Hang)
        .run(5 * SECOND)
        .await;
    assert_eq!(ran.took, 35 * SECOND);
    assert_eq!(ran.stopped().aborted, ["d", "c", "b", "a"]);
}

#[tokio::test(start_paused = true)]
async fn a_service_past_its_share_is_forced_and_need_not_be_aborted() {
    let ran = Bench::new()
        .with_options("a", Act::HangUntilForced, share(4))
        .run(5 * SECOND)
        .await;
    assert_eq!(ran.took, 9 * SECOND);
    assert_eq!(ran.story.last().unwrap(), "a ends");
    assert_eq!(ran.stopped().exit_code(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_first_signal_is_graceful_and_the_second_immediate() {
    let ran = Bench::new()
        .with("a", Act::Serve)
        .with("b", Act::HangUntilForced)
        .run_with_signals(&[(SECOND, "SIGTERM"), (2 * SECOND, "SIGINT")])
        .await;
    assert_eq!(ran.took, 2 * SECOND);
    let stopped = ran.stopped();
    assert_eq!(stopped.cause, Cause::Signal("SIGTERM"));
    assert!(stopped.forced && stopped.aborted.is_empty());
    assert_eq!(stopped.exit_code(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_first_signal_is_graceful_whatever_began_the_stop() {
    for (act, code) in [(Act::Serve, 0), (Act::Fail(SECOND), 1)] {
        let bench = Bench::new()
            .with("a", Act::Finish(4 * SECOND))
            .with("b", act);
        let stop = bench.stop.clone();
        let asked = async {
            sleep(SECOND).await;
            stop.request();
            stop.request();
        };
        let signals = [(2 * SECOND, "SIGTERM")];
        let (ran, ()) = tokio::join!(bench.run_with_signals(&signals), asked);
        assert_eq!(
            (ran.took, ran.story.last().unwrap().as_str()),
            (5 * SECOND, "a ends")
        );
        let stopped = ran.stopped();
        assert_eq!((stopped.forced, stopped.exit_code()), (false, code));
    }
}

#[tokio::test(start_paused = true)]
async fn two_signals_cut_a_stop_under_way_short() {
    let ran = Bench::new()
        .with("a", Act::HangUntilForced)
        .with("b", Act::Fail(SECOND))
        .run_with_signals(&[(2 * SECOND, "SIGTERM"), (3 * SECOND, "SIGINT")])
        .await;
    assert_eq!(ran.took, 3 * SECOND);
    assert!(ran.stopped().forced);
}

#[tokio::test(start_paused = true)]
async fn a_forced_stop_keeps_the_reverse_order() {
    let ran = Bench::new()
        .with("store", Act::HangUntilForced)
        .with("worker", Act::GiveBack(QUARTER))
        .run_with_signals(&[(SECOND, "SIGTERM"), (2 * SECOND, "SIGTERM")])
        .await;
    assert_eq!(
        ran.story,
        ["store starts", "worker starts", "worker ends", "store ends"],
        "what the worker gives back is still taken"
    );
    assert!(ran.stopped().aborted.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_forced_stop_is_short_even_if_every_service_hangs() {
    let ran = Bench::new()
        .with("a", Act::Hang)
        .with("b", Act::Hang)
        .with("c", Act::Hang)
        .with("d", Act::Hang)
        .run_with_signals(&[(SECOND, "SIGTERM"), (2 * SECOND, "SIGTERM")])
        .await;
    assert!(ran.took <= 7 * SECOND, "{:?}", ran.took);
    assert_eq!(ran.stopped().aborted, ["d", "c", "b", "a"]);
}

#[tokio::test(start_paused = true)]
async fn a_second_signal_is_heard_while_a_late_service_has_its_grace() {
    let late = share(1);
    let ran = Bench::new()
        .with("a", Act::HangUntilForced)
        .with_options("b", Act::Hang, late)
        .run_with_signals(&[(SECOND, "SIGTERM"), (3 * SECOND, "SIGTERM")])
        .await;
    assert_eq!(ran.story.last().unwrap(), "a ends");
    assert!(ran.took <= 8 * SECOND, "{:?}", ran.took);
    let stopped = ran.stopped();
    assert!(stopped.forced);
    assert_eq!(stopped.aborted, ["b"]);
}

#[tokio::test(start_paused = true)]
async fn a_stop_from_inside_can_be_forced_too() {
    let bench = Bench::new()
        .with("a", Act::Serve)
        .with("b", Act::HangUntilForced);
    let stop = bench.stop.clone();
    let forced = async {
        sleep(SECOND).await;
        stop.force();
    };
    let (ran, ()) = tokio::join!(bench.run(60 * SECOND), forced);
    assert_eq!(ran.took, SECOND);
    let stopped = ran.stopped();
    assert_eq!(
        (stopped.cause.clone(), stopped.forced),
        (Cause::Requested, true)
    );
    assert_eq!(stopped.exit_code(), 1);
}

/// Blocks its thread until it is let go, as no asynchronous code should.
struct Blocking(mpsc::Receiver<()>);

#[async_trait]
impl HostedService for Blocking {
    fn name(&self) -> &str {
        "blocking"
    }

    async fn run(self: Box<Self>, ready: Ready, stop: Stop) -> Result<(), ServiceError> {
        ready.ready();
        stop.requested().await;
        self.0.recv().ok();
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_service_that_blocks_its_thread_is_left_behind() {
    let (let_go, held) = mpsc::channel();
    let stop = Stop::new();
    let host = Host::builder()
        .service(Blocking(held))
        .signals(Signals::None)
        .stop_budget(QUARTER)
        .stop(stop.clone())
        .on_started(move || stop.request());
    let began = Instant::now();
    let mut hosts = tokio::task::JoinSet::new();
    hosts.spawn(host.build().run());
    let ended = tokio::time::timeout(10 * SECOND, hosts.join_next()).await;
    let_go.send(()).ok();
    let stopped = ended.unwrap().unwrap().unwrap().unwrap();
    assert_eq!(
        (stopped.aborted.clone(), stopped.exit_code()),
        (vec!["blocking".to_owned()], 1)
    );
    assert!(began.elapsed() < 5 * SECOND);
}
