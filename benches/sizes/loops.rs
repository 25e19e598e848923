//! The time loop by itself, without the products around it.

use wgpu_gru::rng::SplitMix64;
use wgpu_gru::{Gpu, Gru, GruConfig, Program, Result, RowsCut, Schedule, Tensor, TimeLoop, Unroll, harness};

use crate::case::Size;
use crate::clock::on_gpu;

/// What the steps of a cell read and write. Nothing of it is checked here: the suite does that, and a pass over its own
/// results takes as long.
struct Tensors {
    sizes: [usize; 3],
    weight: Tensor,
    packed: Tensor,
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
            packed: tensor(3 * hidden * hidden, bound)?,
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
        let packed = matches!(time_loop, TimeLoop::Step { .. }).then_some(&self.packed);
        harness::Steps { packed, ..self.steps() }.forward(time_loop, save)
    }

    fn backward(&self, time_loop: &TimeLoop) -> Result<Program> {
        self.steps().backward(time_loop, [&self.d_output, &self.d_state[0], &self.d_state[1]])
    }
}

fn a_step(gpu: &Gpu, size: Size, program: &Program) -> Result<f64> {
    let time = on_gpu(gpu, |encoder| {
        program.encode(encoder);
        Ok(())
    })?;
    Ok(time / size.seq_len as f64)
}

/// Microseconds of a step: forward, forward with what training saves, backward.
pub(crate) fn steps(gpu: &Gpu, size: Size, schedule: Schedule) -> Result<[f64; 3]> {
    let tensors = Tensors::new(gpu, size)?;
    let layer = Gru::new(gpu, GruConfig::new(size.input, size.hidden), 1)?;
    let of = |unroll: Unroll| -> Result<TimeLoop> {
        Ok(*layer.unroll(unroll.schedule(schedule))?.plan().time_loop())
    };
    let inference = of(Unroll::inference(size.seq_len, size.batch))?;
    let training = of(Unroll::training(size.seq_len, size.batch))?;
    Ok([
        a_step(gpu, size, &tensors.forward(&inference, false)?)?,
        a_step(gpu, size, &tensors.forward(&training, true)?)?,
        a_step(gpu, size, &tensors.backward(&training)?)?,
    ])
}

/// A table over cuts of steps by rows.
pub(crate) fn cuts(gpu: &Gpu, sizes: &[(&str, Size)], mut say: impl FnMut(String)) -> Result<()> {
    let small = Gru::new(gpu, GruConfig::new(4, 16), 1)?.unroll(Unroll::inference(2, 1).schedule(Schedule::Rows))?;
    let &TimeLoop::Rows { forward: of_device, .. } = small.plan().time_loop() else { return Ok(()) };
    say("| | kernel | rows | slices | units | ahead | us a step |\n|---|---|---|---|---|---|---|\n".into());
    for &(name, size) in sizes {
        let tensors = Tensors::new(gpu, size)?;
        let cut = |rows, slices, units, ahead| RowsCut { slices, units, rows, ahead, ..of_device };
        let mut each = |kernel: &str, list: &[[u32; 4]], program: &dyn Fn(&TimeLoop) -> Result<Program>| -> Result<()> {
            for &[rows, slices, units, ahead] in list {
                let cut = cut(rows, slices, units, ahead);
                let time_loop = TimeLoop::Rows { steps: size.seq_len, forward: cut, backward: cut };
                let time = program(&time_loop).and_then(|program| a_step(gpu, size, &program));
                let time = time.map_or_else(|error| error.to_string(), |time| format!("{time:.3}"));
                say(format!("| {name} | {kernel} | {rows} | {slices} | {units} | {ahead} | {time} |\n"));
            }
            Ok(())
        };
        let many = size.batch > 128;
        let forward: &[[u32; 4]] = if many {
            &[[1, 2, 1, 4], [2, 2, 1, 4], [2, 4, 1, 4], [4, 4, 1, 2], [4, 4, 1, 4], [4, 8, 1, 2]]
        } else {
            &[[1, 1, 1, 8], [1, 2, 1, 1], [1, 2, 1, 4], [1, 2, 1, 8], [1, 4, 1, 4], [1, 4, 1, 8]]
        };
        let backward: &[[u32; 4]] = if many {
            &[[1, 4, 2, 1], [2, 4, 2, 1], [2, 8, 2, 1], [4, 4, 1, 1], [4, 8, 2, 1], [4, 8, 2, 2], [4, 8, 1, 1]]
        } else {
            &[[1, 2, 1, 1], [1, 4, 1, 1], [1, 4, 2, 1], [1, 4, 2, 2], [1, 4, 2, 4], [1, 8, 2, 1], [1, 8, 4, 1], [1, 2, 2, 1]]
        };
        each("forward", forward, &|time_loop| tensors.forward(time_loop, false))?;
        each("forward, saved", forward, &|time_loop| tensors.forward(time_loop, true))?;
        each("backward", backward, &|time_loop| tensors.backward(time_loop))?;
    }
    Ok(())
}
