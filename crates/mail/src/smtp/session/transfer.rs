//! The body of a mail, its end, and what the server says to it.

use std::time::Instant;

use posthaste_domain::delivery::{Class, Reply, Stage};

use super::{Follow, Session};
use crate::{
    recorder,
    smtp::{Protocol, body, classify},
};

impl Session {
    /// Writes the body and its end, and reads the answer: one, or with LMTP one for each accepted recipient.
    pub(super) async fn body(
        &mut self,
        message: &[u8],
        accepted: usize,
        follow: &mut Follow<'_>,
    ) -> Vec<Reply> {
        let broken = |stage, class, text: &str| vec![Reply::new(stage, class, text); accepted];
        let mut pieces: Box<dyn Iterator<Item = Vec<u8>> + Send> = if self.offered.chunking {
            Box::new(body::counted(message))
        } else {
            Box::new(body::dotted(message))
        };
        recorder::body(message.len());
        let mut next = pieces.next();
        while let Some(mut piece) = next {
            next = pieces.next();
            let (stage, class) = if next.is_none() {
                if let Some(commands) = follow(self) {
                    piece.extend_from_slice(commands.as_bytes());
                }
                // From this write on the dot may be out.
                (Stage::Dot, Class::Uncertain)
            } else {
                (Stage::Body, Class::Transient)
            };
            let written = self.connection.write_silently(&piece, self.limits.body);
            if let Err(lost) = written.await {
                return broken(stage, class, &lost.to_string());
            }
        }
        let answers = match self.protocol {
            Protocol::Smtp => 1,
            Protocol::Lmtp => accepted,
        };
        let mut replies = Vec::with_capacity(accepted);
        for _ in 0..answers {
            match self.connection.reply(self.limits.dot).await {
                Ok(said) if matches!(said.code, 200..=299 | 400..=599) => {
                    replies.push((classify::reply(Stage::Dot, &said), said.code));
                }
                Ok(said) => {
                    let text = format!("unexpected answer {} {}", said.code, said.text());
                    replies.push((Reply::new(Stage::Dot, Class::Uncertain, &text), 0));
                    break;
                }
                Err(lost) => {
                    let text = lost.to_string();
                    replies.push((Reply::new(Stage::Dot, Class::Uncertain, &text), 0));
                    break;
                }
            }
        }
        // With 421 the server closes the channel behind its answer.
        self.sound = replies.iter().all(|(_, code)| !matches!(code, 0 | 421));
        self.dirty = false;
        self.used = Instant::now();
        let mut replies: Vec<_> = replies.into_iter().map(|(reply, _)| reply).collect();
        if let Some(last) = replies.last().cloned() {
            replies.resize(accepted, last);
        }
        replies
    }
}
