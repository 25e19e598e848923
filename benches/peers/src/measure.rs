//! The clock: everybody is checked first, then all are timed in turn, round by round.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};

use crate::case::{Case, Pass};
use crate::command_line::Wanted;
use crate::contestants::{Contestant, Kind};
use crate::reference::Reference;
use crate::row::{FirstResult, Row};

/// Somebody in one measurement.
struct Entry {
    row: Row,
    /// None: it is out, and the row says why.
    contestant: Option<Box<dyn Contestant>>,
}

/// All contestants in one pass over one case, but for those whose first result already failed.
pub(crate) fn measure(
    args: &Wanted,
    case: &Case,
    pass: Pass,
    reference: &Reference,
    first_results: &[FirstResult],
) -> Vec<Row> {
    let kinds = args.kinds.iter().copied().filter(|kind| kind.can(pass));
    let failed = |kind: Kind| {
        let mut of_case = first_results.iter().filter(|first| first.size == case.size.name && first.pass == pass);
        of_case.find(|first| first.contestant == kind.name()).and_then(|first| first.note.clone())
    };
    let entries = kinds.map(|kind| match failed(kind) {
        Some(note) => {
            let mut row = Row::new(kind.name(), case.size.name, pass);
            row.note = Some(note);
            Entry { row, contestant: None }
        }
        None => enter(kind, case, pass, reference),
    });
    let mut entries: Vec<Entry> = entries.collect();
    for _ in 0..args.warmup {
        for entry in &mut entries {
            entry.time(Duration::ZERO, |row, time| {
                let over = time > args.skip_over;
                if over {
                    row.rounds_ms = vec![1e3 * time.as_secs_f64()];
                    row.note = Some(format!("one run: over {} s", args.skip_over.as_secs()));
                }
                !over
            });
        }
    }
    for round in 0..args.rounds {
        let count = entries.len();
        // Each round begins with another one, so that nobody always comes after the same neighbour's heat.
        for turn in 0..count {
            entries[(round + turn) % count].time(args.min_time, |row, time| {
                row.rounds_ms.push(1e3 * time.as_secs_f64());
                true
            });
        }
    }
    entries.into_iter().map(|entry| entry.row).collect()
}

/// Makes somebody ready, lets it run once and checks what it made.
fn enter(kind: Kind, case: &Case, pass: Pass, reference: &Reference) -> Entry {
    let mut row = Row::new(kind.name(), case.size.name, pass);
    let result = guarded(|| {
        let mut contestant = kind.prepare(case, pass)?;
        let start = Instant::now();
        let read = contestant.run()?;
        let time = start.elapsed();
        let share = match pass {
            Pass::Forward => reference.check_state(&read)?,
            Pass::Training => reference.check_gradients(&contestant.gradients()?)?,
        };
        Ok((contestant, time, share))
    });
    let contestant = match result {
        Ok((contestant, time, share)) => {
            row.first_call_ms = Some(1e3 * time.as_secs_f64());
            row.budget_used = Some(share);
            Some(contestant)
        }
        Err(error) => {
            row.note = Some(format!("failed: {error:#}"));
            None
        }
    };
    let Row { contestant: name, first_call_ms, budget_used, note, .. } = &row;
    let used = budget_used.map_or("-".into(), |used| format!("{:.1} %", 100.0 * used));
    eprintln!(
        "{} {}, {name}: first call {:.1} ms, error budget used {used} {}",
        case.size.name,
        pass.name(),
        first_call_ms.unwrap_or(f64::NAN),
        note.as_deref().unwrap_or_default()
    );
    Entry { row, contestant }
}

impl Entry {
    /// Runs until some time is spent, and at least once. `keep` hears the mean time of a run and says whether this one
    /// stays in.
    fn time(&mut self, at_least: Duration, keep: impl FnOnce(&mut Row, Duration) -> bool) {
        let Some(contestant) = &mut self.contestant else { return };
        let start = Instant::now();
        let mut runs = 0;
        let result = guarded(|| {
            while runs == 0 || start.elapsed() < at_least {
                contestant.run()?;
                runs += 1;
            }
            Ok(start.elapsed() / runs)
        });
        let stays = match result {
            Ok(time) => keep(&mut self.row, time),
            Err(error) => {
                self.row.note = Some(format!("failed: {error:#}"));
                false
            }
        };
        if !stays {
            self.contestant = None;
        }
    }
}

/// A rival that panics is out; the others go on.
pub(crate) fn guarded<T>(run: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message");
        Err(anyhow!("panic: {}", text.lines().next().unwrap_or_default()))
    })
}
