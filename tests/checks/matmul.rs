//! Every matrix product against its twin in f32 and in f64.

use wgpu_gru::MatmulKernel;
use wgpu_gru::f16::{from_f16, to_f16};
use wgpu_gru::harness::{self, Placed};
use wgpu_gru::reference::twins::matmul::{MatmulParams, matmul};
use wgpu_gru::rng::SplitMix64;
use wgpu_gru::{Gpu, Tolerance};

use super::{BRIEF, Outcome, ensure, equal, flat, run};
use crate::support::{close, wide};

checks![around_the_tiles, all_forms, long_sums_of_a_tile, anywhere_in_a_buffer, gap, nothing_past_k];

/// The products by cooperative matrices.
const COOPERATIVE: [MatmulKernel; 2] = [MatmulKernel::Cooperative16, MatmulKernel::Cooperative8];

/// All that the GPU can run; where it was told of cooperative matrices (`cooperative.rs`), those alone.
pub(crate) fn kernels(gpu: &Gpu) -> impl Iterator<Item = MatmulKernel> {
    let told = gpu.cooperative_matrices().is_some();
    let is_wanted = move |kernel: &MatmulKernel| COOPERATIVE.contains(kernel) == told;
    MatmulKernel::ALL.into_iter().filter(is_wanted).filter(|&kernel| harness::supports(gpu, kernel))
}

/// The same, each text once: large tiles have that of the others, and how it loads does not depend on its width.
pub(crate) fn texts(gpu: &Gpu) -> impl Iterator<Item = MatmulKernel> {
    kernels(gpu).filter(|&kernel| kernel != MatmulKernel::TiledLarge)
}

/// Operands that a product is to take as they are: halves, where it works with those. So it is held to the bound of
/// f32.
pub(crate) fn operands(kernel: MatmulKernel, numbers: Vec<f32>) -> Vec<f32> {
    let half = |number: f32| from_f16(to_f16(number));
    if COOPERATIVE.contains(&kernel) { numbers.into_iter().map(half).collect() } else { numbers }
}

/// Where a matrix lies: elements before its stored rows, elements of each row before it and after it, rows after it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Room {
    pub(crate) before: usize,
    pub(crate) left: usize,
    pub(crate) right: usize,
    pub(crate) below: usize,
}

impl Room {
    /// None.
    pub(crate) const NONE: Self = Self { before: 0, left: 0, right: 0, below: 0 };

    /// From one row to the next.
    pub(crate) fn stride(&self, columns: usize) -> usize {
        self.left + columns + self.right
    }
}

/// Rows of `columns` in a buffer with NaN all around.
pub(crate) fn spread(dense: &[f32], columns: usize, room: Room) -> Vec<f32> {
    let mut buffer = vec![f32::NAN; room.before];
    for row in dense.chunks_exact(columns) {
        buffer.resize(buffer.len() + room.left, f32::NAN);
        buffer.extend_from_slice(row);
        buffer.resize(buffer.len() + room.right, f32::NAN);
    }
    buffer.resize(buffer.len() + room.below * room.stride(columns), f32::NAN);
    buffer
}

/// One product on the GPU and by the twin. a is from U(-1, 1), b from U(+-1/sqrt(k)), as weights are. `rooms` are those
/// of a, b, c and the bias. Gives the name of the kernel.
pub(crate) async fn check_in(
    gpu: &Gpu,
    kernel: MatmulKernel,
    params: &MatmulParams,
    has_bias: bool,
    rooms: [Room; 4],
    seed: u64,
) -> Outcome<&'static str> {
    let &MatmulParams { m, n, k, transpose_a, transpose_b, accumulate } = params;
    let mut uniform = SplitMix64::new(seed);
    let a = operands(kernel, uniform.vec(m * k, 1.0));
    let b = operands(kernel, uniform.vec(k * n, 1.0 / (k as f32).sqrt()));
    let bias = has_bias.then(|| uniform.vec(n, 1.0));
    // Without accumulate what c held must not matter.
    let c = if accumulate { uniform.vec(m * n, 1.0) } else { vec![f32::NAN; m * n] };

    let mut narrow = c.clone();
    matmul(params, &a, &b, bias.as_deref(), &mut narrow);
    let mut exact = wide(&c);
    matmul(params, &wide(&a), &wide(&b), bias.as_deref().map(wide).as_deref(), &mut exact);

    let [a_columns, b_columns] = [if transpose_a { m } else { k }, if transpose_b { k } else { n }];
    let [a_room, b_room, c_room, bias_room] = rooms;
    let a = flat(gpu, &spread(&a, a_columns, a_room))?;
    let b = flat(gpu, &spread(&b, b_columns, b_room))?;
    let c = flat(gpu, &spread(&c, n, c_room))?;
    let bias = bias.map(|bias| flat(gpu, &spread(&bias, n, bias_room))).transpose()?;
    let place = |tensor, columns, room: Room| Placed {
        tensor,
        begin: room.before,
        column: room.left,
        stride: room.stride(columns),
    };
    let placed = [place(&a, a_columns, a_room), place(&b, b_columns, b_room), place(&c, n, c_room)];
    let bias = bias.as_ref().map(|bias| (bias, bias_room.before));
    let program = harness::matmul_placed(kernel, params, placed, bias)?;
    run(gpu, &program)?;

    let name = format!("{kernel:?} {params:?} bias {has_bias} {rooms:?}: c");
    let (mut actual, mut around) = (Vec::new(), c.read().await?);
    for row in around[c_room.before..].chunks_exact_mut(c_room.stride(n)).take(m) {
        let row = &mut row[c_room.left..c_room.left + n];
        actual.extend_from_slice(row);
        row.fill(f32::NAN);
    }
    let is_untouched = around.iter().all(|value| value.is_nan());
    ensure(is_untouched, format_args!("{name}: something was written outside of the matrix"))?;
    let tolerance = Tolerance::matmul(k);
    close(&format!("{name} against f64"), &actual, &exact, tolerance)?;
    // Both round.
    close(&format!("{name} against f32"), &actual, &narrow, tolerance.plus(tolerance))?;
    Ok(program.kernels()[0].0)
}

