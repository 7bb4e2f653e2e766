//! A server that takes every mail and keeps none, for where no other one is named. On a thread and a runtime of its own, so
//! that what is measured shares nothing with it but the machine.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

use memchr::memmem;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::oneshot,
    task::JoinSet,
};

const END: &[u8] = b"\r\n.\r\n";

/// The server. It is gone when the value goes.
#[derive(Debug)]
pub(super) struct Sink {
    pub(super) address: SocketAddr,
    taken: Arc<AtomicU64>,
    bytes: Arc<AtomicU64>,
    _running: oneshot::Sender<()>,
}

impl Sink {
    /// Listens on a free port of the loopback.
    pub(super) fn start() -> io::Result<Self> {
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let counts = (Arc::<AtomicU64>::default(), Arc::<AtomicU64>::default());
        let (running, over) = oneshot::channel::<()>();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let (taken, bytes) = counts.clone();
        thread::spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    _ = over => {}
                    // It ends by an error only; whoever sends then says so.
                    _ = accept(listener, counts) => {}
                }
            });
        });
        Ok(Self {
            address,
            taken,
            bytes,
            _running: running,
        })
    }

    /// Mails taken, and bytes of them.
    pub(super) fn taken(&self) -> (u64, u64) {
        (
            self.taken.load(Ordering::Acquire),
            self.bytes.load(Ordering::Acquire),
        )
    }
}

type Counts = (Arc<AtomicU64>, Arc<AtomicU64>);

async fn accept(listener: std::net::TcpListener, counts: Counts) -> io::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    let mut connections = JoinSet::new();
    loop {
        let (socket, _) = listener.accept().await?;
        socket.set_nodelay(true)?;
        // A connection that breaks is the client's to tell.
        connections.spawn(serve(socket, counts.clone()));
        while connections.try_join_next().is_some() {}
    }
}

async fn serve(mut socket: TcpStream, (taken, size): Counts) -> io::Result<()> {
    socket.write_all(b"220 sink ESMTP\r\n").await?;
    let (mut bytes, mut in_body, mut answers) = (Vec::with_capacity(1 << 16), false, Vec::new());
    while socket.read_buf(&mut bytes).await? > 0 {
        let mut at = 0;
        loop {
            let rest = &bytes[at..];
            let end = if in_body { END } else { b"\r\n" };
            let Some(length) = memmem::find(rest, end) else {
                break;
            };
            at += length + end.len();
            if in_body {
                in_body = false;
                taken.fetch_add(1, Ordering::AcqRel);
                size.fetch_add((length + 2) as u64, Ordering::AcqRel);
                answers.extend_from_slice(b"250 2.0.0 taken\r\n");
                continue;
            }
            let verb = rest[..length.min(4)].to_ascii_uppercase();
            let answer: &[u8] = match &*verb {
                b"EHLO" => b"250-sink\r\n250-PIPELINING\r\n250 8BITMIME\r\n",
                b"DATA" => {
                    in_body = true;
                    b"354 go on\r\n"
                }
                b"QUIT" => b"221 2.0.0 bye\r\n",
                _ => b"250 2.1.0 ok\r\n",
            };
            answers.extend_from_slice(answer);
        }
        bytes.drain(..at);
        socket.write_all(&answers).await?;
        answers.clear();
    }
    Ok(())
}
