//! What an optimiser can do, told once for all of them.

/// The methods that an optimiser around `Optimiser` has, whose options have this name.
macro_rules! methods {
    ($optimiser:ident, $options:literal) => {
        impl $optimiser {
            /// Changes the step size, before the next submission's commands run:
            /// [`LearningRate`](crate::train::LearningRate) has what it may be from step to step.
            ///
            /// # Errors
            /// [`Error::InvalidOption`](crate::Error::InvalidOption).
            pub fn set_learning_rate(&self, learning_rate: f32) -> Result<()> {
                self.0.set_learning_rate(learning_rate)
            }

            /// The global norm of the gradients at the last step that was recorded, before clipping, `[1]`: of what was
            /// accumulated, if it was. No square in it overflows or vanishes: it is right wherever f32 holds the norm
            /// itself, up to 3.4e38. How many digits it keeps: [Long sums](crate::train#long-sums).
            #[must_use]
            pub fn norm(&self) -> &Tensor {
                self.0.norm()
            }

            #[doc = concat!("How many steps were left out so far, `[1]`: see [`", $options, "::skip_nonfinite`].")]
            /// As an f32 it stops at 16,777,216.
            #[must_use]
            pub fn skipped(&self) -> &Tensor {
                self.0.skipped()
            }

            /// The whole state by name, to be read and written: a second optimiser of the same parameters and options
            /// that gets it goes on to the same bits. Write it before the submission of the next step.
            ///
            /// | name | shape | what |
            /// |---|---|---|
            /// | `scalars` | `[4]` | learning rate, both bias corrections 1 - beta^t, how many passes are accumulated |
            /// | `skipped` | `[1]` | as [`skipped`](Self::skipped) |
            #[doc = state_of!($optimiser)]
            /// | `0.accumulated` | of the parameter | the sum of its gradients, if the options say `accumulate` |
            ///
            /// The number is the place of the parameter in the order in which they were given. The names have a prefix, for
            /// [`StateDict::read`](crate::StateDict::read) and [`write`](crate::StateDict::write).
            pub fn named(&self, prefix: &str) -> impl Iterator<Item = (String, &Tensor)> {
                self.0.named(prefix)
            }

            #[doc = concat!("Records one step; with [`", $options, "::accumulate`] that of the accumulated sum, which")]
            /// begins anew then, whether the step was taken or left out. If nothing was accumulated, nothing changes,
            /// and [`skipped`](Self::skipped) does not count it.
            pub fn encode(&self, encoder: &mut wgpu::CommandEncoder) {
                self.0.encode(encoder);
            }

            /// Records that the gradients are added to those of earlier backward passes since the last step. It belongs
            /// behind each backward pass, also behind the last one before the step:
            ///
            /// ```no_run
            /// # use wgpu_gru::{Gpu, Unrolled};
            #[doc = concat!("# use wgpu_gru::train::", stringify!($optimiser), " as Optimiser;")]
            /// # fn example(gpu: &Gpu, net: &mut Unrolled, optimiser: &Optimiser) -> wgpu_gru::Result<()> {
            /// for _ in 0..4 {
            ///     // .. the next rows into net.input() ..
            ///     gpu.submit(|encoder| {
            ///         net.encode_forward(encoder)?;
            ///         net.encode_backward(encoder)?;
            ///         optimiser.encode_accumulate(encoder)
            ///     })?;
            /// }
            /// gpu.submit(|encoder| Ok(optimiser.encode(encoder)))
            /// # }
            /// ```
            ///
            /// # Errors
            #[doc = concat!("[`NoAccumulation`](crate::Error::NoAccumulation) without [`", $options, "::accumulate`].")]
            pub fn encode_accumulate(&self, encoder: &mut wgpu::CommandEncoder) -> Result<()> {
                self.0.encode_accumulate(encoder)
            }
        }
    };
}

/// The lines of the table of [`methods`] that are an optimiser's own.
macro_rules! state_of {
    (Adam) => {
        "| `0.exp_avg`, `0.exp_avg_sq` | of the parameter | the moments |"
    };
    (Sgd) => {
        "| `0.momentum_buffer` | of the parameter | if there is momentum |"
    };
}

pub(super) use {methods, state_of};
