//! Servers that are slow, broken or hostile, at every step.

use std::time::Duration;

use posthaste_domain::delivery::{Class, Stage};
use posthaste_mail::{Envelope, OpenGate, Receipt, Scope, SendError, SmtpTransport, Transport};

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

async fn send(transport: &SmtpTransport, to: &[&str]) -> Result<Receipt, SendError> {
    transport
        .send(&envelope(to), b"Subject: x\r\n\r\nbody\r\n", &OpenGate)
        .await
}

/// What a server may offer: commands one by one, together, and the mail by BDAT.
const OFFERS: [&[&str]; 3] = [&[], &["PIPELINING"], &["PIPELINING", "CHUNKING"]];

fn bad_answers() -> Vec<(&'static str, Say)> {
    vec![
        ("silence", Say::Nothing),
        ("an end", Say::HangUp),
        ("421", Say::line("421 4.3.2 closing")),
        ("garbage", Say::Bytes(b"\x00\xff\xfe garbage\r\n".to_vec())),
        ("an endless line", Say::Bytes(vec![b'2'; 100_000])),
        (
            "an endless reply",
            Say::Bytes(b"250-more and more\r\n".repeat(10_000)),
        ),
        ("an unexpected code", Say::line("199 what")),
    ]
}

/// R14. Before the dot, whatever a server does at a step costs a retry and nothing else, and is told with its stage.
#[tokio::test]
async fn trouble_before_the_dot_is_transient_and_tells_its_stage() {
    let steps = [
        (
            "greeting",
            vec![Stage::Greeting, Stage::Hello],
            Scope::Transport,
        ),
        ("EHLO", vec![Stage::Hello], Scope::Transport),
        ("MAIL", vec![Stage::Mail], Scope::Connection),
        ("RCPT", vec![Stage::Rcpt], Scope::Connection),
        ("DATA", vec![Stage::Data], Scope::Connection),
    ];
    let cases = OFFERS
        .iter()
        .flat_map(|offers| steps.iter().map(move |step| (offers, step)))
        // A mail by BDAT has no DATA.
        .filter(|(offers, step)| !(offers.contains(&"CHUNKING") && step.0 == "DATA"))
        .flat_map(|case| bad_answers().into_iter().map(move |answer| (case, answer)));
    let cases = cases.map(async |((offers, (verb, stages, scope)), (name, answer))| {
        let server = Server::offering(offers).await;
        server.once(verb, answer);
        let transport = server.transport();
        let error = send(&transport, &["ada@example.com"])
            .await
            .expect_err("the server misbehaves");
        assert!(
            stages.contains(&error.reply.stage),
            "{name} at {verb}: {error:?}"
        );
        assert_eq!(error.scope, *scope, "{name} at {verb}: {error:?}");
        assert!(
            matches!(error.reply.class, Class::Transient | Class::Throttled),
            "{name} at {verb}: {error:?}"
        );
        let next = send(&transport, &["ada@example.com"])
            .await
            .expect("the next connection is sound");
        assert_eq!(next.replies[0].class, Class::Accepted, "{name} at {verb}");
        assert_eq!(server.arrived().len(), 1, "{name} at {verb}");
    });
    futures_util::future::join_all(cases).await;
}

/// R14. Once the dot may be out, a missing or unreadable answer is uncertain: neither sent nor refused.
#[tokio::test]
async fn trouble_after_the_dot_is_uncertain() {
    let cases = OFFERS.iter().flat_map(|offers| {
        bad_answers()
            .into_iter()
            .map(move |answer| (offers, answer))
    });
    let cases = cases.map(async |(offers, (name, answer))| {
        let server = Server::offering(offers).await;
        server.once(".", answer);
        let transport = server.transport();
        let receipt = send(&transport, &["ada@example.com"])
            .await
            .expect("each recipient has an outcome");
        let expected = if name == "421" {
            Class::Throttled
        } else {
            Class::Uncertain
        };
        assert_eq!(
            receipt.replies[0].class, expected,
            "{name}: {:?}",
            receipt.replies[0]
        );
        assert_eq!(receipt.replies[0].stage, Stage::Dot, "{name}");
        send(&transport, &["ada@example.com"])
            .await
            .expect("the next connection is sound");
        assert_eq!(
            server.connections(),
            2,
            "{name}: the connection was not used again"
        );
    });
    futures_util::future::join_all(cases).await;
}

