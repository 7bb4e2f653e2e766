//! A service that ticks once a second until Ctrl-C: `cargo run -p posthaste-host --example ticker`.

use std::time::Duration;

use posthaste_host::{Host, HostedService, Ready, ServiceError, Stop};

struct Ticker;

#[async_trait::async_trait]
impl HostedService for Ticker {
    fn name(&self) -> &str {
        "ticker"
    }

    async fn run(self: Box<Self>, ready: Ready, stop: Stop) -> Result<(), ServiceError> {
        let mut second = tokio::time::interval(Duration::from_secs(1));
        ready.ready();
        loop {
            tokio::select! {
                () = stop.requested() => return Ok(()),
                _ = second.tick() => say("tick"),
            }
        }
    }
}

#[expect(clippy::print_stdout, reason = "an example speaks to a person")]
fn say(text: &str) {
    println!("{text}");
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::process::ExitCode {
    let host = Host::builder()
        .service(Ticker)
        .on_started(|| say("started; Ctrl-C stops"))
        .build();
    match host.run().await {
        Ok(stopped) => stopped.exit_code().into(),
        Err(error) => {
            say(&error.to_string());
            1.into()
        }
    }
}
