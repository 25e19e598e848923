//! Why an option cannot be had, if it cannot: every such reason, in one place. And what no option can help: limits that
//! a device is below.

use super::external::External;
use super::matmul::MatmulKernel;
use crate::config::{Cell, Config, Direction};
use crate::error::{Error, Result};
use crate::schedule::Schedule;
use crate::target::{INDICES, Target, at_most, bytes, in_elements, side_by_side};
use crate::unroll::{Mode, Saved, Unroll};

/// Refuses what was asked for by name and cannot be had.
pub(super) fn check_options(config: &Config, unroll: &Unroll, external: &External, target: &Target) -> Result<()> {
    let wants_wavefront = unroll.wavefront == Some(true);
    for (option, wanted, because) in [
        ("wavefront", wants_wavefront, no_wavefront(config, unroll, external, &target.limits)),
        (saved_by_name(unroll.saved), true, no_saved(config, unroll, unroll.saved)),
        ("zero_empty_rows", unroll.zero_empty_rows, no_zero_empty_rows(unroll)),
        ("f16_weights", unroll.f16_weights, no_f16_weights(config)),
        ("f16_products", unroll.f16_products, no_f16_products(target)),
    ] {
        if let (true, Some(because)) = (wanted, because) {
            return Err(Error::OptionUnavailable { option, because });
        }
    }
    Ok(())
}

/// Why a layer is not run by a schedule that would be chosen for it, if it could be had.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct WhyNot {
    pub(super) rows: Option<&'static str>,
    pub(super) exchange: Option<&'static str>,
    /// Nor a single step as a frame.
    pub(super) frame: Option<&'static str>,
}

/// Refuses a schedule that was asked for by name and cannot be had.
pub(super) fn check_schedule(unroll: &Unroll, why_not: WhyNot) -> Result<()> {
    let (option, because) = match unroll.schedule {
        Some(Schedule::Rows) => ("Schedule::Rows", why_not.rows),
        Some(Schedule::Exchange) => ("Schedule::Exchange", why_not.exchange),
        Some(Schedule::Step) | None => return Ok(()),
    };
    because.map_or(Ok(()), |because| Err(Error::OptionUnavailable { option, because }))
}

/// Why a device cannot run steps by exchange, whatever the sizes: they have one storage buffer more than all others.
pub(super) fn no_exchange(limits: &wgpu::Limits) -> Option<&'static str> {
    let enough = limits.max_storage_buffers_per_shader_stage >= 9
        && limits.max_bindings_per_bind_group >= 10
        && limits.max_buffers_and_acceleration_structures_per_shader_stage >= 10;
    let because = "the device was opened for too few storage buffers: see Gpu::recommended_limits";
    (!enough).then_some(because)
}

/// Why the layers cannot take their steps in a wavefront.
pub(super) fn no_wavefront(
    config: &Config,
    unroll: &Unroll,
    external: &External,
    limits: &wgpu::Limits,
) -> Option<&'static str> {
    if config.num_layers == 1 {
        Some("there is one layer")
    } else if config.direction == Direction::Bidirectional {
        Some("a layer above two directions needs all steps of both")
    } else if unroll.mode == Mode::Training && config.dropout > 0.0 {
        Some("dropout acts on all steps of a layer at once")
    } else if unroll.seq_len == 1 {
        Some("there is one step")
    } else if external.layers_apart {
        Some("the recurrent weights of the layers do not lie evenly in one buffer")
    } else if !fit_together(config, unroll, limits, config.num_layers) {
        Some("a binding does not hold the states and recurrent weights of all layers")
    } else {
        None
    }
}

/// Why a forward pass cannot keep this for the backward pass.
pub(super) fn no_saved(config: &Config, unroll: &Unroll, saved: Saved) -> Option<&'static str> {
    match saved {
        Saved::Everything => None,
        Saved::Recompute => no_recompute(config, unroll),
        Saved::F16 => no_f16_gates(config),
    }
}

fn saved_by_name(saved: Saved) -> &'static str {
    match saved {
        Saved::Everything => "Saved::Everything",
        Saved::Recompute => "Saved::Recompute",
        Saved::F16 => "Saved::F16",
    }
}

/// Why gates cannot be kept as f16.
fn no_f16_gates(config: &Config) -> Option<&'static str> {
    let activations = config.activations();
    if matches!(config.cell(), Cell::Rnn { .. }) {
        None
    } else if config.clip.is_some() {
        Some("slopes jump at the clip, which rounding might cross")
    } else if !activations.iter().all(|(_, activation)| activation.is_smooth_and_bounded()) {
        Some("an activation is not sigmoid, tanh or softsign")
    } else {
        None
    }
}

