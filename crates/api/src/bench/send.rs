//! `posthaste bench send`: the whole way of a mail, from its submit over HTTP to the server that takes it: stored, claimed,
//! rendered by a template, sent and settled. First all mails are accepted while nobody works, then drained; then a node that
//! does both takes as many again, and is done when the last end is on disk.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use axum::Router;
use posthaste_composition::bench::{Ground, KEY, Node, template};
use posthaste_host::{HostError, Signals, Stop, Stopped};
use serde::Serialize;
use tokio::{net::TcpListener, task::JoinSet, time::sleep};

use super::{
    BenchError, Options,
    figures::{Memory, Spread, forget_peak, memory},
    load::{self, Load},
    sink::Sink,
};
use crate::{router::router, serve::parts, state::AppState};

/// The shortest time between two looks at what is left.
const LOOK: Duration = Duration::from_millis(5);
/// A look counts every job that is left: so many times as long as it took nobody looks again, lest looking be what is
/// measured. The fewer are left, the sooner comes the next one.
const LOOK_SHARE: u32 = 50;
/// The longest.
const LONGEST_LOOK: Duration = Duration::from_secs(1);

/// What `bench send` tells.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    mails: u64,
    in_flight: usize,
    connections: usize,
    /// Of one mail on the wire, where the sink is ours.
    bytes: Option<u64>,
    rounds: Vec<Round>,
    accept_per_s: Spread,
    drain_per_s: Spread,
    /// From the first submit to the last end on disk, accepting and sending at once.
    end_to_end_per_s: Spread,
    /// Of the process, load generator (and sink, where it is ours) included, over the first round.
    memory: Memory,
}

#[derive(Debug, Clone, Copy, Serialize)]
struct Round {
    accept_per_s: f64,
    drain_per_s: f64,
    end_to_end_per_s: f64,
}

/// Measures on a ground that sends to `sink`, or, without one, to a server of somebody else's.
///
/// # Errors
/// [`BenchError`]; also where not every mail has reached the sink.
pub(super) async fn run(
    ground: &Ground,
    options: &Options,
    connections: usize,
    sink: Option<&Sink>,
) -> Result<Report, BenchError> {
    let mut rounds = Vec::new();
    let mut first = None;
    forget_peak();
    for _ in 0..options.rounds {
        rounds.push(round(ground, options).await?);
        first.get_or_insert_with(memory);
    }
    let sent = 2 * options.jobs * options.rounds as u64;
    let taken = sink.map(Sink::taken);
    if let Some((taken, _)) = taken.filter(|(taken, _)| *taken != sent) {
        let text = format!("of {sent} mails {taken} have reached the sink");
        return Err(BenchError::other(text));
    }
    let spread = |figure: fn(&Round) -> f64| Spread::of(rounds.iter().map(figure));
    Ok(Report {
        mails: options.jobs,
        in_flight: options.in_flight,
        connections,
        bytes: taken.map(|(taken, bytes)| bytes / taken.max(1)),
        accept_per_s: spread(|round| round.accept_per_s),
        drain_per_s: spread(|round| round.drain_per_s),
        end_to_end_per_s: spread(|round| round.end_to_end_per_s),
        memory: first.unwrap_or_else(memory),
        rounds,
    })
}

async fn round(ground: &Ground, options: &Options) -> Result<Round, BenchError> {
    let rate = |took: Duration| options.jobs as f64 / took.as_secs_f64();
    let node = ground.node().await?;
    let accepting = accept(&node, ground, options).await;
    node.close().await;
    let accepting = accepting?;

    let mut node = ground.working_node().await?;
    let began = Instant::now();
    let working = Working::start(&mut node, ground);
    let worked = work(&node, ground, options, began).await;
    let ended = working.end().await;
    node.close().await;
    let (draining, both) = worked?;
    ended?;
    Ok(Round {
        accept_per_s: rate(accepting),
        drain_per_s: rate(draining),
        end_to_end_per_s: rate(both),
    })
}

