//! What a run is told by: latencies in a table of fixed size, ratios of runs that took turns, the memory of the process.

use std::{fs, time::Duration};

use serde::Serialize;

/// Steps between two powers of two: a figure read back is wrong by 1.6 % at most.
const STEPS: u32 = 64;
/// Powers of two of microseconds: up to 70 minutes.
const POWERS: u32 = 32;

/// Latencies, counted by their size. It takes as much memory for a million as for one, so that measuring does not show
/// in the memory that is measured.
#[derive(Debug, Clone)]
pub struct Latencies {
    counts: Vec<u32>,
    total: u64,
}

impl Default for Latencies {
    fn default() -> Self {
        Self {
            counts: vec![0; (STEPS * POWERS) as usize],
            total: 0,
        }
    }
}

impl Latencies {
    /// Counts one.
    pub fn add(&mut self, latency: Duration) {
        let micros = u32::try_from(latency.as_micros()).unwrap_or(u32::MAX);
        self.counts[slot(micros)] += 1;
        self.total += 1;
    }

    /// Counts all of another table.
    pub fn merge(&mut self, other: &Self) {
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count += more;
        }
        self.total += other.total;
    }

    /// The latency that `percent` of all did not exceed; zero if there is none.
    #[must_use]
    pub fn percentile(&self, percent: u64) -> Duration {
        let wanted = (self.total * percent).div_ceil(100).max(1);
        let mut seen = 0;
        for (slot, count) in self.counts.iter().enumerate() {
            seen += u64::from(*count);
            if seen >= wanted {
                return Duration::from_micros(floor(slot));
            }
        }
        Duration::ZERO
    }

    /// The two figures that are told.
    #[must_use]
    pub fn told(&self) -> Percentiles {
        let ms = |percent| self.percentile(percent).as_secs_f64() * 1000.0;
        Percentiles {
            p50_ms: ms(50),
            p99_ms: ms(99),
        }
    }
}

/// Where a latency of so many microseconds is counted.
fn slot(micros: u32) -> usize {
    if micros < STEPS {
        return micros as usize;
    }
    let power = micros.ilog2();
    let steps = STEPS.ilog2();
    let step = (micros >> (power - steps)) - STEPS;
    ((power - steps + 1) * STEPS + step) as usize
}

/// The smallest latency of a slot, in microseconds.
fn floor(slot: usize) -> u64 {
    let (slot, steps) = (slot as u64, u64::from(STEPS));
    if slot < steps {
        return slot;
    }
    (steps + slot % steps) << (slot / steps - 1)
}

/// Median and 99th percentile, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Percentiles {
    pub p50_ms: f64,
    pub p99_ms: f64,
}

/// The largest and the middle of some figures.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Spread {
    pub best: f64,
    pub median: f64,
}

impl Spread {
    /// Of these; zeros if there are none.
    #[must_use]
    pub fn of(figures: impl IntoIterator<Item = f64>) -> Self {
        let mut figures: Vec<_> = figures.into_iter().collect();
        figures.sort_by(f64::total_cmp);
        let at = |index: usize| figures.get(index).copied().unwrap_or_default();
        Self {
            best: at(figures.len().saturating_sub(1)),
            median: at(figures.len() / 2),
        }
    }
}

/// Resident memory of this process, in MiB: its peak since the start or since [`forget_peak`], and now. Zeros where the
/// system does not tell.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Memory {
    pub peak_mib: f64,
    pub now_mib: f64,
}

/// Reads it.
#[must_use]
pub fn memory() -> Memory {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mib = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<f64>().ok());
        kib.unwrap_or_default() / 1024.0
    };
    Memory {
        peak_mib: mib("VmHWM:"),
        now_mib: mib("VmRSS:"),
    }
}

/// Lets the peak begin anew at what is resident now (`proc_pid_clear_refs(5)` of Linux).
pub fn forget_peak() {
    // Where that cannot be done the peak is that of the whole process, which is more, never less.
    fs::write("/proc/self/clear_refs", "5").ok();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_latency_is_read_back_within_two_percent() {
        for micros in [
            0,
            1,
            63,
            64,
            65,
            100,
            127,
            128,
            1000,
            4321,
            1_000_000,
            u32::MAX,
        ] {
            let back = floor(slot(micros));
            let wrong = (f64::from(micros) - back as f64) / f64::from(micros.max(1));
            assert!((0.0..0.02).contains(&wrong), "{micros} came back as {back}");
        }
    }

    #[test]
    fn percentiles_count_from_the_smallest() {
        let mut all = Latencies::default();
        assert_eq!(all.percentile(99), Duration::ZERO);
        for ms in 1..=50 {
            all.add(Duration::from_millis(ms));
        }
        let mut slow = Latencies::default();
        for ms in 51..=100 {
            slow.add(Duration::from_millis(ms));
        }
        all.merge(&slow);
        let near = |percent, ms: f64| {
            let found = all.percentile(percent).as_secs_f64() * 1000.0;
            assert!((ms * 0.98..=ms).contains(&found), "{percent} %: {found}");
        };
        near(1, 1.0);
        near(50, 50.0);
        near(99, 99.0);
        near(100, 100.0);
    }

    #[test]
    fn the_spread_of_some_ratios() {
        let spread = Spread::of([0.3, 0.5, 0.4]);
        assert_eq!((spread.best, spread.median), (0.5, 0.4));
        assert_eq!(Spread::of([]).best, 0.0);
    }
}
