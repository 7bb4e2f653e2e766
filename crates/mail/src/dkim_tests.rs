use base64::{Engine, engine::general_purpose::STANDARD};
use posthaste_domain::clock::Timestamp;
use secrecy::ExposeSecret;

use super::{canonical::Field, *};

/// For tests alone.
const RSA: &str = include_str!("../tests/keys/rsa_2048.pem");
const RSA_TOO_SHORT: &str = include_str!("../tests/keys/rsa_1024.pem");
/// The private key of RFC 8463 appendix A, in PKCS#8.
const BRISBANE: &str = "-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g
-----END PRIVATE KEY-----
";

const MESSAGE: &str = "From: Joe SixPack <joe@football.example.com>\r
To: Suzie Q <suzie@shopping.example.net>\r
Subject: Is dinner ready?\r
Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)\r
Message-ID: <20030712040037.46341.5F8J@football.example.com>\r
\r
Hi.\r
\r
We lost the game.  Are you hungry yet?\r
\r
Joe.\r
";

fn key(domain: &str, selector: &str, pem: &str) -> DkimKey {
    DkimKey::from_pem(domain, selector, pem).unwrap()
}

fn signer(keys: Vec<DkimKey>) -> Signer {
    let mut signer = Signer::default();
    keys.into_iter().for_each(|key| signer.add(key).unwrap());
    signer
}

fn both() -> Signer {
    signer(vec![
        key("football.example.com", "brisbane", BRISBANE),
        key("football.example.com", "test", RSA),
    ])
}

fn sign(signer: &Signer, from: &str, message: &str) -> String {
    let at = Timestamp::from_timestamp(1_057_982_437, 0).unwrap();
    let signed = signer.sign(&from.parse().unwrap(), at, message.as_bytes().to_vec());
    String::from_utf8(signed.unwrap()).unwrap()
}

/// The value of a tag of each signature, without blanks.
fn tags(mail: &str, tag: &str) -> Vec<String> {
    let unfolded = mail.replace("\r\n\t", " ");
    let signatures = unfolded
        .lines()
        .filter_map(|line| line.strip_prefix("DKIM-Signature: "));
    let of = |signature: &str| {
        let mut tags = signature.split(';').map(str::trim);
        let found = tags.find_map(|each| each.strip_prefix(&format!("{tag}=")));
        found.map(|value| value.replace(' ', ""))
    };
    signatures.map(|signature| of(signature).unwrap()).collect()
}

/// RFC 8463 appendix A: its key, its header field and its message give its signature.
#[test]
fn the_example_of_rfc_8463_comes_out() {
    let brisbane = key("football.example.com", "brisbane", BRISBANE);
    assert_eq!(
        brisbane.record().value,
        "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
    );
    let (fields, body) = split(MESSAGE.as_bytes());
    let hash = STANDARD.encode(body_hash(body));
    assert_eq!(hash, "2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=");
    let field = format!(
        "DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;\r\n d=football.example.com; \
         i=@football.example.com;\r\n q=dns/txt; s=brisbane; t=1528637909; h=from : to :\r\n subject : date : \
         message-id : from : subject : date;\r\n bh={hash};\r\n b="
    );
    // They stand in the order of `h=`.
    let mut input = Vec::new();
    fields.iter().for_each(|field| relaxed(field, &mut input));
    relaxed(&Field::of(field.as_bytes()).unwrap(), &mut input);
    input.truncate(input.len() - 2);
    assert_eq!(
        STANDARD.encode(brisbane.sign(&input).unwrap()),
        "/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11BusFa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw=="
    );
}

#[test]
fn each_key_of_the_domain_signs_in_front_of_the_mail_as_it_was() {
    let mail = sign(&both(), "joe@football.example.com", MESSAGE);
    assert!(mail.ends_with(MESSAGE) && mail.starts_with("DKIM-Signature: v=1;"));
    assert_eq!(tags(&mail, "a"), ["rsa-sha256", "ed25519-sha256"]);
    assert_eq!(tags(&mail, "s"), ["test", "brisbane"]);
    assert_eq!(tags(&mail, "d"), ["football.example.com"; 2]);
    assert_eq!(tags(&mail, "c"), ["relaxed/relaxed"; 2]);
    assert_eq!(tags(&mail, "t"), ["1057982437"; 2], "its Date, not now");
    assert_eq!(
        tags(&mail, "h"),
        ["from:to:subject:date:message-id:from"; 2]
    );
    assert!(!mail.contains(" l="), "the whole body");
    assert!(mail.lines().all(|line| line.len() <= 78), "{mail}");
}

