//! What comes out.

use std::sync::Arc;

use posthaste_domain::{clock::Clock, message::Content, stores::TemplateVersions};
use posthaste_mail::{
    Library, Rendered, Renderer,
    render::{RenderError, Source},
};
use serde_json::{Value, json};

use crate::support::{Versions, by_template, clock, message, template};

async fn render(source: &Source, data: &Value) -> Result<Rendered, RenderError> {
    let library = Arc::new(Library::load_strict(source).expect("the template is sound"));
    let message = message(
        clock().now(),
        &["ada@example.com"],
        by_template(&library, data),
    );
    Renderer::new(library, Arc::new(Versions::default()))
        .render(&message)
        .await
}

async fn inline(html: Option<&str>, text: Option<&str>) -> Rendered {
    let content = Content::Inline {
        subject: "hi".parse().expect("a subject"),
        html: html.map(str::to_owned),
        text: text.map(str::to_owned),
    };
    let renderer = Renderer::new(Arc::new(Library::default()), Arc::new(Versions::default()));
    renderer
        .render(&message(clock().now(), &["ada@example.com"], content))
        .await
        .expect("nothing to render")
}

const MANIFEST: (&str, &str) = (
    "template.toml",
    "[variables]\nname = { type = \"string\", default = \"friend\" }\n",
);

#[tokio::test]
async fn html_is_escaped_and_subject_and_text_are_not() {
    let body = "{{ name }}";
    let files = [
        ("subject.txt", body),
        ("body.html", body),
        ("body.txt", body),
        MANIFEST,
    ];
    let rendered = render(&template(&files), &json!({"name": "<b>&\"'"}))
        .await
        .unwrap();
    assert_eq!(rendered.subject.as_str(), "<b>&\"'");
    assert_eq!(rendered.text.as_deref(), Some("<b>&\"'"));
    let html = rendered.html.unwrap();
    assert!(
        html.starts_with("&lt;b&gt;&amp;") && !html.contains(['<', '"', '\'']),
        "{html}"
    );
    let default = render(&template(&files), &json!({"name": null}))
        .await
        .unwrap();
    assert_eq!(default.subject.as_str(), "friend");
}

#[tokio::test]
async fn data_cannot_break_out_of_the_subject() {
    let files = [
        ("subject.txt", "Hello {{ name }}"),
        ("body.txt", "x"),
        MANIFEST,
    ];
    for name in ["a\r\nBcc: eve@example.com", "a\nb", "a\u{2028}b", "a\0b"] {
        let error = render(&template(&files), &json!({"name": name}))
            .await
            .unwrap_err();
        assert!(
            matches!(error, RenderError::Subject(_)),
            "{name:?}: {error}"
        );
    }
}

#[tokio::test]
async fn output_has_a_limit() {
    let body = "{% for i in range(end=n) %}xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx{% endfor %}x";
    let manifest = (
        "template.toml",
        "[variables]\nn = { type = \"number\", default = 1 }\n",
    );
    let error = render(
        &template(&[("subject.txt", "s"), ("body.txt", body), manifest]),
        &json!({"n": 90_000}),
    )
    .await;
    assert!(
        matches!(
            error,
            Err(RenderError::Part {
                part: "body.txt",
                ..
            })
        ),
        "{error:?}"
    );
}

#[tokio::test]
async fn the_text_part_is_given_made_or_left_out() {
    let html = Some("<h1>Hello</h1><p>See <a href=\"https://example.com/x\">this</a></p>");
    let made = inline(html, None).await.text.unwrap();
    assert!(
        made.contains("Hello") && made.contains("https://example.com/x") && !made.contains('<'),
        "{made}"
    );
    assert_eq!(
        inline(html, Some("given")).await.text.as_deref(),
        Some("given")
    );
    assert_eq!(inline(html, Some("")).await.text, None);
    assert_eq!(inline(None, Some("")).await.text.as_deref(), Some(""));
}

/// P2. A message stays with the version that was current when it was accepted, whatever is deployed later.
#[tokio::test]
async fn a_message_is_rendered_by_the_version_it_is_pinned_to() {
    let old =
        Library::load_strict(&template(&[("subject.txt", "old"), ("body.txt", "x")])).unwrap();
    let versions = Arc::new(Versions::default());
    versions.keep(old.versions()).await.unwrap();
    let pinned = message(
        clock().now(),
        &["ada@example.com"],
        by_template(&old, &json!({})),
    );
    let new =
        Library::load_strict(&template(&[("subject.txt", "new"), ("body.txt", "x")])).unwrap();
    let renderer = Renderer::new(Arc::new(new), versions);
    for _ in 0..2 {
        assert_eq!(
            renderer.render(&pinned).await.unwrap().subject.as_str(),
            "old"
        );
    }
    let nowhere = Renderer::new(Arc::new(Library::default()), Arc::new(Versions::default()));
    assert!(matches!(
        nowhere.render(&pinned).await,
        Err(RenderError::UnknownVersion(_))
    ));
}
