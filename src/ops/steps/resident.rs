//! Steps whose workgroups meet after each: what is dispatched before them and behind them.

use crate::error::Result;
use crate::gpu::{Gpu, GroupId, ProgramBuilder, Tensor};
use crate::kernels::{RESIDENT_BEGIN, ResidentBegin, ResidentBeginParams};

/// The words where workgroups meet: the workgroups of the dispatch behind them, how many have come, what was decided.
pub(crate) fn meeting(gpu: &Gpu) -> Result<Tensor> {
    Tensor::for_workgroups(gpu, "meeting", 5)
}

/// A dispatch of steps whose workgroups meet, and one that does the work where they do not.
pub(super) fn dispatch<'a>(
    builder: &mut ProgramBuilder<'a>,
    meeting: &'a Tensor,
    [resident, alone]: [(GroupId, [u32; 3]); 2],
    params: &impl bytemuck::Pod,
) {
    let [x, y, z] = alone.1;
    let begin = builder.gpu().kernel(&RESIDENT_BEGIN, &[]);
    let storage = ResidentBegin { meeting: meeting.view().0 };
    builder.once(begin, &ResidentBeginParams { x, y, z }, storage.storage(), [1, 1, 1]);
    builder.dispatch_with(resident.0, params, resident.1);
    builder.dispatch_as_left(alone.0, params, meeting);
}
