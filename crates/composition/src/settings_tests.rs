use std::fs;

use secrecy::ExposeSecret;

use super::*;
use crate::memory_streams::{MemoryBounds, Unsent, WhenFull};

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
        otp.transport, "relay",
        "what a stream lacks is taken from `transactional`"
    );
    assert_eq!(otp.expiry, std::time::Duration::from_secs(600));
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
fn every_problem_is_told_at_once_with_its_place() {
    let place = Place::new(&[("POSTHASTE__HTPP__PORT", "1"), ("POSTHASTE__QUEUE__POLL", "often")]).file(
        "[http]\nport = 70000\nadress = \"::1\"\n\n[shutdown]\nfinish = \"40 s\"\n\n[smtp]\nprot = 25\n\n[streams.Bad]\npriority = 1\n",
    );
    check(
        &place,
        &[
            "error[E0308]: shutdown.finish must be shorter",
            "error[E0301]: POSTHASTE__HTPP__PORT  unknown key `htpp`, did you mean `http`?",
            "error[E0305]: POSTHASTE__QUEUE__POLL  `queue.poll` = \"often\": expected a duration",
            "error[E0305]: posthaste.toml:12:1  `streams.Bad`: names are",
            "error[E0305]: posthaste.toml:2:1  `http.port` = \"70000\": expected an integer from 0 to 65535",
            "error[E0301]: posthaste.toml:3:1  unknown key `http.adress`, did you mean `address`?",
            "error[E0301]: posthaste.toml:9:1  unknown key `smtp.prot`, did you mean `port`?",
        ],
    );
}

#[test]
fn mail_and_passwords_do_not_leave_this_machine_in_clear_by_mistake() {
    let relay = |more: &str| {
        Place::new(&[]).file(&format!(
            "[transports.relay]\nkind = \"smtp\"\nhost = \"smtp.example.com\"\n{more}"
        ))
    };
    check(
        &relay("tls = \"none\"\n"),
        &["error[E0305]: posthaste.toml:4:1  `transports.relay.tls`: mail to another machine"],
    );
    relay("tls = \"none\"\ntls_none_anywhere = true\n").settings();
    let password = "username = \"u\"\npassword = \"p\"\n";
    check(
        &relay(&format!("tls = \"opportunistic\"\n{password}")),
        &["error[E0305]: posthaste.toml:4:1  `transports.relay.tls`: a password is sent over"],
    );
    relay(password).settings();
    check(
        &relay("username = \"u\"\n"),
        &["error[E0305]: posthaste.toml:4:1  `transports.relay.username`: username and password"],
    );
}

