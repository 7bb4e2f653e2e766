//! Lists of messages.

use std::time::Duration;

use posthaste_domain::{
    clock::Clock,
    delivery::{DeliveryState, MessageStatus},
    id::MessageId,
    idempotency::{Answer, Idempotency, Keyed},
    message::{AtRest, Content, NewMessage, Tag},
    stores::{Housekeeping, MessageFilter, MessageLists, MessageStore, Page, PageAt},
    template::{TemplateRef, TemplateVersionId},
};
use posthaste_queue::{BootId, Queue, Settlement, Verdict};

use crate::{
    settling::report,
    support::{Bench, message, owner, rows},
};

const DAY: Duration = Duration::from_secs(86_400);

async fn store(bench: &Bench, message: &NewMessage) {
    let accepted = bench.store.accept(message.clone(), None).await;
    accepted.expect("the message is stored");
}

async fn page(bench: &Bench, filter: &MessageFilter, at: PageAt, limit: usize) -> Page {
    let page = bench.store.list(&owner(), filter, at, limit).await;
    page.expect("the database answers")
}

fn ids(page: &Page) -> Vec<MessageId> {
    page.messages
        .iter()
        .map(|stored| stored.message.id)
        .collect()
}

/// All that the filter finds.
async fn found(bench: &Bench, filter: MessageFilter) -> Vec<MessageId> {
    let page = page(bench, &filter, PageAt::Newest, 100).await;
    assert!(!page.has_more);
    ids(&page)
}

#[tokio::test]
async fn pages_go_on_in_both_directions_without_a_gap_or_a_double() {
    let bench = Bench::new().await;
    let mut all = Vec::new();
    for _ in 0..7 {
        let message = bench.message(&["ada@example.com"]);
        store(&bench, &message).await;
        all.insert(0, message.id);
    }
    let mut others = bench.message(&["ada@example.com"]);
    others.owner = "somebody-else".parse().unwrap();
    store(&bench, &others).await;
    let everything = MessageFilter::default();
    let check = async |at: PageAt, limit: usize, expected: &[MessageId], has_more: bool| {
        let page = page(&bench, &everything, at, limit).await;
        assert_eq!(
            (ids(&page), page.has_more),
            (expected.to_vec(), has_more),
            "{at:?}"
        );
    };
    check(PageAt::Newest, 3, &all[..3], true).await;
    check(PageAt::After(all[2]), 3, &all[3..6], true).await;
    check(PageAt::After(all[5]), 3, &all[6..], false).await;
    check(PageAt::After(all[6]), 3, &[], false).await;
    check(PageAt::Newest, 7, &all, false).await;
    check(PageAt::Before(all[6]), 3, &all[3..6], true).await;
    check(PageAt::Before(all[3]), 3, &all[..3], false).await;
    check(PageAt::Before(all[0]), 3, &[], false).await;
    let listed = page(&bench, &everything, PageAt::Newest, 1).await;
    let Content::Inline { html, text, .. } = &listed.messages[0].message.content else {
        panic!("given whole")
    };
    assert_eq!((html, text), (&None, &None), "what it says is not read");
}

#[tokio::test]
async fn each_filter_finds_what_it_names_and_nothing_else() {
    let bench = Bench::new().await;
    let plain = bench.message(&["ada@example.com"]);
    let mut other = bench.message(&["Bob <BOB@example.com>"]);
    other.recipients.bcc = vec!["eve@example.com".parse().unwrap()];
    other
        .deliveries
        .push(posthaste_domain::message::NewDelivery {
            id: posthaste_domain::id::DeliveryId::new(bench.clock.now()),
            recipient: "eve@example.com".parse().unwrap(),
        });
    other.from = "Shop <Shop@acme.com>".parse().unwrap();
    other.stream = "otp".parse().unwrap();
    let tag = |value: &str| Tag::new("category", value).unwrap();
    other.tags = vec![tag("refund"), tag("refund"), Tag::new("x", "y").unwrap()];
    other.content = Content::Inline {
        subject: "Ihre Bestellung Nr. 42".parse().unwrap(),
        html: None,
        text: Some("x".into()),
    };
    let mut made = bench.message(&["ada@example.org"]);
    made.content = Content::Template {
        template: TemplateRef {
            name: "welcome".parse().unwrap(),
            version: TemplateVersionId::from_digest(&[7; 32]),
        },
        subject: None,
        variables: Default::default(),
        at_rest: AtRest::Sealed,
    };
    let keyed = Keyed {
        request: Idempotency {
            route: "POST /emails".into(),
            key: "order-42".parse().unwrap(),
            fingerprint: [0; 32],
        },
        answer: Answer {
            status: 200,
            body: String::new(),
        },
    };
    store(&bench, &plain).await;
    bench
        .store
        .accept(other.clone(), Some(keyed))
        .await
        .unwrap();
    store(&bench, &made).await;
    let check = async |filter: MessageFilter, expected: &[&NewMessage]| {
        let expected: Vec<_> = expected.iter().map(|message| message.id).collect();
        assert_eq!(found(&bench, filter.clone()).await, expected, "{filter:?}");
    };
    let any = MessageFilter::default;
    for to in ["bob@EXAMPLE.com", "eve@example.com"] {
        let to = Some(to.parse().unwrap());
        check(MessageFilter { to, ..any() }, &[&other]).await;
    }
    let to = Some("a@example.com".parse().unwrap());
    check(MessageFilter { to, ..any() }, &[]).await;
    let from = Some("shop@ACME.com".parse().unwrap());
    check(MessageFilter { from, ..any() }, &[&other]).await;
    for begin in ["ihre BEST", "Ihre Bestellung Nr. 42"] {
        let subject = Some(begin.to_owned());
        check(MessageFilter { subject, ..any() }, &[&other]).await;
    }
    for begin in ["Bestellung", "Ihre Bestellung Nr. 42 ", "%", "Ihre_"] {
        let subject = Some(begin.to_owned());
        check(MessageFilter { subject, ..any() }, &[]).await;
    }
    let order = Some(tag("refund"));
    check(
        MessageFilter {
            tag: order,
            ..any()
        },
        &[&other],
    )
    .await;
    let none = Some(tag("refun"));
    check(MessageFilter { tag: none, ..any() }, &[]).await;
    let stream = Some("otp".parse().unwrap());
    check(MessageFilter { stream, ..any() }, &[&other]).await;
    let template = Some("welcome".parse().unwrap());
    check(MessageFilter { template, ..any() }, &[&made]).await;
    let idempotency_key = Some("order-42".parse().unwrap());
    check(
        MessageFilter {
            idempotency_key,
            ..any()
        },
        &[&other],
    )
    .await;
    let (created_from, created_before) = (Some(other.created_at), Some(other.created_at));
    check(
        MessageFilter {
            created_from,
            ..any()
        },
        &[&made, &other, &plain],
    )
    .await;
    check(
        MessageFilter {
            created_before,
            ..any()
        },
        &[],
    )
    .await;
    let next = Some(other.created_at + chrono::TimeDelta::microseconds(1));
    check(
        MessageFilter {
            created_from: next,
            ..any()
        },
        &[],
    )
    .await;
    check(
        MessageFilter {
            created_before: next,
            ..any()
        },
        &[&made, &other, &plain],
    )
    .await;
    let both = MessageFilter {
        to: Some("eve@example.com".parse().unwrap()),
        stream: Some("transactional".parse().unwrap()),
        ..any()
    };
    check(both, &[]).await;
}

