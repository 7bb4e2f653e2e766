//! An SMTP server that says what it is told to.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use posthaste_mail::{
    SmtpConfig, SmtpTransport,
    smtp::{Timeouts, TlsMode},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use tokio_rustls::TlsAcceptor;

/// What is said instead of the usual answer.
#[derive(Debug, Clone)]
pub(crate) enum Say {
    /// These bytes.
    Bytes(Vec<u8>),
    /// Nothing, for ever.
    Nothing,
    /// Nothing, and the connection ends.
    HangUp,
    /// These bytes, later.
    Late(Duration, Vec<u8>),
}

impl Say {
    pub(crate) fn line(text: &str) -> Self {
        Self::Bytes(format!("{text}\r\n").into_bytes())
    }
}

#[derive(Debug, Default)]
struct Script {
    /// By verb (`greeting`, `EHLO`, `RCPT TO:<x>`, `.`): what is said the next times; then the usual again.
    answers: HashMap<String, Vec<Say>>,
    always: HashMap<String, Say>,
    arrived: Vec<(Vec<String>, Vec<u8>)>,
    commands: Vec<String>,
    connections: usize,
}

/// A server.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    script: Arc<Mutex<Script>>,
    _tasks: JoinSet<()>,
}

impl Server {
    pub(crate) async fn start() -> Self {
        Self::with(None).await
    }

    /// A server that speaks TLS with `tls`: from the first byte, or after STARTTLS.
    pub(crate) async fn with(tls: Option<Tls>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .expect("loopback can be listened on");
        let address = listener.local_addr().expect("it is bound");
        let script = Arc::new(Mutex::new(Script::default()));
        let mut tasks = JoinSet::new();
        let shared = Arc::clone(&script);
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((socket, _)) = listener.accept().await {
                shared.lock().expect("no panic").connections += 1;
                connections.spawn(serve(socket, Arc::clone(&shared), tls.clone()));
            }
        });
        Self {
            address,
            script,
            _tasks: tasks,
        }
    }

    /// Says this the next time, or the times after those that are set already.
    pub(crate) fn once(&self, verb: &str, say: Say) {
        self.script
            .lock()
            .expect("no panic")
            .answers
            .entry(verb.to_owned())
            .or_default()
            .push(say);
    }

    pub(crate) fn always(&self, verb: &str, say: Say) {
        self.script
            .lock()
            .expect("no panic")
            .always
            .insert(verb.to_owned(), say);
    }

    pub(crate) fn arrived(&self) -> Vec<(Vec<String>, Vec<u8>)> {
        self.script.lock().expect("no panic").arrived.clone()
    }

    pub(crate) fn commands(&self) -> Vec<String> {
        self.script.lock().expect("no panic").commands.clone()
    }

    pub(crate) fn connections(&self) -> usize {
        self.script.lock().expect("no panic").connections
    }

    pub(crate) fn config(&self) -> SmtpConfig {
        config(self.address.port())
    }

    pub(crate) fn transport(&self) -> SmtpTransport {
        SmtpTransport::new("relay", self.config()).expect("a sound configuration")
    }
}

/// Short limits, so that silence is found out quickly.
pub(crate) fn config(port: u16) -> SmtpConfig {
    let short = Duration::from_millis(400);
    SmtpConfig {
        host: "localhost".to_owned(),
        port,
        tls: TlsMode::None,
        credentials: None,
        ca_file: None,
        hello_name: "client.example".to_owned(),
        connections: 3,
        max_messages: 100,
        max_age: Duration::from_secs(300),
        max_idle: Duration::from_secs(30),
        timeouts: Timeouts {
            connect: Duration::from_secs(10),
            tls: short,
            greeting: short,
            command: short,
            envelope: short,
            body: short,
            dot: short,
        },
    }
}

/// How a server speaks TLS.
#[derive(Clone)]
pub(crate) struct Tls {
    pub(crate) acceptor: TlsAcceptor,
    pub(crate) implicit: bool,
}

async fn serve(socket: TcpStream, script: Arc<Mutex<Script>>, tls: Option<Tls>) {
    socket.set_nodelay(true).expect("a socket");
    let socket = match tls {
        None => {
            Connection::new(socket, script).serve(true).await;
            return;
        }
        Some(Tls {
            acceptor,
            implicit: true,
        }) => {
            if let Ok(stream) = acceptor.accept(socket).await {
                Connection::new(stream, script).serve(true).await;
            }
            return;
        }
        Some(tls) => (socket, tls.acceptor),
    };
    let (socket, acceptor) = socket;
    if let Some(socket) = Connection::new(socket, Arc::clone(&script))
        .serve(true)
        .await
        && let Ok(stream) = acceptor.accept(socket).await
    {
        script
            .lock()
            .expect("no panic")
            .commands
            .push("(TLS)".to_owned());
        Connection::new(stream, script).serve(false).await;
    }
}