/// A server that is silent after the dot is waited for as long as the dot's own limit says, whatever the body's is.
#[tokio::test]
async fn the_dot_has_its_own_limit_from_the_moment_it_is_out() {
    let server = Server::start().await;
    server.once(".", Say::Nothing);
    let mut config = server.config();
    config.timeouts.body = Duration::from_secs(600);
    config.timeouts.dot = Duration::from_millis(200);
    let transport = SmtpTransport::new("relay", config).expect("sound settings");
    let sent = send(&transport, &["ada@example.com"]);
    let receipt = tokio::time::timeout(Duration::from_secs(60), sent)
        .await
        .expect("the body's limit is not waited for")
        .expect("each recipient has an outcome");
    assert_eq!(
        (receipt.replies[0].stage, receipt.replies[0].class),
        (Stage::Dot, Class::Uncertain)
    );
}

/// A refusal is the server's right: what it says decides for whom, and for how long.
#[tokio::test]
async fn refusals_are_about_what_they_answer() {
    let check = async |verb: &str, text: &str, expected: Result<Class, (Scope, Class)>| {
        for offers in OFFERS {
            if verb == "DATA" && offers.contains(&"CHUNKING") {
                continue;
            }
            let server = Server::offering(offers).await;
            server.once(verb, Say::line(text));
            let transport = server.transport();
            let seen = match send(&transport, &["ada@example.com"]).await {
                Ok(receipt) => Ok(receipt.replies[0].class),
                Err(error) => Err((error.scope, error.reply.class)),
            };
            assert_eq!(seen, expected, "{text} at {verb} with {offers:?}");
            assert!(server.arrived().is_empty());
            // Refused in order: the connection is as good as new.
            if !matches!(expected, Err((Scope::Transport | Scope::Connection, _))) {
                let next = send(&transport, &["bob@example.com"]).await;
                assert_eq!(
                    next.map(|receipt| receipt.replies[0].class),
                    Ok(Class::Accepted)
                );
                assert_eq!(server.connections(), 1, "{text} at {verb} with {offers:?}");
            }
        }
    };
    check(
        "greeting",
        "554 5.3.2 no service",
        Err((Scope::Transport, Class::Permanent)),
    )
    .await;
    check(
        "EHLO",
        "451 4.3.0 not now",
        Err((Scope::Transport, Class::Transient)),
    )
    .await;
    check(
        "MAIL",
        "451 4.3.1 no room",
        Err((Scope::Message, Class::Transient)),
    )
    .await;
    check(
        "MAIL",
        "550 5.7.1 sender refused",
        Err((Scope::Message, Class::Permanent)),
    )
    .await;
    check(
        "MAIL",
        "530 5.7.0 log in first",
        Err((Scope::Transport, Class::Permanent)),
    )
    .await;
    check(
        "MAIL",
        "503 5.5.1 out of order",
        Err((Scope::Connection, Class::Transient)),
    )
    .await;
    check("RCPT", "450 4.2.0 greylisted", Ok(Class::Transient)).await;
    check("RCPT", "550 5.1.1 no such user", Ok(Class::Permanent)).await;
    check("DATA", "452 4.3.1 no room", Ok(Class::Transient)).await;
    check("DATA", "554 5.7.1 refused", Ok(Class::Permanent)).await;
    check(".", "451 4.3.0 not now", Ok(Class::Transient)).await;
    check(".", "552 5.3.4 too large", Ok(Class::Permanent)).await;
}

/// R13. One transaction, and each recipient with a reply of its own.
#[tokio::test]
async fn data_goes_on_when_one_recipient_is_taken() {
    for offers in OFFERS {
        data_goes_on(offers).await;
    }
}