/// How long it takes to drain what is there, and then to take and to send as many again.
async fn work(
    node: &Node,
    ground: &Ground,
    options: &Options,
    started: Instant,
) -> Result<(Duration, Duration), BenchError> {
    drained(node).await?;
    let draining = started.elapsed();
    let began = Instant::now();
    accept(node, ground, options).await?;
    drained(node).await?;
    Ok((draining, began.elapsed()))
}

/// Submits over HTTP.
async fn accept(node: &Node, ground: &Ground, options: &Options) -> Result<Duration, BenchError> {
    let state = AppState::new(parts(node.composed(), ground.settings()));
    let (address, _server) = serve(router(state)).await?;
    let load = Load {
        address,
        request: load::post("/emails", KEY, &body()),
        requests: options.jobs,
        connections: options.in_flight,
    };
    Ok(load.run().await?.took)
}

/// Serves on a free port of the loopback until the set is dropped.
async fn serve(routes: Router) -> Result<(SocketAddr, JoinSet<()>), BenchError> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let address = listener.local_addr()?;
    let service = routes.into_make_service_with_connect_info::<SocketAddr>();
    let mut server = JoinSet::new();
    server.spawn(async move {
        // It ends with the set; a load that finds nobody says so itself.
        axum::serve(listener, service).await.ok();
    });
    Ok((address, server))
}

async fn drained(node: &Node) -> Result<(), BenchError> {
    loop {
        let began = Instant::now();
        let pending = node.pending().await?;
        if pending.deferred > 0 {
            // It would come again in half a minute, and then say nothing of the rate.
            let text = "the server has not taken a mail at once; see the warnings above";
            return Err(BenchError::other(text));
        }
        if pending.all == 0 {
            return Ok(());
        }
        let pause = began.elapsed() * LOOK_SHARE;
        sleep(pause.clamp(LOOK, LONGEST_LOOK)).await;
    }
}

/// The services of a node, running.
struct Working {
    stop: Stop,
    host: JoinSet<Result<Stopped, HostError>>,
}

impl Working {
    fn start(node: &mut Node, ground: &Ground) -> Self {
        let stop = Stop::new();
        let host = node.host(ground.settings());
        let host = host.signals(Signals::None).stop(stop.clone()).build();
        let mut hosts = JoinSet::new();
        hosts.spawn(host.run());
        Self { stop, host: hosts }
    }

    async fn end(mut self) -> Result<(), BenchError> {
        self.stop.request();
        while let Some(ended) = self.host.join_next().await {
            let stopped = ended.map_err(BenchError::other)?;
            stopped.map_err(BenchError::other)?;
        }
        Ok(())
    }
}

/// A submit by the template: twelve rows of an order.
fn body() -> String {
    format!(
        r#"{{"from":"Acme <orders@acme.example>","to":["ada@example.com"],"template":{{"id":"{}","variables":{}}}}}"#,
        template::NAME,
        template::SAMPLE
    )
}

impl Report {
    /// The report for people.
    pub(super) fn lines(&self) -> Vec<String> {
        let size = self.bytes.map(|bytes| format!(" of {bytes} bytes"));
        let mut lines = vec![
            format!(
                "{} mails{} a run, {} submits in flight, {} connections to the server; all on disk before and after",
                self.mails,
                size.unwrap_or_default(),
                self.in_flight,
                self.connections
            ),
            format!(
                "{:<8} {:>12} {:>12} {:>14}",
                "round", "accept/s", "drain/s", "end to end/s"
            ),
        ];
        for (number, round) in (1..).zip(&self.rounds) {
            lines.push(format!(
                "{number:<8} {:>12.0} {:>12.0} {:>14.0}",
                round.accept_per_s, round.drain_per_s, round.end_to_end_per_s
            ));
        }
        lines.push(format!(
            "best (median): accept {:.0} ({:.0})/s, drain {:.0} ({:.0})/s, end to end {:.0} ({:.0})/s",
            self.accept_per_s.best,
            self.accept_per_s.median,
            self.drain_per_s.best,
            self.drain_per_s.median,
            self.end_to_end_per_s.best,
            self.end_to_end_per_s.median,
        ));
        lines.push(format!(
            "memory over a round: peak {:.1} MiB, load included",
            self.memory.peak_mib
        ));
        lines
    }
}
