//! Mail for later.

use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use crate::support::{
    desk::Desk,
    eventually::eventually,
    http::{Client, Reply},
    sink::Sink,
};

const SECOND: Duration = Duration::from_secs(1);

fn submit(client: &Client, when: &str) -> String {
    let mail = json!({"from": "app@example.com", "to": "ada@example.com", "subject": "hi", "text": "x", "scheduled_at": when});
    let id = client.post("/emails", &mail).expect(200).json()["id"].clone();
    id.as_str().expect("an id").to_owned()
}

fn shown(client: &Client, id: &str) -> Value {
    client.get(&format!("/emails/{id}")).expect(200).json()
}

fn time(value: &Value) -> DateTime<Utc> {
    let text = value.as_str().expect("a time");
    text.parse().expect("RFC 3339")
}

fn patch(client: &Client, path: &str, body: &Value) -> Reply {
    let body = body.to_string();
    let sent = client.send("PATCH", path, Some(("application/json", body.as_bytes())));
    sent.expect("the server answers")
}

fn is_delivered(client: &Client, id: &str) {
    eventually("the mail is delivered", 20 * SECOND, || {
        (shown(client, id)["status"] == "delivered").then_some(())
    });
}

#[test]
fn a_mail_goes_out_at_its_time_and_not_before() {
    let Some(sink) = Sink::start() else {
        return;
    };
    let desk = Desk::sending_to(&sink);
    let server = desk.start();
    let client = server.client().with_key("re_ph_dev");
    let began = Instant::now();
    let id = submit(&client, "in 2 seconds");
    let told = shown(&client, &id);
    assert_eq!(
        (&told["status"], &told["last_event"]),
        (&json!("scheduled"), &json!("scheduled")),
        "{told}"
    );
    let ahead = time(&told["scheduled_at"]) - time(&told["created_at"]);
    assert_eq!(ahead.num_milliseconds(), 2000);
    let lasts = time(&told["expires_at"]) - time(&told["scheduled_at"]);
    assert_eq!(lasts.num_hours(), 24, "its day begins when it is due");
    is_delivered(&client, &id);
    assert!(began.elapsed() >= 2 * SECOND);
    let taken = sink.history();
    assert_eq!(taken.len(), 1);
    let mail = String::from_utf8(sink.raw(&taken[0])).expect("ASCII");
    let date = mail.lines().find_map(|line| line.strip_prefix("Date: "));
    let date = DateTime::parse_from_rfc2822(date.expect("a date")).expect("RFC 5322");
    assert_eq!(
        date.timestamp(),
        time(&told["scheduled_at"]).timestamp(),
        "it is dated as it was meant"
    );
}

/// Over a restart too: what is to come stands in the database.
#[test]
fn a_scheduled_mail_is_moved_or_taken_back() {
    let Some(sink) = Sink::start() else {
        return;
    };
    let desk = Desk::sending_to(&sink);
    let mut server = desk.start();
    let client = server.client().with_key("re_ph_dev");
    let (moved, taken_back) = (submit(&client, "in 2 days"), submit(&client, "in 1 h"));
    let path = format!("/emails/{moved}");
    for (body, pointer) in [
        (json!({}), "/scheduled_at"),
        (json!({"scheduled_at": "soon"}), "/scheduled_at"),
        (
            json!({"scheduled_at": "2020-01-01T00:00:00Z"}),
            "/scheduled_at",
        ),
        (json!({"scheduled_at": "in 31 days"}), "/scheduled_at"),
    ] {
        let refused = patch(&client, &path, &body).expect(422).json();
        assert_eq!(refused["errors"][0]["pointer"], pointer, "{refused}");
    }
    let cancel = format!("/emails/{taken_back}/cancel");
    client.post(&cancel, &json!({})).expect(200);
    assert_eq!(shown(&client, &taken_back)["status"], "cancelled");
    let to_later = json!({"scheduled_at": "in 1 h"});
    let gone = patch(&client, &format!("/emails/{taken_back}"), &to_later);
    gone.expect(422);
    server.terminate();
    server.wait(30 * SECOND);

    let server = desk.start();
    let client = server.client().with_key("re_ph_dev");
    assert_eq!(shown(&client, &moved)["status"], "scheduled");
    // Clients repeat the id.
    let now = json!({"id": moved, "scheduled_at": "in 0 s"});
    let done = patch(&client, &path, &now).expect(200).json();
    assert_eq!(done, json!({"object": "email", "id": moved}));
    is_delivered(&client, &moved);
    patch(&client, &path, &now).expect(422);
    assert_eq!(sink.history().len(), 1);
}
