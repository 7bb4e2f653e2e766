//! An API to send requests to, and what came back.

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    body::{Body, to_bytes},
    http::{HeaderMap, Request, StatusCode, header::CONTENT_TYPE, request::Builder},
};
use posthaste_api::{
    rates::KeyLimit,
    router::router,
    state::{AppState, Hosts, Limits, Parts},
};
use posthaste_composition::Readiness;
use posthaste_domain::{
    account::{AccountParts, AccountPolicy, Accounts},
    clock::{Clock, ManualClock, Timestamp},
    desk::MailDesk,
    key::{ApiKey, KeyChain, KeyRing},
    owner::Scope,
    password::{MockPasswordHasher, PasswordHash, PasswordRules},
    raw::MockWriteMail,
    retry_policy::RetryPolicy,
    stores::{
        ApiKeyStore, MessageStore, MockApiKeyStore, MockAttachmentStore, MockDecisions,
        MockMessageLists, MockMessageStore, MockSessionStore, MockStoreHealth, MockUserStore,
    },
    stream::{StreamPolicy, Streams},
    template::{MockTemplateCatalog, PinError, PinnedTemplate, TemplateRef, TemplateVersionId},
};
use posthaste_queue::MemoryQueue;
use serde_json::Value;
use tower::ServiceExt;

/// A key with every scope, of the owner `shop`.
pub(crate) const KEY: &str = "re_full";
/// Keys of the owner `shop` with one scope each.
pub(crate) const SEND_KEY: &str = "re_send";
pub(crate) const READ_KEY: &str = "re_read";

/// What stands behind the API. Mocks refuse every call that a test does not announce.
pub(crate) struct Desk {
    pub(crate) messages: MockMessageStore,
    pub(crate) keys: MockApiKeyStore,
    pub(crate) lists: MockMessageLists,
    pub(crate) attachments: MockAttachmentStore,
    pub(crate) writer: MockWriteMail,
    pub(crate) decisions: MockDecisions,
    pub(crate) operator: Arc<MemoryQueue<()>>,
    pub(crate) users: MockUserStore,
    pub(crate) sessions: MockSessionStore,
    pub(crate) templates: MockTemplateCatalog,
    pub(crate) hasher: MockPasswordHasher,
    pub(crate) health: MockStoreHealth,
    pub(crate) limits: Limits,
    pub(crate) hosts: Hosts,
    pub(crate) key_limit: Option<KeyLimit>,
}

impl Desk {
    pub(crate) fn new() -> Self {
        crate::logs::start();
        Self {
            messages: MockMessageStore::new(),
            keys: MockApiKeyStore::new(),
            lists: MockMessageLists::new(),
            attachments: MockAttachmentStore::new(),
            writer: MockWriteMail::new(),
            decisions: MockDecisions::new(),
            operator: Arc::new(MemoryQueue::new()),
            users: MockUserStore::new(),
            sessions: MockSessionStore::new(),
            templates: MockTemplateCatalog::new(),
            hasher: MockPasswordHasher::new(),
            health: MockStoreHealth::new(),
            limits: Limits {
                body: 1024 * 1024,
                bodies_in_flight: 2 * 1024 * 1024,
                request: Duration::from_secs(30),
            },
            hosts: Hosts::Any,
            key_limit: None,
        }
    }

    /// One that registers: passwords are hashed, and account mails have their templates.
    pub(crate) fn registering() -> Self {
        let mut desk = Self::new();
        desk.hasher
            .expect_hash()
            .returning(|_| Ok(PasswordHash::from_phc("$argon2id$".into())));
        desk.templates
            .expect_pin()
            .returning(|name, _| Ok(pinned(name.as_str())));
        desk
    }

    pub(crate) fn api(self) -> Api {
        self.api_and_readiness().0
    }

