//! Many people at once.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use serde_json::json;

use crate::support::{desk::Desk, eventually::eventually, figures::figure};

const SECOND: Duration = Duration::from_secs(1);

/// P2, P7. A crowd registers in parallel: nobody is turned away for waiting behind the others' passwords, each gets one
/// mail, and each link opens its page and confirms its own account.
#[test]
fn a_crowd_registers_at_once_and_each_gets_one_mail_whose_link_works() {
    let desk = Desk::new();
    let server = desk.start();
    let people = figure(120, 500);
    let email = |number: usize| format!("person{number}@example.com");
    let ids: BTreeMap<String, String> = std::thread::scope(|scope| {
        let register = |number| {
            // A connection of one's own, as a crowd has.
            let client = server.client();
            scope.spawn(move || {
                let body = json!({"email": email(number), "password": "correct horse battery"});
                let reply = client.post("/api/users/register", &body).expect(201);
                let id = reply.json()["id"].as_str().expect("an id").to_owned();
                (email(number), id)
            })
        };
        let people: Vec<_> = (0..people).map(register).collect();
        let answered = people.into_iter().map(|person| person.join());
        answered
            .collect::<Result<_, _>>()
            .expect("everybody is answered")
    });
    assert_eq!(ids.len(), people);
    let letters = eventually("a mail for each", 60 * SECOND, || {
        Some(desk.outbox().letters()).filter(|letters| letters.len() >= people)
    });
    assert_eq!(letters.len(), people, "each exactly once");
    let owners: BTreeSet<_> = letters.iter().flat_map(|letter| &letter.to).collect();
    assert_eq!(owners.len(), people);
    let client = server.client();
    for letter in &letters {
        let link = letter.link("/api/users/confirm?token=");
        let path = &link[link.find("/api/").expect("a link to us")..];
        let token = path.split_once("token=").expect("a token").1;
        assert!(client.get(path).expect(200).text().contains("<form"));
        let confirmed = client.post("/api/users/confirm", &json!({"token": token}));
        let id = confirmed.expect(200).json()["id"].clone();
        assert_eq!(id, ids[&letter.to[0]], "the account of that address");
    }
}
