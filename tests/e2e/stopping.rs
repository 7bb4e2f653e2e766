//! Ends: signals, exit codes, and what is left for the next start.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::{
    desk::Desk,
    eventually::eventually,
    figures::figure,
    process::{field, message},
    sink::{Answer, Sink, Stage},
};

const SECOND: Duration = Duration::from_secs(1);

fn desk(sink: &Sink) -> Desk {
    Desk::sending_to(sink)
        .set("streams.transactional.permits", "1")
        .set("transports.relay.connections", "1")
}

fn mail(to: &str) -> serde_json::Value {
    json!({"from": "app@example.com", "to": to, "subject": "hi", "text": "x"})
}

#[test]
fn an_idle_server_ends_at_once_on_either_signal_with_exit_code_0() {
    for interrupt in [false, true] {
        let desk = Desk::new();
        let mut server = desk.start();
        if interrupt {
            server.interrupt()
        } else {
            server.terminate()
        };
        assert_eq!(
            server.wait(5 * SECOND).code(),
            Some(0),
            "{}",
            server.stderr()
        );
        assert!(
            !desk.path(".posthaste/posthaste.db-wal").exists(),
            "the log was written back"
        );
    }
}

/// Bursts of signals at moments spread over start and work, on one installation: each run ends in order, with 0 unless a
/// second signal has cut it short, and never by the signal itself.
#[test]
fn a_storm_of_signals_at_any_moment_ends_the_server_in_order() {
    let desk = Desk::new();
    for round in 0..figure(24, 1000_u32) {
        let mut server = desk.launch();
        server.await_log("it listens to signals", 30 * SECOND, |entry| {
            (message(entry) == "starting").then_some(())
        });
        pass(Duration::from_millis(u64::from(round * 37 % 400)));
        let burst = if round % 3 == 0 { 1 } else { 20 };
        for signal in 0..burst {
            if (round >> (signal % 5)) & 1 == 0 {
                server.terminate();
            } else {
                server.interrupt();
            }
            if round % 3 == 2 {
                pass(Duration::from_millis(1));
            }
        }
        let status = server.wait(10 * SECOND);
        let forced = server.log().iter().any(|entry| {
            message(entry) == "stopped" && field(entry, "forced") == Some(&json!(true))
        });
        assert_eq!(
            status.code(),
            Some(i32::from(forced)),
            "round {round}: {}",
            server.stderr()
        );
        assert!(burst > 1 || !forced, "one signal is no second one");
        let took_back = |entry: &serde_json::Value| message(entry).starts_with("took back");
        assert!(!server.log().iter().any(took_back), "no crash was counted");
    }
}

/// Lets real time pass for the process.
fn pass(time: Duration) {
    let began = Instant::now();
    eventually("time passes", 30 * SECOND, || {
        (began.elapsed() >= time).then_some(())
    });
}

/// P8. On SIGTERM the mail in hand is finished, the rest is kept with its attempt unspent, and the next start sends it.
#[test]
fn the_mail_in_hand_is_finished_and_the_rest_is_kept() {
    let Some(mut sink) = Sink::start() else {
        return;
    };
    sink.answer(
        Stage::Dot,
        "slow@example.com",
        &[Answer::Late(2 * SECOND, "250 2.0.0 ok")],
    );
    let desk = desk(&sink);
    let mut server = desk.start();
    let client = server.client().with_key("re_ph_dev");
    client
        .post("/emails", &mail("slow@example.com"))
        .expect(200);
    eventually("the mail is at the server", 5 * SECOND, || {
        String::from_utf8_lossy(&sink.wire())
            .contains("slow@example.com")
            .then_some(())
    });
    let kept = client
        .post("/emails", &mail("next@example.com"))
        .expect(200)
        .json();
    let began = Instant::now();
    server.terminate();
    assert_eq!(
        server.wait(20 * SECOND).code(),
        Some(0),
        "{}",
        server.stderr()
    );
    assert!(began.elapsed() < 10 * SECOND);
    let taken: Vec<_> = sink
        .history()
        .into_iter()
        .map(|taken| taken.recipient)
        .collect();
    assert_eq!(taken, ["slow@example.com"]);

    let server = desk.start();
    let client = server.client().with_key("re_ph_dev");
    eventually("the rest is sent", 10 * SECOND, || {
        (sink.history().len() == 2).then_some(())
    });
    let id = kept["id"].as_str().unwrap();
    eventually("the outcome is recorded", 10 * SECOND, || {
        let list = client
            .get(&format!("/emails/{id}/deliveries"))
            .expect(200)
            .json();
        (list["data"][0]["tries"] == 1).then_some(())
    });
    assert!(
        !server
            .log()
            .iter()
            .any(|entry| message(entry).starts_with("took back")),
        "no crash was counted"
    );
}

