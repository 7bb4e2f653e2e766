//! TLS that is missing, refused, stripped or false: nothing goes out in clear.

use posthaste_domain::delivery::Stage;
use posthaste_mail::{
    Envelope, OpenGate, Scope, SendError, SmtpTransport, Transport,
    smtp::{Credentials, TlsMode},
};
use secrecy::SecretString;

use crate::server::{Say, Server};

async fn send(server: &Server, tls: TlsMode) -> SendError {
    let mut config = server.config();
    config.tls = tls;
    config.credentials = Some(Credentials {
        username: "user".to_owned(),
        password: SecretString::from("canary".to_owned()),
    });
    let transport = SmtpTransport::new("relay", config).expect("a sound configuration");
    let envelope = Envelope {
        id: "0199a5f0-0000-7000-8000-000000000001"
            .parse()
            .expect("an id"),
        sender: "app@example.com".parse().expect("an address"),
        recipients: vec!["ada@example.com".parse().expect("an address")],
        stream: "otp".parse().expect("a name"),
    };
    let sent = transport
        .send(&envelope, b"Subject: x\r\n\r\nbody\r\n", &OpenGate)
        .await;
    let error = sent.expect_err("nothing may be sent");
    let commands = server.commands().join("\n");
    assert!(
        !commands.contains("AUTH") && !commands.contains("MAIL"),
        "sent in clear: {commands}"
    );
    assert!(server.arrived().is_empty());
    assert_eq!(error.scope, Scope::Transport);
    error
}

/// R15. Without STARTTLS, or with its refusal, nothing is sent.
#[tokio::test]
async fn where_tls_is_asked_for_and_not_had_nothing_is_sent() {
    let server = Server::start().await;
    let error = send(&server, TlsMode::Starttls).await;
    assert_eq!(error.reply.stage, Stage::Tls);
    assert!(
        error.reply.text.contains("does not offer STARTTLS"),
        "{error:?}"
    );

    let server = Server::start().await;
    server.always(
        "EHLO",
        Say::Bytes(b"250-server\r\n250 STARTTLS\r\n".to_vec()),
    );
    server.once("STARTTLS", Say::line("454 4.7.0 not now"));
    assert_eq!(send(&server, TlsMode::Starttls).await.reply.code, Some(454));

    let server = Server::start().await;
    assert_eq!(
        send(&server, TlsMode::Implicit).await.reply.stage,
        Stage::Tls,
        "a server that speaks clear text"
    );
}

/// R15. Text behind the answer to STARTTLS was put there by somebody else: the connection ends, and none of it is believed.
#[tokio::test]
async fn text_injected_before_the_handshake_ends_the_connection() {
    let server = Server::start().await;
    server.always(
        "EHLO",
        Say::Bytes(b"250-server\r\n250 STARTTLS\r\n".to_vec()),
    );
    server.once(
        "STARTTLS",
        Say::Bytes(b"220 go\r\n250-server\r\n250 AUTH PLAIN\r\n".to_vec()),
    );
    let error = send(&server, TlsMode::Starttls).await;
    assert!(error.reply.text.contains("in clear"), "{error:?}");
}

#[test]
fn a_file_without_certificates_is_told() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let mut config = crate::server::config(25);
    config.ca_file = Some(file.path().to_owned());
    let error = SmtpTransport::new("relay", config).unwrap_err();
    assert!(error.to_string().contains("no certificates"), "{error}");
}
