//! The text of a header: folded, and encoded where ASCII does not hold it (RFC 2047).

use base64::{Engine, engine::general_purpose::STANDARD};
use lettre::message::header::{HeaderName, HeaderValue};

use super::MAX_LINE;

/// Longest line of plain text that is wanted (RFC 5322 section 2.1.1).
const LINE: usize = 78;
/// Longest line with an encoded word in it (RFC 2047 section 2).
const ENCODED_LINE: usize = 76;
/// What stands around an encoded word.
const FRAME: (&str, &str) = ("=?utf-8?b?", "?=");

/// A header of this text. It is encoded as a whole or not at all: of the blanks between two encoded words readers keep
/// none, and an unencoded piece may look like such a word itself.
pub(super) fn header(name: HeaderName, text: &str) -> HeaderValue {
    let begin = name.len() + ": ".len();
    let plain = text.trim_matches([' ', '\t']);
    let written = folded(begin, plain).unwrap_or_else(|| encoded(begin, plain));
    HeaderValue::dangerous_new_pre_encoded(name, text.to_owned(), written)
}

/// The text as it is, in lines; nothing if it cannot stand so.
fn folded(begin: usize, text: &str) -> Option<String> {
    let printable = text.bytes().all(|b| matches!(b, b'\t' | b' '..=b'~'));
    if !printable || text.contains("=?") {
        return None;
    }
    let mut out = String::with_capacity(text.len() + 16);
    let mut column = begin;
    for word in words(text) {
        // Of several blanks at the beginning of a line some readers make one.
        let single = word.starts_with(' ') && !word[1..].starts_with([' ', '\t']);
        if single && column + word.len() > LINE {
            out.push_str("\r\n");
            column = 0;
        }
        out.push_str(word);
        column += word.len();
        if column > MAX_LINE {
            return None;
        }
    }
    Some(out)
}

/// The words, each with the blanks in front of it.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let blank = |c: char| matches!(c, ' ' | '\t');
    let mut rest = text;
    std::iter::from_fn(move || {
        let word = rest.find(|c| !blank(c))?;
        let length = rest[word..]
            .find(blank)
            .map_or(rest.len(), |end| word + end);
        let (this, after) = rest.split_at(length);
        rest = after;
        Some(this)
    })
}

fn encoded(begin: usize, text: &str) -> String {
    let mut out = String::with_capacity(text.len() * 2);
    let mut rest = text;
    let mut column = begin;
    while !rest.is_empty() {
        let room = ENCODED_LINE.saturating_sub(column + FRAME.0.len() + FRAME.1.len());
        // Base64 makes four characters of three bytes. At least one character goes in, however long the name is.
        let most = (room / 4 * 3).max(4);
        let cut = (1..=most.min(rest.len()))
            .rev()
            .find(|at| rest.is_char_boundary(*at));
        let (piece, after) = rest.split_at(cut.unwrap_or(rest.len()));
        if !out.is_empty() {
            out.push_str("\r\n ");
        }
        out.push_str(FRAME.0);
        STANDARD.encode_string(piece, &mut out);
        out.push_str(FRAME.1);
        rest = after;
        column = 1;
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lines(name: &str, text: &str) -> String {
        let name = HeaderName::new_from_ascii(name.to_owned()).unwrap();
        let mut headers = lettre::message::header::Headers::new();
        headers.insert_raw(header(name, text));
        headers.to_string()
    }

    /// What a reader makes of it.
    fn read(lines: &str) -> String {
        let message = format!("{lines}\r\n");
        let parsed = mail_parser::MessageParser::default()
            .parse(&message)
            .unwrap();
        parsed.headers()[0]
            .value()
            .as_text()
            .unwrap_or_default()
            .to_owned()
    }

    #[test]
    fn plain_text_is_folded_before_blanks_and_nothing_else_is_done_to_it() {
        assert_eq!(
            lines("Subject", "Is dinner ready?"),
            "Subject: Is dinner ready?\r\n"
        );
        let url = format!("<https://example.com/{}>", "x".repeat(100));
        let value = format!("<mailto:out@example.com>, {url}");
        assert_eq!(
            lines("List-Unsubscribe", &value),
            format!("List-Unsubscribe: <mailto:out@example.com>,\r\n {url}\r\n")
        );
        assert_eq!(
            lines("List-Unsubscribe", &url),
            format!("List-Unsubscribe: {url}\r\n")
        );
        assert_eq!(lines("X-A", ""), "X-A: \r\n");
        assert_eq!(lines("X-A", " \t "), "X-A: \r\n");
    }

    #[test]
    fn what_readers_would_change_is_encoded_whole() {
        for text in [
            "你好    שלום",
            "Hello =?utf-8?q?x?= there",
            "=?",
            &"é".repeat(400),
            &"🚀 ".repeat(100),
            &"x".repeat(998),
            "a\u{a0}b",
        ] {
            let lines = lines("Subject", text);
            assert_eq!(read(&lines), text.trim(), "{lines}");
            assert!(lines.lines().all(|line| line.len() <= 76), "{lines}");
        }
        let long = lines(&"N".repeat(76), "ü");
        assert!(long.lines().count() == 1 && long.is_ascii());
    }

    proptest! {
        #[test]
        fn every_text_is_read_back(text in "s([ -~]{0,9}|[ \\t]{0,40}|[é你🚀]{0,40}|=\\?|x{0,400}){0,12}\\.") {
            prop_assume!(text.len() <= 998);
            let lines = lines("Subject", &text);
            prop_assert_eq!(read(&lines), text);
            prop_assert!(lines.is_ascii());
            prop_assert!(lines.lines().all(|line| line.len() <= 998 && !line.trim().is_empty()));
        }
    }
}
