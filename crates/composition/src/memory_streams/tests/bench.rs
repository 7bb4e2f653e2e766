//! A stream in memory between a mocked store and a transport in memory.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use posthaste_domain::{
    clock::{Clock, SystemClock, later},
    delivery::BodyHash,
    id::{DeliveryId, MessageId},
    message::{Content, InternetMessageId, NewDelivery, NewMessage, Recipients},
    retry_policy::RetryPolicy,
    stores::{Accepted, MessageStore, MockMessageStore, MockTemplateVersions, StoreError},
    stream::StreamPolicy,
};
use posthaste_host::Stop;
use posthaste_mail::{
    Builder, Deliver, Envelope, Gate, Library, Passing, Receipt, Renderer, SendError, Transport,
    memory::MemoryTransport, render::Source,
};
use posthaste_queue::Controls;
use tokio::task::JoinHandle;

use super::super::{MemoryBounds, MemoryStreams, Unsent, WhenFull, tally::Counts};

pub(super) const SECOND: Duration = Duration::from_secs(1);

/// Room for three mails, of which one is sent at a time.
pub(super) fn bounds(full: WhenFull, unsent: Unsent) -> MemoryBounds {
    MemoryBounds {
        capacity: 3,
        bytes: 1 << 20,
        full,
        unsent,
        permits: 1,
    }
}

/// Mails as they were spilled, each with its wait.
pub(super) type Spilled = Arc<Mutex<Vec<(NewMessage, Duration)>>>;

/// A store that takes nothing but what is spilled.
pub(super) fn spilling() -> (MockMessageStore, Spilled) {
    let spilled = Spilled::default();
    let kept = Arc::clone(&spilled);
    let mut store = MockMessageStore::new();
    store.expect_spill().returning(move |message, after| {
        kept.lock().expect("no panic").push((message, after));
        Ok(())
    });
    (store, spilled)
}

pub(super) fn ids(spilled: &Spilled) -> Vec<MessageId> {
    let spilled = spilled.lock().expect("no panic");
    spilled.iter().map(|(message, _)| message.id).collect()
}

pub(super) struct Bench {
    pub(super) streams: MemoryStreams,
    transport: Arc<dyn Transport>,
    pub(super) controls: Controls,
    pub(super) stop: Stop,
}

impl Bench {
    /// A stream `preview` with these bounds; nothing runs yet.
    pub(super) fn new(
        bounds: MemoryBounds,
        store: MockMessageStore,
        transport: Arc<dyn Transport>,
    ) -> Self {
        let name = "preview".parse().expect("a stream");
        Self {
            streams: MemoryStreams::new(Arc::new(store), [(name, bounds)]),
            transport,
            controls: Controls::default(),
            stop: Stop::new(),
        }
    }

    /// One that nobody sends from.
    pub(super) fn idle(bounds: MemoryBounds, store: MockMessageStore) -> Self {
        Self::new(bounds, store, Arc::new(MemoryTransport::new("memory")))
    }

    /// Begins to send.
    pub(super) fn start(&self) -> JoinHandle<()> {
        let stream: posthaste_domain::stream::StreamName = "preview".parse().expect("a stream");
        let library = Arc::new(Library::load(&Source::default()).library);
        let renderer = Renderer::new(library, Arc::new(MockTemplateVersions::new()));
        let policy = StreamPolicy {
            expiry: 3600 * SECOND,
            retry: RetryPolicy::new(vec![40 * SECOND]).expect("one wait"),
            on_uncertain: posthaste_domain::stream::OnUncertain::Resend,
        };
        let deliver = Deliver::new(
            Arc::new(Builder::new(Arc::new(renderer))),
            HashMap::from([(stream.clone(), Arc::clone(&self.transport))]),
            [(stream, policy)].into_iter().collect(),
            Arc::new(SystemClock),
            Arc::new(|| 0.0),
        );
        let senders = self
            .streams
            .senders(Arc::new(deliver), self.controls.clone(), 600 * SECOND);
        let stop = self.stop.clone();
        #[expect(clippy::disallowed_methods, reason = "the test owns the task")]
        tokio::spawn(async move { senders.run(&stop).await })
    }

    pub(super) async fn submit(&self, message: &NewMessage) -> Result<Accepted, StoreError> {
        self.streams.accept(message.clone(), None).await
    }

    pub(super) fn counts(&self) -> Counts {
        let lane = self.streams.lanes.values().next().expect("one stream");
        lane.tally.counts()
    }

    /// The mails that wait, taken out in their order.
    pub(super) fn drain(&self) -> Vec<MessageId> {
        let lane = self.streams.lanes.values().next().expect("one stream");
        std::iter::from_fn(|| lane.receiver().try_recv())
            .map(|waiting| waiting.message.id)
            .collect()
    }
}

pub(super) fn counts(ended: u64, spilled: u64, dropped: u64, uncertain: u64) -> Counts {
    Counts {
        ended,
        spilled,
        dropped,
        uncertain,
    }
}

pub(super) fn mail(to: &[&str]) -> NewMessage {
    mail_of(to, "x")
}

pub(super) fn mail_of(to: &[&str], text: &str) -> NewMessage {
    let now = SystemClock.now();
    let id = MessageId::new(now);
    let recipients = Recipients {
        to: to.iter().map(|to| to.parse().expect("a mailbox")).collect(),
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
        owner: "acme".parse().expect("an owner"),
        stream: "preview".parse().expect("a stream"),
        message_id: InternetMessageId::of(id, &"app@example.com".parse().expect("an address")),
        from: "app@example.com".parse().expect("a mailbox"),
        recipients,
        reply_to: Vec::new(),
        content: Content::Inline {
            subject: "hi".parse().expect("a subject"),
            html: None,
            text: Some(text.to_owned()),
        },
        attachments: Vec::new(),
        headers: Vec::new(),
        tags: Vec::new(),
        metadata: BTreeMap::new(),
        created_at: now,
        scheduled_at: None,
        expires_at: later(now, 3600 * SECOND),
        deliveries,
    }
}

/// A server that takes the whole mail and never says so.
#[derive(Debug)]
pub(super) struct Silent;

#[async_trait]
impl Transport for Silent {
    fn name(&self) -> &str {
        "silent"
    }

    async fn send(
        &self,
        _envelope: &Envelope,
        _message: &[u8],
        gate: &Gate,
    ) -> Result<Receipt, SendError> {
        gate.open(Passing {
            hash: BodyHash([0; 32]),
            recipients: &[],
        })
        .await
        .expect("the gate is open");
        std::future::pending().await
    }
}

/// Lets everything that can run do so: paused time goes on only when all wait.
pub(super) async fn settle() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}
