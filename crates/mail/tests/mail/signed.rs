//! Signed mail, and the same bytes at each attempt.

use std::sync::Arc;

use posthaste_domain::{clock::Clock, message::Content, stream::OnUncertain};
use posthaste_mail::{
    Builder, Deliver, Delivered, DkimKey, Library, MemoryTransport, OpenGate, Signer, Transport,
    dkim, transport::hash_of,
};
use secrecy::ExposeSecret;

use crate::{
    deliver::{SECOND, deliver_of, renderer},
    support::{clock, message, outgoing, plain},
};

fn signing(
    library: Library,
    transport: Arc<dyn Transport>,
    clock: Arc<dyn Clock>,
    signer: Signer,
) -> Deliver {
    let builder = Builder::new(renderer(library)).with_dkim(signer);
    deliver_of(builder, transport, clock, OnUncertain::Resend)
}

/// P2. Whatever lies between two attempts, they send the same bytes.
#[tokio::test]
async fn two_attempts_send_the_same_bytes() {
    let (clock, transport) = (clock(), Arc::new(MemoryTransport::new("memory")));
    let content = Content::Inline {
        subject: "Grüße".parse().unwrap(),
        html: Some("<b>é</b>".into()),
        text: None,
    };
    let message = message(clock.now(), &["ada@example.com"], content);
    let ed25519 = dkim::new_ed25519().unwrap();
    for tries in 0..2 {
        let sent: Arc<dyn Transport> = Arc::<MemoryTransport>::clone(&transport);
        let now: Arc<dyn Clock> = Arc::<posthaste_domain::clock::ManualClock>::clone(&clock);
        let delivered = signing(
            Library::default(),
            sent,
            now,
            signer("example.com", &[RSA, ed25519.expose_secret()]),
        )
        .deliver(outgoing(message.clone(), tries), &OpenGate)
        .await
        .unwrap();
        let Delivered::Ended { report, .. } = delivered else {
            panic!("the gate is open")
        };
        let kept = report.run.unwrap().body_hash;
        assert_eq!(kept, Some(hash_of(&transport.sent()[0].message)));
        clock.advance(3600 * SECOND);
    }
    let sent = transport.sent();
    assert_eq!(sent[0].message, sent[1].message);
    let signatures = memchr::memmem::find_iter(&sent[0].message, "DKIM-Signature: v=1;");
    assert_eq!(signatures.count(), 2);
}

/// For tests alone.
const RSA: &str = include_str!("../keys/rsa_2048.pem");

fn signer(domain: &str, keys: &[&str]) -> Signer {
    let mut signer = Signer::default();
    for (n, pem) in keys.iter().enumerate() {
        let key = DkimKey::from_pem(domain, &format!("s{n}"), pem);
        signer
            .add(key.expect("a sound key"))
            .expect("its selector is free");
    }
    signer
}

#[tokio::test]
async fn mail_of_a_domain_without_a_key_goes_out_unsigned() {
    let (clock, transport) = (clock(), Arc::new(MemoryTransport::new("memory")));
    let message = message(clock.now(), &["ada@example.com"], plain());
    let sent: Arc<dyn Transport> = Arc::<MemoryTransport>::clone(&transport);
    signing(
        Library::default(),
        sent,
        clock,
        signer("example.net", &[RSA]),
    )
    .deliver(outgoing(message, 0), &OpenGate)
    .await
    .unwrap();
    assert!(transport.sent()[0].message.starts_with(b"From: "));
}
