// The first number of a tensor that is NaN or infinite, in the order in which its steps are taken: found [workgroups],
// of each workgroup the place of the first one that it saw, plus 1; 0 where it saw none.
//
// The tensor is [steps, rows, columns] and lies in input as the strides say; columns are neighbours. A place counts as
// if it were dense, from the last step on if it is reversed. Numbers are read as bits: a compiler may take it that
// there is no NaN.
//
// Twin: reference::find_non_finite, a plain loop. Departure: an invocation looks at every (256 * workgroups)-th number.

struct FindNonFiniteParams {
    offset: u32,
    steps: u32,
    rows: u32,
    columns: u32,
    step_stride: u32,
    row_stride: u32,
    reversed: u32,
    workgroups: u32,
    found_offset: u32,
}

@group(0) @binding(0) var<uniform> params: FindNonFiniteParams;
@group(0) @binding(1) var<storage, read> input: array<u32>;
@group(0) @binding(2) var<storage, read_write> found: array<u32>;

// All bits of a number's exponent: those of NaN and infinity.
const EXPONENT: u32 = 0x7f800000u;
const NOWHERE: u32 = 0xffffffffu;

// The least place that an invocation saw.
var<workgroup> least: atomic<u32>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) invocation: u32) {
    // Workgroup memory begins as it was left.
    if invocation == 0u {
        atomicStore(&least, NOWHERE);
    }
    workgroupBarrier();
    let of_step = params.rows * params.columns;
    var own = NOWHERE;
    for (var i = workgroup.x * 256u + invocation; i < params.steps * of_step; i += params.workgroups * 256u) {
        let step = i / of_step;
        let row = (i - step * of_step) / params.columns;
        let column = i - step * of_step - row * params.columns;
        let taken = select(step, params.steps - 1u - step, params.reversed == 1u);
        let at = params.offset + taken * params.step_stride + row * params.row_stride + column;
        if (input[at] & EXPONENT) == EXPONENT {
            own = i;
            break;
        }
    }
    atomicMin(&least, own);
    workgroupBarrier();
    if invocation == 0u {
        // Nowhere becomes 0.
        found[params.found_offset + workgroup.x] = atomicLoad(&least) + 1u;
    }
}
