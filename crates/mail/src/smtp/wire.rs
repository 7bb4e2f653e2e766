//! The stream between lettre and the server, above TLS. It hands out one line of a reply at a time, repaired where lettre
//! would choke on it, remembers what the server said, and gives the socket back for STARTTLS.
//!
//! Repairs: a bare LF ends a line, bytes outside ASCII and control characters become `?`, a reply without text gets one.
//! A line over 2 KiB, or a reply over 64 KiB or 200 lines, is refused before it is in memory.

use std::{
    fmt, io,
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
};

use lettre::transport::smtp::client::AsyncTokioStream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

const MAX_LINE: usize = 2 * 1024;
const MAX_REPLY: usize = 64 * 1024;
/// lettre reads a reply from its beginning again at each line: many short ones would cost it seconds.
const MAX_LINES: usize = 200;

/// A connection in clear or under TLS.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Sync + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Sync + Unpin> Stream for S {}

/// What a server said to one command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) code: u16,
    pub(super) lines: Vec<String>,
}

impl Said {
    pub(super) fn text(&self) -> String {
        self.lines.join(" ")
    }
}

struct Shared {
    stream: Option<Box<dyn Stream>>,
    /// Read from the server, not yet handed out.
    raw: Vec<u8>,
    /// Repaired, on its way to lettre.
    line: Vec<u8>,
    /// Lines of the reply that is coming in, and its size.
    coming: Vec<String>,
    size: usize,
    said: Option<Said>,
    wrote: bool,
}

/// lettre's end.
pub(super) struct Wire {
    shared: Arc<Mutex<Shared>>,
    peer: SocketAddr,
}

/// Our end: what was said, and the socket.
#[derive(Clone)]
pub(super) struct Tap(Arc<Mutex<Shared>>);

/// Both ends over `stream`. `first` is a line that the server is taken to have sent already.
pub(super) fn wire(stream: Box<dyn Stream>, peer: SocketAddr, first: &str) -> (Wire, Tap) {
    let shared = Shared {
        stream: Some(stream),
        raw: first.as_bytes().to_vec(),
        line: Vec::new(),
        coming: Vec::new(),
        size: 0,
        said: None,
        wrote: false,
    };
    let shared = Arc::new(Mutex::new(shared));
    (
        Wire {
            shared: Arc::clone(&shared),
            peer,
        },
        Tap(shared),
    )
}

impl Tap {
    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The last complete reply, once.
    pub(super) fn said(&self) -> Option<Said> {
        self.shared().said.take()
    }

    /// Whether a byte was written since the wire was made.
    pub(super) fn wrote(&self) -> bool {
        self.shared().wrote
    }

    /// The socket back, once lettre's end is dropped, with what came in and was not asked for.
    pub(super) fn into_stream(self) -> Option<(Box<dyn Stream>, Vec<u8>)> {
        let mut shared = self.shared();
        let stream = shared.stream.take()?;
        Some((stream, std::mem::take(&mut shared.raw)))
    }
}

impl Shared {
    /// Moves the next whole line from `raw` to `line`. `false` if there is none yet.
    fn next_line(&mut self) -> io::Result<bool> {
        let Some(end) = self.raw.iter().position(|byte| *byte == b'\n') else {
            return if self.raw.len() > MAX_LINE {
                Err(too_long("line"))
            } else {
                Ok(false)
            };
        };
        if end > MAX_LINE {
            return Err(too_long("line"));
        }
        let raw: Vec<u8> = self.raw.drain(..=end).collect();
        self.size += raw.len();
        if self.size > MAX_REPLY || self.coming.len() >= MAX_LINES {
            return Err(too_long("reply"));
        }
        let text: String = String::from_utf8_lossy(&raw)
            .trim_end_matches(['\r', '\n'])
            .chars()
            .map(shown)
            .collect();
        self.line = self.repaired(&text).into_bytes();
        Ok(true)
    }

    /// The line as lettre gets it; what does not look like a reply is passed on for lettre to refuse.
    fn repaired(&mut self, text: &str) -> String {
        let code = text.get(..3).and_then(|digits| digits.parse::<u16>().ok());
        let (Some(code), separator) = (code, text[text.len().min(3)..].chars().next()) else {
            return format!("{text}\r\n");
        };
        let last = separator != Some('-');
        let rest = text.get(4..).unwrap_or_default().trim();
        let rest = if rest.is_empty() { "?" } else { rest };
        self.coming.push(rest.to_owned());
        if last {
            self.said = Some(Said {
                code,
                lines: std::mem::take(&mut self.coming),
            });
            self.size = 0;
        }
        format!("{code:03}{}{rest}\r\n", if last { ' ' } else { '-' })
    }
}

fn shown(c: char) -> char {
    if c.is_ascii_graphic() || c == ' ' {
        c
    } else {
        '?'
    }
}

fn too_long(what: &str) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("the server's {what} is too long"),
    )
}

fn gone() -> io::Error {
    io::Error::new(io::ErrorKind::NotConnected, "the socket was taken back")
}

impl AsyncRead for Wire {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        // One line at a time: what follows the reply to STARTTLS must not reach lettre's buffer.
        while shared.line.is_empty() && !shared.next_line()? {
            let mut chunk = [0; 1024];
            let mut read = ReadBuf::new(&mut chunk);
            let stream = shared.stream.as_mut().ok_or_else(gone)?;
            ready!(Pin::new(stream).poll_read(cx, &mut read))?;
            if read.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
            shared.raw.extend_from_slice(read.filled());
        }
        let count = shared.line.len().min(buf.remaining());
        let rest = shared.line.split_off(count);
        buf.put_slice(&shared.line);
        shared.line = rest;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        let stream = shared.stream.as_mut().ok_or_else(gone)?;
        let written = ready!(Pin::new(stream).poll_write(cx, bytes))?;
        shared.wrote = true;
        Poll::Ready(Ok(written))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        Pin::new(shared.stream.as_mut().ok_or_else(gone)?).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        Pin::new(shared.stream.as_mut().ok_or_else(gone)?).poll_shutdown(cx)
    }
}

impl AsyncTokioStream for Wire {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.peer)
    }
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Wire").field(&self.peer).finish()
    }
}
