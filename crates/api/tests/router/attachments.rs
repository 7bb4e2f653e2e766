//! Attachments: submitted in each form that clients send, and read back.

use posthaste_domain::{
    id::AttachmentId,
    message::{AtRest, AttachedBytes, Attachment, Content, Variables},
    raw::NotWritten,
    stores::StoredMessage,
    template::{TemplateRef, TemplateVersionId},
};
use serde_json::{Value, json};

use crate::{
    desk::{Api, Desk, READ_KEY, SEND_KEY, json as with_json, now, request},
    read,
    submit::{mail_with, refused, stored},
};

fn with(file: &Value) -> Value {
    mail_with(&json!({ "attachments": [file] }))
}

fn bytes(file: &Attachment) -> Vec<u8> {
    match &file.bytes {
        AttachedBytes::Here(bytes) => bytes.to_vec(),
        AttachedBytes::Stored(_) => panic!("nothing is stored here"),
    }
}

/// As Rust, Python and Node send them, and in lines.
#[tokio::test]
async fn what_a_file_holds_comes_in_four_forms() {
    for content in [
        json!("AAEC/w=="),
        json!("AAEC/w"),
        json!("AAE\r\nC/w==\r\n"),
        json!([0, 1, 2, 255]),
        json!({ "type": "Buffer", "data": [0, 1, 2, 255] }),
    ] {
        let message = stored(with(&json!({ "filename": "März.PDF", "content": content }))).await;
        let [file] = &message.attachments[..] else {
            panic!("one file")
        };
        assert_eq!(bytes(file), [0, 1, 2, 255], "{content}");
        assert_eq!(file.name.as_str(), "März.PDF");
        assert_eq!(file.media_type.as_str(), "application/pdf");
    }
    // An item of a list is no file, and a list elsewhere no text.
    let vars = json!({ "attachments": [{ "content": [1, 2] }] });
    let body = mail_with(&json!({
        "template": { "id": "t", "variables": vars }, "text": null, "subject": null,
    }));
    let mut desk = Desk::new();
    desk.templates.expect_pin().returning(|name, variables| {
        assert_eq!(variables["attachments"][0]["content"], json!([1, 2]));
        Ok(crate::desk::pinned(name.as_str()))
    });
    desk.messages
        .expect_accept()
        .returning(|_, _| Ok(posthaste_domain::stores::Accepted::Stored));
    desk.api().post("/emails", &body).await.expect(200);
}

#[tokio::test]
async fn a_file_has_a_type_and_perhaps_a_place_in_the_html() {
    let check = async |file: Value, kind: &str, shown_as: Option<&str>| {
        let message = stored(with(&file)).await;
        let file = &message.attachments[0];
        assert_eq!(file.media_type.as_str(), kind);
        assert_eq!(file.content_id.as_ref().map(|id| id.as_str()), shown_as);
    };
    let file = |more: Value| {
        let mut file = json!({ "filename": "x", "content": "" });
        file.as_object_mut()
            .expect("an object")
            .extend(more.as_object().expect("an object").clone());
        file
    };
    check(file(json!({})), "application/octet-stream", None).await;
    let invite = "text/calendar; method=REQUEST";
    check(file(json!({ "content_type": invite })), invite, None).await;
    let logo = file(json!({ "filename": "l.png", "content_id": "logo" }));
    check(logo, "image/png", Some("logo")).await;
    let older = file(json!({ "inline_content_id": "<logo>", "content_id": null }));
    check(older, "application/octet-stream", Some("logo")).await;
}