    pub(crate) fn api_and_readiness(self) -> (Api, Arc<Readiness>) {
        let Self {
            messages,
            keys,
            lists,
            attachments,
            writer,
            decisions,
            operator,
            users,
            sessions,
            templates,
            hasher,
            health,
            limits,
            hosts,
            key_limit,
        } = self;
        let messages: Arc<dyn MessageStore> = Arc::new(messages);
        let rest = Self {
            messages: MockMessageStore::new(),
            keys,
            lists,
            attachments,
            writer,
            decisions,
            operator,
            users,
            sessions,
            templates,
            hasher,
            health,
            limits,
            hosts,
            key_limit,
        };
        rest.api_on(messages)
    }

    /// The API on a store that is no mock.
    pub(crate) fn api_on(self, messages: Arc<dyn MessageStore>) -> (Api, Arc<Readiness>) {
        let clock: Arc<dyn Clock> = Arc::new(ManualClock::at(now()));
        let key_clock = Arc::clone(&clock);
        let stored_keys: Arc<dyn ApiKeyStore> = Arc::new(self.keys);
        let stream = StreamPolicy {
            expiry: Duration::from_secs(86_400),
            retry: RetryPolicy::new(vec![Duration::from_secs(30)]).expect("one wait"),
            on_uncertain: posthaste_domain::stream::OnUncertain::Resend,
        };
        let names = ["transactional", "otp"].map(|name| name.parse().expect("a stream's name"));
        let streams: Streams = names
            .map(|name| (name, stream.clone()))
            .into_iter()
            .collect();
        let templates = Arc::new(self.templates);
        let mail_desk = MailDesk::new(
            Arc::clone(&messages),
            templates,
            streams,
            Arc::clone(&clock),
        );
        let mail_desk = Arc::new(mail_desk);
        let policy = AccountPolicy {
            sender: "Posthaste <no-reply@example.com>"
                .parse()
                .expect("a mailbox"),
            stream: "transactional".parse().expect("a stream's name"),
            owner: "default".parse().expect("an owner"),
            public_url: "http://localhost:8025".into(),
            passwords: PasswordRules {
                minimum: 15,
                product: "Posthaste".into(),
            },
            confirm_expiry: Duration::from_secs(86_400),
            reset_expiry: Duration::from_secs(1800),
            access_expiry: Duration::from_secs(900),
            refresh_expiry: Duration::from_secs(30 * 86_400),
            logins_per_minute: 10,
            mails_per_hour: 3,
        };
        let parts = AccountParts {
            users: Arc::new(self.users),
            sessions: Arc::new(self.sessions),
            desk: Arc::clone(&mail_desk),
            hasher: Arc::new(self.hasher),
            clock,
        };
        let accounts = Accounts::new(parts, policy);
        let readiness = Arc::new(Readiness::starting(Arc::new(self.health)));
        let state = AppState::new(Parts {
            desk: mail_desk,
            messages,
            lists: Arc::new(self.lists),
            attachments: Arc::new(self.attachments),
            writer: Arc::new(self.writer),
            decisions: Arc::new(self.decisions),
            operator: self.operator,
            streams: ["otp", "transactional"]
                .map(|name| name.parse().expect("a stream's name"))
                .into(),
            accounts: Arc::new(accounts),
            keys: Arc::new(KeyChain::new(
                keys(),
                Arc::clone(&stored_keys),
                Arc::clone(&key_clock),
            )),
            stored_keys,
            key_limit: self.key_limit,
            clock: key_clock,
            readiness: Arc::clone(&readiness),
            default_stream: "transactional".parse().expect("a stream's name"),
            bodies_kept: Duration::from_secs(86_400),
            public_url: "http://localhost:8025".into(),
            limits: self.limits,
            hosts: self.hosts,
            trusted_proxies: vec!["10.0.0.0/8".parse().expect("a network")],
        });
        (Api(router(state)), readiness)
    }
}

/// The time of every test: 2026-12-01 09:00 UTC.
pub(crate) fn now() -> Timestamp {
    "2026-12-01T09:00:00Z".parse().expect("a time")
}

/// A template that names neither sender nor answers.
pub(crate) fn pinned(name: &str) -> PinnedTemplate {
    PinnedTemplate {
        reference: TemplateRef {
            name: name.parse().expect("a template's name"),
            version: TemplateVersionId::from_digest(&[7; 32]),
        },
        from: None,
        reply_to: None,
        subject: Ok("A subject".parse().expect("a subject")),
    }
}

