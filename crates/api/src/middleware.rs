//! What stands around every request, from the outside in: one spelling of the path, the request id, the log line, the
//! form of errors, panics, the host name, how the key stands, the time limit.

pub mod access_log;
pub mod hosts;
pub mod panics;
pub mod problem;
pub mod rate_headers;
pub mod request_id;
pub mod slashes;
pub mod time_limit;
