//! A store on a database of its own, and the batches that are measured on it.

use std::{
    collections::BTreeMap,
    fmt,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use posthaste_domain::{
    clock::{Clock, SystemClock, later},
    id::{DeliveryId, MessageId},
    message::{Content, InternetMessageId, NewDelivery, NewMessage, Recipients},
    stores::{Accepted, MessageStore},
};
use posthaste_migrations::Migrator;
use posthaste_queue::{
    BootId, ClaimRequest, ClaimedJob, JobId, Lane, LaneDemand, NewJob, Queue, Settled, Settlement,
    SharedLimits, Verdict,
};
use posthaste_store::{DatabasePlace, Migrate, Scratch, SendEmail, Store, StoreConfig};
use sea_orm::{ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DbBackend};
use secrecy::ExposeSecret;
use tokio::task::JoinSet;
use uuid::Uuid;

/// Jobs of one batch.
pub(crate) const BATCH: usize = 100;
/// Jobs that are put in together when a state is made.
const PUSHED: usize = 1000;

/// Where databases can be had.
pub(crate) enum Server {
    File(PathBuf),
    Postgres(String),
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::File(_) => "SQLite",
            Self::Postgres(_) => "PostgreSQL",
        })
    }
}

/// A store with a node that claims.
pub(crate) struct Yard {
    pub(crate) store: Arc<Store>,
    scratch: Scratch,
    boot: BootId,
}

impl Yard {
    pub(crate) async fn on(server: &Server) -> Self {
        let place = match server {
            Server::File(folder) => {
                DatabasePlace::Sqlite(folder.join(format!("{}.db", Uuid::new_v4())))
            }
            Server::Postgres(url) => DatabasePlace::Postgres(url.as_str().into()),
        };
        let scratch = Scratch::make(place).await.expect("a database can be made");
        let config = config(scratch.place().clone());
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let opened = Store::open::<Migrator>(config, clock, Migrate::Apply).await;
        let (store, _) = opened.expect("the database opens");
        let boot = BootId::random();
        store.join(boot).await.expect("a node can join");
        Self {
            store: Arc::new(store),
            scratch,
            boot,
        }
    }

    /// Puts jobs in, many at a time.
    pub(crate) async fn push(&self, jobs: usize) {
        for first in (0..jobs).step_by(PUSHED) {
            let jobs = (first..jobs.min(first + PUSHED)).map(|_| job()).collect();
            self.store.push(jobs).await.expect("the queue takes jobs");
        }
    }

    /// One batch from the first claim to the last end.
    pub(crate) async fn claim_and_settle(&self) -> Duration {
        let began = Instant::now();
        let claimed = self.claim().await;
        self.settle(claimed).await;
        began.elapsed()
    }

    async fn claim(&self) -> Vec<ClaimedJob> {
        let demand = LaneDemand {
            lane: lane(),
            limit: BATCH,
            shared: SharedLimits::default(),
        };
        let request = ClaimRequest {
            boot: self.boot,
            lanes: vec![demand],
        };
        let claimed = self.store.claim(request).await.expect("the queue answers");
        assert_eq!(claimed.jobs.len(), BATCH, "as many are pending as ever");
        claimed.jobs
    }

    async fn settle(&self, claimed: Vec<ClaimedJob>) {
        let done = |job: ClaimedJob| Settlement {
            lease: job.lease,
            verdict: Verdict::Done,
            effects: None,
        };
        let batch = claimed.into_iter().map(done).collect();
        let settled = self.store.settle(batch).await.expect("the queue answers");
        assert!(settled.iter().all(|settled| *settled == Settled::Applied));
    }

    /// As many mails as a batch holds, accepted at the same time.
    pub(crate) async fn accept(&self) -> Duration {
        let messages: Vec<_> = (0..BATCH).map(|_| message()).collect();
        let began = Instant::now();
        let mut callers = JoinSet::new();
        for message in messages {
            let store = Arc::clone(&self.store);
            callers.spawn(async move { store.accept(message, None).await });
        }
        while let Some(accepted) = callers.join_next().await {
            let accepted = accepted.expect("a caller ends").expect("the store answers");
            assert_eq!(accepted, Accepted::Stored);
        }
        began.elapsed()
    }

    /// A connection from outside.
    pub(crate) async fn connect(&self) -> DatabaseConnection {
        let url = match self.scratch.place() {
            DatabasePlace::Sqlite(path) => format!("sqlite://{}", path.display()),
            DatabasePlace::Postgres(url) => url.expose_secret().to_owned(),
        };
        let mut options = ConnectOptions::new(url);
        options.max_connections(1).sqlx_logging(false);
        let connected = Database::connect(options).await;
        connected.expect("the database can be opened")
    }

    /// Does what the databases would do by themselves after a while.
    pub(crate) async fn settled_down(&self) {
        let connection = self.connect().await;
        let chores: &[&str] = match connection.get_database_backend() {
            DbBackend::Postgres => &["VACUUM ANALYZE", "CHECKPOINT"],
            _ => &["PRAGMA wal_checkpoint(PASSIVE)"],
        };
        for chore in chores {
            let done = connection.execute_unprepared(chore).await;
            done.expect("a chore can be done");
        }
        connection.close().await.expect("a connection closes");
    }

    pub(crate) async fn remove(self) {
        self.store.close().await;
        self.scratch
            .remove()
            .await
            .expect("what was made can be removed");
    }
}

pub(crate) fn lane() -> Lane {
    "transactional".parse().expect("a valid lane")
}

fn job() -> NewJob {
    let id = Uuid::now_v7();
    let job = NewJob::of(JobId::from_uuid(id), lane(), &SendEmail { message: id });
    job.expect("a job can be written down")
}

pub(crate) fn message() -> NewMessage {
    let now = SystemClock.now();
    let id = MessageId::new(now);
    let from = "orders@acme.example";
    NewMessage {
        id,
        owner: "acme".parse().expect("a valid owner"),
        stream: "transactional".parse().expect("a valid stream"),
        message_id: InternetMessageId::of(id, &from.parse().expect("a valid address")),
        from: from.parse().expect("a valid mailbox"),
        recipients: Recipients {
            to: vec!["ada@example.com".parse().expect("a valid mailbox")],
            ..Recipients::default()
        },
        reply_to: Vec::new(),
        content: Content::Inline {
            subject: "Your order".parse().expect("a valid subject"),
            html: Some("x".repeat(700)),
            text: None,
        },
        attachments: Vec::new(),
        headers: Vec::new(),
        tags: Vec::new(),
        metadata: BTreeMap::new(),
        created_at: now,
        scheduled_at: None,
        expires_at: later(now, Duration::from_secs(86_400)),
        deliveries: vec![NewDelivery {
            id: DeliveryId::new(now),
            recipient: "ada@example.com".parse().expect("a valid address"),
        }],
    }
}

fn config(database: DatabasePlace) -> StoreConfig {
    StoreConfig {
        hints: false,
        idempotency_keys: Duration::from_secs(86_400),
        old_snapshot: Duration::from_secs(3600),
        database,
        busy_timeout: Duration::from_secs(5),
        read_connections: 2,
        intake_commands: 1000,
        intake_bytes: 64 << 20,
        batch: 256,
        checkpoint_above: 32 << 20,
        sealing_key: "5e".repeat(32).parse().expect("a key"),
        disk_floor: 0,
    }
}
