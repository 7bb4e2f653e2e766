//! Rounds in which the channels take turns, and their table.

use tokio::runtime::Runtime;

use crate::{
    contestants::{Contestant, TokioMpsc},
    pass,
};

const ROUNDS: usize = 15;
/// Values through each channel in one round: some 30 ms.
const VALUES: u64 = 300_000;

pub(crate) struct Rounds<'a> {
    runtime: &'a Runtime,
    producers: u64,
    over: usize,
    /// Millions of values a second, a list for each channel.
    rates: Vec<(&'static str, Vec<f64>)>,
}

impl<'a> Rounds<'a> {
    pub(crate) fn new(runtime: &'a Runtime, producers: u64) -> Self {
        Self {
            runtime,
            producers,
            over: 0,
            rates: Vec::new(),
        }
    }

    /// Begins the next round, if there is one.
    pub(crate) fn next(&mut self) -> bool {
        self.over += 1;
        self.over <= ROUNDS
    }

    pub(crate) fn take<C: Contestant>(&mut self) {
        let took = self.runtime.block_on(pass::<C>(self.producers, VALUES));
        let rate = VALUES as f64 / took.as_secs_f64() / 1e6;
        match self.rates.iter_mut().find(|(name, _)| *name == C::NAME) {
            Some((_, rates)) => rates.push(rate),
            None => self.rates.push((C::NAME, vec![rate])),
        }
    }

    /// The best round of each, since other work on the machine can only lower a figure, and the median.
    #[expect(clippy::print_stdout, reason = "a bench reports to its terminal")]
    pub(crate) fn print(mut self) {
        for (_, rates) in &mut self.rates {
            rates.sort_by(f64::total_cmp);
        }
        let figures = |rates: &[f64]| (rates[rates.len() - 1], rates[rates.len() / 2]);
        let (best_measure, median_measure) = self
            .rates
            .iter()
            .find(|(name, _)| *name == TokioMpsc::NAME)
            .map_or((f64::NAN, f64::NAN), |(_, rates)| figures(rates));
        println!(
            "\n{:>2} producers          best M/s  ratio    median M/s  ratio",
            self.producers
        );
        for (name, rates) in &self.rates {
            let (best, median) = figures(rates);
            println!(
                "{name:<18} {best:>11.1} {:>6.2} {median:>13.1} {:>6.2}",
                best / best_measure,
                median / median_measure
            );
        }
    }
}
