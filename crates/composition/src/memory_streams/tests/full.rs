//! A full stream.

use posthaste_domain::{
    idempotency::{Answer, Keyed},
    stores::{Accepted, MessageStore, MockMessageStore, StoreError},
};

use super::bench::{Bench, SECOND, bounds, counts, mail, mail_of};
use crate::memory_streams::{MemoryBounds, Unsent, WhenFull};

/// Submits five mails to a stream with room for three and says what became of them, and which still wait, by number.
async fn five(full: WhenFull, store: MockMessageStore) -> (Vec<Accepted>, Vec<usize>, u64) {
    let bench = Bench::idle(bounds(full, Unsent::Drop), store);
    let mails: Vec<_> = (0..5).map(|_| mail(&["ada@example.com"])).collect();
    let mut answers = Vec::new();
    for mail in &mails {
        answers.push(bench.submit(mail).await.expect("it is taken"));
    }
    let number = |id| mails.iter().position(|mail| mail.id == id);
    let waiting = bench.drain().into_iter().filter_map(number).collect();
    (answers, waiting, bench.counts().dropped)
}

/// P7.
#[tokio::test(start_paused = true)]
async fn a_full_stream_does_what_its_mode_says() {
    use Accepted::{Dropped, InMemory, Stored};
    let none = MockMessageStore::new;
    let all = vec![InMemory; 5];
    let kept = |last: [Accepted; 2]| [vec![InMemory; 3], last.to_vec()].concat();
    assert_eq!(
        five(WhenFull::DropOldest, none()).await,
        (all.clone(), vec![2, 3, 4], 2)
    );
    assert_eq!(
        five(WhenFull::DropNewest, none()).await,
        (all, vec![0, 1, 4], 2)
    );
    assert_eq!(
        five(WhenFull::DropWrite, none()).await,
        (kept([Dropped, Dropped]), vec![0, 1, 2], 2)
    );
    let mut store = MockMessageStore::new();
    store.expect_accept().times(2).returning(|_, _| Ok(Stored));
    assert_eq!(
        five(WhenFull::Spill, store).await,
        (kept([Stored, Stored]), vec![0, 1, 2], 0)
    );
}

/// P7. Waiting is the back-pressure, and it ends.
#[tokio::test(start_paused = true)]
async fn a_submit_to_a_full_stream_that_waits_is_told_to_come_again_after_two_seconds() {
    let bench = Bench::idle(
        bounds(WhenFull::Wait, Unsent::Drop),
        MockMessageStore::new(),
    );
    for _ in 0..3 {
        let accepted = bench.submit(&mail(&["ada@example.com"])).await;
        assert_eq!(accepted.expect("there is room"), Accepted::InMemory);
    }
    let began = tokio::time::Instant::now();
    let refused = bench.submit(&mail(&["ada@example.com"])).await;
    assert!(
        matches!(refused, Err(StoreError::Overloaded)),
        "{refused:?}"
    );
    assert_eq!(began.elapsed(), 2 * SECOND);
    let (late, mail) = (mail(&["ada@example.com"]), mail(&["bob@example.com"]));
    let (waited, taken) = tokio::join!(bench.submit(&late), async {
        tokio::time::sleep(SECOND).await;
        bench.drain().len()
    });
    assert_eq!(
        (waited.expect("there is room"), taken),
        (Accepted::InMemory, 3)
    );
    bench.submit(&mail).await.expect("there is room");
    assert_eq!(bench.counts(), counts(0, 0, 0, 0), "nothing was dropped");
}

/// P7. In bytes as well as in mails.
#[tokio::test(start_paused = true)]
async fn a_stream_is_full_of_bytes_too() {
    let check = async |full, expected: &[usize]| {
        let bounds = MemoryBounds {
            bytes: 10_000,
            ..bounds(full, Unsent::Drop)
        };
        let bench = Bench::idle(bounds, MockMessageStore::new());
        let mails: Vec<_> = [1000, 1000, 6000, 9_000_000]
            .map(|length| mail_of(&["ada@example.com"], &"x".repeat(length)))
            .into();
        for mail in &mails[..3] {
            bench.submit(mail).await.expect("it is taken");
        }
        let waiting = bench.drain();
        let waiting: Vec<_> = waiting
            .iter()
            .filter_map(|id| mails.iter().position(|mail| mail.id == *id))
            .collect();
        assert_eq!(waiting, expected, "{full:?}");
        assert_eq!(bench.counts().dropped, 3 - expected.len() as u64);
        // One that is larger than all the room there is may enter alone.
        let alone = bench.submit(&mails[3]).await;
        assert_eq!(alone.expect("there is room"), Accepted::InMemory);
    };
    check(WhenFull::DropOldest, &[1, 2]).await;
    check(WhenFull::DropNewest, &[0, 1]).await;
    check(WhenFull::DropWrite, &[0, 1]).await;
}

/// A key is a promise, and other streams are nobody's business here.
#[tokio::test(start_paused = true)]
async fn a_submit_under_a_key_or_to_another_stream_is_stored() {
    let mut store = MockMessageStore::new();
    store
        .expect_accept()
        .withf(|message, keyed| keyed.is_some() || message.stream.as_str() == "transactional")
        .times(2)
        .returning(|_, _| Ok(Accepted::Stored));
    let bench = Bench::idle(bounds(WhenFull::Wait, Unsent::Drop), store);
    let keyed = Keyed {
        request: posthaste_domain::idempotency::Idempotency {
            route: "POST /emails".into(),
            key: "k".parse().expect("a key"),
            fingerprint: [1; 32],
        },
        answer: Answer {
            status: 200,
            body: "{}".into(),
        },
    };
    let mail = mail(&["ada@example.com"]);
    let stored = bench.streams.accept(mail.clone(), Some(keyed)).await;
    assert_eq!(stored.expect("it is stored"), Accepted::Stored);
    let mut other = mail;
    other.stream = "transactional".parse().expect("a stream");
    assert_eq!(
        bench.submit(&other).await.expect("it is stored"),
        Accepted::Stored
    );
    assert!(bench.drain().is_empty());
}

/// What is promised for later has to be on disk, whatever its stream.
#[tokio::test(start_paused = true)]
async fn a_scheduled_mail_is_stored() {
    let mut store = MockMessageStore::new();
    store
        .expect_accept()
        .times(1)
        .returning(|_, _| Ok(Accepted::Stored));
    let bench = Bench::idle(bounds(WhenFull::Wait, Unsent::Drop), store);
    let mut later = mail(&["ada@example.com"]);
    later.scheduled_at = Some(later.expires_at);
    let accepted = bench.submit(&later).await;
    assert_eq!(accepted.expect("it is taken"), Accepted::Stored);
}
