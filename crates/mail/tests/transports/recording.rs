//! Conversations that are kept: whole, in order, without secrets and within their size.

use std::sync::Arc;

use posthaste_domain::delivery::Stage;
use posthaste_mail::{
    Envelope, OpenGate, Receipt, Recorder, Scope, SendError, SmtpConfig, SmtpTransport, Transport,
    recorder::{Keep, MAX_TRANSCRIPT},
    smtp::{AuthMechanism, Credentials},
};
use secrecy::SecretString;

use crate::server::{Say, Server};

const CANARY: &str = "c4nary-password";
const BODY: &str = "Subject: x\r\n\r\na body that nobody else reads\r\n";

fn recorder(config: SmtpConfig, keep: Keep) -> Recorder {
    let transport = SmtpTransport::new("relay", config).expect("sound settings");
    Recorder::around(Arc::new(transport), keep)
}

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

async fn send(recorder: &Recorder, to: &[&str]) -> Result<Receipt, SendError> {
    recorder
        .send(&envelope(to), BODY.as_bytes(), &OpenGate)
        .await
}

fn transcript(sent: &Result<Receipt, SendError>) -> Option<String> {
    let trail = match sent {
        Ok(receipt) => receipt.trail.as_deref(),
        Err(error) => error.trail.as_deref(),
    };
    trail?.transcript.clone()
}

/// The lines without their times.
fn lines(transcript: &str) -> Vec<&str> {
    transcript
        .lines()
        .map(|line| line.trim_start().split_once(' ').expect("time and text").1)
        .collect()
}

#[tokio::test]
async fn a_conversation_is_kept_line_by_line() {
    let server = Server::offering(&["PIPELINING"]).await;
    server.once("RCPT gone@example.com", Say::line("550 5.1.1 no such user"));
    let recorder = recorder(server.config(), Keep::Failures);
    let sent = send(&recorder, &["gone@example.com", "ada@example.com"]).await;
    let text = transcript(&sent).expect("one was refused");
    let seen = lines(&text);
    let from_mail = seen.iter().position(|line| line.starts_with("C MAIL"));
    let expected = [
        "C MAIL FROM:<app@example.com> SIZE=45",
        "C RCPT TO:<gone@example.com>",
        "C RCPT TO:<ada@example.com>",
        "C DATA",
        "S 250 2.1.0 ok",
        "S 550 5.1.1 no such user",
        "S 250 2.1.5 ok",
        "S 354 go",
        "C <45 bytes>",
        "S 250 2.0.0 taken",
    ];
    assert_eq!(
        seen[from_mail.expect("MAIL was said")..],
        expected,
        "{text}"
    );
    assert!(seen[0].starts_with("* connecting to localhost:"), "{text}");
    assert!(seen.contains(&"C EHLO client.example"), "{text}");
    assert!(!text.contains("nobody else reads"), "{text}");
}

#[tokio::test]
async fn what_went_well_is_kept_only_where_all_is() {
    let server = Server::offering(&["PIPELINING"]).await;
    let failures = recorder(server.config(), Keep::Failures);
    assert_eq!(
        transcript(&send(&failures, &["ada@example.com"]).await),
        None
    );
    let all = recorder(server.config(), Keep::All);
    let text = transcript(&send(&all, &["ada@example.com"]).await).expect("kept");
    assert!(text.ends_with(" S 250 2.0.0 taken\n"), "{text}");
}

/// A follower's commands were written with the mail in front of it: both conversations are whole, and neither has the
/// other's recipients.
#[tokio::test]
async fn mails_that_share_a_connection_have_conversations_of_their_own() {
    let server = Server::offering(&["PIPELINING"]).await;
    let one = SmtpConfig {
        connections: 1,
        ..server.config()
    };
    let recorder = recorder(one, Keep::All);
    let to: Vec<_> = (0..8).map(|n| format!("user{n}@example.com")).collect();
    let to: Vec<_> = to.iter().map(|to| [to.as_str()]).collect();
    let sends = to.iter().map(|to| send(&recorder, to));
    let sent = futures_util::future::join_all(sends).await;
    for (to, sent) in to.iter().zip(&sent) {
        let text = transcript(sent).expect("kept");
        let rcpts: Vec<_> = lines(&text)
            .into_iter()
            .filter(|line| line.starts_with("C RCPT"))
            .map(str::to_owned)
            .collect();
        assert_eq!(rcpts, [format!("C RCPT TO:<{}>", to[0])], "{text}");
        assert!(
            text.contains("C <45 bytes>") && text.ends_with(" S 250 2.0.0 taken\n"),
            "{text}"
        );
    }
}

