//! Opening a connection: name, socket, TLS, greeting, EHLO, STARTTLS, log-in. Whatever goes wrong here is about the way
//! and not about any mail.

use std::{future::Future, io, net::SocketAddr, sync::Arc, time::Duration};

use lettre::transport::smtp::{
    authentication::{Credentials, Mechanism},
    client::AsyncSmtpConnection,
    commands::Starttls,
    extension::ClientId,
};
use posthaste_domain::delivery::{Class, Reply, Stage};
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use secrecy::ExposeSecret;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::{
    SmtpConfig, TlsMode, classify,
    session::{Offered, Session},
    wire::{Said, Stream, Tap, wire},
};
use crate::transport::{Scope, SendError};

/// The line that lettre is shown in place of a second greeting, which no server sends after STARTTLS.
const AFTER_STARTTLS: &str = "220 TLS\r\n";

/// Opens a connection that is ready for MAIL.
pub(super) async fn open(
    config: &SmtpConfig,
    tls: &Arc<ClientConfig>,
) -> Result<Session, SendError> {
    let way = Way {
        config,
        remote: format!("{}:{}", config.host, config.port),
    };
    let (socket, peer) = way.connect().await?;
    let mut protected = false;
    let mut stream: Box<dyn Stream> = Box::new(socket);
    if config.tls == TlsMode::Implicit {
        stream = way.handshake(stream, tls).await?;
        protected = true;
    }
    let (mut connection, mut tap, mut offered) = way.hello(stream, peer, "").await?;
    let wanted = match config.tls {
        TlsMode::Starttls => true,
        TlsMode::Opportunistic => offered.starttls,
        TlsMode::Implicit | TlsMode::None => false,
    };
    if wanted {
        if !offered.starttls {
            return Err(way.failed(
                Stage::Tls,
                "the server does not offer STARTTLS, and nothing is sent without it",
            ));
        }
        let clear = way.starttls(connection, tap).await?;
        stream = way.handshake(clear, tls).await?;
        protected = true;
        (connection, tap, offered) = way.hello(stream, peer, AFTER_STARTTLS).await?;
    }
    let mut session = Session::new(connection, tap, offered, way.remote.clone());
    if let Some(credentials) = &config.credentials {
        if !protected && !peer.ip().is_loopback() {
            return Err(way.failed(Stage::Auth, "a password is not sent in clear"));
        }
        let credentials = Credentials::new(
            credentials.username.clone(),
            credentials.password.expose_secret().to_owned(),
        );
        let asked = session
            .connection
            .auth(&[Mechanism::Plain, Mechanism::Login], &credentials);
        let outcome = way
            .within(Stage::Auth, config.timeouts.command, asked)
            .await?;
        match (outcome, session.tap.said()) {
            (Ok(_), Some(said)) if said.code == 235 => {}
            (_, Some(said)) if said.code != 334 && !(200..300).contains(&said.code) => {
                return Err(way.said(Stage::Auth, &said));
            }
            (Err(error), _) => return Err(way.failed(Stage::Auth, &error.to_string())),
            (Ok(_), _) => return Err(way.failed(Stage::Auth, "the log-in was not confirmed")),
        }
    }
    Ok(session)
}

/// The server that is being connected to.
struct Way<'a> {
    config: &'a SmtpConfig,
    remote: String,
}

