//! The queue's contract on the database of this run.

use std::sync::{Arc, Mutex};

use posthaste_queue::contract;

use crate::support::Bench;

/// P10. The same cases as every other backend.
#[tokio::test]
async fn the_durable_queue_passes_the_contract() {
    // The folders live as long as the test: each case has a database of its own.
    let benches = Arc::new(Mutex::new(Vec::new()));
    let cases = contract::run_all(|| {
        let benches = Arc::clone(&benches);
        async move {
            let bench = Bench::new().await;
            let store = Arc::clone(&bench.store);
            benches.lock().expect("no case panicked").push(bench);
            store
        }
    })
    .await;
    assert!(cases >= 18, "{cases} cases");
}
