//! Straight to the servers of each domain.

mod town;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use posthaste_domain::delivery::{Class, Stage};
use posthaste_mail::{
    DataGate, DomainLimits, Envelope, Gate, GateShut, Limited, Limits, OpenGate, Passing, Receipt,
    Scope, SendError, Transport,
    mx::{Exchangers, NameError, Security},
};
use tokio::sync::Mutex;

use self::town::Town;
use crate::{
    server::{Say, Server},
    tls::certificate,
};

const SECOND: Duration = Duration::from_secs(1);

async fn send(transport: &dyn Transport, to: &[&str]) -> Result<Receipt, SendError> {
    send_past(transport, to, &OpenGate).await
}

async fn send_past(
    transport: &dyn Transport,
    to: &[&str],
    gate: &Gate,
) -> Result<Receipt, SendError> {
    let envelope = Envelope {
        id: "0199a5f0-0000-7000-8000-000000000001"
            .parse()
            .expect("an id"),
        sender: "app@example.com".parse().expect("an address"),
        recipients: to
            .iter()
            .map(|to| to.parse().expect("an address"))
            .collect(),
        stream: "otp".parse().expect("a name"),
        stay_with: None,
    };
    transport
        .send(&envelope, b"Subject: x\r\n\r\nbody\r\n", gate)
        .await
}

fn arrived(servers: &[Server]) -> Vec<usize> {
    servers
        .iter()
        .map(|server| server.arrived().len())
        .collect()
}

#[tokio::test]
async fn the_preferred_host_gets_the_mail_and_the_next_one_while_it_is_away() {
    let town = Town::of(&["a.test", "b.test"]).await;
    let town = town.domain("example.test", &[(20, "b.test"), (10, "a.test")]);
    let (servers, transport) = town.open();
    for _ in 0..2 {
        send(&transport, &["ada@example.test"])
            .await
            .expect("taken");
    }
    assert_eq!(arrived(&servers), [2, 0]);
    assert_eq!(servers[0].connections(), 1, "the connection was used again");
    for away in [
        Say::line("554 5.3.2 not here"),
        Say::line("421 4.3.2 not now"),
        Say::HangUp,
        Say::Nothing,
    ] {
        let town = Town::of(&["a.test", "b.test"]).await;
        let town = town.domain("example.test", &[(20, "b.test"), (10, "a.test")]);
        let (servers, transport) = town.open();
        servers[0].always("greeting", away);
        send(&transport, &["ada@example.test"])
            .await
            .expect("taken");
        assert_eq!(arrived(&servers), [0, 1]);
    }
}

#[tokio::test]
async fn hosts_of_one_preference_share_the_mail() {
    let town = Town::of(&["a.test", "b.test"]).await;
    let town = town.domain("example.test", &[(10, "a.test"), (10, "b.test")]);
    let (servers, transport) = town.open();
    for _ in 0..40 {
        send(&transport, &["ada@example.test"])
            .await
            .expect("taken");
    }
    // By chance one of them gets none in one run of 10^12.
    let shares = arrived(&servers);
    assert!(shares.iter().all(|share| *share > 0), "{shares:?}");
}

/// An answer to the mail is an answer, and what was perhaps sent goes to nobody else.
#[tokio::test]
async fn no_other_host_is_asked_once_one_has_answered() {
    for (verb, say, class) in [
        ("MAIL", Say::line("550 5.7.1 no"), Class::Permanent),
        (
            "RCPT",
            Say::line("550 5.1.1 no such user"),
            Class::Permanent,
        ),
        ("RCPT", Say::line("451 4.7.1 greylisted"), Class::Transient),
        (".", Say::HangUp, Class::Uncertain),
    ] {
        let town = Town::of(&["a.test", "b.test"]).await;
        let town = town.domain("example.test", &[(10, "a.test"), (20, "b.test")]);
        let (servers, transport) = town.open();
        servers[0].always(verb, say);
        let sent = send(&transport, &["ada@example.test"]).await;
        let told = match &sent {
            Ok(receipt) => receipt.replies[0].class,
            Err(error) => error.reply.class,
        };
        assert_eq!(told, class, "{verb}");
        assert_eq!(servers[1].connections(), 0, "{verb}");
    }
}

