//! Opening a connection: name, socket, TLS, greeting, EHLO, STARTTLS, log-in. Whatever goes wrong here is about the way
//! and not about any mail.

use std::{
    future::Future,
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use posthaste_domain::delivery::{Class, Reply, Stage};
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::net::{TcpSocket, TcpStream, UnixStream};
use tokio_rustls::TlsConnector;

use super::{
    Protocol, Server, SmtpConfig, TlsMode,
    auth::Credentials,
    classify,
    connection::{Connection, Lost, Stream},
    offered::Offered,
    reply::Said,
    session::Session,
};
use crate::{
    recorder,
    transport::{Scope, SendError},
};

/// Opens a connection that is ready for MAIL.
pub(super) async fn open(
    config: &SmtpConfig,
    tls: &Arc<ClientConfig>,
) -> Result<Session, SendError> {
    let way = Way {
        config,
        remote: config.server.to_string(),
    };
    let (mut stream, is_local) = way.connect().await?;
    let mut protected = false;
    if config.tls == TlsMode::Implicit {
        stream = way.handshake(stream, tls).await?;
        protected = true;
    }
    let mut connection = Connection::over(stream);
    way.greeting(&mut connection).await?;
    let mut offered = way.hello(&mut connection).await?;
    let wanted = match config.tls {
        TlsMode::Starttls => true,
        TlsMode::Opportunistic => offered.starttls,
        TlsMode::Implicit | TlsMode::None => false,
    };
    if wanted {
        if !offered.starttls {
            let text = "the server does not offer STARTTLS, and nothing is sent without it";
            return Err(way.failed(Stage::Tls, text));
        }
        let clear = way.starttls(connection).await?;
        connection = Connection::over(way.handshake(clear, tls).await?);
        protected = true;
        offered = way.hello(&mut connection).await?;
    }
    if let Some(credentials) = &config.credentials {
        if !protected && !is_local {
            return Err(way.failed(Stage::Auth, "a password is not sent in clear"));
        }
        way.log_in(&mut connection, credentials, &offered).await?;
    }
    offered.pipelining &= config.pipelining;
    offered.chunking &= config.chunking;
    Ok(Session::new(
        connection,
        offered,
        config.protocol,
        config.timeouts,
        way.remote,
    ))
}

/// The server that is being connected to.
struct Way<'a> {
    config: &'a SmtpConfig,
    remote: String,
}

