//! Streams whose mail is kept in memory.

use super::*;
use crate::memory_streams::{MemoryBounds, Unsent, WhenFull};

#[test]
fn a_stream_in_memory_has_its_bounds() {
    let place = |text: &str| Place::new(&[]).file(text);
    let settings = place(
        "[streams.preview]\ndurability = \"memory\"\ncapacity = 7\ncapacity_bytes = \"1 MiB\"\n\
         full_mode = \"drop_oldest\"\non_shutdown = \"drop\"\npermits = 3\n",
    )
    .settings();
    let bounds = |name: &str| {
        let mut streams = settings.streams.iter();
        let stream = streams.find(|stream| stream.name.as_str() == name);
        stream.expect("it is configured").in_memory()
    };
    let expected = MemoryBounds {
        capacity: 7,
        bytes: 1 << 20,
        full: WhenFull::DropOldest,
        unsent: Unsent::Drop,
        permits: 3,
    };
    assert_eq!(bounds("preview"), Some(expected));
    assert_eq!(bounds("transactional"), None);
    check(
        &place("[streams.preview]\ndurability = \"ram\"\ncapacity = 0\nfull_mode = \"block\"\n"),
        &[
            "error[E0305]: posthaste.toml:2:1  `streams.preview.durability` = \"ram\": expected one of durable, memory",
            "error[E0305]: posthaste.toml:3:1  `streams.preview.capacity` = \"0\": expected an integer from 1",
            "error[E0305]: posthaste.toml:4:1  `streams.preview.full_mode` = \"block\": expected one of wait, drop_newest",
        ],
    );
}

#[test]
fn account_mails_are_not_kept_in_memory() {
    let memory = "[streams.transactional]\ndurability = \"memory\"\n";
    check(
        &Place::new(&[]).file(memory),
        &["error[E0308]: accounts.stream: stream `transactional` is kept in memory"],
    );
    let apart =
        format!("{memory}[streams.otp]\ndurability = \"durable\"\n[accounts]\nstream = \"otp\"\n");
    Place::new(&[]).file(&apart).settings();
}

#[test]
fn what_is_counted_in_the_database_is_not_for_streams_in_memory() {
    let place = |limit: &str| {
        let text = format!("[streams.preview]\ndurability = \"memory\"\n{limit}\n");
        Place::new(&[]).file(&text)
    };
    for limit in ["rate = \"14/s\"", "concurrency = 3"] {
        check(
            &place(limit),
            &[
                "error[E0308]: stream `preview` is kept in memory, and its rate and concurrency would be counted",
            ],
        );
    }
    place("").settings();
}
