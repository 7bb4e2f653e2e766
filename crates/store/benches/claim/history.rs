//! A history of finished mail: one that was really accepted, sent and settled, and as many like it as are wanted. The
//! columns are read from the tables, so that a new one needs no word here.

use std::time::{Duration, Instant};

use posthaste_domain::{
    clock::{Clock, SystemClock},
    delivery::{AttemptRun, Class, DeliveryReport, DeliveryResult, DeliveryState, Reply, Stage},
    stores::MessageStore,
};
use posthaste_queue::{BootId, ClaimRequest, LaneDemand, Queue, Settlement, SharedLimits, Verdict};
use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, Statement};

use crate::{
    print,
    yard::{Yard, lane, message},
};

/// A table, and the columns in which its rows differ.
struct Table {
    name: &'static str,
    differ: &'static [(&'static str, Value)],
}

#[derive(Clone, Copy)]
enum Value {
    /// A new id.
    Fresh,
    /// The id of the message that the row belongs to.
    OfMessage,
    /// Given by the table.
    Given,
}

const TABLES: &[Table] = &[
    Table {
        name: "message_bodies",
        differ: &[("message_id", Value::OfMessage)],
    },
    Table {
        name: "deliveries",
        differ: &[("id", Value::Fresh), ("message_id", Value::OfMessage)],
    },
    Table {
        name: "attempts",
        differ: &[
            ("id", Value::Given),
            ("message_id", Value::OfMessage),
            ("delivery_id", Value::Fresh),
        ],
    },
];

/// Makes so many finished mails.
pub(crate) async fn fill(yard: &Yard, mails: u64) {
    finish_one(yard).await;
    let began = Instant::now();
    let connection = yard.connect().await;
    let numbers = match connection.get_database_backend() {
        DbBackend::Postgres => format!("generate_series(2, {mails})"),
        _ => format!(
            "(WITH RECURSIVE n (i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n LIMIT {}) SELECT i FROM n) AS numbers",
            mails - 1
        ),
    };
    let like = "(SELECT * FROM messages LIMIT 1) AS t";
    let messages = copy(&connection, "messages", &[("id", Value::Fresh)]).await;
    run(&connection, &format!("{messages} FROM {like}, {numbers}")).await;
    for Table { name, differ } in TABLES {
        let rows = copy(&connection, name, differ).await;
        let like = format!("(SELECT * FROM {name} LIMIT 1) AS t");
        run(
            &connection,
            &format!("{rows} FROM {like} JOIN messages AS m ON m.id <> t.message_id"),
        )
        .await;
    }
    connection.close().await.expect("a connection closes");
    print(&format!(
        "made {mails} finished mails in {:.0} s",
        began.elapsed().as_secs_f64()
    ));
}

async fn run(connection: &DatabaseConnection, sql: &str) {
    let ran = connection.execute_unprepared(sql).await;
    ran.expect("rows can be copied");
}

/// `INSERT INTO table (columns) SELECT …`, up to its `FROM`.
async fn copy(connection: &DatabaseConnection, table: &str, differ: &[(&str, Value)]) -> String {
    let backend = connection.get_database_backend();
    let fresh = match backend {
        DbBackend::Postgres => "gen_random_uuid()",
        _ => "randomblob(16)",
    };
    let one = Statement::from_string(backend, format!("SELECT * FROM {table} LIMIT 1"));
    let row = connection
        .query_one_raw(one)
        .await
        .expect("the table is there");
    let columns = row.expect("one mail was finished").column_names();
    let mut names = Vec::new();
    let mut values = Vec::new();
    for column in columns {
        let value = match differ.iter().find(|(name, _)| *name == column) {
            Some((_, Value::Given)) => continue,
            Some((_, Value::Fresh)) => fresh.to_owned(),
            Some((_, Value::OfMessage)) => "m.id".to_owned(),
            None => format!("t.\"{column}\""),
        };
        names.push(format!("\"{column}\""));
        values.push(value);
    }
    format!(
        "INSERT INTO {table} ({}) SELECT {}",
        names.join(", "),
        values.join(", ")
    )
}

/// A mail on its whole way through the store.
async fn finish_one(yard: &Yard) {
    let message = message();
    let (id, delivery) = (message.id, message.deliveries[0].id);
    yard.store
        .accept(message, None)
        .await
        .expect("the store answers");
    let boot = BootId::random();
    yard.store.join(boot).await.expect("a node can join");
    let demand = LaneDemand {
        lane: lane(),
        limit: 1,
        shared: SharedLimits::default(),
    };
    let request = ClaimRequest {
        boot,
        lanes: vec![demand],
    };
    let claimed = yard.store.claim(request).await.expect("the queue answers");
    let reply = Reply {
        stage: Stage::Dot,
        class: Class::Accepted,
        code: Some(250),
        enhanced: None,
        retry_after: None,
        text: "2.0.0 Ok: queued as 4B7A61F3C2".to_owned(),
    };
    let report = || DeliveryReport {
        message: id,
        run: Some(AttemptRun {
            started_at: SystemClock.now(),
            duration: Duration::from_millis(12),
            transport: "relay".to_owned(),
            remote: Some("192.0.2.1:25".to_owned()),
            body_hash: None,
            transcript: None,
        }),
        results: vec![DeliveryResult {
            delivery,
            state: DeliveryState::Delivered,
            reply: Some(reply.clone()),
            next_attempt: None,
            doubt: None,
        }],
    };
    let done = claimed.jobs.into_iter().map(|job| Settlement {
        lease: job.lease,
        verdict: Verdict::Done,
        effects: Some(report()),
    });
    yard.store
        .settle(done.collect())
        .await
        .expect("the queue answers");
    yard.store.leave(boot).await.expect("a node can leave");
}
