//! A server that is far away: a proxy that holds back what goes through it, each way for half of a round trip.

use std::{io, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, tcp},
    sync::mpsc,
    task::JoinSet,
    time::{Instant, sleep_until},
};

/// The proxy. It is gone when the value goes.
pub(crate) struct Distance {
    pub(crate) port: u16,
    _running: JoinSet<()>,
}

impl Distance {
    /// Of `round_trip` to the server on this port.
    pub(crate) async fn to(server: u16, round_trip: Duration) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let port = listener.local_addr()?.port();
        let mut running = JoinSet::new();
        running.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((near, _)) = listener.accept().await {
                connections.spawn(async move {
                    // A connection that breaks is told by whoever used it.
                    join(near, server, round_trip / 2).await.ok();
                });
            }
        });
        Ok(Self {
            port,
            _running: running,
        })
    }
}

async fn join(near: TcpStream, server: u16, delay: Duration) -> io::Result<()> {
    let far = TcpStream::connect(("127.0.0.1", server)).await?;
    near.set_nodelay(true)?;
    far.set_nodelay(true)?;
    let (near_in, near_out) = near.into_split();
    let (far_in, far_out) = far.into_split();
    tokio::try_join!(
        held_back(near_in, far_out, delay),
        held_back(far_in, near_out, delay)
    )?;
    Ok(())
}

async fn held_back(
    mut from: tcp::OwnedReadHalf,
    mut to: tcp::OwnedWriteHalf,
    delay: Duration,
) -> io::Result<()> {
    // More than any window of a mail, so that the distance delays and does not narrow.
    let (under_way, mut arriving) = mpsc::channel::<(Instant, Vec<u8>)>(4096);
    let sending = async move {
        loop {
            let mut bytes = vec![0; 64 * 1024];
            let count = from.read(&mut bytes).await?;
            bytes.truncate(count);
            let left = under_way.send((Instant::now() + delay, bytes)).await;
            if count == 0 || left.is_err() {
                return io::Result::Ok(());
            }
        }
    };
    let arriving = async move {
        while let Some((at, bytes)) = arriving.recv().await {
            sleep_until(at).await;
            if bytes.is_empty() {
                return to.shutdown().await;
            }
            to.write_all(&bytes).await?;
        }
        Ok(())
    };
    tokio::try_join!(sending, arriving)?;
    Ok(())
}
