//! The memory transport as an inbox of tests.

use std::time::Duration;

use posthaste_domain::delivery::{Class, Reply, Stage};
use posthaste_mail::{
    Envelope, MemoryTransport, OpenGate, Receipt, Scope, SendError, Transport, memory::Act,
};

const SECOND: Duration = Duration::from_secs(1);

async fn send(inbox: &MemoryTransport, to: &str) -> Result<Receipt, SendError> {
    let envelope = Envelope {
        id: "0199a5f0-0000-7000-8000-000000000001"
            .parse()
            .expect("an id"),
        sender: "app@example.com".parse().expect("an address"),
        recipients: vec![to.parse().expect("an address")],
        stream: "otp".parse().expect("a name"),
        stay_with: None,
    };
    inbox
        .send(&envelope, b"Subject: x\r\n\r\nx\r\n", &OpenGate)
        .await
}

#[tokio::test(start_paused = true)]
async fn each_way_to_fail_can_be_played() {
    let inbox = MemoryTransport::new("inbox");
    inbox.fail_next(Reply::new(Stage::Mail, Class::Permanent, "no"));
    inbox.next(Act::Drop);
    inbox.next(Act::Lose);
    inbox.next(Act::Delay(30 * SECOND));
    let refused = send(&inbox, "ada@example.com").await.expect_err("refused");
    assert_eq!(
        (refused.scope, refused.reply.class),
        (Scope::Message, Class::Permanent)
    );
    let dropped = send(&inbox, "ada@example.com").await.expect_err("dropped");
    assert_eq!(
        (dropped.scope, dropped.reply.class),
        (Scope::Connection, Class::Transient)
    );
    assert!(inbox.sent().is_empty());
    let lost = send(&inbox, "ada@example.com").await.expect("nobody knows");
    assert_eq!(
        (lost.replies[0].stage, lost.replies[0].class),
        (Stage::Dot, Class::Uncertain)
    );
    assert_eq!(inbox.sent().len(), 1, "it was taken");
    let began = tokio::time::Instant::now();
    let late = send(&inbox, "ada@example.com").await.expect("late");
    assert_eq!(late.replies[0].class, Class::Accepted);
    assert_eq!(began.elapsed(), 30 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_mail_is_waited_for_by_what_it_is() {
    let inbox = MemoryTransport::new("inbox");
    let is_bobs = |mail: &posthaste_mail::memory::SentMail| {
        mail.envelope.recipients[0].expose() == "bob@example.com"
    };
    let (found, _) = tokio::join!(inbox.wait_until(60 * SECOND, is_bobs), async {
        for to in ["ada@example.com", "bob@example.com"] {
            tokio::time::sleep(SECOND).await;
            send(&inbox, to).await.expect("taken");
        }
    });
    assert!(is_bobs(&found.expect("it came")));
    inbox.clear();
    send(&inbox, "ada@example.com").await.expect("taken");
    let missed = inbox
        .wait_until(SECOND, is_bobs)
        .await
        .expect_err("it did not come");
    let told = missed.to_string();
    assert!(
        told.contains("a***@example.com") && told.contains("17 bytes"),
        "{told}"
    );
}

/// P7.
#[tokio::test]
async fn an_inbox_that_runs_long_keeps_the_latest() {
    let inbox = MemoryTransport::keeping("inbox", 2);
    for number in 0..5 {
        send(&inbox, &format!("user{number}@example.com"))
            .await
            .expect("taken");
    }
    let kept: Vec<_> = inbox
        .wait_for(5)
        .await
        .iter()
        .map(|mail| mail.envelope.recipients[0].expose().to_owned())
        .collect();
    assert_eq!(kept, ["user3@example.com", "user4@example.com"]);
}
