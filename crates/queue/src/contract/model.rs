//! Random sequences of commands, on a backend and on the queue in memory side by side.
//!
//! Every answer and everything that can be seen afterwards must be the same (P10). Two backends that both agree with the
//! one in memory agree with each other.

mod steps;

use std::{fmt::Debug, time::Duration};

use uuid::Uuid;

pub use self::steps::{Ending, Entering, Step, steps};
use self::steps::{LANES, NODES};
use super::tools::HOUR;
use crate::{
    job::{ClaimedJob, JobId, Lane, NewJob},
    lease::{BootId, Fence, Lease},
    memory::MemoryQueue,
    operate::{DeadFilter, DeadJob, LaneStatus, Operate},
    queue::{ClaimRequest, LaneDemand, Queue, SharedLimits},
    verdict::{Settlement, Verdict},
};

/// Runs the steps on `queue` and on a queue in memory, and says where they part.
///
/// `space` keeps the lanes, keys and ids of
/// one run apart from those of others on the same database; nothing else may work on it meanwhile. `tick` lets a little
/// time pass on the backend's clock, before each step: what dies later is shown as newer.
///
/// # Errors
/// The step, and what each of the two showed.
pub async fn follow<Q: Queue + Operate>(
    queue: &Q,
    space: u64,
    steps: &[Step],
    tick: impl Fn(),
) -> Result<(), String> {
    let told = |error| format!("{error:?}");
    let mut run = Run::new(space);
    for boot in run.boots {
        queue.join(boot).await.map_err(told)?;
    }
    let followed = run.follow(queue, steps, tick).await;
    // What is held or due goes, so that the next run promotes only its own.
    for boot in run.boots {
        queue.leave(boot).await.map_err(told)?;
    }
    queue.promote().await.map_err(told)?;
    followed
}

/// A step with everything chosen.
#[derive(Debug)]
enum Plan {
    Nothing,
    Push(Vec<NewJob>),
    Claim(ClaimRequest),
    ClaimSuspect(BootId),
    Settle(Held, Verdict),
    Leave(usize, BootId),
    Promote,
    Pause(Lane),
    Resume(Lane),
    Cancel(JobId),
    Reschedule(JobId, Duration),
    RetryDead(DeadFilter),
    DiscardDead(DeadFilter),
}

/// A lease that can be written down more than once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Held {
    job: JobId,
    fence: Fence,
    boot: BootId,
}

/// What a command answered.
#[derive(Debug, Default, PartialEq)]
struct Answer {
    jobs: Vec<Given>,
    words: String,
}

/// A job as it was given out.
#[derive(Debug, PartialEq)]
struct Given {
    held: Held,
    lane: Lane,
    attempt: u32,
    crashes: u32,
    tenant: String,
    payload: String,
}

impl From<ClaimedJob> for Given {
    fn from(job: ClaimedJob) -> Self {
        let ClaimedJob {
            lease:
                Lease {
                    job: id,
                    fence,
                    boot,
                },
            meta,
            payload,
        } = job;
        Self {
            held: Held {
                job: id,
                fence,
                boot,
            },
            lane: meta.lane,
            attempt: meta.attempt,
            crashes: meta.crashes,
            tenant: meta.tenant,
            payload,
        }
    }
}

/// Everything that can be seen of this run's jobs, times left out.
#[derive(Debug, PartialEq)]
struct Look {
    lanes: Vec<LaneStatus>,
    dead: Vec<DeadJob>,
    held: Vec<(JobId, Fence)>,
}

struct Run {
    space: u64,
    boots: [BootId; NODES],
    entered: Vec<NewJob>,
    held: Vec<Held>,
    ended: Vec<Held>,
}

impl Run {
    fn new(space: u64) -> Self {
        Self {
            space,
            boots: std::array::from_fn(|_| BootId::random()),
            entered: Vec::new(),
            held: Vec::new(),
            ended: Vec::new(),
        }
    }

