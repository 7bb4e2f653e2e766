//! The host names that are answered.
//!
//! In development only names of this machine: a page on the web may point a name of its own at 127.0.0.1 and would
//! otherwise read the API with its visitor's browser (DNS rebinding).

use std::net::{Ipv4Addr, Ipv6Addr};

use axum::{
    extract::{Request, State},
    http::{header::HOST, uri::Authority},
    middleware::Next,
    response::{IntoResponse, Response},
};

use crate::{
    error::{ApiError, ErrorKind},
    state::{AppState, Hosts},
};

/// Refuses requests for other hosts.
pub async fn guard(State(state): State<AppState>, request: Request, next: Next) -> Response {
    if state.parts.hosts == Hosts::Any || names_loopback(&request) {
        return next.run(request).await;
    }
    let detail =
        "in development only names of this machine are answered, such as localhost and 127.0.0.1";
    ApiError::new(ErrorKind::MisdirectedRequest, detail).into_response()
}

/// Whether every host that the request names is this machine; one at least must be named.
fn names_loopback(request: &Request) -> bool {
    let target = request
        .uri()
        .authority()
        .map(|authority| is_loopback(authority.host()));
    let mut named = target.into_iter().collect::<Vec<_>>();
    for header in request.headers().get_all(HOST) {
        let authority = header
            .to_str()
            .ok()
            .and_then(|host| host.parse::<Authority>().ok());
        named.push(authority.is_some_and(|authority| is_loopback(authority.host())));
    }
    !named.is_empty() && named.iter().all(|loopback| *loopback)
}

/// `localhost` and what is below it (RFC 6761 section 6.3), 127.0.0.0/8 and `::1`.
fn is_loopback(host: &str) -> bool {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || host.ends_with(".localhost")
        || bare.parse::<Ipv4Addr>().is_ok_and(|ip| ip.is_loopback())
        || bare.parse::<Ipv6Addr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_machine_are_loopback() {
        for host in [
            "localhost",
            "LOCALHOST",
            "localhost.",
            "app.localhost",
            "127.0.0.1",
            "127.8.9.10",
            "[::1]",
        ] {
            assert!(is_loopback(host), "{host}");
        }
        for host in [
            "",
            "example.com",
            "localhost.example.com",
            "127.0.0.1.example.com",
            "10.0.0.1",
            "0.0.0.0",
            "[::]",
        ] {
            assert!(!is_loopback(host), "{host}");
        }
    }
}
