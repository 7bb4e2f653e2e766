//! The HTTP API of Posthaste: routes, the forms of requests and answers, errors, and what stands around each request.
//!
//! Nothing here sends mail or touches a database: routes call the domain's use cases and read its ports, which
//! `posthaste-composition` has put together. A request is parsed whole before anything is done with it, and every bad
//! field is reported at once; an answer that is an error is problem JSON (RFC 9457) in one shape.

pub mod auth;
pub mod bench;
pub mod body;
pub mod cli;
pub mod client;
pub mod dto;
pub mod error;
pub mod even;
pub mod failure;
pub mod held;
pub mod middleware;
pub mod pages;
pub mod rates;
pub mod router;
pub mod routes;
pub mod serve;
pub mod server;
pub mod state;
