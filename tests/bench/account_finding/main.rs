//! S9: whether the time of an answer tells who has an account. Each route is asked for known and unknown addresses in
//! turn; the two series are compared by their medians and by the Mann-Whitney test, whose p below 0.01 would say that
//! they can be told apart.
//!
//! `cargo bench -p posthaste-api --bench account_finding` (with `POSTHASTE_TEST_LONG=1`: 2,000 of each).

#![expect(clippy::print_stdout, reason = "the report of a benchmark")]

use std::time::Instant;

use serde_json::{Value, json};
use support::{
    desk::Desk,
    figures::figure,
    http::{Client, Reply},
    process::Process,
};

#[expect(dead_code, reason = "the tests use the rest")]
#[path = "../../support/mod.rs"]
mod support;

const PASSWORD: &str = "correct horse battery";

/// A desk whose limits are out of the way, with accounts for the even numbers.
struct Town {
    server: Process,
    _desk: Desk,
}

impl Town {
    fn with(people: usize) -> Self {
        let desk = Desk::new()
            .set("accounts.logins_per_minute", "1000000")
            .set("accounts.mails_per_hour", "1000000")
            .set("log.filter", "warn,posthaste_api::server=info");
        let server = desk.start();
        let client = server.client();
        for number in 0..people {
            let body = json!({"email": email(2 * number), "password": PASSWORD});
            client.post("/api/users/register", &body).expect(201);
        }
        Self {
            server,
            _desk: desk,
        }
    }
}

fn email(number: usize) -> String {
    format!("person{number}@example.com")
}

fn main() {
    let of_each = figure(300, 2000);
    println!("{of_each} known and {of_each} unknown addresses, interleaved; times in ms");
    println!(
        "{:<32} {:>8} {:>8} {:>8} {:>8}",
        "route", "known", "unknown", "differ", "p"
    );
    let town = Town::with(of_each);
    let client = town.server.client();
    measure(
        "/api/auth/login",
        of_each,
        &client,
        401,
        |email| json!({"email": email, "password": "another horse battery"}),
    );
    measure(
        "/api/users/password/forgot",
        of_each,
        &client,
        202,
        |email| json!({ "email": email }),
    );
    measure(
        "/api/users/confirm/resend",
        of_each,
        &client,
        202,
        |email| json!({ "email": email }),
    );
    // Last: from here on everybody has an account.
    measure(
        "/api/users/register",
        of_each,
        &client,
        201,
        |email| json!({"email": email, "password": PASSWORD}),
    );
}

fn measure(
    route: &str,
    of_each: usize,
    client: &Client,
    status: u16,
    body: impl Fn(String) -> Value,
) {
    let (mut known, mut unknown) = (Vec::new(), Vec::new());
    let ask = |number: usize| {
        let body = body(email(number));
        let began = Instant::now();
        let reply: Reply = client.post(route, &body).expect(status);
        let time = began.elapsed().as_secs_f64() * 1000.0;
        drop(reply);
        time
    };
    for number in 0..of_each {
        // Who comes first changes by turns, as whatever an answer leaves to be done meets the next one.
        let (even, odd) = (2 * number, 2 * number + 1);
        if number % 2 == 0 {
            known.push(ask(even));
            unknown.push(ask(odd));
        } else {
            unknown.push(ask(odd));
            known.push(ask(even));
        }
    }
    let p = mann_whitney(&known, &unknown);
    let (known, unknown) = (median(&mut known), median(&mut unknown));
    println!(
        "{route:<32} {known:>8.2} {unknown:>8.2} {:>8.2} {p:>8.3}",
        known - unknown
    );
}

/// The two-sided p of the Mann-Whitney test, by its normal approximation (good from some tens of values on).
fn mann_whitney(one: &[f64], other: &[f64]) -> f64 {
    let tagged = one.iter().map(|value| (*value, true));
    let mut all: Vec<(f64, bool)> = tagged
        .chain(other.iter().map(|value| (*value, false)))
        .collect();
    all.sort_by(|a, b| a.0.total_cmp(&b.0));
    // Times in nanoseconds hardly ever tie, so ranks are not shared.
    let ranks: f64 = all
        .iter()
        .enumerate()
        .filter(|(_, (_, mine))| *mine)
        .map(|(rank, _)| rank as f64 + 1.0)
        .sum();
    let (n, m) = (one.len() as f64, other.len() as f64);
    let u = ranks - n * (n + 1.0) / 2.0;
    let z = (u - n * m / 2.0) / (n * m * (n + m + 1.0) / 12.0).sqrt();
    erfc(z.abs() / std::f64::consts::SQRT_2)
}

/// The complementary error function, to seven digits (Abramowitz and Stegun 7.1.26).
fn erfc(x: f64) -> f64 {
    let t = 1.0 / (1.0 + 0.327_591_1 * x);
    let terms = [
        0.254_829_592,
        -0.284_496_736,
        1.421_413_741,
        -1.453_152_027,
        1.061_405_429,
    ];
    let sum = terms.iter().rev().fold(0.0, |sum, term| (sum + term) * t);
    sum * (-x * x).exp()
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
