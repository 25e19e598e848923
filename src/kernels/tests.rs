//! Every WGSL file is parsed and validated without a GPU, and what the table says of it is held against its text.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use naga::valid::{Capabilities, ValidationFlags, Validator};
use naga::{AddressSpace, StorageAccess, TypeInner};

use super::generated::{Exchange, Frame, Rows, Step};
use super::{ALL, FILES, OptionsOfFrame, SUM_ROWS, StepBackward};
use crate::activation::Activation;
use crate::config::{Cell, Reset};
use crate::gpu::{BindingKind, Generate, KernelSpec};
use crate::plan::{ExchangeCut, FrameCut, RowsCut, TileCut};

/// What is wrong with an entry of the table, if anything is.
fn check(spec: &KernelSpec) -> Result<(), String> {
    let source = spec.source();
    let module = naga::front::wgsl::parse_str(source).map_err(|error| error.emit_to_string(source))?;
    // Only where the device is known to have subgroups.
    let mut needed = Capabilities::empty();
    let has_subgroups = spec.label.starts_with("matmul_broadcast") || spec.label.ends_with("_subgroup");
    let is_made = ["_rows", "_exchange", "_step", "_reset", "_frame"].iter().any(|made| spec.label.contains(made))
        && source.contains("@builtin(subgroup_id)");
    needed.set(Capabilities::SUBGROUP, has_subgroups || is_made);
    // Only where the app has told of them.
    if spec.is_cooperative() {
        needed |= Capabilities::COOPERATIVE_MATRIX | Capabilities::SHADER_FLOAT16 | Capabilities::SUBGROUP;
    }
    // `pack2x16float` and `unpack2x16float`: every device but those of GL has them.
    needed.set(Capabilities::SHADER_FLOAT16_IN_FLOAT32, source.contains("pack2x16float"));
    Validator::new(ValidationFlags::all(), needed).validate(&module).map_err(|error| error.emit_to_string(source))?;

    if let Some(line) = source.lines().find(|line| line.len() > 120) {
        return Err(format!("this line is longer than those of the Rust files may be: {line}"));
    }
    let [entry] = module.entry_points.as_slice() else { return Err("not one entry point".into()) };
    if entry.name != "main" {
        return Err(format!("the entry point is {}", entry.name));
    }

    let overrides: BTreeSet<&str> = module.overrides.iter().filter_map(|(_, o)| o.name.as_deref()).collect();
    let read: BTreeSet<&str> = spec.overrides().collect();
    if overrides != read {
        return Err(format!("the overrides are {overrides:?}, `KernelSpec::overrides` finds {read:?}"));
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

const CELLS: [Cell; 3] = {
    let (gate, candidate) = (Activation::Sigmoid, Activation::Tanh);
    [
        Cell::Gru { reset: Reset::After, gate, candidate },
        Cell::Gru { reset: Reset::Before, gate, candidate },
        Cell::Rnn { nonlinearity: Activation::Tanh },
    ]
};

/// Kernels by rows of both cells and directions, of many sizes: H that slices divide evenly, H next to that, primes.
fn generated() -> impl Iterator<Item = Rows> {
    let cuts = [
        (1, 1, 1, 1, Some(8)),
        (2, 1, 1, 3, None),
        (2, 2, 1, 2, Some(8)),
        (3, 1, 2, 2, None),
        (4, 2, 1, 4, Some(32)),
        (2, 1, 4, 1, Some(128)),
        (4, 2, 4, 1, None),
        (8, 1, 1, 8, Some(16)),
    ];
    CELLS.into_iter().flat_map(move |cell| {
        let sizes = [1, 2, 3, 4, 7, 33, 64, 96, 127].into_iter().flat_map(move |hidden| cuts.map(|cut| (hidden, cut)));
        sizes.flat_map(move |(hidden, (slices, units, rows, ahead, subgroup))| {
            let forms = [(true, false, false), (false, true, true)];
            forms.into_iter().flat_map(move |(exact_stores, backward, f16)| {
                let directions = [false, true].into_iter().filter(move |&other| other == backward || hidden == 4);
                directions.map(move |backward| {
                    let units = if backward { units } else { 1 };
                    let software = ahead < 3;
                    let cut = RowsCut { slices, units, rows, ahead, subgroup, exact_stores, software };
                    Rows { cell, backward, hidden, cut, f16_weights: f16 && hidden % 2 == 0 }
                })
            })
        })
    })
}

/// Kernels by exchange and settlements of all cells and both directions: with subgroups and without, rows in several tiles,
/// H that the units of a workgroup divide, and others.
fn by_exchange() -> impl Iterator<Item = Exchange> {
    let cuts = [
        (1, 8, 2, 1, 1, 1, None),
        (2, 4, 4, 2, 4, 2, Some(8)),
        (8, 4, 2, 4, 8, 4, Some(32)),
        (1, 16, 4, 2, 2, 2, None),
    ];
    let sizes = [1, 7, 16, 33, 64].into_iter().flat_map(move |hidden| cuts.map(|cut| (hidden, cut)));
    sizes.enumerate().flat_map(|(number, (hidden, (slices, groups, splits, units, rows, tile, subgroup)))| {
        let exact_stores = number % 2 == 0;
        let ahead = number % 3 == 0;
        let software = false;
        let tile = TileCut { slices, groups, splits, units, rows: tile, subgroup, exact_stores, software };
        let cut = ExchangeCut { tile, rows, ahead, looks: 0 };
        let forms = [false, true].into_iter().flat_map(|backward| [(backward, false), (backward, true)]);
        let f16_weights = hidden % 2 == 0 && number % 3 == 0;
        CELLS.into_iter().flat_map(move |cell| {
            let made = move |(backward, settles)| Exchange { cell, backward, hidden, cut, f16_weights, settles };
            forms.clone().map(made)
        })
    })
}

/// Kernels of single steps of all cells and both directions: with subgroups, without, for a software rasteriser.
fn of_step() -> impl Iterator<Item = Step> {
    let cuts = [
        (4, 8, 8, 2, 16, Some(32), false),
        (8, 4, 8, 4, 8, Some(32), false),
        (1, 16, 16, 1, 4, None, false),
        (2, 4, 2, 2, 1, Some(8), false),
        (1, 8, 1, 1, 16, Some(8), true),
        (1, 8, 1, 1, 1, None, true),
        (1, 8, 1, 4, 8, Some(8), true),
    ];
    cuts.into_iter().enumerate().flat_map(|(number, (slices, groups, splits, units, rows, subgroup, software))| {
        let exact_stores = number % 2 == 0;
        let cut = TileCut { slices, groups, splits, units, rows, subgroup, exact_stores, software };
        CELLS.into_iter().flat_map(move |cell| {
            [false, true].into_iter().flat_map(move |backward| {
                let count = TileCut::labels(cell, backward).len();
                [false, true].into_iter().take(count).flat_map(move |second| {
                    let down = backward && software && units != 4;
                    let forms = [(false, false), (true, false), (true, true), (false, true)];
                    let forms = forms.into_iter().filter(move |&(vec4, f16)| if down { !vec4 } else { vec4 || !f16 });
                    forms.map(move |(vec4, f16_weights)| Step { cell, backward, second, cut, f16_weights, vec4 })
                })
            })
        })
    })
}

/// Kernels of frames of all cells: slices in subgroups, in workgroup memory, and for a software rasteriser, with every
/// option.
fn of_frame() -> impl Iterator<Item = Frame> {
    let cuts = [
        (8, 32, 1, 1, 4, Some(32), false),
        (4, 16, 4, 4, 2, Some(32), false),
        (2, 128, 1, 16, 1, Some(128), false),
        (4, 64, 1, 1, 4, None, false),
        (1, 256, 1, 2, 2, None, false),
        (1, 8, 1, 1, 1, Some(8), true),
        (1, 8, 1, 16, 1, Some(8), true),
    ];
    cuts.into_iter().enumerate().flat_map(|(number, (slices, units, blocks, rows, ahead, subgroup, software))| {
        let exact_stores = number % 2 == 0;
        let cut = FrameCut { slices, units, blocks, rows, ahead, numbers: 64, subgroup, exact_stores, software };
        let all = [0, 6, 9, 15].into_iter().map(|flags| [0, 1, 2, 3].map(|place| flags >> place & 1 == 1));
        CELLS.into_iter().flat_map(move |cell| {
            all.clone().map(move |[bias, lengths, before, f16_weights]| {
                let options = OptionsOfFrame { bias, lengths, before };
                Frame { cell, cut, vec4: [bias, !lengths], f16_weights, options }
            })
        })
    })
}

#[test]
fn every_kernel_of_a_frame_is_what_its_generator_says() {
    let mut keys = BTreeSet::new();
    for generator in of_frame() {
        assert!(keys.insert((generator.name(), generator.sizes())), "another kernel is kept as {generator:?} is");
        let spec = KernelSpec::generated(&generator);
        if let Err(error) = check(&spec).and_then(|()| check_needs(&spec)) {
            panic!("{generator:?}: {error}\n{}", spec.source());
        }
        let made =
            [spec.workgroup_size(&[]).map(|[x, ..]| x), spec.workgroup_memory(&[])].map(Option::unwrap_or_default);
        let planned = [u64::from(generator.cut.invocations()), generator.cut.memory(generator.cell)];
        assert_eq!(made, planned, "{generator:?}");
    }
}

#[test]
fn every_kernel_of_a_step_is_what_its_generator_says() {
    let mut keys = BTreeSet::new();
    for generator in of_step() {
        assert!(keys.insert((generator.name(), generator.sizes())), "another kernel is kept as {generator:?} is");
        let spec = KernelSpec::generated(&generator);
        let Step { cell, backward, second, cut, .. } = generator;
        // The second kernel of a step backward has squares that it does not use, which naga leaves out.
        let has_unused = backward && second;
        if let Err(error) = check(&spec).and_then(|()| if has_unused { Ok(()) } else { check_needs(&spec) }) {
            panic!("{generator:?}: {error}\n{}", spec.source());
        }
        let made =
            [spec.workgroup_size(&[]).map(|[x, ..]| x), spec.workgroup_memory(&[])].map(Option::unwrap_or_default);
        let memory = cut.memory(cell.gates(), backward);
        let planned = [u64::from(cut.invocations()), memory];
        assert!(made[0] == planned[0] && made[1] <= planned[1], "{generator:?}: {made:?}, the plan says {planned:?}");
    }
}

#[test]
fn every_kernel_by_exchange_is_what_its_generator_says() {
    let mut keys = BTreeSet::new();
    for generator in by_exchange() {
        assert!(keys.insert((generator.name(), generator.sizes())), "another kernel is kept as {generator:?} is");
        let spec = KernelSpec::generated(&generator);
        if let Err(error) = check(&spec).and_then(|()| check_needs(&spec)) {
            panic!("{generator:?}: {error}\n{}", spec.source());
        }
        let Exchange { cell, backward, hidden, cut, settles, .. } = generator;
        let made =
            [spec.workgroup_size(&[]).map(|[x, ..]| x), spec.workgroup_memory(&[])].map(Option::unwrap_or_default);
        let invocations = if settles { 256 } else { u64::from(cut.tile.invocations()) };
        let memory = cut.memory(cell.gates(), hidden as usize, backward);
        assert!(made[0] == invocations && made[1] <= memory, "{generator:?}: {made:?}, the plan says {memory}");
    }
}

#[test]
fn every_kernel_is_what_the_table_says() {
    for spec in ALL {
        if let Err(error) = check(spec) {
            panic!("{}: {error}", spec.name);
        }
    }
}

#[test]
fn every_generated_kernel_is_what_its_generator_says() {
    let mut keys = BTreeSet::new();
    for generator in generated() {
        assert!(keys.insert((generator.name(), generator.sizes())), "another kernel is kept as {generator:?} is");
        let spec = KernelSpec::generated(&generator);
        if let Err(error) = check(&spec).and_then(|()| check_needs(&spec)) {
            panic!("{generator:?}: {error}\n{}", spec.source());
        }
        assert!(ALL.iter().all(|kernel| kernel.name != spec.name), "a kernel of the table has the name {}", spec.name);
        let Rows { cell, backward, hidden, cut, .. } = generator;
        let planned =
            [u64::from(cut.invocations(hidden as usize)), cut.memory(cell.gates(), hidden as usize, backward)];
        let made =
            [spec.workgroup_size(&[]).map(|[x, ..]| x), spec.workgroup_memory(&[])].map(Option::unwrap_or_default);
        assert!(made[0] == planned[0] && made[1] <= planned[1], "{generator:?}: {made:?}, the plan says {planned:?}");
    }
}

/// The files in a folder of `shaders/`, without their extension, and their texts.
fn files(folder: &str) -> BTreeMap<String, String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let paths = std::fs::read_dir(folder).expect("the shaders are there").map(|entry| entry.expect("an entry").path());
    let files = paths.filter(|path| path.extension().is_some_and(|extension| extension == "wgsl"));
    files
        .map(|path| {
            let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
            (name, std::fs::read_to_string(path).expect("a text"))
        })
        .collect()
}

/// What follows a word at the begin of a line.
fn after<'a>(word: &'a str, text: &'a str) -> impl Iterator<Item = &'a str> {
    text.lines().filter_map(move |line| line.strip_prefix(word)?.strip_prefix(' '))
}

#[test]
fn every_file_is_in_the_table() {
    let table: BTreeSet<_> = FILES.iter().map(|&(file, _)| file.to_owned()).collect();
    assert_eq!(
        files("shaders").into_keys().collect::<BTreeSet<_>>(),
        table,
        "files on the left, the table on the right"
    );
}

/// A file in `shaders/shared/` that nothing imports would rot unseen. Who imports it says so at its head.
#[test]
fn every_shared_file_is_imported_at_the_head_of_another() {
    let mut imported = BTreeSet::new();
    let rows = generated().map(|generator| (format!("{generator:?}"), generator.text()));
    let exchange = by_exchange().map(|generator| (format!("{generator:?}"), generator.text()));
    let step = of_step().map(|generator| (format!("{generator:?}"), generator.text()));
    let frame = of_frame().map(|generator| (format!("{generator:?}"), generator.text()));
    let generated = rows.chain(exchange).chain(step).chain(frame).map(|(name, text)| (name, text.file()));
    for (name, text) in files("shaders").into_iter().chain(generated) {
        let (head, rest) = text.split_once("\n\n").expect("a head");
        imported.extend(after("#import", head).map(|name| name.trim_start_matches("shared/").to_owned()));
        assert_eq!(after("#import", rest).next(), None, "{name} imports this further down");
    }
    let shared = files("shaders/shared");
    for (name, text) in &shared {
        assert_eq!(after("#import", text).next(), None, "shared/{name} imports this");
    }
    assert_eq!(shared.into_keys().collect::<BTreeSet<_>>(), imported, "files on the left, imports on the right");
}

/// A define that no text asks for, or that no variant has, is a slip of the pen.
#[test]
fn every_define_is_asked_for() {
    let texts: Vec<_> = files("shaders").into_values().chain(files("shaders/shared").into_values()).collect();
    let asked: BTreeSet<_> = texts.iter().flat_map(|text| after("#ifdef", text)).collect();
    let table = FILES.iter().flat_map(|&(_, defines)| defines.iter().copied());
    let generated = generated().map(|generator| generator.text()).chain(of_step().map(|generator| generator.text()));
    let generated = generated.chain(of_frame().map(|generator| generator.text()));
    let defined: BTreeSet<_> = table.chain(generated.flat_map(|text| text.defines)).collect();
    assert_eq!(asked, defined, "texts on the left, the table on the right");
    let mut sources = BTreeSet::new();
    for spec in ALL {
        assert!(sources.insert(spec.source()), "{} has the text of another variant", spec.name);
    }
}

/// The uniforms hold nothing but u32 and f32, so that host and WGSL agree on their layout.
#[test]
fn uniforms_are_made_of_words() {
    for spec in ALL {
        for binding in spec.bindings.iter() {
            if let BindingKind::Uniform { size, fields, .. } = binding.kind {
                assert_eq!(size, 4 * fields.len() as u64, "{}", spec.name);
            }
        }
    }
}

/// What every device must offer.
#[test]
fn the_largest_uniform() {
    let of_steps = of_step().next().expect("a step").bindings().iter().chain(StepBackward::BINDINGS);
    let uniforms = ALL.iter().flat_map(|spec| spec.bindings).chain(of_steps).map(|binding| match binding.kind {
        BindingKind::Uniform { size, .. } => size,
        BindingKind::Read | BindingKind::ReadWrite => 0,
    });
    assert_eq!(uniforms.max(), Some(crate::plan::LARGEST_UNIFORM));
}

/// The check of the table can fail.
#[test]
fn a_wrong_entry_is_found() {
    let spec = ALL[0];
    let copy = |bindings, source| KernelSpec::new(spec.name, spec.label, bindings, source);
    let text = || ALL[0].source().to_owned();
    assert!(check(&copy(spec.bindings, text)).is_ok(), "the untouched entry passes");
    assert!(check(&copy(&spec.bindings[..3], text)).is_err(), "a binding too few");
    assert!(check(&copy(SUM_ROWS.bindings, text)).is_err(), "another kernel's bindings");
    let indented = || ALL[0].source().replace("override WARPS", "  override WARPS");
    assert!(check(&copy(spec.bindings, indented)).is_err(), "an override that is not found");
    let swapped = || ALL[0].source().replace("a_split: u32,\n    a_skip: u32", "a_skip: u32,\n    a_split: u32");
    assert_ne!(swapped(), text(), "the two fields were found");
    assert!(check(&copy(spec.bindings, swapped)).is_err(), "two fields swapped");
}

/// What `gpu::needs` reads in the text, naga reads too: sizes of workgroups and of their memory, with every override at
/// 4.
fn check_needs(spec: &KernelSpec) -> Result<(), String> {
    let overrides: Vec<_> = spec.overrides().map(|name| (name, 4.0)).collect();
    let module = naga::front::wgsl::parse_str(spec.source()).expect("it was checked above");
    let constants = overrides.iter().map(|&(name, value)| (name.to_owned(), value)).collect();
    let info = Validator::new(ValidationFlags::all(), Capabilities::all()).validate(&module).expect("it is valid");
    let (module, _) = naga::back::pipeline_constants::process_overrides(&module, &info, None, &constants)
        .map_err(|error| error.to_string())?;
    let size = Some(module.entry_points[0].workgroup_size.map(u64::from));

    let mut layouter = naga::proc::Layouter::default();
    layouter.update(module.to_ctx()).map_err(|error| error.to_string())?;
    let in_workgroup = |variable: &&naga::GlobalVariable| variable.space == AddressSpace::WorkGroup;
    let variables = module.global_variables.iter().map(|(_, variable)| variable).filter(in_workgroup);
    let memory = variables.map(|variable| u64::from(layouter[variable.ty].size)).sum();
    let memory = if spec.is_cooperative() { None } else { Some(memory) };
    let read = (spec.workgroup_size(&overrides), spec.workgroup_memory(&overrides));
    if read == (size, memory) { Ok(()) } else { Err(format!("{read:?} is read, it is {:?}", (size, memory))) }
}

#[test]
fn needs_are_those_of_the_text() {
    for spec in ALL {
        check_needs(spec).unwrap_or_else(|error| panic!("{}: size and memory of a workgroup: {error}", spec.name));
    }
}
