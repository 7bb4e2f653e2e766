//! `posthaste serve`: binds, puts the services together, runs them, and tells a developer what there is.

use std::{net::SocketAddr, path::Path, sync::Arc, time::Instant};

use posthaste_composition::{
    Composed, Migrate, compose,
    settings::{Environment, Layout, Loaded, Place, Role, Settings, Transport, TransportKind},
    telemetry,
};
use posthaste_host::{HostError, ProcessSignals, Signals};
use secrecy::ExposeSecret;
use tokio::net::TcpListener;
use tracing::info;

use crate::{
    cli::{Serve, say},
    failure::Failure,
    rates::KeyLimit,
    router::router,
    server::ApiServer,
    state::{AppState, Hosts, Limits, Parts},
};

/// Serves until a signal or a failure ends it, and gives the exit code.
///
/// # Errors
/// [`Failure`] if it could not start.
pub async fn serve(mut loaded: Loaded, options: &Serve, working_dir: &Path) -> Result<u8, Failure> {
    let began = Instant::now();
    // From here on a signal stops in order; before, nothing has been done that would need it.
    let signals = ProcessSignals::listen().map_err(HostError::Signals)?;
    telemetry::init(&loaded.settings.log).map_err(Failure::Telemetry)?;
    info!("starting");
    let listener = listen(&mut loaded.settings).await?;
    let migrate = if options.no_migrate {
        Migrate::Refuse
    } else {
        Migrate::Apply
    };
    let mut composed = compose(&loaded.settings, migrate, working_dir).await?;
    let settings = &loaded.settings;
    let host = composed.host(settings).signals(Signals::Listening(signals));
    let readiness = Arc::clone(&composed.readiness);
    let lines =
        (settings.environment == Environment::Development).then(|| banner(&loaded, &composed));
    let host = match listener {
        None => host,
        Some(listener) => {
            let routes = router(AppState::new(parts(&composed, settings)));
            host.service(ApiServer::new(
                listener,
                routes,
                Arc::clone(&composed.readiness),
                settings.shutdown.announce,
            ))
        }
    };
    let roles: Vec<_> = settings.roles.iter().map(|role| role.as_str()).collect();
    let roles = roles.join(",");
    let host = host.on_started(move || {
        readiness.started();
        info!(
            roles,
            environment = loaded.settings.environment.as_str(),
            "started"
        );
        if let Some(lines) = lines {
            say(&lines);
            say(&format!(
                "ready in {:.1} s · roles {roles} · Ctrl-C stops",
                began.elapsed().as_secs_f32()
            ));
        }
    });
    let stopped = host.build().run().await?;
    info!(aborted = ?stopped.aborted, forced = stopped.forced, "stopped");
    Ok(stopped.exit_code())
}

/// What the routes work with.
pub(crate) fn parts(composed: &Composed, settings: &Settings) -> Parts {
    let bytes = |size: u64| usize::try_from(size).unwrap_or(usize::MAX);
    Parts {
        desk: Arc::clone(&composed.desk),
        messages: Arc::clone(&composed.messages),
        lists: Arc::clone(&composed.lists),
        attachments: Arc::clone(&composed.attachments),
        writer: Arc::clone(&composed.writer),
        decisions: Arc::clone(&composed.decisions),
        operator: Arc::clone(&composed.operator),
        streams: settings
            .streams
            .iter()
            .map(|stream| stream.name.clone())
            .collect(),
        accounts: Arc::clone(&composed.accounts),
        keys: Arc::clone(&composed.keys),
        key_limit: settings.http.key_rate.map(|rate| KeyLimit {
            rate,
            burst: settings.http.key_burst,
        }),
        clock: Arc::clone(&composed.clock),
        stored_keys: Arc::clone(&composed.stored_keys),
        readiness: Arc::clone(&composed.readiness),
        default_stream: settings.accounts.stream.clone(),
        bodies_kept: settings.clean_up.bodies,
        public_url: settings.http.public_url.trim_end_matches('/').to_owned(),
        limits: Limits {
            body: bytes(settings.http.body_limit),
            bodies_in_flight: bytes(settings.http.in_flight_limit),
            request: settings.http.request_timeout,
        },
        hosts: match settings.environment {
            Environment::Development => Hosts::Loopback,
            Environment::Production => Hosts::Any,
        },
        trusted_proxies: settings.http.trusted_proxies.clone(),
    }
}

