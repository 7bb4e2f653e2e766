//! What attachments hold: written and read in pieces. A row of ten megabytes would be copied whole by each layer between here
//! and the disk, several times over; of pieces one is copied at a time.

use async_trait::async_trait;
use posthaste_domain::{
    buffer::buffer,
    id::{AttachmentId, MessageId},
    message::{AttachedBytes, NewMessage},
    stores::{AttachmentStore, StoreError},
};
use sea_orm::{ConnectionTrait, DbErr};

use crate::{Store, messages::read_failed, sql::statement, writer::Unit};

/// Bytes of a piece.
const PIECE: usize = 256 * 1024;

/// Stores what the attachments of these messages hold.
pub(crate) async fn insert<'a>(
    unit: &Unit<'_>,
    messages: impl Iterator<Item = &'a NewMessage>,
) -> Result<(), DbErr> {
    for message in messages {
        for attachment in &message.attachments {
            let AttachedBytes::Here(bytes) = &attachment.bytes else {
                let missing = "an attachment without what it holds";
                return Err(DbErr::Custom(missing.to_owned()));
            };
            // At least one: a file that holds nothing is there all the same.
            let pieces = bytes.len().div_ceil(PIECE).max(1);
            for piece in 0..pieces {
                let begin = piece * PIECE;
                let content = &bytes[begin..bytes.len().min(begin + PIECE)];
                let insert = unit.statement(
                    "INSERT INTO attachments (message_id, id, piece, content) VALUES (?, ?, ?, ?)",
                    [
                        message.id.as_uuid().into(),
                        attachment.id.as_uuid().into(),
                        number(piece).into(),
                        content.to_vec().into(),
                    ],
                );
                unit.txn.execute_raw(insert).await?;
            }
        }
    }
    Ok(())
}

fn number(piece: usize) -> i32 {
    i32::try_from(piece).unwrap_or(i32::MAX)
}

#[async_trait]
impl AttachmentStore for Store {
    async fn attached(
        &self,
        message: MessageId,
        id: AttachmentId,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        let key = [message.as_uuid().into(), id.as_uuid().into()];
        let asked = statement(
            self.backend,
            "SELECT count(*), CAST(coalesce(sum(length(content)), 0) AS BIGINT) FROM attachments \
             WHERE message_id = ? AND id = ?",
            key.clone(),
        );
        let known = self
            .reader
            .query_one_raw(asked)
            .await
            .map_err(read_failed)?;
        let (pieces, size): (i64, i64) = match known {
            Some(row) => (
                row.try_get_by_index(0).map_err(read_failed)?,
                row.try_get_by_index(1).map_err(read_failed)?,
            ),
            None => (0, 0),
        };
        if pieces == 0 {
            return Ok(None);
        }
        let mut bytes = buffer(usize::try_from(size).unwrap_or_default());
        for piece in 0..pieces {
            let [message, id] = key.clone();
            let asked = statement(
                self.backend,
                "SELECT content FROM attachments WHERE message_id = ? AND id = ? AND piece = ?",
                [message, id, i32::try_from(piece).unwrap_or(i32::MAX).into()],
            );
            let row = self
                .reader
                .query_one_raw(asked)
                .await
                .map_err(read_failed)?;
            // Removed while it was read.
            let Some(row) = row else { return Ok(None) };
            let content: Vec<u8> = row.try_get_by_index(0).map_err(read_failed)?;
            bytes.extend_from_slice(&content);
        }
        Ok(Some(bytes))
    }
}
