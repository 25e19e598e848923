//! Whether a single step of inference is a frame, which one dispatch takes through all layers, and how its workgroups
//! are cut.

use super::external::External;
use crate::config::{Cell, Config, Direction, Reset};
use crate::target::{Target, bytes, in_elements, side_by_side};
use crate::unroll::{Mode, Unroll};

/// Bytes of weights of all layers at most. Each workgroup of a frame reads all of them, so they bound how long it
/// takes: an H100's multiprocessor read 96 KiB anew in 0.64 us and 192 KiB in 2.5 (from level 2, between two
/// barriers), so 512 KiB take it some 7 us, where the dispatches of a frame by single steps take 28 us and more. With
/// B of some thousands all 132 of them read: 16 rows share what is read, so that 4096 rows read 256 times 512 KiB, 128
/// MiB, some 25 us of a level 2 of 5.5 TB/s; the products of such a frame, 2 * 4096 * 2^17 FLOP, take as long at 40
/// TFLOP/s.
pub(crate) const MOST_WEIGHTS: u64 = 512 << 10;

/// Invocations of a GPU's workgroup.
const WORKGROUP: u32 = 256;

/// Rows that an invocation has at most: of each up to four sums in registers.
const MOST_ROWS: u32 = 16;

/// Workgroups that are to have work before one has several rows, on a device where nobody has looked.
const UNKNOWN_RESIDENT: u32 = 64;

/// Rows of the batch that a workgroup of a software rasteriser has at most. It is best to have that many even where it
/// leaves cores idle, since the loads of weights are what counts there: benches/RECORD.md.
const MOST_CPU_ROWS: usize = 16;

/// How the workgroups of a frame are cut: `blocks` of `units` groups of `slices` invocations. A block has `rows` rows
/// of the batch, a group one unit of all of them; each of its invocations multiplies a slice of the operand.
///
/// ```no_run
/// # fn example(gpu: &wgpu_gru::Gpu) -> wgpu_gru::Result<()> {
/// use wgpu_gru::{Gru, GruConfig, StreamOptions};
/// let stream = Gru::new(gpu, GruConfig::new(8, 32), 1)?.stream(StreamOptions::new(100))?;
/// if let Some(cut) = stream.plan().frame() {
///     println!("one dispatch a frame, {} rows a workgroup", cut.blocks * cut.rows);
/// }
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FrameCut {
    /// Invocations of a group. A power of two. It depends on nothing but the layer and the device, so that a row has
    /// the same bits whatever the batch.
    pub slices: u32,
    /// Groups of a block, a power of two; at least H.
    pub units: u32,
    /// Blocks of a workgroup.
    pub blocks: u32,
    /// Rows of the batch of a block. A power of two.
    pub rows: u32,
    /// How many vec4 of each weight an invocation asks for at a time.
    pub ahead: u32,
    /// Numbers of workgroup memory for the operands; for a software rasteriser numbers of an operand that one of eight
    /// invocations holds.
    pub numbers: u32,
    /// Slices are added in subgroups, which have so many invocations at most; otherwise in workgroup memory.
    pub subgroup: Option<u32>,
    /// As [`RowsCut::exact_stores`](crate::RowsCut::exact_stores).
    pub exact_stores: bool,
    /// For a software rasteriser: a workgroup is one subgroup of 8, which has neither workgroup memory nor barriers.
    /// Each of its invocations has every eighth unit of all rows.
    pub software: bool,
}

