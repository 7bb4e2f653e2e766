//! Signatures as other people's programs see them.

mod keys;
mod mails;

use std::{fs, process::Command, time::Duration};

use mails::{Dice, Drawn};
use serde_json::{Map, Value, json};

use crate::support::{
    desk::Desk,
    eventually::eventually,
    figures::figure,
    http::Client,
    outbox::Letter,
    sink::{Answer, Sink, Stage},
    tools,
};

const SECOND: Duration = Duration::from_secs(1);
const VERIFY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/support/verify.py");

const READ: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/support/read.mjs");

/// The desk with a new key of each kind for `domain`, made by its own command line.
fn with_keys(mut desk: Desk, domain: &str) -> Desk {
    for algorithm in ["ed25519", "rsa"] {
        let made = json_of(
            &desk,
            &["dkim", "new", domain, "--algorithm", algorithm, "--json"],
        );
        for (key, value) in [
            ("domain", "domain"),
            ("selector", "selector"),
            ("key_file", "file"),
        ] {
            desk = desk.set(&format!("dkim.{algorithm}.{key}"), text(&made[value]));
        }
    }
    desk
}

fn json_of(desk: &Desk, arguments: &[&str]) -> Value {
    let output = desk.run(arguments);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).expect("one JSON document")
}

fn text(value: &Value) -> &str {
    value.as_str().expect("a text")
}

/// The records that are to be published, by name.
fn records(desk: &Desk, domain: &str) -> Map<String, Value> {
    let shown = json_of(desk, &["dkim", "show", domain, "--json"]);
    let keys = shown["data"].as_array().expect("a list").iter();
    keys.map(|key| {
        (
            text(&key["record"]["name"]).to_owned(),
            key["record"]["value"].clone(),
        )
    })
    .collect()
}

fn submit(client: &Client, mail: &Value) -> String {
    let reply = client.post("/emails", mail).expect(200).json();
    text(&reply["id"]).to_owned()
}

/// Sends `count` mails of all kinds into the outbox; what is to be read out of each, with its file.
fn send_all_kinds(desk: &Desk, seed: u64, count: usize) -> Vec<Value> {
    let mut dice = Dice(seed);
    let mails = (0..count).map(|number| dice.mail(&format!("r{number}@example.net")));
    send(desk, mails)
}

fn send(desk: &Desk, mails: impl Iterator<Item = Drawn>) -> Vec<Value> {
    let server = desk.start();
    let client = server.client().with_key("re_ph_dev");
    let mut sent = Vec::new();
    for mut drawn in mails {
        let id = submit(&client, &drawn.submit);
        let ours = !text(&drawn.expected["from"]).ends_with("@example.org");
        drawn.expected["file"] = json!(desk.path(format!(".posthaste/mail/{id}.eml")));
        drawn.expected["signatures"] = json!(if ours { 2 } else { 0 });
        sent.push(drawn.expected);
    }
    let is_there = |mail: &Value| fs::exists(text(&mail["file"])).expect("a readable folder");
    eventually("every mail is captured", 60 * SECOND, || {
        sent.iter().all(is_there).then_some(())
    });
    sent
}

