//! Many rows in one statement, whose text does not change with their number: preparing a statement costs more than
//! running it, and a text that was seen before is prepared already.
//!
//! On PostgreSQL rows travel as one array a column, so that one statement serves any number of them. (As text: arrays that
//! hold a null cannot be bound through SeaORM in another form.) On SQLite they are a list of values, filled up to a power
//! of two with rows that a limit cuts off: few texts in all, and one step for each batch.

use std::borrow::Cow;

use sea_orm::{
    ActiveModelTrait, ColumnTrait, ColumnType, ConnectionTrait, DbBackend, DbErr, EntityName,
    EntityTrait, IdenStatic, Iterable, QueryResult, Value,
};

use crate::{
    sql,
    writer::{Closing, Unit},
};

/// Most values in one piece on SQLite: a longer one saves nothing more, and its prepared form takes memory for good.
const PIECE: usize = 1024;

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Uuid,
    Text,
    Int,
    BigInt,
    Bool,
    Bytes,
}

impl Kind {
    fn of(column: &ColumnType) -> Self {
        match column {
            ColumnType::Uuid => Self::Uuid,
            ColumnType::Integer => Self::Int,
            ColumnType::BigInteger => Self::BigInt,
            ColumnType::Boolean => Self::Bool,
            ColumnType::VarBinary(_) | ColumnType::Binary(_) | ColumnType::Blob => Self::Bytes,
            _ => Self::Text,
        }
    }

    const fn null(self) -> Value {
        match self {
            Self::Uuid => Value::Uuid(None),
            Self::Text => Value::String(None),
            Self::Int => Value::Int(None),
            Self::BigInt => Value::BigInt(None),
            Self::Bool => Value::Bool(None),
            Self::Bytes => Value::Bytes(None),
        }
    }

    /// The placeholder of a whole column.
    const fn array(self) -> &'static str {
        match self {
            Self::Uuid => "?::uuid[]",
            Self::Text => "?::text[]",
            Self::Int => "?::int[]",
            Self::BigInt => "?::bigint[]",
            Self::Bool => "?::bool[]",
            Self::Bytes => "?::bytea[]",
        }
    }
}

/// Rows on their way into a statement.
#[derive(Debug)]
pub(crate) struct Rows {
    kinds: Vec<Kind>,
    /// Row by row.
    values: Vec<Value>,
}

/// Rows that one statement carries: a query that gives them, with `?` for its values, and those.
#[derive(Debug, PartialEq)]
pub(crate) struct Piece {
    pub(crate) rows: String,
    pub(crate) values: Vec<Value>,
}

impl Rows {
    pub(crate) fn of(kinds: &[Kind]) -> Self {
        Self {
            kinds: kinds.to_vec(),
            values: Vec::new(),
        }
    }

    /// Adds a row, one value for each column.
    pub(crate) fn push(&mut self, row: impl IntoIterator<Item = Value>) {
        self.values.extend(row);
        debug_assert!(self.values.len().is_multiple_of(self.kinds.len()));
    }

    /// The same rows, in as few statements as the database wants.
    pub(crate) fn pieces(self, backend: DbBackend) -> Vec<Piece> {
        let Self { kinds, mut values } = self;
        if values.is_empty() {
            return Vec::new();
        }
        if backend == DbBackend::Postgres {
            return vec![columns(&kinds, values)];
        }
        // A power of two as well: a full piece is not filled up.
        let most = (1 << (PIECE / kinds.len()).max(1).ilog2()) * kinds.len();
        let mut pieces = Vec::new();
        while values.len() > most {
            let rest = values.split_off(most);
            pieces.push(list(&kinds, std::mem::replace(&mut values, rest)));
        }
        pieces.push(list(&kinds, values));
        pieces
    }
}

/// A list of rows, the absent ones of which are cut off. (The limit is a sum: SQLite looks at the value of a bare one when
/// it plans, and so prepares the statement anew for each.)
fn list(kinds: &[Kind], mut values: Vec<Value>) -> Piece {
    let count = values.len() / kinds.len();
    let full = count.next_power_of_two();
    let absent = kinds.iter().map(|kind| kind.null());
    values.extend(absent.cycle().take((full - count) * kinds.len()));
    values.push(i64::try_from(count).unwrap_or(i64::MAX).into());
    Piece {
        rows: format!(
            "SELECT * FROM (VALUES {}) LIMIT 0 + ?",
            sql::rows(full, kinds.len())
        ),
        values,
    }
}

