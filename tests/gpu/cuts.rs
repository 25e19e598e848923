//! Every cut that a plan can choose for single steps of a layer, over many of them: the table is made from the plan's
//! own choice, by what sets its entries apart.

use std::collections::HashSet;

use wgpu_gru::verify::Batch;
use wgpu_gru::wgpu::DeviceType;
use wgpu_gru::{Cell, Gpu, GruConfig, Recurrent, Reset, RnnConfig, Unroll};
use wgpu_gru::{Schedule, TileCut, TimeLoop, harness};

use crate::support::verify_batch;

trials![every_cut, the_table_is_whole];

/// What sets one entry of the table apart from another: everything that makes another kernel of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Entry {
    backward: bool,
    cut: TileCut,
    /// H is a multiple of four, which loads of weights go by.
    fours: bool,
}

/// A layer that is cut so.
#[derive(Debug, Clone, Copy)]
struct Shape {
    class: DeviceType,
    batch: usize,
    hidden: usize,
}

impl Shape {
    fn unroll(&self, seq_len: usize) -> Unroll {
        Unroll::training(seq_len, self.batch).adapter_class(self.class).schedule(Schedule::Step)
    }

    /// What this layer adds to a table: its steps forward and backward.
    fn entries(&self, gpu: &Gpu) -> [Entry; 2] {
        let plan = harness::plan(gpu, &GruConfig::new(1, self.hidden), &self.unroll(1)).expect("a plan");
        let TimeLoop::Step { forward, backward } = *plan.time_loop() else { panic!("single steps") };
        let fours = self.hidden.is_multiple_of(4);
        [(false, forward), (true, backward)].map(|(backward, cut)| Entry { backward, cut, fours })
    }

    /// About what its steps cost.
    fn size(&self) -> usize {
        self.batch * self.hidden * self.hidden
    }
}

/// One number of rows for each way in which a plan takes rows together, with some left over.
const BATCHES: [usize; 6] = [1, 2, 3, 5, 13, 33];

/// Units next to those of a tile or a slab, odd and not.
const HIDDEN: [usize; 7] = [1, 4, 7, 12, 33, 64, 130];

/// The smallest layers whose steps are cut in all ways that there are, each of which adds a way.
fn table(gpu: &Gpu) -> Vec<Shape> {
    let sizes = BATCHES.into_iter().flat_map(|batch| HIDDEN.map(move |hidden| (batch, hidden)));
    let mut shapes: Vec<_> =
        sizes.flat_map(|(batch, hidden)| CLASSES.map(|class| Shape { class, batch, hidden })).collect();
    shapes.sort_by_key(Shape::size);
    let mut seen = HashSet::new();
    // Every entry is taken in, so no short circuit.
    let mut adds = |shape: &Shape| shape.entries(gpu).into_iter().filter(|&entry| seen.insert(entry)).count() > 0;
    shapes.retain(|shape| adds(shape));
    shapes
}

const CLASSES: [DeviceType; 2] = [DeviceType::Cpu, DeviceType::DiscreteGpu];

/// Forward and backward against the oracle: twenty steps, of large layers some fewer.
fn check<C: Copy + Into<Cell>>(gpu: &Gpu, config: &wgpu_gru::Config<C>, shape: Shape) {
    let seq_len = if shape.size() > 1 << 18 { 3 } else { 20 };
    let layer = Recurrent::new(gpu, config.erased(), 3).expect("a layer");
    let mut net = layer.unroll(shape.unroll(seq_len)).expect("an unroll");
    let batch = Batch::random(config, seq_len, shape.batch, 5);
    if let Err(error) = pollster::block_on(verify_batch(&layer, &mut net, &batch)) {
        panic!("{:?} {shape:?}: {error}\n{}", config.erased(), net.explain());
    }
}

/// The GRU in every cut, the others in every third.
fn every_cut(gpu: &Gpu) {
    for (number, shape) in table(gpu).into_iter().enumerate() {
        check(gpu, &GruConfig::new(3, shape.hidden), shape);
        if number % 3 == 0 {
            check(gpu, &RnnConfig::new(3, shape.hidden), shape);
            check(gpu, &GruConfig::new(3, shape.hidden).reset(Reset::Before), shape);
        }
    }
}

/// No layer has steps that are cut in a way that is not in the table.
fn the_table_is_whole(gpu: &Gpu) {
    let entries = |shapes: &[Shape]| -> HashSet<Entry> { shapes.iter().flat_map(|shape| shape.entries(gpu)).collect() };
    let known = entries(&table(gpu));
    let sizes = (1..=70).flat_map(|batch| (1..=540).step_by(7).map(move |hidden| (batch, hidden)));
    let every = sizes.flat_map(|(batch, hidden)| CLASSES.map(|class| Shape { class, batch, hidden }));
    let other: Vec<_> = every.filter(|shape| !entries(&[*shape]).is_subset(&known)).collect();
    assert!(other.is_empty(), "{other:?}");
}
