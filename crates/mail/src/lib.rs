//! Everything between a stored message and a server that takes it: rendering, MIME, signatures, the transports, and the
//! delivery of one message.
//!
//! Only this crate names lettre. A [`Transport`] reports the outcome for each recipient; its backends (SMTP, file,
//! memory) pass one `contract`.

pub mod breaker;
pub mod builder;
mod by_domain;
#[cfg(feature = "contract")]
pub mod contract;
pub mod deliver;
pub mod dkim;
pub mod envelope;
pub mod file;
pub mod large;
pub mod letter;
pub mod limits;
pub mod memory;
pub mod mime;
pub mod mx;
pub mod recorder;
pub mod redirect;
pub mod render;
pub mod several;
pub mod simulator;
pub mod smtp;
pub mod transport;

pub use crate::{
    breaker::{Breaker, BreakerConfig},
    builder::{BuildError, Builder, Built, Unbuildable},
    deliver::{Deliver, DeliverError, Delivered, Jitter, Next},
    dkim::{DkimKey, DnsRecord, Signer},
    envelope::Envelope,
    file::FileTransport,
    large::LargeMails,
    letter::Letter,
    limits::{DomainLimits, Limited, Limits},
    memory::MemoryTransport,
    mx::{MxConfig, MxTransport},
    recorder::Recorder,
    redirect::RedirectAll,
    render::{Library, Rendered, Renderer},
    several::Several,
    simulator::Simulator,
    smtp::{SmtpConfig, SmtpTransport},
    transport::{
        DataGate, Gate, GateShut, OpenGate, Passing, Receipt, Scope, SendError, Trail, Transport,
    },
};
