// States and gates for shared/quads.wgsl that workgroups exchange while they run (shared/resident.wgsl).

@group(0) @binding(2) @coherent var<storage, read_write> h: array<vec4<f32>>;
@group(0) @binding(3) @coherent var<storage, read_write> gates: array<vec4<f32>>;
