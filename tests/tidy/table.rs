//! The table of crates: which may depend on which, and which alone may name a heavy dependency.

use crate::{
    members::{Dependency, Kind, Member, members},
    none, root,
};

/// A row: the crate, the crates of ours it may be built on, and those that its tests may use besides.
struct Row(
    &'static str,
    &'static [&'static str],
    &'static [&'static str],
);

const TABLE: &[Row] = &[
    Row("domain", &[], &[]),
    Row("host", &[], &[]),
    Row("queue", &["domain", "host"], &[]),
    Row("scheduler", &["domain", "host", "queue"], &[]),
    Row("mail", &["domain"], &[]),
    // The tests of the store run on a migrated database.
    Row("store", &["domain", "queue"], &["migrations"]),
    Row("migrations", &[], &[]),
    Row(
        "composition",
        &[
            "domain",
            "host",
            "queue",
            "scheduler",
            "mail",
            "store",
            "migrations",
        ],
        &[],
    ),
    Row("api", &["composition", "domain", "host", "queue"], &[]),
];

/// A heavy or dangerous dependency and the only crates that may be built on it. Tests may use what they like.
const OWNERS: &[(&str, &[&str])] = &[
    ("lettre", &["mail"]),
    // Optional there, for tests of those who embed it.
    ("mail-parser", &["mail"]),
    ("tera", &["mail", "api"]),
    ("sea-orm", &["store", "migrations"]),
    ("sea-orm-migration", &["migrations", "store"]),
    ("sqlx", &["store"]),
    ("rusqlite", &[]),
    ("croner", &["scheduler"]),
    ("cron", &[]),
    ("config", &["composition"]),
    ("figment", &[]),
    ("axum", &["api"]),
    ("hyper", &["api"]),
    ("signal-hook", &["host"]),
    ("ctrlc", &[]),
    // The HTTP client belongs to `webhook`, which does not exist yet.
    ("reqwest", &[]),
    ("ureq", &[]),
    ("hyper-util", &[]),
    ("isahc", &[]),
    ("anyhow", &["api"]),
];

/// What may be asked of lettre. Its pool reports refused mail as sent after a cancelled send, `tracing` logs whole
/// mails and AUTH lines, `dkim` brings a package with an open advisory.
const LETTRE_FEATURES: &[&str] = &["builder", "smtp-transport", "tokio1"];

#[test]
fn every_crate_depends_only_on_those_the_table_allows() {
    let mut breaches = Vec::new();
    for member in members() {
        let Some(Row(_, built_on, tested_with)) = TABLE.iter().find(|row| row.0 == member.name)
        else {
            breaches.push(format!("crate `{}` has no row in the table", member.name));
            continue;
        };
        for (dependency, ours) in member
            .dependencies
            .iter()
            .filter_map(|d| d.ours().map(|ours| (d, ours)))
        {
            let allowed = built_on.contains(&ours)
                || dependency.kind == Kind::Dev
                    && (tested_with.contains(&ours) || ours == member.name);
            if !allowed {
                breaches.push(format!("`{}` may not depend on `{ours}`", member.name));
            }
        }
    }
    none(&breaches);
}

#[test]
fn every_row_of_the_table_is_a_crate() {
    let members = members();
    let missing = TABLE
        .iter()
        .filter(|row| members.iter().all(|member| member.name != row.0));
    none(
        &missing
            .map(|row| format!("there is no crate `{}`", row.0))
            .collect::<Vec<_>>(),
    );
}

#[test]
fn heavy_dependencies_are_named_by_their_owners_alone() {
    let mut breaches = Vec::new();
    for (member, dependency) in built(&members()) {
        let owners = OWNERS
            .iter()
            .find(|(package, _)| *package == dependency.package);
        if owners.is_some_and(|(_, owners)| !owners.contains(&member)) {
            breaches.push(format!("`{member}` may not name `{}`", dependency.package));
        }
    }
    none(&breaches);
}

#[test]
fn lettre_is_taken_without_its_pool_and_its_logging() {
    let members = members();
    let mut breaches = Vec::new();
    for dependency in members
        .iter()
        .flat_map(|member| &member.dependencies)
        .filter(|d| d.package == "lettre")
    {
        let refused = dependency
            .features
            .iter()
            .filter(|feature| !LETTRE_FEATURES.contains(&feature.as_str()));
        breaches.extend(refused.map(|feature| format!("feature `{feature}` of lettre")));
    }
    none(&breaches);
}

#[test]
fn every_manifest_takes_lints_and_versions_from_the_root() {
    let mut breaches = Vec::new();
    for member in members() {
        let folder = if member.name == "migrations" {
            "migrations".into()
        } else {
            format!("crates/{}", member.name)
        };
        let manifest = std::fs::read_to_string(root().join(&folder).join("Cargo.toml"))
            .expect("a member has a manifest");
        let manifest: toml::Table = manifest
            .parse()
            .expect("cargo has read this manifest before us");
        if !inherits(manifest.get("lints")) {
            breaches.push(format!("{folder}: `lints.workspace = true` is missing"));
        }
        for (table, package) in entries(&manifest) {
            // A crate's tests may ask for its own features, which names it by path.
            let itself = package.strip_prefix("posthaste-") == Some(member.name.as_str());
            if !itself && !inherits(manifest[table].get(package)) {
                breaches.push(format!("{folder}: `{package}` has a version of its own"));
            }
        }
    }
    none(&breaches);
}

/// Each member with each dependency that is compiled into it.
fn built(members: &[Member]) -> Vec<(&str, &Dependency)> {
    let mut pairs = Vec::new();
    for member in members {
        pairs.extend(
            member
                .dependencies
                .iter()
                .filter(|d| d.kind == Kind::Build)
                .map(|d| (member.name.as_str(), d)),
        );
    }
    pairs
}

fn entries(manifest: &toml::Table) -> Vec<(&str, &str)> {
    let mut found = Vec::new();
    for table in ["dependencies", "dev-dependencies", "build-dependencies"] {
        if let Some(entries) = manifest.get(table).and_then(toml::Value::as_table) {
            found.extend(entries.keys().map(|package| (table, package.as_str())));
        }
    }
    found
}

fn inherits(value: Option<&toml::Value>) -> bool {
    value
        .and_then(|value| value.get("workspace"))
        .and_then(toml::Value::as_bool)
        == Some(true)
}
