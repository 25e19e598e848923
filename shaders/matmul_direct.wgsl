#import shared/matmul

// Matrix product for CPU-class adapters without subgroups of 8. Interface and bindings: shared/matmul.wgsl.
//
// A workgroup of 8 invocations, 4 across and 2 down, owns 16 rows by 32 columns of c; an invocation owns 8 x 8 of them.
// workgroups: (ceil(n / 32), ceil(m / 16), 1).
//
// Departures from the plain loop of the twin (reference::matmul):
// 1. No barrier and no workgroup memory: a software rasteriser suspends every invocation of a workgroup at each
//    barrier, and its workgroup memory is as slow as a buffer.
// 2. Its loads are slow, so k goes in steps of 4: 16 loads of vec4 for 256 multiply-adds per invocation. The sums stay
//    in registers and on the stack.
// 3. Rows and columns outside the matrices read the last ones inside, and are not stored.
// 4. With LONG_K a sum has parts of 256: four k's are summed before they are added.

@compute @workgroup_size(8)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_id) local: vec3<u32>) {
    let row = workgroup.y * 16u + local.x / 4u * 8u;
    let column = workgroup.x * 32u + local.x % 4u * 8u;
    let row0 = inside(row, params.m);
    let row1 = inside(row + 4u, params.m);
    let column0 = inside(column, params.n);
    let column1 = inside(column + 4u, params.n);
    let a_lines0 = lines_a(row0);
    let a_lines1 = lines_a(row1);
    let b_lines0 = lines_b(column0);
    let b_lines1 = lines_b(column1);

    // sumsRC: the 4 x 4 of row block R and column block C. Column i is row i.
    var sums00 = mat4x4<f32>();
    var sums01 = mat4x4<f32>();
    var sums10 = mat4x4<f32>();
    var sums11 = mat4x4<f32>();
    // The sums of the parts so far.
    var totals00 = mat4x4<f32>();
    var totals01 = mat4x4<f32>();
    var totals10 = mat4x4<f32>();
    var totals11 = mat4x4<f32>();
    for (var begin = 0u; begin < params.k; begin += part_of_k(256u)) {
        let end_of_part = min(begin + part_of_k(256u), params.k);
        for (var k = begin; k < end_of_part; k += 4u) {
            let a0 = transpose(block_a(a_lines0, row0, k));
            let a1 = transpose(block_a(a_lines1, row1, k));
            let b0 = block_b(b_lines0, column0, k);
            let b1 = block_b(b_lines1, column1, k);
            sums00 += b0 * a0;
            sums01 += b1 * a0;
            sums10 += b0 * a1;
            sums11 += b1 * a1;
        }
        if LONG_K {
            totals00 += sums00;
            sums00 = mat4x4<f32>();
            totals01 += sums01;
            sums01 = mat4x4<f32>();
            totals10 += sums10;
            sums10 = mat4x4<f32>();
            totals11 += sums11;
            sums11 = mat4x4<f32>();
        }
    }
    if LONG_K {
        sums00 = totals00;
        sums01 = totals01;
        sums10 = totals10;
        sums11 = totals11;
    }

    let bias0 = bias_of(column);
    let bias1 = bias_of(column + 4u);
    // A loop, so that the stores are compiled once: two copies would take longer to compile than all the rest.
    let end = min(row + 8u, params.m);
    for (var to = row; to < end; to += 4u) {
        store_rows(to, column, sums00, bias0);
        store_rows(to, column + 4u, sums01, bias1);
        sums00 = sums10;
        sums01 = sums11;
    }
}
