//! `/livez`, `/readyz`, `/healthz`.

use axum::{body::Body, http::Request};
use posthaste_domain::stores::{Finding, StoreError};
use serde_json::json;

use crate::desk::Desk;

/// One whose store answers its pings with this.
fn pinging(answer: fn() -> Result<(), StoreError>) -> Desk {
    let mut desk = Desk::new();
    desk.health.expect_ping().returning(answer);
    desk.health.expect_findings().return_const(Vec::new());
    desk
}

/// The mock of the store's health refuses to be asked.
#[tokio::test]
async fn a_process_is_alive_without_its_store() {
    let api = Desk::new().api();
    for path in ["/livez", "/healthz"] {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let reply = api.send(request).await.expect(200);
        assert_eq!(reply.json(), json!({ "status": "ok" }));
    }
}

#[tokio::test]
async fn a_process_is_ready_between_start_and_stop() {
    let (api, readiness) = pinging(|| Ok(())).api_and_readiness();
    let reply = api
        .get("/readyz")
        .await
        .expect_problem(503, "service_unavailable");
    assert_eq!(reply.header("retry-after"), Some("1"));
    readiness.started();
    assert_eq!(
        api.get("/readyz").await.expect(200).json(),
        json!({ "status": "ready" })
    );
    readiness.stopping();
    api.get("/readyz")
        .await
        .expect_problem(503, "service_unavailable");
    // Draining is no reason to be restarted.
    api.get("/livez").await.expect(200);
}

#[tokio::test]
async fn a_store_that_fails_makes_a_process_unready_without_telling_why() {
    let (api, readiness) =
        pinging(|| Err(StoreError::Unavailable(Some("canary".into())))).api_and_readiness();
    readiness.started();
    let reply = api
        .get("/readyz?verbose")
        .await
        .expect_problem(503, "service_unavailable");
    assert_eq!(
        reply.json()["checks"],
        json!([
            { "name": "started", "ok": true }, { "name": "not_stopping", "ok": true },
            { "name": "database", "ok": false },
        ])
    );
    assert!(!reply.body.contains("canary"));
}

/// I21.
#[tokio::test]
async fn what_was_measured_is_listed_and_decides_nothing() {
    let mut desk = Desk::new();
    desk.health.expect_ping().returning(|| Ok(()));
    let skew = Finding {
        name: "clock_skew",
        sound: false,
        seconds: -300.000_49,
    };
    desk.health.expect_findings().return_const(vec![skew]);
    let (api, readiness) = desk.api_and_readiness();
    readiness.started();
    let reply = api.get("/readyz?verbose").await.expect(200);
    assert_eq!(
        reply.json()["checks"][3],
        json!({ "name": "clock_skew", "ok": false, "seconds": -300.0 })
    );
}

#[tokio::test]
async fn checks_are_listed_only_when_asked_for() {
    let (api, readiness) = pinging(|| Ok(())).api_and_readiness();
    readiness.started();
    for (path, listed) in [
        ("/readyz", false),
        ("/readyz?x&verbose", true),
        ("/readyz?verbose=1", true),
        ("/readyz?verbosely", false),
    ] {
        let reply = api.get(path).await.expect(200);
        assert_eq!(reply.json()["checks"].is_array(), listed, "{path}");
    }
}