#[tokio::test]
async fn each_fault_of_a_file_is_named() {
    let check = async |file: Value, expected: &str| {
        let pointer = format!("/attachments/0{expected}");
        refused(with(&file), &[&pointer]).await;
    };
    let ok = || json!({ "filename": "x", "content": "eA==" });
    let but = |name: &str, value: Value| {
        let mut file = ok();
        file[name] = value;
        file
    };
    check(json!("x"), "").await;
    check(json!({ "content": "eA==" }), "/filename").await;
    check(json!({ "filename": "x" }), "/content").await;
    check(but("filename", json!("a/b")), "/filename").await;
    check(but("filename", json!("a\r\nb: c")), "/filename").await;
    check(but("content", json!("e A = =!")), "/content").await;
    check(but("content", json!(7)), "/content").await;
    check(but("content", json!([1, 256])), "/content/1").await;
    check(but("content", json!([1, "x", [2, {}]])), "/content/1").await;
    check(but("content", json!({ "type": "Buffer" })), "/content").await;
    check(but("content_type", json!("pdf")), "/content_type").await;
    check(
        but("content_type", json!("message/rfc822")),
        "/content_type",
    )
    .await;
    check(but("content_id", json!("a b")), "/content_id").await;
    check(but("size", json!(1)), "/size").await;
    check(
        json!({ "filename": "x", "path": "https://example.com/x" }),
        "/path",
    )
    .await;
    let both =
        json!({ "filename": "x", "content": "", "content_id": "a", "inline_content_id": "a" });
    check(both, "/inline_content_id").await;
    let twice = json!([
        { "filename": "x", "content": "", "content_id": "a" },
        { "filename": "y", "content": "", "content_id": "a" },
    ]);
    refused(
        mail_with(&json!({ "attachments": twice })),
        &["/attachments/1/content_id"],
    )
    .await;
    let many = vec![ok(); 101];
    refused(
        mail_with(&json!({ "attachments": many })),
        &["/attachments"],
    )
    .await;
}

#[tokio::test]
async fn attachments_alone_have_an_error_of_their_own() {
    let path = with(&json!({ "filename": "x", "path": "https://example.com/x" }));
    let reply = Desk::new().api().post("/emails", &path).await;
    reply.expect_problem(422, "invalid_attachment");
    let mut more = path;
    more["to"] = json!("nobody");
    let reply = Desk::new().api().post("/emails", &more).await;
    reply.expect_problem(422, "validation_error");
}

/// S13. What servers would refuse is refused at once; and millions of byte numbers are not kept as values.
#[tokio::test]
async fn a_mail_has_at_most_25_mib_as_it_is_encoded() {
    let limits = posthaste_api::state::Limits {
        body: 64 * 1024 * 1024,
        bodies_in_flight: 64 * 1024 * 1024,
        request: std::time::Duration::from_secs(60),
    };
    let large = "A".repeat(26 * 1024 * 1024);
    let body = with(&json!({ "filename": "x", "content": large }));
    let mut desk = Desk::new();
    desk.limits = limits;
    let reply = desk.api().post("/emails", &body).await;
    let reply = reply.expect_problem(422, "invalid_attachment");
    assert_eq!(reply.pointers(), ["/attachments"]);
    let numbers = format!("[{}0]", "0,".repeat(2_000_000));
    let body = with(&json!({ "filename": "x", "content": "NUMBERS" }));
    let body = body.to_string().replace("\"NUMBERS\"", &numbers);
    let (mut desk, stored) = crate::submit::storing();
    desk.limits = limits;
    let api = desk.api();
    let sent = api.send(with_json(request("POST", "/emails"), body));
    sent.await.expect(200);
    let message = stored.lock().expect("not poisoned").pop();
    assert_eq!(
        bytes(&message.expect("stored").attachments[0]).len(),
        2_000_001
    );
}

const CONTENT: &[u8] = b"%PDF \xff";

/// A desk that holds one mail with a file.
fn holding() -> (Desk, String) {
    let file = Attachment {
        id: AttachmentId::new(now()),
        name: "Rechnung \"März\".pdf".parse().expect("a name"),
        media_type: "application/pdf".parse().expect("a type"),
        content_id: None,
        bytes: AttachedBytes::Stored(CONTENT.len() as u64),
    };
    let mut stored = read::stored(Vec::new(), false);
    let path = format!("/emails/{}", stored.message.id);
    stored.message.attachments = vec![file];
    let mut desk = Desk::new();
    desk.messages.expect_message().returning(move |owner, id| {
        let is_it = owner.as_str() == "shop" && id == stored.message.id;
        Ok(is_it.then(|| StoredMessage {
            message: stored.message.clone(),
            states: Vec::new(),
            ..stored
        }))
    });
    (desk, path)
}

async fn get_bytes(api: &Api, path: &str) -> (axum::http::response::Parts, Vec<u8>) {
    let request = request("GET", path).body(axum::body::Body::empty());
    api.bytes(request.expect("a request")).await
}

