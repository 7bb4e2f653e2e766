//! The relaxed form of headers and body (RFC 6376 sections 3.4.2 and 3.4.4): what is signed, so that a server on the way
//! may fold a header anew or cut a blank at the end of a line.

use memchr::memmem;
use ring::digest;

/// A header field, without its last line end.
#[derive(Debug, Clone, Copy)]
pub(super) struct Field<'a> {
    name: &'a [u8],
    value: &'a [u8],
}

impl<'a> Field<'a> {
    /// The field of these bytes; nothing if they hold no colon.
    pub(super) fn of(bytes: &'a [u8]) -> Option<Self> {
        let colon = memchr::memchr(b':', bytes)?;
        Some(Self {
            name: bytes[..colon].trim_ascii_end(),
            value: &bytes[colon + 1..],
        })
    }

    pub(super) fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name.as_bytes())
    }
}

/// The header fields of a message, in their order, and its body.
pub(super) fn split(message: &[u8]) -> (Vec<Field<'_>>, &[u8]) {
    let mut fields = Vec::new();
    let mut rest = message;
    while !rest.is_empty() {
        if let Some(body) = rest.strip_prefix(b"\r\n") {
            return (fields, body);
        }
        let length = field_length(rest);
        let field = rest[..length].strip_suffix(b"\r\n");
        fields.extend(Field::of(field.unwrap_or(&rest[..length])));
        rest = &rest[length..];
    }
    (fields, rest)
}

/// How long the first field is, the lines that go on with it and its last line end included.
fn field_length(bytes: &[u8]) -> usize {
    let ends = memmem::find_iter(bytes, b"\r\n").map(|at| at + 2);
    let mut ends = ends.filter(|end| !matches!(bytes.get(*end), Some(b' ' | b'\t')));
    ends.next().unwrap_or(bytes.len())
}

/// Appends the relaxed form of a field, with its line end.
pub(super) fn relaxed(field: &Field<'_>, out: &mut Vec<u8>) {
    out.extend(field.name.to_ascii_lowercase());
    out.push(b':');
    // Unfolding takes the line ends away and leaves the blanks; those around the value go too.
    let value: Vec<u8> = field
        .value
        .iter()
        .copied()
        .filter(|b| !matches!(b, b'\r' | b'\n'))
        .collect();
    single_spaced(value.trim_ascii_start(), out);
    out.extend(b"\r\n");
}

/// SHA-256 of the relaxed body. Empty lines at its end are no part of it.
pub(super) fn body_hash(body: &[u8]) -> Vec<u8> {
    let mut hash = digest::Context::new(&digest::SHA256);
    let mut line = Vec::with_capacity(1024);
    let mut empty = 0_usize;
    let mut rest = body;
    while !rest.is_empty() {
        let end = memmem::find(rest, b"\r\n");
        let (this, after) = end.map_or((rest, &rest[rest.len()..]), |end| {
            (&rest[..end], &rest[end + 2..])
        });
        rest = after;
        line.clear();
        single_spaced(this, &mut line);
        if line.is_empty() {
            empty += 1;
            continue;
        }
        for _ in 0..std::mem::take(&mut empty) {
            hash.update(b"\r\n");
        }
        line.extend(b"\r\n");
        hash.update(&line);
    }
    hash.finish().as_ref().to_vec()
}

/// Appends a line with each run of blanks as one space, and without those at its end.
fn single_spaced(line: &[u8], out: &mut Vec<u8>) {
    let mut blank = false;
    for &byte in line {
        if matches!(byte, b' ' | b'\t') {
            blank = true;
            continue;
        }
        if std::mem::take(&mut blank) {
            out.push(b' ');
        }
        out.push(byte);
    }
}

#[cfg(test)]
mod tests {
    use base64::{Engine, engine::general_purpose::STANDARD};

    use super::*;

    fn form(field: &[u8]) -> String {
        let mut out = Vec::new();
        relaxed(&Field::of(field).unwrap(), &mut out);
        String::from_utf8(out).unwrap()
    }

    /// The example of RFC 6376 section 3.4.5.
    #[test]
    fn headers_and_body_take_their_relaxed_form() {
        let message = b"A: X\r\nB : Y\t\r\n\tZ  \r\n\r\n C \r\nD \t E\r\n\r\n\r\n";
        let (fields, body) = split(message);
        assert_eq!(fields.len(), 2);
        let mut out = Vec::new();
        fields.iter().for_each(|field| relaxed(field, &mut out));
        assert_eq!(String::from_utf8(out).unwrap(), "a:X\r\nb:Y Z\r\n");
        assert_eq!(body_hash(body), body_hash(b" C\r\nD E\r\n"));
        let plain = digest::digest(&digest::SHA256, b" C\r\nD E\r\n");
        assert_eq!(body_hash(body), plain.as_ref());
    }

    #[test]
    fn blanks_that_a_server_may_change_do_not_count_and_others_do() {
        assert_eq!(form(b"Subject:  a \r\n\t b"), form(b"subject:a b "));
        assert_ne!(form(b"Subject: a b"), form(b"Subject: ab"));
        for same in [&b"a\r\nb\r\n"[..], b"a \t\r\nb", b"a\r\nb\r\n\r\n \t\r\n"] {
            assert_eq!(body_hash(same), body_hash(b"a\r\nb\r\n"), "{same:?}");
        }
        for other in [
            &b" a\r\nb\r\n"[..],
            b"a\r\n\r\nb\r\n",
            b"\r\na\r\nb\r\n",
            b"ab\r\n",
        ] {
            assert_ne!(body_hash(other), body_hash(b"a\r\nb\r\n"), "{other:?}");
        }
    }

    /// The hash of nothing, as RFC 6376 section 3.4.4 gives it.
    #[test]
    fn a_body_of_empty_lines_is_an_empty_body() {
        for body in [&b""[..], b"\r\n", b" \r\n\t\r\n\r\n"] {
            let hash = STANDARD.encode(body_hash(body));
            assert_eq!(hash, "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
        }
    }

    #[test]
    fn a_message_without_a_body_is_all_header() {
        let (fields, body) = split(b"A: 1\r\n  2\r\nB: 3");
        assert_eq!((fields.len(), body), (2, &b""[..]));
        assert!(fields[1].is("b"));
        let (fields, body) = split(b"A: 1\r\n\r\n\r\nx");
        assert_eq!((fields.len(), body), (1, &b"\r\nx"[..]));
    }
}
