//! One idempotency key, from outside: crowds, kills, another body, another tenant, another node.

use std::{thread, time::Duration};

use serde_json::{Value, json};

use crate::{
    nodes::node,
    support::{
        desk::Desk,
        eventually::eventually,
        figures::figure,
        http::{Client, Reply},
        postgres::new_database,
        sink::Sink,
    },
};

const SECOND: Duration = Duration::from_secs(1);
const CROWD: usize = 200;

fn mail(subject: &str) -> Value {
    json!({"from": "app@example.com", "to": "ada@example.com", "subject": subject, "text": "x"})
}

/// The same client, of a key of configuration and with an idempotency key.
fn keyed(client: Client, idempotency_key: &str) -> Client {
    client
        .with_key("re_ph_dev")
        .with("Idempotency-Key", idempotency_key)
}

/// Posts the same mail by so many at once, each to one of these in turn; none where the server was killed.
fn crowd(clients: &[Client], posts: usize) -> Vec<Option<Reply>> {
    let clients = clients.iter().cycle().take(posts).cloned();
    let posts: Vec<_> = clients
        .map(|client| thread::spawn(move || client.try_post("/emails", &mail("hi")).ok()))
        .collect();
    let ended = posts.into_iter().map(thread::JoinHandle::join);
    ended
        .map(|reply| reply.expect("no client panicked"))
        .collect()
}

/// One of the crowd was told that it is the first, and all others the same bytes as a repeat; gives those bytes.
#[track_caller]
fn is_one_mail(replies: Vec<Option<Reply>>) -> Vec<u8> {
    let replies: Vec<_> = replies
        .into_iter()
        .map(|reply| reply.expect("the server answers").expect(200))
        .collect();
    let first = |reply: &&Reply| reply.header("idempotency-replayed").is_none();
    assert_eq!(replies.iter().filter(first).count(), 1);
    let body = replies[0].body.clone();
    assert!(replies.iter().all(|reply| reply.body == body));
    body
}

/// R21. Two hundred at once, another body, another tenant, and after a kill.
#[test]
fn two_hundred_posts_under_one_key_are_one_mail() {
    let desk = Desk::new()
        .set("keys.stranger.key", "re_stranger")
        .set("keys.stranger.owner", "stranger")
        .set("keys.stranger.scopes", "send,read");
    let mut server = desk.start();
    let client = keyed(server.client(), "order-42");
    let body = is_one_mail(crowd(std::slice::from_ref(&client), CROWD));
    let refused = client.post("/emails", &mail("another")).expect(409);
    assert_eq!(refused.json()["name"], "invalid_idempotent_request");
    let stranger = |server: &crate::support::process::Process| {
        let client = server.client().with_key("re_stranger");
        client.with("Idempotency-Key", "order-42")
    };
    let foreign = stranger(&server).post("/emails", &mail("hi")).expect(200);
    assert_eq!(foreign.header("idempotency-replayed"), None);
    assert_ne!(foreign.body, body);
    server.kill();

    let server = desk.start();
    for (client, body) in [
        (keyed(server.client(), "order-42"), body),
        (stranger(&server), foreign.body),
    ] {
        let again = client.post("/emails", &mail("hi")).expect(200);
        assert_eq!(again.header("idempotency-replayed"), Some("true"));
        assert_eq!(again.body, body);
    }
    eventually("both mails are sent", 10 * SECOND, || {
        (desk.outbox().letters().len() >= 2).then_some(())
    });
    assert_eq!(desk.outbox().letters().len(), 2, "one for each tenant");
}

/// R21, P2. A kill in the middle of a crowd leaves one mail or none, and whoever was told an id is told the same by
/// every repeat.
#[test]
fn a_kill_between_posts_under_one_key_leaves_one_mail() {
    let desk = Desk::new();
    for round in 0..figure(4, 50_usize) {
        let mut server = desk.start();
        let (key, to) = (format!("order-{round}"), format!("user{round}@example.com"));
        let mut mail = mail("hi");
        mail["to"] = json!(to);
        let posts: Vec<_> = (0..20)
            .map(|_| {
                let (client, mail) = (keyed(server.client(), &key), mail.clone());
                thread::spawn(move || client.try_post("/emails", &mail).ok())
            })
            .collect();
        // In the first rounds before any answer, later after some.
        let answered = posts.len() * round / 4;
        eventually("some are answered", 10 * SECOND, || {
            let done = posts.iter().filter(|post| post.is_finished()).count();
            (done >= answered.min(posts.len())).then_some(())
        });
        server.kill();
        let told = posts
            .into_iter()
            .filter_map(|post| post.join().expect("no client panicked"));
        let told: Vec<_> = told.map(|reply| reply.expect(200).body).collect();
        let mut server = desk.start();
        let again = keyed(server.client(), &key).post("/emails", &mail);
        let again = again.expect(200);
        assert!(told.iter().all(|body| *body == again.body), "round {round}");
        let twice = keyed(server.client(), &key).post("/emails", &mail);
        assert_eq!(twice.expect(200).body, again.body);
        let id = again.json()["id"].as_str().expect("an id").to_owned();
        desk.outbox().await_letter(&to, 10 * SECOND);
        server.terminate();
        server.wait(30 * SECOND);
        // A kill between the capture and its record may leave a copy, of the same mail.
        for letter in desk.outbox().letters() {
            let is_it = !letter.to.contains(&to) || letter.message_id.contains(&id);
            assert!(is_it, "{}", letter.message_id);
        }
    }
}

/// R21, I28. The crowd divides itself between two nodes.
#[test]
fn a_key_is_one_on_two_nodes() {
    let (Some(sink), Some(database)) = (Sink::start(), new_database()) else {
        return;
    };
    let roles = ["api,worker", "api"];
    let desks = roles.map(|roles| node(&database, &sink, roles));
    let servers = desks.each_ref().map(Desk::start);
    let clients = servers
        .each_ref()
        .map(|server| keyed(server.client(), "order-42"));
    is_one_mail(crowd(&clients, CROWD));
    eventually("the mail is sent", 30 * SECOND, || {
        (!sink.history().is_empty()).then_some(())
    });
    let refused = clients[1].post("/emails", &mail("another")).expect(409);
    assert_eq!(refused.json()["name"], "invalid_idempotent_request");
    for mut server in servers {
        server.terminate();
        assert_eq!(server.wait(30 * SECOND).code(), Some(0));
    }
    assert_eq!(sink.history().len(), 1);
}
