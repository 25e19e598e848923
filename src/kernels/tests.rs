//! Every WGSL file is parsed and validated without a GPU, and what the table says of it is held against its text.

use std::collections::BTreeSet;
use std::path::Path;

use naga::valid::{Capabilities, ValidationFlags, Validator};
use naga::{AddressSpace, StorageAccess, TypeInner};

use super::{ALL, GRU_STEP};
use crate::gpu::{BindingKind, KernelSpec};

/// What is wrong with an entry of the table, if anything is.
fn check(spec: &KernelSpec) -> Result<(), String> {
    let module = naga::front::wgsl::parse_str(spec.source).map_err(|error| error.emit_to_string(spec.source))?;
    // Only where the device is known to have subgroups.
    let mut needed = Capabilities::empty();
    let has_subgroups = spec.label.starts_with("matmul_broadcast") || spec.label.ends_with("_subgroup");
    needed.set(Capabilities::SUBGROUP, has_subgroups);
    // Only where the app has told of them.
    if spec.is_cooperative() {
        needed |= Capabilities::COOPERATIVE_MATRIX | Capabilities::SHADER_FLOAT16 | Capabilities::SUBGROUP;
    }
    // `pack2x16float` and `unpack2x16float`: every device but those of GL has them.
    needed.set(Capabilities::SHADER_FLOAT16_IN_FLOAT32, spec.source.contains("pack2x16float"));
    Validator::new(ValidationFlags::all(), needed)
        .validate(&module)
        .map_err(|error| error.emit_to_string(spec.source))?;

    let [entry] = module.entry_points.as_slice() else { return Err("not one entry point".into()) };
    if entry.name != "main" {
        return Err(format!("the entry point is {}", entry.name));
    }

    let overrides: BTreeSet<&str> = module.overrides.iter().filter_map(|(_, o)| o.name.as_deref()).collect();
    let expected: BTreeSet<&str> = spec.overrides.iter().copied().collect();
    if overrides != expected || expected.len() != spec.overrides.len() {
        return Err(format!("the overrides are {overrides:?}, the table says {expected:?}"));
    }

    let mut bound = 0;
    for (_, variable) in module.global_variables.iter() {
        let Some(binding) = &variable.binding else { continue };
        bound += 1;
        let name = variable.name.as_deref().unwrap_or_default();
        let entry = spec.bindings.get(binding.binding as usize).ok_or(format!("{name} is not in the table"))?;
        if binding.group != 0 || entry.name != name {
            return Err(format!("binding {binding:?} is {name}, the table says {}", entry.name));
        }
        let ty = &module.types[variable.ty].inner;
        let read_write = StorageAccess::LOAD | StorageAccess::STORE;
        match (&entry.kind, variable.space) {
            (BindingKind::Read, AddressSpace::Storage { access }) if access == StorageAccess::LOAD => {}
            (BindingKind::ReadWrite, AddressSpace::Storage { access }) if access == read_write => {}
            (BindingKind::Uniform { size, fields, .. }, AddressSpace::Uniform) => {
                let TypeInner::Struct { members, span } = ty else { return Err(format!("{name} is not a struct")) };
                if u64::from(*span) != *size {
                    return Err(format!("{name} has {span} bytes, the table says {size}"));
                }
                let expected: Vec<_> = fields.iter().map(|field| (Some(field.name), field.offset as u32)).collect();
                let found: Vec<_> = members.iter().map(|member| (member.name.as_deref(), member.offset)).collect();
                if found != expected {
                    return Err(format!("{name} has the fields {found:?}, the table says {expected:?}"));
                }
            }
            (kind, space) => return Err(format!("{name} is {space:?}, the table says {kind:?}")),
        }
    }
    if bound != spec.bindings.len() {
        return Err(format!("{bound} bindings, the table has {}", spec.bindings.len()));
    }
    Ok(())
}

#[test]
fn every_kernel_is_what_the_table_says() {
    for (name, spec) in ALL {
        if let Err(error) = check(spec) {
            panic!("{name}: {error}");
        }
    }
}

