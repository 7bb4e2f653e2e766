//! An SMTP server that says what it is told to.

mod connection;

use std::{
    collections::HashMap,
    net::SocketAddr,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use posthaste_mail::{
    SmtpConfig, SmtpTransport,
    smtp::{Protocol, Timeouts, TlsMode},
};
use tokio::{
    net::{TcpListener, TcpStream, UnixListener},
    sync::Notify,
    task::JoinSet,
};
use tokio_rustls::TlsAcceptor;

use self::connection::Connection;

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
    clients: Vec<SocketAddr>,
    /// Extensions that EHLO names beside SIZE and 8BITMIME.
    offers: Vec<&'static str>,
    /// LMTP: one answer to the end of the mail for each recipient.
    lmtp: bool,
    /// Times that something was read.
    turns: usize,
    told: Arc<Notify>,
}

impl Script {
    fn note(&mut self, command: String) {
        self.commands.push(command);
        self.told.notify_waiters();
    }
}

/// A server.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    script: Arc<Mutex<Script>>,
    tasks: JoinSet<()>,
}

impl Server {
    pub(crate) async fn start() -> Self {
        Self::with(None).await
    }

    /// A server that speaks TLS with `tls`: from the first byte, or after STARTTLS.
    pub(crate) async fn with(tls: Option<Tls>) -> Self {
        Self::at(SocketAddr::from(([127, 0, 0, 1], 0)), tls).await
    }

    /// The same at an address of the loopback.
    pub(crate) async fn at(address: SocketAddr, tls: Option<Tls>) -> Self {
        let listener = TcpListener::bind(address)
            .await
            .expect("loopback can be listened on");
        let address = listener.local_addr().expect("it is bound");
        let script = Arc::new(Mutex::new(Script::default()));
        let mut tasks = JoinSet::new();
        let shared = Arc::clone(&script);
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((socket, client)) = listener.accept().await {
                shared.lock().expect("no panic").clients.push(client);
                connections.spawn(serve(socket, Arc::clone(&shared), tls.clone()));
            }
        });
        Self {
            address,
            script,
            tasks,
        }
    }

    /// A server that offers these extensions too.
    pub(crate) async fn offering(offers: &[&'static str]) -> Self {
        let server = Self::start().await;
        server.script.lock().expect("no panic").offers = offers.to_vec();
        server
    }

    /// A server that can be reached by a UNIX socket too.
    pub(crate) async fn behind(path: &Path) -> Self {
        let mut server = Self::start().await;
        let listener = UnixListener::bind(path).expect("the folder is there");
        let shared = Arc::clone(&server.script);
        server.tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((socket, _)) = listener.accept().await {
                let connection = Connection::new(socket, Arc::clone(&shared));
                connections.spawn(async move { connection.serve(true).await.map(drop) });
            }
        });
        server
    }

    pub(crate) async fn lmtp(offers: &[&'static str]) -> Self {
        let server = Self::offering(offers).await;
        server.script.lock().expect("no panic").lmtp = true;
        server
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
        self.clients().len()
    }

    pub(crate) fn clients(&self) -> Vec<SocketAddr> {
        self.script.lock().expect("no panic").clients.clone()
    }

    /// Times that something was read over all connections.
    pub(crate) fn turns(&self) -> usize {
        self.script.lock().expect("no panic").turns
    }

    /// Waits until a command was read; `(end)` is the end of a mail.
    pub(crate) async fn obeyed(&self, command: &str) {
        let told = Arc::clone(&self.script.lock().expect("no panic").told);
        loop {
            let told = told.notified();
            if self.commands().iter().any(|seen| seen == command) {
                return;
            }
            told.await;
        }
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
        server: posthaste_mail::smtp::Server::Tcp {
            host: "localhost".to_owned(),
            port,
        },
        protocol: Protocol::Smtp,
        source: None,
        tls: TlsMode::None,
        credentials: None,
        ca_file: None,
        certificate: None,
        hello_name: "client.example".to_owned(),
        pipelining: true,
        chunking: true,
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
        script.lock().expect("no panic").note("(TLS)".to_owned());
        Connection::new(stream, script).serve(false).await;
    }
}
