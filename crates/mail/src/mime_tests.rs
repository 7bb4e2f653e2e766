use std::{collections::BTreeMap, sync::Arc, time::Duration};

use posthaste_domain::{
    clock::{Timestamp, later},
    id::{AttachmentId, MessageId},
    message::{AttachedBytes, Attachment, Content, ExtraHeader, InternetMessageId, Recipients},
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
        attachments: Vec::new(),
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

fn file(name: &str, kind: &str, shown_as: Option<&str>, bytes: &[u8]) -> Attachment {
    Attachment {
        id: AttachmentId::new(Timestamp::UNIX_EPOCH),
        name: name.parse().unwrap(),
        media_type: kind.parse().unwrap(),
        content_id: shown_as.map(|id| id.parse().unwrap()),
        bytes: AttachedBytes::Here(Arc::new(bytes.to_vec())),
    }
}

/// The tree of parts, by their types.
fn tree(bytes: &[u8]) -> String {
    fn walk(message: &mail_parser::Message<'_>, part: usize) -> String {
        use mail_parser::{MimeHeaders, PartType};
        let part = &message.parts[part];
        let kind = part.content_type().unwrap();
        let subtype = kind.subtype().unwrap();
        match &part.body {
            PartType::Multipart(below) => {
                let below: Vec<_> = below.iter().map(|id| walk(message, *id as usize)).collect();
                format!("{subtype}({})", below.join(" "))
            }
            _ => subtype.to_owned(),
        }
    }
    let parsed = mail_parser::MessageParser::default().parse(bytes).unwrap();
    walk(&parsed, 0)
}

#[test]
fn files_stand_where_readers_look_for_them() {
    let picture = || file("logo.png", "image/png", Some("logo"), b"\x89PNG");
    let report = || file("report.pdf", "application/pdf", None, b"%PDF");
    let check = |files: Vec<Attachment>, html: Option<&str>, text: Option<&str>, expected: &str| {
        let message = NewMessage {
            attachments: files,
            ..message()
        };
        let bytes = write(&message, &rendered(html, text)).unwrap();
        assert_eq!(tree(&bytes), expected);
    };
    let (html, text) = (Some("<img src='cid:logo'>"), Some("x"));
    check(
        vec![report()],
        html,
        text,
        "mixed(alternative(plain html) pdf)",
    );
    check(vec![report()], None, text, "mixed(plain pdf)");
    check(vec![report()], html, None, "mixed(html pdf)");
    check(
        vec![picture()],
        html,
        text,
        "alternative(plain related(html png))",
    );
    check(vec![picture()], html, None, "related(html png)");
    check(
        vec![report(), picture(), report()],
        html,
        text,
        "mixed(alternative(plain related(html png)) pdf pdf)",
    );
    // Nothing shows it: it is offered.
    check(vec![picture()], None, text, "mixed(plain png)");
}

#[test]
fn a_file_is_read_back_byte_for_byte_under_its_name() {
    use mail_parser::MimeHeaders;
    let every: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    let cases: [(&str, &[u8]); 5] = [
        ("a.bin", &every),
        ("Rechnung März 2026.pdf", b""),
        ("领收书; \"x\".pdf", b"\r\n.\r\n"),
        (&"long name ".repeat(20), &every[..57]),
        ("dot", &every[..58]),
    ];
    let files =
        cases.map(|(name, bytes)| file(name, "application/octet-stream; x=\"a b\"", None, bytes));
    let message = NewMessage {
        attachments: files.to_vec(),
        ..message()
    };
    let bytes = write(&message, &rendered(None, Some("x"))).unwrap();
    check(&bytes).unwrap();
    assert!(bytes.split(|b| *b == b'\n').all(|line| line.len() <= 79));
    let parsed = mail_parser::MessageParser::default().parse(&bytes).unwrap();
    let read: Vec<_> = parsed
        .attachments()
        .map(|part| (part.attachment_name().unwrap(), part.contents()))
        .collect();
    let given: Vec<_> = cases
        .iter()
        .map(|(name, bytes)| (name.trim(), *bytes))
        .collect();
    let names = |all: &[(&str, &[u8])]| -> Vec<String> {
        all.iter().map(|(name, _)| (*name).to_owned()).collect()
    };
    assert_eq!(names(&read), names(&given));
    assert!(read == given, "other bytes");
    assert_eq!(bytes, write(&message, &rendered(None, Some("x"))).unwrap());
}

/// It would go out without its file.
#[test]
fn what_a_file_holds_must_be_there() {
    let mut stored = file("a", "a/b", None, b"");
    stored.bytes = AttachedBytes::Stored(9);
    let message = NewMessage {
        attachments: vec![stored],
        ..message()
    };
    assert!(write(&message, &rendered(None, Some("x"))).is_err());
}
