//! Mail addresses: parsed once, here, and written to envelope, header and store from the parsed form only.
//!
//! What is accepted is the part of RFC 5321 section 4.1.2 that is in use: a dot-atom before the `@` and a host name
//! behind it. Comments, groups, folding, quoted local parts, address literals and source routes are refused, because
//! two readers that disagree about such a form send mail to different places. An international domain becomes its
//! A-label (UTS 46) before anything looks at it; a local part outside ASCII is refused until SMTPUTF8 is spoken.
//!
//! An address never shows itself in clear in logs: [`EmailAddress`] masks itself in `Display` and `Debug`, and the text
//! comes only from [`EmailAddress::expose`].

use std::{fmt, str::FromStr};

/// Longest local part (RFC 5321 section 4.5.3.1.1).
pub const MAX_LOCAL_PART: usize = 64;
/// Longest address that fits a path of 256 octets with its brackets (RFC 5321 section 4.5.3.1.3).
pub const MAX_ADDRESS: usize = 254;
/// Longest display name, in characters.
pub const MAX_NAME: usize = 200;

/// Why a text is not an address that mail can be sent to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Nothing between the ends.
    #[error("empty address")]
    Empty,
    /// No `@` at all.
    #[error("missing @")]
    MissingAt,
    /// The part before the `@` is not a dot-atom.
    #[error("the part before the @ is not valid")]
    LocalPart,
    /// A letter outside ASCII before the `@`.
    #[error("the part before the @ must be ASCII")]
    LocalPartNotAscii,
    /// The part behind the `@` is not a host name.
    #[error("the domain is not valid")]
    Domain,
    /// Over 64 octets before the `@`, or over 254 in all.
    #[error("the address is too long")]
    TooLong,
    /// Control characters in, or too long a, display name.
    #[error("the display name has control characters or is longer than {MAX_NAME} characters")]
    Name,
    /// Text around `<…>` that is not a name.
    #[error("not of the form `a@b.c` or `Name <a@b.c>`")]
    Form,
}

/// One envelope address: `local@domain`, the domain in lower-case A-labels.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EmailAddress {
    text: String,
    at: usize,
}

impl EmailAddress {
    /// The full address, for the wire, the store and answers to its owner. Never for a log line.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.text
    }

    /// The domain, in lower-case A-labels.
    #[must_use]
    pub fn domain(&self) -> &str {
        &self.text[self.at + 1..]
    }

    /// The form by which two spellings of one account's address are compared: all in lower case.
    ///
    /// RFC 5321 leaves the case of local parts to their host; no host in use tells them apart, while people do mistype.
    #[must_use]
    pub fn canonical(&self) -> Self {
        Self {
            text: self.text.to_ascii_lowercase(),
            at: self.at,
        }
    }
}

impl FromStr for EmailAddress {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let text = text.trim_matches([' ', '\t']);
        if text.is_empty() {
            return Err(AddressError::Empty);
        }
        let (local, domain) = text.rsplit_once('@').ok_or(AddressError::MissingAt)?;
        check_local_part(local)?;
        let domain = ascii_domain(domain)?;
        if local.len() + 1 + domain.len() > MAX_ADDRESS {
            return Err(AddressError::TooLong);
        }
        Ok(Self {
            at: local.len(),
            text: format!("{local}@{domain}"),
        })
    }
}

impl fmt::Display for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let first = self.text.chars().next().unwrap_or('*');
        write!(f, "{first}***@{}", self.domain())
    }
}

impl fmt::Debug for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// An address with the name shown beside it: `Name <a@b.c>`.
#[derive(Clone, PartialEq, Eq)]
pub struct Mailbox {
    name: Option<String>,
    address: EmailAddress,
}

impl Mailbox {
    /// A mailbox of these parts; a name of blanks counts as none.
    ///
    /// # Errors
    /// [`AddressError::Name`] if the name has control characters or is too long.
    pub fn new(name: Option<&str>, address: EmailAddress) -> Result<Self, AddressError> {
        let name = name.map(str::trim).filter(|name| !name.is_empty());
        if name.is_some_and(|name| {
            name.chars().any(is_line_or_control) || name.chars().count() > MAX_NAME
        }) {
            return Err(AddressError::Name);
        }
        Ok(Self {
            name: name.map(str::to_owned),
            address,
        })
    }

    /// The name shown beside the address.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// The address itself.
    #[must_use]
    pub fn address(&self) -> &EmailAddress {
        &self.address
    }
}

impl From<EmailAddress> for Mailbox {
    fn from(address: EmailAddress) -> Self {
        Self {
            name: None,
            address,
        }
    }
}

impl FromStr for Mailbox {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let text = text.trim_matches([' ', '\t']);
        let Some(inner) = text.strip_suffix('>') else {
            return text.parse().map(|address| Self {
                name: None,
                address,
            });
        };
        let (name, address) = inner.rsplit_once('<').ok_or(AddressError::Form)?;
        Self::new(Some(&unquote(name.trim())?), address.parse()?)
    }
}

impl fmt::Debug for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.address, f)
    }
}

/// Whether a character would end a header line or move a terminal: C0, C1, DEL and the Unicode line separators.
#[must_use]
pub fn is_line_or_control(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')
}

fn check_local_part(local: &str) -> Result<(), AddressError> {
    if !local.is_ascii() {
        return Err(AddressError::LocalPartNotAscii);
    }
    if local.len() > MAX_LOCAL_PART {
        return Err(AddressError::TooLong);
    }
    let is_atom = |atom: &str| {
        !atom.is_empty()
            && atom
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&b))
    };
    if local.split('.').all(is_atom) {
        Ok(())
    } else {
        Err(AddressError::LocalPart)
    }
}

/// Host names of letters, digits and inner hyphens (RFC 5321 section 2.3.5); an all-numeric last label is an IP address
/// in disguise.
fn ascii_domain(domain: &str) -> Result<String, AddressError> {
    let ascii = idna::domain_to_ascii_strict(domain).map_err(|_| AddressError::Domain)?;
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    let last_is_numeric = ascii
        .rsplit('.')
        .next()
        .is_some_and(|label| label.bytes().all(|b| b.is_ascii_digit()));
    if ascii.split('.').all(is_label) && !last_is_numeric {
        Ok(ascii)
    } else {
        Err(AddressError::Domain)
    }
}

/// Takes the quotes off a quoted name (RFC 5322 section 3.2.4); a bare name may hold no specials that change its meaning.
fn unquote(name: &str) -> Result<String, AddressError> {
    let Some(inner) = name.strip_prefix('"') else {
        let clean = !name.contains(['"', '<', '>', '@']);
        return if clean {
            Ok(name.to_owned())
        } else {
            Err(AddressError::Form)
        };
    };
    let mut plain = String::with_capacity(inner.len());
    let mut chars = inner.chars();
    loop {
        match chars.next() {
            Some('\\') => plain.push(chars.next().ok_or(AddressError::Form)?),
            Some('"') => break,
            Some(c) => plain.push(c),
            None => return Err(AddressError::Form),
        }
    }
    if chars.next().is_none() {
        Ok(plain)
    } else {
        Err(AddressError::Form)
    }
}

#[cfg(test)]
#[path = "address_tests.rs"]
mod tests;
