//! What holds of every host, whatever its services do.

use std::{collections::BTreeSet, time::Duration};

use posthaste_host::{
    Cause, HostError, Stopped,
    budget::{FORCED_BUDGET, SHORTEST_GRACE},
};
use proptest::{prelude::*, test_runner::TestCaseError};

use super::{
    POLICY,
    actor::{Care, End, Event, MILLISECOND, Manners, What},
};

type Held = Result<(), TestCaseError>;

/// A host that has run, and everything that happened.
pub(super) struct Storm<'a> {
    pub(super) mix: &'a [Manners],
    pub(super) events: &'a [Event],
    pub(super) outcome: &'a Result<Stopped, HostError>,
    pub(super) took: Duration,
    /// When a stop was first asked for.
    pub(super) asked: Duration,
    /// When it was cut short.
    pub(super) cut: Option<Duration>,
    pub(super) budget: Duration,
}

impl Storm<'_> {
    pub(super) fn check(&self) -> Held {
        self.starts_are_in_order()?;
        self.stops_are_in_reverse()?;
        self.the_budget_holds()?;
        self.the_cause_is_right()?;
        match self.outcome {
            Ok(stopped) => self.the_ends_are_right(stopped),
            Err(_) => Ok(()),
        }
    }

    fn of(&self, who: usize, what: What) -> impl Iterator<Item = usize> {
        let is = move |event: &Event| event.who == who && event.what == what;
        let places = self.events.iter().enumerate();
        places.filter_map(move |(place, event)| is(event).then_some(place))
    }

    /// The place of the first service that was asked to stop; behind everything if none was.
    fn first_asked(&self) -> usize {
        let asked = self
            .events
            .iter()
            .position(|event| event.what == What::Asked);
        asked.unwrap_or(self.events.len())
    }

    /// When the stop began.
    fn began(&self) -> Duration {
        self.events
            .get(self.first_asked())
            .map_or(self.took, |event| event.at)
    }

    /// Each service starts when the one before it is ready, or has failed in a way that is to be ignored.
    fn starts_are_in_order(&self) -> Held {
        for who in 0..self.mix.len() {
            let Some(start) = self.of(who, What::Starts).next() else {
                let later = self.events.iter().find(|event| event.who > who);
                prop_assert!(later.is_none(), "{who} was left out: {later:?}");
                break;
            };
            prop_assert!(
                start < self.first_asked(),
                "{who} started while the host stopped"
            );
            if let Some(before) = who.checked_sub(1) {
                let mut ready = self.of(before, What::Ready);
                let gone = self
                    .of(before, What::Gone)
                    .next()
                    .filter(|_| self.mix[before].care == Care::Ignore);
                let first = ready.next().into_iter().chain(gone).min();
                prop_assert!(
                    first.is_some_and(|first| first < start),
                    "{who} started too early"
                );
            }
        }
        Ok(())
    }

    /// When a service is asked, those behind it are gone for good, and so is every other life of its own.
    fn stops_are_in_reverse(&self) -> Held {
        for (place, event) in self
            .events
            .iter()
            .enumerate()
            .filter(|(_, event)| event.what == What::Asked)
        {
            let after = &self.events[place + 1..];
            let behind = after.iter().find(|later| later.who > event.who);
            prop_assert!(behind.is_none(), "{behind:?} after {event:?}");
            let again = after
                .iter()
                .find(|later| later.who == event.who && later.what == What::Starts);
            prop_assert!(again.is_none(), "{again:?} after {event:?}");
        }
        let count = |what| {
            self.events
                .iter()
                .filter(|event| event.what == what)
                .count()
        };
        prop_assert_eq!(count(What::Starts), count(What::Gone), "every life is over");
        Ok(())
    }

    fn the_budget_holds(&self) -> Held {
        // Timers have a resolution of a millisecond, and each service is waited for twice.
        let each = SHORTEST_GRACE + 2 * MILLISECOND;
        let slack = each * u32::try_from(self.mix.len() + 1).expect("not that many");
        prop_assert!(
            self.began() <= self.asked + MILLISECOND,
            "a stop is heard at once, not at {:?}",
            self.began()
        );
        prop_assert!(
            self.took <= self.began() + self.budget + slack,
            "{:?} from {:?}",
            self.took,
            self.began()
        );
        if let Some(cut) = self.cut {
            let forced = cut.max(self.began()) + FORCED_BUDGET + slack;
            prop_assert!(
                self.took <= forced,
                "{:?}, although cut at {cut:?}",
                self.took
            );
        }
        Ok(())
    }

    /// Services whose failure stops the host, as far as the first part of the trace tells.
    fn failures(&self, until: usize) -> Vec<Event> {
        let mut counts = vec![0; self.mix.len()];
        let mut failures = Vec::new();
        for event in &self.events[..until] {
            let unasked = matches!(event.what, What::Failed | What::Ended);
            let limit = match self.mix[event.who].care {
                Care::Stop => 0,
                Care::Ignore => usize::MAX,
                Care::Restart(_) => POLICY.most,
            };
            if unasked {
                counts[event.who] += 1;
                if counts[event.who] == limit.saturating_add(1) {
                    failures.push(*event);
                }
            }
        }
        failures
    }

    fn the_cause_is_right(&self) -> Held {
        let failures = self.failures(self.first_asked());
        let first = failures.first().map_or(Duration::MAX, |failure| failure.at);
        let is_first = |name: &str| {
            failures
                .iter()
                .any(|failure| failure.at == first && name == format!("s{}", failure.who))
        };
        match self.outcome {
            Ok(Stopped {
                cause: Cause::Requested | Cause::Signal(_),
                ..
            }) => {
                prop_assert!(self.asked <= self.began(), "nobody had asked for it");
                prop_assert!(self.asked <= first, "a failure came before");
            }
            Ok(Stopped {
                cause: Cause::Failed { service, .. },
                ..
            }) => {
                prop_assert!(is_first(service), "{service} of {failures:?}");
            }
            Err(HostError::Start { service, .. }) => {
                prop_assert!(is_first(service), "{service} of {failures:?}");
                let who = failures
                    .iter()
                    .find(|failure| format!("s{}", failure.who) == *service);
                let ready = who.and_then(|failure| self.of(failure.who, What::Ready).next());
                prop_assert!(ready.is_none(), "{service} was ready");
            }
            Err(HostError::StartTimeout { service, after }) => {
                let newest = self
                    .events
                    .iter()
                    .map(|event| event.who)
                    .max()
                    .unwrap_or_default();
                prop_assert_eq!(service, &format!("s{newest}"));
                prop_assert!(
                    self.of(newest, What::Ready).next().is_none(),
                    "{service} was ready"
                );
                let start = self
                    .of(newest, What::Starts)
                    .next()
                    .map(|place| self.events[place].at);
                prop_assert!(start.is_some_and(|start| start + *after <= self.took));
            }
            Err(HostError::Signals(_)) => prop_assert!(false, "none are listened to"),
        }
        let stopped_late = matches!(self.outcome, Err(HostError::StartTimeout { .. }));
        prop_assert!(
            stopped_late || self.began() <= first.max(MILLISECOND),
            "a failure was not seen"
        );
        Ok(())
    }

    fn the_ends_are_right(&self, stopped: &Stopped) -> Held {
        let (mut aborted, mut failed) = (Vec::new(), BTreeSet::new());
        for who in 0..self.mix.len() {
            let (mut asked, mut forced, mut told) = (false, false, None);
            let own = self
                .events
                .iter()
                .enumerate()
                .filter(|(_, event)| event.who == who);
            for (place, event) in own {
                match event.what {
                    What::Starts => (asked, forced, told) = (false, false, None),
                    What::Ready => {}
                    What::Asked => asked = true,
                    What::Forced => forced = true,
                    What::Ended | What::Failed => told = Some(event.what),
                    What::Gone if told.is_none() && asked => {
                        prop_assert!(forced, "{who} was not forced before it was aborted");
                        let patient = matches!(self.mix[who].end, End::Finish(_) | End::Ignore(0));
                        prop_assert!(!patient, "{who} would have ended");
                        aborted.push((place, format!("s{who}")));
                    }
                    What::Gone => {}
                }
            }
            if asked && told == Some(What::Failed) && self.mix[who].care != Care::Ignore {
                failed.insert(format!("s{who}"));
            }
        }
        for failure in self.failures(self.events.len()) {
            let stopping = failure.what == What::Ended && failure.at >= self.began();
            if !stopping {
                failed.insert(format!("s{}", failure.who));
            }
        }
        if let Cause::Failed { service, .. } = &stopped.cause {
            failed.remove(service);
        }
        aborted.sort_unstable();
        let aborted: Vec<_> = aborted.into_iter().map(|(_, name)| name).collect();
        prop_assert_eq!(&stopped.aborted, &aborted);
        let mut told: BTreeSet<_> = stopped.failed.iter().cloned().collect();
        // What ends by itself in the very moment in which a signal comes may be seen on either side of it.
        for end in self
            .events
            .iter()
            .filter(|event| event.what == What::Ended && event.at == self.began())
        {
            told.remove(&format!("s{}", end.who));
            failed.remove(&format!("s{}", end.who));
        }
        prop_assert_eq!(told, failed);
        if let Some(cut) = self.cut.filter(|cut| *cut != self.took) {
            prop_assert_eq!(stopped.forced, cut < self.took, "cut at {:?}", cut);
        }
        let graceful = matches!(stopped.cause, Cause::Requested | Cause::Signal(_))
            && aborted.is_empty()
            && stopped.failed.is_empty()
            && !stopped.forced;
        prop_assert_eq!(stopped.exit_code(), u8::from(!graceful));
        Ok(())
    }
}
