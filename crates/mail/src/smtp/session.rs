//! One mail over an open connection (RFC 5321 section 3.3).
//!
//! Where the server offers PIPELINING (RFC 2920) a mail takes two round trips instead of three and one for each
//! recipient: MAIL, every RCPT and DATA travel together, and so do the body and its dot. With another mail waiting it
//! takes one: the next one's commands travel behind the dot. Every reply is read, whatever was refused in front of it.

mod begin;
mod transfer;

use std::time::{Duration, Instant};

use posthaste_domain::{
    address::EmailAddress,
    delivery::{BodyHash, Class, Reply, Stage},
};

use self::begin::Sender;
use super::{
    Protocol, Timeouts, classify,
    connection::{Connection, Lost},
    offered::Offered,
    reply::Said,
};
use crate::{
    envelope::Envelope,
    transport::{Gate, Passing, Receipt, Scope, SendError},
};

/// Longest time for all that comes before the body, however slowly each step goes.
const BEFORE_BODY: Duration = Duration::from_secs(300);
/// Longest wait for the answer to RSET or QUIT.
const RESET: Duration = Duration::from_secs(5);
/// Most recipients whose commands travel together: what is written, and what is said to it, has room in the buffers of
/// any socket, so neither side waits for the other to read.
const MOST_TOGETHER: usize = 100;

/// What a mail is begun with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Opening {
    sender: EmailAddress,
    recipients: Vec<EmailAddress>,
    size: usize,
}

impl Opening {
    pub(super) fn of(envelope: &Envelope, message: &[u8]) -> Self {
        Self {
            sender: envelope.sender.clone(),
            recipients: envelope.recipients.clone(),
            size: message.len(),
        }
    }
}

/// A mail that waits for a connection: its commands, for the session over which they can travel.
pub(super) type Follow<'a> = dyn FnMut(&Session) -> Option<String> + Send + 'a;

/// One mail.
pub(super) struct Mail<'a> {
    pub(super) opening: &'a Opening,
    pub(super) message: &'a [u8],
    /// Of the message: made before a connection is waited for, not while one waits.
    pub(super) hash: BodyHash,
    pub(super) gate: &'a Gate,
}

/// How far a mail is when a session gets it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Begun {
    /// Nothing was written.
    No,
    /// Its commands travelled behind the mail before.
    Yes,
}

/// No recipient got a reply of its own.
pub(super) struct Failed {
    pub(super) error: SendError,
    /// The connection was dead before the first command was answered: nothing was sent, and another one costs nothing.
    pub(super) dead_on_reuse: bool,
}

/// An open connection that is ready for mail, and what is known of it.
pub(super) struct Session {
    connection: Connection,
    offered: Offered,
    protocol: Protocol,
    limits: Timeouts,
    remote: String,
    opened: Instant,
    used: Instant,
    /// Mails that were begun over it.
    mails: u32,
    /// A transaction was left open and must be ended first.
    dirty: bool,
    /// Every exchange was completed.
    sound: bool,
}

impl Session {
    pub(super) fn new(
        connection: Connection,
        offered: Offered,
        protocol: Protocol,
        limits: Timeouts,
        remote: String,
    ) -> Self {
        let now = Instant::now();
        Self {
            connection,
            offered,
            protocol,
            limits,
            remote,
            opened: now,
            used: now,
            mails: 0,
            dirty: false,
            sound: true,
        }
    }

    /// Whether another mail may be sent over it: every exchange was completed, and nothing was said that nobody asked for.
    pub(super) fn is_sound(&self) -> bool {
        self.sound && self.connection.is_in_step()
    }

    /// Whether the mail is over; what a follower was told may have been read already.
    pub(super) fn is_done(&self) -> bool {
        self.sound
    }

    pub(super) fn mails(&self) -> u32 {
        self.mails
    }

    pub(super) fn age(&self) -> Duration {
        self.opened.elapsed()
    }

    pub(super) fn idle(&self) -> Duration {
        self.used.elapsed()
    }

    /// Whether a mail can travel behind another one.
    pub(super) fn can_follow(&self, opening: &Opening) -> bool {
        self.is_piped(opening) && self.is_small_enough(opening)
    }

    fn is_piped(&self, opening: &Opening) -> bool {
        self.offered.pipelining && opening.recipients.len() <= MOST_TOGETHER
    }

    fn is_small_enough(&self, opening: &Opening) -> bool {
        self.offered
            .size
            .is_none_or(|most| opening.size as u64 <= most)
    }

    /// MAIL and every RCPT, and DATA unless the mail goes by BDAT.
    pub(super) fn commands(&self, opening: &Opening) -> String {
        let recipients = opening.recipients.iter();
        let recipients = recipients.map(|to| format!("RCPT TO:<{}>\r\n", to.expose()));
        let data = (!self.offered.chunking).then(|| "DATA\r\n".to_owned());
        std::iter::once(format!("{}\r\n", self.mail(opening)))
            .chain(recipients)
            .chain(data)
            .collect()
    }

    fn mail(&self, opening: &Opening) -> String {
        let sizes = if self.offered.sizes {
            format!(" SIZE={}", opening.size)
        } else {
            String::new()
        };
        format!("MAIL FROM:<{}>{sizes}", opening.sender.expose())
    }

    pub(super) async fn quit(mut self) {
        // The connection is closed whatever the server says.
        self.connection.command("QUIT", RESET).await.ok();
    }

