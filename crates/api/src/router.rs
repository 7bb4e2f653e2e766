//! The router: every route of the API, and what stands around them.

use axum::{
    Router,
    http::{HeaderValue, header},
    middleware::{from_fn, from_fn_with_state},
    routing::{delete, get, post},
};
use tower::util::MapRequest;
use tower_http::{catch_panic::CatchPanicLayer, set_header::SetResponseHeaderLayer};

use crate::{
    error::{ApiError, ErrorKind},
    middleware::{
        access_log, hosts, panics, problem, rate_headers, request_id, slashes, time_limit,
    },
    routes::{
        batch, cancel, confirm, dead, decide, deliveries, files, health, keys, list, messages,
        password, queue, resend, root, sessions, submit, users,
    },
    state::AppState,
};

/// The whole API. Every request gets an answer within the time limit of `state`.
pub fn router(state: AppState) -> Router {
    // Layers wrap what stands above them: the last one sees a request first.
    let routes = routes()
        .fallback(async || ApiError::not_found())
        .method_not_allowed_fallback(async || {
            ApiError::new(
                ErrorKind::MethodNotAllowed,
                "this path has other methods: see `Allow`",
            )
        })
        .layer(from_fn_with_state(state.clone(), time_limit::limit))
        .layer(from_fn(rate_headers::add))
        .layer(from_fn_with_state(state.clone(), hosts::guard))
        .layer(CatchPanicLayer::custom(panics::answer))
        .layer(from_fn_with_state(state.clone(), problem::write))
        .layer(unless_set(header::CACHE_CONTROL, "no-store"))
        .layer(unless_set(header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .layer(from_fn(access_log::log))
        .layer(from_fn(request_id::assign))
        .with_state(state);
    Router::new().fallback_service(MapRequest::new(routes, slashes::one_leading_slash))
}

fn routes() -> Router<AppState> {
    Router::new()
        .route("/", get(root::show))
        .route("/livez", get(health::live))
        .route("/healthz", get(health::live))
        .route("/readyz", get(health::ready))
        .route("/emails", get(list::list).post(submit::submit))
        .route("/emails/batch", post(batch::submit))
        .route(
            "/emails/{id}",
            get(messages::show).patch(decide::reschedule),
        )
        .route("/emails/{id}/deliveries", get(deliveries::list))
        .route("/emails/{id}/attachments", get(files::list))
        .route("/emails/{id}/attachments/{file}", get(files::show))
        .route(
            "/emails/{id}/attachments/{file}/content",
            get(files::content),
        )
        .route("/emails/{id}/raw", get(files::raw))
        .route("/emails/{id}/cancel", post(cancel::cancel))
        .route("/emails/{id}/resolve", post(decide::resolve))
        .route("/emails/{id}/resend", post(resend::resend))
        .route("/emails/{id}/retry", post(decide::retry))
        .route("/api-keys", get(keys::list).post(keys::create))
        .route("/api-keys/{id}", delete(keys::remove).patch(keys::rename))
        .route("/api-keys/{id}/rotate", post(keys::rotate))
        .route("/queue", get(queue::streams))
        .route("/queue/streams/{name}/pause", post(queue::pause))
        .route("/queue/streams/{name}/resume", post(queue::resume))
        .route("/queue/dead", get(dead::list))
        .route("/queue/dead/retry", post(dead::retry_all))
        .route("/queue/dead/drop", post(dead::drop_all))
        .route("/queue/dead/{id}/retry", post(dead::retry))
        .route("/queue/dead/{id}/drop", post(dead::drop))
        .route("/api/users/register", post(users::register))
        .route("/api/users/{id}", get(users::show))
        .route(confirm::PATH, get(confirm::page).post(confirm::confirm))
        .route("/api/users/confirm/resend", post(confirm::resend))
        .route("/api/users/password/forgot", post(password::forgot))
        .route(password::PATH, get(password::page).post(password::reset))
        .route("/api/users/password/change", post(password::change))
        .route("/api/auth/login", post(sessions::log_in))
        .route("/api/auth/refresh", post(sessions::refresh))
        .route("/api/auth/logout", post(sessions::log_out))
}

/// Answers hold personal data, and none of them is to be guessed at by a browser.
fn unless_set(
    name: header::HeaderName,
    value: &'static str,
) -> SetResponseHeaderLayer<HeaderValue> {
    SetResponseHeaderLayer::if_not_present(name, HeaderValue::from_static(value))
}
