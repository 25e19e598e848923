//! A layer laid out over time: its buffers, its plan, and its two programs.
//!
//! One buffer `h [T+1, B, H]` holds every state: `output = h[1..]`, `h_prev = h[..T]`, without a copy. One buffer
//! `gates [T, B, 4, H]` holds x_proj = (r, z, n) before a step, (r, z, n, hn) after it, and after the step backward
//! (d_ar, d_az, d_an, d_hn), where `d_x_proj = (d_ar, d_az, d_an)` and `d_h_proj = (d_ar, d_az, d_hn)`.

use crate::config::{GruConfig, Mode, Unroll};
use crate::error::{Error, Result, expect_shape};
use crate::gpu::{Gpu, Program, ProgramBuilder, Tensor};
use crate::layer::{Gru, GruParameters};
use crate::ops::{self, MatmulArgs, Matrix, OutputGradients, Recurrence};
use crate::plan::{Plan, gates_width};

/// A layer laid out over T steps of B rows. Every buffer, bind group and pipeline is made when this is; recording makes
/// nothing, submits nothing, and waits for nothing.
///
/// Write the input into [`input`](Self::input) (from the host, or on the GPU), and the first state into
/// [`h0`](Self::h0), which is zero at first and keeps what is written. After a forward pass
/// [`output`](Self::output) and [`h_n`](Self::h_n) hold the states. For training write the gradients of the loss into
/// [`d_output`](Self::d_output) and [`d_h_n`](Self::d_h_n), which are zero at first; after a backward pass
/// [`gradients`](Self::gradients) holds the rest.
#[derive(Debug)]
pub struct UnrolledGru {
    gpu: Gpu,
    config: GruConfig,
    plan: Plan,
    input: Tensor,
    h: Tensor,
    output: Tensor,
    h0: Tensor,
    h_n: Tensor,
    forward: Program,
    training: Option<Training>,
}

#[derive(Debug)]
struct Training {
    d_output: Tensor,
    d_h_n: Tensor,
    gradients: GruGradients,
    backward: Program,
    /// A forward pass was recorded whose saved gates no backward pass has used up.
    saved: bool,
}

/// What a forward pass gives, on the GPU.
#[derive(Debug, Clone)]
pub struct GruOutput {
    /// The state after each step, `[T, B, H]`.
    pub output: Tensor,
    /// The state after the last step, `[B, H]`: a part of `output`'s buffer.
    pub h_n: Tensor,
}

/// What a backward pass gives, on the GPU. Each backward pass replaces the gradients; it does not add to them.
#[derive(Debug, Clone)]
pub struct GruGradients {
    /// The gradients of weights and biases.
    pub parameters: GruParameters,
    /// The gradient of the input, `[T, B, I]`, unless [`Unroll::input_gradient`] says that it is not wanted.
    pub input: Option<Tensor>,
    /// The gradient of the first state, `[B, H]`.
    pub h0: Tensor,
}

impl UnrolledGru {
    pub(super) fn new(gru: &Gru, unroll: &Unroll) -> Result<Self> {
        let (gpu, config) = (&gru.gpu, &gru.config);
        let plan = Plan::new(config, unroll, gpu.limits(), gpu.info().device_type)?;
        let (t, b) = (unroll.seq_len(), unroll.batch());
        let (i, hidden) = (config.input_size(), config.hidden_size());
        let zeros = |name, shape: &[usize]| Tensor::named(gpu, name, shape, None);

        let input = zeros("input", &[t, b, i])?;
        let h = zeros("h", &[t + 1, b, hidden])?;
        let gates = zeros("gates", &[t, b, gates_width(unroll.mode()), hidden])?;
        let layer = Layer { gru, plan: &plan, unroll, input: &input, h: &h, gates: &gates };
        let forward = layer.forward()?;
        let training = match unroll.mode() {
            Mode::Inference => None,
            Mode::Training => {
                let d_output = zeros("d_output", &[t, b, hidden])?;
                let d_h_n = zeros("d_h_n", &[b, hidden])?;
                let gradients = GruGradients {
                    parameters: GruParameters::new(gpu, config, None)?,
                    input: unroll.has_input_gradient().then(|| zeros("d_input", &[t, b, i])).transpose()?,
                    h0: zeros("d_h0", &[b, hidden])?,
                };
                let backward = layer.backward(&d_output, &d_h_n, &gradients)?;
                Some(Training { d_output, d_h_n, gradients, backward, saved: false })
            }
        };
        Ok(Self {
            gpu: gpu.clone(),
            config: config.clone(),
            output: h.outer(1..t + 1)?,
            h0: h.outer(0..1)?.reshape(&[b, hidden])?,
            h_n: h.outer(t..t + 1)?.reshape(&[b, hidden])?,
            plan,
            input,
            h,
            forward,
            training,
        })
    }

