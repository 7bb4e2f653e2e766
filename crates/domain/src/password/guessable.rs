//! The first passwords that anybody tries: the list of common ones, and what follows from it or from what is known of
//! the account by a simple rule (NIST SP 800-63B-4 section 3.1.1.2: common, context-specific, repetitive, sequential).

use crate::address::EmailAddress;

/// Characters that are left over when what is guessable is taken away: fewer do not make a password.
const LEAST_REST: usize = 8;

/// Whether a password is among the first guesses.
pub(super) fn is_guessable(password: &str, product: &str, email: Option<&EmailAddress>) -> bool {
    let password = password.to_lowercase();
    let unit = repeated_unit(&password);
    is_common(&password)
        || is_common(unit)
        || unit.chars().count() <= 4
        || is_row(&password)
        || is_keyboard_row(&password)
        || context(product, email)
            .iter()
            .any(|word| is_little_more_than(&password, word))
}

fn is_common(password: &str) -> bool {
    passwords::analyzer::analyze(password).is_common()
}

/// The shortest text of which `password` is a repetition, the last copy perhaps cut; itself if there is none.
fn repeated_unit(password: &str) -> &str {
    let starts = password.char_indices().map(|(start, _)| start).skip(1);
    starts
        .filter(|start| start * 2 <= password.len())
        .find(|start| {
            password.as_bytes()[*start..] == password.as_bytes()[..password.len() - start]
        })
        .map_or(password, |start| &password[..start])
}

/// Characters of which each is the neighbour of the one before, always on the same side: `abcd…`, `9876…`, `…8901…`.
fn is_row(password: &str) -> bool {
    let neighbours = |step: i64| {
        let next = |a: char, b: char| match (a, b) {
            ('9', '0') => step == 1,
            ('0', '9') => step == -1,
            _ => i64::from(u32::from(b)) - i64::from(u32::from(a)) == step,
        };
        password
            .chars()
            .zip(password.chars().skip(1))
            .all(|(a, b)| next(a, b))
    };
    neighbours(1) || neighbours(-1)
}

/// The keys of a keyboard in their order.
fn is_keyboard_row(password: &str) -> bool {
    const ROWS: [&str; 3] = [
        "1234567890qwertyuiopasdfghjklzxcvbnm",
        "qwertzuiopasdfghjklyxcvbnm1234567890",
        "qwertyuiopasdfghjklzxcvbnm1234567890",
    ];
    ROWS.iter().any(|row| {
        row.contains(password) || row.chars().rev().collect::<String>().contains(password)
    })
}

fn context(product: &str, email: Option<&EmailAddress>) -> Vec<String> {
    let mut words = vec![product.to_lowercase()];
    if let Some(email) = email {
        let address = email.canonical();
        words.extend(address.expose().split('@').map(str::to_owned));
        words.push(address.expose().to_owned());
    }
    words.retain(|word| word.chars().count() >= 4);
    words
}

/// Whether too little is left of a password without a word that everybody knows.
fn is_little_more_than(password: &str, word: &str) -> bool {
    password.contains(word) && password.replace(word, "").chars().count() < LEAST_REST
}
