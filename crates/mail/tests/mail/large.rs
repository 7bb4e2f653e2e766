//! Mails with attachments that are in the store, and the memory that large mails share.

use std::{sync::Arc, time::Duration};

use posthaste_domain::{
    clock::Clock,
    delivery::DeliveryState,
    id::AttachmentId,
    message::{AttachedBytes, Attachment, NewMessage},
    stores::{MockAttachmentStore, StoreError},
    stream::OnUncertain,
};
use posthaste_mail::{
    Builder, Deliver, DeliverError, Delivered, LargeMails, Library, MemoryTransport, OpenGate,
    Transport, large::LARGE,
};
use tokio::{sync::Notify, time::Instant};

use crate::{
    deliver::{deliver_of, renderer},
    support::{clock, message, outgoing, plain},
};

const MIB: u64 = 1024 * 1024;

/// A mail with a file of so many bytes in the store.
fn with_file(size: u64) -> NewMessage {
    let now = clock().now();
    let file = Attachment {
        id: AttachmentId::new(now),
        name: "report.pdf".parse().expect("a name"),
        media_type: "application/pdf".parse().expect("a type"),
        content_id: None,
        bytes: AttachedBytes::Stored(size),
    };
    NewMessage {
        attachments: vec![file],
        ..message(now, &["ada@example.com"], plain())
    }
}

fn delivering(store: MockAttachmentStore, memory: u64, by: &Arc<MemoryTransport>) -> Deliver {
    let large = LargeMails::new(Arc::new(store), memory);
    let builder = Builder::new(renderer(Library::default())).with_large_mails(large);
    let by: Arc<dyn Transport> = Arc::<MemoryTransport>::clone(by);
    deliver_of(builder, by, clock(), OnUncertain::Resend)
}

/// A store whose files are of this size.
fn storing(size: usize) -> MockAttachmentStore {
    let mut store = MockAttachmentStore::new();
    store
        .expect_attached()
        .returning(move |_, _| Ok(Some(vec![7; size])));
    store
}

#[tokio::test]
async fn a_file_is_read_from_the_store_for_the_mail_that_is_built() {
    let by = Arc::new(MemoryTransport::new("memory"));
    let deliver = delivering(storing(1000), MIB, &by);
    let delivered = deliver
        .deliver(outgoing(with_file(1000), 0), &OpenGate)
        .await;
    assert!(matches!(delivered, Ok(Delivered::Ended { .. })));
    let sent = &by.sent()[0];
    let parsed = mail_parser::MessageParser::default().parse(&sent.message);
    let parsed = parsed.expect("a mail");
    let file = parsed.attachment(0).expect("a file");
    assert_eq!(file.contents(), vec![7; 1000]);
}

/// What was removed is never left out of a mail: it fails, and says why.
#[tokio::test]
async fn a_mail_whose_file_was_removed_fails() {
    let by = Arc::new(MemoryTransport::new("memory"));
    let mut store = MockAttachmentStore::new();
    store.expect_attached().returning(|_, _| Ok(None));
    let deliver = delivering(store, MIB, &by);
    let delivered = deliver.deliver(outgoing(with_file(9), 0), &OpenGate).await;
    let Ok(Delivered::Ended { report, .. }) = delivered else {
        panic!("it ended")
    };
    assert_eq!(report.results[0].state, DeliveryState::Failed);
    let reply = report.results[0].reply.as_ref().expect("a reason");
    assert!(reply.text.contains("removed"), "{}", reply.text);
    assert!(by.sent().is_empty());
}

/// A database that does not answer says nothing about the mail.
#[tokio::test]
async fn a_store_that_does_not_answer_spends_no_attempt() {
    let by = Arc::new(MemoryTransport::new("memory"));
    let mut store = MockAttachmentStore::new();
    store
        .expect_attached()
        .returning(|_, _| Err(StoreError::Unavailable(None)));
    let deliver = delivering(store, MIB, &by);
    let delivered = deliver.deliver(outgoing(with_file(9), 0), &OpenGate).await;
    assert!(matches!(delivered, Err(DeliverError::Store(_))));
}

/// A transport at which a mail waits until it is let go.
#[derive(Debug, Default)]
struct Slow {
    begun: Notify,
    go_on: Notify,
}

#[async_trait::async_trait]
impl Transport for Slow {
    fn name(&self) -> &str {
        "slow"
    }

    async fn send(
        &self,
        envelope: &posthaste_mail::Envelope,
        _: &[u8],
        _: &dyn posthaste_mail::DataGate,
    ) -> Result<posthaste_mail::Receipt, posthaste_mail::SendError> {
        self.begun.notify_one();
        self.go_on.notified().await;
        MemoryTransport::new("memory")
            .send(envelope, b"", &OpenGate)
            .await
    }
}

/// P7. Of large mails no more are built than fit; what finds no room gives its executor back. A small one passes them by.
#[tokio::test(start_paused = true)]
async fn large_mails_share_their_memory_and_hold_up_no_small_ones() {
    let size = 4 * MIB;
    let slow = Arc::new(Slow::default());
    let large = LargeMails::new(Arc::new(storing(4 << 20)), 8 * MIB);
    let builder = Builder::new(renderer(Library::default())).with_large_mails(large);
    let deliver = deliver_of(
        builder,
        Arc::<Slow>::clone(&slow) as Arc<dyn Transport>,
        clock(),
        OnUncertain::Resend,
    );
    let deliver = Arc::new(deliver);
    let send = |mail: NewMessage| {
        let deliver = Arc::clone(&deliver);
        #[expect(clippy::disallowed_methods, reason = "the test owns the task")]
        tokio::spawn(async move { deliver.deliver(outgoing(mail, 0), &OpenGate).await })
    };
    let first = send(with_file(size));
    slow.begun.notified().await;
    // Building takes three times its size, which is more than there is beside it; sending takes its size.
    let began = Instant::now();
    let second = deliver
        .deliver(outgoing(with_file(size), 0), &OpenGate)
        .await;
    assert!(matches!(second, Ok(Delivered::NoRoom)), "{second:?}");
    assert_eq!(began.elapsed(), Duration::from_secs(2));
    let mut small = with_file(LARGE / 2);
    small.attachments.clear();
    let small = send(small);
    slow.begun.notified().await;
    // What it took to build the first is free again: one of the least that are counted finds room beside it.
    let least = send(with_file(LARGE));
    slow.begun.notified().await;
    for _ in 0..3 {
        slow.go_on.notify_one();
        tokio::task::yield_now().await;
    }
    for sent in [first, small, least] {
        let sent = sent.await.expect("no panic");
        assert!(matches!(sent, Ok(Delivered::Ended { .. })), "{sent:?}");
    }
    let third = send(with_file(size));
    slow.begun.notified().await;
    slow.go_on.notify_one();
    let third = third.await.expect("no panic");
    assert!(
        matches!(third, Ok(Delivered::Ended { .. })),
        "there is room again"
    );
}
