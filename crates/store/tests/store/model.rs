//! Random commands on the database and on the queue in memory.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use posthaste_queue::contract::model::{follow, steps};
use proptest::test_runner::{Config, TestCaseError, TestRunner};

use crate::support::{Bench, variable};

/// P10. The same commands give the same visible history. A failing sequence is made as short as it can be and printed.
#[test]
fn the_same_commands_give_the_same_history() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let bench = runtime.block_on(Bench::new());
    let cases = if variable("POSTHASTE_TEST_LONG").is_some() {
        2000
    } else {
        24
    };
    let spaces = AtomicU64::new(1);
    let config = Config {
        cases,
        max_shrink_iters: 60,
        failure_persistence: None,
        ..Config::default()
    };
    let ran = TestRunner::new(config).run(&steps(1..60), |steps| {
        let space = spaces.fetch_add(1, Ordering::Relaxed);
        let tick = || bench.clock.advance(Duration::from_micros(1));
        let followed = runtime.block_on(follow(&*bench.store, space, &steps, tick));
        followed.map_err(TestCaseError::fail)
    });
    if let Err(parted) = ran {
        panic!("{parted}");
    }
}