/// A catalogue's answer to a name that it lacks.
pub(crate) fn no_template(name: &str) -> PinError {
    PinError::Unknown(name.parse().expect("a template's name"))
}

fn keys() -> KeyRing {
    let key = |scopes: &[Scope]| {
        let owner = "shop".parse().expect("an owner");
        ApiKey::new("test", owner, scopes.iter().copied())
    };
    KeyRing::default()
        .with(KEY, key(&[Scope::Send, Scope::Read, Scope::Admin]))
        .with(SEND_KEY, key(&[Scope::Send]))
        .with(READ_KEY, key(&[Scope::Read]))
}

/// The API under test.
#[derive(Clone)]
pub(crate) struct Api(Router);

impl Api {
    pub(crate) async fn send(&self, request: Request<Body>) -> Reply {
        let response = self.0.clone().oneshot(request).await;
        let (parts, body) = response.expect("a router has no errors").into_parts();
        let body = to_bytes(body, usize::MAX)
            .await
            .expect("answers are in memory");
        Reply {
            status: parts.status,
            headers: parts.headers,
            body: String::from_utf8(body.to_vec()).expect("answers are text"),
        }
    }

    /// What comes back where it is no text.
    pub(crate) async fn bytes(
        &self,
        request: Request<Body>,
    ) -> (axum::http::response::Parts, Vec<u8>) {
        let response = self.0.clone().oneshot(request).await;
        let (parts, body) = response.expect("a router has no errors").into_parts();
        let body = to_bytes(body, usize::MAX).await;
        (parts, body.expect("answers are in memory").to_vec())
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.send(request("GET", path).body(Body::empty()).expect("a request"))
            .await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Reply {
        self.send(json(request("POST", path), body.to_string()))
            .await
    }
}

/// A request with the key of every scope.
pub(crate) fn request(method: &str, path: &str) -> Builder {
    Request::builder()
        .method(method)
        .uri(path)
        .header("Authorization", format!("Bearer {KEY}"))
}

/// The same with a body of JSON.
pub(crate) fn json(request: Builder, body: impl Into<Body>) -> Request<Body> {
    request
        .header(CONTENT_TYPE, "application/json")
        .body(body.into())
        .expect("a request")
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Reply {
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body)
            .unwrap_or_else(|error| panic!("{error} in {:?}", self.body))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// This reply, if it is a success with this status.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status.as_u16(), status, "{}", self.body);
        self
    }

    /// This reply, if it is problem JSON of this status and name in every member.
    #[track_caller]
    pub(crate) fn expect_problem(self, status: u16, name: &str) -> Self {
        let reply = self.expect(status);
        let problem = reply.json();
        assert_eq!(
            reply.header("content-type"),
            Some("application/problem+json")
        );
        assert_eq!(problem["name"], name, "{problem}");
        assert_eq!(problem["type"], format!("urn:posthaste:problem:{name}"));
        assert_eq!(problem["status"], status);
        assert_eq!(problem["statusCode"], status);
        for member in ["title", "detail", "instance", "message", "request_id"] {
            assert!(
                problem[member]
                    .as_str()
                    .is_some_and(|text| !text.is_empty()),
                "{problem}"
            );
        }
        assert_eq!(reply.header("x-request-id"), problem["request_id"].as_str());
        reply
    }

    /// The fields that a problem names: pointer and detail.
    #[track_caller]
    pub(crate) fn fields(&self) -> Vec<(String, String)> {
        let text = |value: &Value| value.as_str().expect("text").to_owned();
        let errors = self.json()["errors"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        errors
            .iter()
            .map(|error| (text(&error["pointer"]), text(&error["detail"])))
            .collect()
    }

    /// The pointers of those.
    #[track_caller]
    pub(crate) fn pointers(&self) -> Vec<String> {
        self.fields()
            .into_iter()
            .map(|(pointer, _)| pointer)
            .collect()
    }
}
