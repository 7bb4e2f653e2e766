//! One connection that is ready for mail, and one mail over it.

use std::{
    future::Future,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use lettre::{
    Address,
    transport::smtp::{
        client::AsyncSmtpConnection,
        commands::{Data, Mail, Quit, Rcpt, Rset},
        extension::MailParameter,
    },
};
use posthaste_domain::{
    address::EmailAddress,
    delivery::{Class, Reply, Stage},
};
use tokio::sync::Notify;

use super::{
    Timeouts, classify,
    wire::{Said, Tap},
};
use crate::{
    envelope::Envelope,
    transport::{Gate, Receipt, Scope, SendError, hash_of},
};

/// Bytes of the body that are written at a time: each is progress.
const CHUNK: usize = 64 * 1024;
/// Longest wait for the answer to RSET.
const RESET_LIMIT: Duration = Duration::from_secs(5);

/// Mails over a connection that is not to be used again: more than any limit allows.
const WORN_OUT: u32 = u32::MAX;

/// What a server offers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Offered {
    pub(super) starttls: bool,
    /// The largest message it takes; `None` if it does not say.
    pub(super) size: Option<u64>,
    sizes: bool,
}

impl Offered {
    /// From the reply to EHLO, whose first line is the server's name.
    pub(super) fn from_hello(said: Option<&Said>) -> Self {
        let mut offered = Self::default();
        for line in said.iter().flat_map(|said| said.lines.iter().skip(1)) {
            let mut words = line.split_whitespace();
            match words
                .next()
                .unwrap_or_default()
                .to_ascii_uppercase()
                .as_str()
            {
                "STARTTLS" => offered.starttls = true,
                "SIZE" => {
                    offered.sizes = true;
                    offered.size = words
                        .next()
                        .and_then(|size| size.parse().ok())
                        .filter(|size| *size > 0);
                }
                _ => {}
            }
        }
        offered
    }
}

/// How a mail over a connection went wrong.
pub(super) enum Broke {
    /// The connection was dead before its first command was answered; nothing was sent.
    BeforeFirstReply(SendError),
    /// Refused in order: the connection is sound.
    Refused(SendError),
    /// The connection is not to be used again.
    Later(SendError),
}

/// What became of the recipients that were accepted.
enum Outcome {
    /// The server said so: the connection is sound.
    Answered(Reply),
    /// The connection broke: before the dot nothing was delivered, from then on nobody knows.
    Broken(Reply),
}

/// A connection.
pub(super) struct Session {
    pub(super) connection: AsyncSmtpConnection,
    pub(super) tap: Tap,
    offered: Offered,
    remote: String,
    pub(super) opened: Instant,
    pub(super) used: Instant,
    pub(super) messages: u32,
}

impl Session {
    pub(super) fn new(
        connection: AsyncSmtpConnection,
        tap: Tap,
        offered: Offered,
        remote: String,
    ) -> Self {
        let now = Instant::now();
        Self {
            connection,
            tap,
            offered,
            remote,
            opened: now,
            used: now,
            messages: 0,
        }
    }

    pub(super) async fn quit(mut self) {
        // The connection is closed whatever the server says.
        self.connection.command(Quit).await.ok();
    }

    /// One mail: MAIL, each RCPT, DATA if one was accepted, the body. Only the accepted recipients share the outcome of
    /// the body; the others keep their own replies.
    pub(super) async fn send(
        &mut self,
        envelope: &Envelope,
        message: &[u8],
        gate: &Gate,
        timeouts: &Timeouts,
    ) -> Result<Receipt, Broke> {
        if self
            .offered
            .size
            .is_some_and(|most| message.len() as u64 > most)
        {
            let text = "the message is larger than the server takes";
            return Err(Broke::Refused(self.error(
                Scope::Message,
                Reply::new(Stage::Mail, Class::Permanent, text),
            )));
        }
        self.mail(envelope, message.len(), timeouts).await?;
        let mut replies = Vec::with_capacity(envelope.recipients.len());
        for recipient in &envelope.recipients {
            let rcpt = Rcpt::new(self.lettre(recipient)?, Vec::new());
            replies.push(self.recipient(rcpt.to_string(), timeouts).await?);
        }
        if replies.iter().all(|reply| reply.class != Class::Accepted) {
            self.reset().await;
            return Ok(self.receipt(replies));
        }
        let outcome = self.data(message, gate, timeouts).await?;
        match &outcome {
            Outcome::Answered(reply) if reply.class == Class::Accepted => {
                self.messages += 1;
                self.used = Instant::now();
            }
            Outcome::Answered(_) => self.reset().await,
            Outcome::Broken(_) => self.messages = WORN_OUT,
        }
        let (Outcome::Answered(shared) | Outcome::Broken(shared)) = outcome;
        let accepted = replies
            .iter_mut()
            .filter(|reply| reply.class == Class::Accepted);
        accepted.for_each(|reply| *reply = shared.clone());
        Ok(self.receipt(replies))
    }

