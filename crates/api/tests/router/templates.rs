//! `POST /emails` with a template.

use posthaste_domain::{
    message::Content,
    template::{PinError, VariableProblem},
};
use serde_json::{Value, json};

use crate::{
    desk::{Desk, no_template, pinned},
    submit::{refused, storing},
};

#[tokio::test]
async fn a_template_takes_the_place_of_subject_and_body() {
    let (mut desk, stored) = storing();
    desk.templates.expect_pin().returning(|name, variables| {
        assert_eq!(variables["nested"]["list"], json!([1, 2]));
        Ok(pinned(name.as_str()))
    });
    let body = json!({
        "from": "o@acme.com", "to": "ada@example.com", "subject": "", "html": "",
        "template": { "id": "welcome", "variables": { "nested": { "list": [1, 2] } } },
    });
    desk.api().post("/emails", &body).await.expect(200);
    let message = stored
        .lock()
        .expect("not poisoned")
        .pop()
        .expect("one message");
    let Content::Template {
        template, subject, ..
    } = &message.content
    else {
        panic!("not by a template");
    };
    let subject = subject.as_ref().map(|subject| subject.as_str());
    assert_eq!(
        (template.name.as_str(), subject),
        ("welcome", Some("A subject")),
        "the subject is fixed when the mail is accepted"
    );
}

#[tokio::test]
async fn a_template_that_names_a_sender_needs_none() {
    let (mut desk, stored) = storing();
    desk.templates.expect_pin().returning(|name, _| {
        let mut pinned = pinned(name.as_str());
        pinned.from = Some("team@acme.com".parse().expect("a mailbox"));
        Ok(pinned)
    });
    let body = json!({ "to": "ada@example.com", "template": { "id": "welcome" } });
    desk.api().post("/emails", &body).await.expect(200);
    let message = stored
        .lock()
        .expect("not poisoned")
        .pop()
        .expect("one message");
    assert_eq!(message.from.address().expose(), "team@acme.com");
}

#[tokio::test]
async fn a_template_that_is_not_there_is_named() {
    let mut desk = Desk::new();
    desk.templates
        .expect_pin()
        .returning(|name, _| Err(no_template(name.as_str())));
    let body =
        json!({ "from": "o@acme.com", "to": "ada@example.com", "template": { "id": "nope" } });
    let reply = desk
        .api()
        .post("/emails", &body)
        .await
        .expect_problem(422, "validation_error");
    assert_eq!(
        reply.fields(),
        [("/template/id".into(), "there is no template `nope`".into())]
    );
}

#[tokio::test]
async fn a_variable_that_is_missing_is_named() {
    let mut desk = Desk::new();
    desk.templates.expect_pin().returning(|_, _| {
        let problem = VariableProblem {
            name: "name".into(),
            detail: "required".into(),
            missing: true,
        };
        Err(PinError::Variables(vec![problem]))
    });
    let body =
        json!({ "from": "o@acme.com", "to": "ada@example.com", "template": { "id": "welcome" } });
    let reply = desk
        .api()
        .post("/emails", &body)
        .await
        .expect_problem(422, "missing_required_field");
    assert_eq!(reply.pointers(), ["/template/variables/name"]);
}

#[tokio::test]
async fn template_names_and_kinds_are_checked() {
    let with = |template: Value| json!({ "from": "o@acme.com", "to": "ada@example.com", "template": template });
    refused(with(json!({ "id": "../etc/passwd" })), &["/template/id"]).await;
    refused(with(json!({})), &["/template/id"]).await;
    refused(with(json!("welcome")), &["/template"]).await;
    refused(
        with(json!({ "id": 1, "variables": [] })),
        &["/template/id", "/template/variables"],
    )
    .await;
}
