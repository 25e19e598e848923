//! The tensors of a plan: made, taken from a workspace, or given.

use crate::error::Result;
use crate::gpu::{Gpu, Tensor};
use crate::layer::make::make;
use crate::layer::{ExternalTensors, Parameters};
use crate::plan::Plan;
use crate::plan::buffers::{CellTensors, Roles};
use crate::plan::tensors::Id;

/// The tensors of an unrolled layer, by their numbers in the plan.
#[derive(Debug)]
pub(super) struct Memory {
    pub(super) tensors: Vec<Tensor>,
    /// The gradients of the parameters, for training.
    pub(super) d_parameters: Option<Parameters>,
}

impl Memory {
    /// Makes what the plan says, and takes what is given.
    pub(super) fn new(gpu: &Gpu, plan: &Plan, places: &ExternalTensors, parameters: &Parameters) -> Result<Self> {
        let roles = plan.roles();
        let mut given: Vec<Option<Tensor>> = vec![None; plan.tensors().placed.len()];
        for (id, tensor) in given_of(roles, places, parameters) {
            given[id.index()] = Some(tensor.clone());
        }
        let tensors = make(gpu, plan.tensors(), given, places.workspace.as_ref())?;
        let d_parameters = roles.training.as_ref().map(|d| Parameters::of(&d.d_weights, &tensors));
        Ok(Self { tensors, d_parameters })
    }

    pub(super) fn tensor(&self, id: Id) -> &Tensor {
        &self.tensors[id.index()]
    }
}

/// The tensors that are given, by what they are. One that the plan has no place for, such as `h0` of its own, is bound
/// where the plan says.
fn given_of<'a>(roles: &Roles, places: &'a ExternalTensors, parameters: &'a Parameters) -> Vec<(Id, &'a Tensor)> {
    let mut given: Vec<(Id, &'a Tensor)> = Vec::new();
    let mut give = |id: Option<Id>, tensor: &'a Option<Tensor>| given.extend(id.zip(tensor.as_ref()));
    give(Some(roles.input), &places.input);
    give(Some(roles.output), &places.output);
    give(Some(roles.h0), &places.h0);
    give(Some(roles.h_n), &places.h_n);
    if let Some(d) = &roles.training {
        give(Some(d.d_output), &places.d_output);
        give(Some(d.d_h_n), &places.d_h_n);
        give(d.d_input, &places.d_input);
        give(Some(d.d_h0), &places.d_h0);
    }
    let of = |ids: &[CellTensors], parameters: &'a Parameters| -> Vec<(Id, &'a Tensor)> {
        let cells = ids.iter().zip(&parameters.cells);
        cells.flat_map(|(ids, cell)| ids.iter().zip(cell.all())).filter_map(|(id, tensor)| (*id).zip(tensor)).collect()
    };
    let gradients = roles.training.as_ref().zip(places.gradients.as_ref());
    given.extend(gradients.into_iter().flat_map(|(d, gradients)| of(&d.d_weights, gradients)));
    given.extend(of(&roles.weights, parameters));
    given
}
