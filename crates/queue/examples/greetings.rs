//! An application of its own around the host, the worker and the queue in memory: `cargo run -p posthaste-queue --example
//! greetings`. With `posthaste-store` in place of the memory queue the same jobs outlive the process.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use posthaste_host::{Host, Stop};
use posthaste_queue::{
    Backoff, End, Hold, Job, JobError, JobHandler, JobId, JobMeta, LaneConfig, MemoryQueue, NewJob,
    Outcome, Queue, Registry, ScopeError, ScopeFactory, SharedLimits, Worker, WorkerConfig,
};
use serde::{Deserialize, Serialize};

/// What is to be done.
#[derive(Serialize, Deserialize)]
struct Greet {
    name: String,
}

impl Job for Greet {
    const KIND: &'static str = "greet";
}

/// One job's own services; here no more than the number of its attempt.
struct Scopes;

#[async_trait]
impl ScopeFactory for Scopes {
    type Root = u32;
    type Scope<'job> = &'job u32;

    async fn open(&self, job: &JobMeta, _hold: Hold) -> Result<u32, ScopeError> {
        Ok(job.attempt)
    }

    fn scope(root: &u32) -> &u32 {
        root
    }

    async fn close(&self, _root: u32, _end: End) {}
}

struct Greeter {
    stop: Stop,
}

#[async_trait]
impl JobHandler<Scopes> for Greeter {
    type Job = Greet;
    type Effects = ();

    #[expect(clippy::print_stdout, reason = "an example speaks to a person")]
    async fn handle(&self, job: Greet, attempt: &u32) -> Result<Outcome<()>, JobError> {
        println!("hello {}, attempt {attempt}", job.name);
        self.stop.request();
        Ok(Outcome::done())
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (stop, lane) = (Stop::new(), "greetings".parse()?);
    let queue = Arc::new(MemoryQueue::new());
    let job = NewJob::of(
        JobId::from_uuid(uuid::Uuid::new_v4()),
        lane,
        &Greet {
            name: "Ada".to_owned(),
        },
    )?;
    let lanes = vec![LaneConfig {
        lane: job.lane.clone(),
        priority: 0,
        permits: 4,
        shared: SharedLimits::default(),
    }];
    queue.push(vec![job]).await?;
    let config = WorkerConfig {
        lanes,
        poll: Duration::from_secs(1),
        recent_claim: Duration::from_secs(2),
        deadline: Duration::from_secs(60),
        channel_capacity: 500,
        backoff: Backoff::default(),
    };
    let registry = Registry::new().with(Greeter { stop: stop.clone() });
    let worker = Worker::new(queue, Scopes, registry, config)?;
    let stopped = Host::builder()
        .service(worker)
        .stop(stop)
        .build()
        .run()
        .await?;
    std::process::exit(stopped.exit_code().into());
}
