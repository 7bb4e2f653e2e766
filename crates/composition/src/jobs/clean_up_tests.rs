use std::{
    io,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use posthaste_domain::{
    clock::{ManualClock, SystemClock, later},
    stores::MockHousekeeping,
};
use posthaste_host::{HostedService, Ready};
use posthaste_scheduler::{First, Schedule, Scheduler};
use tokio::{task::JoinSet, time::Instant};
use tracing_subscriber::fmt::MakeWriter;

use super::*;

const HOUR: Duration = Duration::from_secs(3600);

fn settings() -> settings::CleanUp {
    settings::CleanUp {
        every: HOUR,
        batch: 100,
        idempotency_keys: 24 * HOUR,
        tokens: Duration::ZERO,
        nodes: 7 * 24 * HOUR,
        bodies: 30 * 24 * HOUR,
        messages: 90 * 24 * HOUR,
    }
}

/// What is written to it.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn lines(&self, part: &str) -> Vec<String> {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        let lines = text.lines().filter(|line| line.contains(part));
        lines.map(str::to_owned).collect()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0
            .lock()
            .expect("no writer panicked")
            .extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

/// Everything that has nothing to remove.
fn otherwise_clean(store: &mut MockHousekeeping) {
    store.expect_prune_mail_requests().returning(|_, _| Ok(0));
    store
        .expect_prune_idempotency_keys()
        .returning(|_, _| Ok(0));
    store.expect_prune_nodes().returning(|_, _| Ok(0));
    store.expect_prune_rates().returning(|_, _| Ok(0));
    store
        .expect_arrange_history()
        .returning(|_, _, _| Ok(Arranged::default()));
    store.expect_prune_bodies().returning(|_, _| Ok(0));
    store.expect_prune_messages().returning(|_, _| Ok(0));
}

/// The clean-up comes every hour for a hundred hours, though the database fails every seventh time; it says what it
/// removed, and nothing where there was nothing.
#[tokio::test(start_paused = true)]
async fn the_hourly_clean_up_outlives_a_failing_database_and_speaks_only_of_rows() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_writer(log.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let hours = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&hours);
    let mut store = MockHousekeeping::new();
    store.expect_prune_tokens().returning(move |_, _| {
        match counted.fetch_add(1, Ordering::SeqCst) + 1 {
            hour if hour % 7 == 0 => Err(StoreError::Unavailable(None)),
            hour if hour % 10 == 0 => Ok(3),
            _ => Ok(0),
        }
    });
    otherwise_clean(&mut store);
    let clean_up = CleanUp::new(Arc::new(store), Arc::new(SystemClock), settings());
    let schedule = Schedule::every(HOUR, First::AfterInterval).unwrap();
    let scheduler = Scheduler::new(Arc::new(SystemClock)).with(schedule, clean_up);
    let (ready, is_ready) = Ready::channel();
    let stop = Stop::new();
    let mut service = JoinSet::new();
    let running = Box::new(scheduler).run(ready, stop.clone());
    service.spawn(running);
    is_ready.await.unwrap();
    let began = Instant::now();
    tokio::time::sleep(100 * HOUR + HOUR / 2).await;
    assert_eq!(hours.load(Ordering::SeqCst), 100);
    stop.request();
    service.join_next().await.unwrap().unwrap().unwrap();
    assert!(
        began.elapsed() < 101 * HOUR,
        "a stop does not wait for the next hour"
    );

    // 10, 20, .. 100, but for 70, which failed.
    let removed = log.lines("removed expired rows");
    assert_eq!(removed.len(), 9, "{removed:?}");
    assert!(
        removed
            .iter()
            .all(|line| line.contains("rows=3") && line.contains("tokens")),
        "{removed:?}"
    );
    let failed = log.lines("the store is not available");
    assert_eq!(failed.len(), 14, "{failed:?}");
}

