//! Log-ins as a person lives with them: in, on, out, and back in after the password was forgotten.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{
    desk::Desk,
    eventually::eventually,
    http::{Client, Reply},
    outbox::Letter,
    process::Process,
};

const SECOND: Duration = Duration::from_secs(1);
const EMAIL: &str = "ada@example.com";
const OLD: &str = "canary one two three";
const NEW: &str = "canary four five six";

fn log_in(client: &Client, password: &str) -> Reply {
    let body = json!({"email": EMAIL, "password": password});
    client.post("/api/auth/login", &body)
}

fn token(tokens: &Value, name: &str) -> String {
    tokens[name].as_str().expect("a token").to_owned()
}

/// The path and the token of the first link with `part`.
fn link(letter: &Letter, part: &str) -> (String, String) {
    let link = letter.link(part);
    let path = link[link.find("/api/").expect("a link to us")..].to_owned();
    let token = path.split_once("token=").expect("a token").1.to_owned();
    (path, token)
}

/// The newest mail to Ada with this subject.
#[track_caller]
fn await_mail(desk: &Desk, subject: &str) -> Letter {
    eventually(&format!("a mail `{subject}`"), 5 * SECOND, || {
        let letters = desk.outbox().letters();
        letters.into_iter().rev().find(|letter| {
            letter.subject.contains(subject) && letter.to.iter().any(|to| to == EMAIL)
        })
    })
}

/// Registers Ada and confirms her address by the second link that she asks for.
fn registered(desk: &Desk, client: &Client) -> (String, Vec<String>) {
    let body = json!({"email": EMAIL, "display_name": "Ada", "password": OLD});
    let account = client.post("/api/users/register", &body).expect(201);
    let location = account.header("location").expect("a location").to_owned();
    let (_, first) = link(&await_mail(desk, "Confirm your address"), "confirm?token=");
    log_in(client, "canary wrong wrong").expect(401);
    let refused = log_in(client, OLD).expect(403);
    assert_eq!(refused.json()["name"], "email_not_confirmed");

    let again = client.post("/api/users/confirm/resend", &json!({"email": EMAIL}));
    assert_eq!(again.expect(202).text(), "");
    let second = eventually("another link", 5 * SECOND, || {
        let (_, token) = link(&await_mail(desk, "Confirm your address"), "confirm?token=");
        (token != first).then_some(token)
    });
    let confirmed = client.post("/api/users/confirm", &json!({"token": second}));
    confirmed.expect(200);
    (location, vec![first, second])
}

/// Asks for a link, chooses a new password on the page that it opens, and returns the link's token.
fn recovered(desk: &Desk, client: &Client) -> String {
    for email in [EMAIL, "nobody@example.com"] {
        let asked = client.post("/api/users/password/forgot", &json!({"email": email}));
        assert_eq!(asked.expect(202).text(), "", "{email}");
    }
    let (path, token) = link(&await_mail(desk, "Choose a new password"), "reset?token=");
    for _ in 0..2 {
        let page = client.get(&path).expect(200);
        assert!(page.text().contains("<form"), "opening it changes nothing");
    }
    let submit = |password: &str| {
        let form = format!("token={token}&password={}", password.replace(' ', "+"));
        let kind = "application/x-www-form-urlencoded";
        let sent = client.send(
            "POST",
            "/api/users/password/reset",
            Some((kind, form.as_bytes())),
        );
        sent.expect("the server answers")
    };
    let refused = submit("too short").expect(422);
    assert!(refused.text().contains("at least 15"), "{}", refused.text());
    assert!(submit(NEW).expect(200).text().contains("password is set"));
    submit(NEW).expect(422);
    await_mail(desk, "Your password for Posthaste was changed");
    token
}

