//! Streams under control: one owner's flood beside another's single mail, pauses on every node.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::{
    nodes::node,
    support::{
        desk::Desk, eventually::eventually, figures::figure, http::Client, postgres::new_database,
        sink::Sink,
    },
};

const SECOND: Duration = Duration::from_secs(1);

fn mail(to: &str) -> serde_json::Value {
    json!({"from": "app@example.com", "to": to, "subject": "hi", "text": "x"})
}

fn ready(client: &Client, stream: &str) -> u64 {
    let queue = client.get("/queue").expect(200).json();
    let streams = queue["data"].as_array().expect("a list");
    let stream = streams.iter().find(|shown| shown["name"] == stream);
    stream.expect("the stream is shown")["ready"]
        .as_u64()
        .expect("a number")
}

/// R24. What one owner has waiting does not hold up another's single mail by more than two seconds.
#[test]
fn a_flood_of_one_owner_does_not_hold_up_the_single_mail_of_another() {
    let flood: usize = figure(600, 100_000);
    let desk = Desk::new()
        .set("streams.transactional.rate", "100/s")
        .set("keys.loud.key", "re_loud")
        .set("keys.loud.owner", "loud")
        .set("keys.loud.scopes", "send,read,admin")
        .set("keys.quiet.key", "re_quiet")
        .set("keys.quiet.owner", "quiet")
        .set("keys.quiet.scopes", "send")
        .set("log.filter", "warn,posthaste_api::server=info");
    let mut process = desk.start();
    let (loud, quiet) = (
        process.client().with_key("re_loud"),
        process.client().with_key("re_quiet"),
    );
    loud.post("/queue/streams/transactional/pause", &json!(null))
        .expect(200);
    for number in 0..flood {
        loud.post("/emails", &mail(&format!("user{number}@example.com")))
            .expect(200);
    }
    loud.post("/queue/streams/transactional/resume", &json!(null))
        .expect(200);
    // Under way, and far from its end.
    desk.outbox().await_letter("user0@example.com", 10 * SECOND);
    quiet
        .post("/emails", &mail("single@example.com"))
        .expect(200);
    let began = Instant::now();
    desk.outbox().await_letter("single@example.com", 2 * SECOND);
    let left = ready(&loud, "transactional");
    assert!(
        left > flood as u64 / 3,
        "only {left} were left after {:?}",
        began.elapsed()
    );
    process.terminate();
    assert!(process.wait(30 * SECOND).success());
}

/// I18. The answer to a pause comes when no node lets anything of the stream out any more.
#[test]
fn a_paused_stream_sends_nothing_on_any_node_until_it_is_resumed() {
    let Some(database) = new_database() else {
        return;
    };
    let Some(sink) = Sink::start() else {
        return;
    };
    let desks = ["api", "worker", "worker"]
        .map(|roles| node(&database, &sink, roles).set("streams.otp.transport", "relay"));
    let [api, first, second] = &desks;
    let mut processes = [api.start(), first.launch(), second.launch()];
    let client = processes[0].client().with_key("re_ph_dev");
    client
        .post("/emails", &mail("first@example.com"))
        .expect(200);
    let arrived = |to: &str| sink.history().iter().any(|taken| taken.recipient == to);
    let has_arrived = |to: &str| {
        let what = format!("the mail to {to}");
        eventually(&what, 20 * SECOND, || arrived(to).then_some(()));
    };
    has_arrived("first@example.com");
    let paused = client.post("/queue/streams/transactional/pause", &json!(null));
    assert_eq!(paused.expect(200).json()["lagging"], json!([]));
    for number in 0..10 {
        client
            .post("/emails", &mail(&format!("held{number}@example.com")))
            .expect(200);
    }
    // Another stream goes on, past several looks of both workers.
    for number in 0..4 {
        let to = format!("code{number}@example.com");
        let mut code = mail(&to);
        code["stream"] = json!("otp");
        client.post("/emails", &code).expect(200);
        has_arrived(&to);
    }
    let held = sink
        .history()
        .into_iter()
        .filter(|taken| taken.recipient.starts_with("held"));
    assert_eq!(held.count(), 0);
    assert_eq!(ready(&client, "transactional"), 10);
    let resumed = client.post("/queue/streams/transactional/resume", &json!(null));
    assert_eq!(resumed.expect(200).json()["lagging"], json!([]));
    for number in 0..10 {
        has_arrived(&format!("held{number}@example.com"));
    }
    for process in &mut processes {
        process.terminate();
        assert!(process.wait(30 * SECOND).success());
    }
}
