//! Lists in JSON, page by page.

use serde::Serialize;

/// A list of anything.
#[derive(Debug, Serialize)]
pub struct ListAnswer<T> {
    object: &'static str,
    /// Whether there are more behind the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    has_more: Option<bool>,
    data: Vec<T>,
}

impl<T> ListAnswer<T> {
    /// All there is.
    #[must_use]
    pub fn all(data: Vec<T>) -> Self {
        Self {
            object: "list",
            has_more: None,
            data,
        }
    }

    /// One page.
    #[must_use]
    pub fn page(data: Vec<T>, has_more: bool) -> Self {
        Self {
            object: "list",
            has_more: Some(has_more),
            data,
        }
    }
}
