//! What an attachment holds: base64, or a list of byte numbers. It is made bytes while it is read. As text it would be there
//! twice, and as a list of values take thirty times its size.

use std::fmt;

use base64::{
    Engine,
    alphabet::STANDARD,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use posthaste_domain::buffer::{buffer, push};
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use super::{Place, Step};

/// Published clients differ in whether they fill up the last group.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

impl<'a> Place<'a> {
    /// Whether this is what an attachment holds: `/attachments/N/content`, or `data` in it, in a mail or in an item of a
    /// batch.
    pub(super) fn is_file(&self) -> bool {
        let content = match (self.step, self.above) {
            (Step::Member("data"), Some(above)) => *above,
            _ => *self,
        };
        let above = |place: Place<'a>| place.above.copied();
        let Some(item) = above(content).filter(|_| matches!(content.step, Step::Member("content")))
        else {
            return false;
        };
        let Some(list) = above(item).filter(|_| matches!(item.step, Step::Item(_))) else {
            return false;
        };
        let is_list = matches!(list.step, Step::Member("attachments"));
        let Some(mail) = above(list).filter(|_| is_list) else {
            return false;
        };
        match mail.step {
            Step::Root => true,
            Step::Item(_) => above(mail).is_some_and(|whole| matches!(whole.step, Step::Root)),
            Step::Member(_) => false,
        }
    }

    /// What a text in base64 holds.
    pub(super) fn base64(self, text: &str) -> Value {
        let mut bytes = buffer(text.len() / 4 * 3 + 3);
        let decoded = if text.contains(['\r', '\n', ' ', '\t']) {
            // In lines, as mail programs and some encoders write it.
            let mut text = text.to_owned();
            text.retain(|c| !c.is_ascii_whitespace());
            LENIENT.decode_vec(&text, &mut bytes)
        } else {
            LENIENT.decode_vec(text, &mut bytes)
        };
        if decoded.is_err() {
            self.problem("this is not base64");
        }
        self.state.borrow_mut().files.put(bytes)
    }

    /// What a list of byte numbers holds.
    pub(super) fn octets<'de, A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let (mut bytes, mut index, mut wrong) = (Vec::new(), 0, None);
        while let Some(octet) = list.next_element_seed(Octet)? {
            match octet {
                Some(octet) => push(&mut bytes, octet),
                None => wrong = wrong.or(Some(index)),
            }
            index += 1;
        }
        if let Some(index) = wrong {
            self.below(Step::Item(index))
                .problem("expected a number from 0 to 255");
        }
        Ok(self.state.borrow_mut().files.put(bytes))
    }
}

/// `{"type": "Buffer", "data": "…"}`, as Node writes bytes, is what it holds.
pub(super) fn without_frame(value: Value) -> Value {
    match value {
        Value::Object(mut members)
            if members.len() == 2
                && members.get("type").is_some_and(|kind| kind == "Buffer")
                && members.get("data").is_some_and(Value::is_string) =>
        {
            members.remove("data").unwrap_or_default()
        }
        other => other,
    }
}

/// One number of the list; nothing for what is none.
struct Octet;

impl<'de> DeserializeSeed<'de> for Octet {
    type Value = Option<u8>;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Option<u8>, D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Octet {
    type Value = Option<u8>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_u64<E>(self, value: u64) -> Result<Option<u8>, E> {
        Ok(u8::try_from(value).ok())
    }

    fn visit_i64<E>(self, _: i64) -> Result<Option<u8>, E> {
        Ok(None)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Option<u8>, E> {
        Ok(None)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Option<u8>, E> {
        Ok(None)
    }

    fn visit_unit<E>(self) -> Result<Option<u8>, E> {
        Ok(None)
    }

    fn visit_str<E>(self, _: &str) -> Result<Option<u8>, E> {
        Ok(None)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Option<u8>, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Option<u8>, A::Error> {
        while object.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(None)
    }
}
