//! `posthaste bench accept`: how much of a server's rate is left once each mail is on disk before its answer. Three
//! servers take turns: the API with the store, the same API with a store that keeps nothing, and a bare one that only
//! reads the JSON.

use std::{net::SocketAddr, sync::Arc};

use axum::{Json, Router, routing::post};
use posthaste_composition::bench::{Ground, KEY, Node};
use posthaste_domain::stores::MessageStore;
use serde::Serialize;
use serde_json::Value;
use tokio::{net::TcpListener, task::JoinSet};

use super::{
    BenchError, Options,
    figures::{Memory, Percentiles, Spread, forget_peak, memory},
    load::{self, Load},
    nowhere::Nowhere,
    percent,
};
use crate::{
    router::router,
    serve::parts,
    state::{AppState, Parts},
};

/// Requests that open a server's connections and warm it up.
const WARM_UP: u64 = 500;
/// Length of the document that is posted, in bytes.
const BODY: usize = 1024;

/// What `bench accept` tells.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    requests: u64,
    in_flight: usize,
    rounds: Vec<Round>,
    /// The rate with the store, as a share of the same server's without.
    ratio: Spread,
    /// The same, of the bare server's.
    ratio_to_bare: Spread,
    /// Of the process, load generator included, with all accepted mails pending.
    memory: Memory,
    pending: u64,
}

#[derive(Debug, Clone, Serialize)]
struct Round {
    bare: Run,
    no_store: Run,
    store: Run,
}

#[derive(Debug, Clone, Copy, Serialize)]
struct Run {
    per_s: f64,
    #[serde(flatten)]
    latency: Percentiles,
}

/// Measures on a node of `ground`.
///
/// # Errors
/// [`BenchError`].
pub(super) async fn run(ground: &Ground, options: &Options) -> Result<Report, BenchError> {
    let node = ground.node().await?;
    let measured = measure(&node, ground, options).await;
    node.close().await;
    measured
}

async fn measure(node: &Node, ground: &Ground, options: &Options) -> Result<Report, BenchError> {
    let mut servers = JoinSet::new();
    let with_store = parts(node.composed(), ground.settings());
    let nowhere: Arc<dyn MessageStore> = Arc::new(Nowhere);
    let without = Parts {
        desk: Arc::new(node.composed().desk.storing_to(nowhere)),
        ..parts(node.composed(), ground.settings())
    };
    let bare = serve(&mut servers, bare()).await?;
    let no_store = serve(&mut servers, router(AppState::new(without))).await?;
    let store = serve(&mut servers, router(AppState::new(with_store))).await?;
    let request = load::post("/emails", KEY, &body());
    let load = |address, requests| Load {
        address,
        request: Arc::clone(&request),
        requests,
        connections: options.in_flight,
    };
    for address in [bare, no_store, store] {
        load(address, WARM_UP).run().await?;
    }
    forget_peak();
    let mut rounds = Vec::new();
    for _ in 0..options.rounds {
        rounds.push(Round {
            bare: once(load(bare, options.jobs)).await?,
            no_store: once(load(no_store, options.jobs)).await?,
            store: once(load(store, options.jobs)).await?,
        });
    }
    Ok(Report {
        requests: options.jobs,
        in_flight: options.in_flight,
        ratio: Spread::of(rounds.iter().map(|r| r.store.per_s / r.no_store.per_s)),
        ratio_to_bare: Spread::of(rounds.iter().map(|r| r.store.per_s / r.bare.per_s)),
        memory: memory(),
        pending: WARM_UP + options.jobs * options.rounds as u64,
        rounds,
    })
}

async fn once(load: Load) -> Result<Run, BenchError> {
    let requests = load.requests;
    let answered = load.run().await?;
    Ok(Run {
        per_s: requests as f64 / answered.took.as_secs_f64(),
        latency: answered.latencies.told(),
    })
}

/// Serves on a free port of the loopback until the set is dropped.
async fn serve(servers: &mut JoinSet<()>, routes: Router) -> Result<SocketAddr, BenchError> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let address = listener.local_addr()?;
    let service = routes.into_make_service_with_connect_info::<SocketAddr>();
    servers.spawn(async move {
        // It ends with the set; a load that finds nobody says so itself.
        axum::serve(listener, service).await.ok();
    });
    Ok(address)
}

fn bare() -> Router {
    let answer = async |Json(document): Json<Value>| {
        Json(serde_json::json!({ "id": document.get("to").map_or(0, |to| to.to_string().len()) }))
    };
    Router::new().route("/emails", post(answer))
}

/// A mail of [`BODY`] bytes.
fn body() -> String {
    let with = |html: &str| {
        serde_json::json!({
            "from": "Acme <orders@acme.example>",
            "to": ["ada@example.com"],
            "subject": "Your order is on its way",
            "html": html,
            "tags": [{"name": "category", "value": "order"}],
        })
        .to_string()
    };
    let filler = BODY.saturating_sub(with("").len());
    with(&"x".repeat(filler))
}

impl Report {
    /// The report for people.
    pub(super) fn lines(&self) -> Vec<String> {
        let mut lines = vec![
            format!(
                "{} requests of {BODY} bytes a run, {} in flight",
                self.requests, self.in_flight
            ),
            format!(
                "{:<8} {:>12} {:>14} {:>12} {:>9} {:>8} {:>8}",
                "round", "bare/s", "without/s", "store/s", "ratio", "p50 ms", "p99 ms"
            ),
        ];
        for (number, round) in (1..).zip(&self.rounds) {
            lines.push(format!(
                "{number:<8} {:>12.0} {:>14.0} {:>12.0} {:>9} {:>8.2} {:>8.2}",
                round.bare.per_s,
                round.no_store.per_s,
                round.store.per_s,
                percent(round.store.per_s / round.no_store.per_s),
                round.store.latency.p50_ms,
                round.store.latency.p99_ms,
            ));
        }
        lines.push(format!(
            "with the store: {} of the same server without (median {}), {} of a bare one (median {})",
            percent(self.ratio.best),
            percent(self.ratio.median),
            percent(self.ratio_to_bare.best),
            percent(self.ratio_to_bare.median),
        ));
        lines.push(format!(
            "memory with {} mails pending: peak {:.1} MiB, load included",
            self.pending, self.memory.peak_mib
        ));
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_has_the_length_that_is_told() {
        assert_eq!(body().len(), BODY);
    }
}
