mod dkim;
mod memory_streams;
mod refusals;

use std::fs;

use secrecy::ExposeSecret;

use super::*;

/// A folder for an operator's file, and the variables of a process.
struct Place {
    folder: tempfile::TempDir,
    sources: Sources,
}

impl Place {
    fn new(variables: &[(&str, &str)]) -> Self {
        let variables = variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let sources = Sources {
            variables,
            ..Sources::default()
        };
        Self {
            folder: tempfile::tempdir().unwrap(),
            sources,
        }
    }

    fn file(mut self, text: &str) -> Self {
        let path = self.folder.path().join("posthaste.toml");
        fs::write(&path, text).unwrap();
        self.sources.file = Some(path);
        self
    }

    #[track_caller]
    fn settings(&self) -> Settings {
        Settings::load(&self.sources)
            .unwrap_or_else(|problems| panic!("{problems:?}"))
            .settings
    }

    /// The problems, without the folder.
    #[track_caller]
    fn problems(&self) -> Vec<String> {
        let folder = format!("{}/", self.folder.path().display());
        let problems = Settings::load(&self.sources).err().unwrap_or_default();
        problems
            .iter()
            .map(|problem| problem.to_string().replace(&folder, ""))
            .collect()
    }
}

#[track_caller]
fn check(place: &Place, expected: &[&str]) {
    let (mut problems, mut expected) = (place.problems(), expected.to_vec());
    problems.sort();
    expected.sort_unstable();
    assert_eq!(problems.len(), expected.len(), "{problems:#?}");
    for (problem, expected) in problems.iter().zip(expected) {
        assert!(
            problem.starts_with(expected),
            "{problem:?} is not {expected:?}"
        );
    }
}

const PRODUCTION: &str = r#"
data_dir = "/var/lib/posthaste"
[http]
public_url = "https://mail.example.com/"
[accounts]
sender = "Acme <no-reply@acme.example>"
[streams.transactional]
transport = "relay"
[transports.relay]
kind = "smtp"
host = "smtp.acme.example"
[keys.app]
key = "an API key"
owner = "acme"
scopes = ["send"]
"#;

#[test]
fn both_shipped_environments_load() {
    let development = Place::new(&[]).settings();
    assert_eq!(development.environment, Environment::Development);
    assert_eq!(
        development.database.place.file().unwrap(),
        Path::new(".posthaste/posthaste.db")
    );
    assert_eq!(development.keys[0].key.expose_secret(), "re_ph_dev");
    let production = Place::new(&[("POSTHASTE_ENVIRONMENT", "production")])
        .file(PRODUCTION)
        .settings();
    assert_eq!(production.http.public_url, "https://mail.example.com");
    assert_eq!(production.keys.len(), 1, "only the operator's");
    let TransportKind::Smtp(smtp) = &production.transports[0].kind else {
        panic!("an SMTP transport")
    };
    assert_eq!((smtp.port, smtp.tls), (587, Tls::Starttls));
    let otp = production
        .streams
        .iter()
        .find(|stream| stream.name.as_str() == "otp")
        .unwrap();
    assert_eq!(
        otp.transports,
        ["relay"],
        "what a stream lacks is taken from `transactional`"
    );
    assert_eq!(otp.expiry, std::time::Duration::from_secs(600));
}

#[test]
fn a_transport_to_the_servers_of_each_domain_has_defaults_of_its_own() {
    let file = "[transports.out]\nkind = \"mx\"\nhello_name = \"mail.example.com\"\ntls = \"required\"\n\
        name_servers = [\"127.0.0.1:5353\"]\n[streams.transactional]\ntransport = \"out\"\n";
    let settings = Place::new(&[]).file(file).settings();
    let out = settings.transports.iter().find(|one| one.name == "out");
    let TransportKind::Mx(mx) = &out.expect("it is configured").kind else {
        panic!("straight to the servers")
    };
    assert_eq!((mx.smtp.port, mx.required), (25, true));
    assert_eq!(mx.smtp.max_idle, std::time::Duration::from_secs(5));
    assert_eq!(mx.smtp.max_messages, 100, "the rest is that of [smtp]");
    assert_eq!(mx.name_servers, ["127.0.0.1:5353".parse().unwrap()]);
}

