//! API keys, by the command line and over the API, on one node and two.

use std::{process::Output, time::Duration};

use serde_json::{Value, json};

use crate::support::{desk::Desk, eventually::eventually, http::Client, postgres::new_database};

const SECOND: Duration = Duration::from_secs(1);

fn printed(output: &Output) -> String {
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

fn mail() -> Value {
    json!({"from": "app@example.com", "to": "ada@example.com", "subject": "hi", "text": "x"})
}

fn status(client: &Client) -> u16 {
    client.post("/emails", &mail()).status
}

#[test]
fn a_key_of_the_command_line_works_until_it_is_revoked() {
    let desk = Desk::new();
    let key = printed(&desk.run(&[
        "keys",
        "new",
        "shop",
        "--owner",
        "shop",
        "--from",
        "example.com",
    ]));
    let server = desk.start();
    let client = server.client().with_key(&key);
    let sent = client.post("/emails", &mail()).expect(200).json();
    // Of another owner, and of scope `send` alone.
    let path = format!("/emails/{}", sent["id"].as_str().expect("an id"));
    let seeded = server.client().with_key("re_ph_dev");
    assert_eq!(seeded.get(&path).status, 404);
    assert_eq!(client.get(&path).json()["name"], "restricted_api_key");
    let other =
        json!({"from": "a@example.org", "to": "x@example.com", "subject": "s", "text": "x"});
    let refused = client.post("/emails", &other).expect(403).json();
    assert_eq!(refused["name"], "invalid_from_address");
    // The file is the server's while it runs.
    let in_use = desk.run(&["keys", "list"]);
    assert!(String::from_utf8_lossy(&in_use.stderr).contains("E0201"));
    drop(client);
    let mut server = server;
    server.terminate();
    server.wait(40 * SECOND);
    let list: Value =
        serde_json::from_str(&printed(&desk.run(&["keys", "list", "--json"]))).expect("JSON");
    let listed = &list["data"][0];
    assert_eq!(
        (&listed["name"], &listed["scopes"]),
        (&json!("shop"), &json!(["send"]))
    );
    assert!(listed["last_used_at"].is_string(), "{listed}");
    let id = listed["id"].as_str().expect("an id").to_owned();
    let rotated = printed(&desk.run(&["keys", "rotate", &id, "--overlap", "0s"]));
    let new = rotated.lines().next().expect("the key").to_owned();
    let server = desk.start();
    assert_eq!(
        status(&server.client().with_key(&key)),
        403,
        "the old one has ended"
    );
    assert_eq!(status(&server.client().with_key(&new)), 200);
    let unknown = desk.run(&["keys", "revoke", "nonsense"]);
    assert_eq!(unknown.status.code(), Some(2));
}

/// Removed on one node, refused on the other within five seconds.
#[test]
fn a_key_that_is_removed_is_refused_on_every_node_soon() {
    let Some(database) = new_database() else {
        return;
    };
    let nodes = [(); 2].map(|()| Desk::new().on(&database, "api,worker"));
    let servers = [nodes[0].start(), nodes[1].start()];
    let [first, second] = [0, 1].map(|node: usize| servers[node].client().with_key("re_ph_dev"));
    let body = json!({"name": "k", "permission": "full_access"});
    let made = first.post("/api-keys", &body).expect(201).json();
    let key = made["token"].as_str().expect("a token");
    let with_key = [0, 1].map(|node: usize| servers[node].client().with_key(key));
    assert_eq!((status(&with_key[0]), status(&with_key[1])), (200, 200));
    let path = format!("/api-keys/{}", made["id"].as_str().expect("an id"));
    second
        .send("DELETE", &path, None)
        .expect("an answer")
        .expect(200);
    assert_eq!(status(&with_key[1]), 403, "at once where it was removed");
    eventually("the other node refuses it", 6 * SECOND, || {
        (status(&with_key[0]) == 403).then_some(())
    });
}
