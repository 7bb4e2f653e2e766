//! Services that are built again when they fail.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use posthaste_host::{Cause, HostedService, Ready, RestartPolicy, ServiceError, Stop};
use tokio::time::Instant;

use crate::bench::{Act, Bench, Ran, SECOND, Service, Story};

const POLICY: RestartPolicy = RestartPolicy {
    first: SECOND,
    longest: Duration::from_secs(4),
    most: 4,
    within: Duration::from_secs(600),
};

/// A host of one service, whose lives are built by `life` from their number, and the seconds at which they began.
async fn lives(
    stop_after: Duration,
    mut life: impl FnMut(u32, &Story) -> Box<dyn HostedService> + Send + 'static,
) -> (Ran, Vec<u64>) {
    let mut bench = Bench::new();
    let began = Instant::now();
    let starts = Arc::new(Mutex::new(Vec::new()));
    let (seen, story, number) = (Arc::clone(&starts), bench.story.clone(), AtomicU32::new(0));
    bench.builder = bench.builder.restarting("flaky", POLICY, move || {
        seen.lock()
            .expect("nothing panics here")
            .push(began.elapsed().as_secs());
        life(number.fetch_add(1, Ordering::SeqCst), &story)
    });
    let ran = bench.run(stop_after).await;
    let starts = starts.lock().expect("nothing panics here").clone();
    (ran, starts)
}

fn acting(act: Act, story: &Story) -> Box<dyn HostedService> {
    Box::new(Service {
        name: "flaky",
        act,
        story: story.clone(),
    })
}

#[tokio::test(start_paused = true)]
async fn waits_grow_and_a_service_that_fails_too_often_stops_the_host() {
    let (ran, starts) = lives(60 * SECOND, |_, story| {
        acting(Act::Panic(Duration::ZERO), story)
    })
    .await;
    assert_eq!(starts, [0, 1, 3, 7, 11]);
    let stopped = ran.stopped();
    assert_eq!(stopped.exit_code(), 1);
    assert_eq!(
        stopped.cause,
        Cause::Failed {
            service: "flaky".into(),
            error: "failed more than 4 times within 600 s: panicked: boom".into()
        }
    );
}

#[tokio::test(start_paused = true)]
async fn failures_that_are_long_past_count_no_more() {
    let (ran, starts) = lives(4000 * SECOND, |_, story| {
        acting(Act::Fail(700 * SECOND), story)
    })
    .await;
    assert_eq!(starts, [0, 701, 1402, 2103, 2804, 3505]);
    assert_eq!(ran.stopped().cause, Cause::Requested);
}

#[tokio::test(start_paused = true)]
async fn a_service_that_recovers_goes_on_and_stops_gracefully() {
    let (ran, _) = lives(60 * SECOND, |life, story| {
        let act = if life < 2 {
            Act::Fail(SECOND)
        } else {
            Act::Serve
        };
        acting(act, story)
    })
    .await;
    assert_eq!(
        ran.story,
        ["flaky starts", "flaky starts", "flaky starts", "flaky ends"]
    );
    assert_eq!(ran.stopped().exit_code(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_service_that_cannot_be_built_counts_as_failed() {
    let (ran, starts) = lives(60 * SECOND, |life, story| {
        assert!(life > 1, "out of luck");
        acting(Act::Serve, story)
    })
    .await;
    assert_eq!(starts, [0, 1, 3]);
    assert_eq!(ran.story, ["flaky starts", "flaky ends"]);
    assert_eq!(ran.stopped().exit_code(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_later_life_that_is_not_ready_in_time_counts_as_failed() {
    let (ran, starts) = lives(60 * SECOND, |life, story| {
        let act = match life {
            0 => Act::Fail(SECOND),
            1 => Act::HangAtStart,
            _ => Act::Serve,
        };
        acting(act, story)
    })
    .await;
    assert_eq!(starts, [0, 2, 34], "30 s to be ready, then 2 s of waiting");
    assert_eq!(ran.stopped().exit_code(), 0);
}

/// Never ready, and panics when it is dropped.
struct Brittle;

impl Drop for Brittle {
    fn drop(&mut self) {
        panic!("it broke");
    }
}

#[async_trait]
impl HostedService for Brittle {
    fn name(&self) -> &str {
        "flaky"
    }

    async fn run(self: Box<Self>, _ready: Ready, _stop: Stop) -> Result<(), ServiceError> {
        std::future::pending().await
    }
}

#[tokio::test(start_paused = true)]
async fn a_panic_outside_of_any_life_stops_the_host() {
    let (ran, starts) = lives(60 * SECOND, |life, story| match life {
        0 => acting(Act::Fail(SECOND), story),
        _ => Box::new(Brittle),
    })
    .await;
    assert_eq!((starts, ran.took), (vec![0, 2], 32 * SECOND));
    assert_eq!(
        ran.stopped().cause,
        Cause::Failed {
            service: "flaky".into(),
            error: "panicked: it broke".into()
        }
    );
}

#[tokio::test(start_paused = true)]
async fn a_stop_while_waiting_for_the_next_life_is_immediate_and_graceful() {
    let stop_after = 5 * SECOND;
    let (ran, starts) = lives(stop_after, |_, story| {
        acting(Act::Fail(Duration::ZERO), story)
    })
    .await;
    assert_eq!((starts, ran.took), (vec![0, 1, 3], stop_after));
    assert_eq!(ran.stopped().exit_code(), 0);
}
