//! Rendering, the library of templates, and the delivery of a message.

mod breaker;
mod deliver;
mod large;
mod library;
mod limits;
mod rendering;
mod several;
mod signed;
mod simulator;
mod support;
mod uncertain;
