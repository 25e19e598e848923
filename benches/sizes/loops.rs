//! The time loop by itself, without the products around it.

use std::time::Instant;

use wgpu_gru::rng::SplitMix64;
use wgpu_gru::{
    ExchangeCut, Gpu, Gru, GruConfig, Program, Result, RowsCut, Schedule, Tensor, TileCut, TimeLoop, Unroll, harness,
};

use crate::case::Size;
use crate::clock::{Warmth, on_gpu};

/// What the steps of a cell read and write. Nothing of it is checked here: the suite does that, and a pass over its own
/// results takes as long.
struct Tensors {
    sizes: [usize; 3],
    weight: Tensor,
    bias: Tensor,
    h: Tensor,
    gates: Tensor,
    d_output: Tensor,
    d_state: [Tensor; 2],
}

impl Tensors {
    fn new(gpu: &Gpu, Size { seq_len, batch, hidden, .. }: Size) -> Result<Self> {
        let (states, rows) = (batch * hidden, seq_len * batch);
        let mut random = SplitMix64::new(2);
        let bound = 1.0 / (hidden as f32).sqrt();
        let mut tensor = |len: usize, bound: f32| Tensor::from_slice(gpu, &[len], &random.vec(len, bound));
        Ok(Self {
            sizes: [seq_len, batch, hidden],
            weight: tensor(3 * hidden * hidden, bound)?,
            bias: tensor(3 * hidden, bound)?,
            h: tensor((seq_len + 1) * states, 1.0)?,
            gates: tensor(rows * 4 * hidden, 1.0)?,
            d_output: tensor(rows * hidden, 1e-3)?,
            d_state: [tensor(states, 1e-3)?, tensor(states, 1e-3)?],
        })
    }

    fn steps(&self) -> harness::Steps<'_> {
        let plain = harness::Steps::gru(self.sizes, &self.weight, &self.h, &self.gates);
        harness::Steps { bias_hh: Some(&self.bias), ..plain }
    }

    fn forward(&self, time_loop: &TimeLoop, save: bool) -> Result<Program> {
        self.steps().forward(time_loop, save)
    }

    fn backward(&self, time_loop: &TimeLoop) -> Result<Program> {
        self.steps().backward(time_loop, [&self.d_output, &self.d_state[0], &self.d_state[1]])
    }
}

/// Microseconds of a step: the slope between a sequence of twice as many steps and this one, so without what a dispatch has
/// besides its steps.
fn a_step(warmth: &Warmth, size: Size, [once, twice]: [&Program; 2]) -> Result<f64> {
    let time = |program: &Program| {
        on_gpu(warmth, |encoder| {
            program.encode(encoder);
            Ok(())
        })
    };
    Ok((time(twice)? - time(once)?) / size.seq_len as f64)
}

/// The sizes with twice as many steps.
fn twice(size: Size) -> Size {
    Size { seq_len: 2 * size.seq_len, ..size }
}

/// A dispatch of as many steps as there are.
fn in_one_dispatch(time_loop: TimeLoop, count: usize) -> TimeLoop {
    match time_loop {
        TimeLoop::Rows { forward, backward, .. } => TimeLoop::Rows { steps: count, forward, backward },
        TimeLoop::Exchange { forward, backward, .. } => TimeLoop::Exchange { steps: count, forward, backward },
        step => step,
    }
}

/// Microseconds of a step: forward, forward with what training saves, backward.
pub(crate) fn steps(gpu: &Gpu, warmth: &Warmth, size: Size, schedule: Schedule) -> Result<[f64; 3]> {
    let layer = Gru::new(gpu, GruConfig::new(size.input, size.hidden), 1)?;
    let of = |unroll: Unroll| -> Result<TimeLoop> {
        let time_loop = *layer.unroll(unroll.schedule(schedule))?.plan().time_loop();
        Ok(in_one_dispatch(time_loop, 2 * size.seq_len))
    };
    let inference = of(Unroll::inference(size.seq_len, size.batch))?;
    let training = of(Unroll::training(size.seq_len, size.batch))?;
    let [once, twice] = [Tensors::new(gpu, size)?, Tensors::new(gpu, twice(size))?];
    let slope =
        |program: &dyn Fn(&Tensors) -> Result<Program>| a_step(warmth, size, [&program(&once)?, &program(&twice)?]);
    Ok([
        slope(&|tensors| tensors.forward(&inference, false))?,
        slope(&|tensors| tensors.forward(&training, true))?,
        slope(&|tensors| tensors.backward(&training))?,
    ])
}

