//! Products beside the checks of `tests/checks/matmul.rs`: drawn ones, and what only another device shows.

use proptest::prelude::*;
use wgpu_gru::MatmulKernel;
use wgpu_gru::harness::{self, Placed};
use wgpu_gru::reference::twins::matmul::MatmulParams;
use wgpu_gru::rng::SplitMix64;
use wgpu_gru::{Gpu, wgpu};

use crate::checks::matmul::{Room, check, forms, kernels, plain, spread};
use crate::support::{bits, flat, has_large_subgroups, open, passed, property, run, tensor};

trials![random_products, the_same_bits, few_rows];

fn random_products(gpu: &Gpu) {
    let flags = (0..8_usize, any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>());
    // Half of all sizes are multiples of four.
    let size =
        || (1_usize..80, any::<bool>()).prop_map(|(size, four)| if four { size.next_multiple_of(4) } else { size });
    let cases = (size(), size(), size(), flags, any::<u64>());
    let kernels: Vec<_> = kernels(gpu).collect();
    property(32, &cases, |(m, n, k, (kernel, transpose_a, transpose_b, has_bias, accumulate), seed)| {
        let params = MatmulParams { m, n, k, transpose_a, transpose_b, accumulate };
        passed(pollster::block_on(check(gpu, kernels[kernel % kernels.len()], &params, has_bias, seed)));
    });
}

/// A device without any feature runs every product but that of subgroups. All products of an adapter but those of few
/// rows give the same bits, every time and wherever the matrices lie: so how a layer is cut into chunks does not show
/// in its states.
fn the_same_bits(gpu: &Gpu) {
    let bare = open(gpu, wgpu::Limits::downlevel_defaults());
    assert!(!harness::supports(&bare, MatmulKernel::Broadcast), "it has no subgroups");
    let params = plain(70, 50, 301);
    let mut uniform = SplitMix64::new(1);
    let [a, b] = [70 * 301, 301 * 50].map(|len| uniform.vec(len, 1.0));
    let mut found: Vec<(usize, Vec<u32>)> = Vec::new();
    for gpu in [gpu, &bare] {
        for kernel in kernels(gpu) {
            for right in [2, 3] {
                // Strides of 304 and 52, and of others.
                let rooms = [right + 1, right].map(|right| Room { right, ..Room::NONE });
                let a = spread(&a, 301, rooms[0]);
                let b = spread(&b, 50, rooms[1]);
                let [a, b] = [a, b].map(|host| flat(gpu, &host));
                let c = tensor(gpu, &[70, 52], &[0.0; 70 * 52]);
                let placed = [(&a, rooms[0].stride(301)), (&b, rooms[1].stride(50)), (&c, 52)];
                let placed = placed.map(|(tensor, stride)| Placed::whole(tensor, stride));
                let program = harness::matmul_placed(kernel, &params, placed, None).expect("a program");
                for _ in 0..2 {
                    run(gpu, &program);
                    let class = match kernel {
                        MatmulKernel::TiledLarge | MatmulKernel::Tiled | MatmulKernel::TiledSmall => 0,
                        MatmulKernel::FewRows => 1,
                        _ => 2,
                    };
                    found.push((class, bits(&c)));
                }
            }
        }
    }
    for class in 0..3 {
        let mut of_class = found.iter().filter(|(of, _)| *of == class).map(|(_, bits)| bits);
        let first = of_class.next().expect("one at least");
        assert!(of_class.all(|bits| bits == first), "class {class}");
    }
}

/// Slices that meet in workgroup memory, and in subgroups where there are some that are large enough.
fn few_rows(gpu: &Gpu) {
    let bare = open(gpu, wgpu::Limits::default());
    // Of slices that are 8, subgroups of fewer invocations cannot add up all.
    let has_subgroups = has_large_subgroups(gpu);
    for (gpu, has_subgroups) in [(gpu, has_subgroups), (&bare, false)] {
        for [m, n, k] in [[1, 44, 132], [5, 192, 20], [8, 4, 4], [9, 68, 36]] {
            for (seed, (params, has_bias)) in (0..).zip(forms([m, n, k])) {
                let kernel = passed(pollster::block_on(check(gpu, MatmulKernel::FewRows, &params, has_bias, seed)));
                let aligned = !params.transpose_a || m % 4 == 0;
                let by_subgroup = has_subgroups && params.transpose_b && aligned;
                assert_eq!(kernel == "matmul_few_rows_subgroup", by_subgroup, "{kernel} {params:?}");
            }
        }
    }
}
