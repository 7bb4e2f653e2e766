//! Replies (RFC 5321 section 4.2), read from whatever bytes a server sends.
//!
//! Lenient where an accepted mail would be lost otherwise: a bare LF ends a line, a reply may be its three digits alone,
//! bytes outside printable ASCII become `?`. Strict where two readings are possible: each line has a code, and all lines
//! of a reply the same one. A line over 2 KiB, or a reply over 64 KiB or 200 lines, is refused before it is in memory.

/// Longest line, without its end. RFC 5321 section 4.5.3.1.5 asks for 512.
const MAX_LINE: usize = 2 * 1024;
const MAX_REPLY: usize = 64 * 1024;
const MAX_LINES: usize = 200;

/// What a server said to one command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) code: u16,
    /// The text of each line, without its code.
    pub(super) lines: Vec<String>,
}

impl Said {
    /// The text in one line. An enhanced code, which servers repeat in every line, stands there once.
    pub(super) fn text(&self) -> String {
        let first = self.lines.first().map_or("", String::as_str);
        let repeated = first
            .split_once(' ')
            .map(|(word, _)| word)
            .filter(|word| word.bytes().all(|b| b == b'.' || b.is_ascii_digit()));
        let mut text = first.to_owned();
        for line in self.lines.iter().skip(1) {
            let line = repeated
                .and_then(|word| line.strip_prefix(word))
                .unwrap_or(line);
            text.push(' ');
            text.push_str(line.trim_start());
        }
        text
    }
}

/// What cannot be read as a reply. What follows it cannot be either.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unreadable {
    /// No three digits, or something else than a blank or a hyphen behind them.
    #[error("the server sent what is no reply")]
    NotAReply,
    /// A line of another code in the middle.
    #[error("the lines of the server's reply disagree")]
    Disagree,
    /// No end of a line in 2 KiB.
    #[error("a line of the server's reply is too long")]
    LongLine,
    /// No end of the reply in 64 KiB or 200 lines.
    #[error("the server's reply is too long")]
    LongReply,
}

/// Takes bytes in as they come and gives replies out.
#[derive(Debug, Default)]
pub(super) struct Reader {
    raw: Vec<u8>,
    /// Where the next line begins in `raw`.
    begin: usize,
    code: Option<u16>,
    lines: Vec<String>,
    size: usize,
}

impl Reader {
    pub(super) fn feed(&mut self, bytes: &[u8]) {
        self.raw.drain(..self.begin);
        self.begin = 0;
        self.raw.extend_from_slice(bytes);
    }

    /// Whether nothing is left that nobody asked for.
    pub(super) fn is_empty(&self) -> bool {
        self.begin == self.raw.len() && self.lines.is_empty()
    }

    /// The next whole reply, or `None` until more is fed.
    pub(super) fn next(&mut self) -> Result<Option<Said>, Unreadable> {
        while let Some(line) = self.line()? {
            if self.lines.len() == MAX_LINES || self.size > MAX_REPLY {
                return Err(Unreadable::LongReply);
            }
            let (code, last, text) = parts(&self.raw[line])?;
            if self.code.is_some_and(|begun| begun != code) {
                return Err(Unreadable::Disagree);
            }
            self.lines.push(text);
            if last {
                self.code = None;
                self.size = 0;
                let lines = std::mem::take(&mut self.lines);
                return Ok(Some(Said { code, lines }));
            }
            self.code = Some(code);
        }
        Ok(None)
    }

    /// Where the next line stands in `raw`, without its end.
    fn line(&mut self) -> Result<Option<std::ops::Range<usize>>, Unreadable> {
        let begin = self.begin;
        let rest = &self.raw[begin..];
        let Some(length) = rest.iter().position(|byte| *byte == b'\n') else {
            return if rest.len() > MAX_LINE {
                Err(Unreadable::LongLine)
            } else {
                Ok(None)
            };
        };
        if length > MAX_LINE {
            return Err(Unreadable::LongLine);
        }
        self.begin += length + 1;
        self.size += length + 1;
        let text = rest[..length]
            .strip_suffix(b"\r")
            .unwrap_or(&rest[..length]);
        Ok(Some(begin..begin + text.len()))
    }
}

/// Code, whether it is the last line, and text.
fn parts(line: &[u8]) -> Result<(u16, bool, String), Unreadable> {
    let (digits, rest) = line.split_at_checked(3).ok_or(Unreadable::NotAReply)?;
    if !digits.iter().all(u8::is_ascii_digit) {
        return Err(Unreadable::NotAReply);
    }
    let code = digits
        .iter()
        .fold(0, |code, digit| code * 10 + u16::from(digit - b'0'));
    let (last, text) = match rest {
        [] => (true, rest),
        [b' ', text @ ..] => (true, text),
        [b'-', text @ ..] => (false, text),
        _ => return Err(Unreadable::NotAReply),
    };
    let text: String = text.iter().map(|byte| shown(*byte)).collect();
    Ok((code, last, text.trim().to_owned()))
}

fn shown(byte: u8) -> char {
    match byte {
        b' ' | b'!'..=b'~' => char::from(byte),
        b'\t' => ' ',
        _ => '?',
    }
}

#[cfg(test)]
#[path = "reply_tests.rs"]
mod tests;
