//! From settings to services. The only place that names concrete backends.

mod accounts;
mod keys;
mod memory;
mod services;
mod transports;
mod worker;
mod writing;

use std::{
    fmt, fs, io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use posthaste_domain::{
    account::Accounts,
    clock::{Clock, SystemClock},
    desk::MailDesk,
    key::KeyChain,
    raw::WriteMail,
    stores::{
        ApiKeyStore, AttachmentStore, Decisions, Housekeeping, MessageLists, MessageStore,
        StoreError, StoreHealth, TemplateVersions,
    },
    stream::{StreamPolicy, Streams},
};
use posthaste_host::{Host, HostBuilder, HostedService, ServiceOptions};
use posthaste_mail::{
    Deliver, Library,
    file::FolderError,
    render::{LoadError, SourceError},
};
use posthaste_migrations::Migrator;
use posthaste_queue::{Operate, Queue, Registry, Worker, WorkerError};
use posthaste_scheduler::{First, InvalidInterval, Schedule, Scheduler};
use posthaste_store::{DatabasePlace, Migrate, OpenError, Opened, Store, StoreConfig};
use tracing::{info, warn};

pub use self::keys::OpenKeys;
use self::services::{Boxed, StoreService, WorkerService};
use crate::{
    jobs::{CleanUp, SendEmailHandler},
    memory_streams::MemoryStreams,
    outbox::Outbox,
    password::PoolError,
    readiness::Readiness,
    scopes::{JobScopes, Services},
    secret_key::{self, SecretKeyError},
    settings::{Place, Role, Settings},
};

/// Why the services could not be put together.
#[derive(Debug, thiserror::Error)]
pub enum ComposeError {
    /// The folder for the data cannot be made.
    #[error("{} cannot be made", path.display())]
    DataDir {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file with the key of stored secrets.
    #[error(transparent)]
    SecretKey(#[from] SecretKeyError),
    /// The database.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// Template files that cannot be read.
    #[error(transparent)]
    TemplateFiles(#[from] SourceError),
    /// Broken templates.
    #[error(transparent)]
    Templates(#[from] LoadError),
    /// The current template versions could not be stored.
    #[error("the template versions cannot be stored")]
    TemplateVersions(#[source] StoreError),
    /// A transport's folder.
    #[error("transport `{name}` cannot be used")]
    Folder {
        /// The transport.
        name: String,
        /// What is wrong.
        source: FolderError,
    },
    /// A transport's settings.
    #[error("transport `{name}` cannot be used")]
    Transport {
        /// The transport.
        name: String,
        /// What is wrong.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The password hasher.
    #[error(transparent)]
    Hasher(#[from] PoolError),
    /// The worker.
    #[error(transparent)]
    Worker(#[from] WorkerError),
    /// The clean-up's interval.
    #[error("scheduler.clean_up")]
    CleanUp(#[from] InvalidInterval),
}

/// What an interface such as the API works with, and the services that run behind it.
pub struct Composed {
    /// Takes drafts.
    pub desk: Arc<MailDesk>,
    /// Stored messages.
    pub messages: Arc<dyn MessageStore>,
    /// Lists of them.
    pub lists: Arc<dyn MessageLists>,
    /// What their attachments hold.
    pub attachments: Arc<dyn AttachmentStore>,
    /// Writes messages as they are sent.
    pub writer: Arc<dyn WriteMail>,
    /// What people decide about mail that has ended.
    pub decisions: Arc<dyn Decisions>,
    /// What operators do with the queue.
    pub operator: Arc<dyn Operate>,
    /// Enqueues inside transactions of an embedding application.
    pub outbox: Outbox,
    /// Accounts.
    pub accounts: Arc<Accounts>,
    /// The keys that are valid.
    pub keys: Arc<KeyChain>,
    /// The time of day.
    pub clock: Arc<dyn Clock>,
    /// Stored keys.
    pub stored_keys: Arc<dyn ApiKeyStore>,
    /// Whether the node should be sent requests.
    pub readiness: Arc<Readiness>,
    /// What opening the database found.
    pub opened: Opened,
    /// How many templates are loaded.
    pub templates: usize,
    services: Vec<Box<dyn HostedService>>,
}

impl fmt::Debug for Composed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let services: Vec<_> = self.services.iter().map(|service| service.name()).collect();
        f.debug_struct("Composed")
            .field("services", &services)
            .finish_non_exhaustive()
    }
}

impl Composed {
    /// A host with the services behind the interface, which is to be added last: it is stopped first then.
    pub fn host(&mut self, settings: &Settings) -> HostBuilder {
        let builder =
            Host::builder().stop_budget(settings.shutdown.budget + settings.shutdown.announce);
        std::mem::take(&mut self.services)
            .into_iter()
            .fold(builder, |builder, service| {
                let share = (service.name() == "worker").then_some(settings.shutdown.finish);
                builder.service_with(
                    ServiceOptions {
                        stop_share: share,
                        ..ServiceOptions::default()
                    },
                    Boxed(service),
                )
            })
    }
}

/// Puts everything together. Nothing runs yet but the store's writing task.
///
/// # Errors
/// [`ComposeError`].
pub async fn compose(
    settings: &Settings,
    migrate: Migrate,
    working_dir: &Path,
) -> Result<Composed, ComposeError> {
    let (composed, _store) = compose_with_store(settings, migrate, working_dir).await?;
    Ok(composed)
}

/// The same, with the store beside it.
pub(crate) async fn compose_with_store(
    settings: &Settings,
    migrate: Migrate,
    working_dir: &Path,
) -> Result<(Composed, Arc<Store>), ComposeError> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let library = Arc::new(writing::library(settings, working_dir)?);
    let (store, opened) = open_store(settings, &clock, migrate).await?;
    TemplateVersions::keep(&*store, library.versions())
        .await
        .map_err(ComposeError::TemplateVersions)?;
    let memory = memory::streams(settings, &store);
    let messages: Arc<dyn MessageStore> = Arc::<MemoryStreams>::clone(&memory);
    let streams: Streams = settings
        .streams
        .iter()
        .map(|stream| {
            (
                stream.name.clone(),
                StreamPolicy {
                    expiry: stream.expiry,
                    retry: stream.retry.clone(),
                    on_uncertain: stream.on_uncertain,
                },
            )
        })
        .collect();
    let templates = library.len();
    let catalog: Arc<Library> = Arc::clone(&library);
    let desk = Arc::new(MailDesk::new(
        Arc::clone(&messages),
        catalog,
        streams.clone(),
        Arc::clone(&clock),
    ));
    let accounts = Arc::new(accounts::accounts(settings, &store, &desk, &clock)?);
    let outbox = Outbox::new(Arc::clone(&desk), Arc::clone(&store));
    let health: Arc<dyn StoreHealth> = Arc::<Store>::clone(&store);
    let builder = Arc::new(writing::builder(settings, library, &store));
    let mut services: Vec<Box<dyn HostedService>> =
        vec![Box::new(StoreService(Arc::clone(&store)))];
    if settings.roles.contains(&Role::Scheduler) {
        services.push(Box::new(scheduler(settings, &store, &clock)?));
    }
    if settings.roles.contains(&Role::Worker) {
        let transports = transports::transports(settings, &|rate| store.buckets(rate))?;
        let deliver = Deliver::new(
            Arc::clone(&builder),
            transports,
            streams,
            Arc::clone(&clock),
            Arc::new(jitter),
        );
        let deliver = Arc::new(deliver);
        let senders = memory.senders(
            Arc::clone(&deliver),
            store.controls(),
            settings.queue.job_deadline,
        );
        let scopes = JobScopes::new(Services::new(
            Arc::clone(&messages),
            deliver,
            worker::holding(settings, &store),
        ));
        let registry = Registry::new().with(SendEmailHandler);
        let worker = Worker::new(
            Arc::clone(&store),
            scopes,
            registry,
            worker::config(settings),
        )?;
        store.hand_over_to(worker.handover());
        services.push(Box::new(WorkerService { worker, senders }));
    }
    let readiness = Arc::new(Readiness::starting(health));
    let composed = Composed {
        desk,
        messages,
        lists: Arc::<Store>::clone(&store),
        attachments: Arc::<Store>::clone(&store),
        writer: builder,
        decisions: Arc::<Store>::clone(&store),
        operator: Arc::<Store>::clone(&store),
        outbox,
        accounts,
        keys: Arc::new(KeyChain::new(
            keys::configured(settings),
            Arc::<Store>::clone(&store),
            Arc::clone(&clock),
        )),
        clock,
        stored_keys: Arc::<Store>::clone(&store),
        readiness,
        opened,
        templates,
        services,
    };
    Ok((composed, store))
}

/// Applies pending migrations and closes again.
///
/// # Errors
/// [`ComposeError`].
pub async fn migrate(settings: &Settings) -> Result<Opened, ComposeError> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let (store, opened) = open_store(settings, &clock, Migrate::Apply).await?;
    store.close().await;
    Ok(opened)
}

async fn open_store(
    settings: &Settings,
    clock: &Arc<dyn Clock>,
    migrate: Migrate,
) -> Result<(Arc<Store>, Opened), ComposeError> {
    let database = &settings.database;
    let file = database.place.file();
    let folder = file.and_then(Path::parent).unwrap_or(&settings.data_dir);
    if !folder.as_os_str().is_empty() {
        // Mail and accounts are for their owner alone.
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .map_err(|source| ComposeError::DataDir {
                path: folder.to_owned(),
                source,
            })?;
    }
    let sealing_key = match &database.secret_key {
        Some(key) => key.clone(),
        None => secret_key::kept_in(&settings.data_dir)?,
    };
    let config = StoreConfig {
        database: match &database.place {
            Place::Sqlite(path) => DatabasePlace::Sqlite(path.clone()),
            Place::Postgres(url) => DatabasePlace::Postgres(url.clone()),
        },
        busy_timeout: database.busy_timeout,
        read_connections: database.read_connections,
        intake_commands: database.intake_commands,
        intake_bytes: usize::try_from(database.intake_bytes).unwrap_or(usize::MAX),
        batch: database.batch,
        checkpoint_above: database.checkpoint_above,
        idempotency_keys: settings.clean_up.idempotency_keys,
        sealing_key,
        disk_floor: database.disk_floor,
        hints: database.hints,
        old_snapshot: database.old_snapshot,
    };
    let (store, opened) = Store::open::<Migrator>(config, Arc::clone(clock), migrate).await?;
    if opened.migrations > 0 {
        info!(
            migrations = opened.migrations,
            "applied migrations to the schema"
        );
    }
    if opened.recovered > 0 {
        warn!(
            jobs = opened.recovered,
            "took back the jobs of a process that ended without giving them back"
        );
    }
    Ok((Arc::new(store), opened))
}

fn scheduler(
    settings: &Settings,
    store: &Arc<Store>,
    clock: &Arc<dyn Clock>,
) -> Result<Scheduler, ComposeError> {
    let housekeeping: Arc<dyn Housekeeping> = Arc::<Store>::clone(store);
    let clean_up = CleanUp::new(housekeeping, Arc::clone(clock), settings.clean_up.clone());
    let schedule = Schedule::every(settings.clean_up.every, First::AtStart)?;
    Ok(Scheduler::new(Arc::clone(clock)).with(schedule, clean_up))
}

/// A number drawn evenly from 0 to 1.
fn jitter() -> f64 {
    let (high, _) = uuid::Uuid::new_v4().as_u64_pair();
    // The upper 32 bits of a version 4 UUID are all random.
    f64::from(u32::try_from(high >> 32).unwrap_or_default()) / f64::from(u32::MAX)
}
