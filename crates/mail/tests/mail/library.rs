//! Templates are found wanting when they are loaded, not when they are sent.

use posthaste_domain::template::{PinError, TemplateCatalog};
use posthaste_mail::{Library, render::Source};
use serde_json::json;

use crate::support::{template, variables};

#[track_caller]
fn check(files: &[(&str, &str)], expected: &[&str]) {
    let loaded = Library::load(&template(files));
    let problems: Vec<_> = loaded.broken.iter().map(ToString::to_string).collect();
    assert_eq!(problems.len(), expected.len(), "{problems:#?}");
    for (problem, expected) in problems.iter().zip(expected) {
        assert!(
            problem.contains(expected),
            "{problem:?} does not say {expected:?}"
        );
    }
}

#[test]
fn the_shipped_templates_are_sound_and_declare_nothing_in_vain() {
    let loaded = Library::load(&Source::shipped());
    assert_eq!((loaded.broken, loaded.warnings), (Vec::new(), Vec::new()));
    assert_eq!(loaded.library.len(), 6);
}

#[test]
fn each_fault_is_found_at_load_with_its_file() {
    check(&[("body.txt", "x")], &["t/subject.txt: missing"]);
    check(&[("subject.txt", "s")], &["t/body.html: missing"]);
    check(
        &[("subject.txt", "s"), ("body.txt", "{% if %}")],
        &["body.txt"],
    );
    check(
        &[
            ("subject.txt", "s"),
            ("body.txt", "{% include \"_nowhere.txt\" %}"),
        ],
        &["_nowhere.txt"],
    );
    check(
        &[
            ("subject.txt", "s"),
            ("body.txt", "x"),
            ("template.toml", "nonsense = 1"),
        ],
        &["nonsense"],
    );
    let undeclared = [
        ("subject.txt", "s"),
        ("body.txt", "{{ name | default(value=\"x\") }}"),
        ("template.toml", "[variables]\n"),
    ];
    check(
        &undeclared,
        &["t/template.toml: `name` is used but not declared"],
    );
    check(
        &[("subject.txt", "s"), ("body.txt", "{{ name }}")],
        &["samples/default.json: `name`: required"],
    );
    check(
        &[("subject.txt", ""), ("body.txt", "x")],
        &["samples/default.json: the rendered subject is not valid"],
    );
    check(
        &[("subject.txt", "a\nb"), ("body.txt", "x")],
        &["the rendered subject is not valid"],
    );
    check(
        &[("subject.txt", "s"), ("body.txt", " ")],
        &["comes out empty"],
    );
    let endless = "{% for i in range(end=3000) %}{% for j in range(end=3000) %}xxxxxxxxxx{% endfor %}{% endfor %}";
    check(
        &[("subject.txt", "s"), ("body.txt", endless)],
        &["bytes of output"],
    );
    let contradiction = "[variables]\nn = { type = \"number\", default = \"x\" }\n";
    check(
        &[
            ("subject.txt", "s"),
            ("body.txt", "{{ n }}"),
            ("template.toml", contradiction),
        ],
        &["the default of `n`"],
    );
}

#[test]
fn all_problems_of_all_templates_are_told_and_the_sound_ones_work() {
    let files = [
        ("one/subject.txt", "s"),
        ("one/body.txt", "{% if %}"),
        ("one/samples/a.json", "{}"),
        ("two/subject.txt", "s"),
        ("two/body.txt", "x"),
        ("Three/subject.txt", "s"),
        ("good/subject.txt", "s"),
        ("good/body.txt", "x"),
        ("good/samples/a.json", "{}"),
    ];
    let loaded = Library::load(&Source::of(files));
    assert_eq!((loaded.broken.len(), loaded.library.len()), (3, 1));
    assert_eq!(
        Library::load_strict(&Source::of(files)).unwrap_err().0,
        loaded.broken
    );
}

