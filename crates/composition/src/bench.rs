//! A ground to measure on: a throw-away database, and nodes on it as the settings make them. No measurement touches the
//! database that is served, and nothing leaves the machine.

mod relay;

use std::{
    fmt,
    fs::{self, DirBuilder},
    io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use posthaste_domain::{
    delivery::DeliveryReport,
    owner::{Owner, Scope},
};
use posthaste_host::HostBuilder;
use posthaste_queue::{Handover, Operate, Queue, QueueError, operate::LaneStatus};
pub use posthaste_store::SendEmail;
use posthaste_store::{DatabasePlace, Migrate, Scratch, ScratchError, Store};
use uuid::Uuid;

pub use self::relay::{Relay, template};
use crate::{
    compose::{ComposeError, Composed, compose_with_store},
    settings::{Place, Role, SeededKey, Settings, Transport, TransportKind},
};

/// Why there is nothing to measure on.
#[derive(Debug, thiserror::Error)]
pub enum GroundError {
    /// What was given names no database.
    #[error("expected sqlite:FILE or postgres://USER:PASSWORD@HOST:PORT/DATABASE")]
    NoDatabase,
    /// The folder for a file of its own cannot be made, or removed.
    #[error("{} cannot be made or removed", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The database.
    #[error(transparent)]
    Scratch(#[from] ScratchError),
}

/// A throw-away database with the settings that lead to it.
#[derive(Debug)]
pub struct Ground {
    settings: Settings,
    working_dir: PathBuf,
    scratch: Scratch,
    folder: PathBuf,
    /// Made for this ground: the folder, and the one above it if that was not there.
    made: Vec<PathBuf>,
}

impl Ground {
    /// A new one: on `database` (`sqlite:FILE`, a file that is not there yet, or the URL of a PostgreSQL database, where
    /// it takes a schema of its own), else a SQLite file in a new folder below `data_dir`, whose disk is the one that
    /// counts. Bounds and syncing are those of `settings`.
    ///
    /// # Errors
    /// [`GroundError`].
    pub async fn make(
        settings: &Settings,
        working_dir: &Path,
        database: Option<&str>,
    ) -> Result<Self, GroundError> {
        Self::make_by(settings, working_dir, database, None).await
    }

    /// The same with a server that its working nodes send to, and a template to send by.
    ///
    /// # Errors
    /// [`GroundError`].
    pub async fn sending(
        settings: &Settings,
        working_dir: &Path,
        database: Option<&str>,
        relay: &Relay,
    ) -> Result<Self, GroundError> {
        Self::make_by(settings, working_dir, database, Some(relay)).await
    }

    async fn make_by(
        settings: &Settings,
        working_dir: &Path,
        database: Option<&str>,
        relay: Option<&Relay>,
    ) -> Result<Self, GroundError> {
        let folder = settings.data_dir.join(format!("bench-{}", Uuid::new_v4()));
        let place = match database {
            None => DatabasePlace::Sqlite(folder.join("posthaste.db")),
            Some(given) => named(given).ok_or(GroundError::NoDatabase)?,
        };
        let above = &settings.data_dir;
        let mut made = vec![folder.clone()];
        if !above.as_os_str().is_empty() && !above.exists() {
            made.push(above.clone());
        }
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&folder)
            .map_err(|source| GroundError::Folder {
                path: folder.clone(),
                source,
            })?;
        let scratch = match Scratch::make(place).await {
            Ok(scratch) => scratch,
            Err(error) => {
                // They are empty; what is worth telling is the other error.
                for made in &made {
                    fs::remove_dir(made).ok();
                }
                return Err(error.into());
            }
        };
        let mut settings = adapted(settings, &scratch, &folder);
        if let Some(relay) = relay {
            let ready = relay.sent_to_by(&mut settings, &folder);
            ready.map_err(|source| GroundError::Folder {
                path: folder.clone(),
                source,
            })?;
        }
        Ok(Self {
            settings,
            working_dir: working_dir.to_owned(),
            scratch,
            folder,
            made,
        })
    }

    /// The settings of its nodes.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Whether any number of nodes can work on it.
    #[must_use]
    pub fn takes_several_nodes(&self) -> bool {
        matches!(self.scratch.place(), DatabasePlace::Postgres(_))
    }

    /// Opens a node.
    ///
    /// # Errors
    /// [`ComposeError`].
    pub async fn node(&self) -> Result<Node, ComposeError> {
        self.opened(&self.settings).await
    }

    /// Opens a node that has a worker too, once its host runs.
    ///
    /// # Errors
    /// [`ComposeError`].
    pub async fn working_node(&self) -> Result<Node, ComposeError> {
        let settings = Settings {
            roles: vec![Role::Api, Role::Worker],
            ..self.settings.clone()
        };
        self.opened(&settings).await
    }

    async fn opened(&self, settings: &Settings) -> Result<Node, ComposeError> {
        let opened = compose_with_store(settings, Migrate::Apply, &self.working_dir).await;
        let (composed, store) = opened?;
        Ok(Node { composed, store })
    }

    /// Removes the database, after its nodes were closed.
    ///
    /// # Errors
    /// [`GroundError`], which names what is left.
    pub async fn remove(self) -> Result<(), GroundError> {
        let removed = self.scratch.remove().await;
        fs::remove_dir_all(&self.folder).map_err(|source| GroundError::Folder {
            path: self.folder.clone(),
            source,
        })?;
        // Something else may have been put beside it meanwhile.
        for made in &self.made {
            fs::remove_dir(made).ok();
        }
        Ok(removed?)
    }
}

fn named(database: &str) -> Option<DatabasePlace> {
    let file = database
        .strip_prefix("sqlite://")
        .or_else(|| database.strip_prefix("sqlite:"));
    match file {
        Some("") => None,
        Some(file) => Some(DatabasePlace::Sqlite(PathBuf::from(file))),
        None if database.starts_with("postgres://") || database.starts_with("postgresql://") => {
            Some(DatabasePlace::Postgres(database.into()))
        }
        None => None,
    }
}

/// The same settings on another database, with a key that may send and no way out.
fn adapted(settings: &Settings, scratch: &Scratch, folder: &Path) -> Settings {
    const NOWHERE: &str = "nowhere";
    let mut settings = settings.clone();
    settings.database.place = match scratch.place() {
        DatabasePlace::Sqlite(path) => Place::Sqlite(path.clone()),
        DatabasePlace::Postgres(url) => Place::Postgres(url.clone()),
    };
    settings.database.secret_key = None;
    settings.data_dir = folder.to_owned();
    settings.roles = vec![Role::Api];
    for stream in &mut settings.streams {
        stream.transports = vec![NOWHERE.to_owned()];
    }
    settings.transports = vec![Transport {
        name: NOWHERE.to_owned(),
        place: NOWHERE.to_owned(),
        kind: TransportKind::Memory,
    }];
    settings.keys = vec![SeededKey {
        name: "bench".to_owned(),
        key: KEY.into(),
        owner: OWNER.parse::<Owner>().expect("a valid owner"),
        scopes: vec![Scope::Send],
        streams: None,
        from_domains: None,
    }];
    settings
}

/// The key by which a ground takes mail, and the owner behind it.
pub const KEY: &str = "re_bench";
const OWNER: &str = "bench";

/// Jobs that have not ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pending {
    /// All.
    pub all: u64,
    /// Those that wait for another attempt.
    pub deferred: u64,
}

