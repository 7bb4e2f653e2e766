//! An axum application that registers a customer and enqueues the welcome in one transaction: there is no customer
//! without a mail and no mail without a customer, whatever is killed when. It shares the database with the mail desk,
//! which sends what was committed. `cargo run -q -p posthaste-composition --example outbox`, and then
//! `curl -i localhost:8080/register -d ada@example.com`; `DATABASE_URL=postgres://…` takes PostgreSQL in place of SQLite.

use std::{collections::BTreeMap, error::Error, path::Path, process::ExitCode};

use axum::{Router, extract::State, http::StatusCode, routing::post};
use posthaste_composition::{Migrate, Outbox, Settings, compose, settings::Sources};
use posthaste_domain::message::{Content, Draft, DraftContent, Recipients};
use posthaste_host::{HostBuilder, service_fn};
use posthaste_store::sea_orm::{ConnectionTrait, DatabaseConnection, Statement};
use tokio::net::TcpListener;
use tracing::error;

type Failure = Box<dyn Error + Send + Sync>;

/// The application's own table, in the mail desk's database.
const TABLE: &str = "CREATE TABLE IF NOT EXISTS customers (email TEXT PRIMARY KEY)";
const INSERT: &str = "INSERT INTO customers (email) VALUES ($1) ON CONFLICT DO NOTHING";

#[derive(Clone)]
struct Shop {
    outbox: Outbox,
    database: DatabaseConnection,
}

async fn register(State(shop): State<Shop>, email: String) -> StatusCode {
    let Ok(welcome) = welcome(&email) else {
        return StatusCode::UNPROCESSABLE_ENTITY;
    };
    match shop.register(&email, welcome).await {
        Ok(true) => StatusCode::CREATED,
        Ok(false) => StatusCode::CONFLICT,
        Err(error) => {
            error!(error, "a customer was not registered");
            StatusCode::SERVICE_UNAVAILABLE
        }
    }
}

impl Shop {
    /// `false` if the customer is known. Leaving early drops the transaction, and what was written in it.
    async fn register(&self, email: &str, welcome: Draft) -> Result<bool, Failure> {
        let txn = self.outbox.begin(&self.database).await?;
        let backend = txn.get_database_backend();
        let insert = Statement::from_sql_and_values(backend, INSERT, [email.into()]);
        if txn.execute_raw(insert).await?.rows_affected() == 0 {
            return Ok(false);
        }
        let (_id, enqueued) = self.outbox.enqueue_in(&txn, welcome).await?;
        txn.commit().await?;
        enqueued.committed();
        Ok(true)
    }
}

fn welcome(email: &str) -> Result<Draft, Failure> {
    let content = Content::Inline {
        subject: "Welcome".parse()?,
        html: None,
        text: Some("Hello!".to_owned()),
    };
    let to = Recipients::one(email.parse()?);
    let (owner, stream) = ("shop".parse()?, "transactional".parse()?);
    Ok(Draft {
        from: Some("Shop <shop@example.com>".parse()?),
        ..Draft::new(owner, stream, to, DraftContent::Inline(content))
    })
}

/// The mail desk's services, and behind them the application's, which stops first.
async fn application(
    variables: BTreeMap<String, String>,
    listener: TcpListener,
) -> Result<HostBuilder, Failure> {
    let sources = Sources {
        variables,
        ..Sources::default()
    };
    let loaded = Settings::load(&sources).map_err(|problems| format!("{problems:?}"))?;
    let mut desk = compose(&loaded.settings, Migrate::Apply, Path::new("")).await?;
    let outbox = desk.outbox.clone();
    let database = outbox.connect(4).await?;
    database.execute_unprepared(TABLE).await?;
    let routes = Router::new().route("/register", post(register));
    let shop = Shop { outbox, database };
    let api = service_fn("api", |ready, stop| async move {
        ready.ready();
        let database = shop.database.clone();
        let serving = axum::serve(listener, routes.with_state(shop));
        serving
            .with_graceful_shutdown(async move { stop.requested().await })
            .await?;
        Ok(database.close().await?)
    });
    Ok(desk.host(&loaded.settings).service(api))
}

