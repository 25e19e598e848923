//! Bad input beside the checks of `tests/checks/errors.rs`: adapters, time, and numbers of 64 bits.

use std::time::Duration;

use wgpu_gru::train::Linear;
use wgpu_gru::{Error, Gpu, Gru, GruConfig, Tensor, Unroll, wgpu};

use crate::support::{adapter, assert_error, own, read, shape, zeros};

trials![no_adapter_of_this_name, request_device, tensor_sizes, sizes_near_the_end, timeout];

fn no_adapter_of_this_name(gpu: &Gpu) {
    let mut options = wgpu_gru::GpuOptions::from_env();
    options.adapter_name = Some("no such adapter".into());
    match pollster::block_on(Gpu::with_options(options)) {
        Err(Error::NoAdapter { wanted: Some(wanted), found }) => {
            assert_eq!(wanted, "no such adapter", "what was asked for");
            assert!(found.contains(&gpu.info().name), "{found:?}");
        }
        other => panic!("{other:?}"),
    }
    let mut options = wgpu_gru::GpuOptions::from_env();
    options.adapter_name = None;
    // What WGPU_BACKEND=junk asks for, and a backend that the crate does not have.
    for wanted in [wgpu::Backends::empty(), wgpu::Backends::GL] {
        options.backends = Some(wanted);
        match pollster::block_on(Gpu::with_options(options.clone())) {
            Err(Error::NoBackend { wanted: told, available }) => {
                assert_eq!(told, wanted, "what was asked for");
                assert!(available.contains(gpu.info().backend.into()), "{available:?}");
            }
            other => panic!("{other:?}"),
        }
    }
}

/// The error of an app's own request becomes this crate's.
fn request_device(gpu: &Gpu) {
    let required_limits = wgpu::Limits { max_bind_groups: u32::MAX, ..wgpu::Limits::default() };
    let descriptor = wgpu::DeviceDescriptor { required_limits, ..wgpu::DeviceDescriptor::default() };
    let refused = pollster::block_on(adapter(gpu).request_device(&descriptor)).map_err(Error::from);
    match refused {
        Err(error @ Error::RequestDevice(_)) => assert!(error.to_string().contains("refused"), "{error}"),
        other => panic!("{other:?}"),
    }
}

fn tensor_sizes(gpu: &Gpu) {
    for shape in [&[0][..], &[2, 0], &[0, 3], &[0, usize::MAX]] {
        assert_error(Tensor::zeros(gpu, shape), &Error::ZeroSize { what: "tensor" });
        assert_error(Tensor::from_slice(gpu, shape, &[]), &Error::ZeroSize { what: "tensor" });
    }
    let available = gpu.limits().max_buffer_size;
    let limit = |required| Error::LimitExceeded { what: "tensor", limit: "max_buffer_size", required, available };
    let len = (available / 4 + 1) as usize;
    assert_error(Tensor::zeros(gpu, &[len]), &limit(len as u64 * 4));
    for shape in [&[usize::MAX][..], &[usize::MAX, 2], &[1 << 32, 1 << 32], &[1 << 62, 1 << 62, 16]] {
        assert_error(Tensor::zeros(gpu, shape), &limit(u64::MAX));
    }
    assert_error(Tensor::from_slice(gpu, &[1 << 32, 1 << 32], &[]), &shape("tensor", &[1 << 32, 1 << 32], &[0]));
}

/// Sizes whose products do not fit: an error at once, no overflow, and no attempt to make host arrays of them.
fn sizes_near_the_end(gpu: &Gpu) {
    let t = zeros(gpu, &[2, 3]);
    // 2^63 * 12 wraps to 0, and (2^63 + 3) * 2 to 6.
    assert_error(t.reshape(&[1 << 63, 12]), &shape("reshaped tensor", &[1 << 63, 12], &[6]));
    assert_error(t.reshape(&[(1 << 63) + 3, 2]), &shape("reshaped tensor", &[(1 << 63) + 3, 2], &[6]));
    let gru = Gru::new(gpu, GruConfig::new(2, 5), 1).expect("a layer");
    for unroll in [
        Unroll::inference(usize::MAX, 3),
        Unroll::training(usize::MAX, usize::MAX),
        Unroll::training(4, usize::MAX),
        Unroll::training(usize::MAX / 2, 1),
    ] {
        match gru.unroll(unroll) {
            Err(Error::LimitExceeded { required, available, .. }) => assert!(required > available, "{unroll:?}"),
            other => panic!("{unroll:?}: {other:?}"),
        }
    }
    for (i, h) in [(usize::MAX, 1), (1, usize::MAX), (usize::MAX, usize::MAX), (1 << 62, 1 << 62), (1 << 32, 1 << 32)] {
        match Gru::new(gpu, GruConfig::new(i, h), 1) {
            Err(Error::LimitExceeded { what, limit, required, available }) => {
                assert!(required > available, "{what} {limit}");
            }
            other => panic!("{i} {h}: {other:?}"),
        }
    }
    for (inputs, outputs) in [(usize::MAX, usize::MAX), (1 << 40, 1 << 40)] {
        match Linear::new(gpu, inputs, outputs, 1) {
            Err(Error::LimitExceeded { what: "weight", required, available, .. }) => {
                assert!(required > available, "{inputs}");
            }
            other => panic!("{inputs} {outputs}: {other:?}"),
        }
    }
}

/// A copy of 64 MiB into fresh memory, or a queue full of work, and no time to wait for either; later readbacks work.
///
/// Nothing is in flight when a readback begins: lavapipe does one submission beside the CPU, and a second blocks until
/// the first is done, before any wait begins. The copy may be done before the wait looks, so there are some attempts.
fn timeout(gpu: &Gpu) {
    const LEN: usize = 16 << 20;
    let waited = Duration::ZERO;
    // Work before it, more from attempt to attempt: a GPU may have done the first before anybody waits.
    let at_last = |attempt: &dyn Fn(&Gpu, &Tensor) -> Option<Error>| {
        let mut errors = (0..7).filter_map(|number| {
            // A device of its own has no staging buffer yet.
            let gpu = own(gpu);
            let gru = Gru::new(&gpu, GruConfig::new(64, 128), 1).expect("a layer");
            let mut net = gru.unroll(Unroll::inference(64, 32)).expect("an unroll");
            let large = zeros(&gpu, &[LEN]);
            large.outer(LEN - 1..LEN).expect("the last").write(&[7.0]).expect("a write");
            gpu.wait_blocking().expect("nothing is in flight");
            let work = 4_usize.pow(number);
            gpu.submit(|encoder| (0..work).try_for_each(|_| net.encode_forward(encoder))).expect("a submission");
            gpu.set_readback_timeout(waited);
            let error = attempt(&gpu, &large);
            gpu.set_readback_timeout(Duration::from_secs(60));
            gpu.wait_blocking().expect("a later wait works");
            assert_eq!(read(&large).last(), Some(&7.0), "a later readback works");
            assert_eq!(pollster::block_on(large.read()).expect("a readback").last(), Some(&7.0), "and an async one");
            error
        });
        let error = errors.next().expect("one of the attempts times out");
        assert_error::<()>(Err(error), &Error::ReadbackTimeout { waited });
    };
    at_last(&|_, large| large.read_blocking().err());
    at_last(&|_, large| pollster::block_on(large.read()).err());
    at_last(&|gpu, _| gpu.wait_blocking().err());
}
