//! Bytes out and replies in, each within a time limit.

use std::{future::Future, io, time::Duration};

use secrecy::zeroize::Zeroizing;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::reply::{Reader, Said, Unreadable};
use crate::recorder;

/// Room for what a server says to a whole group of commands.
const READ: usize = 4 * 1024;

/// A socket, in clear or under TLS.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Sync + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Sync + Unpin> Stream for S {}

/// Nothing more can be said over this connection.
#[derive(Debug, thiserror::Error)]
pub(super) enum Lost {
    #[error("no answer in time")]
    TimedOut,
    #[error("the server ended the connection")]
    Ended,
    #[error("{0}")]
    Failed(io::Error),
    #[error("{0}")]
    Unreadable(Unreadable),
}

impl From<io::Error> for Lost {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::BrokenPipe => Self::Ended,
            _ => Self::Failed(error),
        }
    }
}

/// An open connection. After [`Lost`], or after a call that was dropped before it ended, it is of no use to anybody.
pub(super) struct Connection {
    stream: Box<dyn Stream>,
    reader: Reader,
}

impl Connection {
    pub(super) fn over(stream: Box<dyn Stream>) -> Self {
        Self {
            stream,
            reader: Reader::default(),
        }
    }

    /// Writes commands.
    pub(super) async fn write(&mut self, commands: &[u8], limit: Duration) -> Result<(), Lost> {
        recorder::client(commands);
        self.write_silently(commands, limit).await
    }

    /// Writes what does not belong in a transcript.
    pub(super) async fn write_silently(
        &mut self,
        bytes: &[u8],
        limit: Duration,
    ) -> Result<(), Lost> {
        let writing = async {
            self.stream.write_all(bytes).await?;
            self.stream.flush().await
        };
        Ok(within(limit, writing).await??)
    }

    /// The next reply.
    pub(super) async fn reply(&mut self, limit: Duration) -> Result<Said, Lost> {
        let reading = async {
            loop {
                if let Some(said) = self.reader.next().map_err(Lost::Unreadable)? {
                    return Ok(said);
                }
                let mut bytes = [0; READ];
                match self.stream.read(&mut bytes).await? {
                    0 => return Err(Lost::Ended),
                    count => self.reader.feed(&bytes[..count]),
                }
            }
        };
        let said = within(limit, reading).await.flatten();
        match &said {
            Ok(said) => recorder::server(said.code, &said.lines),
            Err(lost) => recorder::event(&lost.to_string()),
        }
        said
    }

    /// One secret line, and the reply to it; `shown` stands for it in a transcript.
    pub(super) async fn secret(
        &mut self,
        text: &str,
        shown: &str,
        limit: Duration,
    ) -> Result<Said, Lost> {
        recorder::client(shown.as_bytes());
        let line = Zeroizing::new(format!("{text}\r\n"));
        self.write_silently(line.as_bytes(), limit).await?;
        self.reply(limit).await
    }

    /// One command, and the reply to it. `limit` is for each of the two.
    pub(super) async fn command(&mut self, text: &str, limit: Duration) -> Result<Said, Lost> {
        self.write(format!("{text}\r\n").as_bytes(), limit).await?;
        self.reply(limit).await
    }

    /// Whether the server has said no more than it was asked, as far as anybody has read.
    pub(super) fn is_in_step(&self) -> bool {
        self.reader.is_empty()
    }

    /// The socket, for TLS over it. `None` if something came in behind the last reply: whoever put it there is not the
    /// server that TLS will show (NO STARTTLS, 2021).
    pub(super) fn into_stream(self) -> Option<Box<dyn Stream>> {
        self.is_in_step().then_some(self.stream)
    }
}

async fn within<T>(limit: Duration, step: impl Future<Output = T>) -> Result<T, Lost> {
    tokio::time::timeout(limit, step)
        .await
        .map_err(|_elapsed| Lost::TimedOut)
}
