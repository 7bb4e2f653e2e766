//! The header field of a signature, folded.

use base64::{Engine, engine::general_purpose::STANDARD};
use posthaste_domain::clock::Timestamp;

use super::{canonical::Field, key::DkimKey};

/// Longest line, where what stands in it can be parted (RFC 5322 section 2.1.1).
const MAX_LINE: usize = 78;

/// A signature's field up to `b=`, where the signature itself belongs.
pub(super) struct Unsigned(Folded);

impl Unsigned {
    /// The field of a signature by `key` over the headers of these `names` and a body of this hash.
    pub(super) fn new(key: &DkimKey, at: Timestamp, names: &[&str], body_hash: &[u8]) -> Self {
        let mut field = Folded::new("DKIM-Signature: v=1;");
        field.word(&format!("a={};", key.algorithm().as_str()));
        field.word("c=relaxed/relaxed;");
        field.word(&format!("d={};", key.domain()));
        field.word(&format!("s={};", key.selector()));
        field.word(&format!("t={};", at.timestamp()));
        for (index, name) in names.iter().enumerate() {
            let end = if index + 1 == names.len() { ';' } else { ':' };
            if index == 0 {
                field.word(&format!("h={name}{end}"));
            } else {
                field.part(&format!("{name}{end}"));
            }
        }
        field.word(&format!("bh={};", STANDARD.encode(body_hash)));
        field.line("b=");
        Self(field)
    }

    pub(super) fn as_field(&self) -> Field<'_> {
        Field::of(self.0.text.as_bytes()).expect("the name is followed by a colon")
    }

    /// The whole field with this signature, and its line end.
    pub(super) fn sealed_by(self, signature: &[u8]) -> Vec<u8> {
        let Self(mut field) = self;
        field.broken_anywhere(&STANDARD.encode(signature));
        field.text.push_str("\r\n");
        field.text.into_bytes()
    }
}

/// A header field that is written piece by piece.
struct Folded {
    text: String,
    column: usize,
}

impl Folded {
    fn new(begin: &str) -> Self {
        Self {
            text: begin.to_owned(),
            column: begin.len(),
        }
    }

    /// A piece behind a blank, or on a new line.
    fn word(&mut self, word: &str) {
        if self.column + 1 + word.len() > MAX_LINE {
            self.line(word);
        } else {
            self.text.push(' ');
            self.text.push_str(word);
            self.column += 1 + word.len();
        }
    }

    /// A piece that follows the one before without a blank, or on a new line.
    fn part(&mut self, part: &str) {
        if self.column + part.len() > MAX_LINE {
            self.line(part);
        } else {
            self.text.push_str(part);
            self.column += part.len();
        }
    }

    /// A text with a line end wherever one is full.
    fn broken_anywhere(&mut self, text: &str) {
        for c in text.chars() {
            if self.column == MAX_LINE {
                self.line("");
            }
            self.text.push(c);
            self.column += 1;
        }
    }

    /// A piece on a new line.
    fn line(&mut self, piece: &str) {
        self.text.push_str("\r\n\t");
        self.text.push_str(piece);
        self.column = 1 + piece.len();
    }
}