/// Row by row to column by column.
fn columns(kinds: &[Kind], values: Vec<Value>) -> Piece {
    let mut arrays = vec![String::from("{"); kinds.len()];
    for (index, value) in values.into_iter().enumerate() {
        let array = &mut arrays[index % kinds.len()];
        if array.len() > 1 {
            array.push(',');
        }
        element(array, &value);
    }
    let places: Vec<_> = kinds.iter().map(|kind| kind.array()).collect();
    let closed = arrays.into_iter().map(|array| (array + "}").into());
    Piece {
        rows: format!("SELECT * FROM unnest({})", places.join(", ")),
        values: closed.collect(),
    }
}

/// Writes an element of an array (PostgreSQL manual, section 8.15.6): a null bare, everything else quoted, with a
/// backslash before quotes and backslashes.
fn element(array: &mut String, value: &Value) {
    let text = match value {
        Value::Bool(Some(value)) => Cow::Borrowed(if *value { "t" } else { "f" }),
        Value::Int(Some(value)) => value.to_string().into(),
        Value::BigInt(Some(value)) => value.to_string().into(),
        Value::Uuid(Some(value)) => value.to_string().into(),
        Value::String(Some(value)) => value.as_str().into(),
        Value::Bytes(Some(value)) => hexadecimal(value).into(),
        // Absent ones; a kind has no other values.
        _ => return array.push_str("NULL"),
    };
    array.push('"');
    let mut rest = &*text;
    while let Some(at) = rest.find(['"', '\\']) {
        let (before, special) = rest.split_at(at);
        array.push_str(before);
        array.push('\\');
        array.push_str(&special[..1]);
        rest = &special[1..];
    }
    array.push_str(rest);
    array.push('"');
}

fn hexadecimal(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 + 2 * bytes.len());
    text.push_str("\\x");
    for byte in bytes {
        for digit in [byte >> 4, byte & 15] {
            text.extend(char::from_digit(digit.into(), 16));
        }
    }
    text
}

/// Rows of an entity, all of them with the same columns set, on their way into its table.
#[derive(Debug)]
pub(crate) struct Insert {
    into: String,
    rows: Rows,
}

impl Insert {
    pub(crate) fn of<A: ActiveModelTrait>(models: impl IntoIterator<Item = A>) -> Self {
        let mut models = models.into_iter().peekable();
        let set: Vec<_> = <A::Entity as EntityTrait>::Column::iter()
            .filter(|column| {
                let first = models.peek();
                first.is_some_and(|model| !model.get(*column).is_not_set())
            })
            .collect();
        let names: Vec<_> = set
            .iter()
            .map(|column| format!("\"{}\"", column.as_str()))
            .collect();
        let kinds: Vec<_> = set
            .iter()
            .map(|column| Kind::of(column.def().get_column_type()))
            .collect();
        let mut rows = Rows::of(&kinds);
        for mut model in models {
            let values = set.iter().map(|column| model.take(*column).into_value());
            rows.push(values.map(|value| value.expect("each row sets what the first one sets")));
        }
        Self {
            into: format!(
                "INSERT INTO {} ({})",
                A::Entity::default().table_name(),
                names.join(", ")
            ),
            rows,
        }
    }

    pub(crate) async fn run(self, unit: &Unit<'_>) -> Result<(), DbErr> {
        for Piece { rows, values } in self.rows.pieces(unit.backend) {
            let sql = format!("{} {rows}", self.into);
            unit.txn.execute_raw(unit.statement(&sql, values)).await?;
        }
        Ok(())
    }

    /// All of them, in their order and in one round trip, which costs more than the rows. On PostgreSQL keys between their
    /// tables are looked at when all rows are there.
    pub(crate) fn together(inserts: Vec<Self>, backend: DbBackend) -> Option<Closing> {
        let (mut texts, mut values) = (Vec::new(), Vec::new());
        for Self { into, rows } in inserts {
            for piece in rows.pieces(backend) {
                texts.push(format!("{into} {}", piece.rows));
                values.extend(piece.values);
            }
        }
        let last = texts.pop()?;
        let sql = if backend == DbBackend::Postgres {
            steps(texts, last)
        } else {
            texts.push(last);
            texts.join("; ")
        };
        Some(Closing { sql, values })
    }