/// A product without room around its matrices.
pub(crate) async fn check(
    gpu: &Gpu,
    kernel: MatmulKernel,
    params: &MatmulParams,
    has_bias: bool,
    seed: u64,
) -> Outcome<&'static str> {
    check_in(gpu, kernel, params, has_bias, [Room::NONE; 4], seed).await
}

/// c = a b.
pub(crate) fn plain(m: usize, n: usize, k: usize) -> MatmulParams {
    MatmulParams { m, n, k, transpose_a: false, transpose_b: false, accumulate: false }
}

/// The four pairs of transposes, each with one of the four of bias and accumulation: these end a product, the others
/// begin it. Each form is a pipeline, and those take their time on a software adapter.
pub(crate) fn forms([m, n, k]: [usize; 3]) -> impl Iterator<Item = (MatmulParams, bool)> {
    [(false, false), (false, true), (true, false), (true, true)].into_iter().map(move |(transpose_a, transpose_b)| {
        let (has_bias, accumulate) = (transpose_a != transpose_b, transpose_a);
        (MatmulParams { m, n, k, transpose_a, transpose_b, accumulate }, has_bias)
    })
}

/// One less than a tile, a tile, one more, for each of m, n, k; sizes of 1; and sizes of four more, which vec4 loads
/// allow.
pub(crate) async fn around_the_tiles(gpu: &Gpu) -> Outcome {
    for kernel in kernels(gpu) {
        let [rows, columns] = kernel.tile().map(|size| size as usize);
        for m in [1, rows - 1, rows, rows + 1, rows + 4] {
            for (n, k) in [(1, 16), (columns - 1, 15), (columns, 17), (columns + 1, 1), (columns + 4, 36)] {
                check(gpu, kernel, &plain(m, n, k), true, (m * n * k) as u64).await?;
            }
        }
    }
    Ok(())
}

/// In browsers half of the forms with one size and the other half with the others: each is a pipeline.
fn is_wanted(number: usize, form: u64) -> bool {
    !BRIEF || matches!(form % 4, 0 | 3) == (number == 0)
}

/// Every form, on prime sizes, on multiples of 4 that are none of a tile, on whole tiles.
pub(crate) async fn all_forms(gpu: &Gpu) -> Outcome {
    for kernel in kernels(gpu) {
        for (number, size) in [[67, 37, 131], [68, 44, 132], [64, 128, 64]].into_iter().enumerate() {
            for (seed, (params, has_bias)) in (0..).zip(forms(size)).filter(|&(form, _)| is_wanted(number, form)) {
                check(gpu, kernel, &params, has_bias, seed).await?;
            }
        }
    }
    Ok(())
}

/// Sums over rows that have parts, in every quarter of a tile: those that begin anew, and those that are added to others.
pub(crate) async fn long_sums_of_a_tile(gpu: &Gpu) -> Outcome {
    for kernel in kernels(gpu) {
        for accumulate in [false, true] {
            let params = MatmulParams { transpose_a: true, accumulate, ..plain(72, 76, 300) };
            check(gpu, kernel, &params, true, 300).await?;
        }
    }
    Ok(())
}

