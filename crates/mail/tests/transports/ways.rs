//! The ways to a server beside plain SMTP over TCP: LMTP, UNIX sockets, a source address, and each way to log in.

use std::path::PathBuf;

use posthaste_domain::delivery::{Class, Stage};
use posthaste_mail::{
    Envelope, OpenGate, Receipt, Scope, SendError, SmtpConfig, SmtpTransport, Transport,
    smtp::{AuthMechanism, ClientCertificate, Credentials, Protocol, Server as Place, TlsError},
};
use secrecy::SecretString;

use crate::server::{Say, Server};

async fn send(config: SmtpConfig, to: &[&str]) -> Result<Receipt, SendError> {
    let transport = SmtpTransport::new("relay", config).expect("sound settings");
    let envelope = Envelope {
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
    };
    let message = b"Subject: x\r\n\r\nbody\r\n";
    transport.send(&envelope, message, &OpenGate).await
}

fn lmtp(server: &Server) -> SmtpConfig {
    SmtpConfig {
        protocol: Protocol::Lmtp,
        ..server.config()
    }
}

/// RFC 2033: behind the mail there is an answer for each recipient that was accepted.
#[tokio::test]
async fn lmtp_answers_for_each_recipient() {
    for offers in [&[] as &[_], &["PIPELINING"], &["PIPELINING", "CHUNKING"]] {
        let server = Server::lmtp(offers).await;
        server.once("RCPT gone@example.com", Say::line("550 5.1.1 no such user"));
        server.once(". full@example.com", Say::line("452 4.2.2 mailbox full"));
        let to = ["ada@example.com", "gone@example.com", "full@example.com"];
        let receipt = send(lmtp(&server), &to).await.expect("answered");
        let seen: Vec<_> = receipt
            .replies
            .iter()
            .map(|reply| (reply.stage, reply.class, reply.code))
            .collect();
        let expected = [
            (Stage::Dot, Class::Accepted, Some(250)),
            (Stage::Rcpt, Class::Permanent, Some(550)),
            (Stage::Dot, Class::Transient, Some(452)),
        ];
        assert_eq!(seen, expected, "{offers:?}");
        assert_eq!(server.commands()[0], "LHLO client.example");
    }
}

/// What was not answered is uncertain, and what was is not.
#[tokio::test]
async fn lmtp_that_breaks_off_is_uncertain_for_the_rest() {
    let server = Server::lmtp(&[]).await;
    server.once(". bob@example.com", Say::HangUp);
    let to = ["ada@example.com", "bob@example.com", "eve@example.com"];
    let receipt = send(lmtp(&server), &to).await.expect("answered");
    let classes: Vec<_> = receipt.replies.iter().map(|reply| reply.class).collect();
    assert_eq!(
        classes,
        [Class::Accepted, Class::Uncertain, Class::Uncertain]
    );
}

#[tokio::test]
async fn a_unix_socket_leads_to_a_server() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("lmtp");
    let server = Server::behind(&path).await;
    let config = SmtpConfig {
        server: Place::Unix(path.clone()),
        ..server.config()
    };
    let receipt = send(config, &["ada@example.com"]).await.expect("taken");
    assert_eq!(receipt.replies[0].class, Class::Accepted);
    assert_eq!(receipt.remote, Some(path.display().to_string()));
    let away = SmtpConfig {
        server: Place::Unix(folder.path().join("nothing")),
        ..server.config()
    };
    let error = send(away, &["ada@example.com"]).await.expect_err("nobody");
    assert_eq!(
        (error.scope, error.reply.stage),
        (Scope::Transport, Stage::Connect)
    );
}

#[tokio::test]
async fn connections_come_from_the_address_that_is_set() {
    let server = Server::start().await;
    let mut config = server.config();
    config.source = Some("127.0.0.7".parse().expect("an address"));
    send(config, &["ada@example.com"]).await.expect("taken");
    let from = server.clients();
    assert_eq!(from[0].ip().to_string(), "127.0.0.7");
    // No address of the server is of the family of this one.
    let mut config = server.config();
    config.server = Place::Tcp {
        host: "127.0.0.1".to_owned(),
        port: server.address.port(),
    };
    config.source = Some("::1".parse().expect("an address"));
    let error = send(config, &["ada@example.com"])
        .await
        .expect_err("no way");
    assert_eq!(
        (error.scope, error.reply.stage),
        (Scope::Transport, Stage::Connect)
    );
}

