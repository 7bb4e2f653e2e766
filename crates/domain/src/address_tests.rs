use super::*;

#[track_caller]
fn check(text: &str, expected: Result<(Option<&str>, &str), AddressError>) {
    let parsed = text.parse::<Mailbox>();
    let shown = parsed
        .as_ref()
        .map(|m| (m.name(), m.address().expose()))
        .map_err(|e| *e);
    assert_eq!(shown, expected, "{text:?}");
}

#[test]
fn plain_addresses_are_taken_as_they_are() {
    check("ada@example.com", Ok((None, "ada@example.com")));
    check("Ada.L+tag@Example.COM", Ok((None, "Ada.L+tag@example.com")));
    check("root@localhost", Ok((None, "root@localhost")));
    check(" ada@example.com ", Ok((None, "ada@example.com")));
}

#[test]
fn names_may_be_bare_or_quoted() {
    check(
        "Ada Lovelace <ada@example.com>",
        Ok((Some("Ada Lovelace"), "ada@example.com")),
    );
    check(
        "\"Lovelace, \\\"Ada\\\"\" <ada@example.com>",
        Ok((Some("Lovelace, \"Ada\""), "ada@example.com")),
    );
    check("<ada@example.com>", Ok((None, "ada@example.com")));
    check(
        "Zoë <zoe@example.com>",
        Ok((Some("Zoë"), "zoe@example.com")),
    );
}

#[test]
fn international_domains_become_a_labels_once() {
    check(
        "info@bücher.example",
        Ok((None, "info@xn--bcher-kva.example")),
    );
    check(
        "info@xn--bcher-kva.example",
        Ok((None, "info@xn--bcher-kva.example")),
    );
}

/// S3.
#[test]
fn whatever_two_readers_could_read_differently_is_refused() {
    check("", Err(AddressError::Empty));
    check("ada", Err(AddressError::MissingAt));
    check("ada@", Err(AddressError::Domain));
    check("@example.com", Err(AddressError::LocalPart));
    check("a..b@example.com", Err(AddressError::LocalPart));
    check("\"a b\"@example.com", Err(AddressError::LocalPart));
    check("ada@evil.example@example.com", Err(AddressError::LocalPart));
    check("ada(comment)@example.com", Err(AddressError::LocalPart));
    check("zoë@example.com", Err(AddressError::LocalPartNotAscii));
    check("ada@[127.0.0.1]", Err(AddressError::Domain));
    check("ada@127.0.0.1", Err(AddressError::Domain));
    check("ada@exa mple.com", Err(AddressError::Domain));
    check("ada@-example.com", Err(AddressError::Domain));
    check("ada@example.com.", Err(AddressError::Domain));
    check(
        "ada@example.com\r\nRCPT TO:<eve@example.com>",
        Err(AddressError::Form),
    );
    check("ada\0@example.com", Err(AddressError::LocalPart));
    check(
        "Ada <ada@example.com> <eve@example.com>",
        Err(AddressError::Form),
    );
    check(
        "Ada\r\nBcc: eve@example.com <ada@example.com>",
        Err(AddressError::Form),
    );
    check("Ada\r\nX: y <ada@example.com>", Err(AddressError::Name));
    check("\"open <ada@example.com>", Err(AddressError::Form));
    check(
        &format!("{}@example.com", "a".repeat(65)),
        Err(AddressError::TooLong),
    );
    check(
        &format!("a@{}.com", ["b".repeat(60).as_str(); 5].join(".")),
        Err(AddressError::Domain),
    );
}

#[test]
fn an_address_masks_itself_wherever_it_is_printed() {
    let mailbox: Mailbox = "Ada <ada@example.com>".parse().unwrap();
    assert_eq!(mailbox.address().to_string(), "a***@example.com");
    assert_eq!(format!("{mailbox:?}"), "a***@example.com");
}

#[test]
fn spellings_of_one_account_compare_equal() {
    let a: EmailAddress = "Ada@Example.com".parse().unwrap();
    let b: EmailAddress = "ada@example.com".parse().unwrap();
    assert_ne!(a, b);
    assert_eq!(a.canonical(), b.canonical());
}
