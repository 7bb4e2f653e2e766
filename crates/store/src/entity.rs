//! One file a table: columns as they are stored. What they mean stands in [`crate::convert`].

pub(crate) mod account_mail_requests;
pub(crate) mod api_keys;
pub(crate) mod attempts;
pub(crate) mod deliveries;
pub(crate) mod idempotency_keys;
pub(crate) mod jobs;
pub(crate) mod message_bodies;
pub(crate) mod message_tags;
pub(crate) mod messages;
pub(crate) mod nodes;
pub(crate) mod one_time_tokens;
pub(crate) mod refresh_tokens;
pub(crate) mod sessions;
pub(crate) mod template_versions;
pub(crate) mod users;
