//! Commands that travel together, and those of one mail behind another: every answer reaches the mail it belongs to.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use posthaste_domain::delivery::{Class, Stage};
use posthaste_mail::{
    DataGate, Envelope, Gate, GateShut, OpenGate, Passing, Receipt, SendError, SmtpTransport,
    Transport,
};
use tokio::sync::Semaphore;

use crate::server::{Say, Server};

fn envelope(to: &[&str]) -> Envelope {
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

async fn send(transport: &SmtpTransport, to: &[&str], gate: &Gate) -> Result<Receipt, SendError> {
    let message = format!("Subject: {}\r\n\r\nbody\r\n", to[0]);
    transport
        .send(&envelope(to), message.as_bytes(), gate)
        .await
}

/// A transport with so many connections, whose limits a slow machine does not reach.
fn transport(server: &Server, connections: usize) -> SmtpTransport {
    let mut config = server.config();
    config.connections = connections;
    config.timeouts.envelope = Duration::from_secs(60);
    config.timeouts.body = Duration::from_secs(60);
    config.timeouts.dot = Duration::from_secs(60);
    SmtpTransport::new("relay", config).expect("sound settings")
}

/// Opens when it is told to.
#[derive(Debug)]
struct HeldGate {
    reached: Semaphore,
    opened: Semaphore,
}

impl HeldGate {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            reached: Semaphore::new(0),
            opened: Semaphore::new(0),
        })
    }

    /// Waits until a mail stands before it.
    async fn reached(&self) {
        self.reached.acquire().await.expect("not closed").forget();
    }

    fn open_once(&self) {
        self.opened.add_permits(1);
    }
}

#[async_trait]
impl DataGate for HeldGate {
    async fn open(&self, _passing: Passing<'_>) -> Result<(), GateShut> {
        self.reached.add_permits(1);
        self.opened.acquire().await.expect("not closed").forget();
        Ok(())
    }
}

/// Polls a send once, so that it stands in line.
async fn stands_in_line<T>(send: &mut (impl Future<Output = T> + Unpin)) {
    let polled = std::future::poll_fn(|cx| {
        std::task::Poll::Ready(std::pin::Pin::new(&mut *send).poll(cx).is_pending())
    });
    assert!(polled.await, "there is no connection free");
}

#[tokio::test]
async fn a_mail_takes_one_turn_when_another_one_waits() {
    for (offers, most) in [
        (&["PIPELINING"] as &[_], 35),
        (&["PIPELINING", "CHUNKING"], 35),
        (&[], 10_000),
    ] {
        let server = Server::offering(offers).await;
        let transport = transport(&server, 1);
        let to: Vec<_> = (0..30).map(|n| format!("user{n}@example.com")).collect();
        let to: Vec<_> = to.iter().map(|to| [to.as_str()]).collect();
        let sends = to.iter().map(|to| send(&transport, to, &OpenGate));
        for sent in futures_util::future::join_all(sends).await {
            assert_eq!(sent.expect("taken").replies[0].class, Class::Accepted);
        }
        let arrived = server.arrived();
        assert_eq!(arrived.len(), 30);
        for (to, message) in arrived {
            let subject = format!("Subject: {}\r\n", to[0]);
            assert!(message.starts_with(subject.as_bytes()), "{to:?}");
        }
        assert_eq!(server.connections(), 1);
        let turns = server.turns();
        assert!(turns <= most, "{turns} turns for 30 mails with {offers:?}");
    }
}