/// I11. A second signal waits for no work: leases and node row leave, and no crash is counted.
#[test]
fn a_second_signal_ends_at_once_and_gives_the_work_back() {
    let Some(mut sink) = Sink::start() else {
        return;
    };
    sink.answer(
        Stage::Dot,
        "hang@example.com",
        &[Answer::Late(60 * SECOND, "250 2.0.0 ok")],
    );
    let desk = desk(&sink);
    let mut server = desk.start();
    let client = server.client().with_key("re_ph_dev");
    client
        .post("/emails", &mail("hang@example.com"))
        .expect(200);
    eventually("the mail is at the server", 5 * SECOND, || {
        String::from_utf8_lossy(&sink.wire())
            .contains("\r\n.\r\n")
            .then_some(())
    });
    server.terminate();
    server.await_log("the stop begins", 5 * SECOND, |entry| {
        (message(entry) == "stopping").then_some(())
    });
    let began = Instant::now();
    server.terminate();
    assert_eq!(
        server.wait(10 * SECOND).code(),
        Some(1),
        "{}",
        server.stderr()
    );
    assert!(began.elapsed() < 5 * SECOND);

    sink.resume();
    sink.answer(
        Stage::Dot,
        "hang@example.com",
        &[Answer::Say("250 2.0.0 ok")],
    );
    let server = desk.start();
    eventually("the mail is sent after all", 10 * SECOND, || {
        (!sink.history().is_empty()).then_some(())
    });
    assert!(
        !server
            .log()
            .iter()
            .any(|entry| message(entry).starts_with("took back")),
        "no crash was counted"
    );
}

/// I2, P4. After kill -9 the jobs in hand are taken back at once by the next start, and a crash is counted.
#[test]
fn a_killed_servers_mail_is_sent_at_once_by_the_next_start() {
    let Some(mut sink) = Sink::start() else {
        return;
    };
    sink.answer(
        Stage::Recipient,
        "hang@example.com",
        &[Answer::Late(60 * SECOND, "250 ok")],
    );
    let desk = desk(&sink);
    let mut server = desk.start();
    let client = server.client().with_key("re_ph_dev");
    let id = client
        .post("/emails", &mail("hang@example.com"))
        .expect(200)
        .json();
    eventually("the mail is at the server", 5 * SECOND, || {
        String::from_utf8_lossy(&sink.wire())
            .contains("hang@example.com")
            .then_some(())
    });
    server.kill();
    sink.resume();
    sink.answer(
        Stage::Recipient,
        "hang@example.com",
        &[Answer::Say("250 ok")],
    );
    let server = desk.start();
    eventually("the mail is sent", 10 * SECOND, || {
        (sink.history().len() == 1).then_some(())
    });
    assert!(
        server
            .log()
            .iter()
            .any(|entry| message(entry).starts_with("took back"))
    );
    let taken = &sink.history()[0];
    assert!(
        taken.message_id.contains(id["id"].as_str().unwrap()),
        "the same Message-ID"
    );
}