/// One node: what an interface works with, and its queue. No service of it runs.
pub struct Node {
    composed: Composed,
    store: Arc<Store>,
}

impl Node {
    /// What an interface works with.
    #[must_use]
    pub fn composed(&self) -> &Composed {
        &self.composed
    }

    /// The durable queue.
    #[must_use]
    pub fn queue(&self) -> Arc<dyn Queue<Effects = DeliveryReport>> {
        Arc::<Store>::clone(&self.store)
    }

    /// A host with its services; to be taken once.
    #[must_use]
    pub fn host(&mut self, settings: &Settings) -> HostBuilder {
        self.composed.host(settings)
    }

    /// Jobs that have not ended.
    ///
    /// # Errors
    /// [`QueueError`].
    pub async fn pending(&self) -> Result<Pending, QueueError> {
        let lanes = self.store.lanes().await?;
        let of_lane = |lane: &LaneStatus| lane.ready + lane.scheduled + lane.leased + lane.suspect;
        Ok(Pending {
            all: lanes.iter().map(of_lane).sum(),
            deferred: lanes.iter().map(|lane| lane.scheduled).sum(),
        })
    }

    /// From now on accepted work may go straight to the worker behind `handover`. Only the first call counts.
    pub fn hand_over_to(&self, handover: Arc<Handover>) {
        self.store.hand_over_to(handover);
    }

    /// Writes what waits, and closes.
    pub async fn close(self) {
        self.store.close().await;
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Node")
            .field("store", &self.store)
            .finish_non_exhaustive()
    }
}
