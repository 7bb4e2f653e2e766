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
#[expect(
    clippy::disallowed_methods,
    reason = "switches of the test run, not settings of the program"
)]
pub(crate) fn is_set(variable: &str) -> bool {
    std::env::var(variable).is_ok_and(|value| !value.is_empty())
}
