//! What is about to be sent, committed before it is: where a mail must not be sent twice, a process that dies right after
//! leaves a delivery that was perhaps made, and not one that looks as if nobody had begun.

use async_trait::async_trait;
use posthaste_domain::{
    address::EmailAddress, delivery::BodyHash, id::MessageId, stores::StoreError,
};
use posthaste_queue::{BootId, Fence};
use sea_orm::{ConnectionTrait, DbBackend, DbErr, Value};

use crate::{
    Store,
    sql::Words,
    writer::{AsyncWork, Unit},
};

impl Store {
    /// Notes that these recipients may get the bytes with this hash from now on. False, and nothing noted, if the lease on
    /// the job of the message is not the newest any more.
    ///
    /// # Errors
    /// [`StoreError`] if it is not known to be noted; then nothing may be sent.
    pub async fn put_in_doubt(
        &self,
        (boot, fence): (BootId, Fence),
        message: MessageId,
        recipients: &[&EmailAddress],
        hash: BodyHash,
    ) -> Result<bool, StoreError> {
        let recipients = recipients.iter().map(|to| to.expose().to_owned());
        let work = PutInDoubt {
            boot,
            fence,
            message,
            recipients: recipients.collect(),
            hash,
        };
        Ok(self.writer.write(work).await?)
    }
}

struct PutInDoubt {
    boot: BootId,
    fence: Fence,
    message: MessageId,
    recipients: Vec<String>,
    hash: BodyHash,
}

#[async_trait]
impl AsyncWork<bool> for PutInDoubt {
    async fn run(&mut self, unit: &mut Unit<'_>) -> Result<bool, DbErr> {
        let message = Value::from(self.message.as_uuid());
        if unit.backend == DbBackend::Postgres {
            // Whoever takes the job away waits for this commit, or has committed: a mere look would see neither.
            let keep = format!(
                "SELECT 1 FROM jobs WHERE id = ?{}",
                unit.backend.for_update()
            );
            let keep = unit.statement(&keep, [message.clone()]);
            unit.txn.query_one_raw(keep).await?;
        }
        let note = format!(
            "UPDATE deliveries SET doubt_hash = ? WHERE message_id = ? AND recipient IN ({}) \
             AND EXISTS (SELECT 1 FROM jobs WHERE id = ? AND state = 'leased' AND fence = ? AND boot_id = ?)",
            vec!["?"; self.recipients.len()].join(", ")
        );
        let recipients = self.recipients.iter().map(|to| to.as_str().into());
        let values = [Value::from(self.hash.0.to_vec()), message.clone()]
            .into_iter()
            .chain(recipients)
            .chain([message, self.fence.0.into(), self.boot.as_uuid().into()]);
        let noted = unit
            .txn
            .execute_raw(unit.statement(&note, values.collect::<Vec<_>>()))
            .await?;
        Ok(noted.rows_affected() == self.recipients.len() as u64)
    }
}