/// S1, S21. Mails of every kind, by the whole way from a submit to the file: dkimpy verifies each signature and finds no
/// forgery valid, Python's own parser finds no defect, and it, mail-parser and the submitter agree on what the mail says.
#[test]
fn generated_mails_satisfy_other_peoples_verifiers_and_parsers() {
    let Some(python) = tools::verifier() else {
        return;
    };
    let desk = with_keys(Desk::new(), "example.com");
    let sent = send_all_kinds(&desk, 21, figure(500, 5000));
    let records = Value::from(records(&desk, "example.com"));
    fs::write(desk.path("records.json"), records.to_string()).unwrap();
    fs::write(desk.path("expected.json"), json!(sent).to_string()).unwrap();
    let output = Command::new(python)
        .arg(VERIFY)
        .arg(desk.folder())
        .output()
        .unwrap();
    let told: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)));
    let problems = told["problems"].as_array().unwrap();
    let first = &problems[..problems.len().min(5)];
    assert!(
        problems.is_empty(),
        "{} problems, the first: {first:#?}",
        problems.len()
    );
    let read = told["read"].as_array().unwrap();
    assert_eq!(read.len(), sent.len());
    for (theirs, given) in read.iter().zip(&sent) {
        let file = text(&theirs["file"]);
        let letter = Letter::read(file.as_ref());
        assert_eq!(given["name"], letter.sender_name, "{file}");
        assert_eq!(theirs["subject"], letter.subject, "{file}");
        for (part, ours) in [("text", &letter.text), ("html", &letter.html)] {
            if let Some(theirs) = theirs[part].as_str() {
                assert_eq!(theirs, one_form(ours), "{part} of {file}");
            }
        }
    }
}

/// S21. A parser of a third house, npm's mailparser, reads the same out of them.
#[test]
fn generated_mails_say_the_same_to_another_parser() {
    let Some(node) = tools::node("mailparser") else {
        return;
    };
    let desk = with_keys(Desk::new(), "example.com");
    let sent = send_all_kinds(&desk, 23, figure(100, 2000));
    let files: Vec<_> = sent.iter().map(|mail| &mail["file"]).collect();
    fs::write(desk.path("files.json"), json!(files).to_string()).unwrap();
    let output = Command::new(node)
        .arg(READ)
        .arg(desk.path("files.json"))
        .output()
        .unwrap();
    let read: Vec<Value> = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)));
    assert_eq!(read.len(), sent.len());
    for (theirs, given) in read.iter().zip(&sent) {
        let file = text(&theirs["file"]);
        let letter = Letter::read(file.as_ref());
        assert_eq!(theirs["subject"], letter.subject, "{file}");
        assert_eq!(theirs["subject"], given["subject"], "{file}");
        assert_eq!(theirs["sender"]["address"], given["from"], "{file}");
        assert_eq!(theirs["sender"]["name"], letter.sender_name, "{file}");
        for (part, ours) in [("text", &letter.text), ("html", &letter.html)] {
            if let Some(theirs) = theirs[part].as_str() {
                assert_eq!(one_form(theirs), one_form(ours), "{part} of {file}");
            }
        }
    }
}

/// S21. Nothing in the form of a mail looks like unwanted mail: `SpamAssassin` by its own rules, which know no network.
#[test]
fn ordinary_mails_are_not_taken_for_unwanted_ones() {
    let Some(spamassassin) = tools::spamassassin() else {
        return;
    };
    let desk = with_keys(Desk::new(), "example.com");
    let mut dice = Dice(24);
    let mails = (0..figure(60, 500)).map(|n| dice.ordinary(&format!("r{n}@example.net")));
    let sent = send(&desk, mails.collect::<Vec<_>>().into_iter());
    let mut all = Vec::new();
    for mail in &sent {
        let mail = fs::read_to_string(text(&mail["file"])).unwrap();
        let mail = mail.replace("\r\n", "\n").replace("\nFrom ", "\n>From ");
        all.push(format!("From x Thu Jan  1 00:00:00 2026\n{mail}\n"));
    }
    fs::write(desk.path("mbox"), all.concat()).unwrap();
    let output = Command::new(spamassassin)
        .args(["--local", "--mbox"])
        .arg(desk.path("mbox"))
        .env("HOME", desk.folder())
        .output()
        .unwrap();
    let scored = String::from_utf8_lossy(&output.stdout);
    let verdicts = scored.split("\nX-Spam-Status: ").skip(1);
    let verdicts = verdicts.map(|verdict| verdict.split("\n\tautolearn").next().unwrap());
    let verdicts: Vec<_> = verdicts.collect();
    assert_eq!(verdicts.len(), sent.len(), "each is scored");
    for verdict in verdicts {
        let score = verdict.split_once("score=").unwrap().1;
        let score: f64 = score.split(' ').next().unwrap().parse().unwrap();
        assert!(
            score <= 1.0,
            "{}",
            verdict.lines().take(4).collect::<String>()
        );
    }
}