impl FrameCut {
    /// The kernel's name.
    pub(crate) fn label(cell: Cell) -> &'static str {
        if matches!(cell, Cell::Gru { .. }) { "gru_frame" } else { "rnn_frame" }
    }

    /// Sums of a unit that are added over slices at a time.
    pub(crate) fn components(cell: Cell) -> u32 {
        match cell {
            Cell::Gru { reset: Reset::After, .. } => 4,
            Cell::Gru { reset: Reset::Before, .. } => 3,
            Cell::Rnn { .. } => 1,
        }
    }

    /// Invocations of a workgroup.
    pub(crate) fn invocations(self) -> u32 {
        self.slices * self.units * self.blocks
    }

    /// Rows of the batch of a workgroup.
    pub(crate) fn rows_of_workgroup(self) -> u32 {
        self.blocks * self.rows
    }

    /// Workgroups of a frame.
    pub(crate) fn workgroups(self, batch: usize) -> u32 {
        u32::try_from(batch.div_ceil(self.rows_of_workgroup() as usize)).unwrap_or(u32::MAX)
    }

    /// It works in subgroups.
    pub(crate) fn uses_subgroups(self) -> bool {
        self.subgroup.is_some() && (self.software || self.slices > 1)
    }

    /// Numbers of so long an operand of a row in workgroup memory: as many vec4 for each slice as it asks for at a
    /// time.
    pub(crate) fn width(self, len: usize) -> usize {
        len.next_multiple_of((4 * self.slices * self.ahead) as usize)
    }

    /// Bytes of workgroup memory.
    pub(crate) fn memory(self, cell: Cell) -> u64 {
        if self.software {
            return 0;
        }
        let apart = self.slices > 1 && self.subgroup.is_none();
        let partial = if apart { Self::components(cell) * self.rows * self.invocations() } else { 0 };
        4 * u64::from(self.numbers + partial)
    }

    /// The same for so many blocks of so many rows, with room for their operands. The more rows, the more registers
    /// are taken by their sums.
    fn with_rows(self, [blocks, rows]: [u32; 2], [below, hidden]: [usize; 2]) -> Self {
        let most = match rows {
            1 => 4,
            2..=4 => 2,
            _ => 1,
        };
        let of_slice = below.max(hidden).div_ceil(4 * self.slices as usize).next_power_of_two();
        let ahead = of_slice.min(most) as u32;
        let cut = Self { units: self.units * self.blocks / blocks, blocks, rows, ahead, ..self };
        let numbers = (cut.width(below) + cut.width(hidden)).saturating_mul(cut.rows_of_workgroup() as usize);
        Self { numbers: u32::try_from(numbers.next_power_of_two()).unwrap_or(u32::MAX), ..cut }
    }

    fn fits(self, cell: Cell, limits: &wgpu::Limits) -> bool {
        let most = limits.max_compute_invocations_per_workgroup.min(limits.max_compute_workgroup_size_x);
        self.invocations() <= most && self.memory(cell) <= u64::from(limits.max_compute_workgroup_storage_size)
    }

    /// The cut of a frame, or why there is none; without a reason for what is no frame, or is to be run in another
    /// way.
    pub(super) fn new(
        config: &Config,
        unroll: &Unroll,
        external: &External,
        target: &Target,
    ) -> Result<Self, Option<&'static str>> {
        let is_asked = unroll.schedule.is_some() || unroll.tuning.is_some();
        if unroll.seq_len != 1 || unroll.mode == Mode::Training || is_asked {
            return Err(None);
        }
        no_frame(config, unroll, external, target).map_or(Ok(()), |because| Err(Some(because)))?;
        let cut = if target.is_software() {
            Self::software(config, unroll.batch, target)
        } else {
            Self::gpu(config, unroll.batch, target)
        };
        cut.map_err(Some)
    }

    fn software(config: &Config, batch: usize, target: &Target) -> Result<Self, &'static str> {
        if !target.has_subgroups_of_8() {
            return Err("this software rasteriser has no subgroups of 8");
        }
        let rows = batch.min(MOST_CPU_ROWS).next_power_of_two() as u32;
        let longest = config.input_size.max(config.hidden_size).div_ceil(8).next_power_of_two();
        Ok(Self {
            slices: 1,
            units: 8,
            blocks: 1,
            rows,
            ahead: 1,
            numbers: longest as u32,
            subgroup: Some(8),
            exact_stores: target.exact_stores,
            software: true,
        })
    }

    /// As many slices as there are lanes for, but with two vec4 of an operand or more for each; then rows, as few as
    /// keep the device busy: each weight that was loaded serves all rows of a block. Blocks share a weight by way of
    /// the caches alone, so they come after the first four rows.
    fn gpu(config: &Config, batch: usize, target: &Target) -> Result<Self, &'static str> {
        const LARGE: &str = "a workgroup has fewer invocations than there are units";
        const SMALL: &str = "a workgroup's memory does not hold what is multiplied";
        let (cell, hidden) = (config.cell(), config.hidden_size);
        let below = if config.num_layers > 1 { config.input_size.max(hidden) } else { config.input_size };
        let units = u32::try_from(hidden.next_power_of_two()).ok().filter(|&units| units <= WORKGROUP).ok_or(LARGE)?;
        let subgroup = target.subgroups;
        let of_work = floor_to_power((config.input_size + hidden) as u32 / 8);
        let of_subgroup = subgroup.map_or(4, |[least, _]| least.max(1));
        let slices = (WORKGROUP / units).min(of_work).min(floor_to_power(of_subgroup));
        let blocks_at_most = WORKGROUP / (units * slices);
        let resident = target.resident.unwrap_or(UNKNOWN_RESIDENT).max(1) as usize;
        // The compiler of a software rasteriser takes seconds for what is unrolled for many rows.
        let most = if target.compiles_slowly { 4 } else { MOST_ROWS };
        let wanted = batch.div_ceil(resident).min(1 << 16).next_power_of_two() as u32;
        let blocks = (wanted / 4).clamp(1, blocks_at_most);
        // Whole subgroups.
        let whole = subgroup.map_or(1, |[_, most]| most.min(WORKGROUP).next_power_of_two());
        let cut = Self {
            slices,
            units: units.max(whole / (slices * blocks)),
            blocks,
            rows: 1,
            ahead: 1,
            numbers: 0,
            subgroup: subgroup.map(|[_, most]| most),
            exact_stores: target.exact_stores,
            software: false,
        };
        let fewer = |&[blocks, rows]: &[u32; 2]| match [blocks, rows] {
            [1, 1] => None,
            [blocks, 1] => Some([blocks / 2, 1]),
            [blocks, rows] => Some([blocks, rows / 2]),
        };
        let all = std::iter::successors(Some([blocks, (wanted / blocks).clamp(1, most)]), fewer);
        let mut cuts = all.map(|rows| cut.with_rows(rows, [below, hidden]));
        cuts.find(|cut| cut.fits(cell, &target.limits)).ok_or(SMALL)
    }
}

