//! `posthaste dkim`: how a key is made and shown, and what is said where that cannot be.

use std::{fs, os::unix::fs::PermissionsExt};

use super::{json_of, text};
use crate::support::desk::Desk;

/// Runs a command that must end with this code; what it printed to standard output, and to standard error.
#[track_caller]
fn check(desk: &Desk, arguments: &[&str], code: i32) -> (String, String) {
    let output = desk.run(arguments);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{out}{err}");
    (out, err)
}

#[test]
fn what_is_printed_with_a_new_key_is_all_that_is_needed() {
    let desk = Desk::new();
    for (algorithm, texts) in [("ed25519", 1), ("rsa", 2)] {
        let (printed, _) = check(
            &desk,
            &["dkim", "new", "Shop.example", "--algorithm", algorithm],
            0,
        );
        let file = desk.path(format!("posthaste-{algorithm}.shop.example.pem"));
        assert_eq!(
            fs::metadata(&file).unwrap().permissions().mode() & 0o777,
            0o600
        );
        let key = fs::read_to_string(&file).unwrap();
        assert!(
            key.lines()
                .all(|line| line.starts_with('-') || !printed.contains(line)),
            "the key stays in its file"
        );

        let (before, settings) = printed.split_once("  [dkim.").unwrap();
        fs::write(desk.path("posthaste.toml"), format!("[dkim.{settings}")).unwrap();
        let config = ["--config", "posthaste.toml"];
        check(&desk, &[&["config", "check"], &config[..]].concat(), 0);
        let (record, _) = check(
            &desk,
            &[&["dkim", "show", "news.shop.example"], &config[..]].concat(),
            0,
        );
        assert!(
            before.contains(record.trim_end()),
            "{before} has no {record}"
        );
        let begin = format!(
            "posthaste-{algorithm}._domainkey.shop.example. IN TXT \"v=DKIM1; k={algorithm}; p="
        );
        assert!(record.starts_with(&begin), "{record}");
        let quoted: Vec<_> = record.split('"').skip(1).step_by(2).collect();
        assert_eq!(quoted.len(), texts);
        assert!(quoted.iter().all(|text| text.len() <= 255));

        let shown = json_of(
            &desk,
            &[&["dkim", "show", "shop.example", "--json"], &config[..]].concat(),
        );
        assert_eq!(text(&shown["data"][0]["record"]["value"]), quoted.concat());
    }
}

#[test]
fn no_key_is_overwritten() {
    let desk = Desk::new();
    fs::write(desk.path("mine.pem"), "mine").unwrap();
    for algorithm in ["ed25519", "rsa"] {
        let arguments = [
            "dkim",
            "new",
            "example.com",
            "--out",
            "mine.pem",
            "--algorithm",
            algorithm,
        ];
        let (out, err) = check(&desk, &arguments, 1);
        assert!(
            err.contains("error[E0503]") && err.contains("mine.pem is there already"),
            "{err}"
        );
        assert_eq!(
            (
                out.as_str(),
                fs::read_to_string(desk.path("mine.pem")).unwrap().as_str()
            ),
            ("", "mine")
        );
    }
}

#[test]
fn what_cannot_be_done_is_told_with_its_exit_code() {
    let desk = Desk::new();
    check(&desk, &["dkim", "new", "not a domain"], 2);
    check(
        &desk,
        &["dkim", "new", "example.com", "--algorithm", "dsa"],
        2,
    );
    let (_, err) = check(
        &desk,
        &["dkim", "new", "example.com", "--selector", "a b"],
        2,
    );
    assert!(err.contains("`a b` is not a selector"), "{err}");
    check(
        &desk,
        &["dkim", "new", "example.com", "--out", "no/such/folder.pem"],
        1,
    );
    let (out, err) = check(&desk, &["dkim", "show", "example.com", "--json"], 1);
    assert_eq!(out, "");
    assert!(
        err.contains("error[E0504]") && err.contains("posthaste dkim new example.com"),
        "{err}"
    );
    assert_eq!(
        fs::read_dir(desk.folder()).unwrap().count(),
        0,
        "nothing was made"
    );

    let bare = Desk::new().variable("PATH", desk.folder());
    let (_, err) = check(
        &bare,
        &["dkim", "new", "example.com", "--algorithm", "rsa"],
        4,
    );
    assert!(
        err.contains("openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out FILE"),
        "{err}"
    );
}

/// Neither the check nor the start goes on with a key that cannot sign.
#[test]
fn a_key_that_cannot_sign_stops_the_start() {
    let desk = Desk::new()
        .set("dkim.a.domain", "example.com")
        .set("dkim.a.selector", "s")
        .set("dkim.a.key_file", "key.pem");
    fs::write(desk.path("key.pem"), "no key").unwrap();
    for arguments in [["config", "check"], ["serve", "--no-migrate"]] {
        let (_, err) = check(&desk, &arguments, 3);
        let expected =
            "error[E0305]: POSTHASTE__DKIM__A__KEY_FILE  `dkim.a.key_file`: key.pem: expected PEM";
        assert!(err.contains(expected), "{err}");
    }
}
