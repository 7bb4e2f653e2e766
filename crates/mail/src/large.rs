//! Large mails, and the bound on memory that they share while they are built and sent (P7).
//!
//! What their attachments hold is read when they are built. Small ones pass the bound by: a picture of 10 MB on its way to a
//! slow server holds up no sign-in code.

use std::{fmt, sync::Arc, time::Duration};

use posthaste_domain::{
    message::{AttachedBytes, NewMessage},
    stores::{AttachmentStore, StoreError},
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

/// Mails of fewer bytes are not counted.
pub const LARGE: u64 = 256 * 1024;
/// How long a mail waits for room with its executor, before it gives it back.
pub const PATIENCE: Duration = Duration::from_secs(2);
/// Copies of itself that a mail needs at most while it is built: what was read, the whole, and the whole signed.
const COPIES: u64 = 3;
/// Unit of the bound, in bytes.
const UNIT: u64 = 1024;

/// Why a mail cannot be built.
#[derive(Debug)]
pub(crate) enum NotLoaded {
    /// Others take all the memory there is for large mails.
    NoRoom,
    /// What an attachment holds was removed.
    Removed,
    /// The store failed.
    Store(StoreError),
}

/// Loads large mails.
#[derive(Clone)]
pub struct LargeMails {
    store: Arc<dyn AttachmentStore>,
    room: Arc<Semaphore>,
    units: u32,
}

impl fmt::Debug for LargeMails {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LargeMails")
            .field("free", &self.room.available_permits())
            .finish_non_exhaustive()
    }
}

/// Room for one mail; it counts until it is dropped.
#[derive(Debug, Default)]
pub(crate) struct Room(Option<OwnedSemaphorePermit>);

impl Room {
    /// Gives back what was needed to build a mail, now of so many bytes.
    pub(crate) fn built(&mut self, bytes: usize) {
        if let Some(held) = &mut self.0 {
            let needed = (bytes as u64).div_ceil(UNIT);
            let needed = usize::try_from(needed).unwrap_or(usize::MAX);
            drop(held.split(held.num_permits().saturating_sub(needed)));
        }
    }
}

impl LargeMails {
    /// All of them together take about `limit` bytes; one that needs more goes alone.
    #[must_use]
    pub fn new(store: Arc<dyn AttachmentStore>, limit: u64) -> Self {
        let most = u64::from(u32::MAX).min(Semaphore::MAX_PERMITS as u64);
        let units = limit.div_ceil(UNIT).clamp(1, most);
        let units = u32::try_from(units).unwrap_or(u32::MAX);
        Self {
            store,
            room: Arc::new(Semaphore::new(units as usize)),
            units,
        }
    }

    /// Takes room for a message, and puts into it what its attachments hold.
    pub(crate) async fn load(&self, message: &mut NewMessage) -> Result<Room, NotLoaded> {
        let room = match message.wire_size() {
            small if small < LARGE => Room::default(),
            large => self.room(large).await?,
        };
        for attachment in &mut message.attachments {
            if let AttachedBytes::Stored(_) = attachment.bytes {
                let bytes = self.store.attached(message.id, attachment.id).await;
                let bytes = bytes.map_err(NotLoaded::Store)?.ok_or(NotLoaded::Removed)?;
                attachment.bytes = AttachedBytes::Here(Arc::new(bytes));
            }
        }
        Ok(room)
    }

    async fn room(&self, bytes: u64) -> Result<Room, NotLoaded> {
        let units = (bytes * COPIES).div_ceil(UNIT);
        let units = u32::try_from(units).unwrap_or(u32::MAX).min(self.units);
        let room = Arc::clone(&self.room).acquire_many_owned(units);
        match timeout(PATIENCE, room).await {
            Ok(Ok(held)) => Ok(Room(Some(held))),
            Ok(Err(_)) | Err(_) => Err(NotLoaded::NoRoom),
        }
    }
}
