//! Mailboxes in JSON: `"a@b.c"`, `"Name <a@b.c>"` or `{"name", "email"}`; one, or a list of them.

use posthaste_domain::address::{EmailAddress, Mailbox};
use serde_json::Value;

use crate::dto::{fields::Field, problems::Problems};

/// Reads one mailbox.
pub fn read_one(field: Field, problems: &mut Problems) -> Option<Mailbox> {
    let pointer = field.pointer.clone();
    match field.value {
        Value::String(_) => field.parse(problems),
        Value::Object(_) => read_object(field, problems),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => {
            problems.invalid(
                pointer,
                "expected an address, or an object with `email` and `name`",
            );
            None
        }
    }
}

/// Reads one mailbox or a list of them.
pub fn read_many(field: Field, problems: &mut Problems) -> Vec<Mailbox> {
    let fields = if field.value.is_array() {
        field.list(problems)
    } else {
        vec![field]
    };
    fields
        .into_iter()
        .filter_map(|field| read_one(field, problems))
        .collect()
}

/// A mailbox as it is shown to its owner, in a form that [`read_one`] reads back.
#[must_use]
pub fn show(mailbox: &Mailbox) -> String {
    const SPECIALS: [char; 15] = [
        '(', ')', '<', '>', '[', ']', ':', ';', '@', '\\', ',', '.', '"', '\'', '`',
    ];
    let address = mailbox.address().expose();
    match mailbox.name() {
        None => address.to_owned(),
        Some(name) if name.contains(SPECIALS) => {
            let quoted = name.replace('\\', "\\\\").replace('"', "\\\"");
            format!("\"{quoted}\" <{address}>")
        }
        Some(name) => format!("{name} <{address}>"),
    }
}

/// An address as it is shown to its owner.
#[must_use]
pub fn show_address(address: &EmailAddress) -> String {
    address.expose().to_owned()
}

fn read_object(field: Field, problems: &mut Problems) -> Option<Mailbox> {
    let mut fields = field.object(problems)?;
    let name_at = fields.pointer("name");
    let name = fields.take("name").and_then(|name| name.text(problems));
    let address: Option<EmailAddress> = fields
        .require("email", problems)
        .and_then(|email| email.parse(problems));
    fields.finish(problems);
    let mailbox = Mailbox::new(name.as_deref(), address?);
    mailbox
        .map_err(|error| problems.invalid(name_at, error.to_string()))
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_reads_back() {
        for name in [
            None,
            Some("Ada"),
            Some("Ada, \"the first\" \\ <x@y.z>"),
            Some("Dr. Ada L."),
            Some("Ädä"),
        ] {
            let mailbox = Mailbox::new(name, "ada@example.com".parse().unwrap()).unwrap();
            assert_eq!(show(&mailbox).parse::<Mailbox>().unwrap(), mailbox);
        }
        let plain = Mailbox::new(Some("Acme"), "o@acme.com".parse().unwrap()).unwrap();
        assert_eq!(show(&plain), "Acme <o@acme.com>");
    }
}
