//! The bounded channel beside others, all in one run: 500 places, one reader, numbers as values, a runtime of two
//! workers. The table at the end gives the median rate of each and its ratio to `tokio::sync::mpsc`.
//!
//! `cargo bench -p posthaste-queue --bench channel`, or with a filter: `-- '^4 producers/ours'`. Figures of different
//! runs tell little on a machine that does other work too; ratios inside one run tell more.

mod contestants;

use std::{
    cell::RefCell,
    collections::BTreeMap,
    future::Future,
    time::{Duration, Instant},
};

use contestants::{AsyncChannel, Contestant, Flume, Ours, OursMany, TokioMpsc, TokioMpscMany};
use criterion::{Criterion, SamplingMode, Throughput};
use tokio::{runtime::Runtime, task::JoinSet};

/// Rates in values a second, by producers and contestant.
type Rates = RefCell<BTreeMap<(u64, &'static str), Vec<f64>>>;

/// What the others are compared with.
const MEASURE: &str = "tokio mpsc";

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .build()
        .expect("two threads can be had");
    let rates = Rates::default();
    let mut criterion = Criterion::default().configure_from_args();
    for producers in [1, 4, 16] {
        measure::<TokioMpsc>(&mut criterion, &runtime, producers, &rates);
        measure::<Ours>(&mut criterion, &runtime, producers, &rates);
        measure::<TokioMpscMany>(&mut criterion, &runtime, producers, &rates);
        measure::<OursMany>(&mut criterion, &runtime, producers, &rates);
        measure::<Flume>(&mut criterion, &runtime, producers, &rates);
        measure::<AsyncChannel>(&mut criterion, &runtime, producers, &rates);
    }
    criterion.final_summary();
    table(&rates.take());
}

fn measure<C: Contestant>(
    criterion: &mut Criterion,
    runtime: &Runtime,
    producers: u64,
    rates: &Rates,
) {
    let mut group = criterion.benchmark_group(format!("{producers} producers"));
    group
        .throughput(Throughput::Elements(1))
        .sampling_mode(SamplingMode::Flat)
        .sample_size(25)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(3));
    group.bench_function(C::NAME, |bencher| {
        bencher.iter_custom(|values| {
            let took = runtime.block_on(pass::<C>(producers, values));
            // The few values of a first try measure the start of the tasks.
            if values >= 50_000 {
                let rate = values as f64 / took.as_secs_f64();
                let mut rates = rates.borrow_mut();
                rates.entry((producers, C::NAME)).or_default().push(rate);
            }
            took
        });
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
        tasks.spawn(fill::<C>(sender.clone(), share));
    }
    drop(sender);
    tasks.join_all().await;
    began.elapsed()
}

fn fill<C: Contestant>(sender: C::Sender, values: u64) -> impl Future<Output = ()> + Send {
    async move {
        for value in 0..values {
            C::send(&sender, value).await;
        }
    }
}

#[expect(clippy::print_stdout, reason = "a bench reports to its terminal")]
fn table(rates: &BTreeMap<(u64, &'static str), Vec<f64>>) {
    let medians: BTreeMap<_, _> = rates
        .iter()
        .map(|(key, rates)| {
            let mut rates = rates.clone();
            rates.sort_by(f64::total_cmp);
            (*key, rates[rates.len() / 2])
        })
        .collect();
    println!("producers  channel                 M/s   of {MEASURE}");
    for ((producers, name), rate) in &medians {
        let ratio = medians
            .get(&(*producers, MEASURE))
            .map_or_else(String::new, |measure| format!("{:.2}", rate / measure));
        println!(
            "{producers:>9}  {name:<20} {:>6.1}   {ratio:>5}",
            rate / 1e6
        );
    }
}
