//! The breaker before a transport: what opens it, what waits meanwhile, and what closes it.

use std::{sync::Arc, time::Duration};

use posthaste_domain::delivery::{Class, Reply, Stage};
use posthaste_mail::{
    Breaker, BreakerConfig, Envelope, MemoryTransport, OpenGate, Scope, SendError, Transport,
    memory::Act,
};

const SECOND: Duration = Duration::from_secs(1);

fn breaker() -> (Arc<MemoryTransport>, Breaker) {
    let inner = Arc::new(MemoryTransport::new("relay"));
    let config = BreakerConfig {
        failures: 3,
        wait: 30 * SECOND,
        max_wait: 100 * SECOND,
    };
    (Arc::clone(&inner), Breaker::before(inner, config))
}

fn fails(inner: &MemoryTransport, scope: Scope, stage: Stage, class: Class) {
    inner.next(Act::Fail(SendError {
        scope,
        reply: Reply::new(stage, class, "connection refused"),
        remote: None,
        trail: None,
    }));
}

fn is_down(inner: &MemoryTransport) {
    fails(inner, Scope::Transport, Stage::Connect, Class::Transient);
}

/// The wait of a mail that was not taken, `None` of one that was.
async fn send(breaker: &Breaker) -> Option<Option<Duration>> {
    let envelope = Envelope {
        id: "0199a5f0-0000-7000-8000-000000000001"
            .parse()
            .expect("an id"),
        sender: "app@example.com".parse().expect("an address"),
        recipients: vec!["ada@example.com".parse().expect("an address")],
        stream: "otp".parse().expect("a name"),
        stay_with: None,
    };
    let sent = breaker.send(&envelope, b"x\r\n", &OpenGate).await;
    sent.err().map(|error| error.reply.retry_after)
}

#[tokio::test(start_paused = true)]
async fn failures_in_a_row_open_it_and_a_probe_closes_it() {
    let (inner, breaker) = breaker();
    for _ in 0..2 {
        is_down(&inner);
        assert_eq!(send(&breaker).await, Some(None));
    }
    // What works in between counts from the beginning.
    assert_eq!(send(&breaker).await, None);
    for expected in [None, None, Some(30 * SECOND)] {
        is_down(&inner);
        assert_eq!(send(&breaker).await, Some(expected));
    }
    assert_eq!(inner.sent().len(), 1);
    tokio::time::advance(10 * SECOND).await;
    assert_eq!(
        send(&breaker).await,
        Some(Some(20 * SECOND)),
        "nobody connects, and the mail comes back when a probe is due"
    );
    assert_eq!(inner.sent().len(), 1);
    tokio::time::advance(20 * SECOND).await;
    assert_eq!(send(&breaker).await, None, "the probe");
    assert_eq!(send(&breaker).await, None, "and all behind it");
}

#[tokio::test(start_paused = true)]
async fn the_wait_doubles_with_each_probe_that_fails_up_to_its_longest() {
    let (inner, breaker) = breaker();
    for _ in 0..3 {
        is_down(&inner);
        send(&breaker).await;
    }
    let mut waits = Vec::new();
    for before in [30, 60, 100] {
        tokio::time::advance(before * SECOND).await;
        is_down(&inner);
        waits.push(send(&breaker).await);
    }
    let expected = [60, 100, 100].map(|seconds| Some(Some(seconds * SECOND)));
    assert_eq!(waits, expected);
}

#[tokio::test(start_paused = true)]
async fn a_refused_log_in_opens_it_at_once() {
    let (inner, breaker) = breaker();
    fails(&inner, Scope::Transport, Stage::Auth, Class::Permanent);
    assert_eq!(send(&breaker).await, Some(Some(30 * SECOND)));
}

#[tokio::test(start_paused = true)]
async fn what_is_said_of_a_mail_is_proof_that_the_server_is_there() {
    let (inner, breaker) = breaker();
    for _ in 0..2 {
        is_down(&inner);
        send(&breaker).await;
    }
    fails(&inner, Scope::Message, Stage::Mail, Class::Permanent);
    send(&breaker).await;
    is_down(&inner);
    assert_eq!(send(&breaker).await, Some(None));
}

/// One at a time, and a probe that is dropped leaves its turn to the next.
#[tokio::test(start_paused = true)]
async fn one_mail_is_the_probe() {
    let (inner, breaker) = breaker();
    for _ in 0..3 {
        is_down(&inner);
        send(&breaker).await;
    }
    tokio::time::advance(30 * SECOND).await;
    inner.next(Act::Hang);
    let mut probe = Box::pin(send(&breaker));
    let begun = std::future::poll_fn(|cx| std::task::Poll::Ready(probe.as_mut().poll(cx)));
    assert!(begun.await.is_pending());
    assert_eq!(send(&breaker).await, Some(Some(30 * SECOND)));
    drop(probe);
    assert_eq!(send(&breaker).await, None);
}
