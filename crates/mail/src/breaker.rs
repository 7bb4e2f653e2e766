//! A circuit breaker before a transport: while the way is known to be down, a mail waits without anybody connecting.
//!
//! Five failures of the way in a row open it, a refused log-in at once. After a wait one mail goes through as a probe: if
//! that fails the wait doubles, if the way works again everything goes. Only failures of the way count: what a server says
//! of a mail is proof that it is there.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use posthaste_domain::delivery::{Class, Reply, Stage};
use tokio::time::Instant;
use tracing::{info, warn};

use crate::{
    envelope::Envelope,
    transport::{Gate, Receipt, Scope, SendError, Transport},
};

/// When a breaker opens, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BreakerConfig {
    /// Failures of the way in a row.
    pub failures: u32,
    /// The first wait before a probe; it doubles with each probe that fails.
    pub wait: Duration,
    /// The longest.
    pub max_wait: Duration,
}

enum State {
    /// Mail goes through; so many failures in a row were seen.
    Closed { failures: u32 },
    /// Nothing goes through until then.
    Open(Pause),
    /// One mail is on its way as a probe.
    Probing(Pause),
}

#[derive(Clone)]
struct Pause {
    until: Instant,
    wait: Duration,
    why: String,
}

/// A transport with a breaker before it.
pub struct Breaker {
    inner: Arc<dyn Transport>,
    config: BreakerConfig,
    state: Mutex<State>,
}

impl Breaker {
    /// `inner` behind a closed breaker.
    #[must_use]
    pub fn before(inner: Arc<dyn Transport>, config: BreakerConfig) -> Self {
        Self {
            inner,
            config,
            state: Mutex::new(State::Closed { failures: 0 }),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets a mail through, as a probe where one is due.
    fn enter(&self) -> Result<Option<Probe<'_>>, SendError> {
        let mut state = self.state();
        let pause = match &*state {
            State::Closed { .. } => return Ok(None),
            State::Open(pause) if pause.until <= Instant::now() => {
                let pause = pause.clone();
                *state = State::Probing(pause.clone());
                return Ok(Some(Probe {
                    breaker: self,
                    pause,
                }));
            }
            State::Open(pause) | State::Probing(pause) => pause,
        };
        let left = pause.until.saturating_duration_since(Instant::now());
        let text = format!("waits for the way out: {}", pause.why);
        // While a probe is under way nobody knows: then as long as after one that failed.
        let wait = if left.is_zero() { pause.wait } else { left };
        Err(SendError {
            scope: Scope::Transport,
            reply: Reply::new(Stage::Connect, Class::Transient, &text).with_retry_after(wait),
            remote: None,
            trail: None,
        })
    }

    fn worked(&self) {
        let before = std::mem::replace(&mut *self.state(), State::Closed { failures: 0 });
        if !matches!(before, State::Closed { .. }) {
            info!(transport = self.inner.name(), "the way out works again");
        }
    }

    /// Tells how long mail waits, if it waits.
    fn failed(&self, reply: &Reply) -> Option<Duration> {
        let mut state = self.state();
        let wait = match &*state {
            State::Closed { failures } => {
                let failures = failures + 1;
                let refused = reply.stage == Stage::Auth && reply.class == Class::Permanent;
                if failures < self.config.failures && !refused {
                    *state = State::Closed { failures };
                    return None;
                }
                self.config.wait
            }
            State::Probing(pause) => (pause.wait * 2).min(self.config.max_wait),
            // One that was on its way when the breaker opened.
            State::Open(pause) => {
                return Some(pause.until.saturating_duration_since(Instant::now()));
            }
        };
        *state = State::Open(Pause {
            until: Instant::now() + wait,
            wait,
            why: reply.text.clone(),
        });
        drop(state);
        warn!(
            transport = self.inner.name(),
            wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX),
            code = reply.code,
            text = reply.text,
            "the way out is down, mail waits"
        );
        Some(wait)
    }
}

/// A probe that is dropped before it ended has shown nothing: the next mail is the probe.
struct Probe<'a> {
    breaker: &'a Breaker,
    pause: Pause,
}

impl Drop for Probe<'_> {
    fn drop(&mut self) {
        let mut state = self.breaker.state();
        if matches!(*state, State::Probing(_)) {
            *state = State::Open(self.pause.clone());
        }
    }
}

#[async_trait]
impl Transport for Breaker {
    fn name(&self) -> &str {
        self.inner.name()
    }

    async fn send(
        &self,
        envelope: &Envelope,
        message: &[u8],
        gate: &Gate,
    ) -> Result<Receipt, SendError> {
        let _probe = self.enter()?;
        match self.inner.send(envelope, message, gate).await {
            Err(mut error) if error.scope == Scope::Transport => {
                let wait = self.failed(&error.reply);
                error.reply.retry_after = error.reply.retry_after.max(wait);
                Err(error)
            }
            // Our own gate says nothing about the way.
            Err(error) if error.scope == Scope::Gate => Err(error),
            sent => {
                self.worked();
                sent
            }
        }
    }
}

impl fmt::Debug for Breaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Breaker")
            .field("inner", &self.inner)
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}
