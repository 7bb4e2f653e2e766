//! Which promise is shown by which test: `tests/checks.toml` against the doc comments of the tests.
//!
//! A test names what it shows in the first words of its doc comment, `/// I9.` or `/// P1, R1.`. The list names the
//! test in turn, or says what the row waits for. Either side alone is a breach: a row whose test was renamed or
//! removed, and a test that nobody can find from the list.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use serde::Deserialize;

use crate::{
    none, root,
    source::{Source, sources, words},
};

/// The lines of the design (promises, interleavings) and of the check list (reliability, security).
const LINES: &[(char, u8)] = &[('P', 11), ('I', 40), ('R', 28), ('S', 22)];

/// One entry of the list.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    /// The line in our own short words.
    says: String,
    /// The tests that show it, each as `path::name`.
    #[serde(default)]
    tests: BTreeSet<String>,
    /// What is still missing, for a row without a test or one that is shown in part.
    waits_for: Option<String>,
}

/// A row named by a test: (row, `path::name`).
type Claim = (String, String);

#[test]
fn every_promise_has_its_test_or_a_reason() {
    let list = fs::read_to_string(root().join("tests/checks.toml"))
        .expect("the list of checks is readable");
    let rows: BTreeMap<String, Row> =
        toml::from_str(&list).expect("the list of checks has the stated form");
    none(&compare(
        &rows,
        &sources().iter().flat_map(claims).collect(),
    ));
}

fn compare(rows: &BTreeMap<String, Row>, claims: &BTreeSet<Claim>) -> Vec<String> {
    let mut breaches = Vec::new();
    let ids: BTreeSet<String> = LINES
        .iter()
        .flat_map(|(kind, last)| (1..=*last).map(move |n| format!("{kind}{n}")))
        .collect();
    breaches.extend(
        ids.iter()
            .filter(|id| !rows.contains_key(*id))
            .map(|id| format!("{id} has no row")),
    );
    for (id, row) in rows {
        if !ids.contains(id) {
            breaches.push(format!("{id} is no line of the design or the check list"));
        }
        if row.says.is_empty()
            || row.tests.is_empty() && row.waits_for.as_ref().is_none_or(String::is_empty)
        {
            breaches.push(format!("{id} has neither test nor reason, or says nothing"));
        }
        let missing = row
            .tests
            .iter()
            .filter(|test| !claims.contains(&(id.clone(), (*test).clone())));
        breaches
            .extend(missing.map(|test| format!("{id} lists {test}, and no such test names {id}")));
    }
    let unlisted = claims
        .iter()
        .filter(|(id, test)| !rows.get(id).is_some_and(|row| row.tests.contains(test)));
    breaches
        .extend(unlisted.map(|(id, test)| format!("{test} names {id}, which does not list it")));
    breaches
}

/// What the tests of one file claim: functions marked as tests, contract cases, and items with a compile-fail example.
fn claims(source: &Source) -> Vec<Claim> {
    let mut claims = Vec::new();
    let mut lines = source.text.lines().peekable();
    while let Some(line) = lines.next() {
        let Some(first) = doc(line) else { continue };
        let mut is_test = source.is_test();
        while let Some(more) = lines.next_if(|line| doc(line).is_some()) {
            is_test |= more.contains("```compile_fail");
        }
        while let Some(attribute) =
            lines.next_if(|line| line.trim_start().starts_with(['#', ']', ')']))
        {
            is_test |= !words(attribute, "test").is_empty();
        }
        if let Some(name) = lines.peek().filter(|_| is_test).and_then(|item| name(item)) {
            claims.extend(
                named_rows(first)
                    .into_iter()
                    .map(|id| (id, format!("{}::{name}", source.path))),
            );
        }
    }
    claims
}

fn doc(line: &str) -> Option<&str> {
    line.trim_start().strip_prefix("///").map(str::trim)
}

/// The rows that a doc comment begins with: `I9.` or `P1, R1.`.
fn named_rows(doc: &str) -> Vec<String> {
    let Some((head, _)) = doc.split_once(['.', ':']) else {
        return Vec::new();
    };
    let named: Vec<&str> = head.split(", ").collect();
    let known = |id: &&str| {
        let kind = LINES.iter().any(|(kind, _)| id.starts_with(*kind));
        kind && id.len() > 1 && id[1..].bytes().all(|byte| byte.is_ascii_digit())
    };
    if named.iter().all(known) {
        named.into_iter().map(str::to_owned).collect()
    } else {
        Vec::new()
    }
}

/// The name of the item that a line begins.
fn name(line: &str) -> Option<&str> {
    let kinds = ["fn", "struct", "enum", "trait", "mod", "type", "const"];
    let mut parts = line
        .split(|c: char| !c.is_alphanumeric() && c != '_')
        .filter(|part| !part.is_empty());
    let kind = parts.find(|part| kinds.contains(part))?;
    let name = parts.next()?;
    // `const fn` and `async fn` have one more word before the name.
    if kind == "const" && name == "fn" {
        parts.next()
    } else {
        Some(name)
    }
}

#[test]
fn a_claim_is_read_from_the_doc_comment_of_a_test() {
    check(
        "/// I9. A stale settle changes nothing.\n#[tokio::test(start_paused = true)]\nasync fn a() {}",
        &["I9"],
    );
    check(
        "/// P1, R1: killed.\n/// More.\n#[test]\nfn a() {}",
        &["P1", "R1"],
    );
    check(
        "/// P11.\n/// ```compile_fail\n/// ```\npub struct a;",
        &["P11"],
    );
    check("/// I9. Only the product.\nfn a() {}", &[]);
    check("/// In short. It is a test.\n#[test]\nfn a() {}", &[]);

    fn check(text: &str, expected: &[&str]) {
        let source = Source {
            path: "crates/a/src/b.rs".to_owned(),
            text: text.to_owned(),
            code: String::new(),
        };
        let found: Vec<Claim> = claims(&source);
        let expected: Vec<Claim> = expected
            .iter()
            .map(|id| ((*id).to_owned(), "crates/a/src/b.rs::a".to_owned()))
            .collect();
        assert_eq!(found, expected, "{text}");
    }
}

#[test]
fn a_row_and_its_test_need_each_other() {
    let mut rows: BTreeMap<String, Row> = BTreeMap::new();
    for (kind, last) in LINES {
        rows.extend((1..=*last).map(|n| (format!("{kind}{n}"), row(&[]))));
    }
    let claim = ("I9".to_owned(), "a.rs::b".to_owned());
    assert_eq!(compare(&rows, &BTreeSet::new()), Vec::<String>::new());
    assert_eq!(
        compare(&rows, &BTreeSet::from([claim.clone()])).len(),
        1,
        "a test that is not listed"
    );
    rows.insert("I9".to_owned(), row(&["a.rs::b"]));
    assert_eq!(
        compare(&rows, &BTreeSet::from([claim])),
        Vec::<String>::new()
    );
    assert_eq!(
        compare(&rows, &BTreeSet::new()).len(),
        1,
        "a listed test that is gone"
    );
    rows.remove("I8");
    rows.insert("I41".to_owned(), row(&[]));
    assert_eq!(
        compare(&rows, &BTreeSet::new()).len(),
        3,
        "a row too few, a row too many"
    );

    fn row(tests: &[&str]) -> Row {
        let tests = tests.iter().map(|test| (*test).to_owned()).collect();
        Row {
            says: "something".to_owned(),
            tests,
            waits_for: Some("later".to_owned()),
        }
    }
}
