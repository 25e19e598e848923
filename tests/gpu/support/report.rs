//! How much of its error budgets each module uses, and how long it takes.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// What the tests of a module have in common.
#[derive(Debug, Default, Clone, Copy)]
struct Entry {
    tests: usize,
    time: Duration,
    share: f64,
}

/// One line per module; tests that failed are not in it.
#[derive(Debug, Default)]
pub(crate) struct Report(Mutex<BTreeMap<&'static str, Entry>>);

impl Report {
    /// A test that passed, and the largest share of a budget that one of its comparisons used.
    pub(crate) fn add(&self, module: &'static str, time: Duration, share: f64) {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = entries.entry(module).or_default();
        *entry = Entry { tests: entry.tests + 1, time: entry.time + time, share: entry.share.max(share) };
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        writeln!(f, "{:<16} {:>5} {:>9} {:>22}", "module", "tests", "seconds", "largest share of a budget")?;
        for (module, Entry { tests, time, share }) in entries.iter() {
            writeln!(f, "{module:<16} {tests:>5} {:>9.1} {:>22.2} %", time.as_secs_f64(), share * 100.0)?;
        }
        Ok(())
    }
}
