//! The job that accepting a message implies. The delivery itself lives in `posthaste_mail`; here it is joined to the queue.

use async_trait::async_trait;
use posthaste_domain::{
    delivery::{DeliveryReport, DeliveryState},
    id::MessageId,
    stores::OpenDelivery,
};
use posthaste_mail::{Delivered, Next};
use posthaste_queue::{JobError, JobHandler, Outcome, Verdict};
use posthaste_store::SendEmail;
use tracing::{info, warn};

use crate::{scope::JobScope, scopes::JobScopes};

/// Sends a message.
#[derive(Debug, Clone, Copy)]
pub struct SendEmailHandler;

#[async_trait]
impl JobHandler<JobScopes> for SendEmailHandler {
    type Job = SendEmail;
    type Effects = DeliveryReport;

    async fn handle(
        &self,
        job: SendEmail,
        scope: JobScope<'_>,
    ) -> Result<Outcome<DeliveryReport>, JobError> {
        let id = MessageId::from_uuid(job.message);
        let Some(outgoing) = scope.messages().outgoing(id).await.map_err(JobError::new)? else {
            return Ok(Outcome::of(Verdict::Cancel {
                reason: "the message is not there any more".to_owned(),
            }));
        };
        let open = outgoing.open.clone();
        match scope
            .deliver()
            .deliver(outgoing, scope.gate())
            .await
            .map_err(JobError::new)?
        {
            Delivered::NotSent => Ok(Outcome::of(Verdict::Release)),
            Delivered::Ended { report, next } => {
                tell(&open, &report);
                let verdict = match next {
                    Next::Done => Verdict::Done,
                    Next::RetryAfter { after, reason } => Verdict::Retry {
                        after,
                        error: reason,
                    },
                };
                Ok(Outcome::of(verdict).with(report))
            }
        }
    }
}

/// One line for each delivery, its address masked.
pub(crate) fn tell(open: &[OpenDelivery], report: &DeliveryReport) {
    let transport = report.run.as_ref().map(|run| run.transport.as_str());
    let remote = report.run.as_ref().and_then(|run| run.remote.as_deref());
    for (open, result) in open.iter().zip(&report.results) {
        let (recipient, message) = (&open.recipient, report.message);
        let reply = result.reply.as_ref();
        let (code, text) = (
            reply.and_then(|reply| reply.code),
            reply.map(|reply| reply.text.as_str()),
        );
        let stage = reply.map(|reply| format!("{:?}", reply.stage).to_lowercase());
        match result.state {
            DeliveryState::Delivered => {
                info!(message.id = %message, %recipient, transport, remote, code, "delivered");
            }
            DeliveryState::Queued | DeliveryState::Deferred => {
                let retry_in_ms = result.next_attempt.map(|wait| wait.as_millis());
                warn!(message.id = %message, %recipient, transport, stage, code, text, retry_in_ms, "deferred");
            }
            DeliveryState::Failed => {
                warn!(message.id = %message, %recipient, transport, stage, code, text, "failed")
            }
            DeliveryState::Expired => {
                warn!(message.id = %message, %recipient, transport, stage, code, text, "expired")
            }
            DeliveryState::Cancelled | DeliveryState::Quarantined => {
                warn!(message.id = %message, %recipient, "taken back")
            }
        }
    }
}