/// S10, S11. Every token works as long as it should and no longer; and none of them, nor a password, stands anywhere on
/// disk or in the log, but in the mail itself.
#[test]
fn a_person_logs_in_stays_in_logs_out_and_gets_back_in() {
    let desk = Desk::new().set("log.filter", "trace");
    let mut server: Process = desk.start();
    let client = server.client();
    let (location, mut secrets) = registered(&desk, &client);
    secrets.extend([OLD.to_owned(), NEW.to_owned()]);
    let keep = |tokens: &Value, secrets: &mut Vec<String>| {
        secrets.push(token(tokens, "access_token"));
        secrets.push(token(tokens, "refresh_token"));
    };
    let with = |tokens: &Value| server.client().with_key(&token(tokens, "access_token"));

    let first = log_in(&client, OLD).expect(200).json();
    keep(&first, &mut secrets);
    let own = with(&first).get(&location).expect(200).json();
    assert_eq!(own["email"], EMAIL);
    client.get(&location).expect(401);

    let refresh = |tokens: &Value| {
        let body = json!({"refresh_token": token(tokens, "refresh_token")});
        client.post("/api/auth/refresh", &body)
    };
    let second = refresh(&first).expect(200).json();
    keep(&second, &mut secrets);
    with(&first).get(&location).expect(401);
    with(&second).get(&location).expect(200);
    // Within the moment that is granted to two requests at once: nothing is given, and the session goes on.
    let raced = refresh(&first).expect(401);
    assert_eq!(raced.json()["name"], "invalid_refresh_token");
    with(&second).get(&location).expect(200);

    let other = log_in(&client, OLD).expect(200).json();
    keep(&other, &mut secrets);
    let body = json!({"refresh_token": token(&other, "refresh_token")});
    client.post("/api/auth/logout", &body).expect(204);
    with(&other).get(&location).expect(401);
    refresh(&other).expect(401);

    secrets.push(recovered(&desk, &client));
    with(&second).get(&location).expect(401);
    refresh(&second).expect(401);
    log_in(&client, OLD).expect(401);
    let third = log_in(&client, NEW).expect(200).json();
    keep(&third, &mut secrets);
    with(&third).get(&location).expect(200);

    server.kill();
    let log = server.stderr();
    assert!(log.contains("answered a request"), "the log was read");
    let mut files = vec![("the log".to_owned(), log.into_bytes())];
    for entry in std::fs::read_dir(desk.path(".posthaste")).expect("the data folder") {
        let path = entry.expect("an entry").path();
        if path.is_file() {
            let bytes = std::fs::read(&path).expect("a file of ours");
            files.push((path.display().to_string(), bytes));
        }
    }
    assert!(
        files
            .iter()
            .any(|(name, bytes)| name.ends_with("posthaste.db-wal") && bytes.len() > 4096)
    );
    for secret in &secrets {
        for (name, bytes) in &files {
            let found = bytes
                .windows(secret.len())
                .any(|part| part == secret.as_bytes());
            assert!(!found, "{name} holds a secret");
        }
    }
}

/// S16. What one address may be mailed within an hour, whatever is asked for and by whom: known and unknown alike.
#[test]
fn one_address_is_mailed_three_times_an_hour_at_most() {
    let desk = Desk::new();
    let server = desk.start();
    let client = server.client();
    let body = json!({"email": EMAIL, "password": OLD});
    client.post("/api/users/register", &body).expect(201);
    let ask = |route: &str, email: &str| client.post(route, &json!({"email": email}));
    ask("/api/users/password/forgot", EMAIL).expect(202);
    ask("/api/users/confirm/resend", EMAIL).expect(202);
    for _ in 0..3 {
        ask("/api/users/password/forgot", "nobody@example.com").expect(202);
    }
    for email in [EMAIL, "ADA@Example.com", "nobody@example.com"] {
        for route in ["/api/users/password/forgot", "/api/users/confirm/resend"] {
            let refused = ask(route, email).expect(429);
            assert_eq!(refused.json()["name"], "rate_limit_exceeded");
            let wait: u64 = refused.header("retry-after").unwrap().parse().unwrap();
            assert!((3500..=3600).contains(&wait), "{wait}");
        }
        let body = json!({"email": email, "password": OLD});
        client.post("/api/users/register", &body).expect(429);
    }
    let mails = eventually("three mails", 5 * SECOND, || {
        Some(desk.outbox().letters()).filter(|letters| letters.len() >= 3)
    });
    assert_eq!(mails.len(), 3);
}
