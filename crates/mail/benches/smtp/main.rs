//! The SMTP client beside Postfix's `smtp-source -d` (one process, connections kept), in turn, to the same `smtp-sink`:
//! mails a second, as a ratio to the peer of the same round. Then over one connection to a server that is far away, with
//! commands that travel together and without.
//!
//! `cargo bench -p posthaste-mail --bench smtp [MAILS]`, with Postfix's two tools on the machine (Debian: `postfix`).

mod distance;
mod made;

use std::{
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use posthaste_mail::{
    Envelope, OpenGate, SmtpConfig, SmtpTransport, Transport,
    smtp::{Protocol, Server, Timeouts, TlsMode},
};
use tokio::{net::TcpStream, task::JoinSet};

use self::{distance::Distance, made::Maker};

const ROUNDS: usize = 5;
const FAR_ROUNDS: usize = 3;
const MAILS: u64 = 20_000;
/// Bytes of a mail, as long as `smtp-source` is told to make its own.
const SIZE: usize = 5000;
/// Connections of what is measured with one number of them.
const CONNECTIONS: usize = 16;
/// Mails that are under way for each connection: one on the wire, others in line.
const PER_CONNECTION: usize = 4;

fn main() {
    let mails = std::env::args()
        .skip(1)
        .find_map(|argument| argument.parse().ok())
        .unwrap_or(MAILS);
    let Some(mut sink) = Sink::start() else {
        print("skipped: smtp-sink and smtp-source are not here (Debian: postfix)");
        return;
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("two threads can be had");
    print(&format!(
        "{mails} mails of {SIZE} bytes a run, {ROUNDS} rounds, mails/s (median)\n{:>12} {:>12} {:>14} {:>10} {:>8}",
        "connections", "smtp-source", "one at a time", "pipelined", "ratio"
    ));
    for connections in [1, 4, 16] {
        let mut rates = [const { Vec::new() }; 3];
        let mut ratios = Vec::new();
        for _ in 0..ROUNDS {
            let peer = source(sink.port, connections, mails);
            let plain = runtime.block_on(ours(sink.port, connections, mails, false));
            let piped = runtime.block_on(ours(sink.port, connections, mails, true));
            for (rates, rate) in rates.iter_mut().zip([peer, plain, piped]) {
                rates.push(rate);
            }
            ratios.push(piped / peer);
        }
        let [peer, plain, piped] = rates.map(median);
        print(&format!(
            "{connections:>12} {peer:>12.0} {plain:>14.0} {piped:>10.0} {:>8.2}",
            median(ratios)
        ));
    }
    print(&format!(
        "{CONNECTIONS} connections, each mail made for its send (median)\n{:>12} {:>12} {:>14} {:>8}",
        "made", "smtp-source", "mails/s", "ratio"
    ));
    for (name, signer) in made::signers() {
        let (mut rates, mut ratios) = (Vec::new(), Vec::new());
        for _ in 0..FAR_ROUNDS {
            let peer = source(sink.port, CONNECTIONS, mails);
            let transport = Arc::new(transport(sink.port, CONNECTIONS, true));
            let maker = Arc::new(Maker::new(transport, signer.clone()));
            let rate = runtime.block_on(many(CONNECTIONS, mails, move || {
                let maker = Arc::clone(&maker);
                async move { maker.send().await }
            }));
            rates.push((peer, rate));
            ratios.push(rate / peer);
        }
        let (peers, rates) = rates.into_iter().unzip();
        let (peer, rate): (f64, f64) = (median(peers), median(rates));
        print(&format!(
            "{name:>12} {peer:>12.0} {rate:>14.0} {:>8.2}",
            median(ratios)
        ));
    }
    print(&format!(
        "one connection to a distant server, mails/s (median of {FAR_ROUNDS})\n{:>12} {:>12} {:>14} {:>10} {:>8}",
        "round trip", "smtp-source", "one at a time", "pipelined", "gain"
    ));
    for (millis, mails) in [(10, 300), (50, 80)] {
        far(&runtime, sink.port, millis, mails);
    }
    sink.stop();
}

/// The gain is over the same client with one command at a time.
fn far(runtime: &tokio::runtime::Runtime, sink: u16, millis: u64, mails: u64) {
    let distance = Distance::to(sink, Duration::from_millis(millis));
    let distance = runtime.block_on(distance).expect("a port can be had");
    let mut rates = [const { Vec::new() }; 3];
    let mut gains = Vec::new();
    for _ in 0..FAR_ROUNDS {
        let peer = source(distance.port, 1, mails);
        let plain = runtime.block_on(ours(distance.port, 1, mails, false));
        let piped = runtime.block_on(ours(distance.port, 1, mails, true));
        for (rates, rate) in rates.iter_mut().zip([peer, plain, piped]) {
            rates.push(rate);
        }
        gains.push(piped / plain);
    }
    let [peer, plain, piped] = rates.map(median);
    print(&format!(
        "{millis:>9} ms {peer:>12.1} {plain:>14.1} {piped:>10.1} {:>8.2}",
        median(gains)
    ));
}

/// `smtp-sink` on a free port, with the extensions that it can be told to offer.
struct Sink {
    child: Child,
    port: u16,
}

impl Sink {
    fn start() -> Option<Self> {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").ok()?;
        let port = taken.local_addr().ok()?.port();
        drop(taken);
        Command::new("smtp-source").arg("-h").output().ok()?;
        let child = Command::new("smtp-sink")
            .args(["-u", "nobody", &format!("127.0.0.1:{port}"), "1024"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let began = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            if began.elapsed() > Duration::from_secs(10) {
                return None;
            }
            std::thread::yield_now();
        }
        Some(Self { child, port })
    }

    fn stop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.stop();
    }
}

fn source(port: u16, connections: usize, mails: u64) -> f64 {
    let began = Instant::now();
    let ended = Command::new("smtp-source")
        .arg("-d")
        .args(["-s", &connections.to_string(), "-m", &mails.to_string()])
        .args(["-l", &SIZE.to_string()])
        .args(["-f", "app@example.com", "-t", "ada@example.com"])
        .arg(format!("127.0.0.1:{port}"))
        .status()
        .expect("smtp-source was here before");
    assert!(ended.success(), "smtp-source ended with {ended}");
    mails as f64 / began.elapsed().as_secs_f64()
}

async fn ours(port: u16, connections: usize, mails: u64, together: bool) -> f64 {
    let transport = Arc::new(transport(port, connections, together));
    // The sink must be there, and a refused connection would be measured as a fast one.
    drop(TcpStream::connect(("127.0.0.1", port)).await);
    let message: Arc<[u8]> = message().into();
    let envelope = Arc::new(envelope());
    many(connections, mails, move || {
        let (transport, message) = (Arc::clone(&transport), Arc::clone(&message));
        let envelope = Arc::clone(&envelope);
        async move {
            let sent = transport.send(&envelope, &message, &OpenGate).await;
            assert_eq!(
                sent.expect("the sink takes it").replies[0].code,
                Some(250),
                "the sink takes everything"
            );
        }
    })
    .await
}

/// Sends so many, a few at a time for each connection; how many in a second.
async fn many<Sending>(
    connections: usize,
    mails: u64,
    send: impl Fn() -> Sending + Clone + Send + 'static,
) -> f64
where
    Sending: Future<Output = ()> + Send,
{
    let left = Arc::new(AtomicU64::new(mails));
    let mut senders = JoinSet::new();
    let began = Instant::now();
    for _ in 0..connections * PER_CONNECTION {
        let (left, send) = (Arc::clone(&left), send.clone());
        senders.spawn(async move {
            while left
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                    left.checked_sub(1)
                })
                .is_ok()
            {
                send().await;
            }
        });
    }
    senders.join_all().await;
    mails as f64 / began.elapsed().as_secs_f64()
}