/// A large backlog goes in small steps, and a stop waits for one of them at most.
#[tokio::test]
async fn a_backlog_is_removed_in_steps_and_a_stop_ends_it_between_two() {
    let removed = async |stop: Stop, backlog: u64| {
        let left = Arc::new(AtomicU64::new(backlog));
        let (rows, asked) = (Arc::clone(&left), stop.clone());
        let mut store = MockHousekeeping::new();
        store.expect_prune_tokens().returning(move |_, limit| {
            let before = rows.load(Ordering::SeqCst);
            let step = before.min(u64::from(limit));
            rows.store(before - step, Ordering::SeqCst);
            if before == 500 {
                asked.request();
            }
            Ok(step)
        });
        otherwise_clean(&mut store);
        let clean_up = CleanUp::new(Arc::new(store), Arc::new(SystemClock), settings());
        clean_up.run(stop).await.unwrap();
        backlog - left.load(Ordering::SeqCst)
    };
    assert_eq!(removed(Stop::new(), 450).await, 450);
    assert_eq!(removed(Stop::new(), 1000).await, 600, "stopped at 500");
}

/// Each kind of row is kept as long as its setting says.
#[tokio::test]
async fn each_kind_of_row_is_kept_for_its_own_time() {
    let now = later(Timestamp::UNIX_EPOCH, 1_000_000 * HOUR);
    let expected = move |kept: Duration| move |before: &Timestamp, _: &u32| *before == now - kept;
    let mut store = MockHousekeeping::new();
    store
        .expect_prune_tokens()
        .withf(expected(Duration::ZERO))
        .returning(|_, _| Ok(0));
    store
        .expect_prune_mail_requests()
        .withf(expected(HOUR))
        .returning(|_, _| Ok(0));
    store
        .expect_prune_idempotency_keys()
        .withf(expected(24 * HOUR))
        .returning(|_, _| Ok(0));
    store
        .expect_prune_nodes()
        .withf(expected(7 * 24 * HOUR))
        .returning(|_, _| Ok(0));
    store
        .expect_prune_rates()
        .withf(expected(48 * HOUR))
        .returning(|_, _| Ok(0));
    store
        .expect_prune_bodies()
        .withf(expected(30 * 24 * HOUR))
        .times(1)
        .returning(|_, _| Ok(0));
    store
        .expect_prune_messages()
        .withf(expected(90 * 24 * HOUR))
        .times(1)
        .returning(|_, _| Ok(0));
    store
        .expect_arrange_history()
        .withf(move |at, bodies, messages| {
            (*at, *bodies, *messages) == (now, now - 30 * 24 * HOUR, now - 90 * 24 * HOUR)
        })
        .times(1)
        .returning(|_, _, _| Ok(Arranged::default()));
    let clock = Arc::new(ManualClock::at(now));
    let clean_up = CleanUp::new(Arc::new(store), clock, settings());
    clean_up.run(Stop::new()).await.unwrap();
}

/// I22. What has not been there for its time stays, though a clock says so.
#[tokio::test]
async fn a_clean_up_after_the_clock_was_set_removes_nothing_and_the_next_one_does() {
    let clock = Arc::new(ManualClock::at(later(
        Timestamp::UNIX_EPOCH,
        500 * 24 * HOUR,
    )));
    let runs = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&runs);
    let mut store = MockHousekeeping::new();
    store.expect_prune_tokens().returning(move |_, _| {
        counted.fetch_add(1, Ordering::SeqCst);
        Ok(0)
    });
    otherwise_clean(&mut store);
    let now: Arc<dyn Clock> = Arc::<ManualClock>::clone(&clock);
    let clean_up = CleanUp::new(Arc::new(store), now, settings());
    let run = async |expected: u64| {
        clock.advance(HOUR);
        clean_up.run(Stop::new()).await.unwrap();
        assert_eq!(runs.load(Ordering::SeqCst), expected);
    };
    run(1).await;
    run(2).await;
    clock.set(clock.now() + 400 * 24 * HOUR);
    run(2).await;
    run(3).await;
}
