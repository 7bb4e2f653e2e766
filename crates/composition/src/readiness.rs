//! Whether this node should be sent requests: it has started, is not stopping, and its database answers.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    time::Duration,
};

use posthaste_domain::stores::StoreHealth;

/// Longest wait for the database's answer.
const PATIENCE: Duration = Duration::from_secs(1);

const STARTING: u8 = 0;
const STARTED: u8 = 1;
const STOPPING: u8 = 2;

/// One thing that was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Check {
    /// What.
    pub name: &'static str,
    /// Whether it is as it should be.
    pub ok: bool,
}

/// The state that `/readyz` tells.
#[derive(Debug)]
pub struct Readiness {
    phase: AtomicU8,
    health: Arc<dyn StoreHealth>,
}

impl Readiness {
    /// A node that is starting.
    #[must_use]
    pub fn starting(health: Arc<dyn StoreHealth>) -> Self {
        Self {
            phase: AtomicU8::new(STARTING),
            health,
        }
    }

    /// Every service is ready. A node that is stopping already stays so.
    pub fn started(&self) {
        // Fails only if the node is past starting.
        self.phase
            .compare_exchange(STARTING, STARTED, Ordering::AcqRel, Ordering::Acquire)
            .ok();
    }

    /// The node begins to stop.
    pub fn stopping(&self) {
        self.phase.store(STOPPING, Ordering::Release);
    }

    /// Looks at everything now, within a second: a database that hangs counts as one that does not answer.
    pub async fn checks(&self) -> Vec<Check> {
        let answer = tokio::time::timeout(PATIENCE, self.health.ping()).await;
        // Read last: a stop that begins while the database answers is seen.
        let phase = self.phase.load(Ordering::Acquire);
        vec![
            Check {
                name: "started",
                ok: phase != STARTING,
            },
            Check {
                name: "not_stopping",
                ok: phase != STOPPING,
            },
            Check {
                name: "database",
                ok: matches!(answer, Ok(Ok(()))),
            },
        ]
    }
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use posthaste_domain::stores::StoreError;

    use super::*;

    #[derive(Debug)]
    enum Database {
        Answers,
        Fails,
        Hangs,
    }

    #[async_trait]
    impl StoreHealth for Database {
        async fn ping(&self) -> Result<(), StoreError> {
            match self {
                Self::Answers => Ok(()),
                Self::Fails => Err(StoreError::Unavailable(None)),
                Self::Hangs => std::future::pending().await,
            }
        }
    }

    async fn failed(readiness: &Readiness) -> Vec<&'static str> {
        let checks = readiness.checks().await.into_iter();
        checks
            .filter(|check| !check.ok)
            .map(|check| check.name)
            .collect()
    }

    #[tokio::test]
    async fn a_node_is_ready_between_its_start_and_its_stop() {
        let readiness = Readiness::starting(Arc::new(Database::Answers));
        assert_eq!(failed(&readiness).await, ["started"]);
        readiness.started();
        assert!(failed(&readiness).await.is_empty());
        readiness.stopping();
        assert_eq!(failed(&readiness).await, ["not_stopping"]);
    }

    #[tokio::test]
    async fn a_node_that_stops_is_never_ready_again() {
        let readiness = Readiness::starting(Arc::new(Database::Answers));
        readiness.stopping();
        readiness.started();
        assert_eq!(failed(&readiness).await, ["not_stopping"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_database_that_fails_or_hangs_is_not_ready() {
        for database in [Database::Fails, Database::Hangs] {
            let readiness = Readiness::starting(Arc::new(database));
            readiness.started();
            assert_eq!(failed(&readiness).await, ["database"]);
        }
    }
}
