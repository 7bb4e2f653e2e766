//! `GET /emails` and `POST /emails/{id}/resend`.

use std::sync::{Arc, Mutex};

use posthaste_domain::{
    delivery::{DeliveryState, MessageStatus},
    id::AttachmentId,
    message::{AttachedBytes, Attachment},
    stores::{Accepted, MessageFilter, Page, PageAt},
};
use serde_json::json;

use crate::{
    desk::{Desk, now},
    read,
};

/// What the store is asked for by this query.
async fn asked(query: &str) -> (MessageFilter, PageAt, usize) {
    let seen = Arc::new(Mutex::new(None));
    let kept = Arc::clone(&seen);
    let mut desk = Desk::new();
    desk.lists
        .expect_list()
        .returning(move |owner, filter, at, limit| {
            assert_eq!(owner.as_str(), "shop");
            *kept.lock().expect("not poisoned") = Some((filter.clone(), at, limit));
            Ok(Page::default())
        });
    let reply = desk.api().get(&format!("/emails{query}")).await.expect(200);
    assert_eq!(
        reply.json(),
        json!({ "object": "list", "has_more": false, "data": [] })
    );
    let seen = seen.lock().expect("not poisoned").take();
    seen.expect("the store is asked")
}

#[tokio::test]
async fn a_query_is_a_filter_and_a_page() {
    let any = MessageFilter::default;
    assert_eq!(asked("").await, (any(), PageAt::Newest, 20));
    let id = "0199a5f0-0000-7000-8000-000000000001";
    let after = PageAt::After(id.parse().expect("an id"));
    assert_eq!(
        asked(&format!("?limit=100&after={id}")).await,
        (any(), after, 100)
    );
    let before = PageAt::Before(id.parse().expect("an id"));
    assert_eq!(
        asked(&format!("?before={id}&limit=1")).await,
        (any(), before, 1)
    );
    let query = "?to=ada%2Bx@example.com&from=o@acme.com&subject=Your%20order&tag=category:order\
        &status=failed&stream=otp&template=welcome&idempotency_key=k-1\
        &created_after=2026-12-01T00:00:00%2B01:00&created_before=2026-12-02T00:00:00Z";
    let filter = MessageFilter {
        to: Some("ada+x@example.com".parse().expect("an address")),
        from: Some("o@acme.com".parse().expect("an address")),
        subject: Some("Your order".into()),
        tag: posthaste_domain::message::Tag::new("category", "order").ok(),
        status: Some(MessageStatus::Failed),
        stream: Some("otp".parse().expect("a stream")),
        template: Some("welcome".parse().expect("a template")),
        created_from: Some("2026-11-30T23:00:00Z".parse().expect("a time")),
        created_before: Some("2026-12-02T00:00:00Z".parse().expect("a time")),
        idempotency_key: Some("k-1".parse().expect("a key")),
    };
    assert_eq!(asked(query).await, (filter, PageAt::Newest, 20));
}

#[tokio::test]
async fn a_query_that_says_nothing_sensible_is_refused_parameter_by_parameter() {
    let check = async |query: &str, expected: &[&str]| {
        let reply = Desk::new().api().get(&format!("/emails?{query}")).await;
        let reply = reply.expect_problem(422, "invalid_parameter");
        assert_eq!(reply.pointers(), expected, "{query}");
    };
    check("limit=0&after=x", &["/after", "/limit"]).await;
    check("limit=101", &["/limit"]).await;
    let id = "0199a5f0-0000-7000-8000-000000000001";
    check(&format!("after={id}&before={id}"), &["/before"]).await;
    check("to=nobody&from=", &["/to", "/from"]).await;
    check("tag=order", &["/tag"]).await;
    check("status=sent", &["/status"]).await;
    check("created_after=2026-12-01", &["/created_after"]).await;
    check("to=a@b.c&to=d@e.f", &["/to"]).await;
    check("recipient=a@b.c", &["/recipient"]).await;
}

#[tokio::test]
async fn a_listed_mail_is_shown_as_it_is_alone_but_for_what_it_says() {
    let mut desk = Desk::new();
    desk.lists.expect_list().returning(|_, _, _, _| {
        Ok(Page {
            messages: vec![read::stored(vec![DeliveryState::Delivered; 2], false)],
            has_more: true,
        })
    });
    desk.messages
        .expect_message()
        .returning(|_, _| Ok(Some(read::stored(vec![DeliveryState::Delivered; 2], false))));
    let api = desk.api();
    let list = api.get("/emails").await.expect(200).json();
    assert_eq!(list["has_more"], true);
    let listed = &list["data"][0];
    let id = listed["id"].as_str().expect("an id");
    let mut alone = api.get(&format!("/emails/{id}")).await.expect(200).json();
    for part in ["html", "text"] {
        let removed = alone.as_object_mut().expect("an object").remove(part);
        assert!(removed.is_some(), "{part} is always there");
    }
    assert_eq!(*listed, alone);
}

/// The same again, under ids of its own, and with its files.
#[tokio::test]
async fn a_mail_sent_again_is_a_new_one_of_the_same_content() {
    let mut desk = Desk::new();
    let mut first = read::stored(vec![DeliveryState::Failed], false);
    first.message.attachments = vec![Attachment {
        id: AttachmentId::new(now()),
        name: "a.pdf".parse().expect("a name"),
        media_type: "application/pdf".parse().expect("a type"),
        content_id: None,
        bytes: AttachedBytes::Stored(3),
    }];
    let shown = first.clone();
    desk.messages
        .expect_message()
        .returning(move |_, _| Ok(Some(shown.clone())));
    desk.attachments
        .expect_attached()
        .returning(|_, _| Ok(Some(b"PDF".to_vec())));
    let stored = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&stored);
    desk.messages
        .expect_accept_all()
        .returning(move |messages, _| {
            kept.lock().expect("not poisoned").extend(messages);
            Ok(Accepted::Stored)
        });
    let path = format!("/emails/{}/resend", first.message.id);
    let reply = desk.api().post(&path, &json!({})).await.expect(200);
    let again = stored.lock().expect("not poisoned").pop().expect("a mail");
    assert_eq!(
        reply.json(),
        json!({ "object": "email", "id": again.id.to_string() })
    );
    let (first, file) = (first.message, &again.attachments[0]);
    assert_ne!(again.id, first.id);
    assert_ne!(again.message_id, first.message_id);
    assert_ne!(file.id, first.attachments[0].id);
    assert_eq!(file.bytes, AttachedBytes::Here(Arc::new(b"PDF".to_vec())));
    assert_eq!(again.content, first.content);
    assert_eq!(again.recipients, first.recipients);
    assert_eq!(again.created_at, now());
}

#[tokio::test]
async fn what_was_removed_cannot_be_sent_again() {
    let mut desk = Desk::new();
    desk.messages.expect_message().returning(|_, _| {
        let mut stored = read::stored(vec![DeliveryState::Delivered], false);
        stored.removed = true;
        Ok(Some(stored))
    });
    let path = format!("/emails/{}/resend", read::stored(vec![], false).message.id);
    let reply = desk.api().post(&path, &json!({})).await;
    reply.expect_problem(422, "validation_error");
}
