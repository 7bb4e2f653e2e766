//! The stop: one service after the other, in reverse order, each within its turn of the budget.
//!
//! A stop that is forced keeps the order: a service that gives back what it holds needs those that it was built on.

use std::{pin::pin, time::Duration};

use tracing::{debug, info, warn};

use super::running::{Place, Running};
use crate::{
    budget::{Budget, Turn},
    signal::Listener,
    stop::Stop,
};

/// What became of the services.
#[derive(Debug, Default)]
pub(super) struct Ends {
    pub(super) aborted: Vec<String>,
    pub(super) failed: Vec<String>,
    pub(super) forced: bool,
}

/// Stops all services that run.
pub(super) async fn shut_down(
    running: &mut Running,
    budget: Duration,
    signals: &mut Listener,
    stop: &Stop,
) -> Ends {
    running.stopping();
    let mut shut_down = ShutDown {
        budget: Budget::begin(budget, running.alive()),
        forced: false,
        signals,
        stop,
    };
    let mut aborted = Vec::new();
    while let Some(last) = running.last() {
        if shut_down.stops(running, last).await == Way::Aborted {
            aborted.push(running.name(last).to_owned());
        }
        debug!(service = running.name(last), "service stopped");
    }
    Ends {
        aborted,
        failed: running.take_failed(),
        forced: shut_down.forced,
    }
}

struct ShutDown<'a> {
    budget: Budget,
    /// Whether it was cut short.
    forced: bool,
    signals: &'a mut Listener,
    stop: &'a Stop,
}

/// How a service ended.
#[derive(PartialEq, Eq)]
enum Way {
    ByItself,
    Aborted,
}

enum Event {
    Ended,
    CutShort,
    TimeIsUp,
}

impl ShutDown<'_> {
    /// Stops one service: asks, forces, aborts.
    async fn stops(&mut self, running: &mut Running, place: Place) -> Way {
        running.request(place);
        let mut turn = self.turn(running, place);
        if self.forced {
            running.force(place);
        }
        // One that was not ready in time is forced already: it had its time.
        let first = if running.is_forced(place) {
            turn.grace
        } else {
            turn.graceful
        };
        let mut time = pin!(tokio::time::sleep(first));
        loop {
            let event = tokio::select! {
                biased;
                () = running.ended(place) => Event::Ended,
                () = cut_short(self.signals, self.stop), if !self.forced => Event::CutShort,
                () = &mut time => Event::TimeIsUp,
            };
            match event {
                Event::Ended => return Way::ByItself,
                Event::CutShort => {
                    self.forced = true;
                    self.budget = self.budget.cut(running.alive());
                    turn = self.turn(running, place);
                    if !running.is_forced(place) {
                        running.force(place);
                        time.set(tokio::time::sleep(turn.grace));
                    }
                }
                Event::TimeIsUp if running.is_forced(place) => {
                    running.abort(place).await;
                    return Way::Aborted;
                }
                Event::TimeIsUp => {
                    warn!(
                        service = running.name(place),
                        share_ms = turn.graceful.as_millis(),
                        grace_ms = turn.grace.as_millis(),
                        "service is late at stop; forcing it"
                    );
                    running.force(place);
                    time.set(tokio::time::sleep(turn.grace));
                }
            }
        }
    }

    fn turn(&self, running: &Running, place: Place) -> Turn {
        let behind = running.alive().saturating_sub(1);
        self.budget.turn(running.options(place).stop_share, behind)
    }
}

/// Waits for a second signal, or for the host's own stop to be forced. A first signal asks for what is under way already
/// where something else has begun the stop.
async fn cut_short(signals: &mut Listener, stop: &Stop) {
    loop {
        tokio::select! {
            biased;
            () = stop.forced() => return warn!("the stop is forced: stopping at once"),
            signal = signals.next() => if signals.is_first() {
                info!(signal, "stopping already; a second signal stops at once");
            } else {
                return warn!(signal, "second signal: stopping at once");
            },
        }
    }
}
