//! The pages that people see when they follow a link of a mail. They load nothing from elsewhere, run no script, tell
//! no other site where they came from, and cannot be framed.

use axum::{
    http::{
        HeaderMap, HeaderValue, StatusCode,
        header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY},
    },
    response::{IntoResponse, Response},
};
use posthaste_domain::{password::InvalidPassword, token::TokenSecret};
use tera::{Context, Tera};
use uuid::Uuid;

const TEMPLATES: [(&str, &str); 6] = [
    (
        "_layout.html",
        include_str!("../../../templates/pages/_layout.html"),
    ),
    (
        "confirm.html",
        include_str!("../../../templates/pages/confirm.html"),
    ),
    (
        "confirmed.html",
        include_str!("../../../templates/pages/confirmed.html"),
    ),
    (
        "reset.html",
        include_str!("../../../templates/pages/reset.html"),
    ),
    (
        "password-set.html",
        include_str!("../../../templates/pages/password-set.html"),
    ),
    (
        "problem.html",
        include_str!("../../../templates/pages/problem.html"),
    ),
];

/// The pages, read once.
#[derive(Debug)]
pub struct Pages(Tera);

impl Default for Pages {
    fn default() -> Self {
        Self::new()
    }
}

impl Pages {
    /// The pages that are part of the program.
    ///
    /// # Panics
    /// If one of them is no template: every test of a page would show that.
    #[must_use]
    pub fn new() -> Self {
        let mut tera = Tera::new();
        tera.add_raw_templates(TEMPLATES)
            .expect("the pages in the program are templates");
        Self(tera)
    }

    /// Asks to confirm: a button that sends the token. Looking at it changes nothing.
    #[must_use]
    pub fn confirm(&self, token: &TokenSecret) -> Response {
        let mut context = Context::new();
        context.insert("token", &token.reveal());
        self.show(StatusCode::OK, "confirm.html", context)
    }

    /// Says that the account is active.
    #[must_use]
    pub fn confirmed(&self) -> Response {
        self.show(StatusCode::OK, "confirmed.html", Context::new())
    }

    /// Asks for a new password of at least `minimum` characters; again, if there was a problem with the last one.
    #[must_use]
    pub fn reset(
        &self,
        token: &TokenSecret,
        minimum: usize,
        problem: Option<InvalidPassword>,
    ) -> Response {
        let status = match problem {
            None => StatusCode::OK,
            Some(_) => StatusCode::UNPROCESSABLE_ENTITY,
        };
        let mut context = Context::new();
        context.insert("token", &token.reveal());
        context.insert("minimum", &minimum);
        context.insert(
            "problem",
            &problem.map_or_else(String::new, |problem| format!("{}.", capitalised(problem))),
        );
        self.show(status, "reset.html", context)
    }

    /// Says that the new password is set.
    #[must_use]
    pub fn password_set(&self) -> Response {
        self.show(StatusCode::OK, "password-set.html", Context::new())
    }

    /// Says what went wrong. `request_id` is what a person can quote to whoever runs this.
    #[must_use]
    pub fn problem(
        &self,
        status: StatusCode,
        title: &str,
        detail: &str,
        request_id: &str,
    ) -> Response {
        let mut context = Context::new();
        context.insert("title", &title);
        context.insert("detail", &detail);
        context.insert("request_id", &request_id);
        self.show(status, "problem.html", context)
    }

    fn show(&self, status: StatusCode, name: &str, mut context: Context) -> Response {
        let nonce = Uuid::new_v4().simple().to_string();
        context.insert("nonce", &nonce);
        let page = self
            .0
            .render(name, &context)
            .expect("a page is given all that it names");
        (status, headers(&nonce), page).into_response()
    }
}

/// A problem as a sentence begins.
fn capitalised(problem: InvalidPassword) -> String {
    let text = problem.to_string();
    let mut rest = text.chars();
    let first = rest.next().map(|first| first.to_ascii_uppercase());
    first.into_iter().chain(rest).collect()
}

/// The one style sheet is allowed by a nonce, so that no other style or script in the page could count.
fn headers(nonce: &str) -> HeaderMap {
    let policy = format!(
        "default-src 'none'; style-src 'nonce-{nonce}'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    );
    let policy =
        HeaderValue::from_str(&policy).expect("a nonce of hexadecimal digits is visible ASCII");
    HeaderMap::from_iter([
        (
            CONTENT_TYPE,
            HeaderValue::from_static("text/html; charset=utf-8"),
        ),
        (CONTENT_SECURITY_POLICY, policy),
        (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    ])
}

#[cfg(test)]
mod tests {
    use axum::body::to_bytes;

    use super::*;

    async fn html(response: Response) -> String {
        let bytes = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        String::from_utf8(bytes.to_vec()).unwrap()
    }

    #[tokio::test]
    async fn whatever_a_page_is_given_it_shows_as_text() {
        let evil = "<script>alert(1)</script>\"'&";
        let page = html(Pages::new().problem(StatusCode::OK, evil, evil, evil)).await;
        assert!(!page.contains("<script"), "{page}");
        assert!(page.contains("&lt;script&gt;"), "{page}");
    }

    #[tokio::test]
    async fn the_style_sheet_of_a_page_is_the_one_its_policy_allows() {
        let response = Pages::new().confirmed();
        let policy = response.headers()[CONTENT_SECURITY_POLICY]
            .to_str()
            .unwrap()
            .to_owned();
        let page = html(response).await;
        let nonce = page
            .split("nonce=\"")
            .nth(1)
            .unwrap()
            .split('"')
            .next()
            .unwrap();
        assert!(policy.contains(&format!("'nonce-{nonce}'")), "{policy}");
        assert!(
            !page.contains("style=\""),
            "an inline style would not count"
        );
    }
}