/// The largest power of two that is not larger, but 1 at least.
fn floor_to_power(number: u32) -> u32 {
    1 << number.max(1).ilog2()
}

/// Storage buffers of a frame's kernel, of which a device binds so many at most.
pub(super) fn storage_buffers(config: &Config, unroll: &Unroll, external: &External) -> u32 {
    let flags = [unroll.lengths, before_is_apart(external)];
    5 + if config.bias { 2 } else { 0 } + flags.map(u32::from).iter().sum::<u32>()
}

/// The states before the frame lie in another buffer than those after it: they are gathered, or the app has said so.
pub(crate) fn before_is_apart(external: &External) -> bool {
    let both_are_made = external.h0.is_none() && external.h_n.is_none();
    external.sources || !(both_are_made || external.states_share || external.one_state)
}

/// Whether the weights of a layer that the crate makes are to lie in one buffer for each kind, so that a frame can
/// bind them: where it is small enough. Then only, since an optimiser's dispatches wait for each other where they
/// write one buffer.
pub(super) fn weights_lie_together(config: &Config, limits: &wgpu::Limits) -> bool {
    let [weights, binding] = weights(config, limits);
    let most = limits.max_storage_buffer_binding_size.min(limits.max_buffer_size);
    config.num_layers > 1 && config.direction == Direction::Forward && weights <= MOST_WEIGHTS && binding <= most
}

/// Why a frame cannot be had, whatever its cut.
fn no_frame(config: &Config, unroll: &Unroll, external: &External, target: &Target) -> Option<&'static str> {
    let limits = &target.limits;
    let most = limits.max_storage_buffer_binding_size;
    let slack = u64::from(limits.min_storage_buffer_offset_alignment);
    let fits = |size: u64| size.saturating_add(slack) <= most;
    let state = bytes(&[2, config.num_cells(), unroll.batch, config.hidden_size]).saturating_add(slack);
    let input = bytes(&[unroll.batch, config.input_size]);
    let [weights, of_binding] = weights(config, limits);
    let workgroups = u64::from(limits.max_compute_workgroups_per_dimension);
    if config.direction != Direction::Forward {
        Some("a direction runs in reverse")
    } else if unroll.episode_starts {
        Some("episodes may begin")
    } else if unroll.f16_products {
        Some("products were asked for that multiply f16 numbers")
    } else if weights > MOST_WEIGHTS {
        Some("the weights are more than each workgroup can read")
    } else if external.weights_apart {
        Some("the weights of the layers do not lie evenly in one buffer for each kind")
    } else if storage_buffers(config, unroll, external) > limits.max_storage_buffers_per_shader_stage {
        Some("the device was opened for too few storage buffers: see Gpu::recommended_limits")
    } else if ![state, input, of_binding].into_iter().all(fits) {
        Some("a binding does not hold all states, the input or the weights")
    } else if unroll.batch as u64 > workgroups.saturating_mul(workgroups) {
        Some("the batch has more rows than a grid has workgroups")
    } else {
        None
    }
}

