//! What the sources may say and where.

use std::collections::BTreeSet;

use crate::{
    none,
    source::{Source, sources, words},
};

/// Files that may read the clear text of an address, and where it goes from there. Everywhere else an address shows
/// itself masked.
const EXPOSES: &[(&str, &str)] = &[
    (
        "crates/api/src/dto/address.rs",
        "to the owner of the message or account",
    ),
    (
        "crates/api/src/dto/fingerprint.rs",
        "into the hash that tells a repeated request",
    ),
    (
        "crates/mail/src/file.rs",
        "into the envelope beside captured mail",
    ),
    (
        "crates/mail/src/memory.rs",
        "to find the scripted reply of a recipient",
    ),
    ("crates/mail/src/mime.rs", "into the headers of a mail"),
    ("crates/mail/src/smtp/session.rs", "into MAIL and RCPT"),
    (
        "crates/domain/src/password/guessable.rs",
        "into the comparison with a new password",
    ),
    (
        "crates/store/src/mail_requests.rs",
        "into the hash by which requests are counted",
    ),
    (
        "crates/store/src/convert/message.rs",
        "into the rows of a message",
    ),
    (
        "crates/store/src/doubt.rs",
        "to find the rows of recipients",
    ),
    (
        "crates/store/src/list/query.rs",
        "to find the mail of a person",
    ),
    ("crates/store/src/users.rs", "into the row of an account"),
    (
        "crates/mail/src/redirect.rs",
        "into the header that says whom a mail was for",
    ),
    (
        "crates/mail/src/simulator.rs",
        "to know the recipients that nobody is",
    ),
];

/// The file of the per-job services, which must not be able to outlive their job.
const SCOPE: &str = "crates/composition/src/scope.rs";

#[test]
fn the_clear_text_of_an_address_is_read_only_on_its_way_out() {
    let mut breaches = Vec::new();
    let mut callers = BTreeSet::new();
    for source in sources() {
        let product = source.product();
        let calls = words(&product, "expose")
            .into_iter()
            .filter(|at| product[..*at].ends_with(['.', ':']));
        for call in calls {
            callers.insert(source.path.clone());
            if EXPOSES.iter().all(|(path, _)| *path != source.path) {
                breaches.push(format!(
                    "{}: `expose` outside the listed files",
                    source.place(call)
                ));
            }
        }
    }
    let stale = EXPOSES.iter().filter(|(path, _)| !callers.contains(*path));
    breaches.extend(
        stale.map(|(path, way)| format!("{path} is listed ({way}) and calls `expose` nowhere")),
    );
    none(&breaches);
}

/// P11.
#[test]
fn scoped_services_share_nothing_that_outlives_the_job() {
    let sources = sources();
    let scope = sources
        .iter()
        .find(|source| source.path == SCOPE)
        .expect("the scope has a file of its own");
    let shared = ["Arc", "Rc", "Weak", "leak"]
        .into_iter()
        .flat_map(|word| words(&scope.product(), word));
    none(
        &shared
            .map(|at| format!("{}: a shared owner in the scope", scope.place(at)))
            .collect::<Vec<_>>(),
    );
}

#[test]
fn signals_are_taken_by_the_host_alone() {
    let mut breaches = Vec::new();
    for source in sources()
        .iter()
        .filter(|source| !source.path.starts_with("crates/host/"))
    {
        breaches.extend(
            tokio_signal(&source.code)
                .into_iter()
                .map(|at| format!("{}: `tokio::signal`", source.place(at))),
        );
    }
    none(&breaches);
}

#[test]
fn lints_are_not_silenced_and_tests_are_not_skipped() {
    let mut breaches = Vec::new();
    for source in sources() {
        for (word, instead) in [
            ("allow", "write `#[expect(.., reason = \"..\")]`"),
            ("ignore", "a test that does not run shows nothing"),
            ("should_panic", "compare the error"),
        ] {
            let attributes = words(&source.code, word)
                .into_iter()
                .filter(|at| in_attribute(&source.code, *at));
            breaches
                .extend(attributes.map(|at| format!("{}: `{word}`: {instead}", source.place(at))));
        }
    }
    none(&breaches);
}