impl Way<'_> {
    async fn connect(&self) -> Result<(TcpStream, SocketAddr), SendError> {
        let connecting = TcpStream::connect((self.config.host.as_str(), self.config.port));
        let socket = self
            .within(Stage::Connect, self.config.timeouts.connect, connecting)
            .await?;
        let socket = socket.map_err(|error| self.failed(Stage::Connect, &error.to_string()))?;
        // Without it the last write of a mail waits for the answer to the one before.
        let prepared = socket.set_nodelay(true).and_then(|()| socket.peer_addr());
        let peer = prepared.map_err(|error| self.failed(Stage::Connect, &error.to_string()))?;
        Ok((socket, peer))
    }

    async fn handshake(
        &self,
        stream: Box<dyn Stream>,
        tls: &Arc<ClientConfig>,
    ) -> Result<Box<dyn Stream>, SendError> {
        let name = ServerName::try_from(self.config.host.clone());
        let name = name.map_err(|_| {
            self.failed(
                Stage::Tls,
                "the host is not a name that a certificate can bear",
            )
        })?;
        let shaking = TlsConnector::from(Arc::clone(tls)).connect(name, stream);
        let shaken = self
            .within(Stage::Tls, self.config.timeouts.tls, shaking)
            .await?;
        let stream =
            shaken.map_err(|error: io::Error| self.failed(Stage::Tls, &error.to_string()))?;
        Ok(Box::new(stream))
    }

    /// Greeting and EHLO. `greeting` stands for the server's, where it sends none.
    async fn hello(
        &self,
        stream: Box<dyn Stream>,
        peer: SocketAddr,
        greeting: &str,
    ) -> Result<(AsyncSmtpConnection, Tap, Offered), SendError> {
        let (wire, tap) = wire(stream, peer, greeting);
        let name = ClientId::Domain(self.config.hello_name.clone());
        let connecting = AsyncSmtpConnection::connect_with_transport(Box::new(wire), &name);
        let limit = self.config.timeouts.greeting + self.config.timeouts.command;
        let connected = tokio::time::timeout(limit, connecting).await;
        let stage = if tap.wrote() {
            Stage::Hello
        } else {
            Stage::Greeting
        };
        let said = tap.said();
        match connected {
            Err(_elapsed) => Err(self.failed(stage, "no answer in time")),
            Ok(Ok(connection)) => Ok((connection, tap, Offered::from_hello(said.as_ref()))),
            Ok(Err(error)) => Err(match said {
                Some(said) if said.code >= 400 => self.said(stage, &said),
                Some(_) | None => self.failed(stage, &error.to_string()),
            }),
        }
    }

    /// Asks for TLS and takes the socket back. Whatever came in behind the server's answer was put there by somebody
    /// else (NO STARTTLS, 2021): then the connection is not to be trusted.
    async fn starttls(
        &self,
        mut connection: AsyncSmtpConnection,
        tap: Tap,
    ) -> Result<Box<dyn Stream>, SendError> {
        let asked = connection.command(Starttls);
        let outcome = self
            .within(Stage::Tls, self.config.timeouts.command, asked)
            .await?;
        match (outcome, tap.said()) {
            (Ok(_), Some(said)) if said.code == 220 => {}
            (_, Some(said)) => return Err(self.said(Stage::Tls, &said)),
            (Err(error), None) => return Err(self.failed(Stage::Tls, &error.to_string())),
            (Ok(_), None) => return Err(self.failed(Stage::Tls, "STARTTLS was not answered")),
        }
        drop(connection);
        match tap.into_stream() {
            Some((stream, rest)) if rest.is_empty() => Ok(stream),
            Some(_) => Err(self.failed(
                Stage::Tls,
                "text was sent in clear behind the answer to STARTTLS",
            )),
            None => Err(self.failed(Stage::Tls, "the socket was lost")),
        }
    }

    async fn within<T>(
        &self,
        stage: Stage,
        limit: Duration,
        step: impl Future<Output = T>,
    ) -> Result<T, SendError> {
        tokio::time::timeout(limit, step)
            .await
            .map_err(|_elapsed| self.failed(stage, "no answer in time"))
    }

    fn failed(&self, stage: Stage, text: &str) -> SendError {
        self.error(Reply::new(stage, Class::Transient, text))
    }

    fn said(&self, stage: Stage, said: &Said) -> SendError {
        self.error(classify::reply(stage, said))
    }

    fn error(&self, reply: Reply) -> SendError {
        SendError {
            scope: Scope::Transport,
            reply,
            remote: Some(self.remote.clone()),
        }
    }
}
