//! `GET /`: what this is, and where to go on.

use axum::Json;
use serde::Serialize;

/// What is served here.
#[derive(Debug, Serialize)]
pub struct RootAnswer {
    name: &'static str,
    version: &'static str,
    links: Links,
}

#[derive(Debug, Serialize)]
struct Links {
    emails: &'static str,
    register: &'static str,
    live: &'static str,
    ready: &'static str,
}

/// Names the product, its version and its routes.
pub async fn show() -> Json<RootAnswer> {
    Json(RootAnswer {
        name: "posthaste",
        version: env!("CARGO_PKG_VERSION"),
        links: Links {
            emails: "/emails",
            register: "/api/users/register",
            live: "/livez",
            ready: "/readyz",
        },
    })
}