    /// The sizes of the layer.
    #[must_use]
    pub fn config(&self) -> &GruConfig {
        &self.config
    }

    /// What will be done: schedule, tiles, chunks, dispatches, FLOPs, bytes.
    #[must_use]
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The plan in words, with the dispatches as they are recorded, kernel by kernel.
    #[must_use]
    pub fn explain(&self) -> String {
        let list = |program: &Program| {
            program.kernels().iter().map(|(label, count)| format!(" {label} {count}")).collect::<String>()
        };
        let mut text = format!("{}\n  recorded forward:{}", self.plan, list(&self.forward));
        if let Some(training) = &self.training {
            text += &format!("\n  recorded backward:{}", list(&training.backward));
        }
        text
    }

    /// The input, `[T, B, I]`, to be written.
    #[must_use]
    pub fn input(&self) -> &Tensor {
        &self.input
    }

    /// The first state, `[B, H]`, to be written; zero at first. A part of the buffer of [`states`](Self::states).
    #[must_use]
    pub fn h0(&self) -> &Tensor {
        &self.h0
    }

    /// All states, `[T+1, B, H]`: `h0`, then `output`.
    #[must_use]
    pub fn states(&self) -> &Tensor {
        &self.h
    }

    /// The state after each step, `[T, B, H]`.
    #[must_use]
    pub fn output(&self) -> &Tensor {
        &self.output
    }

    /// The state after the last step, `[B, H]`.
    #[must_use]
    pub fn h_n(&self) -> &Tensor {
        &self.h_n
    }

    /// The gradient of the loss with respect to [`output`](Self::output), `[T, B, H]`, to be written; zero at first.
    ///
    /// # Errors
    /// [`Error::NotTraining`].
    pub fn d_output(&self) -> Result<&Tensor> {
        Ok(&self.training()?.d_output)
    }

    /// The gradient of the loss with respect to [`h_n`](Self::h_n), `[B, H]`, to be written; zero at first. It is added
    /// to that of the last step of [`d_output`](Self::d_output).
    ///
    /// # Errors
    /// [`Error::NotTraining`].
    pub fn d_h_n(&self) -> Result<&Tensor> {
        Ok(&self.training()?.d_h_n)
    }

    /// What the backward pass makes.
    ///
    /// # Errors
    /// [`Error::NotTraining`].
    pub fn gradients(&self) -> Result<&GruGradients> {
        Ok(&self.training()?.gradients)
    }

    /// Records the forward pass into the app's encoder, as one compute pass.
    ///
    /// # Errors
    /// [`Error::DeviceLost`], where that is known; then nothing is recorded.
    pub fn encode_forward(&mut self, encoder: &mut wgpu::CommandEncoder) -> Result<()> {
        self.gpu.expect_alive()?;
        if let Some(training) = &mut self.training {
            training.saved = true;
        }
        self.forward.encode(encoder);
        Ok(())
    }

