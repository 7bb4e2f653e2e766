use std::collections::BTreeSet;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use super::*;

/// What `PgBouncer` takes in a startup packet without `ignore_startup_parameters`, beside `user` and `database`.
const TAKEN: [&str; 4] = [
    "client_encoding",
    "DateStyle",
    "TimeZone",
    "application_name",
];

/// The names of the parameters in the first packet of a connection (PostgreSQL documentation, section 55.7:
/// `StartupMessage`).
async fn parameters(listener: TcpListener) -> BTreeSet<String> {
    let (mut stream, _) = listener.accept().await.unwrap();
    loop {
        let length = stream.read_u32().await.unwrap();
        let mut packet = vec![0; usize::try_from(length).unwrap() - 4];
        stream.read_exact(&mut packet).await.unwrap();
        let (version, rest) = packet.split_at(4);
        if version == 196_608_u32.to_be_bytes() {
            let text = String::from_utf8(rest.to_vec()).unwrap();
            let words: Vec<&str> = text.trim_end_matches('\0').split('\0').collect();
            return words.chunks(2).map(|pair| pair[0].to_owned()).collect();
        }
        // It asks for TLS first.
        stream.write_all(b"N").await.unwrap();
    }
}

/// A transaction pooler as it is installed lets us in.
#[tokio::test]
async fn a_connection_names_no_parameter_that_a_pooler_refuses() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let url = format!("postgres://posthaste@127.0.0.1:{port}/posthaste");
    let postgres = Postgres { url: url.into() };
    let named = tokio::select! {
        named = parameters(listener) => named,
        connected = postgres.readers(1) => panic!("nobody has answered: {connected:?}"),
    };
    let known = TAKEN.into_iter().chain(["user", "database"]);
    let known: BTreeSet<String> = known.map(str::to_owned).collect();
    let refused: Vec<_> = named.difference(&known).collect();
    assert_eq!(refused, Vec::<&String>::new());
}
