//! What a server offers in its reply to EHLO (RFC 5321 section 4.1.1.1).

use super::reply::Said;

/// The extensions that this client knows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Offered {
    pub(super) starttls: bool,
    /// RFC 2920: commands may be sent before the reply to the one in front.
    pub(super) pipelining: bool,
    /// RFC 3030: the mail may be sent by BDAT, with its length in front.
    pub(super) chunking: bool,
    /// RFC 1870: MAIL may name the size of the mail.
    pub(super) sizes: bool,
    /// The largest mail it takes, in bytes; `None` if it does not say.
    pub(super) size: Option<u64>,
    pub(super) plain: bool,
    pub(super) login: bool,
    pub(super) xoauth2: bool,
}

impl Offered {
    /// From the reply to EHLO, whose first line is the server's name.
    pub(super) fn from_hello(said: &Said) -> Self {
        let mut offered = Self::default();
        for line in said.lines.iter().skip(1) {
            let line = line.to_ascii_uppercase();
            // Some old servers write `AUTH=` as Microsoft's clients once wanted it.
            let mut words = line.split([' ', '=']).filter(|word| !word.is_empty());
            match words.next() {
                Some("STARTTLS") => offered.starttls = true,
                Some("PIPELINING") => offered.pipelining = true,
                Some("CHUNKING") => offered.chunking = true,
                Some("SIZE") => {
                    offered.sizes = true;
                    let size = words.next().and_then(|size| size.parse().ok());
                    // Zero: there is no fixed limit.
                    offered.size = size.filter(|size| *size > 0);
                }
                Some("AUTH") => words.for_each(|mechanism| match mechanism {
                    "PLAIN" => offered.plain = true,
                    "LOGIN" => offered.login = true,
                    "XOAUTH2" => offered.xoauth2 = true,
                    _ => {}
                }),
                Some(_) | None => {}
            }
        }
        offered
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn offered(lines: &[&str]) -> Offered {
        let lines = lines.iter().map(|line| (*line).to_owned()).collect();
        Offered::from_hello(&Said { code: 250, lines })
    }

    #[test]
    fn keywords_are_read_in_any_case_and_the_name_is_none() {
        let seen = offered(&[
            "PIPELINING starttls",
            "size 1000",
            "Pipelining",
            "AUTH plain XOAUTH2 CRAM-MD5",
            "",
            "8BITMIME",
        ]);
        let expected = Offered {
            pipelining: true,
            sizes: true,
            size: Some(1000),
            plain: true,
            xoauth2: true,
            ..Offered::default()
        };
        assert_eq!(seen, expected);
    }

    #[test]
    fn a_size_without_a_number_or_of_zero_is_no_limit() {
        for line in ["SIZE", "SIZE 0", "SIZE much"] {
            let seen = offered(&["server", line]);
            assert_eq!((seen.sizes, seen.size), (true, None), "{line}");
        }
    }

    #[test]
    fn an_old_spelling_of_auth_is_understood() {
        assert!(offered(&["server", "AUTH=LOGIN"]).login);
    }
}
