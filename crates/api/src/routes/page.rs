//! Pages of lists that are short enough to be read whole.

use axum::extract::{Query, rejection::QueryRejection};

use crate::{
    dto::{
        problems::{Pointer, Problems},
        wanted::MAX_LIMIT,
    },
    error::{ApiError, ErrorKind},
};

/// What stands behind the question mark of a short list.
pub type ListQuery = Result<Query<Vec<(String, String)>>, QueryRejection>;

/// A page of a list that is read whole.
#[derive(Debug)]
pub struct Place {
    at: Option<(String, bool)>,
    limit: usize,
}

impl Place {
    /// Reads `limit`, and `after` or `before` an id; nothing else is known.
    ///
    /// # Errors
    /// `invalid_parameter`.
    pub fn read(query: ListQuery) -> Result<Self, ApiError> {
        let Query(query) = query.map_err(|rejection| {
            let detail = format!("the query cannot be read: {}", rejection.body_text());
            ApiError::new(ErrorKind::InvalidParameter, detail)
        })?;
        let mut problems = Problems::default();
        let mut place = Self {
            at: None,
            limit: MAX_LIMIT,
        };
        for (name, value) in query {
            let pointer = Pointer::root().member(&name);
            match (name.as_str(), value.parse().ok()) {
                ("limit", Some(limit)) if (1..=MAX_LIMIT).contains(&limit) => place.limit = limit,
                ("limit", _) => problems.invalid(pointer, "is from 1 to 100"),
                ("after" | "before", _) if place.at.is_some() => {
                    problems.invalid(pointer, "give one of `after` and `before`");
                }
                ("after" | "before", _) => place.at = Some((value, name == "after")),
                _ => problems.invalid(pointer, "unknown parameter"),
            }
        }
        if problems.is_empty() {
            Ok(place)
        } else {
            Err(ApiError::invalid_parameters(problems))
        }
    }

    /// The page of these items, and whether there are more in its direction.
    pub fn of<T, I: ToString>(self, mut items: Vec<T>, id: impl Fn(&T) -> I) -> (Vec<T>, bool) {
        let place = |at: &str| items.iter().position(|item| id(item).to_string() == at);
        match self.at {
            Some((at, true)) => {
                let begin = place(&at).map_or(items.len(), |place| place + 1);
                items.drain(..begin);
            }
            Some((at, false)) => {
                items.truncate(place(&at).unwrap_or_default());
                let surplus = items.len().saturating_sub(self.limit);
                items.drain(..surplus);
                return (items, surplus > 0);
            }
            None => {}
        }
        let has_more = items.len() > self.limit;
        items.truncate(self.limit);
        (items, has_more)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(query: &[(&str, &str)]) -> Result<(Vec<u32>, bool), Vec<String>> {
        let query = query
            .iter()
            .map(|(name, value)| (name.to_string(), value.to_string()));
        let place = Place::read(Ok(Query(query.collect()))).map_err(|error| {
            let fields = error.fields().iter();
            fields
                .map(|field| field.pointer.as_str().to_owned())
                .collect::<Vec<_>>()
        })?;
        Ok(place.of((1..=5).collect(), |item| *item))
    }

    #[test]
    fn a_page_goes_on_behind_or_in_front_of_an_item() {
        assert_eq!(page(&[]), Ok((vec![1, 2, 3, 4, 5], false)));
        assert_eq!(page(&[("limit", "2")]), Ok((vec![1, 2], true)));
        assert_eq!(
            page(&[("limit", "2"), ("after", "2")]),
            Ok((vec![3, 4], true))
        );
        assert_eq!(page(&[("after", "4")]), Ok((vec![5], false)));
        assert_eq!(
            page(&[("limit", "2"), ("before", "4")]),
            Ok((vec![2, 3], true))
        );
        assert_eq!(page(&[("before", "2")]), Ok((vec![1], false)));
        // An item that is gone has nothing behind it.
        assert_eq!(page(&[("after", "9")]), Ok((vec![], false)));
    }

    #[test]
    fn what_says_nothing_sensible_is_named() {
        let bad = [("limit", "0"), ("after", "1"), ("before", "2"), ("x", "y")];
        assert_eq!(page(&bad).unwrap_err(), ["/limit", "/before", "/x"]);
    }
}
