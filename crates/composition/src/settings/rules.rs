//! What must fit together: rules between sections, and values that follow from others.

use std::{path::Path, time::Duration};

use bytesize::ByteSize;
use posthaste_domain::stream::OnUncertain;
use secrecy::ExposeSecret;

use super::{
    Durability, Environment, Place, Role, Settings, Stream, TransportKind,
    notes::Notes,
    problem::{Code, Problem},
};

/// Longest life of a link that sets a password: whoever reads the mailbox later must not get in by an old mail.
const MAX_RESET_EXPIRY: Duration = Duration::from_secs(3600);
/// The key in `config/development.toml`.
const DEVELOPMENT_KEY: &str = "re_ph_dev";

impl Settings {
    /// Fills in what follows from other values, and checks what must fit together.
    pub(super) fn complete(&mut self, notes: &Notes) {
        self.place_data(notes);
        match self.environment {
            Environment::Development => self.check_development(notes),
            Environment::Production => self.check_production(notes),
        }
        self.check_streams(notes);
        let permits: usize = self.streams.iter().map(|stream| stream.permits).sum();
        if permits > self.queue.channel_capacity && notes.sound("queue.channel_capacity") {
            let message = format!(
                "queue.channel_capacity is {}, the streams have {permits} permits in all",
                self.queue.channel_capacity
            );
            notes.problem(Problem::new(Code::Conflict, "", message));
        }
        if self.http.in_flight_limit < self.http.body_limit && notes.sound("http.in_flight_limit") {
            let message = format!(
                "http.in_flight_limit is {}, a single body may have http.body_limit = {}",
                ByteSize(self.http.in_flight_limit),
                ByteSize(self.http.body_limit)
            );
            notes.problem(Problem::new(Code::Conflict, "", message));
        }
        let stop_is_sound = notes.sound("shutdown.finish") && notes.sound("shutdown.budget");
        if self.shutdown.finish >= self.shutdown.budget && stop_is_sound {
            notes.problem(Problem::new(
                Code::Conflict,
                "",
                "shutdown.finish must be shorter than shutdown.budget",
            ));
        }
        if self.clean_up.bodies > self.clean_up.messages && notes.sound("retention.messages") {
            notes.problem(Problem::new(
                Code::Conflict,
                "",
                "retention.bodies must not be longer than retention.messages",
            ));
        }
        if self.accounts.access_expiry > self.accounts.refresh_expiry
            && notes.sound("accounts.refresh_expiry")
        {
            notes.problem(Problem::new(
                Code::Conflict,
                "",
                "accounts.access_expiry must not be longer than accounts.refresh_expiry",
            ));
        }
        if self.accounts.reset_expiry > MAX_RESET_EXPIRY {
            notes.problem(Problem::new(
                Code::Conflict,
                "",
                "accounts.reset_expiry must not be longer than 1 h",
            ));
        }
        if self.roles.is_empty() && notes.sound("roles") {
            notes.problem(Problem::new(
                Code::Conflict,
                "",
                "roles: at least one is needed",
            ));
        }
    }

    /// Every node needs a folder, and a database; on SQLite either tells the other.
    fn place_data(&mut self, notes: &Notes) {
        let no_folder = self.data_dir.as_os_str().is_empty();
        match &mut self.database.place {
            Place::Sqlite(path) => {
                let told = !notes.sound("data_dir") || !notes.sound("database.url");
                if no_folder && path.as_os_str().is_empty() && !told {
                    let message = "there is no place for the data: set database.url (or DATABASE_URL), or data_dir";
                    notes.problem(Problem::new(Code::NoDataPlace, "", message));
                }
                if path.as_os_str().is_empty() {
                    *path = self.data_dir.join("posthaste.db");
                }
                if no_folder {
                    self.data_dir = path.parent().map(Path::to_owned).unwrap_or_default();
                }
            }
            Place::Postgres(_) => {
                // Nodes that do not share the key cannot send each other's account mails.
                if self.database.secret_key.is_none() && self.environment == Environment::Production
                {
                    let message = "on PostgreSQL every node needs the same database.secret_key (or secret_key_file)";
                    notes.problem(
                        Problem::new(Code::Missing, "", message)
                            .with_help("openssl rand -hex 32 > secret.key"),
                    );
                }
            }
        }
    }

    fn check_development(&self, notes: &Notes) {
        if !self.http.address.is_loopback() {
            let message = format!(
                "development listens on this machine only, not on {}",
                self.http.address
            );
            let problem = Problem::new(Code::Reachable, "", message);
            notes.problem(
                problem.with_help("set POSTHASTE_ENVIRONMENT=production to serve other machines"),
            );
        }
    }

