//! A mail with which processes die, and its neighbours.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{
    desk::Desk,
    eventually::eventually,
    http::Client,
    process::Process,
    sink::{Answer, Sink, Stage},
};

const SECOND: Duration = Duration::from_secs(1);

fn submit(client: &Client, name: &str) -> String {
    let to = format!("{name}@example.com");
    let mail = json!({"from": "app@example.com", "to": to, "subject": "hi", "text": "x"});
    let accepted = client.post("/emails", &mail).expect(200).json();
    accepted["id"].as_str().expect("an id").to_owned()
}

fn status(client: &Client, id: &str) -> Value {
    client.get(&format!("/emails/{id}")).expect(200).json()["status"].clone()
}

fn becomes(client: &Client, id: &str, wanted: &str, within: Duration) {
    eventually(&format!("{id} is {wanted}"), within, || {
        (status(client, id) == wanted).then_some(())
    });
}

/// I10, P5, R16. Twice two mails are in hand when the process is killed. Then each waits until a process is up for ten
/// seconds and runs alone, while other mail goes on at once; the one that is in hand at a third kill is quarantined, the
/// other is delivered, once. A person finds the quarantined one and puts it back.
#[test]
fn a_mail_that_is_in_hand_at_three_kills_is_quarantined_and_its_neighbour_is_not() {
    let Some(mut sink) = Sink::start() else {
        return;
    };
    let never = Answer::Late(300 * SECOND, "250 2.1.5 ok");
    let taken = Answer::Say("250 2.1.5 ok");
    sink.answer(Stage::Recipient, "poison@example.com", &[never]);
    sink.answer(Stage::Recipient, "neighbour@example.com", &[never]);
    let desk = Desk::sending_to(&sink);
    let start = || -> (Process, Client) {
        let server = desk.start();
        let client = server.client().with_key("re_ph_dev");
        (server, client)
    };
    let (mut server, mut client) = start();
    let (poison, neighbour) = (submit(&client, "poison"), submit(&client, "neighbour"));
    for _ in 0..2 {
        for id in [&poison, &neighbour] {
            becomes(&client, id, "sending", 5 * SECOND);
        }
        server.kill();
        (server, client) = start();
    }
    // Not by a count of attempts: a kill may come before the recipient was named.
    sink.answer(Stage::Recipient, "neighbour@example.com", &[taken]);
    let up = Instant::now();
    let good = submit(&client, "good");
    becomes(&client, &good, "delivered", 5 * SECOND);
    becomes(&client, &poison, "sending", 20 * SECOND);
    assert!(up.elapsed() > 9 * SECOND, "after {:?}", up.elapsed());
    assert_eq!(status(&client, &neighbour), "queued", "one at a time");
    server.kill();
    (server, client) = start();
    assert_eq!(status(&client, &poison), "quarantined");
    becomes(&client, &neighbour, "delivered", 30 * SECOND);
    let dead = client.get("/queue/dead").expect(200).json();
    let dead = dead["data"].as_array().expect("a list").clone();
    assert_eq!(dead.len(), 1, "{dead:?}");
    let shown = (&dead[0]["id"], &dead[0]["cause"], &dead[0]["crashes"]);
    assert_eq!(shown, (&json!(poison), &json!("quarantined"), &json!(3)));
    sink.answer(Stage::Recipient, "poison@example.com", &[taken]);
    let retry = format!("/queue/dead/{poison}/retry");
    client.post(&retry, &json!(null)).expect(200);
    becomes(&client, &poison, "delivered", 10 * SECOND);
    let mut arrived: Vec<_> = sink
        .history()
        .into_iter()
        .map(|taken| taken.recipient)
        .collect();
    arrived.sort();
    assert_eq!(
        arrived,
        [
            "good@example.com",
            "neighbour@example.com",
            "poison@example.com"
        ]
    );
    server.terminate();
    assert!(server.wait(30 * SECOND).success());
}