#[test]
fn errors_are_typed_everywhere_but_in_main() {
    let mut breaches = Vec::new();
    for source in sources()
        .iter()
        .filter(|source| source.path != "crates/api/src/main.rs")
    {
        let uses = words(&source.product(), "anyhow").into_iter();
        breaches.extend(uses.map(|at| format!("{}: `anyhow`", source.place(at))));
    }
    none(&breaches);
}

#[test]
fn every_file_belongs_to_a_module() {
    let sources = sources();
    let orphans = sources
        .iter()
        .filter(|source| !is_root(&source.path) && !is_declared(source, &sources));
    none(
        &orphans
            .map(|source| format!("{}: no `mod` names this file", source.path))
            .collect::<Vec<_>>(),
    );
}

/// Places that reach for signals, by path or inside a `use tokio::{..}`.
fn tokio_signal(code: &str) -> Vec<usize> {
    let mut found: Vec<usize> = code
        .match_indices("tokio::signal")
        .map(|(at, _)| at)
        .collect();
    for (start, _) in code.match_indices("tokio::{") {
        let end = code[start..].find(';').map_or(code.len(), |at| start + at);
        found.extend(
            words(&code[start..end], "signal")
                .into_iter()
                .map(|at| start + at),
        );
    }
    found
}

/// Whether the word at `at` stands in `#[..]` or `#![..]` on the way from the bracket, `cfg_attr` included.
fn in_attribute(code: &str, at: usize) -> bool {
    let line = code[..at].rfind("#[").max(code[..at].rfind("#!["));
    line.is_some_and(|start| {
        let between = &code[start..at];
        between.matches('[').count() > between.matches(']').count()
    })
}

/// Roots of crates, which cargo finds by itself, and files that only a compile-fail test reads.
fn is_root(path: &str) -> bool {
    let parts: Vec<&str> = path.split('/').collect();
    let name = *parts.last().expect("a path has a last part");
    matches!(name, "main.rs" | "lib.rs" | "build.rs")
        || parts
            .iter()
            .any(|part| matches!(*part, "examples" | "benches" | "bin" | "ui"))
        || parts.first() == Some(&"crates") && parts.get(2) == Some(&"tests")
}

fn is_declared(file: &Source, sources: &[Source]) -> bool {
    let (folder, name) = file
        .path
        .rsplit_once('/')
        .expect("a source lies in a folder");
    let stem = name.trim_end_matches(".rs");
    let module = if stem == "mod" {
        folder.rsplit('/').next().expect("a folder has a name")
    } else {
        stem
    };
    let near = folder.rsplit_once('/').map_or("", |(above, _)| above);
    sources
        .iter()
        .filter(|source| source.path.starts_with(near))
        .any(|source| {
            let named = words(&source.code, module)
                .iter()
                .any(|at| source.code[..*at].trim_end().ends_with("mod"));
            named
                || source.text.contains(&format!("/{name}\"]"))
                || source.text.contains(&format!("\"{name}\"]"))
        })
}

#[test]
fn attributes_are_told_from_calls() {
    check("#[allow(dead_code)]", true);
    check("#![cfg_attr(test, allow(dead_code))]", true);
    check("#[test]\nfn f() { list.allow(3) }", false);

    fn check(code: &str, expected: bool) {
        let at = words(code, "allow")[0];
        assert_eq!(in_attribute(code, at), expected, "{code}");
    }
}

#[test]
fn signals_are_found_inside_a_use_tree() {
    assert_eq!(
        tokio_signal("use tokio::{sync::{mpsc, oneshot}, signal};").len(),
        1
    );
    assert_eq!(tokio_signal("tokio::signal::ctrl_c().await").len(), 1);
    assert_eq!(
        tokio_signal("use tokio::{sync::mpsc}; let signal = 1;").len(),
        0
    );
}
