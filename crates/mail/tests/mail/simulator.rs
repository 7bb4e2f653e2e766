//! Recipients that nobody is.

use std::sync::Arc;

use posthaste_domain::delivery::{Class, Reply, Stage};
use posthaste_mail::{
    DataGate, Gate, GateShut, MemoryTransport, OpenGate, Passing, Receipt, Scope, SendError,
    Simulator, Transport,
};

use crate::several::envelope;

fn simulator(resend_dev: bool) -> (Arc<MemoryTransport>, Simulator) {
    let inner = Arc::new(MemoryTransport::new("relay"));
    let before = Simulator::before(Arc::<MemoryTransport>::clone(&inner), resend_dev);
    (inner, before)
}

async fn send(simulator: &Simulator, to: &[&str], gate: &Gate) -> Result<Receipt, SendError> {
    simulator.send(&envelope(to), b"x\r\n", gate).await
}

fn told(receipt: &Receipt) -> Vec<(Stage, Class)> {
    let replies = receipt.replies.iter();
    replies.map(|reply| (reply.stage, reply.class)).collect()
}

#[tokio::test]
async fn each_name_ends_as_it_says_and_nobody_is_asked() {
    let (inner, simulator) = simulator(false);
    for (to, expected) in [
        ("delivered@simulator.invalid", (Stage::Dot, Class::Accepted)),
        (
            "Delivered+42@Simulator.Invalid",
            (Stage::Dot, Class::Accepted),
        ),
        (
            "complained@simulator.invalid",
            (Stage::Dot, Class::Accepted),
        ),
        ("bounced@simulator.invalid", (Stage::Rcpt, Class::Permanent)),
        (
            "suppressed@simulator.invalid",
            (Stage::Mail, Class::Permanent),
        ),
        (
            "uncertain@simulator.invalid",
            (Stage::Dot, Class::Uncertain),
        ),
        ("delayed@simulator.invalid", (Stage::Rcpt, Class::Transient)),
        ("delayed@simulator.invalid", (Stage::Rcpt, Class::Transient)),
        ("delayed@simulator.invalid", (Stage::Dot, Class::Accepted)),
        ("delayed@simulator.invalid", (Stage::Rcpt, Class::Transient)),
        ("who@simulator.invalid", (Stage::Rcpt, Class::Permanent)),
    ] {
        let receipt = send(&simulator, &[to], &OpenGate).await;
        assert_eq!(told(&receipt.expect("an answer")), [expected], "{to}");
    }
    assert_eq!(inner.sent(), []);
}

#[tokio::test]
async fn others_of_the_same_mail_go_on_their_way() {
    let (inner, simulator) = simulator(false);
    let to = [
        "bounced@simulator.invalid",
        "ada@example.com",
        "delivered@resend.dev",
        "delivered@simulator.invalid",
    ];
    let later = (Stage::Rcpt, Class::Transient);
    inner.answer(to[1], Reply::new(later.0, later.1, "later"));
    let receipt = send(&simulator, &to, &OpenGate).await;
    let taken = (Stage::Dot, Class::Accepted);
    let refused = (Stage::Rcpt, Class::Permanent);
    assert_eq!(
        told(&receipt.expect("an answer")),
        [refused, later, taken, taken]
    );
    let sent = inner.sent();
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0].envelope, envelope(&[to[2]]));
}

#[tokio::test]
async fn the_other_domain_is_simulated_where_that_is_wanted() {
    let (inner, simulator) = simulator(true);
    let receipt = send(&simulator, &["bounced+x@resend.dev"], &OpenGate).await;
    assert_eq!(
        told(&receipt.expect("an answer")),
        [(Stage::Rcpt, Class::Permanent)]
    );
    assert_eq!(inner.sent(), []);
}

#[derive(Debug)]
struct Shut;

#[async_trait::async_trait]
impl DataGate for Shut {
    async fn open(&self, _passing: Passing<'_>) -> Result<(), GateShut> {
        Err(GateShut)
    }
}

#[tokio::test]
async fn the_gate_is_asked_here_too() {
    let (_, simulator) = simulator(false);
    let refused = send(&simulator, &["delivered@simulator.invalid"], &Shut).await;
    assert_eq!(refused.expect_err("it is shut").scope, Scope::Gate);
    let bounced = send(&simulator, &["bounced@simulator.invalid"], &Shut).await;
    bounced.expect("nothing would have been sent");
}
