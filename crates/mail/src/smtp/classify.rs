//! From what a server said to what it means. The first digit says for now or for good, the enhanced code (if its class
//! agrees) the kind; words alone never decide.

use std::time::Duration;

use posthaste_domain::delivery::{Class, EnhancedCode, Reply, Stage};

use super::reply::Said;

/// The server asks for less: too much mail from here, mail system full, or not taking mail now (RFC 3463).
const THROTTLED: [(u16, u16); 3] = [(7, 28), (4, 5), (3, 2)];

/// A wait that a server names is kept between these: a shorter one is no wait, and nobody is forgotten for a day.
const WAITS: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(6 * 3600));

/// The reply to a command at `stage`, of a class that follows from its codes.
pub(super) fn reply(stage: Stage, said: &Said) -> Reply {
    let text = said.text();
    let enhanced = text
        .split_whitespace()
        .next()
        .and_then(|word| word.parse::<EnhancedCode>().ok());
    let enhanced = enhanced.filter(|enhanced| u16::from(enhanced.class) == said.code / 100);
    let class = match said.code / 100 {
        2 => Class::Accepted,
        4 if enhanced.is_some_and(|code| THROTTLED.contains(&(code.subject, code.detail))) => {
            Class::Throttled
        }
        5 => Class::Permanent,
        // 4yz; and 1yz, 3yz and others, which no server should send here: then another time may be better.
        _ => Class::Transient,
    };
    let reply = Reply::new(stage, class, &text).with_code(said.code, enhanced);
    match named_wait(&text).filter(|_| said.code / 100 == 4) {
        Some(wait) => reply.with_retry_after(wait.clamp(WAITS.0, WAITS.1)),
        None => reply,
    }
}

/// "try again in 300 seconds", "greylisted for 5 minutes". It changes the wait and nothing else.
fn named_wait(text: &str) -> Option<Duration> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric());
    let words: Vec<_> = words
        .filter(|word| !word.is_empty())
        .map(str::to_ascii_lowercase)
        .collect();
    words.windows(3).find_map(|words| {
        let [before, number, unit] = words else {
            return None;
        };
        let seconds = match unit.as_str() {
            "s" | "sec" | "secs" | "second" | "seconds" => 1,
            "min" | "mins" | "minute" | "minutes" => 60,
            "h" | "hour" | "hours" => 3600,
            _ => return None,
        };
        let number: u64 = number.parse().ok()?;
        matches!(before.as_str(), "in" | "for" | "after")
            .then(|| Duration::from_secs(number.saturating_mul(seconds)))
    })
}

/// A reply that says nothing about the mail: another connection may fare better.
pub(super) fn is_about_the_connection(said: &Said) -> bool {
    // 421 closes the channel at any point; 500 to 504 say that the dialogue is out of step.
    matches!(said.code, 421 | 500..=504) || !matches!(said.code, 200..=599)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(code: u16, text: &str, class: Class, enhanced: Option<&str>) {
        let reply = reply(
            Stage::Rcpt,
            &Said {
                code,
                lines: vec![text.to_owned()],
            },
        );
        assert_eq!(reply.class, class, "{code} {text}");
        assert_eq!(
            reply.enhanced.map(|code| code.to_string()).as_deref(),
            enhanced,
            "{code} {text}"
        );
        assert_eq!(reply.code, Some(code));
    }

    #[test]
    fn a_wait_that_is_named_is_kept_within_bounds() {
        let wait = |code, text: &str| {
            let lines = vec![text.to_owned()];
            reply(Stage::Rcpt, &Said { code, lines }).retry_after
        };
        let check = |text, seconds| {
            assert_eq!(
                wait(450, text),
                Some(Duration::from_secs(seconds)),
                "{text}"
            );
        };
        check("4.2.0 Greylisted, try again in 300 seconds", 300);
        check("4.7.1 greylisted for 5 minutes.", 300);
        check("please retry after 2 hours", 7200);
        check("try again in 1 second", 30);
        check("try again in 18446744073709551615 hours", 6 * 3600);
        assert_eq!(wait(450, "4.2.0 try again later"), None);
        assert_eq!(wait(550, "5.1.1 gone for 5 minutes"), None, "for good");
    }

    #[test]
    fn codes_decide_and_words_do_not() {
        check(250, "2.1.5 ok", Class::Accepted, Some("2.1.5"));
        check(450, "4.2.0 greylisted", Class::Transient, Some("4.2.0"));
        check(451, "4.7.28 too fast", Class::Throttled, Some("4.7.28"));
        check(452, "5.2.2 mailbox full", Class::Transient, None);
        check(550, "5.1.1 no such user", Class::Permanent, Some("5.1.1"));
        check(550, "try again later, 4.2.1", Class::Permanent, None);
        check(354, "go", Class::Transient, None);
    }
}