async fn data_goes_on(offers: &[&'static str]) {
    let server = Server::offering(offers).await;
    server.always("RCPT gone@example.com", Say::line("550 5.1.1 no such user"));
    server.always("RCPT later@example.com", Say::line("451 4.7.1 later"));
    let transport = server.transport();
    let receipt = send(
        &transport,
        &["ada@example.com", "gone@example.com", "later@example.com"],
    )
    .await
    .expect("each recipient has a reply");
    let classes: Vec<_> = receipt
        .replies
        .iter()
        .map(|reply| (reply.class, reply.code))
        .collect();
    assert_eq!(
        classes,
        [
            (Class::Accepted, Some(250)),
            (Class::Permanent, Some(550)),
            (Class::Transient, Some(451))
        ]
    );
    assert_eq!(server.arrived()[0].0, ["ada@example.com"]);
    let none = send(&transport, &["gone@example.com"])
        .await
        .expect("each recipient has a reply");
    assert_eq!(none.replies[0].class, Class::Permanent);
    assert_eq!(server.arrived().len(), 1, "no DATA where nobody is taken");
}

/// What lettre's pool gets wrong: the late answer to a cancelled mail is never taken for the next one's.
#[tokio::test]
async fn a_late_answer_is_never_taken_for_the_next_mails() {
    let server = Server::start().await;
    server.once(
        ".",
        Say::Late(Duration::from_millis(300), b"250 2.0.0 late\r\n".to_vec()),
    );
    let mut config = server.config();
    config.connections = 1;
    config.timeouts.dot = Duration::from_secs(30);
    let transport = SmtpTransport::new("relay", config).unwrap();
    let cancelled = tokio::time::timeout(
        Duration::from_millis(100),
        send(&transport, &["a@example.com"]),
    )
    .await;
    assert!(cancelled.is_err());
    server.once("RCPT b@example.com", Say::line("550 5.1.1 no such user"));
    let refused = send(&transport, &["b@example.com"]).await.unwrap();
    assert_eq!(
        (refused.replies[0].class, refused.replies[0].code),
        (Class::Permanent, Some(550))
    );
}

#[tokio::test]
async fn connections_are_used_again_and_a_dead_one_costs_nothing() {
    let server = Server::start().await;
    let transport = server.transport();
    for _ in 0..5 {
        send(&transport, &["ada@example.com"]).await.unwrap();
    }
    assert_eq!(server.connections(), 1);
    // The server closes the idle connection: its next command finds 421, or an end.
    for answer in [Say::line("421 4.4.2 idle too long"), Say::HangUp] {
        let before = server.connections();
        server.once("MAIL", answer);
        let receipt = send(&transport, &["ada@example.com"])
            .await
            .expect("a fresh connection, at once");
        assert_eq!(receipt.replies[0].class, Class::Accepted);
        assert_eq!(server.connections(), before + 1);
    }
    assert_eq!(server.arrived().len(), 7);
}

#[tokio::test]
async fn no_more_connections_are_open_than_allowed() {
    let server = Server::start().await;
    let transport = server.transport();
    let to = ["ada@example.com"];
    let sends = (0..30).map(|_| send(&transport, &to));
    assert!(
        futures_util::future::join_all(sends)
            .await
            .iter()
            .all(Result::is_ok)
    );
    assert!(
        server.connections() <= 3,
        "{} connections",
        server.connections()
    );
}

/// Replies that make other clients lose an accepted mail.
#[tokio::test]
async fn odd_but_readable_replies_are_read() {
    let odd: [&[u8]; 4] = [
        b"250\r\n",
        b"250 bare line feed\n",
        b"250 latin \xe9\r\n",
        b"250-two\r\n250 lines\r\n",
    ];
    for answer in odd {
        let server = Server::start().await;
        server.once(".", Say::Bytes(answer.to_vec()));
        let receipt = send(&server.transport(), &["ada@example.com"])
            .await
            .unwrap();
        assert_eq!(
            receipt.replies[0].class,
            Class::Accepted,
            "{:?}",
            String::from_utf8_lossy(answer)
        );
    }
    // A line of blanks makes lettre panic (RUSTSEC-2026-0562).
    let server = Server::start().await;
    server.once(
        "EHLO",
        Say::Bytes(b"250-server\r\n250- \r\n250 \r\n".to_vec()),
    );
    assert!(
        send(&server.transport(), &["ada@example.com"])
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn a_mail_larger_than_the_server_takes_is_not_even_begun() {
    let server = Server::start().await;
    server.always(
        "EHLO",
        Say::Bytes(b"250-server\r\n250 SIZE 10\r\n".to_vec()),
    );
    let error = send(&server.transport(), &["ada@example.com"])
        .await
        .unwrap_err();
    assert_eq!(
        (error.scope, error.reply.class),
        (Scope::Message, Class::Permanent)
    );
    assert!(
        !server
            .commands()
            .iter()
            .any(|command| command.starts_with("MAIL"))
    );
}

#[tokio::test]
async fn a_server_that_is_not_there_is_about_the_way() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    drop(taken);
    let transport = SmtpTransport::new("relay", crate::server::config(port)).unwrap();
    let error = send(&transport, &["ada@example.com"]).await.unwrap_err();
    assert_eq!(
        (error.scope, error.reply.stage),
        (Scope::Transport, Stage::Connect)
    );
}