async fn end(bench: &Bench, message: &NewMessage, state: DeliveryState) {
    let job = bench.claim(BootId::random(), 1).await.remove(0);
    let settlement = Settlement {
        lease: job.lease,
        verdict: Verdict::Done,
        effects: Some(report(bench.clock.now(), message, state)),
    };
    let settled = bench.store.settle([settlement].into()).await;
    settled.expect("the queue settles");
}

/// Rare among many: what is found does not depend on where a page of the database ends.
#[tokio::test]
async fn a_status_is_found_wherever_it_is() {
    let bench = Bench::new().await;
    let failed = bench.message(&["ada@example.com"]);
    store(&bench, &failed).await;
    end(&bench, &failed, DeliveryState::Failed).await;
    for _ in 0..5 {
        let sent = bench.message(&["ada@example.com"]);
        store(&bench, &sent).await;
        end(&bench, &sent, DeliveryState::Delivered).await;
    }
    let mut later = bench.message(&["ada@example.com"]);
    later.scheduled_at = Some(later.created_at + chrono::TimeDelta::hours(1));
    store(&bench, &later).await;
    let mut waiting = Vec::new();
    for _ in 0..120 {
        let message = bench.message(&["ada@example.com"]);
        store(&bench, &message).await;
        waiting.insert(0, message.id);
    }
    let of = |status| MessageFilter {
        status: Some(status),
        ..MessageFilter::default()
    };
    assert_eq!(found(&bench, of(MessageStatus::Failed)).await, [failed.id]);
    assert_eq!(
        found(&bench, of(MessageStatus::Scheduled)).await,
        [later.id]
    );
    assert_eq!(found(&bench, of(MessageStatus::Delivered)).await.len(), 5);
    assert_eq!(found(&bench, of(MessageStatus::Partial)).await, []);
    let queued = of(MessageStatus::Queued);
    let first = page(&bench, &queued, PageAt::Newest, 100).await;
    assert_eq!(
        (ids(&first), first.has_more),
        (waiting[..100].to_vec(), true)
    );
    let rest = page(&bench, &queued, PageAt::After(waiting[99]), 100).await;
    assert_eq!(
        (ids(&rest), rest.has_more),
        (waiting[100..].to_vec(), false)
    );
    let before = page(&bench, &queued, PageAt::Before(waiting[119]), 100).await;
    assert_eq!(
        (ids(&before), before.has_more),
        (waiting[19..119].to_vec(), true)
    );
}

/// With its message.
#[tokio::test]
async fn a_tag_goes_once_its_time_is_over() {
    let bench = Bench::new().await;
    let outside = bench.connect().await;
    let now = bench.clock.now();
    let tagged = |mut message: NewMessage| {
        message.tags = vec![Tag::new("a", "b").unwrap()];
        message
    };
    let old = tagged(message(now - 100 * DAY, &["ada@example.com"]));
    store(&bench, &old).await;
    end(&bench, &old, DeliveryState::Delivered).await;
    let young = tagged(bench.message(&["ada@example.com"]));
    store(&bench, &young).await;
    assert_eq!(rows(&outside, "message_tags").await, 2);
    bench.store.prune_messages(now - DAY, 9).await.unwrap();
    let before = now - DAY;
    bench
        .store
        .arrange_history(now, before, before)
        .await
        .unwrap();
    assert_eq!(rows(&outside, "message_tags").await, 1);
}
