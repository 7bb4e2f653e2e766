//! Deliveries: one message to one recipient, each with a state of its own, and the attempts made for it.

mod attempt;
mod reply;
mod state;

pub use attempt::{AttemptRun, BodyHash, DeliveryReport, DeliveryResult, Doubt};
pub use reply::{Class, EnhancedCode, MAX_REPLY_TEXT, Reply, Stage};
pub use state::{DeliveryEvent, DeliveryState, IllegalTransition, MessageStatus};
