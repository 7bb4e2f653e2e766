//! One connection of the scripted server.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::{Say, Script};

/// One connection, in clear or under TLS.
pub(super) struct Connection<S> {
    stream: S,
    buffer: Vec<u8>,
    script: Arc<Mutex<Script>>,
    recipients: Vec<String>,
    /// MAIL was taken.
    begun: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    pub(super) fn new(stream: S, script: Arc<Mutex<Script>>) -> Self {
        Self {
            stream,
            buffer: Vec::new(),
            script,
            recipients: Vec::new(),
            begun: false,
        }
    }

    /// Serves until the end, or until STARTTLS was answered with 220: then the socket is given back.
    pub(super) async fn serve(mut self, greets: bool) -> Option<S> {
        if greets && !self.answer("greeting", "220 server.example ESMTP").await {
            return None;
        }
        while let Some(line) = self.line().await {
            self.script.lock().expect("no panic").note(line.clone());
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
            "EHLO" | "LHLO" => {
                let offers = self.script.lock().expect("no panic").offers.clone();
                let offers: String = offers
                    .iter()
                    .map(|offer| format!("250-{offer}\r\n"))
                    .collect();
                let usual =
                    format!("250-server.example\r\n{offers}250-SIZE 20000000\r\n250 8BITMIME");
                self.answer(&verb, &usual).await
            }
            "MAIL" => {
                self.recipients.clear();
                let said = self.said("MAIL");
                self.begun = !matches!(&said, Some(Say::Bytes(bytes)) if !bytes.starts_with(b"2"));
                self.give(said, "250 2.1.0 ok").await
            }
            "RCPT" | "DATA" | "BDAT" if !self.begun => {
                self.answer(&verb, "503 5.5.1 MAIL first").await
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
                if said.is_none() && self.recipients.is_empty() {
                    return self.give(None, "554 5.5.1 no valid recipients").await;
                }
                let taken = said.is_none();
                self.give(said, "354 go").await && (!taken || self.take().await)
            }
            "BDAT" => {
                let size = line.split_whitespace().nth(1).and_then(|n| n.parse().ok());
                let Some(message) = self.exactly(size.expect("a size")).await else {
                    return false;
                };
                self.end(message).await
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
        self.end(message).await
    }

    /// The mail is whole: `.` says how it is answered.
    async fn end(&mut self, message: Vec<u8>) -> bool {
        let recipients = std::mem::take(&mut self.recipients);
        self.script
            .lock()
            .expect("no panic")
            .note("(end)".to_owned());
        if recipients.is_empty() {
            return self.give(None, "554 5.5.1 no valid recipients").await;
        }
        let answers = if self.script.lock().expect("no panic").lmtp {
            recipients.clone()
        } else {
            vec![String::new()]
        };
        let said: Vec<_> = answers
            .iter()
            .map(|to| self.said(&format!(". {to}")).or_else(|| self.said(".")))
            .collect();
        if said.iter().any(Option::is_none) {
            self.script
                .lock()
                .expect("no panic")
                .arrived
                .push((recipients, message));
        }
        for said in said {
            if !self.give(said, "250 2.0.0 taken").await {
                return false;
            }
        }
        true
    }

    async fn exactly(&mut self, size: usize) -> Option<Vec<u8>> {
        while self.buffer.len() < size {
            self.fill().await?;
        }
        Some(self.buffer.drain(..size).collect())
    }

    async fn fill(&mut self) -> Option<()> {
        let mut chunk = vec![0; 64 * 1024];
        let read = self.stream.read(&mut chunk).await.ok()?;
        self.script.lock().expect("no panic").turns += 1;
        self.buffer.extend_from_slice(&chunk[..read]);
        (read > 0).then_some(())
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
            self.fill().await?;
        }
    }
}