#[test]
fn every_file_is_in_the_table() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("shaders");
    let files: BTreeSet<String> = std::fs::read_dir(&folder)
        .expect("the shaders are there")
        .map(|entry| entry.expect("the folder can be read").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "wgsl"))
        .map(|path| path.file_stem().expect("a name").to_string_lossy().into_owned())
        .collect();
    let file = |label: &str| label.trim_end_matches("_scalar").trim_end_matches("_subgroup").to_owned();
    let table: BTreeSet<String> = ALL.iter().map(|(_, spec)| file(spec.label)).collect();
    assert_eq!(files, table, "files in shaders/ on the left, the table on the right");
}

/// A file in `shaders/shared/` that nothing includes would rot unseen.
#[test]
fn every_shared_file_is_used() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("shaders/shared");
    for entry in std::fs::read_dir(&folder).expect("the shared shaders are there") {
        let text = std::fs::read_to_string(entry.expect("the folder can be read").path()).expect("a text");
        assert!(ALL.iter().any(|(_, spec)| spec.source.contains(&text)), "nothing includes this file:\n{text}");
    }
}

/// The uniforms hold nothing but u32 and f32, so that host and WGSL agree on their layout.
#[test]
fn uniforms_are_made_of_words() {
    for (name, spec) in ALL {
        for binding in spec.bindings.iter() {
            if let BindingKind::Uniform { size, fields, .. } = binding.kind {
                assert_eq!(size, 4 * fields.len() as u64, "{name}");
            }
        }
    }
}

/// What every device must offer.
#[test]
fn the_largest_uniform() {
    let uniforms = ALL.iter().flat_map(|(_, spec)| spec.bindings).map(|binding| match binding.kind {
        BindingKind::Uniform { size, .. } => size,
        BindingKind::Read | BindingKind::ReadWrite => 0,
    });
    assert_eq!(uniforms.max(), Some(crate::plan::LARGEST_UNIFORM));
}

/// The check of the table can fail.
#[test]
fn a_wrong_entry_is_found() {
    let (_, spec) = ALL[0];
    let copy = |source, bindings, overrides| KernelSpec { label: spec.label, source, bindings, overrides };
    assert!(check(&copy(spec.source, spec.bindings, spec.overrides)).is_ok(), "the untouched entry passes");
    assert!(check(&copy(spec.source, &spec.bindings[..3], spec.overrides)).is_err(), "a binding too few");
    assert!(check(&copy(spec.source, GRU_STEP.bindings, spec.overrides)).is_err(), "another kernel's bindings");
    assert!(check(&copy(spec.source, spec.bindings, &["TRANSPOSE_A"])).is_err(), "overrides too few");
    let swapped = spec.source.replace("a_split: u32,\n    a_skip: u32", "a_skip: u32,\n    a_split: u32").leak();
    assert_ne!(swapped, spec.source, "the two fields were found");
    assert!(check(&copy(swapped, spec.bindings, spec.overrides)).is_err(), "two fields swapped");
}

/// What `gpu::needs` reads in the text, naga reads too: sizes of workgroups and of their memory, with every override at 4.
#[test]
fn needs_are_those_of_the_text() {
    for (name, spec) in ALL {
        let overrides: Vec<_> = spec.overrides.iter().map(|&name| (name, 4.0)).collect();
        let module = naga::front::wgsl::parse_str(spec.source).expect("it was checked above");
        let constants = overrides.iter().map(|&(name, value)| (name.to_owned(), value)).collect();
        let info = Validator::new(ValidationFlags::all(), Capabilities::all()).validate(&module).expect("it is valid");
        let (module, _) = naga::back::pipeline_constants::process_overrides(&module, &info, None, &constants)
            .expect("every override has a value");
        let size = module.entry_points[0].workgroup_size.map(u64::from);
        assert_eq!(spec.workgroup_size(&overrides), Some(size), "{name}: the size of a workgroup");

        let mut layouter = naga::proc::Layouter::default();
        layouter.update(module.to_ctx()).expect("sizes that are known");
        let in_workgroup = |variable: &&naga::GlobalVariable| variable.space == AddressSpace::WorkGroup;
        let variables = module.global_variables.iter().map(|(_, variable)| variable).filter(in_workgroup);
        let memory = variables.map(|variable| u64::from(layouter[variable.ty].size)).sum();
        let expected = if spec.is_cooperative() { None } else { Some(memory) };
        assert_eq!(spec.workgroup_memory(&overrides), expected, "{name}: the memory of a workgroup");
    }
}