    async fn follow<Q: Queue + Operate>(
        &mut self,
        queue: &Q,
        steps: &[Step],
        tick: impl Fn(),
    ) -> Result<(), String> {
        let model = MemoryQueue::<()>::new();
        for (number, step) in steps.iter().enumerate() {
            tick();
            let plan = self.plan(step);
            let expected = self.apply(&model, &plan).await;
            let seen = self.apply(queue, &plan).await;
            if expected != seen {
                return Err(format!(
                    "step {number}, {step:?}:\n  model   {expected:?}\n  backend {seen:?}"
                ));
            }
            self.note(&plan, expected?.jobs)?;
            let (expected, seen) = (self.look(&model).await, self.look(queue).await);
            if expected != seen {
                return Err(format!(
                    "after step {number}, {step:?}:\n  model   {expected:?}\n  backend {seen:?}"
                ));
            }
        }
        Ok(())
    }

    fn lane(&self, lane: usize) -> Lane {
        let name = format!("{}-{lane}", self.space);
        name.parse().expect("a lane's name")
    }

    fn of_lane(&self, lane: usize) -> DeadFilter {
        DeadFilter {
            lane: Some(self.lane(lane)),
            ..DeadFilter::default()
        }
    }

    fn job(&self, number: usize, entering: &Entering) -> NewJob {
        let number = self.entered.len() + number;
        NewJob {
            id: JobId::from_uuid(Uuid::from_u64_pair(self.space, number as u64)),
            lane: self.lane(entering.lane),
            kind: "case".to_owned(),
            payload: format!("{{\"number\":{number}}}"),
            delay: if entering.waits { HOUR } else { Duration::ZERO },
            tenant: ["x", "y", "z"][entering.tenant].to_owned(),
            expires_in: entering.over.then_some(Duration::ZERO),
            unique: entering.unique.map(|key| format!("{}-{key}", self.space)),
        }
    }

    fn plan(&mut self, step: &Step) -> Plan {
        let some = |number: usize, of: usize| (of > 0).then(|| number % of);
        match step {
            Step::Push(entering) => {
                let jobs = entering.iter().enumerate();
                let jobs: Vec<_> = jobs.map(|(number, job)| self.job(number, job)).collect();
                self.entered.extend(jobs.iter().cloned());
                Plan::Push(jobs)
            }
            Step::PushAgain(number) => {
                let held = some(*number, self.held.len()).map(|held| self.held[held].job);
                let again = self.entered.iter().find(|job| Some(job.id) == held);
                again.map_or(Plan::Nothing, |job| Plan::Push(vec![job.clone()]))
            }
            Step::Claim {
                node,
                lane,
                limit,
                at_once,
            } => Plan::Claim(ClaimRequest {
                boot: self.boots[*node],
                lanes: vec![LaneDemand {
                    lane: self.lane(*lane),
                    limit: *limit,
                    shared: SharedLimits {
                        at_once: *at_once,
                        rate: None,
                    },
                }],
            }),
            Step::ClaimSuspect(node) => Plan::ClaimSuspect(self.boots[*node]),
            Step::End(number, ending) => some(*number, self.held.len())
                .map_or(Plan::Nothing, |held| {
                    Plan::Settle(self.held[held], ending.verdict())
                }),
            Step::EndAgain(number) => some(*number, self.ended.len())
                .map_or(Plan::Nothing, |held| {
                    Plan::Settle(self.ended[held], Verdict::Done)
                }),
            Step::Leave(node) => Plan::Leave(*node, BootId::random()),
            Step::Promote => Plan::Promote,
            Step::Pause(lane) => Plan::Pause(self.lane(*lane)),
            Step::Resume(lane) => Plan::Resume(self.lane(*lane)),
            Step::Cancel(number) => some(*number, self.entered.len())
                .map_or(Plan::Nothing, |job| Plan::Cancel(self.entered[job].id)),
            Step::Reschedule(number, later) => {
                let delay = if *later { HOUR } else { Duration::ZERO };
                some(*number, self.entered.len()).map_or(Plan::Nothing, |job| {
                    Plan::Reschedule(self.entered[job].id, delay)
                })
            }
            Step::RetryDead(lane) => Plan::RetryDead(self.of_lane(*lane)),
            Step::DiscardDead(lane) => Plan::DiscardDead(self.of_lane(*lane)),
        }
    }

