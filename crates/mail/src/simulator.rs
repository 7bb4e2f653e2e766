//! Recipients that nobody is.
//!
//! Mail to them goes the whole way but the last step, and ends as their name says. So an application, its tests and the
//! way of a bounce can be tried without a server, and without an address of a person.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use posthaste_domain::{
    address::EmailAddress,
    delivery::{Class, EnhancedCode, Reply, Stage},
    id::MessageId,
};

use crate::{
    envelope::Envelope,
    transport::{Gate, Passing, Receipt, Scope, SendError, Transport, hash_of},
};

/// No domain below `invalid` can ever be (RFC 2606).
pub const DOMAIN: &str = "simulator.invalid";
/// Where the examples of another service send to.
pub const RESEND_DEV: &str = "resend.dev";
/// How often mail to `delayed` is put off.
const DELAYS: u8 = 2;
/// Most delayed mails that are remembered. One that was forgotten is put off anew.
const REMEMBERED: usize = 10_000;

/// How mail to a simulated recipient ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Delivered,
    Bounced,
    Suppressed,
    Delayed,
    Uncertain,
    Unknown,
}

/// A transport in front of which simulated recipients are answered; the others go on.
pub struct Simulator {
    inner: Arc<dyn Transport>,
    domains: &'static [&'static str],
    delayed: Mutex<HashMap<MessageId, u8>>,
}

impl Simulator {
    /// Before `inner`; with `resend_dev`, the recipients at [`RESEND_DEV`] are simulated too.
    #[must_use]
    pub fn before(inner: Arc<dyn Transport>, resend_dev: bool) -> Self {
        let domains: &[&str] = if resend_dev {
            &[DOMAIN, RESEND_DEV]
        } else {
            &[DOMAIN]
        };
        Self {
            inner,
            domains,
            delayed: Mutex::default(),
        }
    }

    /// The end of mail to this recipient, if it is simulated.
    fn end(&self, recipient: &EmailAddress) -> Option<End> {
        let domain = recipient.domain();
        let mut domains = self.domains.iter();
        if !domains.any(|simulated| domain.eq_ignore_ascii_case(simulated)) {
            return None;
        }
        let (local, _) = recipient.expose().split_once('@')?;
        let name = local.split('+').next().unwrap_or_default();
        Some(match name.to_ascii_lowercase().as_str() {
            // Whoever complains got it.
            "delivered" | "complained" => End::Delivered,
            "bounced" => End::Bounced,
            "suppressed" => End::Suppressed,
            "delayed" => End::Delayed,
            "uncertain" => End::Uncertain,
            _ => End::Unknown,
        })
    }

    fn reply(&self, message: MessageId, end: End) -> Reply {
        let reply = |stage, class, code, enhanced: (u8, u16, u16), text: &str| {
            let (digit, subject, detail) = enhanced;
            let enhanced = EnhancedCode {
                class: digit,
                subject,
                detail,
            };
            Reply::new(stage, class, text).with_code(code, Some(enhanced))
        };
        let taken = || {
            reply(
                Stage::Dot,
                Class::Accepted,
                250,
                (2, 0, 0),
                "simulated: taken",
            )
        };
        match end {
            End::Delivered => taken(),
            End::Bounced => {
                let text = "simulated: no such user";
                reply(Stage::Rcpt, Class::Permanent, 550, (5, 1, 1), text)
            }
            End::Suppressed => {
                let text = "simulated: this recipient gets no mail";
                reply(Stage::Mail, Class::Permanent, 550, (5, 7, 1), text)
            }
            End::Delayed if self.is_put_off(message) => {
                let text = "simulated: come again later";
                reply(Stage::Rcpt, Class::Transient, 451, (4, 7, 1), text)
            }
            End::Delayed => taken(),
            End::Uncertain => {
                let text = "simulated: the reply was lost";
                Reply::new(Stage::Dot, Class::Uncertain, text)
            }
            End::Unknown => {
                let text = "simulated: the names here are delivered, bounced, complained, suppressed, delayed and uncertain";
                reply(Stage::Rcpt, Class::Permanent, 550, (5, 1, 1), text)
            }
        }
    }

    fn is_put_off(&self, message: MessageId) -> bool {
        let mut delayed = self.delayed.lock().unwrap_or_else(PoisonError::into_inner);
        if delayed.len() >= REMEMBERED {
            delayed.clear();
        }
        let times = delayed.entry(message).or_default();
        *times += 1;
        let is_put_off = *times <= DELAYS;
        if !is_put_off {
            delayed.remove(&message);
        }
        is_put_off
    }
}

#[async_trait]
impl Transport for Simulator {
    fn name(&self) -> &str {
        self.inner.name()
    }

    async fn send(
        &self,
        envelope: &Envelope,
        message: &[u8],
        gate: &Gate,
    ) -> Result<Receipt, SendError> {
        let ends: Vec<_> = envelope.recipients.iter().map(|to| self.end(to)).collect();
        if ends.iter().all(Option::is_none) {
            return self.inner.send(envelope, message, gate).await;
        }
        let both = || envelope.recipients.iter().zip(&ends);
        let real: Vec<_> = both().filter(|(_, end)| end.is_none()).collect();
        // Before anything is sent: what the gate keeps back has not begun.
        let reaches =
            |end: &Option<End>| matches!(end, Some(End::Delivered | End::Uncertain | End::Delayed));
        let passing: Vec<_> = both().filter(|(_, end)| reaches(end)).collect();
        if !passing.is_empty() {
            let passing = Passing {
                hash: hash_of(message),
                recipients: &passing.iter().map(|(to, _)| *to).collect::<Vec<_>>(),
            };
            gate.open(passing).await.map_err(|shut| SendError {
                scope: Scope::Gate,
                reply: Reply::new(Stage::Data, Class::Transient, &shut.to_string()),
                remote: None,
                trail: None,
            })?;
        }
        let mut sent = None;
        if !real.is_empty() {
            let recipients = real.iter().map(|(to, _)| (*to).clone()).collect();
            let rest = Envelope {
                recipients,
                ..envelope.clone()
            };
            sent = Some(self.inner.send(&rest, message, gate).await?);
        }
        let (told, remote, trail) = match sent {
            Some(receipt) => (receipt.replies, receipt.remote, receipt.trail),
            None => (Vec::new(), Some("simulator".to_owned()), None),
        };
        let mut told = told.into_iter();
        let missing = || Reply::new(Stage::Connect, Class::Transient, "there was no answer");
        let replies = ends.iter().map(|end| match end {
            Some(end) => self.reply(envelope.id, *end),
            None => told.next().unwrap_or_else(missing),
        });
        Ok(Receipt {
            replies: replies.collect(),
            remote,
            trail,
        })
    }
}

impl fmt::Debug for Simulator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Simulator")
            .field("inner", &self.inner)
            .field("domains", &self.domains)
            .finish_non_exhaustive()
    }
}
