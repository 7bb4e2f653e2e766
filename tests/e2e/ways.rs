//! Several ways out, and every mail to one address.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{desk::Desk, eventually::eventually, http::Client, sink::Sink};

const SECOND: Duration = Duration::from_secs(1);

fn sending_to_both(first: &Sink, second: &Sink) -> Desk {
    Desk::sending_to(first)
        .set("transports.spare.kind", "smtp")
        .set("transports.spare.host", "127.0.0.1")
        .set("transports.spare.port", second.port().to_string())
        .set("transports.spare.tls", "none")
        .set("streams.transactional.transport", "relay, spare")
}

fn deliver(client: &Client, to: &[&str]) -> Value {
    let body = json!({"from": "app@example.com", "to": to, "subject": "hi", "text": "x"});
    let id = client.post("/emails", &body).expect(200).json()["id"].clone();
    let id = id.as_str().expect("an id");
    eventually(&format!("message {id} is delivered"), 20 * SECOND, || {
        let shown = client.get(&format!("/emails/{id}")).expect(200).json();
        (shown["status"] == "delivered").then_some(())
    });
    let list = client.get(&format!("/emails/{id}/deliveries"));
    list.expect(200).json()["data"][0].clone()
}

#[test]
fn the_second_way_stands_in_while_the_first_is_down() {
    let (Some(mut first), Some(second)) = (Sink::start(), Sink::start()) else {
        return;
    };
    let desk = sending_to_both(&first, &second)
        .set("smtp.breaker_failures", "2")
        .set("smtp.breaker_wait", "100 ms");
    let server = desk.start();
    let client = server.client().with_key("re_ph_dev");
    let by = |told: &Value| told["attempts"][0]["transport"].clone();
    assert_eq!(by(&deliver(&client, &["ada@example.com"])), "relay");
    first.stop();
    for _ in 0..4 {
        let told = deliver(&client, &["bob@example.com"]);
        assert_eq!(by(&told), "spare");
        assert_eq!(told["tries"], 1, "no attempt was lost: {told}");
    }
    first.resume();
    // The breaker has to find out.
    eventually("the first one is used again", 20 * SECOND, || {
        (by(&deliver(&client, &["eve@example.com"])) == "relay").then_some(())
    });
    let relayed = first.history().len() + second.history().len();
    let copies = first.history().into_iter().chain(second.history());
    let mut ids: Vec<_> = copies.map(|copy| copy.message_id).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), relayed, "each mail once");
}

#[test]
fn turns_are_taken_by_weight() {
    let (Some(first), Some(second)) = (Sink::start(), Sink::start()) else {
        return;
    };
    let desk = sending_to_both(&first, &second)
        .set("streams.transactional.policy", "round_robin")
        .set("streams.transactional.weights", "3, 1");
    let server = desk.start();
    let client = server.client().with_key("re_ph_dev");
    for _ in 0..8 {
        deliver(&client, &["ada@example.com"]);
    }
    assert_eq!((first.history().len(), second.history().len()), (6, 2));
}

/// The pace is kept by what is stored: a process that starts anew goes on with it, and no attempt is spent on waiting.
#[test]
fn a_transport_keeps_its_rate() {
    let Some(sink) = Sink::start() else {
        return;
    };
    let desk = Desk::sending_to(&sink).set("transports.relay.rate", "2/s");
    let server = desk.start();
    let client = server.client().with_key("re_ph_dev");
    let began = Instant::now();
    for _ in 0..4 {
        let told = deliver(&client, &["ada@example.com", "bob@example.org"]);
        assert_eq!(told["tries"], 1, "{told}");
    }
    let took = began.elapsed();
    assert!(took >= 3 * SECOND / 2, "four mails in {took:?}");
    let mut mails: Vec<_> = sink.history().into_iter().map(|copy| copy.file).collect();
    mails.dedup();
    assert_eq!(mails.len(), 4, "each is one transaction");
}

/// Each domain of a mail is a transaction then.
#[test]
fn a_transport_keeps_a_rate_to_each_domain() {
    let Some(sink) = Sink::start() else {
        return;
    };
    let desk = Desk::sending_to(&sink)
        .set("transports.relay.domain_rate", "2/s")
        .set("transports.relay.domain_concurrency", "1");
    let server = desk.start();
    let client = server.client().with_key("re_ph_dev");
    let began = Instant::now();
    for _ in 0..3 {
        let told = deliver(&client, &["ada@example.com", "bob@example.org"]);
        assert_eq!(told["tries"], 1, "{told}");
    }
    let took = began.elapsed();
    assert!(took >= SECOND, "three mails in {took:?}");
    let mut mails: Vec<_> = sink.history().into_iter().map(|copy| copy.file).collect();
    mails.dedup();
    assert_eq!(mails.len(), 6, "two of each");
}

/// On a stream that holds, where the gate notes who is about to get the mail.
#[test]
fn staging_sends_everything_to_one_address() {
    let Some(sink) = Sink::start() else { return };
    let desk = Desk::sending_to(&sink)
        .set("redirect_all", "staging@example.com")
        .set("streams.transactional.on_uncertain", "hold");
    let server = desk.start();
    eventually("the first lines say so", 10 * SECOND, || {
        let lines = server.stdout() + &server.stderr();
        lines.contains("REDIRECTED").then_some(())
    });
    let client = server.client().with_key("re_ph_dev");
    deliver(&client, &["ada@example.com", "bob@example.com"]);
    let copies = sink.history();
    assert_eq!(copies.len(), 1);
    assert_eq!(copies[0].recipient, "staging@example.com");
    let mail = String::from_utf8(sink.raw(&copies[0])).expect("text");
    let head = "X-Original-To: ada@example.com\r\nX-Original-To: bob@example.com\r\n";
    assert!(mail.starts_with(head), "{mail}");
}

#[test]
fn lists_of_ways_that_make_no_sense_are_refused() {
    let desk = Desk::new()
        .set("streams.transactional.transport", "capture, nowhere")
        .set("streams.transactional.weights", "3, 1")
        .set("redirect_all", "nobody");
    let checked = desk.run(&["config", "check"]);
    let told = String::from_utf8_lossy(&checked.stderr).into_owned()
        + &String::from_utf8_lossy(&checked.stdout);
    assert_eq!(checked.status.code(), Some(3), "{told}");
    for part in ["`nowhere`", "weights", "redirect_all"] {
        assert!(told.contains(part), "{part} in {told}");
    }
}
