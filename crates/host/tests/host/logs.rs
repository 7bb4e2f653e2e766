//! What an operator reads.

use std::{
    io::{self, Write},
    sync::{Arc, Mutex, PoisonError},
};

use posthaste_host::{OnFailure, ServiceOptions};
use tracing_subscriber::fmt::MakeWriter;

use crate::bench::{Act, Bench, SECOND};

/// The lines of this thread, on which a test in paused time runs whole.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn listen(&self) -> tracing::subscriber::DefaultGuard {
        let lines = tracing_subscriber::fmt()
            .with_writer(self.clone())
            .with_ansi(false)
            .without_time()
            .with_target(false);
        tracing::subscriber::set_default(lines.finish())
    }

    #[track_caller]
    fn check(&self, expected: &str) {
        let log = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let log = String::from_utf8_lossy(&log);
        let mut lines = log.lines().map(str::trim);
        assert!(lines.any(|line| line == expected), "{expected:?} in\n{log}");
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut log = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        log.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn a_service_that_is_late_at_stop_is_named_with_its_times() {
    let log = Log::default();
    let _listening = log.listen();
    let options = ServiceOptions {
        stop_share: Some(4 * SECOND),
        ..ServiceOptions::default()
    };
    let bench = Bench::new().with_options("slow", Act::Hang, options);
    bench.run(SECOND).await;
    log.check(
        r#"WARN service is late at stop; forcing it service="slow" share_ms=4000 grace_ms=2000"#,
    );
    log.check(r#"ERROR service did not stop; aborting it service="slow""#);
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_logged_with_what_had_caused_it() {
    let ignored = ServiceOptions {
        on_failure: OnFailure::Ignore,
        ..ServiceOptions::default()
    };
    for (options, message) in [
        (ServiceOptions::default(), "service failed; the host stops"),
        (ignored, "service failed; the host goes on without it"),
    ] {
        let log = Log::default();
        let _listening = log.listen();
        let bench = Bench::new().with_options("broken", Act::Fail(SECOND), options);
        bench.run(5 * SECOND).await;
        log.check(&format!(
            r#"ERROR {message} service="broken" error=the writer ended error.sources=[no luck]"#
        ));
    }
}

#[tokio::test(start_paused = true)]
async fn a_failure_while_stopping_and_a_second_signal_are_logged() {
    let log = Log::default();
    let _listening = log.listen();
    let bench = Bench::new()
        .with("broken", Act::FailAtStop)
        .with("slow", Act::HangUntilForced);
    bench
        .run_with_signals(&[(SECOND, "SIGTERM"), (2 * SECOND, "SIGINT")])
        .await;
    log.check("INFO stopping cause=SIGTERM");
    log.check(r#"WARN second signal: stopping at once signal="SIGINT""#);
    log.check(
        r#"ERROR service failed while the host was stopping service="broken" error=the disk is full"#,
    );
}
