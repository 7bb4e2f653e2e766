//! Statements by hand, where one carries a batch: the same text for both databases, but for the few words in which they
//! differ.

use sea_orm::{DbBackend, Statement, Value};

/// A statement with `?` for its values, in the words of `backend`.
pub(crate) fn statement(
    backend: DbBackend,
    sql: &str,
    values: impl IntoIterator<Item = Value>,
) -> Statement {
    match backend {
        DbBackend::Postgres => Statement::from_sql_and_values(backend, numbered(sql), values),
        _ => Statement::from_sql_and_values(backend, sql, values),
    }
}

/// The value of a `LIMIT ?` that is always 1: of a statement without values PostgreSQL keeps the first plan, whatever the
/// table grows to.
pub(crate) const ONE: [Value; 1] = [Value::BigInt(Some(1))];

/// `(?, ?), (?, ?)` for `count` rows of `columns` values.
pub(crate) fn rows(count: usize, columns: usize) -> String {
    let row = format!("({})", vec!["?"; columns].join(", "));
    vec![row; count].join(", ")
}

/// `?` as `$1`, `$2`, …: no text of ours holds a question mark of its own, values never stand in the text.
fn numbered(sql: &str) -> String {
    let mut parts = sql.split('?');
    let first = parts.next().unwrap_or_default().to_owned();
    (1..).zip(parts).fold(first, |mut text, (number, part)| {
        // One text that grows, not one for each value.
        text.extend(["$", &number.to_string(), part]);
        text
    })
}

/// The words that differ.
pub(crate) trait Words {
    /// A join whose order the planner of SQLite keeps: from the few rows of the batch to the many of the table.
    fn join(self) -> &'static str;

    /// What tells one row of any table from another, for as long as a statement runs.
    fn row_address(self) -> &'static str;

    /// Keeps rows of `jobs` that a statement has read as they are until the transaction ends.
    fn keep_jobs(self) -> &'static str;

    /// Takes rows of `jobs` that nobody else is taking; the others are passed over, not waited for.
    fn skip_taken(self) -> &'static str;

    /// Takes rows that a statement has read, waiting for whoever has them, until the transaction ends.
    fn for_update(self) -> &'static str;

    /// The function that gives the greatest of its arguments.
    fn greatest(self) -> &'static str;

    /// The condition that a column's value is one of few that `select` gives. An array keeps the planner of PostgreSQL
    /// from reading the whole table where it knows too little of their number.
    fn one_of(self, select: &str) -> String;

    /// Whether no other transaction holds the idempotency key whose owner, route and text are the first three columns of
    /// a list of values; this one holds it then, until it ends.
    fn key_is_free(self) -> &'static str;
}

impl Words for DbBackend {
    fn join(self) -> &'static str {
        if self == Self::Postgres {
            "JOIN"
        } else {
            "CROSS JOIN"
        }
    }

    fn row_address(self) -> &'static str {
        if self == Self::Postgres {
            "ctid"
        } else {
            "rowid"
        }
    }

    fn keep_jobs(self) -> &'static str {
        if self == Self::Postgres {
            " FOR UPDATE OF jobs"
        } else {
            // Nobody else writes.
            ""
        }
    }

    fn skip_taken(self) -> &'static str {
        if self == Self::Postgres {
            " FOR UPDATE SKIP LOCKED"
        } else {
            ""
        }
    }

    fn for_update(self) -> &'static str {
        if self == Self::Postgres {
            " FOR UPDATE"
        } else {
            ""
        }
    }

    fn greatest(self) -> &'static str {
        if self == Self::Postgres {
            "greatest"
        } else {
            "max"
        }
    }

    fn one_of(self, select: &str) -> String {
        if self == Self::Postgres {
            format!("= ANY (ARRAY({select}))")
        } else {
            format!("IN ({select})")
        }
    }

    fn key_is_free(self) -> &'static str {
        if self == Self::Postgres {
            // Of two numbers, so that it never meets the lock of the migrations, which is one.
            "pg_try_advisory_xact_lock(8025, hashtext(column1 || ' ' || column2 || ' ' || column3))"
        } else {
            // Nobody else writes.
            "true"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_numbered_for_postgresql() {
        assert_eq!(numbered("a"), "a");
        assert_eq!(
            numbered(&format!("VALUES {} < ?", rows(2, 2))),
            "VALUES ($1, $2), ($3, $4) < $5"
        );
    }
}
