//! Mail that was perhaps sent: a reply was lost, or the process that sent it.

use std::{sync::Arc, time::Duration};

use posthaste_domain::{
    clock::Clock,
    delivery::{BodyHash, Class, DeliveryReport, DeliveryState, Doubt, Reply, Stage},
    stores::OutgoingMessage,
    stream::OnUncertain,
};
use posthaste_mail::{
    Delivered, Library, MemoryTransport, Next, OpenGate, Scope,
    deliver::UNCERTAIN_WAIT,
    transport::{Transport, hash_of},
};

use crate::{
    deliver::{deliver_with, failure},
    support::{clock, message, outgoing, plain},
};

const TO: [&str; 1] = ["ada@example.com"];

/// One message, sent by a memory transport on a stream of one kind.
struct Post {
    transport: Arc<MemoryTransport>,
    deliver: posthaste_mail::Deliver,
    outgoing: OutgoingMessage,
    clock: Arc<posthaste_domain::clock::ManualClock>,
}

impl Post {
    fn on(on_uncertain: OnUncertain, to: &[&str]) -> Self {
        let (clock, transport) = (clock(), Arc::new(MemoryTransport::new("relay")));
        let sent: Arc<dyn Transport> = Arc::<MemoryTransport>::clone(&transport);
        let now: Arc<dyn Clock> = Arc::<posthaste_domain::clock::ManualClock>::clone(&clock);
        Self {
            outgoing: outgoing(message(clock.now(), to, plain()), 0),
            deliver: deliver_with(Library::default(), sent, now, on_uncertain),
            transport,
            clock,
        }
    }

    fn doubt(mut self, which: usize, hash: BodyHash) -> Self {
        self.outgoing.open[which].doubt = Some(Doubt {
            body_hash: hash,
            transport: Some("relay".to_owned()),
        });
        self
    }

    fn reply_is_lost(&self) {
        self.transport
            .next(failure(Scope::Connection, Stage::Dot, Class::Uncertain));
    }

    async fn deliver(&self) -> (DeliveryReport, Next) {
        let delivered = self
            .deliver
            .deliver(self.outgoing.clone(), &OpenGate)
            .await
            .expect("an attempt is made");
        let Delivered::Ended { report, next } = delivered else {
            panic!("the gate is open")
        };
        (report, next)
    }

    /// The bytes, from a delivery of the same message that nobody doubts.
    async fn hash(&self) -> BodyHash {
        let mut outgoing = self.outgoing.clone();
        outgoing.open.iter_mut().for_each(|open| open.doubt = None);
        let delivered = self.deliver.deliver(outgoing, &OpenGate).await;
        assert!(matches!(delivered, Ok(Delivered::Ended { .. })));
        hash_of(&self.transport.sent().last().expect("it was sent").message)
    }
}

fn states(report: &DeliveryReport) -> Vec<DeliveryState> {
    report.results.iter().map(|result| result.state).collect()
}

#[tokio::test]
async fn a_lost_reply_is_tried_again_or_held_as_the_stream_wants() {
    let resend = Post::on(OnUncertain::Resend, &TO);
    resend.reply_is_lost();
    let (report, next) = resend.deliver().await;
    assert_eq!(states(&report), [DeliveryState::Deferred]);
    assert!(matches!(next, Next::RetryAfter { after, .. } if after >= UNCERTAIN_WAIT));
    let doubt = report.results[0].doubt.clone().expect("it is kept");
    assert_eq!(doubt.transport.as_deref(), Some("relay"));
    assert_eq!(doubt.body_hash, resend.hash().await);

    let hold = Post::on(OnUncertain::Hold, &TO);
    hold.reply_is_lost();
    let (report, next) = hold.deliver().await;
    assert_eq!(
        (states(&report), next),
        (vec![DeliveryState::Uncertain], Next::Done)
    );
}

/// I12. What a dead process may have sent is sent again with the same bytes or not at all.
#[tokio::test]
async fn what_was_perhaps_sent_goes_again_as_the_same_bytes_or_not_at_all() {
    let same = Post::on(OnUncertain::Resend, &TO);
    let hash = same.hash().await;
    let same = same.doubt(0, hash);
    assert_eq!(states(&same.deliver().await.0), [DeliveryState::Delivered]);
    let copies = same.transport.sent();
    assert_eq!(copies[0].message, copies[1].message);
    assert_eq!(copies[1].envelope.stay_with.as_deref(), Some("relay"));

    for on_uncertain in [OnUncertain::Resend, OnUncertain::Hold] {
        let held = Post::on(on_uncertain, &TO);
        let before = match on_uncertain {
            OnUncertain::Resend => BodyHash([7; 32]),
            OnUncertain::Hold => held.hash().await,
        };
        let held = held.doubt(0, before);
        let sent = held.transport.sent().len();
        let (report, next) = held.deliver().await;
        assert_eq!(
            (states(&report), next),
            (vec![DeliveryState::Uncertain], Next::Done)
        );
        assert_eq!(held.transport.sent().len(), sent);
        let run = report.run.expect("it is told as an attempt");
        assert_eq!(run.body_hash, Some(before), "with what was sent");
        let reply = report.results[0].reply.clone().expect("and why");
        assert_eq!((reply.stage, reply.class), (Stage::Dot, Class::Uncertain));
    }
}

#[tokio::test]
async fn only_those_who_perhaps_have_it_are_held() {
    let to = ["ada@example.com", "bob@example.com"];
    let post = Post::on(OnUncertain::Hold, &to).doubt(1, BodyHash([7; 32]));
    let (report, _) = post.deliver().await;
    let of = |id| {
        let result = report.results.iter().find(|result| result.delivery == id);
        result.expect("each has a result").state
    };
    let [ada, bob] = [0, 1].map(|number| post.outgoing.open[number].id);
    assert_eq!(
        (of(ada), of(bob)),
        (DeliveryState::Delivered, DeliveryState::Uncertain)
    );
    let recipients = post.transport.sent()[0].envelope.recipients.clone();
    assert_eq!(recipients.len(), 1);
}

/// I23. Nobody knows whether it failed.
#[tokio::test]
async fn what_was_perhaps_sent_neither_fails_nor_expires() {
    let post = Post::on(OnUncertain::Resend, &TO);
    let hash = post.hash().await;
    let post = post.doubt(0, hash);
    post.transport.answer(
        TO[0],
        Reply::new(Stage::Rcpt, Class::Permanent, "no such user"),
    );
    assert_eq!(states(&post.deliver().await.0), [DeliveryState::Uncertain]);
    // The way out is down: the doubt stays.
    post.transport
        .next(failure(Scope::Transport, Stage::Connect, Class::Transient));
    let (report, _) = post.deliver().await;
    assert_eq!(states(&report), [DeliveryState::Deferred]);
    assert_eq!(
        report.results[0]
            .doubt
            .as_ref()
            .map(|doubt| doubt.body_hash),
        Some(hash)
    );
    post.clock.advance(Duration::from_secs(2 * 86_400));
    let (report, next) = post.deliver().await;
    assert_eq!(
        (states(&report), next),
        (vec![DeliveryState::Uncertain], Next::Done)
    );
    let at_the_end = Post::on(OnUncertain::Resend, &TO);
    at_the_end.reply_is_lost();
    at_the_end.clock.advance(Duration::from_secs(86_399));
    let (report, _) = at_the_end.deliver().await;
    assert_eq!(states(&report), [DeliveryState::Uncertain]);
}