/// Bytes of the weights of all layers, and of the largest binding of them.
fn weights(config: &Config, limits: &wgpu::Limits) -> [u64; 2] {
    let (hidden, layers) = (config.hidden_size, config.num_layers);
    let rows = config.cell().gates().saturating_mul(hidden);
    let of = |columns: usize| rows.saturating_mul(columns);
    let above = layers - 1;
    let numbers = of(config.input_size).saturating_add(of(hidden).saturating_mul(above + layers));
    let place = |columns: usize| side_by_side(2, &[of(columns)], limits)[0];
    let ih = place(config.input_size).saturating_add(place(hidden).saturating_mul(above));
    let binding = ih.max(place(hidden).saturating_mul(layers)).saturating_add(in_elements(limits));
    [bytes(&[numbers]), bytes(&[binding])]
}

#[cfg(test)]
mod tests {
    use wgpu::{DeviceType, Limits};

    use super::FrameCut;
    use crate::config::{Config, Direction, GruConfig, Reset, RnnConfig};
    use crate::plan::External;
    use crate::schedule::Schedule;
    use crate::target::Target;
    use crate::unroll::Unroll;

    fn target(resident: Option<u32>, subgroups: Option<[u32; 2]>) -> Target {
        let target = Target::new(&Limits::default(), DeviceType::DiscreteGpu);
        Target { subgroups, resident, exact_stores: true, ..target }
    }

