//! A load generator: some connections that stay open, each with one request in flight, on a thread and a runtime of their
//! own, so that the server under load shares nothing with it but the machine.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
};

use super::figures::Latencies;

/// Longest head of an answer.
const LONGEST_HEAD: usize = 8 << 10;

/// What is sent, and how often.
#[derive(Debug, Clone)]
pub struct Load {
    /// The server.
    pub address: SocketAddr,
    /// The request, whole.
    pub request: Arc<[u8]>,
    /// Requests in all.
    pub requests: u64,
    /// Connections, which is the number of requests in flight.
    pub connections: usize,
}

/// What a load has shown.
#[derive(Debug)]
pub struct Answered {
    /// From the first request to the last answer.
    pub took: Duration,
    /// Each answer's time.
    pub latencies: Latencies,
}

impl Load {
    /// Sends every request, and waits for every answer.
    ///
    /// # Errors
    /// What the system says; a connection that was closed; an answer that is not 200.
    pub async fn run(self) -> io::Result<Answered> {
        let thread = tokio::task::spawn_blocking(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            runtime.block_on(self.send_all())
        });
        thread.await.map_err(io::Error::other)?
    }

    async fn send_all(self) -> io::Result<Answered> {
        let mut connections = Vec::with_capacity(self.connections);
        for _ in 0..self.connections {
            connections.push(Connection::open(self.address).await?);
        }
        let left = Arc::new(AtomicU64::new(self.requests));
        let began = Instant::now();
        let mut senders = JoinSet::new();
        for mut connection in connections {
            let (left, request) = (Arc::clone(&left), Arc::clone(&self.request));
            senders.spawn(async move {
                let mut latencies = Latencies::default();
                while take_one(&left) {
                    let sent = Instant::now();
                    connection.ask(&request).await?;
                    latencies.add(sent.elapsed());
                }
                io::Result::Ok(latencies)
            });
        }
        let mut latencies = Latencies::default();
        while let Some(ended) = senders.join_next().await {
            latencies.merge(&ended.map_err(io::Error::other)??);
        }
        Ok(Answered {
            took: began.elapsed(),
            latencies,
        })
    }
}

/// Whether one was left.
pub(super) fn take_one(left: &AtomicU64) -> bool {
    left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
        left.checked_sub(1)
    })
    .is_ok()
}

/// A POST of a JSON document.
#[must_use]
pub fn post(path: &str, key: &str, body: &str) -> Arc<[u8]> {
    let request = format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {key}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    request.into_bytes().into()
}

struct Connection {
    stream: TcpStream,
    /// Bytes that came and were not looked at yet.
    buffer: Vec<u8>,
}

impl Connection {
    async fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            buffer: Vec::with_capacity(LONGEST_HEAD),
        })
    }

    /// One request, one answer.
    async fn ask(&mut self, request: &[u8]) -> io::Result<()> {
        self.stream.write_all(request).await?;
        loop {
            if let Some(length) = answer_length(&self.buffer)? {
                while self.buffer.len() < length {
                    self.read_more().await?;
                }
                self.buffer.drain(..length);
                return Ok(());
            }
            self.read_more().await?;
        }
    }

    async fn read_more(&mut self) -> io::Result<()> {
        if self.stream.read_buf(&mut self.buffer).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(())
    }
}

/// The length of the answer at the beginning of `bytes`, once its head is there. Its body says how long it is: our server
/// never sends one in chunks.
fn answer_length(bytes: &[u8]) -> io::Result<Option<usize>> {
    let bad = |what: &str| Err(io::Error::new(io::ErrorKind::InvalidData, what));
    let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
        if bytes.len() > LONGEST_HEAD {
            return bad("an answer without an end of its head");
        }
        return Ok(None);
    };
    let Ok(head) = std::str::from_utf8(&bytes[..end]) else {
        return bad("an answer whose head is not text");
    };
    let mut lines = head.split("\r\n");
    let status = lines.next().unwrap_or_default();
    if !status.starts_with("HTTP/1.1 200 ") {
        return bad(status);
    }
    let length = lines
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .and_then(|(_, value)| value.trim().parse::<usize>().ok());
    match length {
        Some(length) => Ok(Some(end + 4 + length)),
        None => bad("an answer without a length"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(bytes: &str, expected: Result<Option<usize>, &str>) {
        let found = answer_length(bytes.as_bytes()).map_err(|error| error.to_string());
        assert_eq!(found, expected.map_err(str::to_owned), "{bytes:?}");
    }

    #[test]
    fn an_answer_ends_where_its_head_says() {
        check("HTTP/1.1 200 OK\r\ncontent-le", Ok(None));
        let whole = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
        check(whole, Ok(Some(whole.len())));
        check(&format!("{whole}HTTP/1.1"), Ok(Some(whole.len())));
    }

    #[test]
    fn whatever_is_not_a_success_ends_the_load() {
        check(
            "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n",
            Err("HTTP/1.1 503 Service Unavailable"),
        );
        check(
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
            Err("an answer without a length"),
        );
    }
}