#[tokio::test]
async fn what_the_names_say_decides_without_a_server() {
    let unknown = NameError::Unknown {
        name: "broken.test".to_owned(),
        reason: "no answer".to_owned(),
    };
    let town = Town::of(&["implicit.test"]).await;
    let town = town
        .told("null.test", Ok(Exchangers::None))
        .told("broken.test", Err(unknown))
        .domain("implicit.test", &[(0, "implicit.test")])
        .domain("nowhere.test", &[(10, "gone.test")]);
    let (servers, transport) = town.open();
    for (domain, scope, class, enhanced) in [
        (
            "null.test",
            Scope::Message,
            Class::Permanent,
            Some("5.1.10"),
        ),
        (
            "missing.test",
            Scope::Message,
            Class::Permanent,
            Some("5.1.2"),
        ),
        ("broken.test", Scope::Transport, Class::Transient, None),
        // It may be put right.
        ("nowhere.test", Scope::Transport, Class::Transient, None),
    ] {
        let to = format!("ada@{domain}");
        let error = send(&transport, &[&to]).await.expect_err("no server");
        let told = error.reply.enhanced.map(|code| code.to_string());
        assert_eq!(
            (error.scope, error.reply.class, told.as_deref()),
            (scope, class, enhanced),
            "{domain}"
        );
        assert_eq!(error.reply.stage, Stage::Connect);
    }
    send(&transport, &["ada@implicit.test"])
        .await
        .expect("taken");
    assert_eq!(arrived(&servers), [1]);
}

#[tokio::test]
async fn each_domain_of_a_mail_has_an_outcome_of_its_own() {
    let town = Town::of(&["a.test", "b.test", "c.test"]).await;
    let town = town
        .domain("a.test", &[(0, "a.test")])
        .domain("b.test", &[(0, "b.test")])
        .domain("c.test", &[(0, "c.test")]);
    let (servers, transport) = town.open();
    servers[1].always("greeting", Say::line("421 4.4.2 not now"));
    servers[2].always("RCPT bob@c.test", Say::line("550 5.1.1 no such user"));
    let to = [
        "ada@a.test",
        "bob@c.test",
        "ada@b.test",
        "ada@null.test",
        "eve@A.test",
        "ada@c.test",
    ];
    let receipt = send(&transport, &to).await.expect("some were answered");
    let told: Vec<_> = receipt
        .replies
        .iter()
        .map(|reply| (reply.stage, reply.class))
        .collect();
    assert_eq!(
        told,
        [
            (Stage::Dot, Class::Accepted),
            (Stage::Rcpt, Class::Permanent),
            (Stage::Greeting, Class::Transient),
            (Stage::Connect, Class::Permanent),
            (Stage::Dot, Class::Accepted),
            (Stage::Dot, Class::Accepted),
        ]
    );
    let shared = servers[0].arrived();
    assert_eq!(shared.len(), 1, "one transaction for a domain");
    assert_eq!(shared[0].0, ["ada@a.test", "eve@a.test"]);
}

/// Lets the first who asks pass and nobody else.
struct Once(Mutex<bool>);

#[async_trait]
impl DataGate for Once {
    async fn open(&self, _passing: Passing<'_>) -> Result<(), GateShut> {
        let mut asked = self.0.lock().await;
        if std::mem::replace(&mut *asked, true) {
            return Err(GateShut);
        }
        Ok(())
    }
}

/// What went out before the right to send was lost is told; the rest comes again and has spent no try.
#[tokio::test]
async fn a_gate_that_shuts_between_domains_loses_no_outcome() {
    let town = Town::of(&["a.test", "b.test"]).await;
    let town = town
        .domain("a.test", &[(0, "a.test")])
        .domain("b.test", &[(0, "b.test")]);
    let (_servers, transport) = town.open();
    let gate = Once(Mutex::new(false));
    let receipt = send_past(&transport, &["ada@a.test", "ada@b.test"], &gate).await;
    let receipt = receipt.expect("one went out");
    let mut told: Vec<_> = receipt
        .replies
        .iter()
        .map(|reply| (reply.class == Class::Accepted, reply.stage))
        .collect();
    told.sort_by_key(|(accepted, _)| *accepted);
    assert_eq!(told, [(false, Stage::Connect), (true, Stage::Dot)]);
    let gate = Once(Mutex::new(true));
    let none = send_past(&transport, &["ada@a.test", "ada@b.test"], &gate).await;
    assert_eq!(none.expect_err("nothing went out").scope, Scope::Gate);
}