    /// DATA, the gate, and the body: what becomes of every recipient that was accepted.
    async fn data(
        &mut self,
        message: &[u8],
        gate: &Gate,
        timeouts: &Timeouts,
    ) -> Result<Outcome, Broke> {
        let said = self
            .command(Stage::Data, Data.to_string(), timeouts.envelope)
            .await?;
        if said.code == 354 {
            gate.open(hash_of(message)).await.map_err(|shut| {
                let reply = Reply::new(Stage::Data, Class::Transient, &shut.to_string());
                Broke::Later(self.error(Scope::Gate, reply))
            })?;
            return Ok(self.body(message, timeouts).await);
        }
        if classify::is_about_the_connection(&said) || said.code < 400 {
            return Err(self.out_of_step(Stage::Data, &said));
        }
        Ok(Outcome::Answered(classify::reply(Stage::Data, &said)))
    }

    async fn mail(
        &mut self,
        envelope: &Envelope,
        size: usize,
        timeouts: &Timeouts,
    ) -> Result<(), Broke> {
        let sizes = if self.offered.sizes {
            vec![MailParameter::Size(size)]
        } else {
            Vec::new()
        };
        let mail = Mail::new(Some(self.lettre(&envelope.sender)?), sizes);
        let reused = self.messages > 0;
        let said = match self
            .command(Stage::Mail, mail.to_string(), timeouts.envelope)
            .await
        {
            Err(Broke::Later(error)) if reused => return Err(Broke::BeforeFirstReply(error)),
            said => said?,
        };
        match said.code {
            250 => Ok(()),
            // Asks for a log-in: nothing is wrong with the mail.
            530 => Err(Broke::Later(
                self.error(Scope::Transport, classify::reply(Stage::Mail, &said)),
            )),
            _ if classify::is_about_the_connection(&said) || said.code < 400 => {
                Err(match self.out_of_step(Stage::Mail, &said) {
                    Broke::Later(error) if reused => Broke::BeforeFirstReply(error),
                    broke => broke,
                })
            }
            _ => {
                let error = self.error(Scope::Message, classify::reply(Stage::Mail, &said));
                self.reset().await;
                Err(Broke::Refused(error))
            }
        }
    }

    async fn recipient(&mut self, rcpt: String, timeouts: &Timeouts) -> Result<Reply, Broke> {
        let said = self.command(Stage::Rcpt, rcpt, timeouts.envelope).await?;
        match said.code {
            // 251: not here, but taken for forwarding.
            250 | 251 => Ok(classify::reply(Stage::Rcpt, &said)),
            _ if classify::is_about_the_connection(&said) || said.code < 400 => {
                Err(self.out_of_step(Stage::Rcpt, &said))
            }
            _ => Ok(classify::reply(Stage::Rcpt, &said)),
        }
    }

