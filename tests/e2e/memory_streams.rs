//! Streams that are kept in memory: what costs the database nothing, and what a stop makes of it.

use std::{collections::BTreeSet, time::Duration};

use serde_json::{Value, json};

use crate::support::{
    desk::Desk,
    eventually::eventually,
    http::Client,
    process::{Process, field, message},
    sink::{Answer, Sink, Stage},
};

const SECOND: Duration = Duration::from_secs(1);

/// A stream `preview` in memory, one mail of which is sent at a time.
fn desk(sink: &Sink, on_shutdown: &str) -> Desk {
    Desk::sending_to(sink)
        .set("streams.preview.transport", "relay")
        .set("streams.preview.durability", "memory")
        .set("streams.preview.permits", "1")
        .set("streams.preview.on_shutdown", on_shutdown)
}

/// Submits a mail to the stream and gives its id.
fn submit(client: &Client, to: &str) -> String {
    let body = json!({"from": "app@example.com", "to": to, "subject": "hi", "text": "x", "stream": "preview"});
    let answer = client.post("/emails", &body).expect(202).json();
    assert_eq!(answer["durability"], "memory");
    answer["id"].as_str().expect("an id").to_owned()
}

/// Holds up the first mail at its dot, and submits ten more behind it.
fn hold_up(sink: &mut Sink, server: &Process) -> Vec<String> {
    let late = Answer::Late(2 * SECOND, "250 2.0.0 ok");
    sink.answer(Stage::Dot, "slow@example.com", &[late]);
    let client = server.client().with_key("re_ph_dev");
    submit(&client, "slow@example.com");
    eventually("the first mail is at the server", 10 * SECOND, || {
        let wire = String::from_utf8_lossy(&sink.wire()).into_owned();
        wire.contains("\r\n.\r\n").then_some(())
    });
    (0..10)
        .map(|number| submit(&client, &format!("user{number}@example.com")))
        .collect()
}

/// The last word of the stream: ended, spilled, dropped, uncertain.
fn counts(server: &Process) -> [Option<Value>; 4] {
    let log = server.log();
    let last = log
        .iter()
        .find(|entry| message(entry) == "stream in memory stopped")
        .unwrap_or_else(|| panic!("no last word:\n{}", server.stderr()));
    ["ended", "spilled", "dropped", "uncertain"].map(|name| field(last, name).cloned())
}

#[test]
fn mail_of_a_stream_in_memory_is_sent_and_not_stored() {
    let Some(sink) = Sink::start() else { return };
    let desk = desk(&sink, "spill");
    let server = desk.start();
    let client = server.client().with_key("re_ph_dev");
    let id = submit(&client, "ada@example.com");
    eventually("the mail is sent", 10 * SECOND, || {
        (sink.history().len() == 1).then_some(())
    });
    assert!(sink.history()[0].message_id.contains(&id));
    for path in [format!("/emails/{id}"), format!("/emails/{id}/deliveries")] {
        assert_eq!(client.get(&path).expect(404).json()["name"], "not_found");
    }
    // A key is a promise.
    let keyed = client.clone().with("Idempotency-Key", "order-42");
    let body = json!({"from": "app@example.com", "to": "bob@example.com", "subject": "hi", "text": "x", "stream": "preview"});
    let stored = keyed.post("/emails", &body).expect(200).json();
    client
        .get(&format!(
            "/emails/{}",
            stored["id"].as_str().expect("an id")
        ))
        .expect(200);
}

/// I38. On SIGTERM the mail in hand is finished, the rest is stored, and the next start sends it under the same ids.
#[test]
fn at_a_stop_what_waits_in_memory_is_stored_and_sent_by_the_next_start() {
    let Some(mut sink) = Sink::start() else {
        return;
    };
    let desk = desk(&sink, "spill");
    let mut server = desk.start();
    let ids = hold_up(&mut sink, &server);
    server.terminate();
    let ended = server.wait(20 * SECOND);
    assert_eq!(ended.code(), Some(0), "{}", server.stderr());
    let expected = [1, 10, 0, 0].map(|count| Some(json!(count)));
    assert_eq!(counts(&server), expected);
    assert_eq!(sink.history().len(), 1, "the mail in hand was finished");

    let server = desk.start();
    let client = server.client().with_key("re_ph_dev");
    let sent = eventually("the rest is sent", 20 * SECOND, || {
        let sent = sink.history();
        (sent.len() == 11).then_some(sent)
    });
    let sent: BTreeSet<_> = sent.into_iter().map(|taken| taken.message_id).collect();
    for id in &ids {
        assert!(sent.iter().any(|sent| sent.contains(id)), "{id}");
        client.get(&format!("/emails/{id}")).expect(200);
    }
}

/// I38.
#[test]
fn at_a_stop_what_waits_in_memory_is_dropped_and_counted_where_the_stream_says_so() {
    let Some(mut sink) = Sink::start() else {
        return;
    };
    let desk = desk(&sink, "drop");
    let mut server = desk.start();
    hold_up(&mut sink, &server);
    server.terminate();
    let ended = server.wait(20 * SECOND);
    assert_eq!(ended.code(), Some(0), "{}", server.stderr());
    let expected = [1, 0, 10, 0].map(|count| Some(json!(count)));
    assert_eq!(counts(&server), expected);
    assert_eq!(sink.history().len(), 1);
}
