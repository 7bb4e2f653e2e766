//! One log line for each answered request. It holds the route as matched, never the path or the query: those carry ids,
//! addresses and tokens.

use std::time::Instant;

use axum::{
    extract::{MatchedPath, Request},
    http::Method,
    middleware::Next,
    response::Response,
};
use tracing::{debug, info};

use crate::routes::health;

/// Runs the request and logs how it went; probes are logged for debugging only.
pub async fn log(request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().cloned();
    let method = known(request.method());
    let begun = Instant::now();
    let response = next.run(request).await;
    let (status, duration) = (response.status().as_u16(), begun.elapsed().as_secs_f64());
    let route = route.as_ref().map_or("none", MatchedPath::as_str);
    if health::PATHS.contains(&route) {
        debug!(
            http.method = method,
            http.route = route,
            http.status = status,
            duration,
            "answered a probe"
        );
    } else {
        info!(
            http.method = method,
            http.route = route,
            http.status = status,
            duration,
            "answered a request"
        );
    }
    response
}

/// A method of HTTP; any other word is the caller's own.
fn known(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}