fn logs_in(server: &Server, mechanism: AuthMechanism) -> SmtpConfig {
    SmtpConfig {
        credentials: Some(Credentials {
            username: "user".to_owned(),
            password: SecretString::from("pass"),
            mechanism,
        }),
        ..server.config()
    }
}

#[tokio::test]
async fn a_log_in_is_said_step_by_step() {
    let server = Server::offering(&["AUTH LOGIN"]).await;
    server.once("AUTH", Say::line("334 VXNlcm5hbWU6"));
    server.once("DXNLCG==", Say::line("334 UGFzc3dvcmQ6"));
    server.once("CGFZCW==", Say::line("235 2.7.0 welcome"));
    send(
        logs_in(&server, AuthMechanism::Password),
        &["ada@example.com"],
    )
    .await
    .expect("taken");
    assert_eq!(
        server.commands()[1..4],
        ["AUTH LOGIN", "dXNlcg==", "cGFzcw=="]
    );
}

/// The reason of a refusal comes before its code, which an empty line asks for.
#[tokio::test]
async fn a_refused_token_tells_its_code_and_is_about_the_way() {
    let server = Server::offering(&["AUTH XOAUTH2"]).await;
    server.once("AUTH", Say::line("334 eyJzdGF0dXMiOiI0MDEifQ=="));
    server.once("", Say::line("535 5.7.8 bad token"));
    let config = logs_in(&server, AuthMechanism::Xoauth2);
    let error = send(config, &["ada@example.com"])
        .await
        .expect_err("refused");
    assert_eq!(
        (error.scope, error.reply.stage, error.reply.code),
        (Scope::Transport, Stage::Auth, Some(535))
    );
    assert!(!error.reply.text.contains("pass"));
    assert!(server.arrived().is_empty());
}

#[tokio::test]
async fn a_mail_that_servers_read_in_different_ways_is_not_begun() {
    let server = Server::start().await;
    let transport = server.transport();
    let envelope = Envelope {
        id: "0199a5f0-0000-7000-8000-000000000001"
            .parse()
            .expect("an id"),
        sender: "app@example.com".parse().expect("an address"),
        recipients: vec!["ada@example.com".parse().expect("an address")],
        stream: "otp".parse().expect("a name"),
        stay_with: None,
    };
    for message in ["a\n.\r\nMAIL", "a\r.\r\n", "a\n.\n", "a\0\r\n"] {
        let sent = transport
            .send(&envelope, message.as_bytes(), &OpenGate)
            .await;
        let error = sent.expect_err("it is unsound");
        assert_eq!(
            (error.scope, error.reply.class),
            (Scope::Message, Class::Permanent),
            "{message:?}"
        );
    }
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn a_certificate_that_cannot_be_read_is_named() {
    let server = Server::start().await;
    let mut config = server.config();
    config.certificate = Some(ClientCertificate {
        certificates: PathBuf::from("/nowhere/own.pem"),
        key: PathBuf::from("/nowhere/own.key"),
    });
    let error = SmtpTransport::new("relay", config).expect_err("there is none");
    assert!(matches!(error, TlsError::Certificate(_)));
    assert!(error.to_string().contains("/nowhere/own.pem"), "{error}");
}

/// A connection that nobody uses is given back to the server, though nothing else happens.
#[tokio::test]
async fn an_unused_connection_is_closed_in_order() {
    let server = Server::start().await;
    let mut config = server.config();
    config.max_idle = std::time::Duration::from_millis(50);
    let transport = SmtpTransport::new("relay", config).expect("a sound configuration");
    let sent = transport
        .send(&crate::tls::envelope(), b"x\r\n", &OpenGate)
        .await;
    sent.expect("it is taken");
    server.obeyed("QUIT").await;
    assert_eq!(server.connections(), 1);
    drop(transport);
}
