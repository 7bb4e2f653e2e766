//! Mail to a real SMTP server, by configuration alone.

use std::{collections::BTreeMap, time::Duration};

use serde_json::{Value, json};

use crate::support::{
    desk::Desk,
    eventually::eventually,
    http::Client,
    sink::{Answer, Sink, Stage},
};

const SECOND: Duration = Duration::from_secs(1);

/// A desk whose streams send to the sink, with short waits between attempts.
fn desk(sink: &Sink) -> Desk {
    Desk::sending_to(sink).set("streams.transactional.retry", "300 ms, 500 ms")
}

fn submit(client: &Client, to: &[&str]) -> String {
    let body = json!({"from": "app@example.com", "to": to, "subject": "hi", "text": ".\n..\nFrom a dot\n"});
    client.post("/emails", &body).expect(200).json()["id"]
        .as_str()
        .expect("an id")
        .to_owned()
}

fn deliveries(client: &Client, id: &str) -> Vec<Value> {
    let list = client
        .get(&format!("/emails/{id}/deliveries"))
        .expect(200)
        .json();
    list["data"].as_array().expect("a list").clone()
}

fn await_status(client: &Client, id: &str, wanted: &str) {
    eventually(&format!("message {id} is {wanted}"), 20 * SECOND, || {
        let shown = client.get(&format!("/emails/{id}")).expect(200).json();
        (shown["status"] == wanted).then_some(())
    });
}

/// P2. With the server down, mail is accepted and retried; when it returns, the mail arrives, once.
#[test]
fn mail_waits_for_a_server_that_is_down_and_arrives_once() {
    let Some(mut sink) = Sink::start() else {
        return;
    };
    let desk = desk(&sink);
    let server = desk.start();
    let client = server.client().with_key("re_ph_dev");
    let up = submit(&client, &["ada@example.com"]);
    await_status(&client, &up, "delivered");

    sink.stop();
    let body = json!({"email": "bob@example.com", "display_name": "Bob", "password": "correct horse battery"});
    server
        .client()
        .post("/api/users/register", &body)
        .expect(201);
    let down = submit(&client, &["carol@example.com"]);
    await_status(&client, &down, "deferred");
    let waiting = &deliveries(&client, &down)[0];
    assert_eq!(waiting["attempts"][0]["stage"], "connect", "{waiting}");
    assert!(waiting["next_attempt_at"].is_string());

    sink.resume();
    await_status(&client, &down, "delivered");
    eventually("the confirmation arrives", 20 * SECOND, || {
        (sink.history().len() >= 3).then_some(())
    });
    let mut copies: BTreeMap<String, u32> = BTreeMap::new();
    for taken in sink.history() {
        *copies.entry(taken.recipient).or_default() += 1;
    }
    let once =
        ["ada@example.com", "bob@example.com", "carol@example.com"].map(|to| (to.to_owned(), 1));
    assert_eq!(copies, BTreeMap::from(once));
    let told = &deliveries(&client, &down)[0];
    let last = told["attempts"].as_array().unwrap().last().unwrap().clone();
    assert_eq!(
        (last["code"].as_u64(), last["stage"].as_str()),
        (Some(250), Some("dot")),
        "{told}"
    );
}

/// R13. Each recipient has an outcome of its own, and only the deferred one is tried again.
#[test]
fn of_three_recipients_one_is_taken_one_refused_and_one_tried_again() {
    let Some(mut sink) = Sink::start() else {
        return;
    };
    sink.answer(
        Stage::Recipient,
        "gone@example.com",
        &[Answer::Say("550 5.1.1 no such user")],
    );
    sink.answer(
        Stage::Recipient,
        "later@example.com",
        &[
            Answer::Say("451 4.7.1 greylisted"),
            Answer::Say("250 2.1.5 ok"),
        ],
    );
    let desk = desk(&sink);
    let server = desk.start();
    let client = server.client().with_key("re_ph_dev");
    let id = submit(
        &client,
        &["ada@example.com", "gone@example.com", "later@example.com"],
    );
    await_status(&client, &id, "partial");
    let told = deliveries(&client, &id);
    let summary: Vec<_> = told
        .iter()
        .map(|delivery| {
            (
                delivery["status"].as_str().unwrap(),
                delivery["tries"].as_u64().unwrap(),
            )
        })
        .collect();
    assert_eq!(summary, [("delivered", 1), ("failed", 1), ("delivered", 2)]);
    assert_eq!(told[1]["enhanced_code"], "5.1.1");
    assert_eq!(told[2]["attempts"][0]["enhanced_code"], "4.7.1");
    let taken: Vec<_> = sink
        .history()
        .into_iter()
        .map(|taken| taken.recipient)
        .collect();
    assert_eq!(taken, ["ada@example.com", "later@example.com"]);
    let copies = sink.history();
    assert_eq!(
        copies[0].sha256, copies[1].sha256,
        "the second attempt sends the same bytes"
    );
}

/// S2. Lines that begin with a dot arrive whole, and nothing in a body ends the mail early.
#[test]
fn dots_and_odd_line_ends_arrive_as_one_mail() {
    let Some(sink) = Sink::start() else { return };
    let desk = desk(&sink);
    let server = desk.start();
    let client = server.client().with_key("re_ph_dev");
    let text = "a\r\n.\r\nb\n.\nc\r.\rd\n..e\n";
    let body = json!({"from": "app@example.com", "to": "ada@example.com", "subject": "dots", "text": text});
    let id = client.post("/emails", &body).expect(200).json()["id"]
        .as_str()
        .unwrap()
        .to_owned();
    await_status(&client, &id, "delivered");
    let taken = sink.history();
    assert_eq!(taken.len(), 1);
    let raw = sink.raw(&taken[0]);
    let parsed = mail_parser::MessageParser::default().parse(&raw).unwrap();
    assert_eq!(
        parsed.body_text(0).unwrap().replace("\r\n", "\n"),
        "a\n.\nb\n.\nc\n.\nd\n..e\n"
    );
    let wire = sink.wire();
    assert!(
        !wire
            .windows(2)
            .any(|pair| pair[0] != b'\r' && pair[1] == b'\n'),
        "a bare line feed"
    );
}

#[test]
fn a_refused_or_broken_exchange_is_told_with_its_stage() {
    let Some(mut sink) = Sink::start() else {
        return;
    };
    sink.answer(
        Stage::Dot,
        "full@example.com",
        &[Answer::Say("552 5.3.4 too large")],
    );
    sink.answer(
        Stage::Recipient,
        "drop@example.com",
        &[Answer::HangUp, Answer::Say("250 ok")],
    );
    let desk = desk(&sink);
    let server = desk.start();
    let client = server.client().with_key("re_ph_dev");
    let refused = submit(&client, &["full@example.com"]);
    await_status(&client, &refused, "failed");
    let told = &deliveries(&client, &refused)[0];
    assert_eq!(
        (told["code"].as_u64(), told["stage"].as_str()),
        (Some(552), Some("dot")),
        "{told}"
    );
    let dropped = submit(&client, &["drop@example.com"]);
    await_status(&client, &dropped, "delivered");
    let told = &deliveries(&client, &dropped)[0];
    assert_eq!(told["attempts"][0]["stage"], "rcpt", "{told}");
}
