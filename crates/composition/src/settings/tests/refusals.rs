//! What is refused, and what the refusals say.

use super::*;

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
fn a_server_is_not_used_in_a_way_that_cannot_be_meant() {
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
        &relay("rate = \"fast\"\ndomain_rate = \"0/s\"\ndomain_concurrency = 1001\n"),
        &[
            "error[E0305]: posthaste.toml:4:1  `transports.relay.rate` = \"fast\": expected a rate such as",
            "error[E0305]: posthaste.toml:5:1  `transports.relay.domain_rate` = \"0/s\": expected a rate such as",
            "error[E0305]: posthaste.toml:6:1  `transports.relay.domain_concurrency` = \"1001\": expected an integer from 0 to 1000",
        ],
    );
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
