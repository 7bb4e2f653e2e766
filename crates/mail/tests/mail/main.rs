//! Rendering, the library of templates, and the delivery of a message.

mod breaker;
mod deliver;
mod library;
mod rendering;
mod support;
mod uncertain;
