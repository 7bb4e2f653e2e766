//! The contract against servers of other people, which `tests/run` installs.

mod postfix;
mod programs;

use std::{net::TcpListener, time::Duration};

use async_trait::async_trait;
use posthaste_mail::{
    SmtpTransport, Transport,
    contract::{self, Peer},
};

use self::{
    postfix::Postfix,
    programs::{Aiosmtpd, SmtpServer, SmtpSink},
};
use crate::server::config;

const SECOND: Duration = Duration::from_secs(1);

/// A mail as it arrived: recipients and bytes.
type Arrived = (Vec<String>, Vec<u8>);

/// A server of other people.
#[async_trait]
trait Real: Send + Sync {
    /// Where it listens on the loopback.
    fn port(&self) -> u16;

    /// Every mail that it took.
    async fn arrived(&self) -> Vec<Arrived>;
}

struct Behind<R>(SmtpTransport, R);

impl<R: Real> Behind<R> {
    fn of(server: R) -> Self {
        let mut config = config(server.port());
        // A loaded machine may be slow; none of these is silent.
        for timeout in [
            &mut config.timeouts.greeting,
            &mut config.timeouts.command,
            &mut config.timeouts.envelope,
            &mut config.timeouts.body,
            &mut config.timeouts.dot,
        ] {
            *timeout = 60 * SECOND;
        }
        let transport = SmtpTransport::new("relay", config);
        Self(transport.expect("a sound configuration"), server)
    }
}

#[async_trait]
impl<R: Real> Peer for Behind<R> {
    fn transport(&self) -> &dyn Transport {
        &self.0
    }

    async fn arrived(&self) -> Vec<Arrived> {
        self.1.arrived().await
    }
}

/// A port that was free a moment ago, for servers that cannot say which one they got.
fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("loopback can be listened on");
    listener.local_addr().expect("it is bound").port()
}

/// Waits until somebody listens there.
async fn await_listener(port: u16) {
    for _ in 0..600 {
        if tokio::net::TcpStream::connect(("127.0.0.1", port))
            .await
            .is_ok()
        {
            return;
        }
        tokio::time::sleep(SECOND / 20).await;
    }
    panic!("nobody listens on port {port}");
}

#[tokio::test]
async fn smtp_passes_the_contract_before_aiosmtpd() {
    if !Aiosmtpd::is_there() {
        return;
    }
    contract::run_all(|| async { Behind::of(Aiosmtpd::start()) }).await;
}

#[tokio::test]
async fn smtp_passes_the_contract_before_smtp_sink() {
    if !SmtpSink::is_there() {
        return;
    }
    contract::run_all(|| async { Behind::of(SmtpSink::start().await) }).await;
}

#[tokio::test]
async fn smtp_passes_the_contract_before_smtp_server() {
    if !SmtpServer::is_there() {
        return;
    }
    contract::run_all(|| async { Behind::of(SmtpServer::start()) }).await;
}

/// S2. It relays what it took to a server that keeps the bytes: nothing was added at its end, and nothing split off.
#[tokio::test]
async fn smtp_passes_the_contract_before_postfix() {
    if !Postfix::is_there() {
        return;
    }
    contract::run_all(|| async { Behind::of(Postfix::start().await) }).await;
}
