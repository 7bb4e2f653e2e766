use async_trait::async_trait;
use posthaste_queue::{
    End, Hold, Job, JobError, JobHandler, JobMeta, Outcome, ScopeError, ScopeFactory};
use serde::{Deserialize, Serialize};

pub struct Database(String);

pub struct Scopes;

#[async_trait]
impl ScopeFactory for Scopes {
    type Root = Database;
    type Scope<'job> = &'job Database;

    async fn open(&self, job: &JobMeta, _hold: Hold) -> Result<Database, ScopeError> {
        Ok(Database(job.kind.clone()))
    }

    fn scope(root: &Database) -> &Database {
        root
    }

    async fn close(&self, _root: Database, _end: End) {}
}

#[derive(Serialize, Deserialize)]
pub struct Greet;

impl Job for Greet {
    const KIND: &'static str = "greet";
}

pub struct Greeter {
    kept: std::sync::Mutex<Option<&'static Database>>,
}

#[async_trait]
impl JobHandler<Scopes> for Greeter {
    type Job = Greet;
    type Effects = ();

    async fn handle(&self, _job: Greet, scope: &Database) -> Result<Outcome<()>, JobError> {
        *self.kept.lock().unwrap() = Some(scope);
        Ok(Outcome::done())
    }
}

fn main() {}
