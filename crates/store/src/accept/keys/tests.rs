//! What a batch makes of a key that stands in it twice. No caller brings one about, for submits under one key wait for
//! each other; the statement must not depend on that.

use std::sync::Arc;

use async_trait::async_trait;
use posthaste_domain::{
    clock::{Clock, SystemClock},
    id::MessageId,
    message::{Content, InternetMessageId, Recipients},
};
use posthaste_migrations::Migrator;

use super::*;
use crate::{DatabasePlace, Migrate, StoreConfig, writer::AsyncWork};

/// Submits of one batch, and what each is to its key.
struct Batch(Vec<(NewMessage, Option<Keyed>)>);

#[async_trait]
impl AsyncWork<Vec<Claim>> for Batch {
    async fn run(&mut self, unit: &mut Unit<'_>) -> Result<Vec<Claim>, DbErr> {
        let submits = self.0.iter();
        claim(
            unit,
            submits.map(|(message, keyed)| (std::slice::from_ref(message), keyed.as_ref())),
        )
        .await
    }
}

fn submit(key: Option<&str>, fingerprint: u8) -> (NewMessage, Option<Keyed>) {
    let now = SystemClock.now();
    let id = MessageId::new(now);
    let from = "orders@acme.example".parse().expect("valid");
    let message = NewMessage {
        id,
        owner: "acme".parse().expect("valid"),
        stream: "transactional".parse().expect("valid"),
        message_id: InternetMessageId::of(id, &from),
        from: "orders@acme.example".parse().expect("valid"),
        recipients: Recipients::default(),
        reply_to: Vec::new(),
        content: Content::Inline {
            subject: "Your order".parse().expect("valid"),
            html: None,
            text: Some("on its way".into()),
        },
        attachments: Vec::new(),
        headers: Vec::new(),
        tags: Vec::new(),
        metadata: std::collections::BTreeMap::new(),
        created_at: now,
        scheduled_at: None,
        expires_at: now,
        deliveries: Vec::new(),
    };
    let keyed = key.map(|key| Keyed {
        request: Idempotency {
            route: "POST /emails".into(),
            key: key.parse().expect("valid"),
            fingerprint: [fingerprint; 32],
        },
        answer: Answer {
            status: 200,
            body: format!("{fingerprint}"),
        },
    });
    (message, keyed)
}

/// I28. Even where keys are not kept at all, the earlier one of a batch is the first and the others find its answer.
#[tokio::test]
async fn of_two_under_one_key_in_a_batch_the_earlier_one_is_the_first() {
    let folder = tempfile::tempdir().unwrap();
    let config = StoreConfig {
        database: DatabasePlace::Sqlite(folder.path().join("posthaste.db")),
        busy_timeout: Duration::from_secs(5),
        read_connections: 1,
        intake_commands: 10,
        intake_bytes: 1 << 20,
        batch: 10,
        checkpoint_above: 32 << 20,
        idempotency_keys: Duration::ZERO,
        sealing_key: "5e".repeat(32).parse().unwrap(),
        disk_floor: 0,
        hints: false,
        old_snapshot: Duration::from_secs(60),
    };
    let opened = Store::open::<Migrator>(config, Arc::new(SystemClock), Migrate::Apply).await;
    let (store, _) = opened.unwrap();
    let batch = Batch(vec![
        submit(Some("b"), 1),
        submit(None, 2),
        submit(Some("a"), 3),
        submit(Some("b"), 4),
        submit(Some("b"), 1),
    ]);
    let claims = store.writer.write(batch).await.unwrap();
    let told: Vec<_> = claims
        .iter()
        .map(|claim| match claim {
            Claim::First => "first",
            Claim::Later(kept) => kept.answer.body.as_str(),
            Claim::Elsewhere => "elsewhere",
        })
        .collect();
    assert_eq!(told, ["first", "first", "first", "1", "1"]);
}
