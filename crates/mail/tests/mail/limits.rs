//! How much mail goes by a transport, and to each domain.

use std::{collections::HashMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use futures_util::future::join_all;
use posthaste_domain::{
    delivery::{Class, EnhancedCode, Reply, Stage},
    stores::{MockTokenBuckets, StoreError, Taken, TokenBuckets},
};
use posthaste_mail::{
    DomainLimits, Envelope, Limited, Limits, MemoryTransport, OpenGate, Receipt, Scope, SendError,
    Several, Transport, memory::Act, several::Policy,
};
use tokio::{sync::Mutex, time::Instant};

use crate::several::envelope;

const SECOND: Duration = Duration::from_secs(1);

/// Buckets that fill evenly and save no more than one token.
#[derive(Debug)]
struct Bucket {
    interval: Duration,
    next: Mutex<HashMap<String, Instant>>,
}

impl Bucket {
    fn every(interval: Duration) -> Arc<dyn TokenBuckets> {
        Arc::new(Self {
            interval,
            next: Mutex::default(),
        })
    }
}

#[async_trait]
impl TokenBuckets for Bucket {
    fn interval(&self) -> Duration {
        self.interval
    }

    async fn take(&self, bucket: &str, _most: usize) -> Result<Taken, StoreError> {
        let (now, mut next) = (Instant::now(), self.next.lock().await);
        let next = next.entry(bucket.to_owned()).or_insert(now);
        let tokens = usize::from(*next <= now);
        if tokens > 0 {
            *next = now + self.interval;
        }
        let next_in = next.saturating_duration_since(now);
        Ok(Taken { tokens, next_in })
    }
}

fn limited(limits: Limits) -> (Arc<MemoryTransport>, Limited) {
    let inner = Arc::new(MemoryTransport::new("relay"));
    let limited = Limited::before(Arc::<MemoryTransport>::clone(&inner), limits);
    (inner, limited)
}

fn rate(interval: Duration) -> Limits {
    Limits {
        rate: Some(Bucket::every(interval)),
        ..Limits::default()
    }
}

fn of_domain(domain: DomainLimits) -> Limits {
    Limits { rate: None, domain }
}

async fn send(transport: &dyn Transport, to: &[&str]) -> Result<Receipt, SendError> {
    transport.send(&envelope(to), b"x\r\n", &OpenGate).await
}

/// How long a mail that was not begun is to wait.
fn wait(sent: Result<Receipt, SendError>) -> Duration {
    let error = sent.expect_err("it may not be begun");
    let kept_back = (error.scope, error.reply.class, error.reply.stage);
    assert_eq!(
        kept_back,
        (Scope::Transport, Class::Throttled, Stage::Connect)
    );
    error.reply.retry_after.expect("it is told")
}

fn throttled(inner: &MemoryTransport) {
    let mut reply = Reply::new(Stage::Rcpt, Class::Throttled, "421 4.7.28 too much");
    reply.code = Some(421);
    reply.enhanced = "4.7.28".parse::<EnhancedCode>().ok();
    inner.next(Act::Fail(SendError {
        scope: Scope::Message,
        reply,
        remote: None,
        trail: None,
    }));
}

#[tokio::test(start_paused = true)]
async fn mail_waits_for_its_turn_and_no_more_of_it_than_has_it_soon() {
    let (inner, limited) = limited(rate(SECOND / 10));
    let began = Instant::now();
    let many = (0..40).map(|_| send(&limited, &["ada@a.test"]));
    let sent = join_all(many).await;
    let taken = sent.iter().filter(|sent| sent.is_ok()).count();
    assert_eq!(taken, inner.sent().len());
    assert_eq!(
        taken, 22,
        "the first, and those who wait two seconds at most behind it"
    );
    assert_eq!(began.elapsed(), 21 * SECOND / 10);
    let mut waits: Vec<_> = sent.into_iter().filter(Result::is_err).map(wait).collect();
    waits.sort();
    waits.dedup();
    assert_eq!(waits.len(), 18, "each has a turn of its own");
    assert!(waits[17] < 5 * SECOND, "{waits:?}");
}

#[tokio::test(start_paused = true)]
async fn a_slow_rate_sends_mail_away_at_once_each_with_a_time() {
    let (inner, limited) = limited(rate(30 * SECOND));
    send(&limited, &["ada@a.test"]).await.expect("the first");
    for expected in [30, 60, 90] {
        let sent = send(&limited, &["ada@a.test"]).await;
        assert_eq!(wait(sent), expected * SECOND);
    }
    tokio::time::advance(30 * SECOND).await;
    send(&limited, &["ada@a.test"]).await.expect("its turn");
    assert_eq!(inner.sent().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn one_that_leaves_the_line_makes_room() {
    let (inner, limited) = limited(rate(SECOND));
    send(&limited, &["ada@a.test"]).await.expect("the first");
    for _ in 0..10 {
        let mut waiting = Box::pin(send(&limited, &["ada@a.test"]));
        assert!(futures_util::poll!(waiting.as_mut()).is_pending());
    }
    send(&limited, &["ada@a.test"]).await.expect("nobody waits");
    assert_eq!(inner.sent().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_sent_while_the_rate_is_not_known() {
    let mut buckets = MockTokenBuckets::new();
    buckets.expect_interval().return_const(SECOND / 100);
    buckets
        .expect_take()
        .returning(|_, _| Err(StoreError::Unavailable(None)));
    let (inner, limited) = limited(Limits {
        rate: Some(Arc::new(buckets)),
        ..Limits::default()
    });
    assert_eq!(wait(send(&limited, &["ada@a.test"]).await), 30 * SECOND);
    assert_eq!(inner.sent(), []);
}

/// Tokens are asked for together, and one that was not used in time is not used at all.
#[tokio::test(start_paused = true)]
async fn tokens_are_taken_in_blocks_that_do_not_last() {
    let mut buckets = MockTokenBuckets::new();
    buckets.expect_interval().return_const(SECOND / 100);
    buckets
        .expect_take()
        .withf(|bucket, most| bucket == "relay" && *most == 10)
        .times(2)
        .returning(|_, _| {
            Ok(Taken {
                tokens: 4,
                next_in: SECOND / 100,
            })
        });
    let (_, limited) = limited(Limits {
        rate: Some(Arc::new(buckets)),
        ..Limits::default()
    });
    for _ in 0..3 {
        send(&limited, &["ada@a.test"]).await.expect("there is one");
    }
    tokio::time::advance(SECOND / 10).await;
    send(&limited, &["ada@a.test"]).await.expect("a new block");
}

#[tokio::test(start_paused = true)]
async fn each_domain_has_a_rate_of_its_own() {
    let (inner, limited) = limited(of_domain(DomainLimits {
        rate: Some(Bucket::every(30 * SECOND)),
        at_once: None,
    }));
    send(&limited, &["ada@a.test"]).await.expect("the first");
    assert_eq!(wait(send(&limited, &["bob@A.test"]).await), 30 * SECOND);
    send(&limited, &["ada@b.test"]).await.expect("another");
    assert_eq!(inner.sent().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn only_so_many_are_under_way_to_one_domain() {
    let (inner, limited) = limited(of_domain(DomainLimits {
        rate: None,
        at_once: Some(1),
    }));
    inner.next(Act::Hang);
    let mut hangs = Box::pin(send(&limited, &["ada@a.test"]));
    assert!(futures_util::poll!(hangs.as_mut()).is_pending());
    let both = send(&limited, &["ada@a.test", "ada@b.test"]).await;
    let classes: Vec<_> = both.expect("one was taken").replies;
    let classes: Vec<_> = classes.iter().map(|reply| reply.class).collect();
    assert_eq!(classes, [Class::Throttled, Class::Accepted]);
    drop(hangs);
    send(&limited, &["ada@a.test"])
        .await
        .expect("there is room");
}

/// One a minute, then twice as many after each that is taken, until it is one a second; others are not concerned.
#[tokio::test(start_paused = true)]
async fn a_domain_that_asks_for_less_gets_less_for_a_while() {
    let (inner, limited) = limited(Limits::default());
    throttled(&inner);
    let refused = send(&limited, &["ada@a.test"]).await;
    assert_eq!(refused.expect_err("too much").reply.code, Some(421));
    for interval in [60, 30, 15, 7] {
        let away = wait(send(&limited, &["ada@a.test"]).await);
        assert!(away > (interval - 1) * SECOND, "{away:?} for {interval}");
        send(&limited, &["ada@b.test"]).await.expect("another");
        tokio::time::advance((interval + 1) * SECOND).await;
        send(&limited, &["ada@a.test"]).await.expect("its turn");
    }
    for interval in [4, 2, 1] {
        tokio::time::advance(interval * SECOND).await;
        send(&limited, &["ada@a.test"]).await.expect("its turn");
    }
    for _ in 0..5 {
        send(&limited, &["ada@a.test"]).await.expect("as before");
    }
}

#[tokio::test(start_paused = true)]
async fn a_mail_to_several_domains_waits_only_for_the_one_that_asked_for_less() {
    let (inner, limited) = limited(Limits::default());
    throttled(&inner);
    send(&limited, &["ada@a.test"]).await.expect_err("too much");
    let both = send(&limited, &["ada@a.test", "ada@b.test"]).await;
    let replies = both.expect("one was taken").replies;
    assert_eq!(replies[0].class, Class::Throttled);
    assert_eq!(replies[1].class, Class::Accepted);
    assert_eq!(inner.sent()[0].envelope, envelope(&["ada@b.test"]));
    // One at a time: while it is on its way there is no other.
    tokio::time::advance(61 * SECOND).await;
    inner.next(Act::Hang);
    let mut hangs = Box::pin(send(&limited, &["ada@a.test"]));
    assert!(futures_util::poll!(hangs.as_mut()).is_pending());
    wait(send(&limited, &["ada@a.test"]).await);
    drop(hangs);
    send(&limited, &["ada@a.test"]).await.expect("its turn");
}

/// A request is forgotten after an hour and a half, though nothing was taken since.
#[tokio::test(start_paused = true)]
async fn what_a_domain_asked_for_is_forgotten_in_time() {
    let (inner, limited) = limited(Limits::default());
    throttled(&inner);
    send(&limited, &["ada@a.test"]).await.expect_err("too much");
    tokio::time::advance(90 * 60 * SECOND).await;
    for _ in 0..3 {
        send(&limited, &["ada@a.test"]).await.expect("as before");
    }
}

/// A transport that stands by is not there for more than the first one may send; where each has its turn it is.
#[tokio::test(start_paused = true)]
async fn a_limit_is_no_failure_of_the_way() {
    for (policy, expected) in [
        (Policy::Failover, [2, 0]),
        (Policy::RoundRobin { weights: vec![] }, [2, 2]),
    ] {
        let (first, limited) = limited(rate(600 * SECOND));
        let second = Arc::new(MemoryTransport::new("second"));
        let each: [Arc<dyn Transport>; 2] =
            [Arc::new(limited), Arc::<MemoryTransport>::clone(&second)];
        let several = Several::of("both", each.into(), policy);
        for _ in 0..3 {
            let _waits_or_not = send(&several, &["ada@a.test"]).await;
        }
        assert_eq!(
            [first.sent().len() + 1, second.sent().len()],
            expected,
            "of three"
        );
    }
}

/// Where there are no limits, a mail to several domains stays one transaction.
#[tokio::test]
async fn without_limits_a_mail_is_one_transaction() {
    let (inner, limited) = limited(Limits::default());
    let both = ["ada@a.test", "ada@b.test"];
    send(&limited, &both).await.expect("taken");
    let sent: Vec<Envelope> = inner.sent().into_iter().map(|mail| mail.envelope).collect();
    assert_eq!(sent, [envelope(&both)]);
}

/// Of a thousand domains the least recent is forgotten, but never one that asked for less.
#[tokio::test(start_paused = true)]
async fn a_domain_that_asked_for_less_is_not_forgotten_for_others() {
    let (inner, limited) = limited(of_domain(DomainLimits {
        rate: None,
        at_once: Some(1),
    }));
    throttled(&inner);
    send(&limited, &["ada@a.test"]).await.expect_err("too much");
    tokio::time::advance(SECOND).await;
    for number in 0..1100 {
        let to = format!("ada@d{number}.test");
        send(&limited, &[&to]).await.expect("taken");
    }
    wait(send(&limited, &["ada@a.test"]).await);
}