#[test]
fn later_layers_win() {
    let place = Place::new(&[("PORT", "2000"), ("POSTHASTE__HTTP__PORT", "3000")])
        .file("[http]\nport = 1000\n");
    assert_eq!(place.settings().http.port, 3000);
    let mut place = Place::new(&[("PORT", "2000")]).file("[http]\nport = 1000\n");
    assert_eq!(place.settings().http.port, 2000);
    place.sources.http = Some("127.0.0.1:4000".to_owned());
    assert_eq!(place.settings().http.port, 4000);
    assert_eq!(
        Place::new(&[])
            .file("[http]\nport = 1000\n")
            .settings()
            .http
            .port,
        1000
    );
}

#[test]
fn text_from_the_environment_stays_text() {
    let place = Place::new(&[
        ("POSTHASTE__TRANSPORTS__RELAY__KIND", "smtp"),
        ("POSTHASTE__TRANSPORTS__RELAY__HOST", "localhost"),
        ("POSTHASTE__TRANSPORTS__RELAY__USERNAME", "true"),
        ("POSTHASTE__TRANSPORTS__RELAY__PASSWORD", "00123"),
        ("POSTHASTE__ROLES", "api, worker"),
    ]);
    let settings = place.settings();
    assert_eq!(settings.roles, [Role::Api, Role::Worker]);
    let relay = settings
        .transports
        .iter()
        .find(|transport| transport.name == "relay")
        .unwrap();
    let TransportKind::Smtp(smtp) = &relay.kind else {
        panic!("an SMTP transport")
    };
    assert_eq!(smtp.password.as_ref().unwrap().expose_secret(), "00123");
    assert_eq!(smtp.username, "true");
}

#[test]
fn a_secret_may_stand_in_a_file_and_not_in_both_places() {
    let place = Place::new(&[]);
    let secret = place.folder.path().join("secret");
    fs::write(&secret, " with blanks \n").unwrap();
    let mut place = place;
    let variable = |name: &str| format!("POSTHASTE__KEYS__APP__{name}");
    for (name, value) in [
        ("KEY_FILE", secret.to_str().unwrap()),
        ("OWNER", "acme"),
        ("SCOPES", "send"),
    ] {
        place
            .sources
            .variables
            .insert(variable(name), value.to_owned());
    }
    let app = place
        .settings()
        .keys
        .into_iter()
        .find(|key| key.name == "app")
        .unwrap();
    assert_eq!(app.key.expose_secret(), " with blanks ");
    place
        .sources
        .variables
        .insert(variable("KEY"), "canary".to_owned());
    check(
        &place,
        &[
            "error[E0308]: POSTHASTE__KEYS__APP__KEY_FILE  `keys.app.key` and `keys.app.key_file` are both given",
        ],
    );
    assert!(!place.problems()[0].contains("canary"));
    place.sources.variables.remove(&variable("KEY"));
    place
        .sources
        .variables
        .insert(variable("KEY_FILE"), "/nowhere/secret".to_owned());
    check(
        &place,
        &["error[E0307]: POSTHASTE__KEYS__APP__KEY_FILE  /nowhere/secret cannot be read"],
    );
}

#[test]
fn what_is_shown_names_each_origin_and_no_secret() {
    let loaded = Settings::load(&Place::new(&[("PORT", "2000")]).sources).unwrap();
    let shown = |key: &str| {
        loaded
            .shown
            .iter()
            .find(|shown| shown.key == key)
            .cloned()
            .unwrap()
    };
    assert_eq!(shown("http.port").origin, "PORT");
    assert!(
        shown("queue.poll")
            .origin
            .starts_with("config/default.toml:")
    );
    assert_eq!(shown("keys.development.key").value, "***");
}
