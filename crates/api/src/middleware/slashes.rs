//! One spelling of a path: `//emails`, which a client makes of a base URL that ends in a slash, is `/emails`.
//!
//! It stands before routing, which is why it wraps the router instead of being one of its layers.

use axum::{
    extract::Request,
    http::uri::{PathAndQuery, Uri},
};

/// The same request with its leading slashes made one.
pub fn one_leading_slash(mut request: Request) -> Request {
    if request.uri().path().starts_with("//")
        && let Some(uri) = rewritten(request.uri())
    {
        *request.uri_mut() = uri;
    }
    request
}

fn rewritten(uri: &Uri) -> Option<Uri> {
    let rest = uri.path_and_query()?.as_str().trim_start_matches('/');
    let path: PathAndQuery = format!("/{rest}").parse().ok()?;
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(path);
    Uri::from_parts(parts).ok()
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    #[test]
    fn leading_slashes_become_one_and_nothing_else_changes() {
        let check = |from: &str, to: &str| {
            let request = Request::builder().uri(from).body(Body::empty()).unwrap();
            assert_eq!(
                one_leading_slash(request).uri(),
                &to.parse::<Uri>().unwrap()
            );
        };
        check("//emails", "/emails");
        check("///emails?a=//b", "/emails?a=//b");
        check("/emails//x", "/emails//x");
        check("http://localhost//emails", "http://localhost/emails");
        check("//", "/");
    }
}