/// R14. What becomes of a mail says nothing about the one whose commands travelled behind it.
#[tokio::test]
async fn a_mail_behind_a_lost_one_goes_over_another_connection() {
    for answer in [
        Say::HangUp,
        Say::line("421 4.3.2 closing"),
        Say::line("199 what"),
    ] {
        let server = Server::offering(&["PIPELINING"]).await;
        server.once(".", answer.clone());
        let transport = transport(&server, 1);
        let gate = HeldGate::new();
        let mut first = Box::pin(send(&transport, &["ada@example.com"], &*gate));
        let reached = async {
            tokio::select! {
                _ = &mut first => panic!("the gate is shut"),
                () = gate.reached() => {}
            }
        };
        reached.await;
        let mut second = Box::pin(send(&transport, &["bob@example.com"], &OpenGate));
        stands_in_line(&mut second).await;
        gate.open_once();
        let (first, second) = tokio::join!(first, second);
        let first = first.expect("each recipient has an outcome");
        assert_ne!(first.replies[0].class, Class::Accepted, "{answer:?}");
        let second = second.expect("nothing of it was lost");
        assert_eq!(second.replies[0].class, Class::Accepted, "{answer:?}");
        assert_eq!(server.connections(), 2, "{answer:?}");
        assert_eq!(server.arrived().len(), 1);
    }
}

/// The answers to a mail that is gone are read by nobody else.
#[tokio::test]
async fn a_mail_that_is_dropped_behind_another_takes_its_answers_along() {
    let server = Server::offering(&["PIPELINING"]).await;
    let late = |text: &str| Say::Late(Duration::from_millis(200), text.as_bytes().to_vec());
    server.once(".", late("250 2.0.0 taken\r\n"));
    // Nothing is said to it before the first mail is over.
    server.once("MAIL", Say::line("250 2.1.0 ok"));
    server.once("MAIL", late("250 2.1.0 ok\r\n"));
    server.once("RCPT gone@example.com", Say::line("550 5.1.1 no such user"));
    let transport = transport(&server, 1);
    let gate = HeldGate::new();
    let mut first = Box::pin(send(&transport, &["ada@example.com"], &*gate));
    tokio::select! {
        _ = &mut first => panic!("the gate is shut"),
        () = gate.reached() => {}
    }
    let mut gone = Box::pin(send(&transport, &["gone@example.com"], &OpenGate));
    stands_in_line(&mut gone).await;
    gate.open_once();
    // Dropped once its commands are behind the first, and before anybody has answered.
    tokio::select! {
        _ = &mut first => panic!("the answer is late"),
        () = server.obeyed("(end)") => {}
    }
    drop(gone);
    let first = first.await.expect("each recipient has an outcome");
    assert_eq!(first.replies[0].class, Class::Accepted);
    let third = send(&transport, &["bob@example.com"], &OpenGate)
        .await
        .expect("taken");
    assert_eq!(third.replies[0].class, Class::Accepted);
    assert_eq!(server.connections(), 2, "the first one was closed");
}

/// A server that does not answer one mail keeps the one behind it no longer than five seconds.
#[tokio::test]
async fn a_mail_behind_a_silent_server_finds_another_connection() {
    let server = Server::offering(&["PIPELINING"]).await;
    let transport = transport(&server, 2);
    let (silent, quick) = (HeldGate::new(), HeldGate::new());
    let mut first = Box::pin(send(&transport, &["silent@example.com"], &*silent));
    let mut second = Box::pin(send(&transport, &["quick@example.com"], &*quick));
    tokio::select! {
        _ = &mut first => panic!("the gate is shut"),
        _ = &mut second => panic!("the gate is shut"),
        ((), ()) = async { tokio::join!(silent.reached(), quick.reached()) } => {}
    }
    let mut third = Box::pin(send(&transport, &["third@example.com"], &OpenGate));
    stands_in_line(&mut third).await;
    server.once(".", Say::Nothing);
    silent.open_once();
    // The third's commands are behind the first from here on.
    tokio::select! {
        _ = &mut first => panic!("the server is silent"),
        () = server.obeyed("(end)") => {}
    }
    quick.open_once();
    let second = second.await.expect("taken");
    assert_eq!(second.replies[0].class, Class::Accepted);
    let third = tokio::select! {
        _ = &mut first => panic!("the server is silent"),
        third = third => third.expect("taken"),
    };
    assert_eq!(third.replies[0].class, Class::Accepted);
    assert_eq!(server.connections(), 2);
}

