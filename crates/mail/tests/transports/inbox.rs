//! The memory transport as an inbox of tests.

use std::time::Duration;

use posthaste_domain::{
    clock::{Clock, SystemClock},
    delivery::{Class, Reply, Stage},
};
use posthaste_mail::{
    Envelope, Letter, MemoryTransport, OpenGate, Receipt, Scope, SendError, Transport,
    memory::{Act, SentMail, read::Attachment},
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

fn taken(message: &[u8]) -> SentMail {
    SentMail {
        envelope: crate::tls::envelope(),
        message: message.to_vec(),
    }
}

/// A mail as this crate writes it, with a subject and a text that have to be encoded.
#[test]
fn a_mail_is_read_as_its_recipient_sees_it() {
    let text =
        "Grüße! Your code is 123456, not 12 or x1234.\r\nGo to https://example.com/a?b=c&d=e.";
    let letter = Letter::text(
        "app@example.com".parse().expect("an address"),
        "ada@example.com".parse().expect("an address"),
        "Ünlock 4711".parse().expect("a subject"),
        text,
        SystemClock.now(),
    );
    let mail = taken(&letter.expect("it can be written").bytes);
    let read = mail.read().expect("it is a mail");
    assert_eq!(read.subject, "Ünlock 4711");
    assert_eq!(read.from, "app@example.com");
    assert_eq!(read.to, ["ada@example.com"]);
    assert_eq!(read.text.as_deref().map(str::trim_end), Some(text));
    assert_eq!(read.html, None);
    assert_eq!(read.links(), ["https://example.com/a?b=c&d=e"]);
    assert_eq!(read.codes(), ["123456", "4711"]);
    assert!(
        read.header("message-id")
            .is_some_and(|id| id.starts_with('<'))
    );
    assert_eq!(read.header("X-Nothing"), None);
}

#[test]
fn parts_and_attachments_are_told_apart() {
    let mail = taken(
        b"Subject: a\r\n b\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=m\r\n\r\n\
        --m\r\nContent-Type: multipart/alternative; boundary=a\r\n\r\n\
        --a\r\nContent-Type: text/plain\r\n\r\nplain http://a.test/1\r\n\
        --a\r\nContent-Type: text/html\r\n\r\n<a href=\"https://a.test/?x=1&amp;y=2\">http://a.test/1</a>\r\n--a--\r\n\
        --m\r\nContent-Type: image/png; name=x.png\r\nContent-Disposition: attachment; filename=x.png\r\n\
        Content-Transfer-Encoding: base64\r\n\r\nAAEC\r\n--m--\r\n",
    );
    let read = mail.read().expect("it is a mail");
    assert_eq!(read.header("subject"), Some("a b"));
    assert_eq!(read.text.as_deref(), Some("plain http://a.test/1"));
    assert!(
        read.html
            .as_deref()
            .is_some_and(|html| html.starts_with("<a "))
    );
    assert_eq!(read.links(), ["https://a.test/?x=1&y=2", "http://a.test/1"]);
    let expected = Attachment {
        name: "x.png".to_owned(),
        content_type: "image/png".to_owned(),
        bytes: vec![0, 1, 2],
    };
    assert_eq!(read.attachments, [expected]);
    assert!(taken(b"").read().is_err());
}
