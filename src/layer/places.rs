//! Tensors that an unrolled layer is to work on instead of making its own.

use crate::config::Config;
use crate::error::{Error, Result, expect_shape};
use crate::gpu::{Gpu, Tensor};
use crate::layer::parameters::expect_fours;
use crate::layer::{Parameters, Workspace};
use crate::plan::External;
use crate::unroll::{Mode, Unroll};

/// Tensors that an unrolled layer is to work on instead of making its own: buffers of the app
/// ([`Tensor::from_buffer`]), or what another layer reads or writes, such as its output. What is `None` the layer
/// makes. Shapes are those of the tensors that they stand for, see [`Unrolled`](crate::Unrolled).
///
/// Where H is a multiple of 4, steps read four numbers at a time: then states and their gradients, and `d_output`,
/// begin at a multiple of 16 bytes in their buffer.
///
/// A tensor that the layer writes lies in a buffer of which the layer reads nothing, because a GPU binds a buffer
/// either to be read or to be written. One exception: `h0` and `h_n` may be the very same tensor; then each forward
/// pass goes on where the last one ended.
///
/// ```no_run
/// # fn example(gpu: &wgpu_gru::Gpu, sensors: &wgpu_gru::wgpu::Buffer) -> wgpu_gru::Result<()> {
/// use wgpu_gru::{Gru, GruConfig, ExternalTensors, Tensor, Unroll};
/// let gru = Gru::new(gpu, GruConfig::new(8, 32), 1)?;
/// let input = Tensor::from_buffer(gpu, sensors.slice(..), &[10, 64, 8])?;
/// let net = gru.unroll_with(Unroll::inference(10, 64), &ExternalTensors { input: Some(input), ..ExternalTensors::default() })?;
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, Default)]
pub struct ExternalTensors {
    /// Read: `[T, B, I]`, or `[B, T, I]` if batch-first.
    pub input: Option<Tensor>,
    /// Read: `[LD, B, H]`.
    pub h0: Option<Tensor>,
    /// Written: `[T, B, DH]`, or `[B, T, DH]` if batch-first.
    pub output: Option<Tensor>,
    /// Written: `[LD, B, H]`.
    pub h_n: Option<Tensor>,
    /// Read, for training: in the layout of the output.
    pub d_output: Option<Tensor>,
    /// Read, for training: `[LD, B, H]`.
    pub d_h_n: Option<Tensor>,
    /// Written, for training: in the layout of the input.
    pub d_input: Option<Tensor>,
    /// Written, for training: `[LD, B, H]`.
    pub d_h0: Option<Tensor>,
    /// Written, for training.
    pub gradients: Option<Parameters>,
    /// Scratch memory that is shared with other layers.
    pub workspace: Option<Workspace>,
}

impl ExternalTensors {
    /// Checks everything, and says what is given.
    pub(super) fn validate(
        &self,
        gpu: &Gpu,
        config: &Config,
        unroll: &Unroll,
        parameters: &Parameters,
    ) -> Result<External> {
        let (t, b) = (unroll.seq_len, unroll.batch);
        let outer = |features: usize| if config.batch_first { [b, t, features] } else { [t, b, features] };
        let (input, output) = (outer(config.input_size), outer(config.output_size()));
        let state = [config.num_cells(), b, config.hidden_size];
        let read = [
            ("input", &self.input, input),
            ("h0", &self.h0, state),
            ("d_output", &self.d_output, output),
            ("d_h_n", &self.d_h_n, state),
        ];
        let written = [
            ("output", &self.output, output),
            ("h_n", &self.h_n, state),
            ("d_input", &self.d_input, input),
            ("d_h0", &self.d_h0, state),
        ];
        let there = |places: [(&'static str, &'_ Option<Tensor>, [usize; 3]); 4]| {
            places.map(|(name, tensor, shape)| (name, tensor.clone(), shape))
        };
        let mut reads: Vec<(&'static str, Tensor)> = Vec::new();
        let mut writes: Vec<(&'static str, Tensor)> = Vec::new();
        for (list, places) in [(&mut reads, there(read)), (&mut writes, there(written))] {
            for (name, tensor, shape) in places {
                let Some(tensor) = tensor else { continue };
                if name.starts_with("d_") && unroll.mode == Mode::Inference {
                    return Err(Error::TrainingOption { option: name });
                }
                expect_shape(name, &shape, tensor.shape())?;
                tensor.expect_on(gpu, name)?;
                if !matches!(name, "input" | "output" | "d_input") {
                    expect_fours(config, name, &tensor)?;
                }
                if tensor.is_shared_scratch() {
                    return Err(Error::Aliased { first: name, second: "the scratch of a workspace" });
                }
                list.push((name, tensor));
            }
        }
        if self.d_input.is_some() && !unroll.input_gradient {
            let because = "Unroll::input_gradient says that it is not wanted";
            return Err(Error::OptionUnavailable { option: "a place for d_input", because });
        }
        reads.extend(parameters.tensors().map(|tensor| ("a weight", tensor.clone())));
        if let Some(gradients) = &self.gradients {
            if unroll.mode == Mode::Inference {
                return Err(Error::TrainingOption { option: "gradients" });
            }
            gradients.validate(gpu, config, "d_")?;
            writes.extend(gradients.tensors().map(|tensor| ("a gradient", tensor.clone())));
        }
        expect_apart(&reads, &writes)?;
        let phase = |tensor: &Option<Tensor>| tensor.as_ref().map(Tensor::phase);
        Ok(External {
            input: phase(&self.input),
            output: phase(&self.output),
            h0: phase(&self.h0),
            h_n: phase(&self.h_n),
            d_output: phase(&self.d_output),
            d_h_n: phase(&self.d_h_n),
            d_input: phase(&self.d_input),
            d_h0: phase(&self.d_h0),
            gradients: self.gradients.as_ref().map(Parameters::phases),
            weights: parameters.phases(),
            states_share: self.h0.as_ref().zip(self.h_n.as_ref()).is_some_and(|(h0, h_n)| h0.is_beside(h_n)),
            one_state: self.h0.as_ref().zip(self.h_n.as_ref()).is_some_and(|(h0, h_n)| h0.is_same_memory(h_n)),
            sources: false,
            directions_apart: !parameters.lie_evenly(config.directions()),
            layers_apart: !parameters.lie_evenly(config.num_cells()),
            weights_apart: !parameters.all_lie_evenly(),
        })
    }
}

/// Checks that what is written overlaps with nothing else that is written, and shares no buffer with what is read.
fn expect_apart(reads: &[(&'static str, Tensor)], writes: &[(&'static str, Tensor)]) -> Result<()> {
    for (place, (second, written)) in writes.iter().enumerate() {
        if let Some((first, _)) = writes[..place].iter().find(|(_, other)| other.overlaps(written)) {
            return Err(Error::Aliased { first, second });
        }
        let meets = |&&(first, ref read): &&(&'static str, Tensor)| {
            let is_state = (first, *second) == ("h0", "h_n");
            read.buffer() == written.buffer()
                && !(is_state && (read.is_same_memory(written) || !read.overlaps(written)))
        };
        if let Some((first, _)) = reads.iter().find(meets) {
            return Err(Error::Aliased { first, second });
        }
    }
    Ok(())
}
