//! How long a mail waits for its handler when there is nothing else to do.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use posthaste_composition::bench::{Ground, Node};
use posthaste_domain::{
    desk::MailDesk,
    message::{Content, Draft, DraftContent, Recipients},
    owner::Owner,
    stream::StreamName,
};

use super::{
    BenchError,
    figures::{Latencies, Percentiles},
    work::{Tally, Work},
};

/// Most mails of one figure.
const MAILS: u64 = 200;
/// Longest time for them.
const PATIENCE: Duration = Duration::from_secs(30);
/// Pauses between two of them are this long at least, so that the system is idle (hints to other nodes are sent at most
/// twenty times a second), and up to so much longer: each meets another moment between two polls.
const IDLE_MS: u64 = 60;
const SPREAD_MS: u64 = 40;

/// Accepted and worked on by one node, whose free executor takes the mail without a claim.
pub(super) async fn on_one_node(node: &Node, ground: &Ground) -> Result<Percentiles, BenchError> {
    let tally = Arc::new(Tally::of(MAILS));
    let settings = ground.settings();
    let told = Arc::clone(&tally);
    let hand_over = |handover| node.hand_over_to(handover);
    let worker = Work::start(node.queue(), told, settings, hand_over).await?;
    measure(&node.composed().desk, ground, &tally, worker).await
}

/// Accepted by one node and worked on by another.
pub(super) async fn on_two_nodes(
    accepting: &Node,
    working: &Node,
    ground: &Ground,
) -> Result<Percentiles, BenchError> {
    let tally = Arc::new(Tally::of(MAILS));
    let told = Arc::clone(&tally);
    let settings = ground.settings();
    let hand_over = |handover| working.hand_over_to(handover);
    let worker = Work::start(working.queue(), told, settings, hand_over).await?;
    measure(&accepting.composed().desk, ground, &tally, worker).await
}

async fn measure(
    desk: &MailDesk,
    ground: &Ground,
    tally: &Tally,
    worker: Work,
) -> Result<Percentiles, BenchError> {
    let stream = &ground.settings().accounts.stream;
    let mut latencies = Latencies::default();
    let began = Instant::now();
    for number in (0..MAILS).take_while(|_| began.elapsed() < PATIENCE) {
        let draft = draft(stream);
        let submitted = Instant::now();
        desk.submit(draft).await.map_err(BenchError::other)?;
        let started = tally.started(number).await;
        latencies.add(started.saturating_duration_since(submitted));
        // A multiple that shares no factor with the range visits all of it.
        let pause = IDLE_MS + (number * 17) % SPREAD_MS;
        tokio::time::sleep(Duration::from_millis(pause)).await;
    }
    worker.end().await?;
    Ok(latencies.told())
}

fn draft(stream: &StreamName) -> Draft {
    let mailbox = |text: &str| text.parse().expect("a valid mailbox");
    Draft {
        owner: "bench".parse::<Owner>().expect("a valid owner"),
        stream: stream.clone(),
        from: Some(mailbox("Acme <orders@acme.example>")),
        recipients: Recipients {
            to: vec![mailbox("ada@example.com")],
            ..Recipients::default()
        },
        reply_to: Vec::new(),
        content: DraftContent::Inline(Content::Inline {
            subject: "Your order".parse().expect("a valid subject"),
            html: None,
            text: Some("on its way".to_owned()),
        }),
        attachments: Vec::new(),
        headers: Vec::new(),
        tags: Vec::new(),
        metadata: Default::default(),
        scheduled_at: None,
        expires_at: None,
    }
}
