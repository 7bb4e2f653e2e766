//! TLS that is missing, refused, stripped or false: nothing goes out in clear.

use std::{path::Path, sync::Arc};

use posthaste_domain::delivery::{Class, Stage};
use posthaste_mail::{
    Envelope, OpenGate, Receipt, Scope, SendError, SmtpTransport, Transport,
    smtp::{AuthMechanism, ClientCertificate, Credentials, TlsMode},
};
use rustls::server::WebPkiClientVerifier;
use secrecy::SecretString;
use tokio_rustls::TlsAcceptor;

use crate::server::{Say, Server, Tls};

/// A certificate for `name`, and a server's side of TLS with it.
pub(crate) fn certificate(name: &str, implicit: bool) -> (tempfile::NamedTempFile, Tls) {
    demanding(name, implicit, None)
}

/// The same; the server insists on this certificate of its clients.
fn demanding(
    name: &str,
    implicit: bool,
    client: Option<&rcgen::Certificate>,
) -> (tempfile::NamedTempFile, Tls) {
    let made =
        rcgen::generate_simple_self_signed([name.to_owned()]).expect("a certificate can be made");
    let file = written(&made.cert.pem());
    let key =
        rustls_pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).expect("a key");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = match client {
        None => WebPkiClientVerifier::no_client_auth(),
        Some(certificate) => {
            let mut roots = rustls::RootCertStore::empty();
            roots.add(certificate.der().clone()).expect("it is sound");
            let verifier =
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
            verifier.build().expect("there is a root")
        }
    };
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring speaks TLS 1.2 and 1.3")
        .with_client_cert_verifier(verifier)
        .with_single_cert(vec![made.cert.der().clone()], key)
        .expect("certificate and key fit");
    (
        file,
        Tls {
            acceptor: TlsAcceptor::from(Arc::new(config)),
            implicit,
        },
    )
}

fn written(text: &str) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    std::fs::write(file.path(), text).expect("it can be written");
    file
}

/// A server that knows its clients by their certificates takes mail from those only.
#[tokio::test]
async fn a_server_that_wants_a_certificate_is_shown_ours() {
    let ours = rcgen::generate_simple_self_signed(["client.example".to_owned()]);
    let ours = ours.expect("a certificate can be made");
    let certificates = written(&ours.cert.pem());
    let key = written(&ours.signing_key.serialize_pem());
    let (trusted, tls) = demanding("localhost", true, Some(&ours.cert));
    let server = Server::with(Some(tls)).await;
    for shown in [true, false] {
        let mut config = server.config();
        config.tls = TlsMode::Implicit;
        config.ca_file = Some(trusted.path().to_owned());
        config.timeouts.tls = std::time::Duration::from_secs(30);
        config.timeouts.greeting = std::time::Duration::from_secs(30);
        config.certificate = shown.then(|| ClientCertificate {
            certificates: certificates.path().to_owned(),
            key: key.path().to_owned(),
        });
        let transport = SmtpTransport::new("relay", config).expect("a sound configuration");
        let sent = transport.send(&envelope(), b"x\r\n", &OpenGate).await;
        match sent {
            Ok(_) => assert!(shown, "it has no certificate"),
            Err(error) => assert!(!shown && error.scope == Scope::Transport, "{error:?}"),
        }
    }
    assert_eq!(server.arrived().len(), 1);
}

async fn sent(server: &Server, tls: TlsMode, trusted: Option<&Path>) -> Result<Receipt, SendError> {
    let mut config = server.config();
    config.tls = tls;
    config.ca_file = trusted.map(Path::to_owned);
    config.timeouts.tls = std::time::Duration::from_secs(30);
    config.timeouts.command = std::time::Duration::from_secs(30);
    config.credentials = Some(Credentials {
        username: "user".to_owned(),
        password: SecretString::from("canary".to_owned()),
        mechanism: AuthMechanism::Password,
    });
    let transport = SmtpTransport::new("relay", config).expect("a sound configuration");
    transport
        .send(&envelope(), b"Subject: x\r\n\r\nbody\r\n", &OpenGate)
        .await
}

