//! The published client for Rust, unmodified, through all of the API that it knows and this server has. It limits itself to
//! one request in 1.1 seconds after the first nine, unless `RESEND_RATE_LIMIT` says more.
//!
//! usage: RESEND_BASE_URL=… RESEND_API_KEY=… posthaste-sdk-rust

use resend_rs::{
    Error, Resend, Result,
    list_opts::ListOptions,
    types::{
        CreateApiKeyOptions, CreateAttachment, CreateEmailBaseOptions, EmailEvent, EmailTemplate,
        ErrorKind, Tag, UpdateEmailOptions,
    },
};

fn mail() -> CreateEmailBaseOptions {
    CreateEmailBaseOptions::new("Acme <o@acme.com>", ["ada@example.com"], "hello")
        .with_text("It works.")
}

#[track_caller]
fn refused<T>(result: Result<T>, kind: ErrorKind) {
    match result {
        Err(Error::Resend(error)) => {
            assert_eq!(ErrorKind::from(error.name.clone()), kind, "{error:?}")
        }
        Err(error) => panic!("{error:?}"),
        Ok(_) => panic!("not refused with {kind:?}"),
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let resend = Resend::default();

    // Sending, with everything that a mail can have.
    let file = CreateAttachment::from_content(b"from bytes".to_vec()).with_filename("a.txt");
    let logo = CreateAttachment::from_content(vec![137, 80, 78, 71])
        .with_filename("logo.png")
        .with_content_id("logo");
    let whole = mail()
        .with_html("<img src=\"cid:logo\">")
        .with_cc("cy@example.com")
        .with_bcc("dee@example.com")
        .with_reply("help@acme.com")
        .with_header("X-Entity-Ref-ID", "42")
        .with_tag(Tag::new("category", "sdk"))
        .with_attachment(file)
        .with_attachment(logo);
    let sent = resend.emails.send(whole).await?;
    let stored = resend.emails.get(&sent.id).await?;
    assert_eq!(
        (stored.to, stored.cc),
        (
            vec!["ada@example.com".to_owned()],
            vec!["cy@example.com".to_owned()]
        )
    );
    let template = EmailTemplate::new("notice")
        .with_variable("title", "Hello".into())
        .with_variable("message", "x".into());
    let by_template =
        CreateEmailBaseOptions::new("o@acme.com", ["ada@example.com"], "").with_template(template);
    let _ = resend.emails.send(by_template).await?;

    // Attachments.
    let files = resend
        .emails
        .list_attachments(&sent.id, ListOptions::default())
        .await?;
    let names: Vec<_> = files
        .data
        .iter()
        .filter_map(|file| file.filename.as_deref())
        .collect();
    assert_eq!(names, ["a.txt", "logo.png"]);
    let one = resend
        .emails
        .get_attachment(&sent.id, &files.data[0].id)
        .await?;
    assert_eq!((one.size, one.content_type.as_str()), (10, "text/plain"));

    // Once under a key.
    let first = resend
        .emails
        .send(mail().with_idempotency_key("order-44"))
        .await?;
    let again = resend
        .emails
        .send(mail().with_idempotency_key("order-44"))
        .await?;
    assert_eq!(first.id, again.id);
    let other = mail()
        .with_html("<p>other</p>")
        .with_idempotency_key("order-44");
    refused(
        resend.emails.send(other).await,
        ErrorKind::InvalidIdempotentRequest,
    );

    // For later: moved, taken back.
    let later = resend
        .emails
        .send(mail().with_scheduled_at("in 1 hour"))
        .await?;
    assert!(matches!(
        resend.emails.get(&later.id).await?.last_event,
        EmailEvent::Scheduled
    ));
    let to = UpdateEmailOptions::new().with_scheduled_at("in 2 hours");
    let _ = resend.emails.update(&later.id, to).await?;
    let _ = resend.emails.cancel(&later.id).await?;
    assert!(matches!(
        resend.emails.get(&later.id).await?.last_event,
        EmailEvent::Canceled
    ));

    // Many at once, and lists.
    let batch = resend.batch.send(vec![mail(), mail()]).await?;
    assert_eq!(batch.len(), 2);
    let page = resend
        .emails
        .list(ListOptions::default().with_limit(2))
        .await?;
    assert!(page.has_more && page.data.len() == 2);
    let next = resend
        .emails
        .list(
            ListOptions::default()
                .with_limit(2)
                .list_after(&page.data[1].id),
        )
        .await?;
    assert!(*next.data[0].id < *page.data[1].id);

    // Keys.
    let options = CreateApiKeyOptions::new("sdk").with_sending_access();
    let made = resend.api_keys.create(options).await?;
    let keys = resend.api_keys.list(ListOptions::default()).await?;
    assert!(
        keys.data
            .iter()
            .any(|key| key.id == made.id && key.name == "sdk")
    );
    let sender = Resend::new(&made.token);
    let _ = sender.emails.send(mail()).await?;
    refused(
        sender.emails.get(&sent.id).await,
        ErrorKind::RestrictedApiKey,
    );
    resend.api_keys.delete(&made.id).await?;
    // The client does not know `invalid_api_key`.
    refused(sender.emails.send(mail()).await, ErrorKind::Unrecognized);

    // Errors.
    let nobody = CreateEmailBaseOptions::new("o@acme.com", ["nobody"], "x").with_text("x");
    refused(resend.emails.send(nobody).await, ErrorKind::ValidationError);
    let path = mail().with_attachment(
        CreateAttachment::from_path("https://example.com/a.pdf").with_filename("a.pdf"),
    );
    refused(resend.emails.send(path).await, ErrorKind::InvalidAttachment);
    refused(
        resend
            .emails
            .get("00000000-0000-7000-8000-000000000000")
            .await,
        ErrorKind::NotFound,
    );

    println!("ok");
    Ok(())
}