impl Way<'_> {
    /// A socket, and whether its other end is on this machine.
    async fn connect(&self) -> Result<(Box<dyn Stream>, bool), SendError> {
        let connecting = async {
            match &self.config.server {
                Server::Unix(path) => {
                    let socket = UnixStream::connect(path).await?;
                    Ok((Box::new(socket) as Box<dyn Stream>, true))
                }
                Server::Tcp { .. } | Server::Resolved { .. } => {
                    let (socket, peer) = self.connect_to_any().await?;
                    // Without it the last write of a mail waits for the answer to the one before.
                    socket.set_nodelay(true)?;
                    Ok((Box::new(socket) as Box<dyn Stream>, peer.ip().is_loopback()))
                }
            }
        };
        recorder::event(&format!("connecting to {}", self.remote));
        let connected = within(self.config.timeouts.connect, connecting).await;
        let connected = connected.map_err(|lost| self.lost(Stage::Connect, &lost))?;
        connected.map_err(|error: io::Error| self.failed(Stage::Connect, &error.to_string()))
    }

    /// The first of a host's addresses that takes the connection, in the resolver's order (RFC 6724); with a source only
    /// those of its family.
    async fn connect_to_any(&self) -> io::Result<(TcpStream, SocketAddr)> {
        let addresses: Vec<SocketAddr> = match &self.config.server {
            Server::Tcp { host, port } => tokio::net::lookup_host((host.as_str(), *port))
                .await?
                .collect(),
            Server::Resolved {
                addresses, port, ..
            } => {
                let at = |ip: &IpAddr| SocketAddr::new(*ip, *port);
                addresses.iter().map(at).collect()
            }
            Server::Unix(_) => Vec::new(),
        };
        let source = self.config.source;
        let mut failed = io::Error::new(
            io::ErrorKind::AddrNotAvailable,
            "the host has no address of the source's family",
        );
        for address in addresses {
            if source.is_some_and(|source| source.is_ipv4() != address.is_ipv4()) {
                continue;
            }
            match connect_to(address, source).await {
                Ok(socket) => return Ok((socket, address)),
                Err(error) => failed = error,
            }
        }
        Err(failed)
    }

    async fn handshake(
        &self,
        stream: Box<dyn Stream>,
        tls: &Arc<ClientConfig>,
    ) -> Result<Box<dyn Stream>, SendError> {
        let host = match &self.config.server {
            Server::Tcp { host, .. } | Server::Resolved { host, .. } => host.clone(),
            Server::Unix(_) => "localhost".to_owned(),
        };
        let name = ServerName::try_from(host);
        let name = name.map_err(|_| {
            let text = "the host is not a name that a certificate can bear";
            self.failed(Stage::Tls, text)
        })?;
        let shaking = TlsConnector::from(Arc::clone(tls)).connect(name, stream);
        let shaken = within(self.config.timeouts.tls, shaking).await;
        let shaken = shaken.map_err(|lost| self.lost(Stage::Tls, &lost))?;
        let stream = shaken.map_err(|error| self.failed(Stage::Tls, &error.to_string()))?;
        let (_, session) = stream.get_ref();
        recorder::event(&match session.protocol_version() {
            Some(version) => format!("{version:?}"),
            None => "TLS".to_owned(),
        });
        Ok(Box::new(stream))
    }

    async fn greeting(&self, connection: &mut Connection) -> Result<(), SendError> {
        let said = connection.reply(self.config.timeouts.greeting).await;
        self.expect(Stage::Greeting, 220, said).map(drop)
    }

    async fn hello(&self, connection: &mut Connection) -> Result<Offered, SendError> {
        let verb = match self.config.protocol {
            Protocol::Smtp => "EHLO",
            Protocol::Lmtp => "LHLO",
        };
        let hello = format!("{verb} {}", self.config.hello_name);
        let said = connection
            .command(&hello, self.config.timeouts.command)
            .await;
        let said = self.expect(Stage::Hello, 250, said)?;
        Ok(Offered::from_hello(&said))
    }

    /// Asks for TLS and takes the socket back.
    async fn starttls(&self, mut connection: Connection) -> Result<Box<dyn Stream>, SendError> {
        let limit = self.config.timeouts.command;
        let said = connection.command("STARTTLS", limit).await;
        self.expect(Stage::Tls, 220, said)?;
        connection.into_stream().ok_or_else(|| {
            let text = "text was sent in clear behind the answer to STARTTLS";
            self.failed(Stage::Tls, text)
        })
    }

    async fn log_in(
        &self,
        connection: &mut Connection,
        credentials: &Credentials,
        offered: &Offered,
    ) -> Result<(), SendError> {
        let limit = self.config.timeouts.command;
        let dialogue = credentials.dialogue(offered);
        let shown = dialogue.shown();
        let mut said = connection.secret(&dialogue.command, &shown, limit).await;
        for answer in &dialogue.answers {
            if !matches!(&said, Ok(said) if said.code == 334) {
                break;
            }
            said = connection.secret(answer, "***", limit).await;
        }
        self.expect(Stage::Auth, 235, said).map(drop)
    }

    fn expect(&self, stage: Stage, code: u16, said: Result<Said, Lost>) -> Result<Said, SendError> {
        match said {
            Ok(said) if said.code == code => Ok(said),
            Ok(said) if said.code >= 400 => Err(self.error(classify::reply(stage, &said))),
            Ok(said) => {
                let text = format!("unexpected answer {} {}", said.code, said.text());
                Err(self.failed(stage, &text))
            }
            Err(lost) => Err(self.lost(stage, &lost)),
        }
    }

    fn lost(&self, stage: Stage, lost: &Lost) -> SendError {
        self.failed(stage, &lost.to_string())
    }

    fn failed(&self, stage: Stage, text: &str) -> SendError {
        self.error(Reply::new(stage, Class::Transient, text))
    }

    fn error(&self, reply: Reply) -> SendError {
        if reply.code.is_none() {
            recorder::event(&reply.text);
        }
        SendError {
            scope: Scope::Transport,
            reply,
            remote: Some(self.remote.clone()),
            trail: None,
        }
    }
}

async fn connect_to(address: SocketAddr, source: Option<IpAddr>) -> io::Result<TcpStream> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    if let Some(source) = source {
        socket.bind(SocketAddr::new(source, 0))?;
    }
    socket.connect(address).await
}

async fn within<T>(limit: Duration, step: impl Future<Output = T>) -> Result<T, Lost> {
    tokio::time::timeout(limit, step)
        .await
        .map_err(|_elapsed| Lost::TimedOut)
}
