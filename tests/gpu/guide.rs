//! The app of the guide does what it says: the same walk, felt and walked on the host.

use wgpu_gru::{Gpu, Gru, GruConfig};

use crate::support::{read, tensor};

#[expect(dead_code, reason = "its main is for the command line")]
#[path = "../../examples/in_your_app.rs"]
mod in_your_app;

trials![in_your_app];

fn in_your_app(gpu: &Gpu) {
    let before = gpu.activity();
    let angles = in_your_app::run(gpu.device(), gpu.queue(), 30).expect("the app of the guide");
    assert_eq!(gpu.activity(), before, "it has a handle of its own");

    let gru = Gru::new(gpu, GruConfig::new(2, 16), 1).expect("a layer");
    let (mut angle, mut state) = (0.0_f32, tensor(gpu, &[1, 1, 16], &[0.0; 16]));
    for _ in 0..30 {
        let senses = tensor(gpu, &[1, 1, 2], &[angle.cos(), angle.sin()]);
        state = gru.forward(&senses, Some(&state)).expect("a step").h_n;
        angle += 0.1 * read(&state)[0];
    }
    assert!(angle.abs() > 0.01, "it walks: {angle}");
    assert!(angles.iter().all(|other| (other - angle).abs() < 1e-4), "{angle} on the host, {angles:?} in the app");
}
