//! The templates that come with Posthaste, as copies inside the binary.

macro_rules! shipped {
    ($($path:literal),+ $(,)?) => {
        &[$(($path, include_str!(concat!("../../../../templates/emails/", $path)))),+]
    };
}

/// Path in the template folder, and text.
pub(super) const SHIPPED: &[(&str, &str)] = shipped![
    "_layouts/base.html",
    "_layouts/base.txt",
    "already-registered/body.html",
    "already-registered/body.txt",
    "already-registered/samples/default.json",
    "already-registered/samples/long-name.json",
    "already-registered/subject.txt",
    "already-registered/template.toml",
    "confirm-account/body.html",
    "confirm-account/body.txt",
    "confirm-account/samples/default.json",
    "confirm-account/samples/long-name.json",
    "confirm-account/subject.txt",
    "confirm-account/template.toml",
    "notice/body.html",
    "notice/body.txt",
    "notice/samples/default.json",
    "notice/samples/long-name.json",
    "notice/subject.txt",
    "notice/template.toml",
    "password-changed/body.html",
    "password-changed/body.txt",
    "password-changed/samples/default.json",
    "password-changed/samples/long-name.json",
    "password-changed/subject.txt",
    "password-changed/template.toml",
    "reset-password/body.html",
    "reset-password/body.txt",
    "reset-password/samples/default.json",
    "reset-password/samples/long-name.json",
    "reset-password/subject.txt",
    "reset-password/template.toml",
    "session-ended/body.html",
    "session-ended/body.txt",
    "session-ended/samples/default.json",
    "session-ended/samples/long-name.json",
    "session-ended/subject.txt",
    "session-ended/template.toml",
];