    /// Writes the body and its final dot, and reads the answer.
    async fn body(&mut self, message: &[u8], timeouts: &Timeouts) -> Outcome {
        // lettre writes CRLF in front of the dot.
        let message = message.strip_suffix(b"\r\n").unwrap_or(message);
        let moved = Notify::new();
        let dot_may_be_out = AtomicBool::new(false);
        let mut chunks = message.chunks(CHUNK);
        let pieces = std::iter::from_fn(|| {
            moved.notify_one();
            let next = chunks.next();
            if next.is_none() {
                // lettre writes the dot right after the last piece.
                dot_may_be_out.store(true, Ordering::Relaxed);
            }
            next
        });
        // What was said before belongs to DATA.
        self.tap.said();
        let broke = |text: &str| {
            if dot_may_be_out.load(Ordering::Relaxed) {
                Reply::new(Stage::Dot, Class::Uncertain, text)
            } else {
                Reply::new(Stage::Body, Class::Transient, text)
            }
        };
        {
            let mut writing = std::pin::pin!(self.connection.message_iter(pieces));
            // Each piece, and the dot, has its time from the moment at which the one before was taken.
            loop {
                let out = dot_may_be_out.load(Ordering::Relaxed);
                let limit = if out { timeouts.dot } else { timeouts.body };
                tokio::select! {
                    biased;
                    // What was said is read from the wire below.
                    _ = &mut writing => break,
                    () = moved.notified() => {}
                    () = tokio::time::sleep(limit) => {
                        return Outcome::Broken(broke("no answer in time"));
                    }
                }
            }
        }
        match self.tap.said() {
            Some(said) if matches!(said.code, 200..=299 | 400..=599) => {
                let reply = classify::reply(Stage::Dot, &said);
                // With 421 the server closes the channel behind its answer.
                if said.code == 421 {
                    Outcome::Broken(reply)
                } else {
                    Outcome::Answered(reply)
                }
            }
            Some(said) => Outcome::Broken(broke(&format!(
                "unexpected answer {} {}",
                said.code,
                said.text()
            ))),
            None => Outcome::Broken(broke("the connection ended")),
        }
    }

    /// Makes the connection fit for the next mail, or unfit for any.
    async fn reset(&mut self) {
        let reset = self
            .command(Stage::Mail, Rset.to_string(), RESET_LIMIT)
            .await;
        self.used = Instant::now();
        self.messages = match reset {
            Ok(said) if said.code == 250 => self.messages.saturating_add(1),
            Ok(_) | Err(_) => WORN_OUT,
        };
    }

    async fn command(
        &mut self,
        stage: Stage,
        text: String,
        limit: Duration,
    ) -> Result<Said, Broke> {
        self.tap.said();
        let asked = within(limit, self.connection.command(text)).await;
        match (asked, self.tap.said()) {
            (Some(_), Some(said)) => Ok(said),
            (None, _) => Err(Broke::Later(
                self.connection_error(stage, "no answer in time"),
            )),
            (Some(Err(error)), None) => Err(Broke::Later(
                self.connection_error(stage, &error.to_string()),
            )),
            (Some(Ok(_)), None) => Err(Broke::Later(
                self.connection_error(stage, "no answer that can be read"),
            )),
        }
    }

    fn lettre(&self, address: &EmailAddress) -> Result<Address, Broke> {
        address.expose().parse().map_err(|_| {
            let reply = Reply::new(
                Stage::Mail,
                Class::Permanent,
                "an address that cannot be written to SMTP",
            );
            Broke::Refused(self.error(Scope::Message, reply))
        })
    }

    fn out_of_step(&self, stage: Stage, said: &Said) -> Broke {
        let reply = Reply {
            class: Class::Transient,
            ..classify::reply(stage, said)
        };
        Broke::Later(self.error(Scope::Connection, reply))
    }

    fn connection_error(&self, stage: Stage, text: &str) -> SendError {
        self.error(Scope::Connection, Reply::new(stage, Class::Transient, text))
    }

    fn error(&self, scope: Scope, reply: Reply) -> SendError {
        SendError {
            scope,
            reply,
            remote: Some(self.remote.clone()),
        }
    }

    fn receipt(&self, replies: Vec<Reply>) -> Receipt {
        Receipt {
            replies,
            remote: Some(self.remote.clone()),
        }
    }
}

async fn within<T>(limit: Duration, step: impl Future<Output = T>) -> Option<T> {
    tokio::time::timeout(limit, step).await.ok()
}
