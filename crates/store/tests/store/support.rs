//! A store in a folder of its own, and messages to put into it.

use std::{collections::BTreeMap, path::Path, sync::Arc, time::Duration};

use posthaste_domain::{
    clock::{Clock, ManualClock, Timestamp, later},
    id::{DeliveryId, MessageId},
    message::{Content, ExtraHeader, InternetMessageId, NewDelivery, NewMessage, Recipients, Tag},
    owner::Owner,
};
use posthaste_migrations::Migrator;
use posthaste_queue::{BootId, ClaimRequest, ClaimedJob, LaneDemand, Queue};
use posthaste_store::{Migrate, OpenError, Opened, Store, StoreConfig};
use tempfile::TempDir;

/// A store on a file that goes away with the value.
pub(crate) struct Bench {
    pub(crate) store: Arc<Store>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) folder: TempDir,
}

impl Bench {
    pub(crate) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    /// A store with other bounds.
    pub(crate) async fn with(change: impl FnOnce(&mut StoreConfig)) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let clock = Arc::new(ManualClock::at(later(
            Timestamp::UNIX_EPOCH,
            Duration::from_secs(1_800_000_000),
        )));
        let (bench, opened) = Self::opened(folder, clock, change).await;
        assert!(opened.migrations > 0, "a new database gets its schema");
        bench
    }

    /// Drops the store as a crash would, without leaving, and opens the file again.
    pub(crate) async fn reopen(self) -> (Self, Opened) {
        self.reopen_with(|_| {}).await
    }

    /// The same with other bounds.
    pub(crate) async fn reopen_with(self, change: impl FnOnce(&mut StoreConfig)) -> (Self, Opened) {
        let Self {
            store,
            clock,
            folder,
        } = self;
        store.close().await;
        drop(store);
        Self::opened(folder, clock, change).await
    }

    async fn opened(
        folder: TempDir,
        clock: Arc<ManualClock>,
        change: impl FnOnce(&mut StoreConfig),
    ) -> (Self, Opened) {
        let mut config = config(folder.path());
        change(&mut config);
        let now: Arc<dyn Clock> = Arc::<ManualClock>::clone(&clock);
        let opened = Store::open::<Migrator>(config, now, Migrate::Apply).await;
        let (store, opened) = opened.expect("the database opens");
        (
            Self {
                store: Arc::new(store),
                clock,
                folder,
            },
            opened,
        )
    }

    pub(crate) fn message(&self, to: &[&str]) -> NewMessage {
        message(self.clock.now(), to)
    }

    pub(crate) async fn claim(&self, boot: BootId, limit: usize) -> Vec<ClaimedJob> {
        let lane = "transactional".parse().expect("a valid lane");
        let request = ClaimRequest {
            boot,
            lanes: vec![LaneDemand { lane, limit }],
        };
        self.store
            .claim(request)
            .await
            .expect("the queue gives jobs out")
    }
}

pub(crate) fn config(folder: &Path) -> StoreConfig {
    StoreConfig {
        path: folder.join("posthaste.db"),
        busy_timeout: Duration::from_secs(5),
        read_connections: 2,
        intake_commands: 1000,
        intake_bytes: 16 << 20,
        batch: 256,
        checkpoint_above: 32 << 20,
        sealing_key: "5e".repeat(32).parse().expect("a key"),
        disk_floor: 0,
    }
}

pub(crate) async fn open(
    folder: &Path,
    clock: &Arc<ManualClock>,
) -> Result<(Store, Opened), OpenError> {
    let clock: Arc<dyn Clock> = Arc::<ManualClock>::clone(clock);
    Store::open::<Migrator>(config(folder), clock, Migrate::Apply).await
}

pub(crate) fn owner() -> Owner {
    "acme".parse().expect("a valid owner")
}

pub(crate) fn message(now: Timestamp, to: &[&str]) -> NewMessage {
    let id = MessageId::new(now);
    let from = "Acme <orders@acme.example>"
        .parse()
        .expect("a valid mailbox");
    let to: Vec<_> = to
        .iter()
        .map(|to| to.parse().expect("a valid mailbox"))
        .collect();
    let recipients = Recipients {
        to,
        ..Recipients::default()
    };
    let deliveries = recipients.envelope().cloned();
    let deliveries = deliveries
        .map(|recipient| NewDelivery {
            id: DeliveryId::new(now),
            recipient,
        })
        .collect();
    NewMessage {
        id,
        owner: owner(),
        stream: "transactional".parse().expect("a valid stream"),
        message_id: InternetMessageId::of(
            id,
            &"orders@acme.example".parse().expect("a valid address"),
        ),
        from,
        recipients,
        reply_to: vec!["help@acme.example".parse().expect("a valid mailbox")],
        content: Content::Inline {
            subject: "Your order".parse().expect("a valid subject"),
            html: Some("<b>on its way</b>".into()),
            text: None,
        },
        headers: vec![ExtraHeader::new("X-Order", "42").expect("a valid header")],
        tags: vec![Tag::new("category", "order").expect("a valid tag")],
        metadata: BTreeMap::from([("order".to_owned(), "42".to_owned())]),
        created_at: now,
        expires_at: later(now, Duration::from_secs(86_400)),
        deliveries,
    }
}
