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

    /// Looks at everything now.
    pub async fn checks(&self) -> Vec<Check> {
        let phase = self.phase.load(Ordering::Acquire);
        let answer = tokio::time::timeout(PATIENCE, self.health.ping()).await;
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
