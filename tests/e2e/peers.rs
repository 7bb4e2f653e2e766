//! The SMTP server that other tests send to does what they rely on.

use std::{
    io::{BufRead, BufReader, Write},
    net::TcpStream,
    time::Duration,
};

use crate::support::sink::{Answer, Sink, Stage};

#[test]
fn the_sink_answers_as_told_and_keeps_what_it_took() {
    let Some(mut sink) = Sink::start() else {
        return;
    };
    sink.answer(
        Stage::Recipient,
        "gone@example.com",
        &[Answer::Say("550 5.1.1 no such user")],
    );
    sink.answer(
        Stage::Dot,
        "late@example.com",
        &[
            Answer::Say("451 4.3.0 not now"),
            Answer::Late(Duration::from_millis(50), "250 2.0.0 ok"),
        ],
    );

    assert_eq!(deliver(&sink, "gone@example.com"), "550 5.1.1 no such user");
    assert_eq!(deliver(&sink, "late@example.com"), "451 4.3.0 not now");
    assert_eq!(sink.history(), []);
    assert_eq!(deliver(&sink, "late@example.com"), "250 2.0.0 ok");
    assert_eq!(deliver(&sink, "plain@example.com"), "250 2.0.0 ok");

    let taken = sink.history();
    let recipients: Vec<&str> = taken.iter().map(|taken| taken.recipient.as_str()).collect();
    assert_eq!(recipients, ["late@example.com", "plain@example.com"]);
    assert_eq!(taken[0].message_id, "<1@example.com>");
    assert_eq!(
        sink.raw(&taken[0]),
        b"Message-ID: <1@example.com>\r\n\r\n.dot\r\n"
    );
    assert!(
        String::from_utf8_lossy(&sink.wire()).contains("\r\n..dot\r\n.\r\n"),
        "the wire shows doubled dots"
    );
}

#[test]
fn the_sink_hangs_up_when_told_and_comes_back_on_its_port() {
    let Some(mut sink) = Sink::start() else {
        return;
    };
    sink.answer(Stage::Recipient, "plain@example.com", &[Answer::HangUp]);
    assert_eq!(deliver(&sink, "plain@example.com"), "");
    sink.stop();
    assert!(TcpStream::connect(("127.0.0.1", sink.port())).is_err());
    sink.answer(Stage::Recipient, "plain@example.com", &[]);
    sink.resume();
    assert_eq!(deliver(&sink, "plain@example.com"), "250 2.0.0 ok");
    assert_eq!(sink.history().len(), 1);
}

/// Speaks SMTP up to the first refusal and returns the last reply: nothing when the server hung up.
fn deliver(sink: &Sink, recipient: &str) -> String {
    let stream = TcpStream::connect(("127.0.0.1", sink.port())).expect("the sink listens");
    let mut replies = BufReader::new(stream.try_clone().expect("a socket can be cloned"));
    let recipient = format!("RCPT TO:<{recipient}>\r\n");
    let mut last = reply(&mut replies);
    for command in [
        "HELO test\r\n",
        "MAIL FROM:<app@example.com>\r\n",
        &recipient,
        "DATA\r\n",
        "Message-ID: <1@example.com>\r\n\r\n..dot\r\n.\r\n",
    ] {
        (&stream)
            .write_all(command.as_bytes())
            .expect("the sink reads");
        last = reply(&mut replies);
        if !last.starts_with(['2', '3']) {
            break;
        }
    }
    last
}

fn reply(replies: &mut impl BufRead) -> String {
    let mut line = String::new();
    match replies.read_line(&mut line) {
        Ok(_) => line.trim_end().to_owned(),
        Err(_) => String::new(),
    }
}