    fn cut(config: &Config, batch: usize, target: &Target) -> Result<FrameCut, Option<&'static str>> {
        FrameCut::new(config, &Unroll::inference(1, batch), &External::default(), target)
    }

    fn configs(inputs: usize, hidden: usize) -> [Config; 3] {
        let gru = GruConfig::new(inputs, hidden);
        let before = gru.clone().num_layers(2).reset(Reset::Before).erased();
        [gru.erased(), before, RnnConfig::new(inputs, hidden).num_layers(3).erased()]
    }

    /// With WebGPU's default limits: all rows and units have an invocation, each in one workgroup, whose memory holds
    /// what it multiplies; a row has the same bits in every batch.
    #[test]
    fn every_cut_fits_and_has_all() {
        let limits = Limits::default();
        let devices =
            [Some([32, 32]), Some([8, 8]), Some([4, 128]), None].map(|subgroups| target(Some(132), subgroups));
        let sizes = [1, 2, 5, 8, 16, 33, 64, 100];
        for config in sizes.iter().flat_map(|&i| sizes.iter().flat_map(move |&h| configs(i, h))) {
            for device in &devices {
                let mut slices = Vec::new();
                for batch in [1, 2, 16, 17, 133, 4096, 50_000] {
                    let Ok(cut) = cut(&config, batch, device) else {
                        panic!("{config:?} {batch}: {:?}", cut(&config, batch, device))
                    };
                    let FrameCut { rows, blocks, ahead, numbers, .. } = cut;
                    let what = format!("{config:?} {batch}: {cut:?}");
                    let whole = device.subgroups.map_or(1, |[_, most]| most);
                    assert!(cut.invocations() <= 256 && cut.invocations().is_multiple_of(whole), "{what}");
                    assert!(
                        cut.memory(config.cell()) <= u64::from(limits.max_compute_workgroup_storage_size),
                        "{what}"
                    );
                    assert!(cut.units as usize >= config.hidden_size && cut.units.is_power_of_two(), "{what}");
                    assert!(cut.workgroups(batch) as usize * (rows * blocks) as usize >= batch, "{what}");
                    assert!(rows <= 16 && rows.is_power_of_two() && (1..=4).contains(&ahead), "{what}");
                    let below = (0..config.num_layers).map(|layer| config.layer_input_size(layer)).max().unwrap_or(0);
                    let row = cut.width(below) + cut.width(config.hidden_size);
                    assert!(numbers as usize >= row * (rows * blocks) as usize, "{what}");
                    let of_device = device.subgroups.map_or(u32::MAX, |[least, _]| least);
                    assert!(cut.slices <= of_device, "{what}");
                    slices.push(cut.slices);
                }
                assert!(slices.iter().all(|&other| other == slices[0]), "{config:?}: {slices:?}");
            }
        }
    }

    /// A few rows have a workgroup each; thousands share weights, and as many workgroups as run at a time have work.
    #[test]
    fn rows_of_a_workgroup() {
        let device = target(Some(132), Some([32, 32]));
        for (hidden, batch, rows) in
            [(64, 1, 1), (64, 16, 1), (64, 132, 1), (64, 133, 2), (64, 4096, 16), (128, 4096, 16), (16, 16_384, 64)]
        {
            let cut = cut(&GruConfig::new(16, hidden).erased(), batch, &device).expect("a frame");
            assert_eq!(cut.rows_of_workgroup(), rows, "H {hidden}, B {batch}: {cut:?}");
        }
    }

    #[test]
    fn what_is_no_frame() {
        let device = target(None, None);
        let why = |config: &Config, unroll: Unroll, external: &External, device: &Target| {
            FrameCut::new(config, &unroll, external, device).err()
        };
        let (gru, one) = (GruConfig::new(4, 8), Unroll::inference(1, 3));
        let none = External::default();
        let plain = gru.clone().erased();
        assert_eq!(why(&plain, one, &none, &device), None);
        for other in [Unroll::inference(2, 3), Unroll::training(1, 3), one.schedule(Schedule::Step)] {
            assert_eq!(why(&plain, other, &none, &device), Some(None), "{other:?}");
        }
        let refused = |config: &Config, unroll, external: &External, device: &Target| {
            let because = why(config, unroll, external, device).flatten();
            because.unwrap_or_else(|| panic!("{config:?} {unroll:?} {external:?}"))
        };
        for (because, part) in [
            (refused(&gru.clone().direction(Direction::Bidirectional).erased(), one, &none, &device), "reverse"),
            (refused(&plain, one.episode_starts(true), &none, &device), "episodes"),
            (refused(&plain, one.f16_products(true), &none, &device), "f16"),
            (refused(&GruConfig::new(1, 210).erased(), one, &none, &device), "weights are more"),
            (refused(&RnnConfig::new(1, 300).erased(), one, &none, &device), "units"),
            (refused(&plain, one, &External { weights_apart: true, ..External::default() }, &device), "evenly"),
        ] {
            assert!(because.contains(part), "{because}, not {part}");
        }
        // Eight buffers do for a stream with lengths, or with sources; not for both.
        let sources = External { sources: true, one_state: true, h0: Some(0), h_n: Some(0), ..External::default() };
        let stream = External { sources: false, ..sources.clone() };
        assert_eq!(why(&plain, one.lengths(true), &stream, &device), None);
        assert_eq!(why(&plain, one, &sources, &device), None);
        assert!(refused(&plain, one.lengths(true), &sources, &device).contains("storage buffers"));
        assert_eq!(why(&gru.bias(false).erased(), one.lengths(true), &sources, &device), None);
    }

    /// One subgroup of 8 on a software rasteriser.
    #[test]
    fn software() {
        let device = Target { class: DeviceType::Cpu, ..target(None, Some([8, 8])) };
        for (batch, rows) in [(1, 1), (5, 8), (4096, 16)] {
            let cut = cut(&GruConfig::new(5, 33).erased(), batch, &device).expect("a frame");
            let cell = GruConfig::new(1, 1).erased().cell();
            assert_eq!((cut.rows, cut.invocations(), cut.memory(cell), cut.numbers), (rows, 8, 0, 8), "B {batch}");
        }
        let without = Target { subgroups: None, ..device };
        assert!(cut(&GruConfig::new(5, 33).erased(), 1, &without).is_err());
    }
}
