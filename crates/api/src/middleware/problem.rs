//! Errors as problem JSON (RFC 9457) with the members that the published clients read; as a page where a person looks.
//!
//! Every error passes here, and its cause is logged here, once.

use std::sync::Arc;

use axum::{
    extract::{MatchedPath, Request, State},
    http::{
        HeaderMap, HeaderValue, Method,
        header::{ACCEPT, CONTENT_TYPE},
    },
    middleware::Next,
    response::{IntoResponse, Response},
};
use serde::Serialize;
use serde_json::{Map, Value};
use tracing::{error, warn};

use crate::{
    body::is_form,
    error::{ApiError, ErrorKind},
    middleware::request_id::RequestId,
    routes::{confirm, password},
    state::AppState,
};

/// Where people look, not programs.
const PAGES: [&str; 2] = [confirm::PATH, password::PATH];

/// Runs the request and writes its error down, if it ended in one.
pub async fn write(State(state): State<AppState>, request: Request, next: Next) -> Response {
    let asked = Asked::of(&request);
    let mut response = next.run(request).await;
    let Some(error) = response.extensions_mut().remove::<Arc<ApiError>>() else {
        return response;
    };
    log(&error);
    let mut written = asked.write(&error, &state);
    // The challenge, `Retry-After` and the like are on the first answer.
    for (name, value) in response.headers() {
        written
            .headers_mut()
            .entry(name)
            .or_insert_with(|| value.clone());
    }
    written
}

/// What an error's form depends on.
struct Asked {
    instance: String,
    request_id: String,
    form: Form,
}

#[derive(Clone, Copy)]
enum Form {
    Problem,
    /// The same under `application/json`, for clients that raise on any other type.
    PlainJson,
    Page,
}

impl Asked {
    fn of(request: &Request) -> Self {
        let id = request.extensions().get::<RequestId>();
        Self {
            instance: request.uri().path().to_owned(),
            request_id: id.map(|id| id.as_str().to_owned()).unwrap_or_default(),
            form: form(request),
        }
    }

    fn write(&self, error: &ApiError, state: &AppState) -> Response {
        let content_type = match self.form {
            Form::Problem => "application/problem+json",
            Form::PlainJson => "application/json",
            Form::Page => {
                let (kind, id) = (error.kind(), &self.request_id);
                return state
                    .pages
                    .problem(kind.status(), kind.title(), error.detail(), id);
            }
        };
        let body = Problem::new(error, self);
        let body = serde_json::to_vec(&body).expect("a problem's members have text for names");
        let headers = [(CONTENT_TYPE, HeaderValue::from_static(content_type))];
        (error.kind().status(), headers, body).into_response()
    }
}

fn form(request: &Request) -> Form {
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map(MatchedPath::as_str);
    let by_a_person = match *request.method() {
        Method::GET | Method::HEAD => true,
        Method::POST => is_form(request.headers()),
        _ => false,
    };
    if route.is_some_and(|route| PAGES.contains(&route)) && by_a_person {
        Form::Page
    } else if accepts(request.headers(), "application/json")
        && !accepts(request.headers(), "application/problem+json")
    {
        Form::PlainJson
    } else {
        Form::Problem
    }
}

/// Whether `Accept` names this very type.
fn accepts(headers: &HeaderMap, wanted: &str) -> bool {
    let values = headers
        .get_all(ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|range| {
        let kind = range.split(';').next().unwrap_or_default();
        kind.trim().eq_ignore_ascii_case(wanted)
    })
}

fn log(error: &ApiError) {
    let Some(cause) = error.cause() else { return };
    let name = error.kind().name();
    match error.kind() {
        ErrorKind::ApplicationError => error!(error = cause, error.name = name, "a request failed"),
        _ => warn!(
            error = cause,
            error.name = name,
            "a request could not be served"
        ),
    }
}

#[derive(Serialize)]
struct Problem<'a> {
    r#type: String,
    title: &'a str,
    status: u16,
    detail: &'a str,
    instance: &'a str,
    #[serde(rename = "statusCode")]
    status_code: u16,
    name: &'a str,
    message: String,
    request_id: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<FieldError<'a>>,
    #[serde(flatten)]
    members: &'a Map<String, Value>,
}

#[derive(Serialize)]
struct FieldError<'a> {
    pointer: &'a str,
    detail: &'a str,
}

impl<'a> Problem<'a> {
    fn new(error: &'a ApiError, asked: &'a Asked) -> Self {
        let kind = error.kind();
        let errors = error.fields().iter().map(|field| FieldError {
            pointer: field.pointer.as_str(),
            detail: &field.detail,
        });
        Self {
            r#type: format!("urn:posthaste:problem:{}", kind.name()),
            title: kind.title(),
            status: kind.status().as_u16(),
            detail: error.detail(),
            instance: &asked.instance,
            status_code: kind.status().as_u16(),
            name: kind.name(),
            message: error.message(),
            request_id: &asked.request_id,
            errors: errors.collect(),
            members: error.members(),
        }
    }
}