fn transport(port: u16, connections: usize, together: bool) -> SmtpTransport {
    let limit = Duration::from_secs(60);
    let config = SmtpConfig {
        server: Server::Tcp {
            host: "127.0.0.1".to_owned(),
            port,
        },
        protocol: Protocol::Smtp,
        source: None,
        tls: TlsMode::None,
        credentials: None,
        ca_file: None,
        certificate: None,
        hello_name: "localhost".to_owned(),
        pipelining: together,
        chunking: together,
        connections,
        max_messages: u32::MAX,
        max_age: Duration::from_secs(3600),
        max_idle: Duration::from_secs(30),
        timeouts: Timeouts {
            connect: limit,
            tls: limit,
            greeting: limit,
            command: limit,
            envelope: limit,
            body: limit,
            dot: limit,
        },
    };
    SmtpTransport::new("sink", config).expect("sound settings")
}

fn envelope() -> Envelope {
    Envelope {
        id: "0199a5f0-0000-7000-8000-000000000001"
            .parse()
            .expect("an id"),
        sender: "app@example.com".parse().expect("an address"),
        recipients: vec!["ada@example.com".parse().expect("an address")],
        stream: "bench".parse().expect("a name"),
        stay_with: None,
    }
}

fn message() -> Vec<u8> {
    let mut message = b"Subject: bench\r\n\r\n".to_vec();
    while message.len() < SIZE {
        message.extend_from_slice("0123456789".repeat(7).as_bytes());
        message.extend_from_slice(b"\r\n");
    }
    message
}

fn median(mut all: Vec<f64>) -> f64 {
    all.sort_by(f64::total_cmp);
    all[all.len() / 2]
}

#[expect(clippy::print_stdout, reason = "a bench reports to its terminal")]
fn print(line: &str) {
    println!("{line}");
}