pub(crate) fn envelope() -> Envelope {
    Envelope {
        id: "0199a5f0-0000-7000-8000-000000000001"
            .parse()
            .expect("an id"),
        sender: "app@example.com".parse().expect("an address"),
        recipients: vec!["ada@example.com".parse().expect("an address")],
        stream: "otp".parse().expect("a name"),
        stay_with: None,
    }
}

/// Over verified TLS the log-in and the mail go through, and not a word of either before it.
#[tokio::test]
async fn over_verified_tls_the_log_in_and_the_mail_go_through() {
    for (mode, implicit) in [
        (TlsMode::Implicit, true),
        (TlsMode::Starttls, false),
        (TlsMode::Opportunistic, false),
    ] {
        let (trusted, tls) = certificate("localhost", implicit);
        let server = Server::with(Some(tls)).await;
        let offer = if implicit {
            "250-server\r\n250 AUTH PLAIN LOGIN\r\n"
        } else {
            "250-server\r\n250-STARTTLS\r\n250 AUTH PLAIN LOGIN\r\n"
        };
        server.always("EHLO", Say::Bytes(offer.as_bytes().to_vec()));
        let receipt = sent(&server, mode, Some(trusted.path()))
            .await
            .unwrap_or_else(|error| panic!("{mode:?}: {error:?}"));
        assert_eq!(receipt.replies[0].class, Class::Accepted);
        let commands = server.commands();
        assert!(
            commands
                .iter()
                .any(|command| command.starts_with("AUTH PLAIN ")),
            "{commands:?}"
        );
        if !implicit {
            assert_eq!(
                commands[1..4],
                ["STARTTLS", "(TLS)", "EHLO client.example"],
                "EHLO again inside TLS"
            );
        }
        assert_eq!(server.arrived().len(), 1);
    }
}

/// R15. A certificate of somebody unknown, or for another name: no password, no mail, no fall-back to clear text.
#[tokio::test]
async fn a_certificate_that_proves_nothing_ends_the_connection() {
    for (name, trust) in [("localhost", false), ("other.example", true)] {
        for (mode, implicit) in [
            (TlsMode::Implicit, true),
            (TlsMode::Starttls, false),
            (TlsMode::Opportunistic, false),
        ] {
            let (file, tls) = certificate(name, implicit);
            let server = Server::with(Some(tls)).await;
            server.always(
                "EHLO",
                Say::Bytes(b"250-server\r\n250-STARTTLS\r\n250 AUTH PLAIN\r\n".to_vec()),
            );
            let error = sent(&server, mode, trust.then(|| file.path()))
                .await
                .expect_err("not to be trusted");
            assert_eq!(
                (error.scope, error.reply.stage),
                (Scope::Transport, Stage::Tls),
                "{name} {mode:?}: {error:?}"
            );
            let commands = server.commands().join("\n");
            assert!(
                !commands.contains("AUTH") && !commands.contains("MAIL"),
                "{name} {mode:?}: {commands}"
            );
        }
    }
}

/// A log-in that is refused is about the way, and no mail is tried.
#[tokio::test]
async fn a_refused_log_in_tries_no_mail() {
    let (trusted, tls) = certificate("localhost", true);
    let server = Server::with(Some(tls)).await;
    server.always(
        "EHLO",
        Say::Bytes(b"250-server\r\n250 AUTH PLAIN\r\n".to_vec()),
    );
    server.always("AUTH", Say::line("535 5.7.8 wrong password"));
    let error = sent(&server, TlsMode::Implicit, Some(trusted.path()))
        .await
        .unwrap_err();
    assert_eq!(
        (error.scope, error.reply.stage, error.reply.code),
        (Scope::Transport, Stage::Auth, Some(535))
    );
    assert!(
        !server
            .commands()
            .iter()
            .any(|command| command.starts_with("MAIL"))
    );
}

async fn send(server: &Server, tls: TlsMode) -> SendError {
    let mut config = server.config();
    config.tls = tls;
    config.credentials = Some(Credentials {
        username: "user".to_owned(),
        password: SecretString::from("canary".to_owned()),
        mechanism: AuthMechanism::Password,
    });
    let transport = SmtpTransport::new("relay", config).expect("a sound configuration");
    let sent = transport
        .send(&envelope(), b"Subject: x\r\n\r\nbody\r\n", &OpenGate)
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