#[tokio::main]
async fn main() -> Result<ExitCode, Failure> {
    tracing_subscriber::fmt().init();
    let listener = TcpListener::bind("localhost:8080").await?;
    let host = application(std::env::vars().collect(), listener).await?;
    Ok(host.build().run().await?.exit_code().into())
}

#[cfg(test)]
#[path = "../../../tests/support/eventually.rs"]
mod eventually;

#[cfg(test)]
mod tests {
    use std::{fs, time::Duration};

    use posthaste_host::{Signals, Stop};
    use posthaste_store::sea_orm::Database;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpStream,
        task::spawn_blocking,
    };

    use super::{eventually::eventually, *};

    async fn ask(place: std::net::SocketAddr, email: &str) -> u16 {
        let mut stream = TcpStream::connect(place).await.unwrap();
        let length = email.len();
        let request = format!(
            "POST /register HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{email}"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer[9..12].parse().unwrap()
    }

    /// Each customer once and each with one mail, on the database at `url`.
    async fn check(folder: &Path, url: String) {
        let variables = [
            ("POSTHASTE__DATA_DIR", folder.display().to_string()),
            ("POSTHASTE__ROLES", "worker".to_owned()),
            ("DATABASE_URL", url.clone()),
            // Nobody waits for a poll.
            ("POSTHASTE__QUEUE__POLL", "60 s".to_owned()),
        ];
        let variables = variables.map(|(name, value)| (name.to_owned(), value));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let place = listener.local_addr().unwrap();
        let host = application(variables.into(), listener).await.unwrap();
        let stop = Stop::new();
        let host = host.signals(Signals::None).stop(stop.clone());
        let mail = folder.join("mail");
        let customers = async {
            let mut answers = Vec::new();
            for email in [
                "ada@example.com",
                "ada@example.com",
                "ada",
                "bob@example.com",
            ] {
                answers.push(ask(place, email).await);
            }
            let waiting = spawn_blocking(move || {
                eventually("two mails", Duration::from_secs(10), || {
                    let files = fs::read_dir(&mail).ok()?.filter_map(Result::ok);
                    let mails =
                        files.filter(|file| file.path().extension().is_some_and(|e| e == "eml"));
                    (mails.count() == 2).then_some(())
                });
            });
            let waited = waiting.await;
            stop.request();
            waited.unwrap();
            answers
        };
        let (stopped, answers) = tokio::join!(host.build().run(), customers);
        assert_eq!(answers, [201, 409, 422, 201]);
        assert_eq!(stopped.unwrap().exit_code(), 0);
        let database = Database::connect(url).await.unwrap();
        let counted = "SELECT (SELECT count(*) FROM customers), (SELECT count(*) FROM messages)";
        let counted = Statement::from_string(database.get_database_backend(), counted);
        let row = database.query_one_raw(counted).await.unwrap().unwrap();
        let count = |column| row.try_get_by_index::<i64>(column).unwrap();
        assert_eq!((count(0), count(1)), (2, 2));
        database.close().await.unwrap();
    }

    #[tokio::test]
    async fn a_customer_and_the_welcome_become_true_together() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("shop.db");
        check(folder.path(), format!("sqlite:{}", file.display())).await;
    }

    #[tokio::test]
    async fn a_customer_and_the_welcome_become_true_together_on_postgresql() {
        let server = std::env::vars().find(|(name, _)| name == "TEST_DATABASE_URL");
        let Some((_, server)) = server else { return };
        let name = format!("x{}", uuid::Uuid::new_v4().simple());
        let admin = Database::connect(format!("{server}/postgres"))
            .await
            .unwrap();
        let create = format!("CREATE DATABASE {name}");
        admin.execute_unprepared(&create).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        check(folder.path(), format!("{server}/{name}")).await;
    }
}
