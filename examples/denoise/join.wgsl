// What lies between the layers of the crate: writes a matrix into columns of a wider one, by way of an activation.
//
//     target[row, at + column] = f(source[row, column])

struct Join {
    rows: u32,
    // Of the source and of the target.
    columns: u32,
    width: u32,
    // The first column of the target.
    at: u32,
    // 0: none, 1: tanh, 2: sigmoid, 3: relu.
    activation: u32,
}

@group(0) @binding(0) var<uniform> join: Join;
@group(0) @binding(1) var<storage, read> source: array<f32>;
@group(0) @binding(2) var<storage, read_write> target_rows: array<f32>;

// 1 / (1 + e^-x), without an exponential that overflows.
fn sigmoid(x: f32) -> f32 {
    let e = exp(-abs(x));
    return select(1.0, e, x < 0.0) / (1.0 + e);
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let index = id.y * groups.x * 64u + id.x;
    if index >= join.rows * join.columns {
        return;
    }
    var x = source[index];
    switch join.activation {
        case 1u: { x = 2.0 * sigmoid(2.0 * x) - 1.0; }
        case 2u: { x = sigmoid(x); }
        case 3u: { x = max(x, 0.0); }
        default: {}
    }
    target_rows[index / join.columns * join.width + join.at + index % join.columns] = x;
}
