//! The state of one delivery.
//!
//! ```text
//!            deferred            deferred
//!  queued ───────────► deferred ─────────┐
//!    │                  │  ▲─────────────┘
//!    │ accepted, refused, expired, cancelled, quarantined, held
//!    ▼                  ▼
//!  delivered   failed   expired   cancelled   quarantined   uncertain            (final)
//!
//!  uncertain ── resolved as delivered or failed by a person
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
    /// Taken back by whoever submitted it, before it was sent.
    Cancelled,
    /// Kept from running: its job has brought down each process that ran it.
    Quarantined,
    /// Perhaps sent: no reply came to the end of the mail, and it is not sent again. A person decides.
    Uncertain,
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
    /// It is not wanted any more.
    Cancelled,
    /// Its job may not run any more.
    Quarantined,
    /// It was perhaps sent, and must not be sent again without a person's word.
    Held,
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
    pub const ALL: [Self; 8] = [
        Self::Queued,
        Self::Deferred,
        Self::Delivered,
        Self::Failed,
        Self::Expired,
        Self::Cancelled,
        Self::Quarantined,
        Self::Uncertain,
    ];

    /// Whether nothing more will be done for it.
    #[must_use]
    pub const fn is_final(self) -> bool {
        match self {
            Self::Queued | Self::Deferred => false,
            Self::Delivered
            | Self::Failed
            | Self::Expired
            | Self::Cancelled
            | Self::Quarantined
            | Self::Uncertain => true,
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
            DeliveryEvent::Cancelled => Self::Cancelled,
            DeliveryEvent::Quarantined => Self::Quarantined,
            DeliveryEvent::Held => Self::Uncertain,
        })
    }
}

/// Where a message as a whole stands, from its deliveries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MessageStatus {
    /// It waits for its time.
    Scheduled,
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
    /// None is open, and at least one was perhaps sent: a person decides.
    Uncertain,
    /// None was delivered, and at least one was refused.
    Failed,
    /// None was delivered, and at least one may not be tried any more.
    Quarantined,
    /// None was delivered; at least one was given up at its expiry, none refused.
    Expired,
    /// All were taken back before they were sent.
    Cancelled,
}

impl MessageStatus {
    /// Every status.
    pub const ALL: [Self; 11] = [
        Self::Scheduled,
        Self::Queued,
        Self::Sending,
        Self::Deferred,
        Self::Delivered,
        Self::Partial,
        Self::Failed,
        Self::Expired,
        Self::Quarantined,
        Self::Uncertain,
        Self::Cancelled,
    ];

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
        let delivered = states
            .iter()
            .filter(|state| **state == DeliveryState::Delivered);
        match delivered.count() {
            count if count == states.len() => Self::Delivered,
            _ if any(DeliveryState::Uncertain) => Self::Uncertain,
            1.. => Self::Partial,
            0 if any(DeliveryState::Failed) => Self::Failed,
            0 if any(DeliveryState::Quarantined) => Self::Quarantined,
            0 if any(DeliveryState::Expired) => Self::Expired,
            0 => Self::Cancelled,
        }
    }
}

#[cfg(test)]
mod tests {
    use DeliveryState::{
        Cancelled, Deferred, Delivered, Expired, Failed, Quarantined, Queued, Uncertain,
    };

    use super::*;

    const EVENTS: [DeliveryEvent; 7] = [
        DeliveryEvent::Accepted,
        DeliveryEvent::Deferred,
        DeliveryEvent::Refused,
        DeliveryEvent::Expired,
        DeliveryEvent::Cancelled,
        DeliveryEvent::Quarantined,
        DeliveryEvent::Held,
    ];

    #[test]
    fn open_states_follow_each_event() {
        for state in [Queued, Deferred] {
            let next: Vec<_> = EVENTS
                .iter()
                .map(|event| state.apply(*event).unwrap())
                .collect();
            assert_eq!(
                next,
                [
                    Delivered,
                    Deferred,
                    Failed,
                    Expired,
                    Cancelled,
                    Quarantined,
                    Uncertain
                ]
            );
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
        check(&[Expired, Cancelled], false, MessageStatus::Expired);
        check(&[Cancelled, Cancelled], false, MessageStatus::Cancelled);
        check(&[Cancelled, Delivered], false, MessageStatus::Partial);
        check(&[Quarantined], false, MessageStatus::Quarantined);
        check(&[Quarantined, Failed], false, MessageStatus::Failed);
        check(&[Uncertain, Delivered], false, MessageStatus::Uncertain);
        check(&[Uncertain, Failed], false, MessageStatus::Uncertain);
        check(&[Uncertain, Deferred], false, MessageStatus::Deferred);
    }
}
