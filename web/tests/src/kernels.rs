//! Which kernels the checks before have made: all that a browser can have.

use crate::checks::{Outcome, ensure};
use crate::run::{Run, browser_checks};

browser_checks![every_kernel_was_made];

/// The name of this module among the checks.
pub(crate) const MODULE: &str = "kernels";

/// Kernels that no browser has by wgpu, what they need, and whether it is there all the same.
type Beyond = (&'static str, fn(&Run) -> bool, &'static [&'static str]);

const BEYOND: [Beyond; 2] = [
    (
        "subgroups",
        |run| run.beyond().subgroups,
        // Rows are gathered for a frame, which a software rasteriser takes by subgroups.
        &["MATMUL_FEW_ROWS_SUBGROUP", "MATMUL_BROADCAST", "MATMUL_BROADCAST_SCALAR", "GATHER_BY_ROWS"],
    ),
    (
        "cooperative matrices",
        |_| false,
        &[
            "MATMUL_COOPERATIVE_16",
            "MATMUL_COOPERATIVE_16_SCALAR",
            "MATMUL_COOPERATIVE_8",
            "MATMUL_COOPERATIVE_8_SCALAR",
        ],
    ),
];

async fn every_kernel_was_made(run: &Run) -> Outcome {
    let all = run.kernels();
    let out = || BEYOND.into_iter().filter(|(_, is_there, _)| !is_there(run));
    let is_out = |name: &str| out().any(|(_, _, names)| names.contains(&name));
    let of = |wanted: &dyn Fn(&str, bool) -> bool| {
        let names = all.iter().filter(|&&(name, made)| wanted(name, made));
        names.map(|(name, _)| name.to_lowercase()).collect::<Vec<_>>().join(" ")
    };
    let missed = of(&|name, made| !made && !is_out(name));
    ensure(missed.is_empty(), format_args!("no check made these kernels: {missed}"))?;
    let wrong = of(&|name, made| made && is_out(name));
    ensure(wrong.is_empty(), format_args!("a browser made these kernels, which are said not to be there: {wrong}"))?;
    for (what, _, names) in out() {
        let unknown = names.iter().find(|&&name| !all.iter().any(|&(known, _)| known == name));
        ensure(unknown.is_none(), format_args!("there is no kernel {unknown:?}"))?;
        run.note(format!("not in browsers, for want of {what}: {}", names.join(" ").to_lowercase()));
    }
    let made = all.iter().filter(|(_, made)| *made).count();
    run.note(format!("{made} of {} kernels were made", all.len()));
    Ok(())
}
