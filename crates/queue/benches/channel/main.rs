//! The bounded channel beside others, all in one run: 500 places, one reader, numbers as values, a runtime of two
//! workers.
//!
//! Criterion measures each by itself, for comparing a change with the state before it. The table at the end comes from
//! rounds in which the channels take turns, so that whatever else the machine does hits them alike: its ratios hold on
//! a busy machine too. `cargo bench -p posthaste-queue --bench channel`; with `-- '^$'` the table alone.

mod contestants;
mod rounds;

use std::time::{Duration, Instant};

use contestants::{AsyncChannel, Contestant, Flume, Ours, OursMany, TokioMpsc, TokioMpscMany};
use criterion::{Criterion, SamplingMode, Throughput};
use rounds::Rounds;
use tokio::{runtime::Runtime, task::JoinSet};

const PRODUCERS: [u64; 3] = [1, 4, 16];

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .build()
        .expect("two threads can be had");
    let mut criterion = Criterion::default().configure_from_args();
    for producers in PRODUCERS {
        measure::<TokioMpsc>(&mut criterion, &runtime, producers);
        measure::<Ours>(&mut criterion, &runtime, producers);
        measure::<TokioMpscMany>(&mut criterion, &runtime, producers);
        measure::<OursMany>(&mut criterion, &runtime, producers);
        measure::<Flume>(&mut criterion, &runtime, producers);
        measure::<AsyncChannel>(&mut criterion, &runtime, producers);
    }
    criterion.final_summary();
    for producers in PRODUCERS {
        let mut rounds = Rounds::new(&runtime, producers);
        while rounds.next() {
            rounds.take::<TokioMpsc>();
            rounds.take::<Ours>();
            rounds.take::<TokioMpscMany>();
            rounds.take::<OursMany>();
            rounds.take::<Flume>();
            rounds.take::<AsyncChannel>();
        }
        rounds.print();
    }
}

fn measure<C: Contestant>(criterion: &mut Criterion, runtime: &Runtime, producers: u64) {
    let mut group = criterion.benchmark_group(format!("{producers} producers"));
    group
        .throughput(Throughput::Elements(1))
        .sampling_mode(SamplingMode::Flat)
        .sample_size(20)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2));
    group.bench_function(C::NAME, |bencher| {
        bencher.iter_custom(|values| runtime.block_on(pass::<C>(producers, values)));
    });
    group.finish();
}

/// Sends `values` through a new channel.
async fn pass<C: Contestant>(producers: u64, values: u64) -> Duration {
    let (sender, receiver) = C::channel();
    let mut tasks = JoinSet::new();
    let began = Instant::now();
    tasks.spawn(async move {
        let read = C::drain(receiver).await;
        assert_eq!(read, values, "every value arrives");
    });
    for producer in 0..producers {
        let share = values / producers + u64::from(producer < values % producers);
        let sender = sender.clone();
        tasks.spawn(async move {
            for value in 0..share {
                C::send(&sender, value).await;
            }
        });
    }
    drop(sender);
    tasks.join_all().await;
    began.elapsed()
}
