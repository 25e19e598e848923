//! What of an unrolled layer is checked for numbers that are not finite.

use super::{Parameters, Unrolled};
use crate::error::Result;
use crate::finite::{FiniteCheck, Stage, Watched};
use crate::gpu::Tensor;
use crate::plan::buffers::CellTensors;

impl Unrolled {
    /// A check of everything that a forward and a backward pass leave: parameters, first states, input, the states of
    /// every layer at every step, and for training all gradients, and `d_output` where rows have no lengths. What lies past
    /// the end of a row does not count. Record it behind the passes, before another layer that shares the [`Workspace`](crate::Workspace) runs.
    ///
    /// Behind a forward pass alone what it says of gradients is that of the last backward pass.
    ///
    /// # Errors
    /// [`Error::LimitExceeded`](crate::Error::LimitExceeded), [`Error::OutOfMemory`](crate::Error::OutOfMemory),
    /// [`Error::DeviceLost`](crate::Error::DeviceLost).
    pub fn finite_check(&self) -> Result<FiniteCheck> {
        let (config, roles, memory) = (self.config(), self.plan().roles(), self.memory());
        let seq_len = self.unroll().seq_len;
        let directions = config.direction.reversed();
        let mut all = Vec::new();
        let mut add = |name: String, tensor: &Tensor, stage, steps| {
            all.push(Watched { name, tensor: tensor.clone(), stage, steps });
        };
        let named = |cells: &[CellTensors]| Parameters::of(cells, &memory.tensors);
        for (name, tensor) in named(&roles.weights).named(config) {
            add(name, tensor, Stage::Given, None);
        }
        add("h0".to_owned(), self.h0(), Stage::Given, None);

        let of_direction = |name: &str, direction: usize| match directions {
            [_] => name.to_owned(),
            _ => format!("{name}, {}", ["forward", "reverse"][direction]),
        };
        // The columns of each direction, and whether it takes the last step first.
        let hidden = config.hidden_size;
        let columns = |direction: usize| direction * hidden..(direction + 1) * hidden;
        if let Some(&input) = roles.layer_inputs.first() {
            // Of two directions the first one says which step is the first.
            add("input".to_owned(), memory.tensor(input), Stage::Forward, Some((0..config.input_size, directions[0])));
        }
        for (layer, &states) in roles.h.iter().enumerate() {
            let states = memory.tensor(states).outer(1..seq_len + 1)?;
            for (direction, &reversed) in directions.iter().enumerate() {
                let name = of_direction(&format!("state of layer {layer}"), direction);
                add(name, &states, Stage::Forward, Some((columns(direction), reversed)));
            }
        }
        if let Some(training) = &roles.training {
            // What it holds past the end of a row is the app's, and stays.
            if let Some(&d_output) = training.d_layers.last().filter(|_| !self.unroll().lengths) {
                for (direction, &reversed) in directions.iter().enumerate() {
                    let name = of_direction("d_output", direction);
                    let steps = Some((columns(direction), !reversed));
                    add(name, memory.tensor(d_output), Stage::Backward, steps);
                }
            }
            add("d_h_n".to_owned(), memory.tensor(training.d_h_n), Stage::Given, None);
            add("d_h0".to_owned(), memory.tensor(training.d_h0), Stage::After, None);
            if let Some(d_input) = training.d_input {
                add("d_input".to_owned(), memory.tensor(d_input), Stage::After, None);
            }
            for (name, tensor) in named(&training.d_weights).named(config) {
                add(format!("d_{name}"), tensor, Stage::After, None);
            }
        }
        FiniteCheck::of(self.h0().gpu(), &all)
    }
}