/// One connection, in clear or under TLS.
pub(crate) struct Connection<S> {
    stream: S,
    buffer: Vec<u8>,
    script: Arc<Mutex<Script>>,
    recipients: Vec<String>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    fn new(stream: S, script: Arc<Mutex<Script>>) -> Self {
        Self {
            stream,
            buffer: Vec::new(),
            script,
            recipients: Vec::new(),
        }
    }

    /// Serves until the end, or until STARTTLS was answered with 220: then the socket is given back.
    async fn serve(mut self, greets: bool) -> Option<S> {
        if greets && !self.answer("greeting", "220 server.example ESMTP").await {
            return None;
        }
        while let Some(line) = self.line().await {
            self.script
                .lock()
                .expect("no panic")
                .commands
                .push(line.clone());
            if line == "STARTTLS" {
                let said = self.said("STARTTLS");
                let agreed = said.is_none();
                if !self.give(said, "220 go").await || agreed {
                    return agreed.then_some(self.stream);
                }
            } else if !self.obey(&line).await {
                return None;
            }
        }
        None
    }

    async fn obey(&mut self, line: &str) -> bool {
        let verb = line
            .split_whitespace()
            .next()
            .unwrap_or_default()
            .to_ascii_uppercase();
        match verb.as_str() {
            "EHLO" => {
                self.answer(
                    "EHLO",
                    "250-server.example\r\n250-SIZE 20000000\r\n250 8BITMIME",
                )
                .await
            }
            "MAIL" => {
                self.recipients.clear();
                self.answer("MAIL", "250 2.1.0 ok").await
            }
            "RCPT" => {
                let address = line.split(['<', '>']).nth(1).unwrap_or_default().to_owned();
                let said = self
                    .said(&format!("RCPT {address}"))
                    .or_else(|| self.said("RCPT"));
                let refused = matches!(&said, Some(Say::Bytes(bytes)) if !bytes.starts_with(b"2"));
                if !refused {
                    self.recipients.push(address);
                }
                self.give(said, "250 2.1.5 ok").await
            }
            "DATA" => {
                let said = self.said("DATA");
                let taken = said.is_none();
                self.give(said, "354 go").await && (!taken || self.take().await)
            }
            "AUTH" => self.answer("AUTH", "235 2.7.0 welcome").await,
            "QUIT" => {
                self.answer("QUIT", "221 bye").await;
                false
            }
            other => self.answer(other, "250 ok").await,
        }
    }

    async fn take(&mut self) -> bool {
        let mut message = Vec::new();
        loop {
            let Some(line) = self.raw_line().await else {
                return false;
            };
            if line == b".\r\n" {
                break;
            }
            message.extend_from_slice(line.strip_prefix(b".").unwrap_or(&line));
        }
        let said = self.said(".");
        if said.is_none() {
            self.script
                .lock()
                .expect("no panic")
                .arrived
                .push((std::mem::take(&mut self.recipients), message));
        }
        self.give(said, "250 2.0.0 taken").await
    }

    async fn answer(&mut self, verb: &str, usual: &str) -> bool {
        let said = self.said(verb);
        self.give(said, usual).await
    }

    fn said(&self, verb: &str) -> Option<Say> {
        let mut script = self.script.lock().expect("no panic");
        match script.answers.get_mut(verb) {
            Some(answers) if !answers.is_empty() => Some(answers.remove(0)),
            Some(_) | None => script.always.get(verb).cloned(),
        }
    }

    async fn give(&mut self, said: Option<Say>, usual: &str) -> bool {
        let bytes = match said {
            None => format!("{usual}\r\n").into_bytes(),
            Some(Say::Bytes(bytes)) => bytes,
            Some(Say::Late(after, bytes)) => {
                tokio::time::sleep(after).await;
                bytes
            }
            Some(Say::HangUp) => return false,
            Some(Say::Nothing) => std::future::pending().await,
        };
        self.stream.write_all(&bytes).await.is_ok()
    }

    async fn line(&mut self) -> Option<String> {
        let line = self.raw_line().await?;
        Some(String::from_utf8_lossy(&line).trim_end().to_owned())
    }

    async fn raw_line(&mut self) -> Option<Vec<u8>> {
        loop {
            if let Some(end) = self.buffer.windows(2).position(|pair| pair == b"\r\n") {
                return Some(self.buffer.drain(..end + 2).collect());
            }
            let mut chunk = vec![0; 64 * 1024];
            let read = self
                .stream
                .read(&mut chunk)
                .await
                .ok()
                .filter(|read| *read > 0)?;
            self.buffer.extend_from_slice(&chunk[..read]);
        }
    }
}
