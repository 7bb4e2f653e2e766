//! Several transports as one, and every mail to one address.

use std::sync::Arc;

use posthaste_domain::delivery::{Class, Reply, Stage};
use posthaste_mail::{
    Envelope, MemoryTransport, OpenGate, Receipt, RedirectAll, Scope, SendError, Several,
    Transport, several::Policy,
};

use crate::deliver::failure;

pub(crate) fn envelope(to: &[&str]) -> Envelope {
    Envelope {
        id: "0199a5f0-0000-7000-8000-000000000001"
            .parse()
            .expect("an id"),
        sender: "app@example.com".parse().expect("an address"),
        recipients: to
            .iter()
            .map(|to| to.parse().expect("an address"))
            .collect(),
        stream: "otp".parse().expect("a name"),
        stay_with: None,
    }
}

fn several(policy: Policy) -> (Vec<Arc<MemoryTransport>>, Several) {
    let each: Vec<_> = ["a", "b", "c"]
        .map(|name| Arc::new(MemoryTransport::new(name)))
        .into();
    let all = each
        .iter()
        .map(|one| Arc::<MemoryTransport>::clone(one) as Arc<dyn Transport>);
    let several = Several::of("relays", all.collect(), policy);
    (each, several)
}

async fn send(several: &Several, stay_with: Option<&str>) -> Result<Receipt, SendError> {
    let envelope = Envelope {
        stay_with: stay_with.map(str::to_owned),
        ..envelope(&["ada@example.com"])
    };
    several.send(&envelope, b"x\r\n", &OpenGate).await
}

fn used(sent: &Result<Receipt, SendError>) -> String {
    let trail = match sent {
        Ok(receipt) => &receipt.trail,
        Err(error) => &error.trail,
    };
    let trail = trail.as_ref().expect("it is told");
    trail.transport.clone().expect("by name")
}

#[tokio::test]
async fn the_next_is_asked_only_where_surely_nothing_was_sent() {
    for (scope, stage, class, expected) in [
        (Scope::Transport, Stage::Connect, Class::Transient, "b"),
        (Scope::Transport, Stage::Auth, Class::Permanent, "b"),
        (Scope::Connection, Stage::Rcpt, Class::Transient, "b"),
        // An answer to the mail is an answer.
        (Scope::Message, Stage::Mail, Class::Permanent, "a"),
        (Scope::Message, Stage::Mail, Class::Transient, "a"),
        // It may have been sent.
        (Scope::Connection, Stage::Dot, Class::Uncertain, "a"),
        (Scope::Gate, Stage::Data, Class::Transient, "a"),
    ] {
        let (each, several) = several(Policy::Failover);
        each[0].next(failure(scope, stage, class));
        let sent = send(&several, None).await;
        assert_eq!(used(&sent), expected, "{scope:?} {stage:?} {class:?}");
        assert_eq!(each[1].sent().len(), usize::from(expected == "b"));
        assert!(each[2].sent().is_empty());
    }
}

#[tokio::test]
async fn refused_recipients_and_unknown_outcomes_stay_where_they_are() {
    for class in [Class::Permanent, Class::Transient, Class::Uncertain] {
        let (each, several) = several(Policy::Failover);
        each[0].answer("ada@example.com", Reply::new(Stage::Rcpt, class, "no"));
        let receipt = send(&several, None).await.expect("it is answered");
        assert_eq!(receipt.replies[0].class, class);
        assert!(each[1].sent().is_empty());
    }
}

#[tokio::test]
async fn where_all_fail_the_one_that_works_first_decides_when() {
    use std::time::Duration;
    let (each, several) = several(Policy::Failover);
    for (one, wait) in each.iter().zip([None, Some(20), Some(60)]) {
        let mut reply = Reply::new(Stage::Connect, Class::Transient, "away");
        reply.retry_after = wait.map(Duration::from_secs);
        one.next(posthaste_mail::memory::Act::Fail(SendError {
            scope: Scope::Transport,
            reply,
            remote: None,
            trail: None,
        }));
    }
    let error = send(&several, None).await.expect_err("none works");
    assert_eq!(error.scope, Scope::Transport);
    assert_eq!(error.reply.retry_after, Some(Duration::from_secs(20)));
}

#[tokio::test]
async fn turns_go_by_weight_and_evenly() {
    let (_, several) = several(Policy::RoundRobin {
        weights: vec![3, 1],
    });
    let mut order = String::new();
    for _ in 0..10 {
        order += &used(&send(&several, None).await);
    }
    assert_eq!(order, "abacaabaca", "3 : 1 : 1");
}

#[tokio::test]
async fn whose_turn_it_is_and_who_is_away_is_stood_in_for() {
    let (each, several) = several(Policy::RoundRobin { weights: vec![] });
    each[1].next(failure(Scope::Transport, Stage::Connect, Class::Transient));
    let mut order = String::new();
    for _ in 0..6 {
        order += &used(&send(&several, None).await);
    }
    assert_eq!(order, "accabc");
}

/// A mail that may have been delivered by one way goes by no other, whatever the policy and whoever is away.
#[tokio::test]
async fn what_was_perhaps_sent_stays_with_its_transport() {
    for policy in [Policy::Failover, Policy::RoundRobin { weights: vec![] }] {
        let (each, several) = several(policy);
        assert_eq!(used(&send(&several, Some("b")).await), "b");
        each[1].next(failure(Scope::Transport, Stage::Connect, Class::Transient));
        assert!(send(&several, Some("b")).await.is_err());
        assert!(each[0].sent().is_empty() && each[2].sent().is_empty());
        // That transport is not configured any more: then it goes by one that is.
        assert!(send(&several, Some("old")).await.is_ok());
    }
}

#[tokio::test]
async fn every_mail_goes_to_one_address_and_says_whom_it_was_for() {
    let inner = Arc::new(MemoryTransport::new("relay"));
    let to = "staging@example.com".parse().expect("an address");
    let redirect = RedirectAll::to(to, Arc::<MemoryTransport>::clone(&inner) as _);
    let envelope = envelope(&["ada@example.com", "bob@example.com"]);
    let message = b"Subject: x\r\n\r\nx\r\n";
    let receipt = redirect.send(&envelope, message, &OpenGate).await;
    assert_eq!(receipt.expect("it is taken").replies.len(), 2);
    let sent = inner.sent().remove(0);
    let recipients: Vec<_> = sent
        .envelope
        .recipients
        .iter()
        .map(|to| to.expose().to_owned())
        .collect();
    assert_eq!(recipients, ["staging@example.com"]);
    assert_eq!(
        String::from_utf8(sent.message).expect("text"),
        "X-Original-To: ada@example.com\r\nX-Original-To: bob@example.com\r\nSubject: x\r\n\r\nx\r\n"
    );
}
