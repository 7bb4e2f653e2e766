//! What the routes work with, built once at start.

use std::{fmt, sync::Arc, time::Duration};

use ipnet::IpNet;
use posthaste_composition::readiness::Readiness;
use posthaste_domain::{
    account::Accounts,
    clock::Clock,
    desk::MailDesk,
    key::KeyChain,
    raw::WriteMail,
    stores::{ApiKeyStore, AttachmentStore, Decisions, MessageLists, MessageStore},
    stream::StreamName,
    throttle::{ClientAddress, Throttle},
};
use posthaste_queue::Operate;

use crate::{
    body::BodyIntake,
    pages::Pages,
    rates::{KeyLimit, KeyRates},
};

/// Keys that are not valid and that one client may present within a minute.
pub const GUESSES: u32 = 30;
const GUESSES_WITHIN: Duration = Duration::from_secs(60);

/// The bounds of requests.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Most bytes of one body.
    pub body: usize,
    /// Most bytes of all bodies that are in memory at once.
    pub bodies_in_flight: usize,
    /// Longest time from the head of a request to its answer.
    pub request: Duration,
}

/// The host names that are answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hosts {
    /// Any: a proxy in front, or none, decides.
    Any,
    /// Names of this machine only: a page on the web that points a name of its own at 127.0.0.1 is refused.
    Loopback,
}

/// What a state is made of.
#[derive(Debug)]
pub struct Parts {
    /// Takes submits.
    pub desk: Arc<MailDesk>,
    /// Where messages are read.
    pub messages: Arc<dyn MessageStore>,
    /// Where messages are listed.
    pub lists: Arc<dyn MessageLists>,
    /// Where attachments are read.
    pub attachments: Arc<dyn AttachmentStore>,
    /// Writes messages as they are sent.
    pub writer: Arc<dyn WriteMail>,
    /// What people decide about mail that has ended.
    pub decisions: Arc<dyn Decisions>,
    /// What operators do with the queue.
    pub operator: Arc<dyn Operate>,
    /// The configured streams.
    pub streams: Vec<StreamName>,
    /// Registers and confirms accounts.
    pub accounts: Arc<Accounts>,
    /// The valid keys.
    pub keys: Arc<KeyChain>,
    /// How many requests each key may make; any number if absent.
    pub key_limit: Option<KeyLimit>,
    /// The time of day.
    pub clock: Arc<dyn Clock>,
    /// The keys that were made here.
    pub stored_keys: Arc<dyn ApiKeyStore>,
    /// Whether requests should come here.
    pub readiness: Arc<Readiness>,
    /// The stream of submits that name none.
    pub default_stream: StreamName,
    /// How long what a message says is kept.
    pub bodies_kept: Duration,
    /// Where the API is reached from outside, without a slash at the end.
    pub public_url: String,
    /// The bounds of requests.
    pub limits: Limits,
    /// The host names that are answered.
    pub hosts: Hosts,
    /// Proxies that are believed about who called them.
    pub trusted_proxies: Vec<IpNet>,
}

/// The state of the API, shared by all requests.
#[derive(Clone)]
pub struct AppState(Arc<Shared>);

/// What the state holds.
#[derive(Debug)]
pub struct Shared {
    /// The parts as given.
    pub parts: Parts,
    /// Receives bodies within their bounds.
    pub bodies: BodyIntake,
    /// Counts the requests of keys, where they are limited.
    pub rates: Option<KeyRates>,
    /// Counts keys that are not valid, by who presents them.
    pub guesses: Throttle<ClientAddress>,
    /// The pages for people.
    pub pages: Pages,
}

impl AppState {
    /// The state of these parts.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        Self(Arc::new(Shared {
            bodies: BodyIntake::new(parts.limits),
            rates: parts.key_limit.map(KeyRates::new),
            guesses: Throttle::new(GUESSES, GUESSES_WITHIN, Arc::clone(&parts.clock)),
            pages: Pages::new(),
            parts,
        }))
    }
}

impl std::ops::Deref for AppState {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

impl fmt::Debug for AppState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AppState")
    }
}
