//! `List-Unsubscribe` (RFC 2369) and its one click (RFC 8058): what a submitter gives must be what mailbox providers act
//! on, or people find no way out of a list but the button for spam.

use crate::message::ExtraHeader;

/// The header with the ways out of a list.
pub const LIST_UNSUBSCRIBE: &str = "List-Unsubscribe";
/// The header that offers the way out by one click.
pub const LIST_UNSUBSCRIBE_POST: &str = "List-Unsubscribe-Post";
/// The only value that RFC 8058 knows.
const ONE_CLICK: &str = "List-Unsubscribe=One-Click";
/// Longest value: with its name it still fits a line, which cannot be parted inside of an address.
pub const MAX_LIST_UNSUBSCRIBE: usize = 900;

/// Why one of the two is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidUnsubscribe {
    /// Not a list of addresses.
    #[error("expected `<https://…>` or `<mailto:…>`, several with commas between them")]
    Form,
    /// Too long for a line.
    #[error("longer than {MAX_LIST_UNSUBSCRIBE} bytes")]
    TooLong,
    /// Something else than one click.
    #[error("its only value is `{ONE_CLICK}`")]
    Post,
    /// One click, and nowhere to send it.
    #[error("it needs a {LIST_UNSUBSCRIBE} with an https URL beside it")]
    NoUrl,
}

/// Finds what is wrong with the two headers among `headers`, each with its name as given. Without them nothing is.
#[must_use]
pub fn check_unsubscribe(headers: &[ExtraHeader]) -> Vec<(String, InvalidUnsubscribe)> {
    let named = |name: &'static str| {
        let is = move |header: &&ExtraHeader| header.name().eq_ignore_ascii_case(name);
        headers.iter().filter(is)
    };
    let mut problems = Vec::new();
    let mut by_https = false;
    let mut unreadable = false;
    for header in named(LIST_UNSUBSCRIBE) {
        match addresses(header.value()) {
            Ok(addresses) => by_https |= addresses.iter().any(|address| is_https(address)),
            Err(problem) => {
                unreadable = true;
                problems.push((header.name().to_owned(), problem));
            }
        }
    }
    for header in named(LIST_UNSUBSCRIBE_POST) {
        if header.value() != ONE_CLICK {
            problems.push((header.name().to_owned(), InvalidUnsubscribe::Post));
        } else if !by_https && !unreadable {
            problems.push((header.name().to_owned(), InvalidUnsubscribe::NoUrl));
        }
    }
    problems
}

/// The addresses between angle brackets. A comma inside of one parts nothing.
fn addresses(value: &str) -> Result<Vec<&str>, InvalidUnsubscribe> {
    if value.len() > MAX_LIST_UNSUBSCRIBE {
        return Err(InvalidUnsubscribe::TooLong);
    }
    let mut found = Vec::new();
    let mut rest = value.trim_matches([' ', '\t']);
    loop {
        let inside = rest.strip_prefix('<').and_then(|rest| rest.split_once('>'));
        let (address, after) = inside.ok_or(InvalidUnsubscribe::Form)?;
        if !(is_https(address) || is_mailto(address)) {
            return Err(InvalidUnsubscribe::Form);
        }
        found.push(address);
        let after = after.trim_start_matches([' ', '\t']);
        if after.is_empty() {
            return Ok(found);
        }
        let after = after.strip_prefix(',').ok_or(InvalidUnsubscribe::Form)?;
        rest = after.trim_start_matches([' ', '\t']);
    }
}

/// An https URL with a host. Plain http would tell everybody on the way who reads what.
fn is_https(address: &str) -> bool {
    let host =
        after_scheme(address, "https://").and_then(|rest| rest.split(['/', '?', '#']).next());
    host.is_some_and(|host| host.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '['))
}

fn is_mailto(address: &str) -> bool {
    let to = after_scheme(address, "mailto:").and_then(|rest| rest.split('?').next());
    to.and_then(|to| to.split_once('@'))
        .is_some_and(|(local, domain)| !local.is_empty() && !domain.is_empty())
}

/// What follows the scheme, if all of it is characters that a URI has (RFC 3986 section 2).
fn after_scheme<'a>(address: &'a str, scheme: &str) -> Option<&'a str> {
    let in_uri = |b: u8| b.is_ascii_alphanumeric() || b"-._~:/?#[]@!$&'()*+,;=%".contains(&b);
    let (given, rest) = address.split_at_checked(scheme.len())?;
    (given.eq_ignore_ascii_case(scheme) && rest.bytes().all(in_uri)).then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    const POST: (&str, &str) = ("List-Unsubscribe-Post", ONE_CLICK);

    fn check(headers: &[(&str, &str)], expected: &[(&str, InvalidUnsubscribe)]) {
        let given: Vec<_> = headers
            .iter()
            .map(|(name, value)| ExtraHeader::new(name, value).unwrap())
            .collect();
        let expected: Vec<_> = expected
            .iter()
            .map(|(name, problem)| ((*name).to_owned(), *problem))
            .collect();
        assert_eq!(check_unsubscribe(&given), expected, "{headers:?}");
    }

    #[test]
    fn a_way_out_is_an_https_url_or_a_mail_address_in_angle_brackets() {
        for sound in [
            "<https://a.example/u?t=1,2>",
            "<mailto:out@a.example?subject=u%20123>",
            "<mailto:out@a.example>, <https://a.example/u/%3C>",
            " <HTTPS://a.example> ,\t<https://[::1]:8443/x>",
        ] {
            check(&[("List-Unsubscribe", sound)], &[]);
        }
        for other in [
            "",
            "https://a.example/u",
            "<http://a.example/u>",
            "<https://>",
            "<https:///u>",
            "<https://a.example/u",
            "<https://a.example/a b>",
            "<https://a.example/ü>",
            "<https://a.example/<>",
            "<mailto:nobody>",
            "<mailto:@a.example>",
            "<javascript:alert(1)>",
            "<https://a.example>,",
            "<https://a.example> <https://b.example>",
            "<https://a.example>, x",
        ] {
            check(
                &[("list-unsubscribe", other)],
                &[("list-unsubscribe", InvalidUnsubscribe::Form)],
            );
        }
        let long = format!("<https://a.example/{}>", "x".repeat(900));
        check(
            &[("List-Unsubscribe", &long)],
            &[("List-Unsubscribe", InvalidUnsubscribe::TooLong)],
        );
    }

    #[test]
    fn one_click_needs_a_url_to_be_posted_to() {
        check(
            &[
                POST,
                (
                    "List-Unsubscribe",
                    "<mailto:a@b.example>, <https://b.example/u>",
                ),
            ],
            &[],
        );
        let no_url = (POST.0, InvalidUnsubscribe::NoUrl);
        check(&[POST], &[no_url]);
        check(
            &[("List-Unsubscribe", "<mailto:a@b.example>"), POST],
            &[no_url],
        );
        check(
            &[
                ("List-Unsubscribe", "<https://a.example>"),
                (POST.0, "List-Unsubscribe=Yes"),
            ],
            &[(POST.0, InvalidUnsubscribe::Post)],
        );
        // What could not be read may have held one.
        check(
            &[("List-Unsubscribe", "https://a.example"), POST],
            &[("List-Unsubscribe", InvalidUnsubscribe::Form)],
        );
        check(&[("X-List-Unsubscribe", "anything")], &[]);
    }
}
