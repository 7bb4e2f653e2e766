//! What the DNS says, by packets of a name server of the test's own.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use hickory_resolver::proto::{
    op::{Message, ResponseCode},
    rr::{
        Name, RData, Record, RecordType,
        rdata::{A, AAAA, MX, SOA},
    },
};
use posthaste_mail::mx::{Dns, Exchangers, NameError, Names};
use tokio::{net::UdpSocket, task::JoinSet};

/// Answers for `.test` until it is dropped.
struct NameServer {
    address: SocketAddr,
    _running: JoinSet<()>,
}

impl NameServer {
    async fn start() -> Self {
        let socket = UdpSocket::bind(("127.0.0.1", 0)).await.expect("a port");
        let address = socket.local_addr().expect("it is bound");
        let mut running = JoinSet::new();
        running.spawn(async move {
            let mut packet = [0; 4096];
            while let Ok((length, client)) = socket.recv_from(&mut packet).await {
                let asked = Message::from_vec(&packet[..length]).expect("a question");
                let answer = answer(&asked).to_vec().expect("an answer");
                socket.send_to(&answer, client).await.expect("it is sent");
            }
        });
        Self {
            address,
            _running: running,
        }
    }

    fn dns(&self) -> Dns {
        Dns::by(&[self.address]).expect("a resolver")
    }
}

fn name(text: &str) -> Name {
    text.parse().expect("a name")
}

fn answer(asked: &Message) -> Message {
    let question = asked.queries[0].clone();
    let host = question.name().to_string();
    let mx = |preference, host| RData::MX(MX::new(preference, name(host)));
    let (code, data) = match (host.as_str(), question.query_type()) {
        ("two.test.", RecordType::MX) => (
            ResponseCode::NoError,
            vec![mx(20, "B.mail.test."), mx(10, "a.mail.test.")],
        ),
        ("null.test.", RecordType::MX) => (ResponseCode::NoError, vec![mx(0, ".")]),
        ("broken.test.", _) => (ResponseCode::ServFail, vec![]),
        ("a.mail.test.", RecordType::A) => (
            ResponseCode::NoError,
            vec![RData::A(A(Ipv4Addr::new(192, 0, 2, 1)))],
        ),
        ("a.mail.test.", RecordType::AAAA) => (
            ResponseCode::NoError,
            vec![RData::AAAA(AAAA(Ipv6Addr::LOCALHOST))],
        ),
        ("a.mail.test." | "plain.test.", _) => (ResponseCode::NoError, vec![]),
        _ => (ResponseCode::NXDomain, vec![]),
    };
    let mut answer = Message::response(asked.metadata.id, asked.metadata.op_code);
    answer.metadata.response_code = code;
    answer.metadata.authoritative = true;
    answer.metadata.recursion_available = true;
    let asked_for = question.name().clone();
    answer.add_query(question);
    if data.is_empty() && code != ResponseCode::ServFail {
        let soa = SOA::new(name("ns.test."), name("admin.test."), 1, 60, 60, 60, 60);
        answer.add_authority(Record::from_rdata(name("test."), 60, RData::SOA(soa)));
    }
    let records = data.into_iter();
    answer.add_answers(records.map(|data| Record::from_rdata(asked_for.clone(), 60, data)));
    answer
}

#[tokio::test]
async fn exchangers_come_in_their_order_or_are_the_domain_itself() {
    let server = NameServer::start().await;
    let dns = server.dns();
    let hosts = |hosts: &[(u16, &str)]| {
        let hosts = hosts.iter().map(|(p, host)| (*p, (*host).to_owned()));
        Ok(Exchangers::Hosts(hosts.collect()))
    };
    let expected = hosts(&[(10, "a.mail.test"), (20, "b.mail.test")]);
    assert_eq!(dns.exchangers("two.test").await, expected);
    assert_eq!(
        dns.exchangers("plain.test").await,
        hosts(&[(0, "plain.test")])
    );
    assert_eq!(dns.exchangers("null.test").await, Ok(Exchangers::None));
}

/// What is surely not there is told apart from what cannot be known now.
#[tokio::test]
async fn a_name_that_is_missing_is_not_one_that_cannot_be_looked_up() {
    let server = NameServer::start().await;
    let dns = server.dns();
    let missing = dns.exchangers("missing.test").await;
    assert_eq!(missing, Err(NameError::Missing("missing.test".to_owned())));
    let unknown = dns.exchangers("broken.test").await;
    assert!(
        matches!(unknown, Err(NameError::Unknown { .. })),
        "{unknown:?}"
    );
    let unknown = dns.addresses("broken.test").await;
    assert!(
        matches!(unknown, Err(NameError::Unknown { .. })),
        "{unknown:?}"
    );
}

#[tokio::test]
async fn a_host_has_the_addresses_of_both_families() {
    let server = NameServer::start().await;
    let dns = server.dns();
    let mut found = dns.addresses("a.mail.test").await.expect("an answer");
    found.sort();
    assert_eq!(
        found,
        [
            IpAddr::from(Ipv4Addr::new(192, 0, 2, 1)),
            IpAddr::from(Ipv6Addr::LOCALHOST)
        ]
    );
    assert_eq!(dns.addresses("plain.test").await, Ok(Vec::new()));
    assert_eq!(dns.addresses("missing.test").await, Ok(Vec::new()));
}
