//! The transports against their contract, and SMTP against servers that are slow, broken or hostile.

mod backends;
mod hostile;
mod inbox;
mod mx;
mod names;
mod pipelining;
mod real;
mod recording;
mod server;
mod support;
mod tls;
mod ways;