/// Binds before anything else is done, so that a taken port changes nothing; links in development lead to the port that
/// was given.
async fn listen(settings: &mut Settings) -> Result<Option<TcpListener>, Failure> {
    if !settings.roles.contains(&Role::Api) {
        return Ok(None);
    }
    let wanted = SocketAddr::new(settings.http.address, settings.http.port);
    let listener = TcpListener::bind(wanted)
        .await
        .map_err(|error| match error.kind() {
            std::io::ErrorKind::AddrInUse => Failure::PortTaken(wanted),
            _ => Failure::Listen(wanted, error),
        })?;
    let bound = listener
        .local_addr()
        .map_err(|error| Failure::Listen(wanted, error))?;
    if settings.http.public_url.is_empty() {
        settings.http.public_url = format!("http://localhost:{}", bound.port());
    }
    Ok(Some(listener))
}

/// What a developer sees first: where everything is, and commands to copy. Only what exists is named.
fn banner(loaded: &Loaded, composed: &Composed) -> String {
    let settings = &loaded.settings;
    let url = &settings.http.public_url;
    let mut lines = vec![format!(
        "posthaste {} · {} · data {} · {}",
        env!("CARGO_PKG_VERSION"),
        settings.environment.as_str(),
        place(settings),
        loaded.layers,
    )];
    let key = settings
        .keys
        .first()
        .map(|key| key.key.expose_secret().to_owned());
    if settings.roles.contains(&Role::Api) {
        let shown = key.as_ref().map_or_else(
            || "no key is configured".to_owned(),
            |key| format!("key {key} (development only)"),
        );
        lines.push(format!("  API        {url}    {shown}"));
    }
    lines.push(format!("  Templates  {} loaded", composed.templates));
    let used = settings.transports.iter().filter(|transport| {
        let mut streams = settings.streams.iter();
        streams.any(|stream| stream.transports.contains(&transport.name))
    });
    let used: Vec<_> = used.collect();
    let stays = |used: &&Transport| {
        matches!(
            used.kind,
            TransportKind::File { .. } | TransportKind::Memory
        )
    };
    let all_stays = used.iter().all(stays);
    lines.extend(used.into_iter().map(|used| {
        let note = if all_stays {
            "; nothing leaves this machine"
        } else {
            ""
        };
        format!("  Mail       {}{note}", way_out(settings, &used.kind))
    }));
    if let Some(to) = &settings.redirect_all {
        lines.push(format!(
            "  REDIRECTED every mail goes to {to} (redirect_all), whoever it is for"
        ));
    }
    if let Some(key) = key.filter(|_| settings.roles.contains(&Role::Api)) {
        lines.push(format!(
            "Try:\n  curl {url}/api/users/register -H 'Content-Type: application/json' \\\n       \
             -d '{{\"email\":\"ada@example.com\",\"display_name\":\"Ada\",\"password\":\"correct horse battery\"}}'\n  \
             curl {url}/emails -H 'Authorization: Bearer {key}' -H 'Content-Type: application/json' \\\n       \
             -d '{{\"from\":\"app@example.com\",\"to\":\"ada@example.com\",\"subject\":\"hi\",\"html\":\"<b>it works</b>\"}}'\n  \
             curl {url}/emails/ID/deliveries -H 'Authorization: Bearer {key}'"
        ));
    }
    lines.join("\n")
}

/// Where the data is. The URL of a server holds a password and is not shown.
fn place(settings: &Settings) -> String {
    match &settings.database.place {
        Place::Sqlite(path) => format!("{} (SQLite, synced commits)", path.display()),
        Place::Postgres(_) => "in PostgreSQL (synced commits)".to_owned(),
    }
}

fn way_out(settings: &Settings, kind: &TransportKind) -> String {
    match kind {
        TransportKind::Smtp(smtp) | TransportKind::Lmtp(smtp) => match &smtp.socket {
            Some(socket) => format!("sent to {}", socket.display()),
            None => format!("sent to {}:{}", smtp.host, smtp.port),
        },
        TransportKind::Mx(_) => "sent to the servers of each domain".to_owned(),
        TransportKind::File { dir, layout } => {
            let folder = dir
                .clone()
                .unwrap_or_else(|| settings.data_dir.join("mail"));
            format!(
                "captured in {}",
                match layout {
                    Layout::Eml => folder.join("*.eml").display().to_string(),
                    Layout::Maildir => format!("{} (Maildir)", folder.display()),
                }
            )
        }
        TransportKind::Memory => "kept in memory until the process ends".to_owned(),
    }
}