/// Every form with room around the matrices: with all of it in fours around sizes that are none, which vec4 loads
/// allow, and with one operand after the other out of line.
pub(crate) async fn anywhere_in_a_buffer(gpu: &Gpu) -> Outcome {
    let sizes = [[35, 40, 37], [70, 68, 23]].into_iter().take(if BRIEF { 1 } else { 2 });
    // What is missing to a multiple of four.
    let to_four = |size: usize| size.next_multiple_of(4) - size;
    for kernel in texts(gpu) {
        let forms = (0..).zip(sizes.clone().flat_map(forms));
        for (seed, (params, has_bias)) in forms.filter(|&(form, _)| is_wanted(form as usize / 4, form)) {
            let MatmulParams { m, n, k, transpose_a, transpose_b, .. } = params;
            // The last columns have to be four, too.
            let odd = MatmulParams { n: n - 1, ..params };
            let even = Room { before: 4, left: 0, right: 0, below: 4 };
            let rooms = [(m, k, transpose_a), (k, n - 1, transpose_b), (m, n - 1, false)].map(
                |(rows, columns, is_transposed)| Room {
                    right: to_four(if is_transposed { rows } else { columns }),
                    ..even
                },
            );
            let name = check_in(gpu, kernel, &odd, has_bias, [rooms[0], rooms[1], rooms[2], Room::NONE], seed).await?;
            ensure(name.ends_with("_scalar"), format_args!("{odd:?} {rooms:?} runs by {name}"))?;
            let columns = [if transpose_a { m } else { k }, if transpose_b { k } else { n }, n];
            let rows = [if transpose_a { k } else { m }, if transpose_b { n } else { k }, m];
            let room = |i: usize| Room {
                before: 4 + 100 * i,
                left: 4 * i,
                right: to_four(columns[i]) + 4,
                below: to_four(rows[i]) + 40,
            };
            let aligned = [room(0), room(1), room(2), Room { before: 3, ..Room::NONE }];
            let name = check_in(gpu, kernel, &params, has_bias, aligned, seed).await?;
            ensure(!name.ends_with("_scalar"), format_args!("{params:?} {aligned:?} runs by {name}"))?;
            // Where the rows begin, their length, the column.
            for (operand, [before, left, longer]) in
                (0..3).flat_map(|operand| [[1, 0, 0], [0, 0, 1], [0, 1, 0]].map(|wrong| (operand, wrong)))
            {
                let mut rooms = aligned;
                rooms[operand].before += before;
                rooms[operand].left += left;
                rooms[operand].right += longer;
                rooms[operand].right -= left;
                let name = check_in(gpu, kernel, &params, has_bias, rooms, seed).await?;
                ensure(name.ends_with("_scalar"), format_args!("{params:?} {rooms:?} runs by {name}"))?;
            }
        }
    }
    Ok(())
}

/// The gates r, z and hn are taken out of rows of r, z, n, hn. The skipped n is NaN, so that touching it shows.
pub(crate) async fn gap(gpu: &Gpu) -> Outcome {
    for kernel in texts(gpu) {
        for (rows, hidden, columns) in
            [(1, 1, 1), (7, 5, 3), (64, 16, 32), (131, 23, 37), (65, 65, 2), (33, 6, 8), (18, 20, 12)]
        {
            let mut uniform = SplitMix64::new(rows as u64);
            let mut gates = operands(kernel, uniform.vec(rows * 4 * hidden, 1.0));
            let b = operands(kernel, uniform.vec(rows * columns, 1.0 / (rows as f32).sqrt()));
            let mut dense = Vec::new();
            for row in gates.chunks_exact_mut(4 * hidden) {
                row[2 * hidden..3 * hidden].fill(f32::NAN);
                dense.extend_from_slice(&row[..2 * hidden]);
                dense.extend_from_slice(&row[3 * hidden..]);
            }
            let params = MatmulParams { transpose_a: true, ..plain(3 * hidden, columns, rows) };
            let mut expected = vec![0.0; 3 * hidden * columns];
            matmul(&params, &wide(&dense), &wide(&b), None, &mut expected);

            let (gates, b, c) = (flat(gpu, &gates)?, flat(gpu, &b)?, flat(gpu, &vec![f32::NAN; expected.len()])?);
            run(gpu, &harness::matmul_with_gap(kernel, hidden, &gates, &b, &c)?)?;
            let name = format!("{kernel:?} rows {rows} hidden {hidden} columns {columns}: c");
            close(&name, &c.read().await?, &expected, Tolerance::matmul(rows))?;
        }
    }
    Ok(())
}

/// What lies past the end of k in either operand is never multiplied: there are NaN in one, and infinities in the
/// other's rows, which times a zero would be NaN. k ends within four neighbours, or with them.
pub(crate) async fn nothing_past_k(gpu: &Gpu) -> Outcome {
    let ends = if BRIEF { &[5][..] } else { &[4, 5] };
    let cases = ends.iter().flat_map(|&k| [(k, false), (k, true)]);
    for (kernel, (k, transpose_b)) in texts(gpu).flat_map(|kernel| cases.clone().map(move |case| (kernel, case))) {
        let columns: Vec<f32> = (0..64).map(|i| if i % 8 < k { 1.0 } else { f32::NAN }).collect();
        let rows: Vec<f32> = (0..64).map(|i| if i / 8 < k { 1.0 } else { f32::INFINITY }).collect();
        for transpose_a in [false, true] {
            let a = flat(gpu, if transpose_a { &rows } else { &columns })?;
            let b = flat(gpu, if transpose_b { &columns } else { &rows })?;
            let c = flat(gpu, &[f32::NAN; 64])?;
            let params = MatmulParams { transpose_a, transpose_b, ..plain(8, 8, k) };
            let placed = [&a, &b, &c].map(|tensor| Placed::whole(tensor, 8));
            run(gpu, &harness::matmul_placed(kernel, &params, placed, None)?)?;
            equal(&c.read().await?, &vec![k as f32; 64], format_args!("{kernel:?} {params:?}"))?;
        }
    }
    Ok(())
}
