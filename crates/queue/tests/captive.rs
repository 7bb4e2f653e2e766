//! What the compiler refuses. Each case that must not compile has a twin that does and differs only in the offence, so
//! that a case cannot fail for another reason unnoticed.

/// P11. A singleton can't keep a service of a job: neither a field of a handler, nor a task, nor the state of an application.
#[test]
fn a_scoped_service_cannot_be_kept_by_what_outlives_its_job() {
    let cases = trybuild::TestCases::new();
    cases.compile_fail("tests/captive/field_of_a_handler.rs");
    cases.pass("tests/captive/field_of_a_handler_twin.rs");
    cases.compile_fail("tests/captive/spawned_task.rs");
    cases.pass("tests/captive/spawned_task_twin.rs");
    cases.compile_fail("tests/captive/application_state.rs");
    cases.pass("tests/captive/application_state_twin.rs");
}
