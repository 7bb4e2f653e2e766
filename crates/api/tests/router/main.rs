//! The whole router, request by request, on mocks of the domain's ports: a call that a test did not announce is a panic,
//! which would show as a 500. The real store stands behind the same routes in the tests of the binary.

mod accounts;
mod api_keys;
mod attachments;
mod batch;
mod confirm;
mod desk;
mod errors;
mod idempotency;
mod key_chain;
mod keys;
mod limits;
mod list;
mod logs;
mod password;
mod probes;
mod queue;
mod rates;
mod read;
mod refusals;
mod routes;
mod sessions;
mod submit;
mod templates;