#[tokio::test]
async fn a_failed_way_is_told_step_by_step() {
    let server = Server::offering(&[]).await;
    server.once("EHLO", Say::line("421 4.3.2 not now"));
    let recorder = recorder(server.config(), Keep::Failures);
    let sent = send(&recorder, &["ada@example.com"]).await;
    let error = sent.as_ref().expect_err("the server is away");
    assert_eq!(
        (error.scope, error.reply.stage),
        (Scope::Transport, Stage::Hello)
    );
    let text = transcript(&sent).expect("kept");
    assert!(text.ends_with(" S 421 4.3.2 not now\n"), "{text}");
}

/// No password, however the log-in is said, taken or refused.
#[tokio::test]
async fn a_password_is_in_no_transcript() {
    use base64::{Engine, engine::general_purpose::STANDARD};
    for (mechanism, offer, shown) in [
        (AuthMechanism::Plain, "AUTH PLAIN", "C AUTH PLAIN ***"),
        (AuthMechanism::Login, "AUTH LOGIN", "C AUTH LOGIN"),
        (AuthMechanism::Xoauth2, "AUTH XOAUTH2", "C AUTH XOAUTH2 ***"),
    ] {
        for answer in ["235 2.7.0 welcome", "535 5.7.8 no"] {
            let server = Server::offering(&[offer]).await;
            if mechanism == AuthMechanism::Login {
                server.once("AUTH", Say::line("334 VXNlcm5hbWU6"));
                server.always(
                    &STANDARD.encode("user").to_uppercase(),
                    Say::line("334 UGFzc3dvcmQ6"),
                );
                server.always(&STANDARD.encode(CANARY).to_uppercase(), Say::line(answer));
            } else {
                server.once("AUTH", Say::line(answer));
            }
            let config = SmtpConfig {
                credentials: Some(Credentials {
                    username: "user".to_owned(),
                    password: SecretString::from(CANARY),
                    mechanism,
                }),
                ..server.config()
            };
            let sent = send(&recorder(config, Keep::All), &["ada@example.com"]).await;
            assert_eq!(sent.is_ok(), answer.starts_with('2'), "{offer} {answer}");
            let text = transcript(&sent).expect("kept");
            assert!(lines(&text).contains(&shown), "{text}");
            let plain = format!("\0user\0{CANARY}");
            let token = format!("user=user\x01auth=Bearer {CANARY}\x01\x01");
            for secret in [
                CANARY.to_owned(),
                STANDARD.encode(CANARY),
                STANDARD.encode(plain),
                STANDARD.encode(token),
            ] {
                assert!(!text.contains(&secret), "{text}");
            }
        }
    }
}

#[tokio::test]
async fn a_transcript_has_a_bound_and_each_line_too() {
    let server = Server::offering(&["PIPELINING"]).await;
    let endless = format!("550 5.1.1 {}", "no ".repeat(600));
    server.always("RCPT", Say::line(&endless));
    let to: Vec<_> = (0..60).map(|n| format!("user{n}@example.com")).collect();
    let to: Vec<_> = to.iter().map(String::as_str).collect();
    let sent = send(&recorder(server.config(), Keep::All), &to).await;
    let text = transcript(&sent).expect("kept");
    assert!(text.len() <= MAX_TRANSCRIPT + 8, "{}", text.len());
    assert!(text.ends_with("…\n"), "it says that something is missing");
    assert!(text.lines().all(|line| line.chars().count() < 530));
}