#[tokio::test]
async fn a_mail_for_nobody_is_ended_if_the_server_takes_its_data() {
    let server = Server::offering(&["PIPELINING"]).await;
    server.always("RCPT gone@example.com", Say::line("550 5.1.1 no such user"));
    server.once("DATA", Say::line("354 go"));
    let transport = transport(&server, 1);
    let refused = send(&transport, &["gone@example.com"], &OpenGate)
        .await
        .expect("each recipient has a reply");
    assert_eq!(refused.replies[0].class, Class::Permanent);
    let next = send(&transport, &["ada@example.com"], &OpenGate).await;
    assert_eq!(next.expect("taken").replies[0].class, Class::Accepted);
    assert_eq!(server.connections(), 1);
    assert_eq!(server.arrived().len(), 1);
}

/// What one mail left open is ended before the next one begins.
#[tokio::test]
async fn a_transaction_that_came_to_nothing_is_reset() {
    for offers in [&[] as &[_], &["PIPELINING"], &["PIPELINING", "CHUNKING"]] {
        let server = Server::offering(offers).await;
        server.once("RCPT", Say::line("550 5.1.1 no such user"));
        let transport = transport(&server, 1);
        send(&transport, &["gone@example.com"], &OpenGate)
            .await
            .expect("each recipient has a reply");
        send(&transport, &["ada@example.com"], &OpenGate)
            .await
            .expect("taken");
        let verbs: Vec<_> = server
            .commands()
            .iter()
            .filter_map(|command| command.split_whitespace().next().map(str::to_owned))
            .filter(|verb| matches!(verb.as_str(), "MAIL" | "RSET"))
            .collect();
        assert_eq!(verbs, ["MAIL", "RSET", "MAIL"], "{offers:?}");
    }
}

/// A mail whose sender was refused is not begun by what travelled behind it, whatever the server makes of that.
#[tokio::test]
async fn a_refused_mail_is_not_ended_with_a_dot() {
    let server = Server::offering(&["PIPELINING"]).await;
    server.once("MAIL", Say::line("550 5.7.1 sender refused"));
    server.once("RCPT", Say::line("250 2.1.5 ok"));
    server.once("DATA", Say::line("354 go"));
    let transport = transport(&server, 1);
    let error = send(&transport, &["ada@example.com"], &OpenGate)
        .await
        .expect_err("the sender is refused");
    assert_eq!(error.reply.class, Class::Permanent);
    let next = send(&transport, &["ada@example.com"], &OpenGate).await;
    assert_eq!(next.expect("taken").replies[0].class, Class::Accepted);
    assert!(!server.commands().iter().any(|command| command == "."));
    assert_eq!(server.connections(), 2);
}

/// A server that takes two at a time gets the others at once, over the same connection.
#[tokio::test]
async fn recipients_that_are_too_many_go_in_a_transaction_of_their_own() {
    for offers in [&[] as &[_], &["PIPELINING"], &["PIPELINING", "CHUNKING"]] {
        let server = Server::offering(offers).await;
        let to = ["a@example.com", "b@example.com", "c@example.com"];
        let over = Say::line("452 4.5.3 too many recipients");
        server.once("RCPT b@example.com", over.clone());
        server.once("RCPT c@example.com", over.clone());
        server.once("RCPT c@example.com", over);
        let receipt = send(&transport(&server, 1), &to, &OpenGate)
            .await
            .expect("taken");
        let seen: Vec<_> = receipt
            .replies
            .iter()
            .map(|reply| (reply.stage, reply.class))
            .collect();
        assert_eq!(seen, [(Stage::Dot, Class::Accepted); 3]);
        let arrived: Vec<_> = server.arrived().into_iter().map(|(to, _)| to).collect();
        assert_eq!(arrived, to.map(|to| vec![to.to_owned()]));
        assert_eq!(server.connections(), 1);
    }
}
