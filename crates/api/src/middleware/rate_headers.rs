//! The headers that tell a client how its key stands: `ratelimit-limit`, `-remaining`, `-reset` in whole seconds, and
//! `ratelimit-policy`, as published clients read them.

use std::{sync::OnceLock, time::Duration};

use axum::{
    extract::Request,
    http::{HeaderName, HeaderValue},
    middleware::Next,
    response::Response,
};

use crate::rates::{Standing, StandingCell};

/// Runs the request, and adds the headers where its key was counted.
pub async fn add(mut request: Request, next: Next) -> Response {
    let cell = StandingCell::new(OnceLock::new());
    request.extensions_mut().insert(StandingCell::clone(&cell));
    let mut response = next.run(request).await;
    if let Some(standing) = cell.get() {
        write(*standing, &mut response);
    }
    response
}

fn write(standing: Standing, response: &mut Response) {
    let Standing {
        limit,
        remaining,
        reset,
        every,
    } = standing;
    let headers = response.headers_mut();
    for (name, value) in [
        ("ratelimit-limit", u64::from(limit)),
        ("ratelimit-remaining", u64::from(remaining)),
        ("ratelimit-reset", whole_seconds(reset)),
    ] {
        headers.insert(HeaderName::from_static(name), value.into());
    }
    let policy = HeaderValue::from_str(&policy(every));
    headers.insert(
        HeaderName::from_static("ratelimit-policy"),
        policy.expect("digits"),
    );
}

/// Rounded up: who waits for so long does not come too early.
pub(crate) fn whole_seconds(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
}

/// `100;w=1`: so many within so many seconds.
fn policy(every: Duration) -> String {
    let a_second = Duration::from_secs(1).as_nanos() / every.as_nanos().max(1);
    if a_second >= 1 {
        format!("{a_second};w=1")
    } else {
        format!("1;w={}", whole_seconds(every))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pace_is_told_by_the_second_or_by_the_request() {
        let check = |every: Duration, expected: &str| assert_eq!(policy(every), expected);
        check(Duration::from_millis(10), "100;w=1");
        check(Duration::from_secs(1), "1;w=1");
        check(Duration::from_millis(1500), "1;w=2");
        check(Duration::from_secs(60), "1;w=60");
    }
}
