//! Streams that hold mail whose outcome nobody knows: one copy at most, and a person decides.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{
    desk::Desk,
    eventually::eventually,
    http::Client,
    sink::{Answer, Sink, Stage},
};

const SECOND: Duration = Duration::from_secs(1);

fn holding(sink: &Sink) -> Desk {
    Desk::sending_to(sink).set("streams.transactional.on_uncertain", "hold")
}

fn submit(client: &Client) -> String {
    let body =
        json!({"from": "app@example.com", "to": "ada@example.com", "subject": "hi", "text": "x"});
    client.post("/emails", &body).expect(200).json()["id"]
        .as_str()
        .expect("an id")
        .to_owned()
}

fn await_status(client: &Client, id: &str, wanted: &str) {
    eventually(&format!("message {id} is {wanted}"), 20 * SECOND, || {
        let shown = client.get(&format!("/emails/{id}")).expect(200).json();
        (shown["status"] == wanted).then_some(())
    });
}

fn delivery(client: &Client, id: &str) -> Value {
    let list = client.get(&format!("/emails/{id}/deliveries"));
    list.expect(200).json()["data"][0].clone()
}

/// P2. The server takes the mail and breaks off instead of telling.
#[test]
fn a_reply_that_is_lost_is_shown_and_resolved_by_a_person() {
    let Some(mut sink) = Sink::start() else {
        return;
    };
    sink.answer(Stage::Taken, "ada@example.com", &[Answer::HangUp]);
    let desk = holding(&sink);
    let server = desk.start();
    let client = server.client().with_key("re_ph_dev");
    let id = submit(&client);
    await_status(&client, &id, "uncertain");
    let told = delivery(&client, &id);
    assert_eq!(
        (
            &told["status"],
            &told["stage"],
            &told["attempts"][0]["class"]
        ),
        (&json!("uncertain"), &json!("dot"), &json!("uncertain")),
        "{told}"
    );
    let resolve = format!("/emails/{id}/resolve");
    let wrong = client.post(&resolve, &json!({"as": "lost"})).expect(422);
    assert_eq!(wrong.json()["errors"][0]["pointer"], "/as");
    let done = client
        .post(&resolve, &json!({"as": "delivered"}))
        .expect(200);
    assert_eq!(done.json(), json!({"object": "email", "id": id}));
    await_status(&client, &id, "delivered");
    client.post(&resolve, &json!({"as": "failed"})).expect(422);
    assert_eq!(sink.history().len(), 1);
}

/// P2, I12. The process dies while it waits for the reply to the dot: the next start sends no second copy, and says so.
#[test]
fn a_process_that_dies_at_the_dot_leaves_a_mail_that_is_held_not_sent_again() {
    let Some(mut sink) = Sink::start() else {
        return;
    };
    let late = Answer::Late(60 * SECOND, "250 2.0.0 ok");
    sink.answer(Stage::Taken, "ada@example.com", &[late]);
    let desk = holding(&sink);
    let mut server = desk.start();
    let client = server.client().with_key("re_ph_dev");
    let id = submit(&client);
    eventually("the server has the mail", 20 * SECOND, || {
        (sink.history().len() == 1).then_some(())
    });
    server.kill();
    sink.answer(
        Stage::Taken,
        "ada@example.com",
        &[Answer::Say("250 2.0.0 ok")],
    );
    let server = desk.start();
    let client = server.client().with_key("re_ph_dev");
    await_status(&client, &id, "uncertain");
    let told = delivery(&client, &id);
    assert_eq!(told["tries"], 1, "{told}");
    assert!(told["attempts"][0]["body_sha256"].is_string(), "{told}");
    assert_eq!(sink.history().len(), 1, "no second copy by itself");

    let retry = format!("/emails/{id}/retry");
    client.post(&retry, &Value::Null).expect(200);
    await_status(&client, &id, "delivered");
    let copies = sink.history();
    assert_eq!(copies.len(), 2);
    assert_eq!(copies[0].sha256, copies[1].sha256, "the same bytes");
    assert_eq!(copies[0].message_id, copies[1].message_id);
    client.post(&retry, &Value::Null).expect(422);
}

/// The other recipients of a mail that died in hand are sent theirs.
#[test]
fn those_who_were_refused_before_the_end_are_not_held() {
    let Some(mut sink) = Sink::start() else {
        return;
    };
    let late = Answer::Late(60 * SECOND, "250 2.0.0 ok");
    sink.answer(Stage::Taken, "ada@example.com", &[late]);
    sink.answer(
        Stage::Recipient,
        "bob@example.com",
        &[Answer::Say("451 4.7.1 later")],
    );
    let desk = holding(&sink);
    let mut server = desk.start();
    let client = server.client().with_key("re_ph_dev");
    let body = json!({"from": "app@example.com", "to": ["ada@example.com", "bob@example.com"],
        "subject": "hi", "text": "x"});
    let id = client.post("/emails", &body).expect(200).json()["id"]
        .as_str()
        .expect("an id")
        .to_owned();
    eventually("the server has the mail", 20 * SECOND, || {
        (sink.history().len() == 1).then_some(())
    });
    server.kill();
    sink.answer(
        Stage::Recipient,
        "bob@example.com",
        &[Answer::Say("250 2.1.5 ok")],
    );
    let server = desk.start();
    let client = server.client().with_key("re_ph_dev");
    await_status(&client, &id, "uncertain");
    let list = client.get(&format!("/emails/{id}/deliveries"));
    let list = list.expect(200).json();
    let states: Vec<_> = (0..2).map(|n| list["data"][n]["status"].clone()).collect();
    assert_eq!(states, [json!("uncertain"), json!("delivered")]);
}
