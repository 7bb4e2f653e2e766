//! The forms of requests and answers, apart from the domain's types on purpose: each meets its domain type in one file,
//! field by field.
//!
//! Requests are read from a tree of JSON by hand, because a derived reader stops at the first bad field.

pub mod account;
pub mod address;
pub mod api_key;
pub mod attachment;
pub mod batch;
pub mod delivery;
pub mod fields;
pub mod fingerprint;
pub mod json;
pub mod list;
pub mod message;
pub mod problems;
pub mod queue;
pub mod session;
pub mod submit;
pub mod wanted;
