//! Ready jobs are given out.

use posthaste_queue::{BootId, ClaimedJob, Fence, JobId, JobMeta, Lane, Lease, Rank, SharedLimits};
use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, DbErr, QueryResult, Value};

use crate::{
    convert::{count, lane},
    sql::{Words, statement},
    writer::Unit,
};

/// What is claimed of one lane.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    pub(crate) lane: Lane,
    pub(crate) limit: usize,
    /// Jobs below it are not looked for.
    pub(crate) from: Rank,
    pub(crate) shared: SharedLimits,
}

/// The lane is not paused.
const RUNNING: &str = "lane NOT IN (SELECT lanes.lane FROM lanes WHERE lanes.paused)";

/// Which of these lanes have a ready job. Most polls find none, and a read tells so without a turn of the writer.
pub(crate) async fn ready_lanes(
    connection: &DatabaseConnection,
    wanted: Vec<Wanted>,
) -> Result<Vec<Wanted>, DbErr> {
    if wanted.is_empty() {
        return Ok(wanted);
    }
    let each = "EXISTS (SELECT 1 FROM jobs WHERE state = 'ready' AND lane = ? AND rank >= ? ORDER BY rank LIMIT 1)";
    let asked = format!("SELECT {}", vec![each; wanted.len()].join(", "));
    let values = wanted
        .iter()
        .flat_map(|wanted| [Value::from(wanted.lane.as_str()), wanted.from.0.into()]);
    let asked = statement(
        connection.get_database_backend(),
        &asked,
        values.collect::<Vec<_>>(),
    );
    let Some(row) = connection.query_one_raw(asked).await? else {
        return Ok(Vec::new());
    };
    let mut ready = Vec::new();
    for (index, wanted) in wanted.into_iter().enumerate() {
        if row.try_get_by_index(index)? {
            ready.push(wanted);
        }
    }
    Ok(ready)
}

/// Gives out at most `limit` ready jobs of one lane, the lowest rank first, and says what the highest one was.
pub(crate) async fn claim(
    unit: &mut Unit<'_>,
    boot: BootId,
    wanted: &Wanted,
    limit: usize,
) -> Result<(Vec<ClaimedJob>, Option<Rank>), DbErr> {
    if limit == 0 {
        return Ok((Vec::new(), None));
    }
    let values = [
        wanted.lane.as_str().into(),
        wanted.from.0.into(),
        i64::try_from(limit).unwrap_or(i64::MAX).into(),
        boot.as_uuid().into(),
    ];
    // A sum, so that SQLite does not plan anew for each number.
    let sql = lease_sql(
        unit.backend,
        &format!(
            "state = 'ready' AND lane = ? AND rank >= ? AND {RUNNING} ORDER BY rank, id LIMIT 0 + ?"
        ),
    );
    let rows = unit.txn.query_all_raw(unit.statement(&sql, values)).await?;
    let mut claimed = Vec::with_capacity(rows.len());
    for row in &rows {
        claimed.push((Rank(row.try_get("", "rank")?), claimed_job(row, boot)?));
    }
    // `RETURNING` promises no order.
    claimed.sort_by_key(|(rank, job)| (*rank, job.meta.id));
    let highest = claimed.last().map(|(rank, _)| *rank);
    if let Some(rank) = highest {
        unit.book.gave_out(&wanted.lane, rank);
    }
    Ok((claimed.into_iter().map(|(_, job)| job).collect(), highest))
}

/// Gives out one suspect job, if there is one in these lanes.
pub(crate) async fn claim_suspect(
    unit: &Unit<'_>,
    boot: BootId,
    lanes: &[Lane],
) -> Result<Option<ClaimedJob>, DbErr> {
    let mut values: Vec<Value> = lanes.iter().map(|lane| lane.as_str().into()).collect();
    values.push(boot.as_uuid().into());
    let places = vec!["?"; lanes.len()].join(", ");
    let sql = lease_sql(
        unit.backend,
        &format!(
            "state = 'suspect' AND lane IN ({places}) AND {RUNNING} ORDER BY rank, id LIMIT 1"
        ),
    );
    let row = unit.txn.query_one_raw(unit.statement(&sql, values)).await?;
    row.map(|row| claimed_job(&row, boot)).transpose()
}

/// On PostgreSQL, rows that another node is taking are passed over, not waited for.
fn lease_sql(backend: DbBackend, which: &str) -> String {
    format!(
        "WITH wanted AS (SELECT id FROM jobs WHERE {which}{}) \
         UPDATE jobs SET state = 'leased', boot_id = ?, fence = fence + 1, attempts = attempts + 1 \
         WHERE id {} \
         RETURNING id, lane, kind, payload, attempts, crashes, fence, rank, tenant",
        backend.skip_taken(),
        backend.one_of("SELECT id FROM wanted")
    )
}

fn claimed_job(row: &QueryResult, boot: BootId) -> Result<ClaimedJob, DbErr> {
    let id = JobId::from_uuid(row.try_get("", "id")?);
    let meta = JobMeta {
        id,
        lane: lane(&row.try_get::<String>("", "lane")?)?,
        kind: row.try_get("", "kind")?,
        attempt: count(row.try_get("", "attempts")?),
        crashes: count(row.try_get("", "crashes")?),
        tenant: row.try_get("", "tenant")?,
    };
    let lease = Lease {
        job: id,
        fence: Fence(row.try_get("", "fence")?),
        boot,
    };
    Ok(ClaimedJob {
        lease,
        meta,
        payload: row.try_get("", "payload")?,
    })
}
