//! Mails that are made for each send: rendered by the template of `posthaste bench send`, written, and signed or not.

use std::{
    collections::{BTreeMap, HashMap},
    process::Command,
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use posthaste_domain::{
    clock::{Clock, SystemClock, later},
    delivery::DeliveryState,
    id::{DeliveryId, MessageId},
    message::{AtRest, Content, InternetMessageId, NewDelivery, NewMessage, Recipients, Variables},
    retry_policy::RetryPolicy,
    stores::{OpenDelivery, OutgoingMessage, StoreError, TemplateVersions},
    stream::{OnUncertain, StreamName, StreamPolicy},
    template::{TemplateCatalog, TemplateVersion, TemplateVersionId},
};
use posthaste_mail::{
    Builder, Deliver, Delivered, DkimKey, Library, Next, OpenGate, Renderer, Signer, Transport,
    dkim::new_ed25519, render::Source,
};
use secrecy::ExposeSecret;

const HOUR: Duration = Duration::from_secs(3600);
const SAMPLE: &str = include_str!("../../../composition/src/bench/order/samples/default.json");
const FILES: [(&str, &str); 5] = [
    (
        "order/template.toml",
        include_str!("../../../composition/src/bench/order/template.toml"),
    ),
    (
        "order/subject.txt",
        include_str!("../../../composition/src/bench/order/subject.txt"),
    ),
    (
        "order/body.html",
        include_str!("../../../composition/src/bench/order/body.html"),
    ),
    (
        "order/body.txt",
        include_str!("../../../composition/src/bench/order/body.txt"),
    ),
    ("order/samples/default.json", SAMPLE),
];

/// What signs, by name. An RSA key needs `openssl`.
pub(crate) fn signers() -> Vec<(&'static str, Signer)> {
    let ed25519 = new_ed25519().expect("there are random bytes");
    let mut all = vec![
        ("rendered", Signer::default()),
        ("and Ed25519", signer(&[ed25519.expose_secret()])),
    ];
    let rsa = Command::new("openssl")
        .args([
            "genpkey",
            "-algorithm",
            "RSA",
            "-pkeyopt",
            "rsa_keygen_bits:2048",
        ])
        .output();
    if let Some(rsa) = rsa.ok().filter(|made| made.status.success()) {
        let rsa = String::from_utf8(rsa.stdout).expect("PEM is text");
        all.push(("and RSA", signer(&[&rsa])));
        all.push(("and both", signer(&[&rsa, ed25519.expose_secret()])));
    }
    all
}

fn signer(keys: &[&str]) -> Signer {
    let mut signer = Signer::default();
    for (number, key) in keys.iter().enumerate() {
        let key = DkimKey::from_pem("example.com", &format!("s{number}"), key);
        signer.add(key.expect("a key")).expect("names of their own");
    }
    signer
}

/// Nothing is asked of it: the version is the present one.
#[derive(Debug)]
struct NoVersions;

#[async_trait]
impl TemplateVersions for NoVersions {
    async fn keep(&self, _versions: Vec<TemplateVersion>) -> Result<(), StoreError> {
        Ok(())
    }

    async fn version(
        &self,
        _id: &TemplateVersionId,
    ) -> Result<Option<TemplateVersion>, StoreError> {
        Ok(None)
    }
}

/// Makes and sends one mail again and again.
pub(crate) struct Maker {
    deliver: Deliver,
    outgoing: OutgoingMessage,
}

impl Maker {
    pub(crate) fn new(transport: Arc<dyn Transport>, signer: Signer) -> Self {
        let files = FILES.map(|(name, text)| (name.to_owned(), text.to_owned()));
        let loaded = Library::load(&Source::of(files));
        assert!(loaded.broken.is_empty(), "{:?}", loaded.broken);
        let stream: StreamName = "bench".parse().expect("a name");
        let outgoing = outgoing(&loaded.library, &stream);
        let renderer = Renderer::new(Arc::new(loaded.library), Arc::new(NoVersions));
        let policy = StreamPolicy {
            expiry: HOUR,
            retry: RetryPolicy::new(vec![HOUR]).expect("one wait"),
            on_uncertain: OnUncertain::Resend,
        };
        let deliver = Deliver::new(
            Arc::new(Builder::new(Arc::new(renderer)).with_dkim(signer)),
            HashMap::from([(stream.clone(), transport)]),
            [(stream, policy)].into_iter().collect(),
            Arc::new(SystemClock),
            Arc::new(|| 0.5),
        );
        Self { deliver, outgoing }
    }

    pub(crate) async fn send(&self) {
        let sent = self.deliver.deliver(self.outgoing.clone(), &OpenGate).await;
        let ended = sent.expect("it can be made");
        assert!(
            matches!(
                ended,
                Delivered::Ended {
                    next: Next::Done,
                    ..
                }
            ),
            "the sink takes everything"
        );
    }
}

fn outgoing(library: &Library, stream: &StreamName) -> OutgoingMessage {
    let variables: Variables = serde_json::from_str(SAMPLE).expect("an object");
    let pinned = library.pin(&"order".parse().expect("a name"), &variables);
    let now = SystemClock.now();
    let id = MessageId::new(now);
    let recipient = "ada@example.com".parse().expect("an address");
    let delivery = NewDelivery {
        id: DeliveryId::new(now),
        recipient,
    };
    let open = OpenDelivery {
        id: delivery.id,
        recipient: delivery.recipient.clone(),
        state: DeliveryState::Queued,
        tries: 0,
        doubt: None,
    };
    let message = NewMessage {
        id,
        owner: "acme".parse().expect("an owner"),
        stream: stream.clone(),
        message_id: InternetMessageId::of(id, &"app@example.com".parse().expect("an address")),
        from: "Acme <app@example.com>".parse().expect("a mailbox"),
        recipients: Recipients {
            to: vec!["ada@example.com".parse().expect("a mailbox")],
            ..Recipients::default()
        },
        reply_to: Vec::new(),
        content: Content::Template {
            template: pinned.expect("the sample fits").reference,
            subject: None,
            variables,
            at_rest: AtRest::Plain,
        },
        attachments: Vec::new(),
        headers: Vec::new(),
        tags: Vec::new(),
        metadata: BTreeMap::new(),
        created_at: now,
        scheduled_at: None,
        expires_at: later(now, HOUR),
        deliveries: vec![delivery],
    };
    OutgoingMessage {
        expires_at: message.expires_at,
        message,
        open: vec![open],
    }
}
