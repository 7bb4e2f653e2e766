//! A submit under an idempotency key, from its arrival to its answer: never two of them at once.

use std::time::Duration;

use posthaste_domain::{
    idempotency::Keyed,
    message::NewMessage,
    owner::Owner,
    stores::{Accepted, StoreError},
};
use tokio::time::{Instant, sleep, timeout_at};

use super::{
    Accept, Ended,
    in_flight::{Entry, Flight},
    keys::{self, Kept},
};
use crate::{
    Store,
    writer::{Command, Failure},
};

/// How long a submit waits for an earlier one under its key. The port in `domain` says so to its callers.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often a key is tried for that another node holds.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

impl Store {
    /// Has messages of one owner stored, whatever stands under their key, and their jobs due after a wait.
    pub(crate) async fn accepted(
        &self,
        messages: Vec<NewMessage>,
        keyed: Option<Keyed>,
        after: Duration,
    ) -> Result<Ended, StoreError> {
        let size = messages.iter().map(NewMessage::size).sum();
        let (accept, answer) = Accept::new(messages, keyed, after);
        self.writer
            .submit(size, |space| Command::Accept(accept, space))
            .await?;
        answer
            .await
            .unwrap_or_else(|_| Err(Failure::closed().into()))
    }

    /// Has messages of one owner stored if their key is free, after whoever came with the same key before.
    pub(crate) async fn accepted_once(
        &self,
        owner: &Owner,
        messages: Vec<NewMessage>,
        keyed: Keyed,
    ) -> Result<Accepted, StoreError> {
        let deadline = Instant::now() + PATIENCE;
        let identity = keys::identity(owner, &keyed.request);
        loop {
            let mut end = match self.in_flight.enter(&identity) {
                Entry::First(flight) => {
                    return self.accepted_first(flight, messages, keyed, deadline).await;
                }
                Entry::Later(end) => end,
            };
            match timeout_at(deadline, end.wait_for(Option::is_some)).await {
                Ok(Ok(kept)) => {
                    if let Some(kept) = kept.clone() {
                        return Ok(kept.tell(&keyed.request));
                    }
                }
                // It ended without an answer: this one may be the first now.
                Ok(Err(_closed)) => {}
                Err(_elapsed) => return Ok(Accepted::InProgress),
            }
        }
    }

    async fn accepted_first(
        &self,
        flight: Flight<'_>,
        messages: Vec<NewMessage>,
        keyed: Keyed,
        deadline: Instant,
    ) -> Result<Accepted, StoreError> {
        let (mut messages, mut keyed) = (messages, keyed);
        let request = keyed.request.clone();
        let stored = Kept {
            fingerprint: request.fingerprint,
            answer: keyed.answer.clone(),
        };
        loop {
            match self.accepted(messages, Some(keyed), Duration::ZERO).await? {
                Ended::Stored => {
                    flight.ended(stored);
                    return Ok(Accepted::Stored);
                }
                Ended::Found(kept) => {
                    flight.ended(kept.clone());
                    return Ok(kept.tell(&request));
                }
                Ended::Elsewhere(_) if Instant::now() >= deadline => {
                    return Ok(Accepted::InProgress);
                }
                Ended::Elsewhere(again) => (messages, keyed) = *again,
            }
            sleep(LOOK_AGAIN).await;
        }
    }
}
