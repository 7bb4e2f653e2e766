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
    /// Notes that these recipients, or all that are still open, may get the bytes with this hash from now on. False, and nothing noted, if the lease on
    /// the job of the message is not the newest any more.
    ///
    /// # Errors
    /// [`StoreError`] if it is not known to be noted; then nothing may be sent.
    pub async fn put_in_doubt(
        &self,
        (boot, fence): (BootId, Fence),
        message: MessageId,
        recipients: Option<&[&EmailAddress]>,
        hash: BodyHash,
    ) -> Result<bool, StoreError> {
        let exposed = |to: &&EmailAddress| to.expose().to_owned();
        let work = PutInDoubt {
            boot,
            fence,
            message,
            recipients: recipients.map(|each| each.iter().map(exposed).collect()),
            hash,
        };
        Ok(self.writer.write(work).await?)
    }
}

struct PutInDoubt {
    boot: BootId,
    fence: Fence,
    message: MessageId,
    recipients: Option<Vec<String>>,
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
        let places =
            |of: &Vec<String>| format!("recipient IN ({})", vec!["?"; of.len()].join(", "));
        let open = || "state IN ('queued', 'deferred')".to_owned();
        let note = format!(
            "UPDATE deliveries SET doubt_hash = ? WHERE message_id = ? AND {} \
             AND EXISTS (SELECT 1 FROM jobs WHERE id = ? AND state = 'leased' AND fence = ? AND boot_id = ?)",
            self.recipients.as_ref().map_or_else(open, places)
        );
        let recipients = self.recipients.iter().flatten();
        let values = [Value::from(self.hash.0.to_vec()), message.clone()]
            .into_iter()
            .chain(recipients.map(|to| to.as_str().into()))
            .chain([message, self.fence.0.into(), self.boot.as_uuid().into()]);
        let noted = unit
            .txn
            .execute_raw(unit.statement(&note, values.collect::<Vec<_>>()))
            .await?;
        let noted = noted.rows_affected();
        Ok(match &self.recipients {
            Some(each) => noted == each.len() as u64,
            None => noted > 0,
        })
    }
}
