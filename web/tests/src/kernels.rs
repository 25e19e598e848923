//! Which kernels the checks before have made: all that a browser can have.

use wgpu_gru::{harness, wgpu};

use crate::run::{Outcome, Run, checks, ensure};

checks!["kernels": workgroups_that_meet, every_kernel_was_made];

/// The name of this module among the checks.
pub(crate) const MODULE: &str = "kernels";

const SUBGROUPS: (&str, &[&str]) =
    ("subgroups", &["MATMUL_FEW_ROWS_SUBGROUP", "MATMUL_BROADCAST", "MATMUL_BROADCAST_SCALAR"]);
/// Kernels in the language of wgpu alone, and what they need.
const NATIVE_ONLY: [(&str, &[&str]); 2] = [
    (
        "cooperative matrices",
        &[
            "MATMUL_COOPERATIVE_16",
            "MATMUL_COOPERATIVE_16_SCALAR",
            "MATMUL_COOPERATIVE_8",
            "MATMUL_COOPERATIVE_8_SCALAR",
        ],
    ),
    ("memory that workgroups share", &MEETING),
];
const MEETING: [&str; 5] = [
    "RESIDENT_BEGIN",
    "GRU_STEP_RESIDENT",
    "RNN_STEP_RESIDENT",
    "GRU_STEP_BACKWARD_RESIDENT",
    "RNN_STEP_BACKWARD_RESIDENT",
];

/// But for one attribute of wgpu's own these kernels are WGSL too.
async fn workgroups_that_meet(run: &Run) -> Outcome {
    for name in MEETING {
        let text = harness::text_of(name).ok_or_else(|| format!("there is no kernel {name}"))?;
        let text = text.replace("@coherent ", "");
        let source = wgpu::ShaderSource::Wgsl(text.into());
        let module =
            run.gpu().device().create_shader_module(wgpu::ShaderModuleDescriptor { label: Some(name), source });
        let said = module.get_compilation_info().await.messages;
        ensure(said.is_empty(), || format!("{name}: {said:?}"))?;
    }
    run.note(format!("compiled: {}", MEETING.join(" ").to_lowercase()));
    Ok(())
}

async fn every_kernel_was_made(run: &Run) -> Outcome {
    let all = harness::kernels(run.gpu());
    let out = NATIVE_ONLY.into_iter().chain((!run.has_subgroups()).then_some(SUBGROUPS));
    let is_native = |name: &str| out.clone().any(|(_, names)| names.contains(&name));
    let of = |wanted: &dyn Fn(&str, bool) -> bool| {
        let names = all.iter().filter(|&&(name, made)| wanted(name, made));
        names.map(|(name, _)| name.to_lowercase()).collect::<Vec<_>>().join(" ")
    };
    let missed = of(&|name, made| !made && !is_native(name));
    ensure(missed.is_empty(), || format!("no check made these kernels: {missed}"))?;
    let wrong = of(&|name, made| made && is_native(name));
    ensure(wrong.is_empty(), || format!("a browser made these kernels, which are said not to be there: {wrong}"))?;
    for (what, names) in out.clone() {
        let unknown = names.iter().find(|&&name| !all.iter().any(|&(known, _)| known == name));
        ensure(unknown.is_none(), || format!("there is no kernel {unknown:?}"))?;
        run.note(format!("not in browsers, for want of {what}: {}", names.join(" ").to_lowercase()));
    }
    let made = all.iter().filter(|(_, made)| *made).count();
    run.note(format!("{made} of {} kernels were made", all.len()));
    Ok(())
}
