//! Every cut that a plan can choose for single steps of a layer, over many of them: the table is made from the plan's
//! own choice, by what sets its entries apart.

use std::collections::HashSet;

use wgpu_gru::verify::Batch;
use wgpu_gru::wgpu::DeviceType;
use wgpu_gru::{Cell, Gpu, GruConfig, Recurrent, Reset, RnnConfig, Unroll};
use wgpu_gru::{Cut, Schedule, TimeLoop};

use crate::support::verify_batch;

trials![every_cut, the_table_is_whole];

/// What sets one entry of the table apart from another: everything that makes another kernel of a step, or another
/// walk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Entry {
    backward: bool,
    cut: Cut,
    /// H is a multiple of four, which kernel and packing go by.
    fours: bool,
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
    /// What this layer adds to a table: its steps forward and backward.
    fn entries(&self) -> [Entry; 2] {
        let TimeLoop::Step { forward, backward } = TimeLoop::step(self.batch, self.hidden, self.class) else {
            panic!("single steps")
        };
        let fours = self.hidden.is_multiple_of(4);
        [(false, forward), (true, backward)].map(|(backward, cut)| Entry { backward, cut, fours })
    }

    /// About what its steps cost.
    fn size(&self) -> usize {
        self.batch * self.hidden * self.hidden
    }
}

/// One number of rows for each way in which a plan takes rows together, with some left over.
const BATCHES: [usize; 5] = [1, 5, 17, 65, 130];

/// Hidden sizes up to where nothing changes any more: the most slices.
const HIDDEN: usize = 140;

/// The smallest layers whose steps are cut in all ways that there are, each of which adds a way; of ways that `same`
/// takes for one another, one.
fn table(same: fn(Entry) -> Entry) -> Vec<Shape> {
    let sizes = BATCHES.into_iter().flat_map(|batch| (1..=HIDDEN).map(move |hidden| (batch, hidden)));
    let mut shapes: Vec<_> =
        sizes.flat_map(|(batch, hidden)| CLASSES.map(|class| Shape { class, batch, hidden })).collect();
    shapes.sort_by_key(Shape::size);
    let mut seen = HashSet::new();
    // Every entry is taken in, so no short circuit.
    let mut adds = |shape: &Shape| shape.entries().into_iter().filter(|&entry| seen.insert(same(entry))).count() > 0;
    shapes.retain(|shape| adds(shape));
    shapes
}

const CLASSES: [DeviceType; 2] = [DeviceType::Cpu, DeviceType::DiscreteGpu];

/// Forward and backward against the oracle: twenty steps, of large layers some fewer.
fn check<C: Copy + Into<Cell>>(gpu: &Gpu, config: &wgpu_gru::Config<C>, shape: Shape) {
    let seq_len = if shape.size() > 1 << 18 { 3 } else { 20 };
    let unroll = Unroll::training(seq_len, shape.batch).adapter_class(shape.class).schedule(Schedule::Step);
    let layer = Recurrent::new(gpu, config.erased(), 3).expect("a layer");
    let mut net = layer.unroll(unroll).expect("an unroll");
    let expected = TimeLoop::step(shape.batch, shape.hidden, shape.class);
    assert_eq!(*net.plan().time_loop(), expected, "the table is the plan's: {shape:?}");
    let batch = Batch::random(config, seq_len, shape.batch, 5);
    if let Err(error) = pollster::block_on(verify_batch(&layer, &mut net, &batch)) {
        panic!("{:?} {shape:?}: {error}\n{}", config.erased(), net.explain());
    }
}

/// The GRU in every cut; what shares its walk in those that take other ways through a kernel.
fn every_cut(gpu: &Gpu) {
    for shape in table(|entry| entry) {
        check(gpu, &GruConfig::new(3, shape.hidden), shape);
    }
    for shape in table(Entry::alike) {
        check(gpu, &RnnConfig::new(3, shape.hidden), shape);
        check(gpu, &GruConfig::new(3, shape.hidden).reset(Reset::Before), shape);
    }
}

/// No layer has steps that are cut in a way that is not in the table.
fn the_table_is_whole(_: &Gpu) {
    let entries = |shapes: &[Shape]| -> HashSet<Entry> { shapes.iter().flat_map(Shape::entries).collect() };
    let known = entries(&table(|entry| entry));
    let sizes = (1..=140).flat_map(|batch| (1..=HIDDEN + 400).map(move |hidden| (batch, hidden)));
    let every = sizes.flat_map(|(batch, hidden)| CLASSES.map(|class| Shape { class, batch, hidden }));
    let other: Vec<_> = every.filter(|shape| !entries(&[*shape]).is_subset(&known)).collect();
    assert!(other.is_empty(), "{other:?}");
}