/// A text as `verify.py` compares it.
fn one_form(text: &str) -> String {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    text.strip_suffix('\n').unwrap_or(&text).to_owned()
}

/// S21. A second verifier, of another house.
#[test]
fn opendkim_takes_every_signature_and_no_forgery() {
    let Some(opendkim) = tools::opendkim() else {
        return;
    };
    let desk = with_keys(Desk::new(), "example.com");
    let mut sent = send_all_kinds(&desk, 22, figure(60, 500));
    sent.retain(|mail| mail["signatures"] == 2);
    let records = records(&desk, "example.com");
    let records = records
        .iter()
        .map(|(name, value)| format!("{name} {}\n", text(value)));
    let dns = desk.path("dns");
    fs::write(&dns, records.collect::<String>()).unwrap();
    let settings = format!("Mode v\nSyslog no\nTestDNSData file:{}\n", dns.display());
    fs::write(desk.path("opendkim.conf"), settings).unwrap();
    // How many signatures of each kind it finds valid in these files.
    let valid = |files: &[&str]| {
        let mut command = Command::new(opendkim);
        command.arg("-x").arg(desk.path("opendkim.conf"));
        let output = command
            .args(["-vv", "-t", &files.join(",")])
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let told = String::from_utf8_lossy(&output.stdout).into_owned();
        let passes = |algorithm: &str| {
            let lines = told.lines().filter(|line| line.contains("dkim=pass"));
            lines
                .filter(|line| line.contains(&format!("header.a={algorithm} ")))
                .count()
        };
        [passes("rsa-sha256"), passes("ed25519-sha256")]
    };
    let files: Vec<_> = sent.iter().map(|mail| text(&mail["file"])).collect();
    assert_eq!(valid(&files), [files.len(); 2]);
    for file in &files {
        let forged =
            fs::read_to_string(file)
                .unwrap()
                .replacen("\r\nSubject: ", "\r\nSubject: x", 1);
        fs::write(file, forged).unwrap();
    }
    assert_eq!(valid(&files), [0; 2]);
}

/// P2. The process that tries again is another one, and signs the same bytes: its receiver can tell a second copy.
#[test]
fn a_process_that_goes_on_with_a_mail_signs_the_same_bytes() {
    let Some(mut sink) = Sink::start() else {
        return;
    };
    let later = "later@example.net";
    sink.answer(
        Stage::Recipient,
        later,
        &[Answer::Say("451 4.7.1 greylisted")],
    );
    let desk = Desk::sending_to(&sink).set("streams.transactional.retry", "300 ms");
    let desk = with_keys(desk, "example.com");
    let mut first = desk.start();
    let client = first.client().with_key("re_ph_dev");
    let mail = json!({ "from": "app@example.com", "to": ["ada@example.net", later], "subject": "hi", "text": "x" });
    let id = submit(&client, &mail);
    eventually("the other recipient waits", 20 * SECOND, || {
        let told = client
            .get(&format!("/emails/{id}/deliveries"))
            .expect(200)
            .json();
        (told["data"][1]["status"] == "deferred").then_some(())
    });
    first.kill();
    sink.answer(Stage::Recipient, later, &[Answer::Say("250 2.1.5 ok")]);
    let _second = desk.start();
    let copies = eventually("the other copy arrives", 20 * SECOND, || {
        Some(sink.history()).filter(|copies| copies.len() == 2)
    });
    assert_eq!(copies[0].sha256, copies[1].sha256);
    assert!(
        sink.raw(&copies[0])
            .starts_with(b"DKIM-Signature: v=1; a=rsa-sha256;")
    );
}
