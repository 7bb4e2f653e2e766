//! A store in a folder of its own, and messages to put into it.

use std::{collections::BTreeMap, path::Path, sync::Arc, time::Duration};

use posthaste_domain::{
    clock::{Clock, ManualClock, SystemClock, Timestamp, later},
    id::{DeliveryId, MessageId},
    message::{Content, ExtraHeader, InternetMessageId, NewDelivery, NewMessage, Recipients, Tag},
    owner::Owner,
};
use posthaste_migrations::Migrator;
use posthaste_queue::{
    BootId, ClaimRequest, ClaimedJob, JobId, LaneDemand, NewJob, Queue, SharedLimits,
};
use posthaste_store::{DatabasePlace, Migrate, OpenError, Opened, Store, StoreConfig};
use sea_orm::{ConnectOptions, ConnectionTrait, Database, DatabaseConnection, Statement};
use secrecy::ExposeSecret;
use tempfile::TempDir;
use uuid::Uuid;

/// A store on a file that goes away with the value.
pub(crate) struct Bench {
    pub(crate) store: Arc<Store>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) folder: TempDir,
    place: DatabasePlace,
}

impl Bench {
    pub(crate) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    /// A store with other bounds.
    pub(crate) async fn with(change: impl FnOnce(&mut StoreConfig)) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let clock = Arc::new(ManualClock::at(SystemClock.now()));
        let place = place(folder.path()).await;
        let (bench, opened) = Self::opened(folder, place, clock, change).await;
        assert!(opened.migrations > 0, "a new database gets its schema");
        bench
    }

    /// Drops the store as a crash would, without leaving, and opens the file again.
    pub(crate) async fn reopen(self) -> (Self, Opened) {
        self.reopen_with(|_| {}).await
    }

    /// The same with other bounds.
    pub(crate) async fn reopen_with(self, change: impl FnOnce(&mut StoreConfig)) -> (Self, Opened) {
        let Self {
            store,
            clock,
            folder,
            place,
        } = self;
        store.close().await;
        drop(store);
        Self::opened(folder, place, clock, change).await
    }

    async fn opened(
        folder: TempDir,
        place: DatabasePlace,
        clock: Arc<ManualClock>,
        change: impl FnOnce(&mut StoreConfig),
    ) -> (Self, Opened) {
        let mut config = config(folder.path());
        config.database = place.clone();
        change(&mut config);
        let now: Arc<dyn Clock> = Arc::<ManualClock>::clone(&clock);
        let opened = Store::open::<Migrator>(config, now, Migrate::Apply).await;
        let (store, opened) = opened.expect("the database opens");
        (
            Self {
                store: Arc::new(store),
                clock,
                folder,
                place,
            },
            opened,
        )
    }

    /// A second node on the same database; none where one process alone serves it.
    pub(crate) async fn peer(&self) -> Option<Arc<Store>> {
        let DatabasePlace::Postgres(_) = &self.place else {
            return None;
        };
        let mut config = config(self.folder.path());
        config.database = self.place.clone();
        let clock: Arc<dyn Clock> = Arc::<ManualClock>::clone(&self.clock);
        let opened = Store::open::<Migrator>(config, clock, Migrate::Refuse).await;
        Some(Arc::new(opened.expect("the database opens").0))
    }

    /// Lets time pass, for everything that is stored too.
    pub(crate) async fn advance(&self, by: Duration) {
        self.clock.advance(by);
        let DatabasePlace::Postgres(_) = &self.place else {
            return;
        };
        // There the database's own clock counts, which nobody sets: what is stored moves back instead.
        let by = by.as_micros();
        let shift = format!(
            "UPDATE jobs SET run_at = run_at - {by}, expires_at = expires_at - {by}; \
             UPDATE dead_jobs SET died_at = died_at - {by}, expires_at = expires_at - {by}; \
             UPDATE deliveries SET updated_at = updated_at - {by}; UPDATE messages SET created_at = created_at - {by}, \
             scheduled_at = scheduled_at - {by}, expires_at = expires_at - {by}; \
             UPDATE idempotency_keys SET created_at = created_at - {by}; \
             UPDATE nodes SET left_at = left_at - {by}"
        );
        let outside = self.connect().await;
        let shifted = outside.execute_unprepared(&shift).await;
        shifted.expect("the rows are there");
    }

    pub(crate) fn place(&self) -> &DatabasePlace {
        &self.place
    }

    /// A store on a copy of the SQLite file and its log as they are now: what a crash would leave.
    pub(crate) async fn image(&self) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        for file in ["posthaste.db", "posthaste.db-wal"] {
            let copied = std::fs::copy(self.folder.path().join(file), folder.path().join(file));
            copied.expect("a SQLite file and its log");
        }
        let place = DatabasePlace::Sqlite(folder.path().join("posthaste.db"));
        let clock = Arc::clone(&self.clock);
        Self::opened(folder, place, clock, |_| {}).await.0
    }

    /// Whether the database is a server's, not a file of ours.
    pub(crate) fn is_on_a_server(&self) -> bool {
        matches!(self.place, DatabasePlace::Postgres(_))
    }

    /// A connection from outside.
    pub(crate) async fn connect(&self) -> DatabaseConnection {
        let url = match &self.place {
            DatabasePlace::Sqlite(path) => format!("sqlite://{}", path.display()),
            DatabasePlace::Postgres(url) => url.expose_secret().to_owned(),
        };
        let mut options = ConnectOptions::new(url);
        options.max_connections(1).sqlx_logging(false);
        let connected = Database::connect(options).await;
        connected.expect("the database can be opened")
    }

    pub(crate) fn message(&self, to: &[&str]) -> NewMessage {
        message(self.clock.now(), to)
    }

    pub(crate) async fn claim(&self, boot: BootId, limit: usize) -> Vec<ClaimedJob> {
        claim(&self.store, boot, "transactional", limit).await
    }
}

