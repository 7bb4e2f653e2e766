//! Which messages are asked for, as a statement.

use posthaste_domain::{
    delivery::MessageStatus,
    owner::Owner,
    stores::{MessageFilter, PageAt},
};
use sea_orm::{DbBackend, Value};

use crate::{convert::micros, history::first_id};

/// Behind every text: a subject that begins with another one lies between that one and the same with this added.
const LAST: char = '\u{10FFFF}';

/// Conditions and their values.
pub(super) struct Query {
    conditions: Vec<&'static str>,
    values: Vec<Value>,
    newest_first: bool,
}

impl Query {
    pub(super) fn of(owner: &Owner, filter: &MessageFilter, at: PageAt) -> Self {
        let mut query = Self {
            conditions: Vec::new(),
            values: Vec::new(),
            newest_first: true,
        };
        query.add("m.owner = ?", [owner.as_str().into()]);
        match at {
            PageAt::Newest => {}
            PageAt::After(id) => query.add("m.id < ?", [id.as_uuid().into()]),
            PageAt::Before(id) => {
                query.newest_first = false;
                query.add("m.id > ?", [id.as_uuid().into()]);
            }
        }
        query.filter(owner, filter);
        query
    }

    fn add(&mut self, condition: &'static str, values: impl IntoIterator<Item = Value>) {
        self.conditions.push(condition);
        self.values.extend(values);
    }

    fn filter(&mut self, owner: &Owner, filter: &MessageFilter) {
        if let Some(to) = &filter.to {
            let all =
                "m.id IN (SELECT message_id FROM deliveries WHERE lower(recipient) = lower(?))";
            self.add(all, [to.expose().into()]);
        }
        if let Some(from) = &filter.from {
            let from = from.canonical().expose().to_owned();
            self.add("m.sender_address = ?", [from.into()]);
        }
        if let Some(begin) = &filter.subject {
            let condition =
                "lower(m.subject) BYTES >= lower(?) AND lower(m.subject) BYTES < lower(?)";
            self.add(
                condition,
                [begin.clone().into(), format!("{begin}{LAST}").into()],
            );
        }
        if let Some(tag) = &filter.tag {
            let all = "m.id IN (SELECT message_id FROM message_tags WHERE owner = ? AND name = ? AND value = ?)";
            let key = [owner.as_str(), tag.name(), tag.value()];
            self.add(all, key.map(Value::from));
        }
        if let Some(stream) = &filter.stream {
            self.add("m.stream = ?", [stream.as_str().into()]);
        }
        if let Some(template) = &filter.template {
            self.add("m.template_name = ?", [template.as_str().into()]);
        }
        // By the id first, for that is what the indexes hold; it knows no less than milliseconds.
        if let Some(from) = filter.created_from {
            let values = [first_id(from).into(), micros(from).into()];
            self.add("m.id >= ? AND m.created_at >= ?", values);
        }
        if let Some(before) = filter.created_before {
            let next = before + chrono::TimeDelta::milliseconds(1);
            let values = [first_id(next).into(), micros(before).into()];
            self.add("m.id < ? AND m.created_at < ?", values);
        }
        if let Some(key) = &filter.idempotency_key {
            let all = "m.id IN (SELECT message_id FROM idempotency_keys \
                 WHERE owner = ? AND route IN ('POST /emails', 'POST /emails/batch') AND key = ?)";
            self.add(all, [owner.as_str().into(), key.as_str().into()]);
        }
        self.conditions.extend(filter.status.and_then(may_be));
    }

    pub(super) fn written(&self, backend: DbBackend, many: usize) -> (String, Vec<Value>) {
        let bytes = match backend {
            DbBackend::Postgres => "COLLATE \"C\"",
            _ => "",
        };
        let order = if self.newest_first { "DESC" } else { "ASC" };
        let conditions = self.conditions.join(" AND ").replace("BYTES", bytes);
        let sql =
            format!("SELECT m.id FROM messages m WHERE {conditions} ORDER BY m.id {order} LIMIT ?");
        let mut values = self.values.clone();
        values.push(i64::try_from(many).unwrap_or(i64::MAX).into());
        (sql, values)
    }
}

/// What only messages in this state can have; nothing where most have it.
fn may_be(status: MessageStatus) -> Option<&'static str> {
    match status {
        MessageStatus::Scheduled
        | MessageStatus::Queued
        | MessageStatus::Sending
        | MessageStatus::Deferred => Some("m.id IN (SELECT id FROM jobs)"),
        MessageStatus::Delivered => None,
        MessageStatus::Partial
        | MessageStatus::Failed
        | MessageStatus::Expired
        | MessageStatus::Quarantined
        | MessageStatus::Uncertain
        | MessageStatus::Cancelled => Some(
            "m.id IN (SELECT message_id FROM deliveries \
             WHERE state NOT IN ('queued', 'deferred', 'delivered'))",
        ),
    }
}
