//! Every cut that a plan can choose for the steps of a layer, over many steps: the table is made from the plan's own
//! choice, by what sets its entries apart.

use std::collections::HashSet;

use wgpu_gru::verify::Batch;
use wgpu_gru::wgpu::DeviceType;
use wgpu_gru::{Cell, Gpu, GruConfig, Recurrent, Reset, RnnConfig, Unroll};
use wgpu_gru::{Cut, Schedule, TimeLoop};

use crate::support::verify_batch;

trials![per_step, per_sequence, the_table_is_whole];

/// What sets one entry of the table apart from another: everything that makes another kernel of a step, or another
/// walk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Entry {
    backward: bool,
    cut: Cut,
    /// H is a multiple of four, which kernel and packing go by.
    fours: bool,
    /// A workgroup walks over more than one block of units.
    blocks: bool,
}

impl Entry {
    /// With numbers in place of others that take the same ways through a kernel: one vector of lanes or more, slices or
    /// none.
    fn alike(self) -> Self {
        Self { cut: Cut { lanes: self.cut.lanes.min(16), split: self.cut.split.min(2), ..self.cut }, ..self }
    }
}

/// A layer that is cut so.
#[derive(Debug, Clone, Copy)]
struct Shape {
    class: DeviceType,
    batch: usize,
    hidden: usize,
}

impl Shape {
    fn time_loop(&self, schedule: Schedule) -> TimeLoop {
        TimeLoop::cut(schedule, self.batch, self.hidden, 3, self.class)
    }

    /// What this layer adds to a table: its steps forward and backward. (The dispatch behind workgroups that meet is
    /// that of [`Schedule::PerSequence`].)
    fn entries(&self, schedule: Schedule) -> [Entry; 2] {
        let time_loop = self.time_loop(schedule);
        [(false, time_loop.forward, 1), (true, time_loop.backward, 4)].map(|(backward, cut, units)| Entry {
            backward,
            cut,
            fours: self.hidden.is_multiple_of(4),
            blocks: schedule == Schedule::PerSequence && self.hidden > cut.lanes as usize * units,
        })
    }

    /// About what its steps cost.
    fn size(&self) -> usize {
        self.batch * self.hidden * self.hidden
    }
}

/// One number of rows for each way in which a plan takes rows together, with some left over.
const BATCHES: [usize; 5] = [1, 5, 17, 65, 130];

/// Hidden sizes up to where nothing changes any more: the largest workgroup owns 128 lanes of four units.
const HIDDEN: usize = 516;

/// The smallest layers whose steps are cut in all ways that there are, each of which adds a way; of ways that `same`
/// takes for one another, one.
fn table(schedule: Schedule, same: fn(Entry) -> Entry) -> Vec<Shape> {
    let sizes = BATCHES.into_iter().flat_map(|batch| (1..=HIDDEN).map(move |hidden| (batch, hidden)));
    let mut shapes: Vec<_> =
        sizes.flat_map(|(batch, hidden)| CLASSES.map(|class| Shape { class, batch, hidden })).collect();
    shapes.sort_by_key(Shape::size);
    let mut seen = HashSet::new();
    // Every entry is taken in, so no short circuit.
    let mut adds =
        |shape: &Shape| shape.entries(schedule).into_iter().filter(|&entry| seen.insert(same(entry))).count() > 0;
    shapes.retain(|shape| adds(shape));
    shapes
}

const CLASSES: [DeviceType; 2] = [DeviceType::Cpu, DeviceType::DiscreteGpu];

/// Forward and backward against the oracle: twenty steps, of large layers some fewer.
fn check<C: Copy + Into<Cell>>(gpu: &Gpu, config: &wgpu_gru::Config<C>, shape: Shape, schedule: Schedule) {
    let seq_len = if shape.size() > 1 << 18 { 3 } else { 20 };
    let unroll = Unroll::training(seq_len, shape.batch).adapter_class(shape.class).schedule(schedule);
    let layer = Recurrent::new(gpu, config.erased(), 3).expect("a layer");
    let mut net = layer.unroll(unroll).expect("an unroll");
    let TimeLoop { forward, backward, steps, .. } = *net.plan().time_loop();
    let expected = shape.time_loop(schedule);
    assert_eq!([forward, backward], [expected.forward, expected.backward], "the table is the plan's: {shape:?}");
    assert!(steps >= seq_len || schedule == Schedule::PerStep, "many steps a dispatch: {shape:?}");
    let batch = Batch::random(config, seq_len, shape.batch, 5);
    if let Err(error) = pollster::block_on(verify_batch(&layer, &mut net, &batch)) {
        panic!("{:?} {shape:?} {schedule:?}: {error}\n{}", config.erased(), net.explain());
    }
}

/// The GRU in every cut; what shares its walk in those that take other ways through a kernel.
fn check_all(gpu: &Gpu, schedule: Schedule) {
    for shape in table(schedule, |entry| entry) {
        check(gpu, &GruConfig::new(3, shape.hidden), shape, schedule);
    }
    for shape in table(schedule, Entry::alike) {
        check(gpu, &RnnConfig::new(3, shape.hidden), shape, schedule);
        if schedule == Schedule::PerStep {
            check(gpu, &GruConfig::new(3, shape.hidden).reset(Reset::Before), shape, schedule);
        }
    }
}

fn per_step(gpu: &Gpu) {
    check_all(gpu, Schedule::PerStep);
}

fn per_sequence(gpu: &Gpu) {
    check_all(gpu, Schedule::PerSequence);
}

/// No layer has steps that are cut in a way that is not in the table.
fn the_table_is_whole(_: &Gpu) {
    for schedule in [Schedule::PerStep, Schedule::PerSequence] {
        let entries =
            |shapes: &[Shape]| -> HashSet<Entry> { shapes.iter().flat_map(|shape| shape.entries(schedule)).collect() };
        let known = entries(&table(schedule, |entry| entry));
        let sizes = (1..=140).flat_map(|batch| (1..=HIDDEN + 8).map(move |hidden| (batch, hidden)));
        let every = sizes.flat_map(|(batch, hidden)| CLASSES.map(|class| Shape { class, batch, hidden }));
        let other: Vec<_> = every.filter(|shape| !entries(&[*shape]).is_subset(&known)).collect();
        assert!(other.is_empty(), "{schedule:?}: {other:?}");
        // What no test had once: many lanes of one slice, over many steps without a barrier within one.
        let alone = known.iter().any(|entry| entry.cut.lanes > 8 && entry.cut.split == 1);
        assert!(alone, "{schedule:?} has more than one vector of lanes, and no slices");
    }
}
