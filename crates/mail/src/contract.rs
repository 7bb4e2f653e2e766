//! The contract of [`Transport`]: cases that every backend passes. A backend's test gives a [`Peer`], which makes
//! transports and tells what arrived.

use std::{
    fmt,
    sync::atomic::{AtomicU32, Ordering},
};

use async_trait::async_trait;
use posthaste_domain::{
    clock::Timestamp,
    delivery::{BodyHash, Class},
    id::MessageId,
};

use crate::{
    envelope::Envelope,
    transport::{DataGate, GateShut, OpenGate, Passing, Scope, Transport, hash_of},
};

/// What stands behind a transport under test.
#[async_trait]
pub trait Peer: Send + Sync {
    /// A transport to it.
    fn transport(&self) -> &dyn Transport;

    /// Every mail that arrived whole: recipients and bytes.
    async fn arrived(&self) -> Vec<(Vec<String>, Vec<u8>)>;
}

/// Runs every case, each on a peer of its own made by `fresh`.
pub async fn run_all<P, Made>(fresh: impl Fn() -> Made)
where
    P: Peer,
    Made: Future<Output = P>,
{
    a_mail_arrives_as_it_is(&fresh().await).await;
    each_recipient_has_a_reply(&fresh().await).await;
    a_large_mail_arrives_whole(&fresh().await).await;
    the_gate_is_asked_once_and_before_anything_can_arrive(&fresh().await).await;
    a_shut_gate_lets_nothing_out(&fresh().await).await;
    many_mails_at_once_all_arrive(&fresh().await).await;
    a_send_that_is_dropped_leaves_nothing_torn(&fresh).await;
}

fn envelope(recipients: &[&str]) -> Envelope {
    let address = |text: &str| text.parse().expect("the cases' addresses are valid");
    Envelope {
        id: MessageId::new(Timestamp::UNIX_EPOCH),
        sender: address("app@example.com"),
        recipients: recipients
            .iter()
            .map(|recipient| address(recipient))
            .collect(),
        stream: "transactional".parse().expect("a valid name"),
        stay_with: None,
    }
}

fn mail(subject: &str, body: &str) -> Vec<u8> {
    format!("Message-ID: <{subject}@example.com>\r\nSubject: {subject}\r\n\r\n{body}\r\n")
        .into_bytes()
}

/// Counts how often it is asked, and with which hash.
struct CountingGate {
    asked: AtomicU32,
    expected: BodyHash,
    recipients: Vec<String>,
    open: bool,
}

impl CountingGate {
    fn of(message: &[u8], recipients: &[&str], open: bool) -> Self {
        Self {
            recipients: recipients.iter().map(|&to| to.to_owned()).collect(),
            asked: AtomicU32::new(0),
            expected: hash_of(message),
            open,
        }
    }
}

#[async_trait]
impl DataGate for CountingGate {
    async fn open(&self, passing: Passing<'_>) -> Result<(), GateShut> {
        let recipients = passing
            .recipients
            .iter()
            .map(|recipient| recipient.expose());
        assert_eq!(
            (passing.hash, recipients.collect::<Vec<_>>()),
            (
                self.expected,
                self.recipients.iter().map(String::as_str).collect()
            ),
            "the gate is told what will be sent, and to whom"
        );
        self.asked.fetch_add(1, Ordering::SeqCst);
        if self.open { Ok(()) } else { Err(GateShut) }
    }
}

impl fmt::Debug for CountingGate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CountingGate")
    }
}

async fn a_mail_arrives_as_it_is(peer: &dyn Peer) {
    let message = mail("plain", ".\r\n..dots\r\nlast");
    let sent = peer
        .transport()
        .send(&envelope(&["ada@example.com"]), &message, &OpenGate)
        .await;
    assert_eq!(
        sent.expect("the peer takes it").replies[0].class,
        Class::Accepted
    );
    assert_eq!(
        peer.arrived().await,
        [(vec!["ada@example.com".to_owned()], message)]
    );
}

