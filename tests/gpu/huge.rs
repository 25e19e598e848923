//! Any number in any option gives a typed error, in bounded time and memory: layers, rows, heads, streams, verification.
//! Nothing is timed: what is not bounded would not end at all with these numbers.

use wgpu_gru::train::Linear;
use wgpu_gru::{Config, Error, Gpu, GruConfig, Recurrent, RnnConfig, StreamOptions, Tensor, Unroll, verify};

trials![layers_and_unrolls, many_layers, tensors];

/// Numbers around every width that a size could be stored in.
const HUGE: [usize; 8] = [1 << 16, (1 << 20) + 1, 1 << 26, 1 << 31, 1 << 32, 1 << 40, usize::MAX / 2 + 1, usize::MAX];

#[track_caller]
fn is_typed<T>(what: &str, result: Result<T, Error>) -> bool {
    match result {
        Ok(_) => false,
        Err(Error::LimitExceeded { required, available, .. }) => {
            assert!(required > available, "{what}: {required} of {available}");
            true
        }
        Err(Error::InvalidOption { option: "num_layers", .. }) => true,
        Err(error) => panic!("{what}: {error}"),
    }
}

fn layers_and_unrolls(gpu: &Gpu) {
    for size in HUGE {
        for config in [
            GruConfig::new(2, 3).num_layers(size).erased(),
            RnnConfig::new(2, 3).num_layers(size).bias(false).erased(),
            GruConfig::new(size, 1 << 20).erased(),
            GruConfig::new(2, size).num_layers(4096).erased(),
            GruConfig::new(size, size).erased(),
        ] {
            let what = format!("{config:?}");
            assert!(is_typed(&what, Recurrent::new(gpu, config.clone(), 1)), "{what} cannot be");
            assert!(is_typed(&what, config.required_limits(gpu.limits())), "{what} cannot be");
            assert!(is_typed(&what, pollster::block_on(verify(gpu, &config, 2, 2, 1))), "{what} cannot be");
        }
        let layer = Recurrent::new(gpu, GruConfig::new(2, 64), 1).expect("a layer");
        for unroll in [Unroll::inference(1, size), Unroll::training(size, 1), Unroll::training(size, size)] {
            let what = format!("{unroll:?}");
            if size > 1 << 26 {
                assert!(is_typed(&what, layer.unroll(unroll)), "{what} cannot be");
                let verified = verify(gpu, layer.config(), unroll.seq_len(), unroll.batch(), 1);
                assert!(is_typed(&what, pollster::block_on(verified)), "{what} cannot be");
            }
        }
        for options in [StreamOptions::new(size), StreamOptions::new(1).frames(size)] {
            let what = format!("{options:?}");
            if size > 1 << 26 {
                assert!(is_typed(&what, layer.stream(options)), "{what} cannot be");
            }
        }
    }
}

/// As many layers as there may be, and one more.
fn many_layers(gpu: &Gpu) {
    let most = wgpu_gru::config::MAX_LAYERS;
    let deep: Config = RnnConfig::new(1, 1).num_layers(most).erased();
    let layer = Recurrent::new(gpu, deep, 1).expect("a layer");
    let net = layer.unroll(Unroll::inference(1, 1)).expect("an unroll");
    assert!(net.plan().forward_dispatches() >= 2 * most, "two for each at least");
    let one_more = RnnConfig::new(1, 1).num_layers(most + 1).validate();
    assert!(is_typed("one more", one_more), "one more is refused");
}

fn tensors(gpu: &Gpu) {
    for size in HUGE.into_iter().skip(3) {
        for shape in [&[size][..], &[size, size], &[2, size, 3]] {
            let what = format!("{shape:?}");
            assert!(is_typed(&what, Tensor::zeros(gpu, shape)), "{what} cannot be");
        }
        for [inputs, outputs] in [[size, 2], [2, size], [size; 2]] {
            let what = format!("a head of {inputs} and {outputs}");
            assert!(is_typed(&what, Linear::new(gpu, inputs, outputs, 1)), "{what} cannot be");
        }
    }
}
