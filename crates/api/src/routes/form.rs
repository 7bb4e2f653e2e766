//! Forms of our own pages, as browsers send them.

use axum::{
    body::Body,
    extract::{Form, FromRequest},
    http::{HeaderMap, Request, header::CONTENT_TYPE},
};
use serde::de::DeserializeOwned;

use crate::body::Received;

/// The fields of a form; `None` if they are not those of `T`.
pub async fn read<T: DeserializeOwned>(headers: &HeaderMap, body: &Received) -> Option<T> {
    let mut request = Request::post("/")
        .body(Body::from(body.bytes().to_vec()))
        .ok()?;
    request
        .headers_mut()
        .insert(CONTENT_TYPE, headers.get(CONTENT_TYPE)?.clone());
    let Form(form) = Form::<T>::from_request(request, &()).await.ok()?;
    Some(form)
}