    /// Records the backward pass into the app's encoder, as one compute pass. It uses up what the forward pass saved.
    ///
    /// # Errors
    /// [`Error::NotTraining`], [`Error::BackwardWithoutForward`], [`Error::DeviceLost`]; then nothing is recorded.
    pub fn encode_backward(&mut self, encoder: &mut wgpu::CommandEncoder) -> Result<()> {
        self.gpu.expect_alive()?;
        let training = self.training.as_mut().ok_or(Error::NotTraining)?;
        if !training.saved {
            return Err(Error::BackwardWithoutForward);
        }
        training.saved = false;
        training.backward.encode(encoder);
        Ok(())
    }

    /// Copies x `[T, B, I]` and `h0` `[B, H]` (zero if `None`) to their places, runs the forward pass and submits it.
    /// It does not wait.
    ///
    /// # Errors
    /// [`Error::ShapeMismatch`], [`Error::ForeignDevice`], [`Error::DeviceLost`], and [`Error::Aliased`] for an `h0` that
    /// is another part of [`states`](Self::states), such as `h_n`: copy it to a tensor of its own first. Then nothing is
    /// submitted.
    pub fn forward(&mut self, x: &Tensor, h0: Option<&Tensor>) -> Result<GruOutput> {
        self.expect("x", x, self.input.shape())?;
        if let Some(h0) = h0 {
            self.expect("h0", h0, self.h0.shape())?;
        }
        let gpu = self.gpu.clone();
        gpu.submit(|encoder| {
            encode_copy_or_clear(encoder, &self.input, Some(x))?;
            encode_copy_or_clear(encoder, &self.h0, h0)?;
            self.encode_forward(encoder)
        })?;
        Ok(GruOutput { output: self.output.clone(), h_n: self.h_n.clone() })
    }

    /// Copies the gradients of the outputs (zero if `None`) to their places, runs the backward pass and submits it. It
    /// does not wait.
    ///
    /// # Errors
    /// [`Error::NotTraining`], [`Error::BackwardWithoutForward`], [`Error::ShapeMismatch`], [`Error::ForeignDevice`];
    /// then nothing is recorded.
    pub fn backward(&mut self, d_output: Option<&Tensor>, d_h_n: Option<&Tensor>) -> Result<GruGradients> {
        let training = self.training()?;
        if !training.saved {
            return Err(Error::BackwardWithoutForward);
        }
        let places = [("d_output", training.d_output.clone(), d_output), ("d_h_n", training.d_h_n.clone(), d_h_n)];
        let gradients = training.gradients.clone();
        for (name, place, source) in &places {
            if let Some(source) = source {
                self.expect(name, source, place.shape())?;
            }
        }
        let gpu = self.gpu.clone();
        gpu.submit(|encoder| {
            for (_, place, source) in &places {
                encode_copy_or_clear(encoder, place, *source)?;
            }
            self.encode_backward(encoder)
        })?;
        Ok(gradients)
    }

    fn training(&self) -> Result<&Training> {
        self.training.as_ref().ok_or(Error::NotTraining)
    }

    fn expect(&self, name: &'static str, tensor: &Tensor, shape: &[usize]) -> Result<()> {
        expect_shape(name, shape, tensor.shape())?;
        self.input.expect_same_device(name, tensor)
    }
}

/// Copies `source` to its place unless it lies there already, or clears the place.
fn encode_copy_or_clear(encoder: &mut wgpu::CommandEncoder, place: &Tensor, source: Option<&Tensor>) -> Result<()> {
    match source {
        Some(source) if source.is_same_memory(place) => Ok(()),
        Some(source) => place.encode_copy_from(encoder, source),
        None => {
            place.encode_clear(encoder);
            Ok(())
        }
    }
}

/// What the two programs are built of.
struct Layer<'a> {
    gru: &'a Gru,
    plan: &'a Plan,
    unroll: &'a Unroll,
    input: &'a Tensor,
    h: &'a Tensor,
    gates: &'a Tensor,
}