#[test]
fn a_database_is_a_file_or_a_postgresql_server_and_nothing_else() {
    let refused = |url: &str| Place::new(&[("DATABASE_URL", url)]).problems().remove(0);
    for url in ["mysql://user:canary@db/x", "sqlite:", "postgres:canary"] {
        let refused = refused(url);
        assert!(
            refused.contains("expected sqlite:PATH or postgres://"),
            "{refused}"
        );
        assert!(!refused.contains("canary"), "{refused}");
    }
    let server = Place::new(&[("DATABASE_URL", "postgres://user:canary@db/x")]).settings();
    assert!(server.database.place.file().is_none());
    assert!(!format!("{server:?}").contains("canary"));
    let place = Place::new(&[("DATABASE_URL", "sqlite:/tmp/x.db")]);
    assert_eq!(
        place.settings().database.place.file(),
        Some(Path::new("/tmp/x.db"))
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

#[test]
fn production_wants_a_key_of_ones_own_where_it_answers_requests() {
    let production = |text: &str, roles: &str| {
        Place::new(&[
            ("POSTHASTE_ENVIRONMENT", "production"),
            ("POSTHASTE__ROLES", roles),
        ])
        .file(text)
    };
    let (keyless, _) = PRODUCTION.split_once("[keys.app]").unwrap();
    let place = production(keyless, "api,worker");
    check(&place, &["error[E0306]: there is no API key"]);
    assert!(place.problems()[0].contains("help: add [keys.app]"));
    production(keyless, "worker,scheduler").settings();
    let shipped = PRODUCTION.replace("an API key", "re_ph_dev");
    let place = production(&shipped, "api");
    check(
        &place,
        &["error[E0305]: keys.app is the key that development ships with"],
    );
    assert!(!place.problems()[0].contains("re_ph_dev"));
    let unreadable = PRODUCTION.replace("key = \"an API key\"", "key_file = \"/nowhere/key\"");
    check(
        &production(&unreadable, "api"),
        &["error[E0307]: posthaste.toml:13:1  /nowhere/key cannot be read"],
    );
}

#[test]
fn what_a_message_says_is_not_kept_longer_than_the_message() {
    let place = Place::new(&[("POSTHASTE__RETENTION__BODIES", "91 days")]);
    check(
        &place,
        &["error[E0308]: retention.bodies must not be longer than retention.messages"],
    );
}

#[test]
fn zero_is_refused_where_nothing_would_work_with_it() {
    let durations = [
        "http.request_timeout",
        "accounts.confirm_expiry",
        "accounts.reset_expiry",
        "accounts.access_expiry",
        "accounts.refresh_expiry",
        "queue.poll",
        "queue.job_deadline",
        "streams.transactional.expiry",
        "scheduler.clean_up",
        "database.old_snapshot",
        "shutdown.finish",
        "shutdown.budget",
        "smtp.connect_timeout",
        "smtp.tls_timeout",
        "smtp.greeting_timeout",
        "smtp.command_timeout",
        "smtp.envelope_timeout",
        "smtp.body_timeout",
        "smtp.dot_timeout",
    ];
    let sizes = [
        "http.body_limit",
        "http.in_flight_limit",
        "database.intake_bytes",
        "streams.otp.capacity_bytes",
    ];
    let zeros = durations
        .map(|key| (key, "0 s", "duration"))
        .into_iter()
        .chain(sizes.map(|key| (key, "0 B", "size")));
    for (key, zero, kind) in zeros {
        let variable = format!("POSTHASTE__{}", key.to_uppercase().replace('.', "__"));
        let expected = format!(
            "error[E0305]: {variable}  `{key}` = {zero:?}: expected a {kind} above zero such as"
        );
        check(&Place::new(&[(&variable, zero)]), &[&expected]);
    }
    check(
        &Place::new(&[]).file("[streams.transactional]\nretry = [\"30 s\", \"0 s\"]\n"),
        &[
            "error[E0305]: posthaste.toml:2:1  `streams.transactional.retry` = [\"30 s\", \"0 s\"]: \
             expected a list of durations above zero",
        ],
    );
}

#[test]
fn zero_stays_where_it_means_something() {
    for key in [
        "RETENTION__TOKENS",
        "SHUTDOWN__ANNOUNCE",
        "QUEUE__RECENT_CLAIM",
        "SMTP__MAX_IDLE",
    ] {
        Place::new(&[(&format!("POSTHASTE__{key}"), "0 s")]).settings();
    }
    Place::new(&[("POSTHASTE__DATABASE__DISK_FLOOR", "0 B")]).settings();
}

#[test]
fn all_bodies_in_flight_have_room_for_the_longest() {
    let place = |in_flight| {
        Place::new(&[
            ("POSTHASTE__HTTP__BODY_LIMIT", "2 MiB"),
            ("POSTHASTE__HTTP__IN_FLIGHT_LIMIT", in_flight),
        ])
    };
    check(
        &place("1 MiB"),
        &[
            "error[E0308]: http.in_flight_limit is 1.0 MiB, a single body may have http.body_limit = 2.0 MiB",
        ],
    );
    place("2 MiB").settings();
}

#[test]
fn a_log_filter_is_tried_with_the_other_settings() {
    let place = |filter| Place::new(&[("RUST_LOG", filter)]);
    check(
        &place("info,posthaste_mail=loud"),
        &[
            "error[E0305]: RUST_LOG  `log.filter` = \"info,posthaste_mail=loud\": expected a filter such as",
        ],
    );
    for filter in ["", "off", "info,posthaste_mail=debug"] {
        place(filter).settings();
    }
}

#[test]
fn links_can_be_built_from_the_public_url() {
    let place = |environment, url| {
        Place::new(&[
            ("POSTHASTE_ENVIRONMENT", environment),
            ("POSTHASTE__HTTP__PUBLIC_URL", url),
        ])
        .file(PRODUCTION)
    };
    for environment in ["development", "production"] {
        for url in ["mail.example.com", "ftp://mail.example.com", "https://"] {
            let expected = format!(
                "error[E0305]: POSTHASTE__HTTP__PUBLIC_URL  `http.public_url` = {url:?}: expected http:// or https://"
            );
            check(&place(environment, url), &[&expected]);
        }
        place(environment, "http://localhost:8025/").settings();
    }
    place("development", "").settings();
    check(
        &place("production", ""),
        &["error[E0306]: http.public_url must be given"],
    );
}

#[test]
fn nothing_is_concluded_from_a_value_that_could_not_be_read() {
    let alone = |key: &str, value: &str, expected: &str| {
        let variable = format!("POSTHASTE__{key}");
        let expected = format!("error[E0305]: {variable}  {expected}");
        check(&Place::new(&[(&variable, value)]), &[&expected]);
    };
    alone("QUEUE__CHANNEL_CAPACITY", "0", "`queue.channel_capacity`");
    alone("ROLES", "api,foo", "`roles`");
    alone(
        "ACCOUNTS__REFRESH_EXPIRY",
        "long",
        "`accounts.refresh_expiry`",
    );
    alone("HTTP__IN_FLIGHT_LIMIT", "much", "`http.in_flight_limit`");
    alone("RETENTION__MESSAGES", "long", "`retention.messages`");
    alone("SHUTDOWN__BUDGET", "soon", "`shutdown.budget`");
    alone("STREAMS__OTP__RETRY", "often", "`streams.otp.retry`");
    check(
        &Place::new(&[("POSTHASTE__ROLES", "")]),
        &["error[E0308]: roles: at least one is needed"],
    );
    check(
        &Place::new(&[("POSTHASTE__STREAMS__OTP__RETRY", "")]),
        &["error[E0305]: POSTHASTE__STREAMS__OTP__RETRY  `streams.otp.retry`: at least one wait"],
    );
    check(
        &Place::new(&[
            ("POSTHASTE_ENVIRONMENT", "production"),
            ("DATABASE_URL", "mysql://x"),
        ])
        .file(&PRODUCTION.replace("data_dir", "# data_dir")),
        &["error[E0305]: DATABASE_URL  `database.url`: expected sqlite:PATH"],
    );
}

#[test]
fn problems_stand_in_the_order_of_their_lines() {
    let place = Place::new(&[]).file("\n[http]\nport = 70000\n\n\n\n\n\n\n\n[nosuch]\nb = 1\n");
    let problems = place.problems();
    let places: Vec<&str> = problems
        .iter()
        .filter_map(|problem| problem.split_whitespace().nth(1))
        .collect();
    assert_eq!(places, ["posthaste.toml:3:1", "posthaste.toml:12:1"]);
}

#[test]
fn a_value_where_a_table_belongs_is_not_printed() {
    let place = Place::new(&[("POSTHASTE__KEYS__APP", "canary")]);
    let problems = place.problems();
    assert!(
        problems
            .iter()
            .any(|problem| problem.contains("`keys.app`: expected a table")),
        "{problems:#?}"
    );
    assert!(!problems.concat().contains("canary"), "{problems:#?}");
}

#[test]
fn a_stream_in_memory_has_its_bounds() {
    let place = |text: &str| Place::new(&[]).file(text);
    let settings = place(
        "[streams.preview]\ndurability = \"memory\"\ncapacity = 7\ncapacity_bytes = \"1 MiB\"\n\
         full_mode = \"drop_oldest\"\non_shutdown = \"drop\"\npermits = 3\n",
    )
    .settings();
    let bounds = |name: &str| {
        let mut streams = settings.streams.iter();
        let stream = streams.find(|stream| stream.name.as_str() == name);
        stream.expect("it is configured").in_memory()
    };
    let expected = MemoryBounds {
        capacity: 7,
        bytes: 1 << 20,
        full: WhenFull::DropOldest,
        unsent: Unsent::Drop,
        permits: 3,
    };
    assert_eq!(bounds("preview"), Some(expected));
    assert_eq!(bounds("transactional"), None);
    check(
        &place("[streams.preview]\ndurability = \"ram\"\ncapacity = 0\nfull_mode = \"block\"\n"),
        &[
            "error[E0305]: posthaste.toml:2:1  `streams.preview.durability` = \"ram\": expected one of durable, memory",
            "error[E0305]: posthaste.toml:3:1  `streams.preview.capacity` = \"0\": expected an integer from 1",
            "error[E0305]: posthaste.toml:4:1  `streams.preview.full_mode` = \"block\": expected one of wait, drop_newest",
        ],
    );
}

#[test]
fn account_mails_are_not_kept_in_memory() {
    let memory = "[streams.transactional]\ndurability = \"memory\"\n";
    check(
        &Place::new(&[]).file(memory),
        &["error[E0308]: accounts.stream: stream `transactional` is kept in memory"],
    );
    let apart =
        format!("{memory}[streams.otp]\ndurability = \"durable\"\n[accounts]\nstream = \"otp\"\n");
    Place::new(&[]).file(&apart).settings();
}

#[test]
fn what_is_counted_in_the_database_is_not_for_streams_in_memory() {
    let place = |limit: &str| {
        let text = format!("[streams.preview]\ndurability = \"memory\"\n{limit}\n");
        Place::new(&[]).file(&text)
    };
    for limit in ["rate = \"14/s\"", "concurrency = 3"] {
        check(
            &place(limit),
            &[
                "error[E0308]: stream `preview` is kept in memory, and its rate and concurrency would be counted",
            ],
        );
    }
    place("").settings();
}
