//! One attempt, and what it does to each delivery.

use std::{collections::HashMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use posthaste_domain::{
    clock::Clock,
    delivery::{Class, DeliveryState, Reply, Stage},
    retry_policy::RetryPolicy,
    stream::{OnUncertain, StreamPolicy, Streams},
};
use posthaste_mail::{
    Builder, DataGate, Deliver, Delivered, GateShut, Library, MemoryTransport, Next, OpenGate,
    Passing, Renderer, Scope, SendError, Transport, memory::Act, transport::MockTransport,
};
use serde_json::json;

use crate::support::{Versions, by_template, clock, message, outgoing, plain, template};

pub(crate) const SECOND: Duration = Duration::from_secs(1);

fn deliver(library: Library, transport: Arc<dyn Transport>, clock: Arc<dyn Clock>) -> Deliver {
    deliver_with(library, transport, clock, OnUncertain::Resend)
}

pub(crate) fn renderer(library: Library) -> Arc<Renderer> {
    Arc::new(Renderer::new(
        Arc::new(library),
        Arc::new(Versions::default()),
    ))
}

/// On a stream that does so with what was perhaps sent.
pub(crate) fn deliver_with(
    library: Library,
    transport: Arc<dyn Transport>,
    clock: Arc<dyn Clock>,
    on_uncertain: OnUncertain,
) -> Deliver {
    deliver_of(
        Builder::new(renderer(library)),
        transport,
        clock,
        on_uncertain,
    )
}

/// Of what this builder builds.
pub(crate) fn deliver_of(
    builder: Builder,
    transport: Arc<dyn Transport>,
    clock: Arc<dyn Clock>,
    on_uncertain: OnUncertain,
) -> Deliver {
    let retry = RetryPolicy::new(vec![30 * SECOND, 120 * SECOND]).expect("a ladder");
    let name: posthaste_domain::stream::StreamName = "transactional".parse().expect("a name");
    let streams: Streams = [(
        name.clone(),
        StreamPolicy {
            expiry: 86_400 * SECOND,
            retry,
            on_uncertain,
        },
    )]
    .into_iter()
    .collect();
    Deliver::new(
        Arc::new(builder),
        HashMap::from([(name, transport)]),
        streams,
        clock,
        Arc::new(|| 0.0),
    )
}

pub(crate) fn failure(scope: Scope, stage: Stage, class: Class) -> Act {
    Act::Fail(SendError {
        scope,
        reply: Reply::new(stage, class, "no luck"),
        remote: None,
        trail: None,
    })
}

/// The states afterwards, and the wait before the next run.
async fn run(act: Option<Act>, tries: u32, to: &[&str]) -> (Vec<DeliveryState>, Option<Duration>) {
    let (clock, transport) = (clock(), Arc::new(MemoryTransport::new("memory")));
    if let Some(act) = act {
        transport.next(act);
    }
    transport.answer(
        "gone@example.com",
        Reply::new(Stage::Rcpt, Class::Permanent, "no such user"),
    );
    transport.answer(
        "later@example.com",
        Reply::new(Stage::Rcpt, Class::Transient, "greylisted"),
    );
    let message = message(clock.now(), to, plain());
    let deliver = deliver(Library::default(), transport, clock);
    let delivered = deliver
        .deliver(outgoing(message, tries), &OpenGate)
        .await
        .expect("an attempt is made");
    let Delivered::Ended { report, next } = delivered else {
        panic!("the gate is open")
    };
    let wait = match next {
        Next::Done => None,
        Next::WaitFor { after } | Next::RetryAfter { after, .. } => Some(after),
    };
    (
        report.results.iter().map(|result| result.state).collect(),
        wait,
    )
}

#[tokio::test]
async fn each_recipient_has_an_outcome_and_the_open_ones_wait_for_their_step() {
    use DeliveryState::{Deferred, Delivered, Failed};
    let all = ["ada@example.com", "gone@example.com", "later@example.com"];
    assert_eq!(
        run(None, 0, &all).await,
        (vec![Delivered, Failed, Deferred], Some(30 * SECOND))
    );
    assert_eq!(
        run(None, 1, &["later@example.com"]).await,
        (vec![Deferred], Some(120 * SECOND))
    );
    assert_eq!(
        run(None, 0, &["ada@example.com"]).await,
        (vec![Delivered], None)
    );
    assert_eq!(
        run(None, 0, &["gone@example.com"]).await,
        (vec![Failed], None)
    );
}

#[tokio::test]
async fn an_error_is_about_the_mail_only_where_it_says_so() {
    use DeliveryState::{Deferred, Failed};
    let cases = [
        (Scope::Message, Class::Permanent, Failed),
        (Scope::Message, Class::Transient, Deferred),
        (Scope::Connection, Class::Transient, Deferred),
        (Scope::Transport, Class::Transient, Deferred),
        // A refused log-in is for the operator to mend: it never bounces a mail.
        (Scope::Transport, Class::Permanent, Deferred),
    ];
    for (scope, class, expected) in cases {
        let (states, wait) = run(
            Some(failure(scope, Stage::Mail, class)),
            0,
            &["ada@example.com", "bob@example.com"],
        )
        .await;
        assert_eq!(states, [expected, expected], "{scope:?} {class:?}");
        assert_eq!(wait, (expected == Deferred).then_some(30 * SECOND));
    }
}

/// A way that is down spends none of the mail's attempts; a mail that is refused does.
#[tokio::test]
async fn only_what_is_about_the_mail_spends_an_attempt() {
    for (scope, stage, expected) in [
        (
            Scope::Transport,
            Stage::Connect,
            Next::WaitFor { after: 30 * SECOND },
        ),
        (
            Scope::Message,
            Stage::Mail,
            Next::RetryAfter {
                after: 30 * SECOND,
                reason: "no luck".to_owned(),
            },
        ),
    ] {
        let (clock, transport) = (clock(), Arc::new(MemoryTransport::new("memory")));
        transport.next(failure(scope, stage, Class::Transient));
        let message = message(clock.now(), &["ada@example.com"], plain());
        let deliver = deliver(Library::default(), transport, clock);
        let delivered = deliver.deliver(outgoing(message, 0), &OpenGate).await;
        let Delivered::Ended { next, .. } = delivered.expect("it was tried") else {
            panic!("the gate was not asked")
        };
        assert_eq!(next, expected);
    }
}

/// A wait that the server names goes before the step of the ladder.
#[tokio::test]
async fn a_wait_that_is_named_is_kept() {
    let reply = Reply::new(Stage::Rcpt, Class::Transient, "greylisted");
    let named = Act::Fail(SendError {
        scope: Scope::Message,
        reply: reply.with_retry_after(300 * SECOND),
        remote: None,
        trail: None,
    });
    let (_, wait) = run(Some(named), 0, &["ada@example.com"]).await;
    assert_eq!(wait, Some(300 * SECOND));
}

#[tokio::test]
async fn an_unknown_outcome_is_tried_again_no_sooner_than_in_two_minutes() {
    let uncertain = failure(Scope::Connection, Stage::Dot, Class::Uncertain);
    let (states, wait) = run(Some(uncertain), 0, &["ada@example.com"]).await;
    assert_eq!(
        (states, wait),
        (vec![DeliveryState::Deferred], Some(120 * SECOND))
    );
}

/// A transport that must not be asked for anything but its name.
fn untouched() -> Arc<MockTransport> {
    let mut transport = MockTransport::new();
    transport.expect_name().return_const("untouched".to_owned());
    transport.expect_send().never();
    Arc::new(transport)
}

#[tokio::test]
async fn what_has_expired_is_not_sent() {
    let clock = clock();
    let message = message(clock.now(), &["ada@example.com"], plain());
    clock.advance(86_400 * SECOND);
    let deliver = deliver(Library::default(), untouched(), clock);
    let Delivered::Ended { report, next } = deliver
        .deliver(outgoing(message, 3), &OpenGate)
        .await
        .unwrap()
    else {
        panic!("the gate was not asked")
    };
    assert_eq!(
        (report.results[0].state, report.run, next),
        (DeliveryState::Expired, None, Next::Done)
    );
}

/// I22. Neither before the attempt nor after it.
#[tokio::test]
async fn a_clock_that_is_set_ends_no_mail() {
    let (clock, transport) = (clock(), Arc::new(MemoryTransport::new("memory")));
    for _ in 0..2 {
        transport.next(failure(Scope::Transport, Stage::Connect, Class::Transient));
    }
    let message = message(clock.now(), &["ada@example.com"], plain());
    let now: Arc<dyn Clock> = Arc::<posthaste_domain::clock::ManualClock>::clone(&clock);
    let deliver = deliver(Library::default(), transport, now);
    let state = async || {
        let outgoing = outgoing(message.clone(), 3);
        match deliver.deliver(outgoing, &OpenGate).await.unwrap() {
            Delivered::Ended { report, .. } => report.results[0].state,
            Delivered::NotSent | Delivered::NoRoom => panic!("the gate was not asked"),
        }
    };
    assert_eq!(state().await, DeliveryState::Deferred);
    clock.set(clock.now() + 2 * 86_400 * SECOND);
    assert_eq!(state().await, DeliveryState::Deferred);
    clock.advance(60 * SECOND);
    assert_eq!(state().await, DeliveryState::Expired);
}

#[tokio::test]
async fn a_step_behind_the_expiry_ends_the_delivery() {
    let (clock, transport) = (clock(), Arc::new(MemoryTransport::new("memory")));
    transport.next(failure(Scope::Transport, Stage::Connect, Class::Transient));
    let message = message(clock.now(), &["ada@example.com"], plain());
    clock.advance(86_390 * SECOND);
    let deliver = deliver(Library::default(), transport, clock);
    let Delivered::Ended { report, next } = deliver
        .deliver(outgoing(message, 9), &OpenGate)
        .await
        .unwrap()
    else {
        panic!("the gate was not asked")
    };
    assert_eq!(
        (report.results[0].state, next),
        (DeliveryState::Expired, Next::Done)
    );
}

#[tokio::test]
async fn what_cannot_be_rendered_fails_for_good_and_is_not_sent() {
    let parts = [
        ("subject.txt", "s"),
        (
            "body.txt",
            "{% if show is defined %}{{ show.it }}{% endif %}x",
        ),
    ];
    let manifest = (
        "template.toml",
        "[variables]\nshow = { type = \"object\", required = false }\n",
    );
    let library = Library::load_strict(&template(&[parts[0], parts[1], manifest])).unwrap();
    let clock = clock();
    let message = message(
        clock.now(),
        &["ada@example.com"],
        by_template(&library, &json!({"show": {}})),
    );
    let deliver = deliver(library, untouched(), clock);
    let Delivered::Ended { report, next } = deliver
        .deliver(outgoing(message, 0), &OpenGate)
        .await
        .unwrap()
    else {
        panic!("the gate was not asked")
    };
    let reply = report.results[0].reply.as_ref().unwrap();
    assert_eq!(
        (report.results[0].state, reply.stage, next),
        (DeliveryState::Failed, Stage::Render, Next::Done)
    );
}

#[derive(Debug)]
struct ShutGate;

#[async_trait]
impl DataGate for ShutGate {
    async fn open(&self, _passing: Passing<'_>) -> Result<(), GateShut> {
        Err(GateShut)
    }
}

#[tokio::test]
async fn a_shut_gate_means_that_nothing_happened() {
    let (clock, transport) = (clock(), Arc::new(MemoryTransport::new("memory")));
    let message = message(clock.now(), &["ada@example.com"], plain());
    let sent: Arc<dyn Transport> = Arc::<MemoryTransport>::clone(&transport);
    let deliver = deliver(Library::default(), sent, clock);
    assert_eq!(
        deliver
            .deliver(outgoing(message, 0), &ShutGate)
            .await
            .unwrap(),
        Delivered::NotSent
    );
    assert!(transport.sent().is_empty());
}