/// Cuts of steps by rows: rows, slices, units, steps ahead; forward and backward. Of a small batch, and of a large one.
const ROWS: [[&[[u32; 4]]; 2]; 2] = [
    [
        &[[1, 2, 1, 1], [1, 2, 1, 2], [1, 2, 1, 4], [1, 4, 1, 2]],
        &[[1, 2, 2, 1], [1, 4, 2, 1], [1, 4, 2, 2], [1, 4, 2, 4]],
    ],
    [&[[2, 2, 1, 1], [4, 4, 1, 1], [4, 2, 1, 1]], &[[2, 4, 2, 1], [4, 4, 2, 1], [4, 2, 1, 1]]],
];

/// Cuts of steps by exchange: slices, groups, subgroups, units, rows of a group, rows at a time, whether the next rows are
/// asked for ahead; forward and backward.
fn exchange_cuts(name: &str) -> [&'static [[u32; 7]]; 2] {
    match name {
        "s2" => [
            &[[4, 8, 8, 2, 4, 4, 0], [4, 8, 4, 2, 4, 4, 0], [2, 16, 4, 1, 4, 4, 0]],
            &[[8, 4, 8, 4, 4, 4, 0], [8, 4, 4, 4, 4, 4, 0]],
        ],
        "s3" => [&[[4, 8, 8, 2, 16, 4, 1], [4, 8, 8, 2, 16, 8, 1]], &[[8, 4, 8, 4, 16, 4, 1], [8, 4, 16, 4, 16, 4, 1]]],
        "s5" => [&[[8, 4, 8, 4, 32, 4, 0], [4, 8, 16, 2, 32, 4, 0]], &[[8, 4, 8, 4, 32, 2, 0], [8, 4, 8, 4, 32, 2, 1]]],
        "s8" => [&[[4, 8, 8, 2, 1, 1, 0], [8, 4, 8, 4, 1, 1, 0]], &[[8, 4, 8, 4, 1, 1, 0]]],
        _ => [&[], &[]],
    }
}

/// A table over cuts.
pub(crate) fn cuts(gpu: &Gpu, warmth: &Warmth, sizes: &[(&str, Size)], mut say: impl FnMut(String)) -> Result<()> {
    let plan_of = |schedule| -> Result<TimeLoop> {
        let layer = Gru::new(gpu, GruConfig::new(4, 16), 1)?;
        Ok(*layer.unroll(Unroll::inference(2, 1).schedule(schedule))?.plan().time_loop())
    };
    let (rows_of_device, exchange_of_device) = (plan_of(Schedule::Rows)?, plan_of(Schedule::Exchange)?);
    let TimeLoop::Rows { forward: by_rows, .. } = rows_of_device else { return Ok(()) };
    let TimeLoop::Exchange { forward: by_exchange, .. } = exchange_of_device else { return Ok(()) };
    say("| | kernel | cut | us a step | made in ms |\n|---|---|---|---|---|\n".into());
    for &(name, size) in sizes {
        let [once, twice] = [Tensors::new(gpu, size)?, Tensors::new(gpu, twice(size))?];
        let steps = 2 * size.seq_len;
        let of_rows = ROWS[usize::from(size.batch > 128)];
        for (place, kernel) in ["forward", "backward"].into_iter().enumerate() {
            let rows = of_rows[place].iter().filter(|_| size.hidden <= 128).map(|&[rows, slices, units, ahead]| {
                let cut = RowsCut { slices, units, rows, ahead, ..by_rows };
                let words = format!("rows {rows}, {slices} slices, {units} units, {ahead} ahead");
                (words, TimeLoop::Rows { steps, forward: cut, backward: cut })
            });
            let exchange = exchange_cuts(name)[place].iter().map(|&[slices, groups, splits, units, rows, tile, ahead]| {
                let tile_cut = TileCut { slices, groups, splits, units, rows: tile, ..by_exchange.tile };
                let cut = ExchangeCut { tile: tile_cut, rows, ahead: ahead > 0, ..by_exchange };
                let words =
                    format!("exchange {slices} x {splits} slices, {groups} x {units} units, {rows} rows by {tile}, {ahead} ahead");
                (words, TimeLoop::Exchange { steps, forward: cut, backward: cut })
            });
            for (words, time_loop) in rows.chain(exchange) {
                let begin = Instant::now();
                let program = |tensors: &Tensors| match place {
                    1 => tensors.backward(&time_loop),
                    _ => tensors.forward(&time_loop, true),
                };
                let both = program(&once).and_then(|once| Ok([once, program(&twice)?]));
                let made = 1e3 * begin.elapsed().as_secs_f64();
                let time = both.and_then(|[once, twice]| a_step(warmth, size, [&once, &twice]));
                let time = time.map_or_else(|error| error.to_string(), |time| format!("{time:.3}"));
                say(format!("| {name} | {kernel} | {words} | {time} | {made:.0} |\n"));
            }
        }
    }
    Ok(())
}
