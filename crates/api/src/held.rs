//! Answers that hold much: a file, or a mail as it was sent. Their bytes count in the budget of bodies until the last of them
//! is written to the client.

use axum::body::{Body, Bytes};
use http_body_util::{BodyExt, Full};
use tokio::sync::OwnedSemaphorePermit;
use tracing::trace;

/// A body whose bytes count until it is gone.
pub fn held(bytes: Vec<u8>, reserved: OwnedSemaphorePermit) -> Body {
    Body::new(Full::new(Bytes::from(bytes)).map_frame(move |frame| {
        // Owned by the body, and dropped with it.
        trace!(bytes = reserved.num_permits(), "a large answer");
        frame
    }))
}
