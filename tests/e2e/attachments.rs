//! Files, from a request to an SMTP server, and the memory that they take on their way.

use std::{fs, thread, time::Duration};

use mail_parser::{MessageParser, MimeHeaders};
use serde_json::{Value, json};

use crate::support::{
    desk::Desk, eventually::eventually, figures::figure, http::Client, sink::Sink,
};

const SECOND: Duration = Duration::from_secs(1);

fn submit(client: &Client, mail: &Value) -> String {
    let id = client.post("/emails", mail).expect(200).json()["id"].clone();
    id.as_str().expect("an id").to_owned()
}

/// What was sent, what `/raw` shows and what is downloaded are the same bytes; so are a scheduled mail's after a restart.
#[test]
fn files_arrive_as_they_were_given_and_are_read_back() {
    let Some(sink) = Sink::start() else {
        return;
    };
    let desk = Desk::sending_to(&sink);
    let mut server = desk.start();
    let client = server.client().with_key("re_ph_dev");
    let mail = json!({
        "from": "app@example.com", "to": "ada@example.com", "bcc": "eve@example.com", "subject": "hi",
        "html": "<img src=\"cid:logo\">", "scheduled_at": "in 2 seconds",
        "attachments": [
            { "filename": "Rechnung März.pdf", "content": "JVBERi0xLjQK/w==" },
            { "filename": "logo.png", "content": [137, 80, 78, 71], "content_id": "logo" },
            { "filename": "empty", "content": "" },
        ],
    });
    let id = submit(&client, &mail);
    server.kill();
    drop(server);
    let server = desk.start();
    let client = server.client().with_key("re_ph_dev");
    let taken = eventually("both copies", 20 * SECOND, || {
        let taken = sink.history();
        (taken.len() == 2).then_some(taken)
    });
    let sent = sink.raw(&taken[0]);
    let parsed = MessageParser::default().parse(&sent).expect("a mail");
    let files: Vec<_> = parsed
        .attachments()
        .map(|part| (part.attachment_name().unwrap_or_default(), part.contents()))
        .collect();
    assert!(
        files.contains(&("Rechnung März.pdf", b"%PDF-1.4\n\xff")),
        "{files:?}"
    );
    assert!(files.contains(&("empty", b"")), "{files:?}");
    let logo = parsed
        .parts
        .iter()
        .find(|part| part.content_id() == Some("logo"));
    assert_eq!(logo.expect("the picture").contents(), b"\x89PNG");
    assert!(!String::from_utf8_lossy(&sent).contains("eve@example.com"));
    let raw = client.get(&format!("/emails/{id}/raw")).expect(200);
    assert_eq!(raw.body, sent);
    let list = client
        .get(&format!("/emails/{id}/attachments"))
        .expect(200)
        .json();
    let url = list["data"][0]["download_url"].as_str().expect("a URL");
    let path = &url[url.find("/emails").expect("our path")..];
    assert_eq!(client.get(path).expect(200).body, b"%PDF-1.4\n\xff");
}

/// P7. Mails with 10 MB of attachments, four at a time: accepted and sent in a quarter of a gigabyte. A busy server answers 503,
/// and the mail comes again.
#[test]
fn large_mails_are_accepted_and_sent_in_little_memory() {
    const MOST: u64 = 256 * 1024;
    let Some(sink) = Sink::start() else {
        return;
    };
    let count = figure(20_usize, 200);
    let desk = Desk::sending_to(&sink);
    let server = desk.start();
    let body = json!({
        "from": "app@example.com", "to": "ada@example.com", "subject": "hi", "text": "x",
        "attachments": [{ "filename": "a.bin", "content": "QUJD".repeat(10 * 1024 * 1024 / 3) }],
    });
    thread::scope(|scope| {
        for _ in 0..4 {
            let client = server.client().with_key("re_ph_dev");
            scope.spawn({
                let body = &body;
                move || {
                    for _ in 0..count / 4 {
                        eventually("a place", 120 * SECOND, || {
                            let reply = client.post("/emails", body);
                            (reply.status == 200 || reply.expect(503).status == 200).then_some(())
                        });
                    }
                }
            });
        }
    });
    let within = u32::try_from(count).expect("few") * 6 * SECOND;
    eventually("all of them", within, || {
        (sink.history().len() == count).then_some(())
    });
    let status = fs::read_to_string(format!("/proc/{}/status", server.id())).expect("it runs");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let peak: u64 = peak
        .and_then(|peak| peak.trim().strip_suffix(" kB")?.parse().ok())
        .expect("a size");
    assert!(peak < MOST, "{} MiB", peak / 1024);
}