    fn check_production(&self, notes: &Notes) {
        if self.http.public_url.is_empty() && notes.sound("http.public_url") {
            let message = "http.public_url must be given: links in mails are built from it (https://mail.example.com)";
            notes.problem(Problem::new(Code::Missing, "", message));
        }
        if self.roles.contains(&Role::Api) && self.keys.is_empty() && notes.sound("keys") {
            let message = "there is no API key: nobody could submit mail";
            let help = "add [keys.app] key_file = \"…\", owner = \"default\", scopes = [\"send\", \"read\"]";
            notes.problem(Problem::new(Code::Missing, "", message).with_help(help));
        }
        for key in &self.keys {
            if key.key.expose_secret() == DEVELOPMENT_KEY {
                let message = format!(
                    "keys.{} is the key that development ships with: everybody knows it",
                    key.name
                );
                notes.problem(Problem::new(Code::BadValue, "", message));
            }
        }
        for transport in &self.transports {
            let TransportKind::Mx(mx) = &transport.kind else {
                continue;
            };
            if mx.smtp.hello_name == "localhost" {
                let message = format!(
                    "transport `{}` must say this machine's name to the servers it sends to, not `localhost`",
                    transport.name
                );
                notes.problem(
                    Problem::new(Code::Missing, &transport.place, message).with_help(
                        "set hello_name to a name that leads back to this machine's address",
                    ),
                );
            }
        }
        for stream in &self.streams {
            let to_nobody = self.transports.iter().find(|transport| {
                stream.transports.contains(&transport.name)
                    && !matches!(
                        transport.kind,
                        TransportKind::Smtp(_) | TransportKind::Lmtp(_) | TransportKind::Mx(_)
                    )
            });
            if let Some(transport) = to_nobody {
                let message = format!(
                    "stream `{}` uses transport `{}`, which delivers to nobody",
                    stream.name, transport.name
                );
                let help = "add [transports.relay] kind = \"smtp\", host = \"…\" and name it in the stream";
                notes.problem(
                    Problem::new(Code::DeliversToNobody, &transport.place, message).with_help(help),
                );
            }
        }
    }

    fn check_streams(&self, notes: &Notes) {
        let sound = |stream: &&Stream| notes.sound(&format!("streams.{}.transport", stream.name));
        for stream in self.streams.iter().filter(sound) {
            let unknown = stream.transports.iter().filter(|name| {
                let mut known = self.transports.iter();
                !known.any(|transport| transport.name == **name)
            });
            let unknown = unknown.map(|name| {
                format!(
                    "stream `{}` uses transport `{name}`, which is not configured",
                    stream.name
                )
            });
            let none = stream.transports.is_empty();
            let none = none.then(|| format!("stream `{}` has no transport", stream.name));
            for message in unknown.chain(none) {
                notes.problem(
                    Problem::new(Code::Conflict, "", message)
                        .with_help("see [transports] in config/default.toml"),
                );
            }
        }
        for stream in &self.streams {
            let limited = stream.shared.at_once.is_some() || stream.shared.rate.is_some();
            if stream.durability == Durability::Memory && limited {
                let message = format!(
                    "stream `{}` is kept in memory, and its rate and concurrency would be counted in the database",
                    stream.name
                );
                let problem = Problem::new(Code::Conflict, "", message);
                notes.problem(problem.with_help("set rate = \"\" and concurrency = 0 for it"));
            }
            if stream.durability == Durability::Memory && stream.on_uncertain == OnUncertain::Hold {
                let message = format!(
                    "stream `{}` is kept in memory, and what it holds would be committed to the database",
                    stream.name
                );
                let problem = Problem::new(Code::Conflict, "", message);
                let help =
                    "set on_uncertain = \"resend\" for it: mail in memory is tried once anyhow";
                notes.problem(problem.with_help(help));
            }
        }
        let of_accounts = |stream: &&Stream| stream.name == self.accounts.stream;
        let of_accounts = self.streams.iter().find(of_accounts);
        if of_accounts.is_some_and(|stream| stream.durability == Durability::Memory) {
            let message = format!(
                "accounts.stream: stream `{}` is kept in memory, and a link that is lost opens no account",
                self.accounts.stream
            );
            let problem = Problem::new(Code::Conflict, "", message);
            notes.problem(problem.with_help("set its durability to \"durable\", or name another"));
        }
        if of_accounts.is_none() {
            let message = format!(
                "accounts.stream: there is no stream `{}`",
                self.accounts.stream
            );
            notes.problem(Problem::new(Code::Conflict, "", message));
        }
    }
}
