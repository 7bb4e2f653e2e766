//! What the tests of the whole program stand on too: programs of this machine, and a server of Python.

#[expect(dead_code, reason = "the other tests use the rest")]
#[path = "../../../../tests/support/figures.rs"]
mod figures;
#[expect(dead_code, reason = "the other tests use the rest")]
#[path = "../../../../tests/support/lines.rs"]
pub(crate) mod lines;
#[expect(dead_code, reason = "the other tests use the rest")]
#[path = "../../../../tests/support/sink.rs"]
pub(crate) mod sink;
#[expect(dead_code, reason = "the other tests use the rest")]
#[path = "../../../../tests/support/tools.rs"]
pub(crate) mod tools;