    /// Leaves out rows that break a unique key, and gives `returning` of the others.
    pub(crate) async fn run_where_new(
        self,
        unit: &Unit<'_>,
        returning: &str,
    ) -> Result<Vec<QueryResult>, DbErr> {
        let mut inserted = Vec::new();
        for Piece { rows, values } in self.rows.pieces(unit.backend) {
            let sql = format!(
                "{} {rows} ON CONFLICT DO NOTHING RETURNING {returning}",
                self.into
            );
            inserted.extend(unit.txn.query_all_raw(unit.statement(&sql, values)).await?);
        }
        Ok(inserted)
    }
}

/// Statements as one, for a database that prepares no more than one at a time.
fn steps(before: Vec<String>, last: String) -> String {
    if before.is_empty() {
        return last;
    }
    let steps: Vec<_> = (1..)
        .zip(before)
        .map(|(number, text)| format!("step{number} AS ({text})"))
        .collect();
    format!("WITH {} {last}", steps.join(", "))
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn rows(count: i64) -> Rows {
        let mut rows = Rows::of(&[Kind::BigInt, Kind::Text]);
        for number in 0..count {
            rows.push([number.into(), format!("row {number}").into()]);
        }
        rows
    }

    #[test]
    fn pieces_are_filled_up_to_powers_of_two_and_together_are_all_rows_in_order() {
        for columns in [1, 2, 3, 14] {
            for count in [0, 1, 2, 3, 5, 64, 100, 341, 342, 511, 512, 513, 2000] {
                let (mut all, mut together) = (Vec::new(), Vec::new());
                let mut rows = Rows::of(&vec![Kind::BigInt; columns]);
                for number in 0..count {
                    let row = vec![Value::from(number); columns];
                    all.extend(row.iter().cloned());
                    rows.push(row);
                }
                for Piece { rows, mut values } in rows.pieces(DbBackend::Sqlite) {
                    let Some(Value::BigInt(Some(limit))) = values.pop() else {
                        panic!("a number of rows");
                    };
                    assert!(values.len() <= PIECE, "{columns} columns, {count} rows");
                    let length = values.len() / columns;
                    assert!(length.is_power_of_two());
                    assert!(rows.ends_with("LIMIT 0 + ?"));
                    assert_eq!(rows.matches('?').count(), values.len() + 1);
                    values.truncate(columns * usize::try_from(limit).expect("not below zero"));
                    together.append(&mut values);
                }
                assert_eq!(together, all);
            }
        }
    }

    #[test]
    fn any_number_of_rows_is_one_text_on_postgresql() {
        assert_eq!(rows(0).pieces(DbBackend::Postgres), []);
        let texts: Vec<_> = [1, 3, 1000]
            .into_iter()
            .flat_map(|count| rows(count).pieces(DbBackend::Postgres))
            .map(|piece| piece.rows)
            .collect();
        assert_eq!(
            texts,
            vec!["SELECT * FROM unnest(?::bigint[], ?::text[])"; 3]
        );
        let [piece] = &rows(2).pieces(DbBackend::Postgres)[..] else {
            panic!("one piece");
        };
        assert_eq!(
            piece.values,
            ["{\"0\",\"1\"}".into(), "{\"row 0\",\"row 1\"}".into()]
        );
    }

    #[test]
    fn an_element_is_quoted_and_a_null_is_not() {
        check(&r#"a "b" \ c"#.into(), r#""a \"b\" \\ c""#);
        check(&"".into(), r#""""#);
        check(&"NULL".into(), r#""NULL""#);
        check(&"{é,}".into(), r#""{é,}""#);
        check(&(-7_i64).into(), r#""-7""#);
        check(&true.into(), r#""t""#);
        check(&vec![0_u8, 0xab].into(), r#""\\x00ab""#);
        check(
            &Value::Uuid(Some(Uuid::nil())),
            r#""00000000-0000-0000-0000-000000000000""#,
        );
        for null in [Value::String(None), Value::Bytes(None), Value::Uuid(None)] {
            check(&null, "NULL");
        }

        fn check(value: &Value, expected: &str) {
            let mut array = String::new();
            element(&mut array, value);
            assert_eq!(array, expected);
        }
    }
}
