#import shared/matmul

// Matrix product for CPU-class adapters with subgroups of 8. Interface and bindings: shared/matmul.wgsl.
//
// A workgroup is one subgroup of 8 invocations and owns 32 x 32 elements of c; an invocation owns 4 columns of all 32
// rows. workgroups: (ceil(n / 32), ceil(m / 32), 1).
//
// Departures from the plain loop of the twin (reference::matmul):
// 1. No barrier and no workgroup memory: a software rasteriser suspends every invocation of a workgroup at each
//    barrier, and its workgroup memory is as slow as a buffer.
// 2. It also loads lane by lane, even where all lanes load from one address. So no number is loaded twice: an
//    invocation loads 4 rows of a and 4 columns of b, and the rows go round the subgroup by broadcasts, which are
//    single instructions.
// 3. k goes in steps of 4: 8 loads of vec4 for 512 multiply-adds per invocation. The sums stay in registers and on the
//    stack.
// 4. Rows and columns outside the matrices read the last ones inside, and are not stored.
// 5. With LONG_K a sum has parts of 256: four k's are summed before they are added.

@compute @workgroup_size(8)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(subgroup_invocation_id) lane: u32) {
    let first_row = workgroup.y * 32u;
    let column = workgroup.x * 32u + lane * 4u;
    let own_row = inside(first_row + lane * 4u, params.m);
    let own_column = inside(column, params.n);
    let a_lines = lines_a(own_row);
    let b_lines = lines_b(own_column);

    // sumsN: the four rows that lane N loads. Column i is row i.
    var sums0 = mat4x4<f32>();
    var sums1 = mat4x4<f32>();
    var sums2 = mat4x4<f32>();
    var sums3 = mat4x4<f32>();
    var sums4 = mat4x4<f32>();
    var sums5 = mat4x4<f32>();
    var sums6 = mat4x4<f32>();
    var sums7 = mat4x4<f32>();
    // The sums of the parts so far.
    var totals0 = mat4x4<f32>();
    var totals1 = mat4x4<f32>();
    var totals2 = mat4x4<f32>();
    var totals3 = mat4x4<f32>();
    var totals4 = mat4x4<f32>();
    var totals5 = mat4x4<f32>();
    var totals6 = mat4x4<f32>();
    var totals7 = mat4x4<f32>();
    for (var begin = 0u; begin < params.k; begin += part_of_k(256u)) {
        let end_of_part = min(begin + part_of_k(256u), params.k);
        for (var k = begin; k < end_of_part; k += 4u) {
            let columns = block_b(b_lines, own_column, k);
            // Column i: the four k's of row i.
            let own = transpose(block_a(a_lines, own_row, k));
            let x = own[0];
            let y = own[1];
            let z = own[2];
            let w = own[3];
            // The lane of a broadcast must be a constant.
            sums0 += columns * mat4x4<f32>(
                subgroupBroadcast(x, 0u), subgroupBroadcast(y, 0u), subgroupBroadcast(z, 0u), subgroupBroadcast(w, 0u),
            );
            sums1 += columns * mat4x4<f32>(
                subgroupBroadcast(x, 1u), subgroupBroadcast(y, 1u), subgroupBroadcast(z, 1u), subgroupBroadcast(w, 1u),
            );
            sums2 += columns * mat4x4<f32>(
                subgroupBroadcast(x, 2u), subgroupBroadcast(y, 2u), subgroupBroadcast(z, 2u), subgroupBroadcast(w, 2u),
            );
            sums3 += columns * mat4x4<f32>(
                subgroupBroadcast(x, 3u), subgroupBroadcast(y, 3u), subgroupBroadcast(z, 3u), subgroupBroadcast(w, 3u),
            );
            sums4 += columns * mat4x4<f32>(
                subgroupBroadcast(x, 4u), subgroupBroadcast(y, 4u), subgroupBroadcast(z, 4u), subgroupBroadcast(w, 4u),
            );
            sums5 += columns * mat4x4<f32>(
                subgroupBroadcast(x, 5u), subgroupBroadcast(y, 5u), subgroupBroadcast(z, 5u), subgroupBroadcast(w, 5u),
            );
            sums6 += columns * mat4x4<f32>(
                subgroupBroadcast(x, 6u), subgroupBroadcast(y, 6u), subgroupBroadcast(z, 6u), subgroupBroadcast(w, 6u),
            );
            sums7 += columns * mat4x4<f32>(
                subgroupBroadcast(x, 7u), subgroupBroadcast(y, 7u), subgroupBroadcast(z, 7u), subgroupBroadcast(w, 7u),
            );
        }
        if LONG_K {
            totals0 += sums0;
            sums0 = mat4x4<f32>();
            totals1 += sums1;
            sums1 = mat4x4<f32>();
            totals2 += sums2;
            sums2 = mat4x4<f32>();
            totals3 += sums3;
            sums3 = mat4x4<f32>();
            totals4 += sums4;
            sums4 = mat4x4<f32>();
            totals5 += sums5;
            sums5 = mat4x4<f32>();
            totals6 += sums6;
            sums6 = mat4x4<f32>();
            totals7 += sums7;
            sums7 = mat4x4<f32>();
        }
    }
    if LONG_K {
        sums0 = totals0;
        sums1 = totals1;
        sums2 = totals2;
        sums3 = totals3;
        sums4 = totals4;
        sums5 = totals5;
        sums6 = totals6;
        sums7 = totals7;
    }

    let bias = bias_of(column);
    // A loop, so that the stores are compiled once: eight copies would take longer to compile than all the rest.
    let end = min(first_row + 32u, params.m);
    for (var row = first_row; row < end; row += 4u) {
        store_rows(row, column, sums0, bias);
        sums0 = sums1;
        sums1 = sums2;
        sums2 = sums3;
        sums3 = sums4;
        sums4 = sums5;
        sums5 = sums6;
        sums6 = sums7;
    }
}
