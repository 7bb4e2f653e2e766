//! Runs each job in a scope of its own, under a deadline, and turns whatever happens into a settlement.

use std::{any::Any, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures_util::FutureExt;
use posthaste_host::Stop;
use tokio::{sync::mpsc, task::JoinSet};
use tracing::{Instrument, error, info_span, warn};

use super::{WorkerConfig, apart::Apart, jitter, settler::Ended};
use crate::{
    backoff::Backoff,
    channel::Receiver,
    controls::Controls,
    handler::{JobError, Outcome},
    handover::{Held, Life},
    job::{ClaimedJob, JobMeta},
    pulse::Pulse,
    registry::Registry,
    scope::{End, Hold, ScopeFactory},
    suspect::APART_FROM,
    verdict::{Settlement, Verdict},
};

/// How long a job of a kind that nobody here knows waits: a node of another release may know it.
const UNKNOWN_KIND_WAIT: Duration = Duration::from_secs(60);

pub(super) struct Executor<F: ScopeFactory, E> {
    runner: Arc<Runner<F, E>>,
    pulse: Pulse,
    controls: Controls,
    apart: Arc<Apart>,
    ended: mpsc::Sender<Ended<E>>,
}

impl<F: ScopeFactory, E: Send + Sync + 'static> Executor<F, E> {
    pub(super) fn new(
        runner: Arc<Runner<F, E>>,
        life: &Life,
        apart: Arc<Apart>,
        ended: mpsc::Sender<Ended<E>>,
    ) -> Self {
        Self {
            runner,
            pulse: life.pulse.clone(),
            controls: life.controls.clone(),
            apart,
            ended,
        }
    }

    /// Runs what comes through the channel until a stop is requested, gives back what has not begun, and waits for what
    /// runs. Each running job holds a permit, so their number is bounded.
    pub(super) async fn run(self, channel: Receiver<Held>, stop: &Stop) {
        let mut running = JoinSet::new();
        while let Some(held) = channel.recv_until(stop).await {
            while running.try_join_next().is_some() {}
            if !self.pulse.is_fresh() || self.controls.is_paused(&held.job.meta.lane) {
                self.give_back(held).await;
                continue;
            }
            let suspect = held.job.meta.crashes >= APART_FROM;
            let (runner, ended) = (Arc::clone(&self.runner), self.ended.clone());
            let hold = Hold::new(&held.job.lease, stop.child(), self.pulse.clone())
                .switched_by(self.controls.clone(), held.job.meta.lane.clone());
            let apart = suspect.then(|| Arc::clone(&self.apart));
            running.spawn(async move {
                let in_hand = apart.as_ref().map(|apart| apart.until_dropped());
                let end = runner.attempt(held, hold).await;
                drop(in_hand);
                report(&ended, end).await;
            });
            if suspect {
                tokio::select! {
                    () = self.apart.not_alone() => {}
                    () = stop.requested() => {}
                }
            }
        }
        // Closed first: a hand-over that comes later is refused instead of forgotten.
        channel.close();
        while let Some(held) = channel.try_recv() {
            self.give_back(held).await;
        }
        while running.join_next().await.is_some() {}
    }

    async fn give_back(&self, Held { job, permit }: Held) {
        if job.meta.crashes >= APART_FROM {
            self.apart.end();
        }
        let settlement = Settlement {
            lease: job.lease,
            verdict: Verdict::Release,
            effects: None,
        };
        report(&self.ended, Ended { settlement, permit }).await;
    }
}

/// The settler outlives every executor, so this fails only while the process ends in disorder: leaving the queue, or the
/// next start, then gives the job back.
async fn report<E>(ended: &mpsc::Sender<Ended<E>>, end: Ended<E>) {
    if ended.send(end).await.is_err() {
        error!("a job ended after its settler");
    }
}

pub(super) struct Runner<F: ScopeFactory, E> {
    factory: Arc<F>,
    registry: Registry<F, E>,
    deadline: Duration,
    backoff: Backoff,
}

/// How a handler ended.
enum Ran<E> {
    Returned(Result<Outcome<E>, JobError>),
    Panicked(String),
    Late,
    Stopped,
}

