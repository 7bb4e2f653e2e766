//! The job that accepting a message implies. The delivery itself lives in `posthaste_mail`; here it is joined to the queue.

use std::time::Duration;

use async_trait::async_trait;
use posthaste_domain::{
    delivery::{DeliveryReport, DeliveryState},
    id::MessageId,
    stores::{OpenDelivery, StoreError},
};
use posthaste_mail::{DeliverError, Delivered, Next};
use posthaste_queue::{JobError, JobHandler, Outcome, Verdict};
use posthaste_store::SendEmail;
use tracing::{error, info, warn};

use crate::{scope::JobScope, scopes::JobScopes};

/// How long a job waits that could not be tried because the database did not answer.
const STORE_AWAY: Duration = Duration::from_secs(1);

/// How long a large mail waits while others take all the memory there is for such.
const NO_ROOM: Duration = Duration::from_secs(1);

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
        let outgoing = match scope.messages().outgoing(id).await {
            Ok(Some(outgoing)) => outgoing,
            Ok(None) => {
                return Ok(Outcome::of(Verdict::Cancel {
                    reason: "the message is not there any more".to_owned(),
                }));
            }
            Err(error) => return not_tried(id, error),
        };
        let open = outgoing.open.clone();
        match scope.deliver().deliver(outgoing, scope.gate()).await {
            Err(DeliverError::Store(error)) => not_tried(id, error),
            Err(error) => Err(JobError::new(error)),
            // What was noted for this attempt is not true any more.
            Ok(Delivered::NotSent) if scope.is_in_doubt() => {
                Ok(Outcome::of(Verdict::Release).with(DeliveryReport::of_nothing(id, &open)))
            }
            Ok(Delivered::NotSent) => Ok(Outcome::of(Verdict::Release)),
            Ok(Delivered::NoRoom) => Ok(Outcome::of(Verdict::Snooze { after: NO_ROOM })),
            Ok(Delivered::Ended { report, next }) => {
                tell(&open, &report);
                let verdict = match next {
                    Next::Done => Verdict::Done,
                    Next::WaitFor { after } => Verdict::Snooze { after },
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

/// A database that does not answer says nothing about the mail: no attempt is spent, and none of its waits is taken. What
/// cannot be read will not be readable in a second.
fn not_tried(id: MessageId, error: StoreError) -> Result<Outcome<DeliveryReport>, JobError> {
    if !matches!(error, StoreError::Unavailable(_)) {
        return Err(JobError::new(error));
    }
    warn!(
        message.id = %id,
        error = &error as &dyn std::error::Error,
        "not tried, for the database did not answer"
    );
    Ok(Outcome::of(Verdict::Snooze { after: STORE_AWAY }))
}

/// One line for each delivery, its address masked.
pub(crate) fn tell(open: &[OpenDelivery], report: &DeliveryReport) {
    let transport = report.run.as_ref().map(|run| run.transport.as_str());
    let remote = report.run.as_ref().and_then(|run| run.remote.as_deref());
    for result in &report.results {
        let open = open.iter().find(|open| open.id == result.delivery);
        let recipient = open.map(|open| tracing::field::display(&open.recipient));
        let message = report.message;
        let reply = result.reply.as_ref();
        let (code, text) = (
            reply.and_then(|reply| reply.code),
            reply.map(|reply| reply.text.as_str()),
        );
        let stage = reply.map(|reply| format!("{:?}", reply.stage).to_lowercase());
        match result.state {
            DeliveryState::Delivered => {
                info!(message.id = %message, recipient, transport, remote, code, "delivered");
            }
            DeliveryState::Queued | DeliveryState::Deferred => {
                let retry_in_ms = result.next_attempt.map(|wait| wait.as_millis());
                warn!(message.id = %message, recipient, transport, stage, code, text, retry_in_ms, "deferred");
            }
            DeliveryState::Failed => {
                warn!(message.id = %message, recipient, transport, stage, code, text, "failed")
            }
            DeliveryState::Expired => {
                warn!(message.id = %message, recipient, transport, stage, code, text, "expired")
            }
            DeliveryState::Uncertain => {
                error!(message.id = %message, recipient, transport, remote, text, "perhaps delivered, held");
            }
            DeliveryState::Cancelled | DeliveryState::Quarantined => {
                warn!(message.id = %message, recipient, "taken back")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(error: StoreError) -> Option<Verdict> {
        let id = MessageId::from_uuid(uuid::Uuid::nil());
        not_tried(id, error).ok().map(|outcome| outcome.verdict)
    }

    #[test]
    fn a_database_that_does_not_answer_costs_a_second_and_no_attempt() {
        let away = verdict(StoreError::Unavailable(None));
        assert_eq!(away, Some(Verdict::Snooze { after: STORE_AWAY }));
        let unreadable = verdict(StoreError::Unreadable("a state".into()));
        assert_eq!(unreadable, None, "it fails, and a person sees it");
    }
}
