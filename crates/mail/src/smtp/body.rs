//! The bytes of a mail as they go over the wire: between DATA and its final dot (RFC 5321 section 4.5.2), or behind BDAT
//! (RFC 3030).

/// Bytes that are written at a time: each write is progress.
const PIECE: usize = 64 * 1024;

/// Whether nothing in a mail can be taken for its end, or for the end of a line, by any server (RFC 5321 section 2.3.8):
/// no CR without LF, no LF without CR, no NUL.
pub(super) fn is_sound(message: &[u8]) -> bool {
    let mut previous = 0;
    for &byte in message {
        if byte == 0 || (byte == b'\n') != (previous == b'\r') {
            return false;
        }
        previous = byte;
    }
    previous != b'\r'
}

/// A sound mail in pieces, each line that begins with a dot given another one, and the final dot behind the last piece.
pub(super) fn dotted(message: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    pieces(message).map(|Piece { begin, bytes, last }| {
        let mut out = Vec::with_capacity(bytes.len() + bytes.len() / 64 + 8);
        let mut done = 0;
        let starts_line = begin == 0 || message[begin - 1] == b'\n';
        if starts_line && bytes.first() == Some(&b'.') {
            out.push(b'.');
        }
        for found in memchr::memmem::find_iter(bytes, b"\n.") {
            out.extend_from_slice(&bytes[done..=found]);
            out.push(b'.');
            done = found + 1;
        }
        out.extend_from_slice(&bytes[done..]);
        if last {
            out.extend_from_slice(end_of_line(message));
            out.extend_from_slice(b".\r\n");
        }
        out
    })
}

/// A mail in pieces behind one BDAT command for all of it.
pub(super) fn counted(message: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    let end = end_of_line(message);
    let command = format!("BDAT {} LAST\r\n", message.len() + end.len());
    pieces(message).map(move |Piece { begin, bytes, last }| {
        let mut out = Vec::with_capacity(command.len() + bytes.len() + end.len());
        if begin == 0 {
            out.extend_from_slice(command.as_bytes());
        }
        out.extend_from_slice(bytes);
        if last {
            out.extend_from_slice(end);
        }
        out
    })
}

/// What a mail lacks to end with a whole line.
fn end_of_line(message: &[u8]) -> &'static [u8] {
    if message.is_empty() || message.ends_with(b"\r\n") {
        b""
    } else {
        b"\r\n"
    }
}

struct Piece<'a> {
    begin: usize,
    bytes: &'a [u8],
    last: bool,
}

/// At least one.
fn pieces(message: &[u8]) -> impl Iterator<Item = Piece<'_>> {
    let count = message.len().div_ceil(PIECE).max(1);
    (0..count).map(move |number| {
        let begin = number * PIECE;
        let end = message.len().min(begin + PIECE);
        Piece {
            begin,
            bytes: &message[begin..end],
            last: number + 1 == count,
        }
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(message: &str, expected: &str) {
        let written: Vec<u8> = dotted(message.as_bytes()).flatten().collect();
        assert_eq!(String::from_utf8_lossy(&written), expected, "{message:?}");
    }

    #[test]
    fn lines_that_begin_with_a_dot_get_another() {
        check("a\r\n.b\r\n..\r\n", "a\r\n..b\r\n...\r\n.\r\n");
        check(".a.b\r\n", "..a.b\r\n.\r\n");
        check("no end", "no end\r\n.\r\n");
        check("", ".\r\n");
    }

    #[test]
    fn a_dot_where_two_pieces_meet_is_seen() {
        for before in [PIECE - 2, PIECE - 3, PIECE - 4] {
            let message = format!("{}\r\n.x\r\n", "a".repeat(before));
            let expected = format!("{}\r\n..x\r\n.\r\n", "a".repeat(before));
            check(&message, &expected);
        }
    }

    #[test]
    fn only_whole_line_ends_are_sound() {
        for sound in ["", "a\r\n", "a\r\n\r\n.\r\n", "a"] {
            assert!(is_sound(sound.as_bytes()), "{sound:?}");
        }
        for unsound in ["a\n", "a\rb", "a\r", "\n", "a\0", "a\r\r\n", "a\n\r\n"] {
            assert!(!is_sound(unsound.as_bytes()), "{unsound:?}");
        }
    }

    #[test]
    fn bdat_counts_what_follows_it() {
        let message = "x".repeat(PIECE + 10);
        let written: Vec<u8> = counted(message.as_bytes()).flatten().collect();
        let text = String::from_utf8(written).expect("ASCII");
        let (command, rest) = text.split_once("\r\n").expect("a command line");
        assert_eq!(command, format!("BDAT {} LAST", rest.len()));
        assert_eq!(rest, format!("{message}\r\n"));
    }

    proptest! {
        /// S2. Whatever stands in a sound mail: a server that looks for CRLF.CRLF finds one, at the end, and takes away
        /// the dots that were added; so does one to which a bare LF ends a line.
        #[test]
        fn the_end_of_data_is_where_it_was_put(lines in proptest::collection::vec("[.a]{0,4}", 0..40)) {
            let message: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
            prop_assume!(is_sound(message.as_bytes()));
            let written: Vec<u8> = dotted(message.as_bytes()).flatten().collect();
            let text = String::from_utf8(written).expect("ASCII");
            let seen: Vec<_> = text.split_inclusive("\r\n").collect();
            prop_assert_eq!(seen.iter().position(|line| *line == ".\r\n"), Some(seen.len() - 1));
            let back: String = seen[..seen.len() - 1]
                .iter()
                .map(|line| line.strip_prefix('.').unwrap_or(line))
                .collect();
            prop_assert_eq!(back, message);
        }
    }
}
