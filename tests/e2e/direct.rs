//! Straight to the servers of each domain, which a name server of the test's own names.

use std::{
    process::{Child, Command, Stdio},
    time::Duration,
};

use serde_json::json;

use crate::support::{desk::Desk, eventually::eventually, lines::Lines, sink::Sink, tools};

const SECOND: Duration = Duration::from_secs(1);
const NAMES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/support/names.py");

struct Names(Child);

impl Names {
    fn start() -> Option<(Self, u16)> {
        let mut command = Command::new(tools::verifier()?);
        command.arg(NAMES);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("Python was started before");
        let printed = Lines::of(child.stdout.take().expect("it is piped"));
        let port = printed.find(20 * SECOND, |line| {
            line.strip_prefix("listening ")?.parse().ok()
        });
        Some((Self(child), port.expect("it listens")))
    }
}

impl Drop for Names {
    fn drop(&mut self) {
        let _already_gone = self.0.kill();
        let _already_gone = self.0.wait();
    }
}

/// One mail to three domains: a server that takes it, one that takes none, and none at all.
#[test]
fn each_domain_of_a_mail_is_found_and_ends_by_itself() {
    let (Some(sink), Some((_names, port))) = (Sink::start(), Names::start()) else {
        return;
    };
    let desk = Desk::new()
        .set("transports.direct.kind", "mx")
        .set("transports.direct.port", sink.port().to_string())
        .set(
            "transports.direct.name_servers",
            format!("127.0.0.1:{port}"),
        )
        .set("streams.transactional.transport", "direct");
    let server = desk.start();
    let client = server.client().with_key("re_ph_dev");
    let mail = json!({"from": "app@example.com", "subject": "hi", "text": "x",
        "to": ["ada@good.test", "bob@null.test", "eve@gone.test"]});
    let id = client.post("/emails", &mail).expect(200).json()["id"].clone();
    let path = format!("/emails/{}", id.as_str().expect("an id"));
    eventually("the mail has ended", 30 * SECOND, || {
        (client.get(&path).expect(200).json()["status"] == "partial").then_some(())
    });
    let told = client.get(&format!("{path}/deliveries")).expect(200).json();
    let ends: Vec<_> = told["data"].as_array().expect("a list").iter().collect();
    assert_eq!(ends[0]["status"], "delivered", "{told}");
    for (end, code) in ends[1..].iter().zip(["5.1.10", "5.1.2"]) {
        assert_eq!(
            (&end["status"], &end["enhanced_code"]),
            (&json!("failed"), &json!(code))
        );
    }
    let taken = sink.history();
    assert_eq!(taken.len(), 1);
    assert_eq!(taken[0].recipient, "ada@good.test");
}
