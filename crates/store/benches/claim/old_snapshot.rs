//! A claim after many jobs have gone by, beside a transaction that somebody has left open: none of the rows that were
//! settled meanwhile can be removed by the database, and a claim that begins at the first row reads past all of them.

use sea_orm::{ConnectionTrait, DatabaseConnection};

use crate::{
    Times, print,
    yard::{BATCH, Server, Yard},
};

/// Batches of each end that are compared.
const END: usize = 50;

/// Puts in and ends so many jobs without an open transaction, and then as many beside one. Not in turn: the snapshot of
/// an open transaction keeps the rows of its whole database, those of other schemas too.
pub(crate) async fn measure(server: &Server, jobs: usize) {
    print(&format!(
        "\n{server}: ms a batch of {BATCH} claimed and settled, {jobs} jobs gone by"
    ));
    let alone = Yard::on(server).await;
    pass("without an open transaction", &alone, jobs).await;
    alone.remove().await;
    let beside = Yard::on(server).await;
    let open = leave_open(&beside).await;
    pass("beside an open transaction", &beside, jobs).await;
    open.execute_unprepared("ROLLBACK")
        .await
        .expect("the transaction is still open");
    open.close().await.expect("a connection closes");
    beside.remove().await;
}

async fn pass(what: &str, yard: &Yard, jobs: usize) {
    yard.push(BATCH * 10).await;
    let batches = jobs / BATCH;
    let (mut first, mut last) = (Times::default(), Times::default());
    for batch in 0..batches {
        let took = yard.claim_and_settle().await;
        if batch < END {
            first.add(took);
        } else if batch + END >= batches {
            last.add(took);
        }
        yard.push(BATCH).await;
    }
    print(&format!(
        "{what:>28}: first {END} {first}, last {END} {last}, ratio {:.2}",
        last.at(50) / first.at(50)
    ));
}

/// A transaction that has read something and is then forgotten.
async fn leave_open(yard: &Yard) -> DatabaseConnection {
    let connection = yard.connect().await;
    for sql in [
        "BEGIN ISOLATION LEVEL REPEATABLE READ",
        "SELECT count(*) FROM jobs",
    ] {
        let ran = connection.execute_unprepared(sql).await;
        ran.expect("a transaction can be opened");
    }
    connection
}
