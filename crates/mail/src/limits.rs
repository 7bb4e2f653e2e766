//! How much mail goes by a transport, and to each domain: rates that all nodes keep together, and mails at once.
//!
//! A domain that answers that this is too much is spared for a while, whether or not it has limits: one mail at a time, one
//! a minute at first. What has to wait is not begun and spends no attempt. Where a limit needs to know the domain, a mail
//! to several goes as a transaction for each.

mod destinations;
mod pace;
mod slow;

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use posthaste_domain::{
    delivery::{Class, Reply, Stage},
    stores::TokenBuckets,
};

use self::{destinations::Destinations, pace::Pace};
use crate::{
    by_domain,
    envelope::Envelope,
    recorder,
    transport::{Gate, Receipt, Scope, SendError, Transport},
};

/// Of one transport.
#[derive(Debug, Clone, Default)]
pub struct Limits {
    /// How many transactions begin, over all nodes. A rate is kept evenly; each node may be ahead of it by a tenth of a
    /// second's worth.
    pub rate: Option<Arc<dyn TokenBuckets>>,
    /// Of each domain.
    pub domain: DomainLimits,
}

/// Of each domain that a transport sends to.
#[derive(Debug, Clone, Default)]
pub struct DomainLimits {
    /// How many transactions begin, over all nodes.
    pub rate: Option<Arc<dyn TokenBuckets>>,
    /// Most transactions that are under way from this node.
    pub at_once: Option<usize>,
}

/// A transport with limits before it.
pub struct Limited {
    inner: Arc<dyn Transport>,
    pace: Option<Pace>,
    destinations: Destinations,
}

impl Limited {
    /// `inner` behind these.
    #[must_use]
    pub fn before(inner: Arc<dyn Transport>, limits: Limits) -> Self {
        let name = inner.name();
        let pace = limits.rate.map(|rate| Pace::of(rate, name.to_owned()));
        Self {
            destinations: Destinations::of(name, limits.domain),
            pace,
            inner,
        }
    }

    async fn enter(&self) -> Result<(), SendError> {
        match &self.pace {
            Some(pace) => pace.enter().await.map_err(Wait::into_error),
            None => Ok(()),
        }
    }

    /// To recipients who share a domain.
    async fn send_to(
        &self,
        domain: &str,
        envelope: &Envelope,
        message: &[u8],
        gate: &Gate,
    ) -> Result<Receipt, SendError> {
        let destination = self.destinations.get(domain);
        let _place = destination.enter(domain).await.map_err(Wait::into_error)?;
        self.enter().await?;
        let sent = self.inner.send(envelope, message, gate).await;
        destination.learn(domain, &sent);
        sent
    }
}

#[async_trait]
impl Transport for Limited {
    fn name(&self) -> &str {
        self.inner.name()
    }

    async fn send(
        &self,
        envelope: &Envelope,
        message: &[u8],
        gate: &Gate,
    ) -> Result<Receipt, SendError> {
        if self.destinations.matter_to(envelope) {
            return by_domain::send_each(envelope, async |domain, part| {
                self.send_to(&domain, &part, message, gate).await
            })
            .await;
        }
        self.enter().await?;
        let sent = self.inner.send(envelope, message, gate).await;
        self.destinations.learn(envelope, &sent);
        sent
    }
}

impl fmt::Debug for Limited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Limited")
            .field("inner", &self.inner)
            .finish_non_exhaustive()
    }
}

/// A mail that may not be begun yet.
#[derive(Debug)]
struct Wait {
    after: Duration,
    why: String,
}

impl Wait {
    fn into_error(self) -> SendError {
        recorder::event(&self.why);
        let reply = Reply::new(Stage::Connect, Class::Throttled, &self.why);
        SendError {
            scope: Scope::Transport,
            reply: reply.with_retry_after(self.after),
            remote: None,
            trail: None,
        }
    }
}