#[test]
fn two_runs_give_the_same_bytes_and_one_change_gives_others() {
    let signed = |message: &str| sign(&both(), "joe@football.example.com", message);
    assert_eq!(signed(MESSAGE), signed(MESSAGE));
    let signatures = tags(&signed(MESSAGE), "b");
    for (from, to) in [
        ("hungry", "angry"),
        ("Is dinner", "Was dinner"),
        ("suzie@", "susan@"),
        ("Date: Fri", "Date: Sat"),
        ("2003071", "2003072"),
        ("Joe Six", "Joe Sox"),
    ] {
        let others = tags(&signed(&MESSAGE.replacen(from, to, 1)), "b");
        assert!(
            signatures.iter().zip(&others).all(|(a, b)| a != b),
            "{from}"
        );
    }
}

/// What stands in no header of ours stays unsigned; all that a receiver acts on is signed, the last of two first.
#[test]
fn every_header_that_counts_is_signed_and_others_are_not() {
    let more = "Reply-To: a@b.example\r\nCc: c@d.example\r\nMIME-Version: 1.0\r\nContent-Type: text/plain\r\n\
                List-Unsubscribe: <https://a.example/u>\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n\
                X-Note: 1\r\nSubject: twice\r\n";
    let mail = sign(
        &both(),
        "joe@football.example.com",
        &format!("{more}{MESSAGE}"),
    );
    assert_eq!(
        tags(&mail, "h")[0],
        "from:to:cc:subject:subject:date:message-id:reply-to:mime-version:content-type:list-unsubscribe:\
         list-unsubscribe-post:from"
    );
    assert!(mail.lines().all(|line| line.len() <= 78), "{mail}");
    let other = sign(
        &both(),
        "joe@football.example.com",
        &format!("{}{MESSAGE}", more.replace("X-Note: 1", "X-Note: 2")),
    );
    assert_eq!(tags(&mail, "b"), tags(&other, "b"));
    let other = sign(
        &both(),
        "joe@football.example.com",
        &format!("{}{MESSAGE}", more.replace("One-Click", "Two")),
    );
    assert_ne!(tags(&mail, "b"), tags(&other, "b"));
}

/// Checked by hand: what is signed, written out. Of two subjects the last one is named first, so it comes first.
#[test]
fn a_signature_stands_over_the_named_headers_and_its_own_field() {
    let signer = signer(vec![key("a.example", "s", BRISBANE)]);
    let mail = sign(
        &signer,
        "joe@a.example",
        "Subject: one\r\nFROM:  Joe\r\n <joe@a.example> \r\nX: y\r\nSubject: two\r\n\r\n",
    );
    let (field, _) = mail.split_once("\r\nSubject: one").unwrap();
    let value = field
        .strip_prefix("DKIM-Signature: ")
        .unwrap()
        .replace("\r\n\t", " ");
    let (unsigned, signature) = value.split_once(" b=").unwrap();
    let input = format!(
        "from:Joe <joe@a.example>\r\nsubject:two\r\nsubject:one\r\ndkim-signature:{unsigned} b="
    );
    let public = key("a.example", "s", BRISBANE).record().value;
    let [public, signature] = [
        public.split_once("p=").unwrap().1,
        &signature.replace(' ', ""),
    ]
    .map(|text| STANDARD.decode(text).unwrap());
    let hash = ring::digest::digest(&ring::digest::SHA256, input.as_bytes());
    let public = ring::signature::UnparsedPublicKey::new(&ring::signature::ED25519, public);
    public.verify(hash.as_ref(), &signature).unwrap();
}

#[test]
fn a_domain_is_signed_by_its_own_keys_else_by_those_of_the_nearest_above() {
    let signer = signer(vec![
        key("example.com", "a", BRISBANE),
        key("shop.example.com", "b", BRISBANE),
        key("Büro.example", "C", BRISBANE),
    ]);
    for (from, expected) in [
        ("x@example.com", &["example.com"][..]),
        ("x@news.example.com", &["example.com"]),
        ("x@a.shop.example.com", &["shop.example.com"]),
        ("x@Shop.Example.COM", &["shop.example.com"]),
        ("x@büro.example", &["xn--bro-hoa.example"]),
        ("x@notexample.com", &[]),
        ("x@example.com.evil.example", &[]),
        ("x@com", &[]),
    ] {
        let mail = sign(&signer, from, MESSAGE);
        assert_eq!(tags(&mail, "d"), expected, "{from}");
        assert_eq!(mail == MESSAGE, expected.is_empty());
    }
    let mut signer = signer;
    let taken = signer.add(key("example.com", "A", RSA)).unwrap_err();
    assert_eq!(
        taken.to_string(),
        "there is another key of example.com with the selector `a`"
    );
    assert_eq!(signer.keys_for("example.com").len(), 1);
}

