//! What the tests of the real binary stand on: an installation in a folder of its own, the process started from it, a
//! client for its API, an SMTP server to send to, the folder of captured mail, and PostgreSQL.
//!
//! Each test starts its own of everything, on ports the system chooses, so tests run side by side. Whatever was
//! started ends with the test: by `Drop`, and when the test itself is killed because its pipes close.

pub(crate) mod desk;
pub(crate) mod eventually;
pub(crate) mod figures;
pub(crate) mod http;
pub(crate) mod lines;
pub(crate) mod outbox;
pub(crate) mod postgres;
pub(crate) mod process;
pub(crate) mod sink;
pub(crate) mod tools;