/// Why a GRU's gates cannot be made again.
fn no_recompute(config: &Config, unroll: &Unroll) -> Option<&'static str> {
    let because =
        "with episode_starts: gates are made again from the states before all steps, by a product that cuts none";
    (unroll.episode_starts && matches!(config.cell(), Cell::Gru { .. })).then_some(because)
}

/// Why rows of length 0 cannot end in zero.
fn no_zero_empty_rows(unroll: &Unroll) -> Option<&'static str> {
    if unroll.mode == Mode::Training {
        Some("it is for inference: in training a row of length 0 hands its gradient on to its first state")
    } else {
        (!unroll.lengths).then_some("there are no rows of length 0 without lengths: see Unroll::lengths")
    }
}

/// Why the steps cannot read recurrent weights as f16.
fn no_f16_weights(config: &Config) -> Option<&'static str> {
    (!config.hidden_size.is_multiple_of(4)).then_some("hidden_size is not a multiple of 4")
}

/// Why products cannot multiply f16 numbers.
fn no_f16_products(target: &Target) -> Option<&'static str> {
    let because = "the Gpu was told of no cooperative matrices: see Gpu::set_cooperative_matrices";
    target.cooperative.is_none().then_some(because)
}

/// How many cells have their recurrent weights in one buffer: all, where a binding holds them, or those of a layer, or
/// each has its own.
pub(super) fn cells_per_buffer(config: &Config, limits: &wgpu::Limits) -> usize {
    let hidden = config.hidden_size;
    let weights = |cells: usize| bytes(&[side_by_side(cells, &[config.cell().gates(), hidden, hidden], limits)[1]]);
    let most = limits.max_storage_buffer_binding_size.min(limits.max_buffer_size).min(4 * INDICES);
    let all = [config.num_cells(), config.directions()];
    all.into_iter().find(|&cells| weights(cells) <= most).unwrap_or(1)
}

/// Whether a binding holds what so many cells need at a time: the states of the directions of one layer, or of so many
/// layers, and the recurrent weights. The gates can be cut.
pub(super) fn fit_together(config: &Config, unroll: &Unroll, limits: &wgpu::Limits, cells: usize) -> bool {
    let width = config.output_size();
    let layers = (cells / config.directions()).max(1);
    // States of several layers each begin so far behind a multiple of the alignment that the second slot is at one.
    let state = unroll.batch.saturating_mul(width);
    let before = if layers > 1 && !state.is_multiple_of(in_elements(limits)) { in_elements(limits) } else { 0 };
    let states = state.saturating_mul(unroll.seq_len.saturating_add(2)).saturating_add(before);
    let states = bytes(&[side_by_side(layers, &[states], limits)[1]]);
    let gates = bytes(&[cells, unroll.batch, 4, config.hidden_size]);
    let slack = u64::from(limits.min_storage_buffer_offset_alignment);
    states.max(gates).saturating_add(slack) <= limits.max_storage_buffer_binding_size.min(4 * INDICES)
        && cells_per_buffer(config, limits) >= cells
}

/// The bytes of the largest uniform: that of the steps backward. The tests of the table hold it.
pub(crate) const LARGEST_UNIFORM: u64 = 29 * 4;

/// What every kernel needs of a device, whatever the sizes. wgpu does not check workgroup limits after overrides are
/// resolved, so this does.
pub(super) fn check_kernels(target: &Target) -> Result<()> {
    const BUFFERS: &str = "max_buffers_and_acceleration_structures_per_shader_stage";
    let limits = &target.limits;
    let [invocations, memory] = MatmulKernel::of_class(target).workgroup();
    let what = "the largest kernel";
    for (limit, required, available) in [
        ("max_compute_invocations_per_workgroup", invocations, limits.max_compute_invocations_per_workgroup),
        ("max_compute_workgroup_size_x", 256, limits.max_compute_workgroup_size_x),
        ("max_compute_workgroup_size_y", 16, limits.max_compute_workgroup_size_y),
        ("max_compute_workgroup_storage_size", memory, limits.max_compute_workgroup_storage_size),
        ("max_storage_buffers_per_shader_stage", 8, limits.max_storage_buffers_per_shader_stage),
        ("max_bindings_per_bind_group", 9, limits.max_bindings_per_bind_group),
        ("max_dynamic_uniform_buffers_per_pipeline_layout", 1, limits.max_dynamic_uniform_buffers_per_pipeline_layout),
        ("max_uniform_buffers_per_shader_stage", 1, limits.max_uniform_buffers_per_shader_stage),
        ("max_bind_groups", 1, limits.max_bind_groups),
        (BUFFERS, 9, limits.max_buffers_and_acceleration_structures_per_shader_stage),
    ] {
        at_most(what, limit, required, u64::from(available))?;
    }
    at_most(what, "max_uniform_buffer_binding_size", LARGEST_UNIFORM, limits.max_uniform_buffer_binding_size)
}