#[test]
fn keys_are_read_in_each_form_that_openssl_writes_and_weak_or_strange_ones_are_refused() {
    let pkcs8 = RSA
        .lines()
        .filter(|line| !line.starts_with('-'))
        .collect::<String>();
    // The octet string inside, which is PKCS#1, begins behind 26 bytes in a key of 2048 bits.
    let pkcs1 = STANDARD.encode(&STANDARD.decode(pkcs8).unwrap()[26..]);
    let pkcs1 =
        format!("-----BEGIN RSA PRIVATE KEY-----\n{pkcs1}\n-----END RSA PRIVATE KEY-----\n");
    assert_eq!(
        key("a.example", "s", &pkcs1).record(),
        key("a.example", "s", RSA).record()
    );
    let made = new_ed25519().unwrap();
    assert_eq!(
        key("a.example", "s", made.expose_secret()).algorithm(),
        Algorithm::Ed25519
    );
    assert_ne!(made.expose_secret(), new_ed25519().unwrap().expose_secret());

    let refused = |pem: &str| {
        DkimKey::from_pem("a.example", "s", pem)
            .unwrap_err()
            .to_string()
    };
    let short = refused(RSA_TOO_SHORT);
    assert!(
        short.starts_with("expected an RSA key of 2048 to 4096 bits"),
        "{short}"
    );
    let curve = rcgen::KeyPair::generate().unwrap().serialize_pem();
    assert!(refused(&curve).starts_with("expected an RSA key of 2048 to 4096 bits, or an Ed25519"));
    assert!(refused(&curve.replace("PRIVATE", "EC PRIVATE")).contains("another elliptic curve"));
    assert!(
        refused(&RSA.replace("PRIVATE", "ENCRYPTED PRIVATE")).contains("unencrypted PRIVATE KEY")
    );
    assert!(refused("my shopping list").contains("expected PEM"));
    assert!(refused(&BRISBANE.replace("Mcrn9g", "Mcrg==")).contains("is damaged"));
}

#[test]
fn names_that_the_dns_cannot_hold_are_refused() {
    let from_pem = |domain: &str, selector: &str| {
        let made = DkimKey::from_pem(domain, selector, BRISBANE);
        made.err().map(|error| error.to_string())
    };
    for selector in ["a", "2026-1", "a.b", &"s".repeat(63)] {
        assert_eq!(from_pem("example.com", selector), None, "{selector}");
    }
    for selector in [
        "",
        "a b",
        "-a",
        "a-",
        "a..b",
        "a;d=evil.example",
        "a\r\nBcc: x",
        "ü",
        &"s".repeat(64),
    ] {
        let refused = from_pem("example.com", selector).unwrap();
        assert!(refused.ends_with("with dots between them"), "{refused}");
    }
    let long = [
        "s".repeat(63),
        "t".repeat(63),
        "u".repeat(63),
        "v".repeat(63),
    ]
    .join(".");
    assert!(from_pem("example.com", &long).is_some());
    for domain in [
        "",
        "a b",
        "x@example.com",
        "-a.example",
        "example.com ",
        "127.0.0.1",
        "a.example; s=x",
    ] {
        let refused = from_pem(domain, "s").unwrap();
        assert!(refused.ends_with("is not a domain"), "{refused}");
    }
}

#[test]
fn records_hold_the_key_as_receivers_read_it() {
    let record = key("Example.com", "S1", RSA).record();
    assert_eq!(record.name, "s1._domainkey.example.com");
    // What `openssl rsa -pubout` writes for this key.
    let info = concat!(
        "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAwVRFRS6XOvN1FUh7J+OZaflep5coZWAjvq6Oq1tw1O1eKjfHyGN2F1aT",
        "p8NExf3ODaTOizTXn9T0HUebMB6Cn/U6WIAP9nK65YEGDAahw3Sp3Un46ET25JUKhuEYL6z9a7TH0bANcVdr6kIVkktIi9K8aaWS",
        "cMksjociSLiwz6OrEzC4SobVUBOX2X8nCJgrLoy2HT5n/8FSHUcC71dzAbLYIGLpwGU05OiPw6tSsRrgOrxZXhw6DLR/QQw+k9dH",
        "3mcNW+vzko6BNcmS5DEFKeZZjCqFk2kUzzQ6cYZ2Zu3zGye63lyZLslxiivmdXhgwrD8uzoceC+dxjNbVqXOnwIDAQAB",
    );
    assert_eq!(record.value, format!("v=DKIM1; k=rsa; p={info}"));
    let texts = record.texts();
    assert_eq!(
        texts.iter().map(|text| text.len()).collect::<Vec<_>>(),
        [255, record.value.len() - 255]
    );
    assert_eq!(texts.concat(), record.value);
    assert_eq!(key("example.com", "s", BRISBANE).record().texts().len(), 1);
}

#[test]
fn a_key_shows_nothing_of_itself() {
    for pem in [RSA, BRISBANE] {
        let shown = format!("{:?}", key("example.com", "s", pem));
        assert!(shown.ends_with(", .. }") && shown.len() < 100, "{shown}");
    }
}