/// The first number of the first row.
pub(crate) async fn number(connection: &DatabaseConnection, sql: &str) -> i64 {
    let asked = Statement::from_string(connection.get_database_backend(), sql);
    let row = connection.query_one_raw(asked).await;
    let row = row.expect("the database answers").expect("a row");
    row.try_get_by_index(0).expect("a number")
}

/// How many rows a table has.
pub(crate) async fn rows(connection: &DatabaseConnection, table: &str) -> i64 {
    number(connection, &format!("SELECT count(*) FROM {table}")).await
}

/// A job of the lane `a` for nobody in particular.
pub(crate) fn job(number: u128, delay: Duration) -> NewJob {
    NewJob {
        id: JobId::from_uuid(Uuid::from_u128(number)),
        lane: "a".parse().expect("a lane"),
        kind: "case".into(),
        payload: "{}".into(),
        delay,
        tenant: String::new(),
        unique: None,
        expires_in: None,
    }
}

/// Claims from a lane without limits.
pub(crate) async fn claim(
    store: &Store,
    boot: BootId,
    lane: &str,
    limit: usize,
) -> Vec<ClaimedJob> {
    let request = ClaimRequest {
        boot,
        lanes: vec![LaneDemand {
            lane: lane.parse().expect("a valid lane"),
            limit,
            shared: SharedLimits::default(),
        }],
    };
    let claimed = store.claim(request).await;
    claimed.expect("the queue gives jobs out").jobs
}

/// A database of its own: a SQLite file in the folder, or, where the run says so, a new one on the PostgreSQL server of
/// the test run. So the same cases are run on both.
async fn place(folder: &Path) -> DatabasePlace {
    if variable("POSTHASTE_TEST_STORE").as_deref() == Some("postgres") {
        let url = variable("TEST_DATABASE_URL").expect("tests/run starts a PostgreSQL server");
        new_database(&url).await
    } else {
        DatabasePlace::Sqlite(folder.join("posthaste.db"))
    }
}

/// The server of the test run, if it has one.
pub(crate) fn server() -> Option<String> {
    let url = variable("TEST_DATABASE_URL");
    assert!(
        url.is_some() || variable("CI").is_none(),
        "TEST_DATABASE_URL is not set: tests/run starts a PostgreSQL server"
    );
    url
}

