//! The workspace members and the dependencies they declare, as `cargo metadata --no-deps` reports them.
//!
//! Declared dependencies are read, not resolved ones: a rule is about what a manifest says, also behind a feature or
//! for another platform.

use std::process::Command;

use serde_json::Value;

use crate::root;

/// A package of this workspace.
pub(crate) struct Member {
    /// The package name without its `posthaste-` prefix.
    pub(crate) name: String,
    /// Everything its manifest asks for.
    pub(crate) dependencies: Vec<Dependency>,
}

/// One entry of a manifest's dependency tables.
pub(crate) struct Dependency {
    /// The name of the package, also where it is renamed.
    pub(crate) package: String,
    /// The table it stands in.
    pub(crate) kind: Kind,
    /// The features asked for by name.
    pub(crate) features: Vec<String>,
}

/// The table a dependency stands in.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Compiled into the package or its build script.
    Build,
    /// For its tests, examples and benches only.
    Dev,
}

impl Dependency {
    /// The crate of ours that this entry names, without the prefix.
    pub(crate) fn ours(&self) -> Option<&str> {
        self.package.strip_prefix("posthaste-")
    }
}

/// Every member of the workspace.
pub(crate) fn members() -> Vec<Member> {
    let output = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--format-version",
            "1",
            "--no-deps",
            "--offline",
        ])
        .current_dir(root())
        .output()
        .expect("cargo can be started");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let metadata: Value =
        serde_json::from_slice(&output.stdout).expect("cargo metadata prints JSON");
    list(&metadata["packages"]).iter().map(member).collect()
}

fn member(package: &Value) -> Member {
    let name = text(&package["name"]);
    Member {
        name: name.strip_prefix("posthaste-").unwrap_or(&name).to_owned(),
        dependencies: list(&package["dependencies"])
            .iter()
            .map(dependency)
            .collect(),
    }
}

fn dependency(entry: &Value) -> Dependency {
    Dependency {
        package: text(&entry["name"]),
        kind: if entry["kind"] == "dev" {
            Kind::Dev
        } else {
            Kind::Build
        },
        features: list(&entry["features"]).iter().map(text).collect(),
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().expect("cargo metadata has a list here")
}

fn text(value: &Value) -> String {
    value
        .as_str()
        .expect("cargo metadata has a text here")
        .to_owned()
}
