//! Tensors that a list says: made, taken from a workspace, or given.

use crate::error::Result;
use crate::gpu::{Gpu, Tensor};
use crate::layer::Workspace;
use crate::plan::tensors::{Owner, Placed, Tensors};

/// The tensors of a list, in zeroed buffers of their own but for those that are given, and for scratch where there is a
/// workspace: its n-th buffer is that of the n-th scratch buffer of every list.
pub(super) fn make(
    gpu: &Gpu,
    list: &Tensors,
    mut given: Vec<Option<Tensor>>,
    workspace: Option<&Workspace>,
) -> Result<Vec<Tensor>> {
    if let Some(workspace) = workspace {
        workspace.expect_device(gpu)?;
    }
    let mut scratch = 0;
    let mut buffers: Vec<Option<Tensor>> = Vec::with_capacity(list.buffers.len());
    for buffer in &list.buffers {
        let shape = [buffer.elements];
        buffers.push(match (buffer.owner, workspace) {
            (Owner::External, _) => None,
            (Owner::Scratch, Some(workspace)) => {
                scratch += 1;
                Some(workspace.take(scratch - 1, buffer.name, &shape)?)
            }
            (Owner::Scratch | Owner::Layer, _) => Some(Tensor::named(gpu, buffer.name, &shape, None)?),
        });
    }
    given.resize(list.placed.len(), None);
    let tensors = list.placed.iter().zip(given).map(|(placed, given)| {
        let Placed { buffer, offset, shape } = placed;
        match (&buffers[*buffer], given) {
            (Some(whole), _) => whole.part(*offset, shape),
            (None, Some(given)) => given,
            (None, None) => unreachable!("{} is given", list.buffers[*buffer].name),
        }
    });
    Ok(tensors.collect())
}
