//! Starts that cannot go well: each says what is wrong and what to do, with its exit code, and changes nothing.

use std::{fs, os::unix::fs::PermissionsExt};

use crate::support::desk::Desk;

/// Runs a command that must fail, and returns what it printed to standard error.
#[track_caller]
fn check(desk: &Desk, arguments: &[&str], code: i32, expected: &[&str]) -> String {
    let output = desk.run(arguments);
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{text}");
    for part in expected {
        assert!(text.contains(part), "{part:?} is missing in:\n{text}");
    }
    text
}

#[test]
fn every_problem_of_the_settings_is_told_at_once_with_its_place() {
    let desk = Desk::new()
        .set("http.port", "abc")
        .set("no.such", "1")
        .set("queue.pol", "1 s");
    let file = desk.path("posthaste.toml");
    fs::write(&file, "[queue]\npoll = 5\n\n[streams.transactional]\nretries = [\"1 s\"]\ntransport = \"nowhere\"\n").unwrap();
    let file = file.to_str().unwrap();
    let expected = [
        "error[E0305]: POSTHASTE__HTTP__PORT",
        "posthaste.toml:2:1",
        "expected a duration",
        "posthaste.toml:5:1",
        "`streams.transactional.retries`, did you mean `retry`?",
        "POSTHASTE__NO__SUCH",
        "POSTHASTE__QUEUE__POL",
        "did you mean `poll`?",
        "uses transport `nowhere`",
    ];
    check(&desk, &["config", "check", "--config", file], 3, &expected);
    check(&desk, &["serve", "--config", file], 3, &expected);
}

#[test]
fn files_that_cannot_be_read_are_named() {
    let desk = Desk::new();
    check(
        &desk,
        &["--config", "missing.toml"],
        3,
        &["error[E0307]: missing.toml"],
    );
    fs::write(desk.path("broken.toml"), "[http]\nport = = 1\n").unwrap();
    check(
        &desk,
        &["--config", "broken.toml"],
        3,
        &["error[E0307]: broken.toml:2:8"],
    );
}

#[test]
fn production_wants_a_place_a_sender_a_name_a_key_and_a_way_out() {
    let desk = Desk::new().variable("POSTHASTE_ENVIRONMENT", "production");
    let expected = [
        "E0302",
        "http.public_url",
        "accounts.sender",
        "there is no API key",
        "[keys.app]",
        "stream `transactional` has no transport",
    ];
    check(&desk, &[], 3, &expected);
    let desk = desk
        .set("transports.box.kind", "file")
        .set("streams.transactional.transport", "box");
    check(&desk, &[], 3, &["E0303", "delivers to nobody"]);
}

#[test]
fn development_does_not_listen_to_other_machines() {
    check(&Desk::new(), &["--http", "0.0.0.0:0"], 3, &["E0304"]);
}

/// S17. Not on standard output either.
#[test]
fn secrets_are_never_printed() {
    let desk = Desk::new()
        .set("keys.app.key", "canary-key")
        .set("keys.app.owner", "default")
        .set("keys.app.scopes", "send,read")
        .set("transports.relay.kind", "smtp")
        .set("transports.relay.host", "127.0.0.1")
        .set("transports.relay.username", "user")
        .set("transports.relay.password", "00123canary");
    let shown = desk.run(&["config", "show"]);
    assert!(
        shown.status.success(),
        "{}",
        String::from_utf8_lossy(&shown.stderr)
    );
    let text = String::from_utf8_lossy(&shown.stdout);
    assert!(!text.contains("canary"), "{text}");
    assert!(
        text.contains("transports.relay.password = ***\t# POSTHASTE__TRANSPORTS__RELAY__PASSWORD"),
        "{text}"
    );
    assert!(
        text.contains("http.port = 0\t# POSTHASTE__HTTP__PORT"),
        "{text}"
    );
}

#[test]
fn a_taken_port_is_told_and_no_other_is_taken_silently() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    check(
        &Desk::new(),
        &["--http", &address],
        4,
        &["error[E0110]", "is in use", "--http"],
    );
}

#[test]
fn one_process_serves_a_database_file() {
    let desk = Desk::new();
    let server = desk.start();
    check(
        &desk,
        &[],
        4,
        &["error[E0201]", "in use by another posthaste"],
    );
    server.client().get("/livez").expect(200);
}

#[test]
fn a_database_or_an_outbox_that_cannot_be_written_is_named() {
    let desk = Desk::new();
    // A file where a folder is wanted cannot be written by anybody, not even by root.
    fs::write(desk.path(".posthaste"), "").unwrap();
    check(&desk, &[], 4, &["error[E0202]", ".posthaste"]);
    let desk = Desk::new();
    fs::create_dir(desk.path(".posthaste")).unwrap();
    fs::write(desk.path(".posthaste/mail"), "").unwrap();
    check(&desk, &[], 4, &["error[E0501]", ".posthaste/mail"]);
    let desk = Desk::new();
    fs::create_dir(desk.path(".posthaste")).unwrap();
    fs::write(
        desk.path(".posthaste/posthaste.db"),
        "this is not a database, and it is long enough",
    )
    .unwrap();
    check(&desk, &[], 4, &["error[E0206]"]);
    fs::set_permissions(desk.path(".posthaste"), fs::Permissions::from_mode(0o700)).unwrap();
}

#[test]
fn a_broken_template_is_told_with_its_file_and_may_be_left_out() {
    let desk = Desk::new();
    let folder = desk.path("templates/emails/broken/samples");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("default.json"), "{}").unwrap();
    fs::write(desk.path("templates/emails/broken/subject.txt"), "hello").unwrap();
    fs::write(desk.path("templates/emails/broken/body.txt"), "{% if %}").unwrap();
    check(&desk, &[], 3, &["error[E0401]", "broken/", "body.txt"]);
    let desk = desk.set("templates.allow_broken", "true");
    desk.start().client().get("/readyz").expect(200);
}

#[test]
fn pending_migrations_can_be_refused_and_applied_as_a_step_of_their_own() {
    let desk = Desk::new();
    let refused = check(
        &desk,
        &["serve", "--no-migrate"],
        4,
        &["error[E0203]", "posthaste db migrate"],
    );
    let pending = refused.split_once("error[E0203]: ");
    let (_, pending) = pending.expect("the refusal was looked for");
    let (pending, _) = pending
        .split_once(" migrations are pending")
        .expect("it says how many");
    let migrated = desk.run(&["db", "migrate"]);
    assert!(migrated.status.success());
    assert_eq!(
        String::from_utf8_lossy(&migrated.stdout),
        format!("{pending} migrations applied\n")
    );
    let again = desk.run(&["db", "migrate"]);
    assert_eq!(
        String::from_utf8_lossy(&again.stdout),
        "the schema is up to date\n"
    );
}
