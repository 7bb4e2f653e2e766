//! The state of one delivery.
//!
//! ```text
//!            deferred            deferred
//!  queued ───────────► deferred ─────────┐
//!    │                  │  ▲─────────────┘
//!    │ accepted, refused, expired
//!    ▼                  ▼
//!  delivered   failed   expired            (final)
//! ```

/// Where a delivery stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DeliveryState {
    /// Not tried yet.
    Queued,
    /// Tried, not ended; it will be tried again.
    Deferred,
    /// Taken by the next server.
    Delivered,
    /// Refused for good.
    Failed,
    /// Given up at its expiry.
    Expired,
}

/// What happens to a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DeliveryEvent {
    /// The server took it.
    Accepted,
    /// The server, or the way to it, asked for another time.
    Deferred,
    /// The server refused it for good, or it cannot be sent at all.
    Refused,
    /// Its time is over.
    Expired,
}

/// An event that cannot happen in a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a delivery that is {state:?} can not be {event:?}")]
pub struct IllegalTransition {
    state: DeliveryState,
    event: DeliveryEvent,
}

impl DeliveryState {
    /// Every state, for tables and round trips.
    pub const ALL: [Self; 5] = [
        Self::Queued,
        Self::Deferred,
        Self::Delivered,
        Self::Failed,
        Self::Expired,
    ];

    /// Whether nothing more will be done for it.
    #[must_use]
    pub const fn is_final(self) -> bool {
        match self {
            Self::Queued | Self::Deferred => false,
            Self::Delivered | Self::Failed | Self::Expired => true,
        }
    }

    /// The state after `event`.
    ///
    /// # Errors
    /// [`IllegalTransition`] if the state is final.
    pub const fn apply(self, event: DeliveryEvent) -> Result<Self, IllegalTransition> {
        if self.is_final() {
            return Err(IllegalTransition { state: self, event });
        }
        Ok(match event {
            DeliveryEvent::Accepted => Self::Delivered,
            DeliveryEvent::Deferred => Self::Deferred,
            DeliveryEvent::Refused => Self::Failed,
            DeliveryEvent::Expired => Self::Expired,
        })
    }
}

/// Where a message as a whole stands, from its deliveries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MessageStatus {
    /// No delivery was tried yet.
    Queued,
    /// In a worker's hands.
    Sending,
    /// At least one delivery waits for another attempt.
    Deferred,
    /// Every delivery was taken by the next server.
    Delivered,
    /// Some were delivered, some not; none is open.
    Partial,
    /// None was delivered, and at least one was refused.
    Failed,
    /// None was delivered; all were given up at their expiry.
    Expired,
}

impl MessageStatus {
    /// The status of a message with these deliveries; `leased` while a worker holds its job.
    #[must_use]
    pub fn of(states: &[DeliveryState], leased: bool) -> Self {
        let any = |wanted| states.contains(&wanted);
        let open = states.iter().any(|state| !state.is_final());
        if open && leased {
            return Self::Sending;
        }
        if any(DeliveryState::Deferred) {
            return Self::Deferred;
        }
        if open {
            return Self::Queued;
        }
        let others = any(DeliveryState::Failed) || any(DeliveryState::Expired);
        match (any(DeliveryState::Delivered), others) {
            (true, true) => Self::Partial,
            (true, false) => Self::Delivered,
            (false, _) if any(DeliveryState::Failed) => Self::Failed,
            (false, _) => Self::Expired,
        }
    }
}

#[cfg(test)]
mod tests {
    use DeliveryState::{Deferred, Delivered, Expired, Failed, Queued};

    use super::*;

    const EVENTS: [DeliveryEvent; 4] = [
        DeliveryEvent::Accepted,
        DeliveryEvent::Deferred,
        DeliveryEvent::Refused,
        DeliveryEvent::Expired,
    ];

    #[test]
    fn open_states_follow_each_event() {
        for state in [Queued, Deferred] {
            let next: Vec<_> = EVENTS
                .iter()
                .map(|event| state.apply(*event).unwrap())
                .collect();
            assert_eq!(next, [Delivered, Deferred, Failed, Expired]);
        }
    }

    #[test]
    fn a_final_state_refuses_every_event() {
        for state in DeliveryState::ALL
            .into_iter()
            .filter(|state| state.is_final())
        {
            for event in EVENTS {
                assert_eq!(state.apply(event), Err(IllegalTransition { state, event }));
            }
        }
    }

    #[test]
    fn a_message_is_what_its_deliveries_are() {
        let check = |states: &[DeliveryState], leased, expected| {
            assert_eq!(
                MessageStatus::of(states, leased),
                expected,
                "{states:?} leased={leased}"
            );
        };
        check(&[Queued, Queued], false, MessageStatus::Queued);
        check(&[Queued, Delivered], true, MessageStatus::Sending);
        check(&[Deferred, Delivered], false, MessageStatus::Deferred);
        check(&[Delivered, Delivered], true, MessageStatus::Delivered);
        check(&[Delivered, Failed], false, MessageStatus::Partial);
        check(&[Delivered, Expired], false, MessageStatus::Partial);
        check(&[Failed, Expired], false, MessageStatus::Failed);
        check(&[Expired], false, MessageStatus::Expired);
    }
}