impl<E> Ran<E> {
    fn end(&self) -> End {
        match self {
            Self::Returned(Ok(_)) => End::Completed,
            Self::Returned(Err(_)) => End::Failed,
            Self::Panicked(_) => End::Panicked,
            Self::Late | Self::Stopped => End::Cancelled,
        }
    }
}

impl<F: ScopeFactory, E: Send + Sync + 'static> Runner<F, E> {
    pub(super) fn new(factory: Arc<F>, registry: Registry<F, E>, config: &WorkerConfig) -> Self {
        Self {
            factory,
            registry,
            deadline: config.deadline,
            backoff: config.backoff,
        }
    }

    async fn attempt(&self, held: Held, hold: Hold) -> Ended<E> {
        let Held {
            job:
                ClaimedJob {
                    lease,
                    meta,
                    payload,
                },
            permit,
        } = held;
        let span = info_span!("job", job.id = %meta.id, lane = %meta.lane, attempt = meta.attempt);
        let outcome = async {
            // Scopes are written by embedders too: a panic while one opens or closes ends the attempt, not the worker.
            match AssertUnwindSafe(self.run(&meta, &payload, &hold))
                .catch_unwind()
                .await
            {
                Ok(outcome) => outcome,
                Err(panic) => {
                    Outcome::of(self.failed(&meta, &format!("panicked: {}", panic_text(&*panic))))
                }
            }
        };
        let Outcome { verdict, effects } = outcome.instrument(span).await;
        Ended {
            settlement: Settlement {
                lease,
                verdict,
                effects,
            },
            permit,
        }
    }

    async fn run(&self, meta: &JobMeta, payload: &str, hold: &Hold) -> Outcome<E> {
        let Some(handler) = self.registry.get(&meta.kind) else {
            error!(
                kind = meta.kind,
                "no handler for this kind of job; leaving it to other nodes"
            );
            return Outcome::of(Verdict::Snooze {
                after: UNKNOWN_KIND_WAIT,
            });
        };
        let root = match self.factory.open(meta, hold.clone()).await {
            Ok(root) => root,
            Err(error) => return Outcome::of(self.failed(meta, &chain(&error))),
        };
        let ran = {
            let handling = AssertUnwindSafe(handler.run(payload, F::scope(&root))).catch_unwind();
            tokio::select! {
                biased;
                result = handling => match result {
                    Ok(result) => Ran::Returned(result),
                    Err(panic) => Ran::Panicked(panic_text(&*panic)),
                },
                () = hold.stop().forced() => Ran::Stopped,
                () = tokio::time::sleep(self.deadline) => Ran::Late,
            }
        };
        // Whatever the scope lent out lets nothing more pass from here on.
        hold.stop().force();
        self.factory.close(root, ran.end()).await;
        self.conclude(meta, ran)
    }

    fn conclude(&self, meta: &JobMeta, ran: Ran<E>) -> Outcome<E> {
        match ran {
            Ran::Returned(Ok(outcome)) => outcome,
            Ran::Returned(Err(error)) => Outcome::of(self.failed(meta, &chain(&error))),
            Ran::Panicked(text) => Outcome::of(self.failed(meta, &format!("panicked: {text}"))),
            Ran::Stopped => Outcome::of(Verdict::Release),
            Ran::Late => {
                let error = format!(
                    "ran longer than its deadline of {} s",
                    self.deadline.as_secs()
                );
                error!(error, "job was ended");
                let after = self
                    .backoff
                    .after(meta.attempt, jitter())
                    .unwrap_or(self.backoff.longest);
                Outcome::of(Verdict::Crashed { after, error })
            }
        }
    }

    fn failed(&self, meta: &JobMeta, error: &str) -> Verdict {
        match self.backoff.after(meta.attempt, jitter()) {
            Some(after) => {
                warn!(error, retry_after_ms = after.as_millis(), "job failed");
                Verdict::Retry {
                    after,
                    error: error.to_owned(),
                }
            }
            None => {
                error!(error, "job failed for the last time");
                Verdict::Dead {
                    reason: error.to_owned(),
                }
            }
        }
    }
}

/// The text of an error and of all that caused it.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "without a message".to_owned())
}
