//! An axum application of its own that sends mail: a request hands a letter over and is answered at once, a hosted service
//! sends it, and a stop ends both in order. `cargo run -q -p posthaste-composition --example embedded`, and then
//! `curl -i localhost:8080/signup -d ada@example.com`.

use std::{process::ExitCode, sync::Arc, time::Duration};

use axum::{Router, extract::State, http::StatusCode, routing::post};
use posthaste_domain::clock::{Clock, SystemClock};
use posthaste_host::{Host, HostBuilder, ServiceError, service_fn};
use posthaste_mail::{Letter, MemoryTransport, OpenGate, Transport};
use posthaste_queue::channel::{DEFAULT_CAPACITY, FullMode, Sender, bounded};
use tokio::{net::TcpListener, time::timeout};
use tracing::{error, info};

/// While the channel is full a request waits for a second, and is told to come again then.
async fn sign_up(State(desk): State<Sender<Letter>>, to: String) -> Result<StatusCode, StatusCode> {
    let letter = welcome(&to).map_err(|_| StatusCode::UNPROCESSABLE_ENTITY)?;
    match timeout(Duration::from_secs(1), desk.send(letter)).await {
        Ok(Ok(_)) => Ok(StatusCode::ACCEPTED),
        Ok(Err(_)) | Err(_) => Err(StatusCode::SERVICE_UNAVAILABLE),
    }
}

fn welcome(address: &str) -> Result<Letter, ServiceError> {
    let (from, to) = ("app@example.com".parse()?, address.parse()?);
    let now = SystemClock.now();
    Ok(Letter::text(from, to, "Welcome".parse()?, "Hello!", now)?)
}

/// The mailer stops last: what the API has accepted is sent.
fn application(listener: TcpListener, transport: Arc<dyn Transport>) -> HostBuilder {
    let (desk, letters) = bounded(DEFAULT_CAPACITY, FullMode::Wait);
    let routes = Router::new().route("/signup", post(sign_up));
    let mailer = service_fn("mailer", |ready, _stop| async move {
        ready.ready();
        while let Some(Letter { envelope, bytes }) = letters.recv().await {
            match transport.send(&envelope, &bytes, &OpenGate).await {
                Ok(_) => info!(to = %envelope.recipients[0], "sent"),
                Err(error) => error!(%error, "not sent"),
            }
        }
        Ok(())
    });
    let api = service_fn("api", |ready, stop| async move {
        ready.ready();
        let serving = axum::serve(listener, routes.with_state(desk));
        let stopping = async move { stop.requested().await };
        Ok(serving.with_graceful_shutdown(stopping).await?)
    });
    Host::builder().service(mailer).service(api)
}

#[tokio::main]
async fn main() -> Result<ExitCode, Box<dyn std::error::Error>> {
    tracing_subscriber::fmt().init();
    let listener = TcpListener::bind("localhost:8080").await?;
    let host = application(listener, Arc::new(MemoryTransport::new("memory")));
    Ok(host.build().run().await?.exit_code().into())
}

#[cfg(test)]
mod tests {
    use posthaste_domain::delivery::{Class, Reply, Stage};
    use posthaste_host::{Signals, Stop, Stopped};
    use posthaste_mail::{Receipt, Scope, SendError, transport::MockTransport};
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpStream,
    };

    use super::*;

    /// Signs `addresses` up, stops the application, and returns the status of each answer with how it stopped.
    async fn run(transport: Arc<dyn Transport>, addresses: &[&str]) -> (Vec<u16>, Stopped) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let place = listener.local_addr().unwrap();
        let stop = Stop::new();
        let host = application(listener, transport)
            .signals(Signals::None)
            .stop(stop.clone());
        let requests = async {
            let mut answers = Vec::new();
            for address in addresses {
                let mut stream = TcpStream::connect(place).await.unwrap();
                let length = address.len();
                let request = format!(
                    "POST /signup HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{address}"
                );
                stream.write_all(request.as_bytes()).await.unwrap();
                let mut answer = String::new();
                stream.read_to_string(&mut answer).await.unwrap();
                answers.push(answer[9..12].parse().unwrap());
            }
            stop.request();
            answers
        };
        let (stopped, answers) = tokio::join!(host.build().run(), requests);
        (answers, stopped.unwrap())
    }

    #[tokio::test]
    async fn whoever_signs_up_gets_a_letter() {
        let transport = Arc::new(MemoryTransport::new("memory"));
        let addresses = ["ada@example.com", "bob@example.com"];
        let (answers, stopped) = run(Arc::<MemoryTransport>::clone(&transport), &addresses).await;
        assert_eq!((answers, stopped.exit_code()), (vec![202, 202], 0));
        let sent = transport.sent();
        let to = |mail: &posthaste_mail::memory::SentMail| mail.envelope.recipients[0].clone();
        let expected = addresses.map(|address| address.parse().unwrap());
        assert_eq!(sent.iter().map(to).collect::<Vec<_>>(), expected);
        assert!(String::from_utf8_lossy(&sent[0].message).contains("Subject: Welcome\r\n"));
    }

    #[tokio::test]
    async fn a_letter_that_cannot_be_sent_holds_up_no_other() {
        let mut transport = MockTransport::new();
        let mut failures = 1;
        transport.expect_send().times(2).returning(move |_, _, _| {
            let reply = |class| Reply::new(Stage::Mail, class, "as told");
            if failures > 0 {
                failures -= 1;
                return Err(SendError {
                    scope: Scope::Message,
                    reply: reply(Class::Permanent),
                    remote: None,
                    trail: None,
                });
            }
            Ok(Receipt {
                replies: vec![reply(Class::Accepted)],
                remote: None,
                trail: None,
            })
        });
        let (answers, stopped) =
            run(Arc::new(transport), &["ada@example.com", "bob@example.com"]).await;
        assert_eq!((answers, stopped.exit_code()), (vec![202, 202], 0));
    }

    #[tokio::test]
    async fn nothing_is_sent_to_what_is_no_address() {
        let mut transport = MockTransport::new();
        transport.expect_send().never();
        let (answers, stopped) = run(Arc::new(transport), &["ada", "ada@example.com\r\nx"]).await;
        assert_eq!((answers, stopped.exit_code()), (vec![422, 422], 0));
    }

    #[tokio::test(start_paused = true)]
    async fn while_the_channel_is_full_a_request_is_turned_away() {
        let (desk, letters) = bounded(1, FullMode::Wait);
        let ask = || sign_up(State(desk.clone()), "ada@example.com".to_owned());
        assert_eq!(ask().await, Ok(StatusCode::ACCEPTED));
        assert_eq!(ask().await, Err(StatusCode::SERVICE_UNAVAILABLE));
        letters.recv().await.unwrap();
        assert_eq!(ask().await, Ok(StatusCode::ACCEPTED));
    }
}
