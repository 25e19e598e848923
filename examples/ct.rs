//! scratch
use std::time::Instant;
use wgpu_gru::*;
fn main() {
    let gpu = Gpu::new_blocking().unwrap();
    for (n, c) in [("plain", GruConfig::new(5, 7)), ("clip", GruConfig::new(5, 7).clip(0.5)), ("relu", GruConfig::new(5, 7).candidate_activation(Activation::Relu))] {
        let layer = Gru::new(&gpu, c, 1).unwrap();
        let s = Instant::now();
        let mut net = layer.unroll(Unroll::training(6, 3)).unwrap();
        println!("{n} unroll {:?}", s.elapsed());
        let s = Instant::now();
        let x = Tensor::zeros(&gpu, &[6, 3, 5]).unwrap();
        net.forward(&x, None).unwrap();
        gpu.wait_blocking().unwrap();
        println!("{n} first forward {:?}", s.elapsed());
        let s = Instant::now();
        net.backward(None, None).unwrap();
        gpu.wait_blocking().unwrap();
        println!("{n} first backward {:?}", s.elapsed());
        let s = Instant::now();
        net.forward(&x, None).unwrap();
        gpu.wait_blocking().unwrap();
        println!("{n} second forward {:?}", s.elapsed());
    }
}
