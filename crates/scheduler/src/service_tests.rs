use std::sync::atomic::{AtomicU32, Ordering};

use posthaste_domain::clock::{ManualClock, SystemClock, Timestamp};
use tokio::sync::{Notify, oneshot};

use super::*;

const HOUR: Duration = Duration::from_secs(3600);

/// Counts its runs; every third fails, every fifth panics.
struct Faulty(Arc<AtomicU32>);

#[async_trait]
impl RecurringTask for Faulty {
    fn name(&self) -> &str {
        "faulty"
    }

    async fn run(&self, _stop: Stop) -> Result<(), TaskError> {
        let run = self.0.fetch_add(1, Ordering::SeqCst) + 1;
        assert!(!run.is_multiple_of(5), "every fifth run panics");
        if run.is_multiple_of(3) {
            Err("every third run fails".into())
        } else {
            Ok(())
        }
    }
}

/// Runs until it is let go.
struct Slow {
    runs: Arc<AtomicU32>,
    go_on: Arc<Notify>,
}

#[async_trait]
impl RecurringTask for Slow {
    fn name(&self) -> &str {
        "slow"
    }

    async fn run(&self, _stop: Stop) -> Result<(), TaskError> {
        self.runs.fetch_add(1, Ordering::SeqCst);
        self.go_on.notified().await;
        Ok(())
    }
}

struct Running {
    stop: Stop,
    tasks: JoinSet<()>,
}

impl Running {
    async fn start(scheduler: Scheduler) -> Self {
        let (ready, is_ready): (_, oneshot::Receiver<()>) = Ready::channel();
        let stop = Stop::new();
        let mut tasks = JoinSet::new();
        let service = Box::new(scheduler).run(ready, stop.clone());
        tasks.spawn(async move { service.await.unwrap() });
        is_ready.await.unwrap();
        Self { stop, tasks }
    }

    async fn finish(mut self) {
        self.stop.request();
        self.tasks.join_next().await.unwrap().unwrap();
    }
}

fn hourly(first: First) -> Schedule {
    Schedule::every(HOUR, first).unwrap()
}

#[tokio::test(start_paused = true)]
async fn an_hourly_task_runs_a_hundred_times_in_a_hundred_hours_whatever_its_runs_do() {
    let runs = Arc::new(AtomicU32::new(0));
    let scheduler = Scheduler::new(Arc::new(SystemClock))
        .with(hourly(First::AfterInterval), Faulty(Arc::clone(&runs)));
    let running = Running::start(scheduler).await;
    tokio::time::sleep(100 * HOUR + HOUR / 2).await;
    assert_eq!(runs.load(Ordering::SeqCst), 100);
    running.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_task_may_begin_at_once() {
    let runs = Arc::new(AtomicU32::new(0));
    let scheduler = Scheduler::new(Arc::new(SystemClock))
        .with(hourly(First::AtStart), Faulty(Arc::clone(&runs)));
    let running = Running::start(scheduler).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(runs.load(Ordering::SeqCst), 1);
    running.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_stop_in_the_middle_of_a_wait_is_immediate() {
    let scheduler = Scheduler::new(Arc::new(SystemClock))
        .with(hourly(First::AfterInterval), Faulty(Arc::default()));
    let running = Running::start(scheduler).await;
    let before = Instant::now();
    running.finish().await;
    assert_eq!(before.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_slow_run_overlaps_with_none_and_delays_no_other_task() {
    let (slow, quick) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
    let go_on = Arc::new(Notify::new());
    let scheduler = Scheduler::new(Arc::new(SystemClock))
        .with(
            hourly(First::AfterInterval),
            Slow {
                runs: Arc::clone(&slow),
                go_on: Arc::clone(&go_on),
            },
        )
        .with(hourly(First::AfterInterval), Faulty(Arc::clone(&quick)));
    let running = Running::start(scheduler).await;
    tokio::time::sleep(10 * HOUR + HOUR / 2).await;
    assert_eq!(
        (slow.load(Ordering::SeqCst), quick.load(Ordering::SeqCst)),
        (1, 10)
    );
    go_on.notify_one();
    tokio::time::sleep(HOUR / 4).await;
    assert_eq!(
        slow.load(Ordering::SeqCst),
        2,
        "the next run comes at once, those missed do not"
    );
    go_on.notify_one();
    running.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_run_in_hand_is_finished_at_a_stop_and_dropped_at_a_forced_one() {
    for force in [false, true] {
        let go_on = Arc::new(Notify::new());
        let slow = Slow {
            runs: Arc::default(),
            go_on: Arc::clone(&go_on),
        };
        let scheduler = Scheduler::new(Arc::new(SystemClock)).with(hourly(First::AtStart), slow);
        let mut running = Running::start(scheduler).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        running.stop.request();
        let early = tokio::time::timeout(HOUR, running.tasks.join_next()).await;
        assert!(early.is_err(), "the run in hand is waited for");
        if force {
            running.stop.force();
        } else {
            go_on.notify_one();
        }
        running.tasks.join_next().await.unwrap().unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_cron_task_follows_the_wall_clock_when_it_is_set() {
    let start: Timestamp = "2026-11-24T08:00:00Z".parse().unwrap();
    let clock = Arc::new(ManualClock::at(start));
    let runs = Arc::new(AtomicU32::new(0));
    let nine = Schedule::cron("0 9 * * *", chrono_tz::UTC, start).unwrap();
    let injected: Arc<dyn Clock> = Arc::<ManualClock>::clone(&clock);
    let running =
        Running::start(Scheduler::new(injected).with(nine, Faulty(Arc::clone(&runs)))).await;
    tokio::time::sleep(5 * HOUR).await;
    assert_eq!(
        runs.load(Ordering::SeqCst),
        0,
        "the wall clock stands still"
    );
    clock.set("2026-11-24T09:00:01Z".parse().unwrap());
    tokio::time::sleep(LONGEST_SLEEP).await;
    assert_eq!(runs.load(Ordering::SeqCst), 1);
    clock.set("2026-11-24T08:30:00Z".parse().unwrap());
    tokio::time::sleep(LONGEST_SLEEP).await;
    clock.set("2026-11-24T09:00:01Z".parse().unwrap());
    tokio::time::sleep(LONGEST_SLEEP).await;
    assert_eq!(
        runs.load(Ordering::SeqCst),
        1,
        "an instant comes once, even if the clock is set back"
    );
    running.finish().await;
}
