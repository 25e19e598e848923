// States and gates for shared/quads.wgsl, of which a workgroup needs none that another one writes in the same dispatch.

@group(0) @binding(2) var<storage, read_write> h: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> gates: array<vec4<f32>>;
