//! A destroyed device: an error after a finite time, no panic, no hang.

use std::sync::mpsc;
use std::time::Duration;

use wgpu_gru::train::{Adam, AdamOptions, Embedding, FirstState, Linear, Loss, Sgd, SgdOptions};
use wgpu_gru::verify::FiniteCheck;
use wgpu_gru::{Error, Gpu, Gru, GruConfig, Tensor, Unroll, Weights, verify, wgpu};

use crate::support::{forward, open, own, read};

trials![read_blocking, read_async, everything_else, a_device_of_the_app, work_under_way];

/// Longer than anything here may take, far shorter than the readback's own timeout.
const FINITE: Duration = Duration::from_secs(20);

/// Runs `work` on a thread: a hang is a failure, and so is a panic.
fn in_finite_time<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || drop(sender.send(work())));
    receiver.recv_timeout(FINITE).expect("an answer in finite time, and no panic")
}

#[track_caller]
fn assert_lost<T>(result: Result<T, Error>) {
    match result {
        Err(Error::DeviceLost { reason }) => assert!(!reason.is_empty(), "a reason"),
        Err(error) => panic!("{error:?}, expected DeviceLost"),
        Ok(_) => panic!("no error, expected DeviceLost"),
    }
}

fn tensor(gpu: &Gpu) -> Tensor {
    let tensor = Tensor::zeros(gpu, &[100]).expect("a tensor");
    read(&tensor);
    tensor
}

fn read_blocking(gpu: &Gpu) {
    let gpu = own(gpu);
    let tensor = tensor(&gpu);
    in_finite_time(move || {
        gpu.device().destroy();
        for _ in 0..3 {
            assert_lost(tensor.read_blocking());
        }
    });
}

fn read_async(gpu: &Gpu) {
    let gpu = own(gpu);
    let tensor = tensor(&gpu);
    in_finite_time(move || {
        gpu.device().destroy();
        for _ in 0..3 {
            assert_lost(pollster::block_on(tensor.read()));
        }
    });
}

/// Every call that can fail, from objects that were made before the loss, and those that make new ones.
fn everything_else(gpu: &Gpu) {
    let gpu = own(gpu);
    let config = GruConfig::new(2, 5);
    let gru = Gru::new(&gpu, config.clone(), 1).expect("a layer");
    let linear = Linear::new(&gpu, 5, 1, 1).expect("a head");
    let embedding = Embedding::new(&gpu, 5, 1, 1).expect("a table");
    let mut net = gru.unroll(Unroll::training(4, 3)).expect("an unroll");
    let x = Tensor::zeros(&gpu, &[4, 3, 2]).expect("a tensor");
    let d_x = Tensor::zeros(&gpu, &[4, 3, 2]).expect("a tensor");
    let state = Tensor::zeros(&gpu, &[1, 1, 5]).expect("a tensor");
    net.forward(&x, None).expect("a forward pass");
    in_finite_time(move || {
        gpu.device().destroy();
        assert_lost(x.read_blocking());
        // From here on the loss is known.
        assert_lost(net.backward(None, None));
        assert_lost(net.forward(&x, None));
        assert_lost(gpu.submit(|encoder| net.encode_forward(encoder)));
        assert_lost(gru.forward(&x, None));
        assert_lost(gru.unroll(Unroll::inference(4, 3)));
        assert_lost(Gru::new(&gpu, config.clone(), 1));
        assert_lost(Gru::with_weights(&gpu, config.clone(), &Weights::random(&config, 1)));
        assert_lost(pollster::block_on(gru.read_weights()));
        assert_lost(pollster::block_on(verify(&gpu, &config, 2, 2, 1)));
        assert_lost(Tensor::zeros(&gpu, &[3]));
        assert_lost(Tensor::from_slice(&gpu, &[3], &[0.0; 3]));
        assert_lost(Linear::new(&gpu, 5, 1, 1));
        assert_lost(linear.unroll(net.output(), net.d_output().expect("training")));
        assert_lost(Loss::mean_squared_error(&x, &d_x));
        assert_lost(Loss::binary_cross_entropy(&x, &d_x));
        assert_lost(Loss::cross_entropy(&x, &d_x));
        assert_lost(Embedding::new(&gpu, 5, 1, 1));
        assert_lost(embedding.unroll(&x));
        assert_lost(embedding.unroll_inference(&x));
        assert_lost(Adam::new([(&x, &d_x)], &AdamOptions::default()));
        assert_lost(Sgd::new([(&x, &d_x)], &SgdOptions::default()));
        assert_lost(FirstState::new(&state, &net));
        assert_lost(FiniteCheck::new([("x".to_owned(), &x)]));
        assert_lost(net.finite_check());
        assert_lost(gpu.wait_blocking());
        // What cannot fail does not panic.
        drop(x.write(&[0.0; 24]));
        drop(gru.set_weights(&Weights::random(&config, 1)));
        drop(gpu.submit(|_| Ok(())));
    });
}

/// Of a device of the app's own the crate is not told; the calls end all the same, with an error where they wait.
fn a_device_of_the_app(gpu: &Gpu) {
    let gpu = open(gpu, wgpu::Limits::default());
    let gru = Gru::new(&gpu, GruConfig::new(2, 5), 1).expect("a layer");
    let mut net = gru.unroll(Unroll::training(4, 3)).expect("an unroll");
    let x = tensor(&gpu).outer(0..24).expect("a part").reshape(&[4, 3, 2]).expect("a shape");
    in_finite_time(move || {
        gpu.device().destroy();
        drop(net.forward(&x, None));
        drop(net.backward(None, None));
        x.read_blocking().expect_err("a lost device gives no numbers");
        pollster::block_on(x.read()).expect_err("a lost device gives no numbers");
        drop(gru.unroll(Unroll::inference(4, 3)));
        Tensor::from_slice(&gpu, &[3], &[0.0; 3]).expect_err("a lost device takes no numbers");
    });
}

/// Destroyed while work is queued, just before the read and between the start of a read and its end.
fn work_under_way(gpu: &Gpu) {
    let gpu = own(gpu);
    let gru = Gru::new(&gpu, GruConfig::new(64, 256), 1).expect("a layer");
    let mut net = gru.unroll(Unroll::inference(64, 32)).expect("an unroll");
    forward(&mut net, &gpu, &vec![0.5; 64 * 32 * 64], None);
    gpu.wait_blocking().expect("the GPU is done");
    in_finite_time(move || {
        gpu.submit(|encoder| (0..2).try_for_each(|_| net.encode_forward(encoder))).expect("a submission");
        let tensor = net.h_n().clone();
        let reader = std::thread::spawn(move || tensor.read_blocking());
        std::thread::sleep(Duration::from_millis(50));
        gpu.device().destroy();
        // The work was accepted before the loss: numbers or an error, but an answer.
        drop(reader.join().expect("no panic"));
        assert_lost(net.h_n().read_blocking());
    });
}