#[tokio::test]
async fn files_are_listed_shown_and_downloaded() {
    let (mut desk, path) = holding();
    desk.attachments
        .expect_attached()
        .returning(|_, _| Ok(Some(CONTENT.to_vec())));
    let api = desk.api();
    let list = api
        .get(&format!("{path}/attachments"))
        .await
        .expect(200)
        .json();
    assert_eq!(
        (&list["object"], &list["has_more"]),
        (&json!("list"), &json!(false))
    );
    let file = &list["data"][0];
    assert_eq!(file["filename"], "Rechnung \"März\".pdf");
    assert_eq!(file["size"], CONTENT.len());
    assert_eq!(file["content_disposition"], "attachment");
    let one = format!("{path}/attachments/{}", file["id"].as_str().expect("an id"));
    assert_eq!(&api.get(&one).await.expect(200).json(), file);
    let url = file["download_url"].as_str().expect("a URL");
    assert_eq!(url, format!("http://localhost:8025{one}/content"));
    let (head, body) = get_bytes(&api, &format!("{one}/content")).await;
    assert_eq!(body, CONTENT);
    assert_eq!(head.headers["content-type"], "application/pdf");
    assert_eq!(
        head.headers["content-disposition"],
        "attachment; filename*=UTF-8''Rechnung%20%22M%C3%A4rz%22.pdf"
    );
    assert_eq!(
        head.headers["content-security-policy"],
        "sandbox; default-src 'none'"
    );
    assert_eq!(head.headers["x-content-type-options"], "nosniff");
}

/// S12. Ids that are none, of other mails, and files whose time was over look alike.
#[tokio::test]
async fn what_is_not_there_is_not_found() {
    let (mut desk, path) = holding();
    desk.attachments
        .expect_attached()
        .returning(|_, _| Ok(None));
    let api = desk.api();
    let list = api.get(&format!("{path}/attachments")).await.json();
    let id = list["data"][0]["id"].as_str().expect("an id").to_owned();
    let other = AttachmentId::new(now());
    for missing in [
        format!("{path}/attachments/{other}"),
        format!("{path}/attachments/x"),
        format!("{path}/attachments/{other}/content"),
        format!("{path}/attachments/{id}/content"),
        format!("/emails/{other}/attachments"),
        format!("/emails/{other}/attachments/{id}"),
        format!("/emails/{other}/raw"),
    ] {
        api.get(&missing).await.expect_problem(404, "not_found");
    }
}

#[tokio::test]
async fn the_mail_as_sent_is_for_administrators() {
    let (mut desk, path) = holding();
    desk.writer
        .expect_write()
        .times(1)
        .returning(|_| Ok(b"From: x\r\n\r\n\xff".to_vec()));
    desk.writer
        .expect_write()
        .times(1)
        .returning(|_| Err(NotWritten::NoRoom));
    let api = desk.api();
    let raw = format!("{path}/raw");
    let (head, body) = get_bytes(&api, &raw).await;
    assert_eq!(head.headers["content-type"], "message/rfc822");
    assert_eq!(body, b"From: x\r\n\r\n\xff");
    let busy = api
        .get(&raw)
        .await
        .expect_problem(503, "service_unavailable");
    assert_eq!(busy.header("retry-after"), Some("2"));
    for (key, path, allowed) in [
        (READ_KEY, raw.clone(), false),
        (SEND_KEY, raw, false),
        (SEND_KEY, format!("{path}/attachments"), false),
        (READ_KEY, format!("{path}/attachments"), true),
    ] {
        let request =
            axum::http::Request::get(&path).header("Authorization", format!("Bearer {key}"));
        let reply = api.send(request.body(axum::body::Body::empty()).expect("a request"));
        let reply = reply.await;
        if allowed {
            reply.expect(200);
        } else {
            reply.expect_problem(401, "restricted_api_key");
        }
    }
}

/// Mail that opens an account is its recipient's: a key of any scope could otherwise ask for a new password and read the link.
#[tokio::test]
async fn a_mail_with_a_secret_is_shown_to_nobody() {
    let mut desk = Desk::new();
    let mut stored = read::stored(Vec::new(), false);
    stored.message.content = Content::Template {
        template: TemplateRef {
            name: "reset-password".parse().expect("a name"),
            version: TemplateVersionId::from_digest(&[7; 32]),
        },
        subject: None,
        variables: Variables::default(),
        at_rest: AtRest::Sealed,
    };
    let path = format!("/emails/{}/raw", stored.message.id);
    desk.messages
        .expect_message()
        .returning(move |_, _| Ok(Some(stored.clone())));
    let reply = desk.api().get(&path).await;
    reply.expect_problem(422, "validation_error");
}
