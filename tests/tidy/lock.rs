//! What the lock file holds: nothing that must stay out, nothing older than the advisories ask.
//!
//! The advisory database is fetched from the network, which not every machine has. The few advisories that touch
//! packages of ours are therefore held here by hand as well.

use std::fs;

use toml::{Table, Value};

use crate::{none, root};

/// Packages that must not come back by a feature of something else, each with its reason.
const FORBIDDEN: &[(&str, &str)] = &[
    (
        "aws-lc-rs",
        "ring is the one TLS provider; two of them panic at the first handshake",
    ),
    ("aws-lc-sys", "as aws-lc-rs"),
    ("openssl-sys", "rustls is the one TLS library"),
    ("native-tls", "rustls is the one TLS library"),
    ("rsa", "RUSTSEC-2023-0071: its timing tells the key"),
];

/// The oldest version without a known advisory: RUSTSEC-2026-0258, -2024-0363, -2026-0009.
const FLOORS: &[(&str, (u64, u64, u64))] = &[
    ("h2", (0, 4, 16)),
    ("sqlx", (0, 8, 1)),
    ("sqlx-core", (0, 8, 1)),
    ("time", (0, 3, 47)),
];

#[test]
fn the_lock_file_holds_nothing_forbidden_and_nothing_too_old() {
    let lock =
        fs::read_to_string(root().join("Cargo.lock")).expect("the lock file is part of the tree");
    none(&breaches(&lock));
}

fn breaches(lock: &str) -> Vec<String> {
    let lock: Table = lock.parse().expect("cargo writes TOML");
    let mut breaches = Vec::new();
    for package in lock["package"]
        .as_array()
        .expect("a lock file lists packages")
    {
        let name = text(package, "name");
        let version = text(package, "version");
        let reason = FORBIDDEN.iter().find(|(forbidden, _)| *forbidden == name);
        breaches.extend(reason.map(|(_, reason)| format!("{name} {version}: {reason}")));
        let floor = FLOORS.iter().find(|(package, _)| *package == name);
        breaches.extend(
            floor
                .filter(|(_, floor)| numbers(version) < *floor)
                .map(|_| format!("{name} {version} has an advisory")),
        );
    }
    breaches
}

fn text<'a>(package: &'a Value, key: &str) -> &'a str {
    package
        .get(key)
        .and_then(Value::as_str)
        .expect("a locked package has a name and a version")
}

fn numbers(version: &str) -> (u64, u64, u64) {
    let mut parts = version
        .split(['.', '-', '+'])
        .map(|part| part.parse().unwrap_or(0));
    let mut next = || parts.next().unwrap_or(0);
    (next(), next(), next())
}

#[test]
fn an_old_or_forbidden_package_is_found() {
    let lock = "[[package]]\nname = \"h2\"\nversion = \"0.4.15\"\n[[package]]\nname = \"rsa\"\nversion = \"0.9.10\"";
    assert_eq!(breaches(lock).len(), 2);
    assert!(breaches("[[package]]\nname = \"h2\"\nversion = \"0.4.16+x\"").is_empty());
}
