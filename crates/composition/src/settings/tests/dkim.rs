//! Keys that sign mail.

use super::*;
use crate::dkim::{Algorithm, new_key};

const RSA: &str = include_str!("../../../../mail/tests/keys/rsa_2048.pem");
const RSA_TOO_SHORT: &str = include_str!("../../../../mail/tests/keys/rsa_1024.pem");

fn section(name: &str, domain: &str, selector: &str, key: &str) -> String {
    format!("[dkim.{name}]\ndomain = {domain:?}\nselector = {selector:?}\n{key}\n")
}

fn inline(pem: &str) -> String {
    format!("key = '''\n{pem}'''")
}

#[test]
fn each_key_of_a_domain_is_read_from_a_file_or_from_the_settings() {
    assert!(
        Place::new(&[])
            .settings()
            .dkim
            .keys_for("example.com")
            .is_empty()
    );
    let place = Place::new(&[("POSTHASTE__DKIM__THIRD__SELECTOR", "s3")]);
    let path = place.folder.path().join("key.pem");
    new_key("example.com", "s1", Algorithm::Ed25519, &path).unwrap();
    let file = format!("key_file = {path:?}");
    let third = section(
        "third",
        "example.net",
        "given by the environment",
        &inline(RSA),
    );
    let text = section("first", "Example.com", "s1", &file)
        + &section("second", "example.com", "s2", &inline(RSA))
        + &third;
    let settings = place.file(&text).settings();
    let selectors = |domain: &str| -> Vec<String> {
        let keys = settings.dkim.keys_for(domain).iter();
        keys.map(|key| key.selector().to_owned()).collect()
    };
    assert_eq!(selectors("example.com"), ["s2", "s1"]);
    assert_eq!(selectors("news.example.net"), ["s3"]);
    assert!(!format!("{settings:?}").contains("MII"));
}

#[test]
fn a_key_that_cannot_sign_stops_the_start_and_is_told_with_its_file() {
    let place = Place::new(&[]);
    let path = |name: &str| place.folder.path().join(name);
    fs::write(path("short.pem"), RSA_TOO_SHORT).unwrap();
    fs::write(path("list.pem"), "my shopping list").unwrap();
    let file = |name: &str| format!("key_file = {:?}", path(name));
    let text = [
        section("a", "example.com", "s", &file("short.pem")),
        section("b", "example.com", "s", &file("list.pem")),
        section("c", "example.com", "s", &file("none.pem")),
        section("d", "example.com", "s", &inline("canary")),
        section("e", "example", "a b", &inline(RSA)),
        section("f", "not a domain", "s", &inline(RSA)),
        section("g", "example.com", "s", ""),
        section(
            "h",
            "example.com",
            "s",
            &format!("bits = 2048\n{}", inline(RSA)),
        ),
    ]
    .concat();
    let place = place.file(&text);
    check(
        &place,
        &[
            "error[E0305]: posthaste.toml:4:1  `dkim.a.key_file`: short.pem: expected an RSA key of 2048 to 4096 bits",
            "error[E0305]: posthaste.toml:8:1  `dkim.b.key_file`: list.pem: expected PEM with an unencrypted",
            "error[E0307]: posthaste.toml:12:1  none.pem cannot be read",
            "error[E0305]: posthaste.toml:16:1  `dkim.d.key`: expected PEM",
            "error[E0305]: posthaste.toml:20:1  `dkim.e.selector`: `a b` is not a selector",
            "error[E0305]: posthaste.toml:52:1  `dkim.f.domain`: `not a domain` is not a domain",
            "error[E0306]: `dkim.g.key` or `key_file` must be given",
            "error[E0301]: posthaste.toml:91:1  unknown key `dkim.h.bits`",
        ],
    );
}

#[test]
fn two_keys_of_a_domain_have_two_selectors() {
    let text = section("a", "example.com", "S1", &inline(RSA))
        + &section("b", "Example.com", "s1", &inline(RSA));
    let expected = "`dkim.b.selector`: there is another key of example.com with the selector `s1`";
    check(
        &Place::new(&[]).file(&text),
        &[&format!("error[E0305]: posthaste.toml:36:1  {expected}")],
    );
    let text = section("a", "example.com", "s1", &inline(RSA))
        + &section("b", "example.net", "s1", &inline(RSA));
    Place::new(&[]).file(&text).settings();
}