async fn each_recipient_has_a_reply(peer: &dyn Peer) {
    let to = ["ada@example.com", "bob@example.com", "eve@example.com"];
    let receipt = peer
        .transport()
        .send(&envelope(&to), &mail("three", "x"), &OpenGate)
        .await
        .expect("the peer takes it");
    assert_eq!(receipt.replies.len(), 3);
    assert!(receipt.remote.is_some());
    let arrived = peer.arrived().await;
    assert_eq!(arrived.len(), 1, "one transaction");
    assert_eq!(arrived[0].0, to);
}

async fn a_large_mail_arrives_whole(peer: &dyn Peer) {
    let line = format!("{}\r\n", "0123456789".repeat(7));
    let message = mail("large", &line.repeat(10 * 1024 * 1024 / line.len()));
    peer.transport()
        .send(&envelope(&["ada@example.com"]), &message, &OpenGate)
        .await
        .expect("the peer takes it");
    let arrived = peer.arrived().await;
    assert_eq!(arrived.len(), 1);
    assert!(
        arrived[0].1 == message,
        "{} of {} bytes",
        arrived[0].1.len(),
        message.len()
    );
}

async fn the_gate_is_asked_once_and_before_anything_can_arrive(peer: &dyn Peer) {
    let message = mail("gate", "x");
    let gate = CountingGate::of(&message, &["a@example.com", "b@example.com"], true);
    peer.transport()
        .send(
            &envelope(&["a@example.com", "b@example.com"]),
            &message,
            &gate,
        )
        .await
        .expect("taken");
    assert_eq!(gate.asked.load(Ordering::SeqCst), 1);
}

async fn a_shut_gate_lets_nothing_out(peer: &dyn Peer) {
    let message = mail("shut", "x");
    let gate = CountingGate::of(&message, &["ada@example.com"], false);
    let refused = peer
        .transport()
        .send(&envelope(&["ada@example.com"]), &message, &gate)
        .await;
    assert_eq!(refused.expect_err("the gate is shut").scope, Scope::Gate);
    assert!(peer.arrived().await.is_empty());
    peer.transport()
        .send(
            &envelope(&["ada@example.com"]),
            &mail("next", "x"),
            &OpenGate,
        )
        .await
        .expect("the next is taken");
    assert_eq!(peer.arrived().await.len(), 1);
}

async fn many_mails_at_once_all_arrive(peer: &dyn Peer) {
    let sends = (0..20).map(|number| async move {
        let message = mail(&format!("n{number}"), "x");
        peer.transport()
            .send(&envelope(&["ada@example.com"]), &message, &OpenGate)
            .await
            .expect("taken")
    });
    futures_util::future::join_all(sends).await;
    let mut subjects: Vec<_> = peer
        .arrived()
        .await
        .into_iter()
        .map(|(_, message)| message)
        .collect();
    subjects.sort();
    subjects.dedup();
    assert_eq!(subjects.len(), 20);
}

/// Drops a send after one poll, two polls, … until one ends by itself: what arrived is whole, and the next mail is sound.
async fn a_send_that_is_dropped_leaves_nothing_torn<P, Made>(fresh: &impl Fn() -> Made)
where
    P: Peer,
    Made: Future<Output = P>,
{
    let peer = fresh().await;
    let first = mail("first", &"x".repeat(100_000));
    let second = mail("second", "y");
    for polls in 1..200 {
        let to = envelope(&["ada@example.com"]);
        let mut left = polls;
        let mut send = peer.transport().send(&to, &first, &OpenGate);
        let ended = std::future::poll_fn(|cx| {
            if left == 0 {
                return std::task::Poll::Ready(false);
            }
            left -= 1;
            send.as_mut().poll(cx).map(|_| true)
        })
        .await;
        drop(send);
        let next = peer
            .transport()
            .send(&envelope(&["bob@example.com"]), &second, &OpenGate)
            .await;
        assert_eq!(
            next.expect("the peer takes the next").replies[0].class,
            Class::Accepted
        );
        if ended {
            break;
        }
    }
    for (to, message) in peer.arrived().await {
        let expected = if to == ["bob@example.com"] {
            &second
        } else {
            &first
        };
        assert!(&message == expected, "a torn mail to {to:?}");
    }
}
