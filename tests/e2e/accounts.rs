//! The way of one mail: register, and the confirmation arrives.

use std::time::Duration;

use serde_json::json;

use crate::support::desk::Desk;

const SECOND: Duration = Duration::from_secs(1);
const PASSWORD: &str = "correct horse battery";

/// P1. A registration on the embedded defaults: the mail lies in the outbox, its link opens a page that changes nothing,
/// and the button confirms the account, once.
#[test]
fn a_registration_brings_a_mail_whose_link_confirms_the_account() {
    let desk = Desk::new();
    let server = desk.start();
    let client = server.client();
    let body = json!({"email": "ada@example.com", "display_name": "Ada <b>", "password": PASSWORD});
    let reply = client.post("/api/users/register", &body).expect(201);
    let location = reply.header("location").unwrap().to_owned();
    let id = reply.json()["id"].as_str().unwrap().to_owned();
    assert_eq!(location, format!("/api/users/{id}"));

    let letter = desk.outbox().await_letter("ada@example.com", 5 * SECOND);
    assert_eq!(letter.subject, "Confirm your address for Posthaste");
    assert!(
        letter.text.contains("Hello Ada <b>"),
        "a text part is not escaped: {}",
        letter.text
    );
    assert!(
        letter.html.contains("Hello Ada &lt;b&gt;"),
        "an HTML part is: {}",
        letter.html
    );
    let link = letter.link("/api/users/confirm?token=");
    let path = &link[link.find("/api/").unwrap()..];
    let token = path.split_once("token=").unwrap().1;

    let admin = server.client().with_key("re_ph_dev");
    let status = || {
        admin.get(&location).expect(200).json()["status"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    for _ in 0..2 {
        let page = client.get(path).expect(200);
        assert!(page.text().contains("<form"), "the page has a button");
        assert_eq!(page.header("referrer-policy"), Some("no-referrer"));
        assert_eq!(status(), "pending", "opening the page changes nothing");
    }
    let confirmed = client
        .post("/api/users/confirm", &json!({"token": token}))
        .expect(200);
    assert_eq!(confirmed.json(), json!({"id": id, "status": "active"}));
    assert_eq!(status(), "active");
    let again = client
        .post("/api/users/confirm", &json!({"token": token}))
        .expect(422);
    assert_eq!(again.json()["name"], "invalid_token");
}

/// S9. Bodies and headers are alike; only the owner's mail tells.
#[test]
fn a_known_address_gets_the_same_answer_and_only_its_owner_is_told() {
    let desk = Desk::new();
    let server = desk.start();
    let client = server.client();
    let register = |email: &str| {
        let body = json!({"email": email, "display_name": "canary", "password": PASSWORD});
        client.post("/api/users/register", &body).expect(201)
    };
    let first = register("ada@example.com");
    desk.outbox().await_letter("ada@example.com", 5 * SECOND);
    let second = register("Ada@Example.com");
    let names = |reply: &crate::support::http::Reply| {
        let mut names: Vec<_> = reply
            .headers
            .keys()
            .map(|name| name.as_str().to_owned())
            .collect();
        names.sort();
        names
    };
    assert_eq!(names(&first), names(&second));
    let members = |reply: &crate::support::http::Reply| {
        reply
            .json()
            .as_object()
            .unwrap()
            .keys()
            .cloned()
            .collect::<Vec<_>>()
    };
    assert_eq!(members(&first), members(&second));
    let admin = server.client().with_key("re_ph_dev");
    admin.get(first.header("location").unwrap()).expect(200);
    admin.get(second.header("location").unwrap()).expect(404);
    let notice = desk.outbox().await_letter("Ada@example.com", 5 * SECOND);
    assert_eq!(notice.subject, "You already have an account at Posthaste");
    assert!(
        !String::from_utf8_lossy(&notice.raw).contains("canary"),
        "nothing that was typed in reaches the owner"
    );
}

#[test]
fn every_bad_field_of_a_registration_is_told_at_once_and_nothing_is_sent() {
    let desk = Desk::new();
    let server = desk.start();
    let body = json!({"email": "ada", "display_name": "a\r\nBcc: x@y.z", "password": "short", "role": "admin"});
    let reply = server
        .client()
        .post("/api/users/register", &body)
        .expect(422);
    let problem = reply.json();
    let mut pointers: Vec<_> = problem["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|error| error["pointer"].as_str().unwrap())
        .collect();
    pointers.sort_unstable();
    assert_eq!(pointers, ["/display_name", "/email", "/password", "/role"]);
    assert_eq!(
        reply.header("content-type"),
        Some("application/problem+json")
    );
    assert!(!reply.text().contains("short"), "a password is not echoed");
}
