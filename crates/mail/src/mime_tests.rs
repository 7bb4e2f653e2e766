use std::{collections::BTreeMap, time::Duration};

use posthaste_domain::{
    clock::{Timestamp, later},
    id::MessageId,
    message::{Content, ExtraHeader, InternetMessageId, Recipients},
};

use super::*;

fn message() -> NewMessage {
    let id: MessageId = "0199a5f0-0000-7000-8000-000000000001".parse().unwrap();
    NewMessage {
        id,
        owner: "acme".parse().unwrap(),
        stream: "transactional".parse().unwrap(),
        message_id: InternetMessageId::of(id, &"app@acme.example".parse().unwrap()),
        from: "Büro <app@acme.example>".parse().unwrap(),
        recipients: Recipients {
            to: vec!["Ada <ada@example.com>".parse().unwrap()],
            cc: vec!["bob@example.com".parse().unwrap()],
            bcc: vec!["secret@example.com".parse().unwrap()],
        },
        reply_to: vec!["help@acme.example".parse().unwrap()],
        content: Content::Inline {
            subject: "x".parse().unwrap(),
            html: None,
            text: None,
        },
        headers: vec![ExtraHeader::new("X-Note", "grüße").unwrap()],
        tags: vec![],
        metadata: BTreeMap::new(),
        created_at: later(Timestamp::UNIX_EPOCH, Duration::from_secs(1_800_000_000)),
        scheduled_at: None,
        expires_at: later(Timestamp::UNIX_EPOCH, Duration::from_secs(1_800_086_400)),
        deliveries: vec![],
    }
}

fn rendered(html: Option<&str>, text: Option<&str>) -> Rendered {
    Rendered {
        subject: "Grüße, 你好".parse().unwrap(),
        html: html.map(str::to_owned),
        text: text.map(str::to_owned),
    }
}

#[test]
fn a_mail_program_reads_back_what_was_written() {
    let html = "<p>Grüße</p>\n.\n<b>dot above</b>";
    let bytes = write(&message(), &rendered(Some(html), Some("Grüße\r.\rEnde\0"))).unwrap();
    let parsed = mail_parser::MessageParser::default().parse(&bytes).unwrap();
    assert_eq!(parsed.subject(), Some("Grüße, 你好"));
    assert_eq!(
        parsed.message_id(),
        Some("0199a5f0-0000-7000-8000-000000000001@acme.example")
    );
    assert_eq!(parsed.date().unwrap().to_timestamp(), 1_800_000_000);
    assert_eq!(parsed.from().unwrap().first().unwrap().name(), Some("Büro"));
    assert_eq!(parsed.body_html(0).unwrap().replace("\r\n", "\n"), html);
    assert_eq!(
        parsed.body_text(0).unwrap().replace("\r\n", "\n"),
        "Grüße\n.\nEnde\u{fffd}"
    );
    assert_eq!(
        parsed.header("X-Note").unwrap().as_text(),
        Some("=?utf-8?b?Z3LDvMOfZQ==?=")
    );
}

#[test]
fn hidden_recipients_stay_hidden() {
    let bytes = write(&message(), &rendered(None, Some("x"))).unwrap();
    let text = String::from_utf8(bytes).unwrap();
    assert!(!text.to_ascii_lowercase().contains("bcc") && !text.contains("secret@"));
    let mut only_hidden = message();
    only_hidden.recipients.to.clear();
    only_hidden.recipients.cc.clear();
    let text = String::from_utf8(write(&only_hidden, &rendered(None, Some("x"))).unwrap()).unwrap();
    assert!(!text.contains("secret@"));
}

#[test]
fn the_same_message_gives_the_same_bytes() {
    let one = write(&message(), &rendered(Some("<b>a</b>"), Some("a"))).unwrap();
    let two = write(&message(), &rendered(Some("<b>a</b>"), Some("a"))).unwrap();
    assert_eq!(one, two);
}

/// S2 at the level of bytes: nothing in a body can end the message.
#[test]
fn no_body_brings_a_bare_line_end_or_a_long_line() {
    for text in [
        "a\n.\nb",
        "a\r.\rb",
        "a\r\n.\r\nb",
        "\n.\n",
        "a\0b",
        &"x".repeat(5000),
        &"é".repeat(3000),
        "\r\r\n\n\r",
    ] {
        let bytes = write(&message(), &rendered(Some(text), Some(text))).unwrap();
        check(&bytes).unwrap();
    }
}

#[test]
fn the_last_look_finds_each_fault() {
    let found = |bytes: &[u8]| check(bytes).unwrap_err().to_string();
    assert!(found(b"a\nb").contains("line feed"));
    assert!(found(b"a\rb").contains("carriage return"));
    assert!(found(b"a\r").contains("carriage return"));
    assert!(found(b"a\0b\r\n").contains("NUL"));
    assert!(found(b"a\xc3\xa9\r\n").contains("ASCII"));
    assert!(found(&[b'x'; 1000]).contains("too long"));
    assert!(check(&[[b'x'; 998].as_slice(), b"\r\n"].concat()).is_ok());
}

/// What is accepted can be written down: the longest header of each kind.
#[test]
fn every_header_that_is_accepted_fits_its_lines() {
    for value in [
        "x".repeat(998),
        "ü".repeat(499),
        format!("{}b", "a  ".repeat(332)),
    ] {
        let mut message = message();
        message.headers = vec![ExtraHeader::new(&"N".repeat(76), &value).unwrap()];
        write(&message, &rendered(None, Some("x"))).unwrap();
    }
}
