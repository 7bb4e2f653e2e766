//! A claim after many jobs have gone by, beside a transaction that somebody has left open: none of the rows that were
//! settled meanwhile can be removed by the database, and a claim that begins at the first row reads past all of them.

use sea_orm::{ConnectionTrait, DatabaseConnection};

use crate::{
    Times, print,
    yard::{BATCH, Server, Yard},
};

/// Batches of each end that are compared.
const END: usize = 50;

/// Puts in and ends so many jobs, on a database with an open transaction and on one without, in turn.
pub(crate) async fn measure(server: &Server, jobs: usize) {
    let (beside, alone) = (Yard::on(server).await, Yard::on(server).await);
    for yard in [&beside, &alone] {
        yard.push(BATCH * 10).await;
    }
    let open = leave_open(&beside).await;
    let batches = jobs / BATCH;
    let mut ends: [(Times, Times); 2] = Default::default();
    for batch in 0..batches {
        for (yard, (first, last)) in [&beside, &alone].into_iter().zip(&mut ends) {
            let took = yard.claim_and_settle().await;
            if batch < END {
                first.add(took);
            } else if batch + END >= batches {
                last.add(took);
            }
            yard.push(BATCH).await;
        }
    }
    open.execute_unprepared("ROLLBACK")
        .await
        .expect("the transaction is still open");
    print(&format!(
        "\n{server}: ms a batch of {BATCH} claimed and settled, {jobs} jobs gone by"
    ));
    for ((first, last), what) in ends
        .iter()
        .zip(["beside an open transaction", "without one"])
    {
        print(&format!(
            "{what:>28}: first {END} {first}, last {END} {last}, ratio {:.2}",
            last.at(50) / first.at(50)
        ));
    }
    open.close().await.expect("a connection closes");
    for yard in [beside, alone] {
        yard.remove().await;
    }
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
