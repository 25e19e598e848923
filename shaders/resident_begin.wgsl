// Before steps whose workgroups meet: nobody has come, nothing is decided, and the dispatch behind them has all to do. What each
// word means: shared/resident.wgsl.
//
// workgroups: (1, 1, 1). Twin: reference::resident_begin.

struct ResidentBeginParams {
    // Workgroups of the dispatch behind.
    x: u32,
    y: u32,
    z: u32,
}

@group(0) @binding(0) var<uniform> params: ResidentBeginParams;
@group(0) @binding(1) var<storage, read_write> meeting: array<u32>;

@compute @workgroup_size(1)
fn main() {
    meeting[0] = params.x;
    meeting[1] = params.y;
    meeting[2] = params.z;
    meeting[3] = 0u;
    meeting[4] = 0u;
}