impl<'a> Layer<'a> {
    fn recurrence(&self) -> Recurrence<'a> {
        Recurrence {
            batch: self.unroll.batch(),
            hidden: self.gru.config.hidden_size(),
            weight_hh: &self.gru.parameters.weight_hh,
            h: self.h,
            gates: self.gates,
        }
    }

    /// Each chunk: x_proj of all its steps by one product, then step by step.
    fn forward(&self) -> Result<Program> {
        let mut builder = ProgramBuilder::new(&self.gru.gpu, "gru forward");
        let (batch, i) = (self.unroll.batch(), self.gru.config.input_size());
        let hidden = self.gru.config.hidden_size();
        let mode = self.unroll.mode();
        let width = gates_width(mode) * hidden;
        let parameters = &self.gru.parameters;
        for steps in self.plan.chunks() {
            let rows = steps.len() * batch;
            ops::matmul(
                &mut builder,
                self.plan.tuning().matmul,
                MatmulArgs {
                    size: [rows, 3 * hidden, i],
                    a: Matrix::rows_of(self.input, steps.start * batch * i, rows, i),
                    transpose_a: false,
                    b: Matrix::of(&parameters.weight_ih, i),
                    transpose_b: true,
                    bias: Some(parameters.bias_ih.view().0),
                    c: Matrix::rows_of(self.gates, steps.start * batch * width, rows, width),
                    accumulate: false,
                },
            );
            let save = mode == Mode::Training;
            self.recurrence().forward(&mut builder, self.plan.tuning(), steps.clone(), &parameters.bias_hh, save);
        }
        builder.build()
    }

    /// Each chunk, the last first: step by step, then its share of each gradient by one product or sum.
    fn backward(&self, d_output: &'a Tensor, d_h_n: &'a Tensor, gradients: &'a GruGradients) -> Result<Program> {
        let mut builder = ProgramBuilder::new(&self.gru.gpu, "gru backward");
        let (batch, i) = (self.unroll.batch(), self.gru.config.input_size());
        let hidden = self.gru.config.hidden_size();
        let tuning = self.plan.tuning();
        let d = OutputGradients { output: d_output, h_n: d_h_n, h0: &gradients.h0 };
        let d_parameters = &gradients.parameters;
        for (chunk, steps) in self.plan.chunks().iter().rev().enumerate() {
            self.recurrence().backward(&mut builder, tuning, steps.clone(), d);
            let rows = steps.len() * batch;
            let first = steps.start * batch;
            let d_x_proj = Matrix::rows_of(self.gates, first * 4 * hidden, rows, 4 * hidden);
            let d_h_proj = d_x_proj.with_gap(2 * hidden, hidden);
            let x = Matrix::rows_of(self.input, first * i, rows, i);
            let h_prev = Matrix::rows_of(self.h, first * hidden, rows, hidden);
            let accumulate = chunk > 0;
            for (d_proj, source, columns, d_weight, d_bias) in [
                (d_x_proj, x, i, &d_parameters.weight_ih, &d_parameters.bias_ih),
                (d_h_proj, h_prev, hidden, &d_parameters.weight_hh, &d_parameters.bias_hh),
            ] {
                ops::matmul(
                    &mut builder,
                    tuning.matmul,
                    MatmulArgs {
                        size: [3 * hidden, columns, rows],
                        a: d_proj,
                        transpose_a: true,
                        b: source,
                        transpose_b: false,
                        bias: None,
                        c: Matrix::of(d_weight, columns),
                        accumulate,
                    },
                );
                let total = d_bias.view().0;
                ops::sum_rows(&mut builder, tuning.sum_lanes, d_proj, [rows, 3 * hidden], total, accumulate);
            }
            if let Some(d_input) = &gradients.input {
                ops::matmul(
                    &mut builder,
                    tuning.matmul,
                    MatmulArgs {
                        size: [rows, i, 3 * hidden],
                        a: d_x_proj,
                        transpose_a: false,
                        b: Matrix::of(&self.gru.parameters.weight_ih, i),
                        transpose_b: false,
                        bias: None,
                        c: Matrix::rows_of(d_input, first * i, rows, i),
                        accumulate: false,
                    },
                );
            }
        }
        builder.build()
    }
}
