//! How fast is wgpu-gru beside other GRUs? One process, one run, the same weights and inputs for everybody, everybody
//! checked before being timed. `README.md` tells how to run it and what exactly is timed.

mod about;
#[path = "../../../examples/support/args.rs"]
mod args;
mod case;
mod command_line;
mod contestants;
mod first;
mod measure;
#[path = "../../../examples/support/output.rs"]
mod output;
mod reference;
mod report;
mod row;
mod summary;

use std::process::ExitCode;

use anyhow::{Result, anyhow};

use case::{Case, SIZES};
use command_line::{PROGRAM, Task, Wanted};
use contestants::Kind;
use reference::{ORACLE_FLOPS, Reference};
use report::{Foreign, Report, table};
use row::{FirstResult, Row};

fn main() -> ExitCode {
    args::main(&PROGRAM, |args| {
        let task = Task::read(args)?;
        take(&task).map_err(|error| format!("{error:#}").into())
    })
}

fn take(task: &Task) -> Result<()> {
    match task {
        Task::List => {
            SIZES.iter().for_each(|size| println!("{}", size.label()));
            Kind::ALL.iter().for_each(|kind| println!("{}", kind.name()));
        }
        Task::FirstResult(kind, size, pass) => first::take(*kind, *size, *pass)?,
        Task::Measure(wanted) => run(wanted)?,
    }
    Ok(())
}

fn run(args: &Wanted) -> Result<()> {
    output::prepare(&args.json).map_err(|error| anyhow!("{error}"))?;
    let foreign = args.merge.iter().map(|path| Foreign::read(path)).collect::<Result<Vec<_>>>()?;
    // Before this process opens an adapter, so that two do not share the GPU; and who takes its own process down, as a
    // driver may, is not let into this one.
    let mut first_results = first_results(args);
    for foreign in &foreign {
        first_results.extend(foreign.first_results(&args.kinds));
    }
    let mut report = Report { about: about::about(args)?, first_results, ..Report::default() };
    report.about.extend(foreign.iter().flat_map(|foreign| foreign.about().iter().cloned()));
    let mut text = String::new();
    for (name, value) in &report.about {
        text += &format!("- {name}: {value}\n");
    }
    println!("{text}");
    for &size in &args.sizes {
        let case = Case::new(size);
        let reference = Reference::new(&case, if args.oracle { u64::MAX } else { ORACLE_FLOPS })?;
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
            let table = table(size, pass, &rows);
            println!("{table}");
            text += &table;
            report.rows.extend(rows);
            // What was measured is kept, whatever comes after.
            report.write(&args.json, &text)?;
        }
    }
    let mut end = String::new();
    for &pass in &args.passes {
        end += &report.overview(&args.sizes, pass);
        if !report.first_results.is_empty() {
            end += &report.first_overview(&args.sizes, pass);
        }
    }
    end += &summary::table(&report.rows, args.sizes.len() * args.passes.len());
    println!("{end}");
    report.write(&args.json, &(text + &end))
}

/// Everybody's time to the first result, at every size and pass.
fn first_results(args: &Wanted) -> Vec<FirstResult> {
    let mut results = Vec::new();
    let kinds = if args.first == 0 { &[][..] } else { &args.kinds[..] };
    let passes = args.sizes.iter().flat_map(|&size| args.passes.iter().map(move |&pass| (size, pass)));
    for (size, pass) in passes {
        for kind in kinds.iter().copied().filter(|kind| kind.can(pass)) {
            let mut result = FirstResult::new(kind.name(), size.name, pass);
            for _ in 0..args.first {
                match first::ask(kind, size, pass, args.first_limit) {
                    Ok(Some(ms)) => result.ms.push(ms),
                    Ok(None) => result.note = Some(format!("no result in {} s", args.first_limit.as_secs())),
                    Err(error) => result.note = Some(format!("failed: {error:#}")),
                }
                if result.note.is_some() {
                    break;
                }
            }
            let note = result.note.as_deref().unwrap_or_default();
            eprintln!("{} first {}, {}: {:.0?} ms {note}", size.name, pass.name(), kind.name(), result.ms);
            results.push(result);
        }
    }
    results
}