/// A new, empty database on the server of the test run, which takes it along when it ends.
pub(crate) async fn new_database(server: &str) -> DatabasePlace {
    let name = format!("t{}", uuid::Uuid::new_v4().simple());
    let connection = Database::connect(format!("{server}/postgres")).await;
    let connection = connection.expect("the server of the test run answers");
    let create = format!("CREATE DATABASE {name}");
    let created = connection.execute_unprepared(&create).await;
    created.expect("a database can be made");
    DatabasePlace::Postgres(format!("{server}/{name}").into())
}

#[expect(
    clippy::disallowed_methods,
    reason = "switches of the test run, not settings of the program"
)]
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Keeps everybody else from writing, as a backup tool might.
pub(crate) struct Outsider(DatabaseConnection);

impl Outsider {
    pub(crate) async fn lock(bench: &Bench) -> Self {
        let connection = bench.connect().await;
        let lock = match &bench.place {
            DatabasePlace::Sqlite(_) => "BEGIN IMMEDIATE",
            DatabasePlace::Postgres(_) => {
                "BEGIN; LOCK TABLE messages, jobs, users, idempotency_keys IN EXCLUSIVE MODE"
            }
        };
        let locked = connection.execute_unprepared(lock).await;
        locked.expect("nobody writes now");
        Self(connection)
    }

    pub(crate) async fn release(self) {
        let released = self.0.execute_unprepared("ROLLBACK").await;
        released.expect("the lock is ours");
        self.0.close().await.expect("the connection closes");
    }
}

pub(crate) fn config(folder: &Path) -> StoreConfig {
    StoreConfig {
        database: DatabasePlace::Sqlite(folder.join("posthaste.db")),
        busy_timeout: Duration::from_secs(5),
        read_connections: 2,
        intake_commands: 1000,
        intake_bytes: 16 << 20,
        batch: 256,
        checkpoint_above: 32 << 20,
        idempotency_keys: Duration::from_secs(86_400),
        sealing_key: "5e".repeat(32).parse().expect("a key"),
        disk_floor: 0,
        hints: true,
        old_snapshot: Duration::from_secs(300),
    }
}

pub(crate) async fn open(
    folder: &Path,
    clock: &Arc<ManualClock>,
) -> Result<(Store, Opened), OpenError> {
    let clock: Arc<dyn Clock> = Arc::<ManualClock>::clone(clock);
    Store::open::<Migrator>(config(folder), clock, Migrate::Apply).await
}

pub(crate) fn owner() -> Owner {
    "acme".parse().expect("a valid owner")
}

pub(crate) fn message(now: Timestamp, to: &[&str]) -> NewMessage {
    let id = MessageId::new(now);
    let from = "Acme <orders@acme.example>"
        .parse()
        .expect("a valid mailbox");
    let to: Vec<_> = to
        .iter()
        .map(|to| to.parse().expect("a valid mailbox"))
        .collect();
    let recipients = Recipients {
        to,
        ..Recipients::default()
    };
    let deliveries = recipients.envelope().cloned();
    let deliveries = deliveries
        .map(|recipient| NewDelivery {
            id: DeliveryId::new(now),
            recipient,
        })
        .collect();
    NewMessage {
        id,
        owner: owner(),
        stream: "transactional".parse().expect("a valid stream"),
        message_id: InternetMessageId::of(
            id,
            &"orders@acme.example".parse().expect("a valid address"),
        ),
        from,
        recipients,
        reply_to: vec!["help@acme.example".parse().expect("a valid mailbox")],
        content: Content::Inline {
            subject: "Your order".parse().expect("a valid subject"),
            html: Some("<b>on its way</b>".into()),
            text: None,
        },
        attachments: Vec::new(),
        headers: vec![ExtraHeader::new("X-Order", "42").expect("a valid header")],
        tags: vec![Tag::new("category", "order").expect("a valid tag")],
        metadata: BTreeMap::from([("order".to_owned(), "42".to_owned())]),
        created_at: now,
        scheduled_at: None,
        expires_at: later(now, Duration::from_secs(86_400)),
        deliveries,
    }
}
