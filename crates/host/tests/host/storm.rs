//! Up to fifty services in any mix of manners, stopped in any way at any moment, in paused time: the host keeps its rules.

mod actor;
mod rules;

use std::time::Duration;

use posthaste_host::{Host, OnFailure, RestartPolicy, ServiceOptions, Signals, Stop};
use proptest::prelude::*;
use tokio::{sync::mpsc, time::sleep};

use self::{
    actor::{Actor, Care, MILLISECOND, Manners, Start, Trace, Work, manners},
    rules::Storm,
};

const START_TIMEOUT: Duration = Duration::from_secs(3);

const POLICY: RestartPolicy = RestartPolicy {
    first: Duration::from_millis(100),
    longest: Duration::from_millis(400),
    most: 3,
    within: Duration::from_secs(3600),
};

/// How the host is stopped from outside: times are milliseconds.
#[derive(Debug, Clone)]
enum Asks {
    /// As often as there are times.
    Request(Vec<u32>),
    /// Gracefully, and by force so much later.
    Force(u32, u32),
    Signals(Vec<u32>),
    /// A request, and then signals.
    Both(u32, Vec<u32>),
}

fn asks() -> impl Strategy<Value = Asks> {
    let at = || prop_oneof![1 => Just(0), 1 => 0..100_u32, 4 => 0..20_000_u32];
    let later = || prop_oneof![1 => Just(0), 2 => 0..500_u32, 2 => 0..20_000_u32];
    let several = move || {
        (at(), prop::collection::vec(later(), 0..4)).prop_map(|(first, gaps)| {
            let times = gaps.iter().scan(first, |at, gap| {
                *at += gap;
                Some(*at)
            });
            std::iter::once(first).chain(times).collect::<Vec<_>>()
        })
    };
    prop_oneof![
        several().prop_map(Asks::Request),
        (at(), later()).prop_map(|(at, later)| Asks::Force(at, at + later)),
        several().prop_map(Asks::Signals),
        (at(), several()).prop_map(|(at, signals)| Asks::Both(at, signals)),
    ]
}

impl Asks {
    fn requests(&self) -> &[u32] {
        match self {
            Self::Request(times) => times,
            Self::Force(at, _) | Self::Both(at, _) => std::slice::from_ref(at),
            Self::Signals(_) => &[],
        }
    }

    fn force(&self) -> Option<u32> {
        match self {
            Self::Force(_, at) => Some(*at),
            Self::Request(_) | Self::Signals(_) | Self::Both(..) => None,
        }
    }

    fn signals(&self) -> &[u32] {
        match self {
            Self::Signals(times) | Self::Both(_, times) => times,
            Self::Request(_) | Self::Force(..) => &[],
        }
    }

    fn first(&self) -> Duration {
        let all = self.requests().iter().chain(self.signals());
        *all.min().expect("somebody asks") * MILLISECOND
    }

    /// When the stop is cut short.
    fn cut(&self) -> Option<Duration> {
        let at = self.force().or_else(|| self.signals().get(1).copied());
        at.map(|at| at * MILLISECOND)
    }

    /// Does what it says.
    async fn carry_out(&self, stop: &Stop, signals: &mpsc::Sender<&'static str>, trace: &Trace) {
        let until = |at: &u32| (*at * MILLISECOND).saturating_sub(trace.elapsed());
        let requests = async {
            for at in self.requests() {
                if *at > 0 {
                    sleep(until(at)).await;
                }
                stop.request();
            }
            if let Some(at) = self.force() {
                sleep(until(&at)).await;
                stop.force();
            }
        };
        let signalling = async {
            for at in self.signals() {
                if *at > 0 {
                    sleep(until(at)).await;
                }
                signals.send("SIGTERM").await.ok();
            }
        };
        tokio::join!(requests, signalling);
        std::future::pending().await
    }
}

/// A host of these services, not yet run.
fn host(mix: &[Manners], trace: &Trace) -> posthaste_host::HostBuilder {
    let mut host = Host::builder();
    for (who, manners) in mix.iter().copied().enumerate() {
        let name = format!("s{who}");
        let life = |manners| Actor {
            who,
            name: format!("s{who}"),
            manners,
            trace: trace.clone(),
        };
        let options = ServiceOptions {
            start_timeout: START_TIMEOUT,
            stop_share: manners.share.map(|share| share * MILLISECOND),
            on_failure: match manners.care {
                Care::Stop | Care::Restart(_) => OnFailure::StopHost,
                Care::Ignore => OnFailure::Ignore,
            },
        };
        host = match manners.care {
            Care::Stop | Care::Ignore => host.service_with(options, life(manners)),
            Care::Restart(bad) => {
                let (mut lives, trace) = (0, trace.clone());
                host.restarting(&name, POLICY, move || {
                    let sound = Manners {
                        start: Start::Ready(0),
                        work: Work::Serve,
                        ..manners
                    };
                    lives += 1;
                    Box::new(Actor {
                        who,
                        name: format!("s{who}"),
                        manners: if lives > bad { sound } else { manners },
                        trace: trace.clone(),
                    })
                })
            }
        };
    }
    host
}

proptest! {
    #[test]
    fn whatever_the_services_do_the_host_keeps_its_rules(
        mix in prop_oneof![Just(1_u32), Just(10), Just(80)]
            .prop_flat_map(|wild| prop::collection::vec(manners(wild), 0..=50)),
        asks in asks(),
        budget in prop_oneof![1 => Just(0), 1 => 0..1000_u32, 4 => 0..40_000_u32],
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let budget = budget * MILLISECOND;
        runtime.block_on(async {
            let (trace, stop) = (Trace::begin(), Stop::new());
            let (signals, names) = mpsc::channel(8);
            let host = host(&mix, &trace).stop_budget(budget).signals(Signals::Injected(names)).stop(stop.clone()).build();
            let outcome = tokio::select! {
                biased;
                outcome = host.run() => outcome,
                () = asks.carry_out(&stop, &signals, &trace) => unreachable!("it waits for the host"),
            };
            let took = trace.elapsed();
            let tasks = tokio::runtime::Handle::current().metrics().num_alive_tasks();
            prop_assert_eq!(tasks, 0, "no task is left behind");
            let events = trace.events();
            sleep(Duration::from_secs(3600)).await;
            prop_assert_eq!(trace.events().len(), events.len(), "nothing happens afterwards");
            let storm = Storm { mix: &mix, events: &events, outcome: &outcome, took, asked: asks.first(), cut: asks.cut(), budget };
            storm.check()
        })?;
    }
}
