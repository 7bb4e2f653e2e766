//! Every mail to one address, whoever it is for: for staging, where real addresses may stand in the data and nobody must
//! get mail.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use posthaste_domain::address::EmailAddress;

use crate::{
    envelope::Envelope,
    transport::{Gate, Receipt, SendError, Transport},
};

/// A transport that tells the server one recipient in place of all.
///
/// Whom the mail was for stands in `X-Original-To`, one
/// line each; the other headers stay as they are. The gate is asked for that one recipient: it stands for all of them.
pub struct RedirectAll {
    inner: Arc<dyn Transport>,
    to: EmailAddress,
}

impl RedirectAll {
    /// Everything that would go by `inner` goes to this address.
    #[must_use]
    pub fn to(to: EmailAddress, inner: Arc<dyn Transport>) -> Self {
        Self { inner, to }
    }
}

#[async_trait]
impl Transport for RedirectAll {
    fn name(&self) -> &str {
        self.inner.name()
    }

    async fn send(
        &self,
        envelope: &Envelope,
        message: &[u8],
        gate: &Gate,
    ) -> Result<Receipt, SendError> {
        let mut redirected = Vec::with_capacity(message.len() + 64 * envelope.recipients.len());
        for recipient in &envelope.recipients {
            let line = format!("X-Original-To: {}\r\n", recipient.expose());
            redirected.extend_from_slice(line.as_bytes());
        }
        redirected.extend_from_slice(message);
        let one = Envelope {
            recipients: vec![self.to.clone()],
            ..envelope.clone()
        };
        let mut receipt = self.inner.send(&one, &redirected, gate).await?;
        if let Some(reply) = receipt.replies.pop() {
            receipt.replies = vec![reply; envelope.recipients.len()];
        }
        Ok(receipt)
    }
}

impl fmt::Debug for RedirectAll {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedirectAll")
            .field("inner", &self.inner)
            .field("to", &self.to)
            .finish()
    }
}