    /// Sends one mail. Only the accepted recipients share the outcome of the body; the others keep their own replies.
    /// `follow` is asked once, when the last piece of the body is written.
    pub(super) async fn send(
        &mut self,
        mail: &Mail<'_>,
        begun: Begun,
        follow: &mut Follow<'_>,
    ) -> Result<Receipt, Failed> {
        let deadline = Instant::now() + BEFORE_BODY;
        let reused = self.mails > 0;
        self.mails += 1;
        // A call that is dropped leaves it so.
        self.sound = false;
        let opening = mail.opening;
        if !self.is_small_enough(opening) {
            self.sound = begun == Begun::No;
            let text = "the message is larger than the server takes";
            let reply = Reply::new(Stage::Mail, Class::Permanent, text);
            return Err(Failed::later(self.error(Scope::Message, reply)));
        }
        let piped = self.is_piped(opening);
        let sender = self.begin(opening, begun, piped, deadline).await;
        let sender = sender.map_err(|error| Failed {
            dead_on_reuse: reused && error.scope == Scope::Connection,
            error,
        })?;
        let sent = self.recipients(mail, sender, piped, deadline, follow).await;
        sent.map_err(Failed::later)
    }

    /// Each RCPT, DATA if one was taken, and the body.
    async fn recipients(
        &mut self,
        mail: &Mail<'_>,
        sender: Sender,
        piped: bool,
        deadline: Instant,
        follow: &mut Follow<'_>,
    ) -> Result<Receipt, SendError> {
        if let Sender::Refused(error) = sender {
            // What travelled behind MAIL is answered too, and says nothing new.
            self.sound = !piped || self.drain(mail.opening, deadline).await.is_ok();
            return Err(error);
        }
        self.dirty = true;
        let mut replies = Vec::with_capacity(mail.opening.recipients.len());
        for recipient in &mail.opening.recipients {
            if !piped {
                let command = format!("RCPT TO:<{}>\r\n", recipient.expose());
                self.write(Stage::Rcpt, &command).await?;
            }
            let said = self.reply(Stage::Rcpt, deadline).await?;
            // 251: not here, but taken for forwarding.
            let taken = matches!(said.code, 250 | 251);
            if !taken && (classify::is_about_the_connection(&said) || said.code < 400) {
                return Err(self.out_of_step(Stage::Rcpt, &said));
            }
            replies.push(classify::reply(Stage::Rcpt, &said));
        }
        let accepted = count(&replies);
        if accepted == 0 {
            self.sound = !piped || self.offered.chunking || self.unwanted_data(deadline).await;
            return Ok(self.receipt(replies));
        }
        if !self.offered.chunking {
            if !piped {
                self.write(Stage::Data, "DATA\r\n").await?;
            }
            let said = self.reply(Stage::Data, deadline).await?;
            if said.code != 354 {
                if classify::is_about_the_connection(&said) || said.code < 400 {
                    return Err(self.out_of_step(Stage::Data, &said));
                }
                self.sound = true;
                let reply = classify::reply(Stage::Data, &said);
                share(&mut replies, std::iter::repeat_n(reply, accepted));
                return Ok(self.receipt(replies));
            }
        }
        let passing = Passing {
            hash: mail.hash,
            recipients: &taken(&mail.opening.recipients, &replies),
        };
        let opened = mail.gate.open(passing).await;
        opened.map_err(|shut| {
            let reply = Reply::new(Stage::Data, Class::Transient, &shut.to_string());
            self.error(Scope::Gate, reply)
        })?;
        let shared = self.body(mail.message, accepted, follow).await;
        share(&mut replies, shared);
        Ok(self.receipt(replies))
    }

    async fn write(&mut self, stage: Stage, text: &str) -> Result<(), SendError> {
        let written = self
            .connection
            .write(text.as_bytes(), self.limits.envelope)
            .await;
        written.map_err(|lost| self.lost(stage, &lost))
    }

    async fn reply(&mut self, stage: Stage, deadline: Instant) -> Result<Said, SendError> {
        let left = deadline.saturating_duration_since(Instant::now());
        let said = self.connection.reply(self.limits.envelope.min(left)).await;
        said.map_err(|lost| self.lost(stage, &lost))
    }

    fn lost(&self, stage: Stage, lost: &Lost) -> SendError {
        let reply = Reply::new(stage, Class::Transient, &lost.to_string());
        self.error(Scope::Connection, reply)
    }

    fn out_of_step(&self, stage: Stage, said: &Said) -> SendError {
        let said = classify::reply(stage, said);
        let class = match said.class {
            Class::Throttled => Class::Throttled,
            _ => Class::Transient,
        };
        self.error(Scope::Connection, Reply { class, ..said })
    }

    fn error(&self, scope: Scope, reply: Reply) -> SendError {
        SendError {
            scope,
            reply,
            remote: Some(self.remote.clone()),
            trail: None,
        }
    }

    fn receipt(&self, replies: Vec<Reply>) -> Receipt {
        Receipt {
            replies,
            remote: Some(self.remote.clone()),
            trail: None,
        }
    }
}

impl Failed {
    fn later(error: SendError) -> Self {
        Self {
            error,
            dead_on_reuse: false,
        }
    }
}

/// Those who share what becomes of the body.
fn taken<'a>(recipients: &'a [EmailAddress], replies: &[Reply]) -> Vec<&'a EmailAddress> {
    let both = recipients.iter().zip(replies);
    let taken = both.filter(|(_, reply)| reply.class == Class::Accepted);
    taken.map(|(recipient, _)| recipient).collect()
}

fn count(replies: &[Reply]) -> usize {
    let accepted = replies
        .iter()
        .filter(|reply| reply.class == Class::Accepted);
    accepted.count()
}

/// What became of the body is what became of those that were accepted, in their order.
fn share(replies: &mut [Reply], shared: impl IntoIterator<Item = Reply>) {
    let accepted = replies
        .iter_mut()
        .filter(|reply| reply.class == Class::Accepted);
    for (reply, shared) in accepted.zip(shared) {
        *reply = shared;
    }
}
