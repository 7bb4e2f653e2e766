//! The beginning of a mail: RSET, MAIL, and what is said to commands that travelled behind a MAIL that was refused.

use std::time::Instant;

use posthaste_domain::delivery::Stage;

use super::{Begun, Opening, RESET, Session};
use crate::{
    recorder,
    smtp::classify,
    transport::{Scope, SendError},
};

/// What became of MAIL, in a group or alone.
pub(super) enum Sender {
    Taken,
    Refused(SendError),
}

impl Session {
    /// RSET where it is needed, and MAIL; with everything up to DATA behind it where commands may travel together.
    pub(super) async fn begin(
        &mut self,
        opening: &Opening,
        begun: Begun,
        piped: bool,
        deadline: Instant,
    ) -> Result<Sender, SendError> {
        let commands = if piped {
            self.commands(opening)
        } else {
            format!("{}\r\n", self.mail(opening))
        };
        let reset = std::mem::take(&mut self.dirty);
        if begun == Begun::No {
            if reset && !piped {
                self.write(Stage::Mail, "RSET\r\n").await?;
                self.reset().await?;
            }
            let reset = if reset && piped { "RSET\r\n" } else { "" };
            self.write(Stage::Mail, &format!("{reset}{commands}"))
                .await?;
            if !reset.is_empty() {
                self.reset().await?;
            }
        }
        if begun == Begun::Yes {
            recorder::event("behind the mail before:");
            recorder::client(commands.as_bytes());
        }
        let said = self.reply(Stage::Mail, deadline).await?;
        match said.code {
            250 => Ok(Sender::Taken),
            // Asks for a log-in: nothing is wrong with the mail.
            530 => Err(self.error(Scope::Transport, classify::reply(Stage::Auth, &said))),
            _ if classify::is_about_the_connection(&said) || said.code < 400 => {
                Err(self.out_of_step(Stage::Mail, &said))
            }
            _ => {
                let reply = classify::reply(Stage::Mail, &said);
                Ok(Sender::Refused(self.error(Scope::Message, reply)))
            }
        }
    }

    async fn reset(&mut self) -> Result<(), SendError> {
        let said = self.connection.reply(RESET).await;
        match said {
            Ok(said) if said.code == 250 => Ok(()),
            Ok(said) => Err(self.out_of_step(Stage::Mail, &said)),
            Err(lost) => Err(self.lost(Stage::Mail, &lost)),
        }
    }

    /// Reads what is said to RCPT and DATA of a mail whose sender was refused. A server that takes its data all the same
    /// is left: the dot that ends them could send an empty mail.
    pub(super) async fn drain(
        &mut self,
        opening: &Opening,
        deadline: Instant,
    ) -> Result<(), SendError> {
        for _ in &opening.recipients {
            self.reply(Stage::Rcpt, deadline).await?;
        }
        if self.offered.chunking {
            return Ok(());
        }
        let said = self.reply(Stage::Data, deadline).await?;
        if matches!(said.code, 354 | 421) {
            return Err(self.out_of_step(Stage::Data, &said));
        }
        Ok(())
    }

    /// The reply to a DATA that travelled along and is not wanted any more. If the server takes it, the mail without
    /// recipients is ended at once; its reply is read and means nothing. Tells whether the connection can be used again.
    pub(super) async fn unwanted_data(&mut self, deadline: Instant) -> bool {
        match self.reply(Stage::Data, deadline).await {
            Ok(said) if said.code == 354 => {
                self.dirty = false;
                self.write(Stage::Data, ".\r\n").await.is_ok()
                    && self.reply(Stage::Data, deadline).await.is_ok()
            }
            Ok(said) => said.code != 421,
            Err(_) => false,
        }
    }
}
