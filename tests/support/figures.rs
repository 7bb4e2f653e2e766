//! Short figures on every change, full ones under `tests/run --long`.

/// The full figure when the long run was asked for, else the short one.
pub(crate) fn figure<T>(short: T, full: T) -> T {
    if is_set("POSTHASTE_TEST_LONG") {
        full
    } else {
        short
    }
}

/// Whether an environment variable has a value.
pub(crate) fn is_set(name: &str) -> bool {
    variable(name).is_some()
}

/// The value of an environment variable, if it has one.
#[expect(
    clippy::disallowed_methods,
    reason = "switches of the test run, not settings of the program"
)]
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