/// R24. Mail to others does not wait for a domain that hangs, and only so much waits for it.
#[tokio::test]
async fn a_domain_that_hangs_holds_nobody_else_up() {
    let town = Town::of(&["a.test", "b.test"]).await;
    let mut town = town
        .domain("a.test", &[(0, "a.test")])
        .domain("b.test", &[(0, "b.test")]);
    town.config.smtp.timeouts.greeting = 3600 * SECOND;
    let (servers, transport) = town.open();
    let domain = DomainLimits {
        rate: None,
        at_once: Some(2),
    };
    let limits = Limits { rate: None, domain };
    let transport = Limited::before(Arc::new(transport), limits);
    servers[0].always("greeting", Say::Nothing);
    let hanging = ["ada@a.test"];
    let mut waiting: Vec<_> = (0..2)
        .map(|_| Box::pin(send(&transport, &hanging)))
        .collect();
    for one in &mut waiting {
        assert!(futures_util::poll!(one.as_mut()).is_pending());
    }
    let more = send(&transport, &["ada@a.test"]).await;
    let more = more.expect_err("no more of them wait");
    assert_eq!(
        (more.scope, more.reply.class),
        (Scope::Transport, Class::Throttled)
    );
    assert_eq!(more.reply.retry_after, Some(30 * SECOND));
    send(&transport, &["ada@b.test"]).await.expect("taken");
    let both = send(&transport, &["ada@a.test", "ada@b.test"])
        .await
        .expect("one was answered");
    assert_eq!(both.replies[1].class, Class::Accepted);
    assert_eq!(both.replies[0].class, Class::Throttled);
    drop(waiting);
    drop(servers);
}

#[tokio::test]
async fn a_domain_that_is_down_is_left_alone_for_a_while() {
    let town = Town::of(&["a.test", "b.test"]).await;
    let town = town
        .domain("a.test", &[(0, "a.test")])
        .domain("b.test", &[(0, "b.test")]);
    let (servers, transport) = town.open();
    servers[0].always("greeting", Say::line("421 4.3.2 not now"));
    for _ in 0..5 {
        send(&transport, &["ada@a.test"])
            .await
            .expect_err("it is away");
    }
    let tried = servers[0].connections();
    let waits = send(&transport, &["ada@a.test"])
        .await
        .expect_err("it waits");
    assert!(waits.reply.retry_after.is_some());
    assert_eq!(servers[0].connections(), tried, "nobody connects");
    send(&transport, &["ada@b.test"])
        .await
        .expect("others do not care");
}

#[tokio::test]
async fn tls_is_used_where_it_can_be_had_and_insisted_on_where_it_is_required() {
    let (_file, tls) = certificate("elsewhere.test", false);
    for security in [Security::Opportunistic, Security::Required] {
        let mut town = Town::secured(&["a.test"], Some(tls.clone())).await;
        town.config.smtp.timeouts.tls = 30 * SECOND;
        town.config.security = security;
        let (servers, transport) = town.domain("a.test", &[(0, "a.test")]).open();
        servers[0].once("EHLO", Say::line("250-a.test\r\n250 STARTTLS"));
        let sent = send(&transport, &["ada@a.test"]).await;
        let commands = servers[0].commands();
        assert!(
            commands.iter().any(|said| said == "STARTTLS"),
            "{commands:?}"
        );
        let protected = commands.iter().any(|said| said == "(TLS)");
        assert_eq!(protected, security == Security::Opportunistic);
        match security {
            Security::Opportunistic => {
                sent.expect("a strange certificate is better than none");
                assert_eq!(arrived(&servers), [1]);
            }
            Security::Required => {
                let error = sent.expect_err("nobody can vouch for it");
                assert_eq!(
                    (error.scope, error.reply.stage),
                    (Scope::Transport, Stage::Tls)
                );
                assert!(!commands.iter().any(|said| said.starts_with("MAIL")));
            }
        }
    }
    // Offered, and broken.
    let mut town = Town::of(&["a.test"]).await;
    town.config.smtp.timeouts.tls = Duration::from_millis(200);
    let (servers, transport) = town.domain("a.test", &[(0, "a.test")]).open();
    servers[0].always("EHLO", Say::line("250-a.test\r\n250 STARTTLS"));
    servers[0].always("STARTTLS", Say::line("220 go ahead"));
    send(&transport, &["ada@a.test"]).await.expect("in clear");
    assert_eq!(servers[0].connections(), 2, "over a connection of its own");
}
