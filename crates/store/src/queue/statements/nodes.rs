//! Nodes come, leave, or are found dead at the start.

use posthaste_domain::clock::Clock;
use posthaste_queue::{BootId, Fence, JobId};
use sea_orm::{
    ActiveValue::Set, ConnectionTrait, DatabaseConnection, DbBackend, DbErr, EntityTrait,
    QueryResult, TransactionTrait,
};

use super::{crashed, given_back, quarantine};
use crate::{convert::micros, entity::nodes, sql::statement, writer::Unit};

/// Takes back the jobs of every process that held some, and counts a crash for each. Only for the holder of the file
/// lock: nobody else is alive then.
pub(crate) async fn recover_orphans(
    connection: &DatabaseConnection,
    clock: &dyn Clock,
) -> Result<u64, DbErr> {
    let now = micros(clock.now());
    let txn = connection.begin().await?;
    let free = format!(
        "UPDATE jobs SET {} WHERE state = 'leased'",
        crashed(DbBackend::Sqlite)
    );
    let freed = statement(DbBackend::Sqlite, &free, []);
    let recovered = txn.execute_raw(freed).await?.rows_affected();
    while quarantine(&txn, DbBackend::Sqlite, now).await? > 0 {}
    let left = statement(
        DbBackend::Sqlite,
        "UPDATE nodes SET left_at = ? WHERE left_at IS NULL",
        [now.into()],
    );
    txn.execute_raw(left).await?;
    txn.commit().await?;
    Ok(recovered)
}

pub(crate) async fn join(unit: &Unit<'_>, boot: BootId) -> Result<(), DbErr> {
    let row = nodes::ActiveModel {
        boot_id: Set(boot.as_uuid()),
        joined_at: Set(micros(unit.now)),
        left_at: Set(None),
        beat: Set(0),
        controls: Set(unit.controls.version().0),
    };
    nodes::Entity::insert(row)
        .exec_without_returning(unit.txn)
        .await?;
    Ok(())
}

pub(crate) async fn leave(unit: &mut Unit<'_>, boot: BootId) -> Result<(), DbErr> {
    unit.put_down_ranks().await?;
    let free = format!(
        "UPDATE jobs SET {} WHERE state = 'leased' AND boot_id = ?",
        given_back(unit.backend)
    );
    let freed = unit.statement(&free, [boot.as_uuid().into()]);
    unit.txn.execute_raw(freed).await?;
    let left = unit.statement(
        "UPDATE nodes SET left_at = ? WHERE boot_id = ? AND left_at IS NULL",
        [micros(unit.now).into(), boot.as_uuid().into()],
    );
    unit.txn.execute_raw(left).await?;
    Ok(())
}

/// What a node holds by these books.
pub(crate) async fn held(
    connection: &DatabaseConnection,
    boot: BootId,
) -> Result<Vec<(JobId, Fence)>, DbErr> {
    let asked = statement(
        connection.get_database_backend(),
        "SELECT id, fence FROM jobs WHERE state = 'leased' AND boot_id = ?",
        [boot.as_uuid().into()],
    );
    let lease = |row: &QueryResult| {
        let job = JobId::from_uuid(row.try_get_by_index(0)?);
        Ok((job, Fence(row.try_get_by_index(1)?)))
    };
    let rows = connection.query_all_raw(asked).await?;
    rows.iter().map(lease).collect()
}