#[test]
fn data_are_checked_by_name_and_type_all_at_once() {
    let manifest = "[variables]\na = { type = \"string\" }\nb = { type = \"list\" }\nc = { type = \"number\", default = 1 }\n";
    let mut files = vec![
        ("subject.txt", "{{ a }}{{ c }}"),
        ("body.txt", "{% for x in b %}{{ x }}{% endfor %}."),
    ];
    files.push(("template.toml", manifest));
    let loaded = Library::load(&with_sample(&files, "{\"a\": \"x\", \"b\": [1]}"));
    assert!(loaded.broken.is_empty(), "{:?}", loaded.broken);
    let pin =
        |data: serde_json::Value| loaded.library.pin(&"t".parse().unwrap(), &variables(&data));
    assert!(pin(json!({"a": "x", "b": [], "extra": 1, "c": null})).is_ok());
    let Err(PinError::Variables(problems)) = pin(json!({"a": 3, "c": "x"})) else {
        panic!("refused")
    };
    let told: Vec<_> = problems
        .iter()
        .map(|p| (p.name.as_str(), p.detail.as_str(), p.missing))
        .collect();
    assert_eq!(
        told,
        [
            ("a", "expected a string", false),
            ("b", "required", true),
            ("c", "expected a number", false)
        ]
    );
    assert!(
        matches!(
            pin(json!({"a": "x".repeat(70_000), "b": []})),
            Err(PinError::Variables(_))
        ),
        "too much data"
    );
    let nowhere = loaded
        .library
        .pin(&"nowhere".parse().unwrap(), &variables(&json!({})));
    assert!(matches!(nowhere, Err(PinError::Unknown(_))));
}

fn with_sample(files: &[(&str, &str)], sample: &str) -> Source {
    let files = files
        .iter()
        .map(|(name, text)| (format!("t/{name}"), (*text).to_owned()));
    Source::of(files.chain([("t/samples/default.json".to_owned(), sample.to_owned())]))
}

#[test]
fn a_version_is_its_content() {
    let version = |body: &str| {
        let library =
            Library::load_strict(&template(&[("subject.txt", "s"), ("body.txt", body)])).unwrap();
        library.versions().remove(0).reference.version
    };
    assert_eq!(version("x"), version("x"));
    assert_ne!(version("x"), version("y"));
    let layout = |text: &str| {
        let files = [
            ("_layouts/l.txt", text),
            ("_layouts/unused.txt", text),
            ("t/subject.txt", "s"),
            ("t/body.txt", "{% extends \"_layouts/l.txt\" %}"),
            ("t/samples/a.json", "{}"),
        ];
        Library::load_strict(&Source::of(files))
            .unwrap()
            .versions()
            .remove(0)
    };
    assert_ne!(
        layout("a").reference.version,
        layout("b").reference.version,
        "a layout counts"
    );
    assert!(
        !layout("a").files.contains_key("_layouts/unused.txt"),
        "what is not reached does not"
    );
}

#[test]
fn a_link_that_leaves_the_folder_is_refused() {
    let (folder, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    std::fs::write(outside.path().join("secret.txt"), "canary").unwrap();
    std::fs::create_dir(folder.path().join("t")).unwrap();
    std::os::unix::fs::symlink(
        outside.path().join("secret.txt"),
        folder.path().join("t/body.txt"),
    )
    .unwrap();
    let error = Source::folder(folder.path()).unwrap_err();
    assert!(error.to_string().contains("t/body.txt"), "{error}");
}

#[test]
fn an_own_template_takes_the_place_of_a_shipped_one_whole() {
    let own = Source::of([
        ("notice/subject.txt", "mine"),
        ("notice/body.txt", "x"),
        ("notice/samples/default.json", "{}"),
    ]);
    let library = Library::load_strict(&own.or(Source::shipped())).unwrap();
    assert_eq!(library.len(), 6);
    let mine = library
        .versions()
        .into_iter()
        .find(|version| version.reference.name.as_str() == "notice")
        .unwrap();
    assert_eq!(
        mine.files.keys().collect::<Vec<_>>(),
        ["body.txt", "subject.txt"]
    );
}
