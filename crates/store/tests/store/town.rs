//! A PostgreSQL database for several nodes.

use std::sync::Arc;

use posthaste_domain::clock::{Clock, SystemClock};
use posthaste_migrations::Migrator;
use posthaste_store::{DatabasePlace, Migrate, Store, StoreConfig};
use sea_orm::{ConnectOptions, Database, DatabaseConnection};
use secrecy::ExposeSecret;
use tempfile::TempDir;

use crate::support::{config, new_database, server};

/// A database, whose nodes are stores of this process.
pub(crate) struct Town {
    pub(crate) place: DatabasePlace,
    pub(crate) folder: TempDir,
}

impl Town {
    /// None without a server: the test is skipped then.
    pub(crate) async fn new() -> Option<Self> {
        let place = new_database(&server()?).await;
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        Some(Self { place, folder })
    }

    pub(crate) async fn node(&self) -> Arc<Store> {
        self.node_with(Arc::new(SystemClock), |_| {}).await
    }

    /// A node with a clock of its own and other bounds.
    pub(crate) async fn node_with(
        &self,
        clock: Arc<dyn Clock>,
        change: impl FnOnce(&mut StoreConfig),
    ) -> Arc<Store> {
        let mut config = config(self.folder.path());
        config.database = self.place.clone();
        change(&mut config);
        let opened = Store::open::<Migrator>(config, clock, Migrate::Apply).await;
        Arc::new(opened.expect("the database opens").0)
    }

    pub(crate) fn url(&self) -> &str {
        let DatabasePlace::Postgres(url) = &self.place else {
            unreachable!("a town is on a server");
        };
        url.expose_secret()
    }

    /// One connection from outside.
    pub(crate) async fn outside(&self) -> DatabaseConnection {
        let mut options = ConnectOptions::new(self.url());
        options.max_connections(1).sqlx_logging(false);
        let connected = Database::connect(options).await;
        connected.expect("the server answers")
    }
}
