use super::*;

#[track_caller]
fn read(bytes: &[u8]) -> Result<Option<Said>, Unreadable> {
    let mut reader = Reader::default();
    reader.feed(bytes);
    reader.next()
}

#[track_caller]
fn check(bytes: &[u8], code: u16, text: &str) {
    let said = read(bytes).expect("readable").expect("whole");
    let shown = String::from_utf8_lossy(bytes);
    assert_eq!((said.code, said.text().as_str()), (code, text), "{shown:?}");
}

#[test]
fn replies_are_read_as_servers_write_them() {
    check(b"250 2.0.0 taken\r\n", 250, "2.0.0 taken");
    check(b"250\r\n", 250, "");
    check(b"250 bare line feed\n", 250, "bare line feed");
    check(b"250 latin \xe9\x00\r\n", 250, "latin ??");
    check(b"250-two\r\n250 lines\r\n", 250, "two lines");
    check(
        b"550-5.7.606 Access denied, banned sender\r\n550 5.7.606 see the page\r\n",
        550,
        "5.7.606 Access denied, banned sender see the page",
    );
    check(b"354 go\there\r\n", 354, "go here");
}

#[test]
fn what_is_no_reply_is_told_apart() {
    assert_eq!(read(b"hello\r\n"), Err(Unreadable::NotAReply));
    assert_eq!(read(b"\r\n"), Err(Unreadable::NotAReply));
    assert_eq!(read(b"250x\r\n"), Err(Unreadable::NotAReply));
    assert_eq!(read(b"+25 x\r\n"), Err(Unreadable::NotAReply));
    assert_eq!(
        read(b"250-fine\r\n550 not\r\n"),
        Err(Unreadable::Disagree),
        "accepted or refused?"
    );
    assert_eq!(read(&[b'2'; MAX_LINE + 1]), Err(Unreadable::LongLine));
    assert_eq!(
        read(&b"250-more\r\n".repeat(MAX_LINES + 1)),
        Err(Unreadable::LongReply)
    );
    let line = [b"250-".as_slice(), &[b'x'; 2000], b"\r\n"].concat();
    assert_eq!(read(&line.repeat(40)), Err(Unreadable::LongReply));
}

/// However a server's bytes are cut, the same replies come out.
#[test]
fn replies_are_the_same_however_they_arrive() {
    let bytes = b"250-first\r\n250 2.1.0 ok\r\n354 go\n250\r\n";
    let mut whole = Reader::default();
    whole.feed(bytes);
    let expected: Vec<_> = std::iter::from_fn(|| whole.next().expect("readable")).collect();
    assert_eq!(expected.len(), 3);
    for step in 1..bytes.len() {
        let mut reader = Reader::default();
        let mut seen = Vec::new();
        for piece in bytes.chunks(step) {
            reader.feed(piece);
            seen.extend(std::iter::from_fn(|| reader.next().expect("readable")));
        }
        assert_eq!(seen, expected, "in pieces of {step}");
        assert!(reader.is_empty());
    }
}

#[test]
fn what_nobody_asked_for_is_noticed() {
    let mut reader = Reader::default();
    reader.feed(b"220 go\r\n250 injected");
    reader.next().expect("readable").expect("whole");
    assert!(!reader.is_empty());
}