    async fn apply<Q: Queue + Operate>(&self, queue: &Q, plan: &Plan) -> Result<Answer, String> {
        let words = |answer: &dyn Debug| Answer {
            words: format!("{answer:?}"),
            ..Answer::default()
        };
        let jobs = |jobs: Vec<ClaimedJob>| Answer {
            jobs: jobs.into_iter().map(Given::from).collect(),
            ..Answer::default()
        };
        let answer = match plan {
            Plan::Nothing => Ok(Answer::default()),
            Plan::Push(new) => queue.push(new.clone()).await.map(|pushed| words(&pushed)),
            Plan::Claim(request) => queue
                .claim(request.clone())
                .await
                .map(|claimed| jobs(claimed.jobs)),
            Plan::ClaimSuspect(boot) => {
                let lanes = [self.lane(0), self.lane(1)];
                let claimed = queue.claim_suspect(*boot, &lanes).await;
                claimed.map(|claimed| jobs(claimed.into_iter().collect()))
            }
            Plan::Settle(held, verdict) => {
                let Held { job, fence, boot } = *held;
                let settlement = Settlement {
                    lease: Lease { job, fence, boot },
                    verdict: verdict.clone(),
                    effects: None,
                };
                let settled = queue.settle([settlement].into()).await;
                settled.map(|settled| words(&settled))
            }
            Plan::Leave(node, new) => match queue.leave(self.boots[*node]).await {
                Ok(()) => queue.join(*new).await.map(|_| Answer::default()),
                Err(error) => Err(error),
            },
            Plan::Promote => {
                let promoted = queue.promote().await;
                promoted.map(|promoted| words(&(promoted.count, promoted.expired)))
            }
            Plan::Pause(lane) => queue.pause(lane).await.map(|_| Answer::default()),
            Plan::Resume(lane) => queue.resume(lane).await.map(|_| Answer::default()),
            Plan::Cancel(job) => queue.cancel(*job).await.map(|end| words(&end)),
            Plan::Reschedule(job, delay) => {
                queue.reschedule(*job, *delay).await.map(|end| words(&end))
            }
            Plan::RetryDead(filter) => queue.retry_dead(filter, 100).await.map(|n| words(&n)),
            Plan::DiscardDead(filter) => queue.discard_dead(filter, 1).await.map(|n| words(&n)),
        };
        answer.map_err(|error| format!("{error:?}"))
    }

    /// Takes note of what the model answered, and that it broke no promise itself.
    fn note(&mut self, plan: &Plan, jobs: Vec<Given>) -> Result<(), String> {
        for Given { held, .. } in jobs {
            let known = self.held.iter().chain(&self.ended);
            let fences = known.filter(|known| known.job == held.job);
            if fences.clone().any(|known| known.fence >= held.fence) {
                return Err(format!("the fence of {held:?} was given out before"));
            }
            if self.held.iter().any(|other| other.job == held.job) {
                return Err(format!("{held:?} is held by another"));
            }
            self.held.push(held);
        }
        match plan {
            Plan::Settle(held, _) => {
                self.held.retain(|other| other != held);
                self.ended.push(*held);
            }
            Plan::Leave(node, new) => {
                let left = std::mem::replace(&mut self.boots[*node], *new);
                let gone = self.held.extract_if(.., |held| held.boot == left);
                self.ended.extend(gone);
            }
            _ => {}
        }
        Ok(())
    }

    async fn look<Q: Queue + Operate>(&self, queue: &Q) -> Result<Look, String> {
        let told = |error: crate::queue::QueueError| format!("{error:?}");
        let mine = |lane: &Lane| (0..LANES).any(|number| self.lane(number) == *lane);
        let lanes = queue.lanes().await.map_err(told)?.into_iter();
        let status = |lane: LaneStatus| LaneStatus {
            oldest: None,
            ..lane
        };
        // A lane that was only ever named shows nothing.
        let shows = |lane: &LaneStatus| *lane != LaneStatus::idle(lane.lane.clone());
        let mut dead = Vec::new();
        for lane in 0..LANES {
            let page = queue.dead(&self.of_lane(lane), None, 100).await;
            dead.extend(page.map_err(told)?.into_iter().map(|dead| DeadJob {
                age: Duration::ZERO,
                dead_for: Duration::ZERO,
                ..dead
            }));
        }
        let mut held = Vec::new();
        for boot in self.boots {
            held.extend(queue.held(boot).await.map_err(told)?);
        }
        held.sort_unstable();
        Ok(Look {
            lanes: lanes
                .filter(|lane| mine(&lane.lane))
                .map(status)
                .filter(shows)
                .collect(),
            dead,
            held,
        })
    }
}
