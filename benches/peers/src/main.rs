//! wgpu-gru side by side with other GRUs: one process, one run, the same weights and inputs for everybody, everybody checked
//! before being timed. `README.md` tells how to run it and what exactly is timed.

mod about;
mod args;
mod case;
mod contestants;
mod first;
mod measure;
mod reference;
mod report;

use anyhow::Result;

use args::{Args, HELP, Task};
use case::{Case, SIZES};
use contestants::Kind;
use reference::Reference;
use report::{FirstResult, Foreign, Report, Row, table};

fn main() -> Result<()> {
    match Task::parse(std::env::args().skip(1))? {
        Task::Help => println!("{HELP}"),
        Task::List => {
            SIZES.iter().for_each(|size| println!("{}", size.label()));
            Kind::ALL.iter().for_each(|kind| println!("{}", kind.name()));
        }
        Task::FirstResult(kind, size) => first::take(kind, size)?,
        Task::Measure(args) => run(&args)?,
    }
    Ok(())
}

fn run(args: &Args) -> Result<()> {
    let foreign = args.merge.iter().map(|path| Foreign::read(path)).collect::<Result<Vec<_>>>()?;
    // Before this process opens an adapter, so that two do not share the GPU; and who takes its own process down, as a driver
    // may, is not let into this one.
    let mut first_results = first_results(args);
    for foreign in &foreign {
        first_results.extend(foreign.first_results(&args.kinds));
    }
    let mut report = Report { about: about::about(args)?, rows: Vec::new(), first_results };
    report.about.extend(foreign.iter().flat_map(|foreign| foreign.about().iter().cloned()));
    for (name, value) in &report.about {
        println!("- {name}: {value}");
    }
    for &size in &args.sizes {
        let case = Case::new(size);
        let reference = Reference::new(&case, args.oracle)?;
        eprintln!("{}: checked against {}", size.label(), reference.by);
        for &pass in &args.passes {
            let mut rows = measure::measure(args, &case, pass, &reference, &report.first_results);
            for foreign in &foreign {
                let of_others = foreign.rows(size, pass, &reference);
                // Who is measured here needs no figures from elsewhere.
                let new = |row: &Row| rows.iter().all(|here| here.contestant != row.contestant);
                let new: Vec<Row> = of_others.into_iter().filter(new).collect();
                rows.extend(new);
            }
            println!("{}", table(size, pass, &rows));
            report.rows.extend(rows);
            // What was measured is kept, whatever comes after.
            report.write(&args.json)?;
        }
    }
    for &pass in &args.passes {
        println!("{}", report.overview(&args.sizes, pass));
    }
    if !report.first_results.is_empty() {
        println!("{}", report.first_overview(&args.sizes));
    }
    report.write(&args.json)
}

/// Everybody's time to the first result, at every size.
fn first_results(args: &Args) -> Vec<FirstResult> {
    let mut results = Vec::new();
    let kinds = if args.first == 0 { &[][..] } else { &args.kinds[..] };
    for size in &args.sizes {
        for kind in kinds {
            let mut result =
                FirstResult { contestant: kind.name().into(), size: size.name.into(), ms: Vec::new(), note: None };
            for _ in 0..args.first {
                match first::ask(*kind, *size) {
                    Ok(ms) => result.ms.push(ms),
                    Err(error) => result.note = Some(format!("failed: {error:#}")),
                }
            }
            let note = result.note.as_deref().unwrap_or_default();
            eprintln!("{} first result, {}: {:.0?} ms {note}", size.name, kind.name(), result.ms);
            results.push(result);
        }
    }
    results
}
