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
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Check {
    /// What.
    pub name: &'static str,
    /// Whether it is as it should be.
    pub ok: bool,
    /// What follows if it is not.
    pub weight: Weight,
}

/// How much a check counts for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Weight {
    /// Without it the node is not ready.
    Decides,
    /// People should know; the node is ready all the same. So much was measured, in seconds.
    Tells(f64),
}

impl Check {
    const fn deciding(name: &'static str, ok: bool) -> Self {
        Self {
            name,
            ok,
            weight: Weight::Decides,
        }
    }

    /// Whether the node is unready because of it.
    #[must_use]
    pub fn forbids(&self) -> bool {
        !self.ok && self.weight == Weight::Decides
    }
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
        let mut checks = vec![
            Check::deciding("started", phase != STARTING),
            Check::deciding("not_stopping", phase != STOPPING),
            Check::deciding("database", matches!(answer, Ok(Ok(())))),
        ];
        let told = self.health.findings().into_iter().map(|finding| Check {
            name: finding.name,
            ok: finding.sound,
            weight: Weight::Tells(finding.seconds),
        });
        checks.extend(told);
        checks
    }
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use posthaste_domain::stores::{Finding, StoreError};

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

        fn findings(&self) -> Vec<Finding> {
            vec![Finding {
                name: "clock_skew",
                sound: false,
                seconds: -300.0,
            }]
        }
    }

    async fn failed(readiness: &Readiness) -> Vec<&'static str> {
        let checks = readiness.checks().await.into_iter();
        checks
            .filter(Check::forbids)
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

    /// I21. A clock that is wrong takes no node out of service.
    #[tokio::test]
    async fn what_is_only_told_makes_no_node_unready() {
        let readiness = Readiness::starting(Arc::new(Database::Answers));
        readiness.started();
        let checks = readiness.checks().await;
        assert!(!checks.iter().any(Check::forbids));
        let skew = checks.iter().find(|check| check.name == "clock_skew");
        let told = skew.map(|check| (check.ok, check.weight));
        assert_eq!(told, Some((false, Weight::Tells(-300.0))));
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
