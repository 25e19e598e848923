//! Steps by exchange: of every H, in every option, with all workgroups at a time and without.

use wgpu_gru::verify::{Batch, expectation};
use wgpu_gru::wgpu::DeviceType;
use wgpu_gru::{
    Direction, ExchangeCut, Gpu, Gru, GruConfig, Reset, RnnConfig, Schedule, Tensor, TimeLoop, Unroll, harness,
};

use crate::recurrence::{Steps, check_backward, check_forward};
use crate::support::{assert_none_out_of_range, bits, by_exchange, check, counting, forward, read, settings};

trials![
    every_hidden_size,
    every_option,
    same_bits_alone,
    who_is_all_there_is_goes_on,
    a_nan_of_one_bit,
    many_passes,
    two_layers_at_a_time,
    indices_in_range,
];

/// Of each H as it is planned for this adapter; with `WGPU_GRU_CASES=160` of every H up to 160.
fn every_hidden_size(gpu: &Gpu) {
    let all = settings::cases().is_some_and(|cases| cases >= 160);
    let some = [1, 5, 16, 33, 64, 160];
    for hidden in (1..=160).filter(|hidden| all || some.contains(hidden)) {
        let [t, batch] = [[1, 1], [2, 3], [4, 1], [3, 2]][hidden % 4];
        check(gpu, &GruConfig::new(2, hidden), Unroll::training(t, batch).schedule(Schedule::Exchange));
    }
}

fn every_option(gpu: &Gpu) {
    let unroll = Unroll::training(5, 3).schedule(Schedule::Exchange);
    check(gpu, &GruConfig::new(3, 20).reset(Reset::Before).clip(0.5), unroll.gradient_norms(true).lengths(true));
    check(gpu, &RnnConfig::new(3, 20).clip(0.5), unroll.gradient_norms(true));
    check(gpu, &GruConfig::new(3, 20).direction(Direction::Bidirectional).num_layers(2), unroll.gradient_norms(true));
    check(gpu, &GruConfig::new(3, 20).num_layers(2), unroll.f16_weights(true).wavefront(true).lengths(true));
}

/// What the settlement makes where workgroups have not met is what they would have made, to the last bit.
fn same_bits_alone(gpu: &Gpu) {
    let mut compared = 0;
    for time_loop in by_exchange(gpu).step_by(2) {
        let TimeLoop::Exchange { steps, forward, .. } = time_loop else { panic!("by exchange") };
        // Two workgroups, as many as run at a time on two threads.
        let shape = [5, 3, 2 * forward.tile.columns() as usize];
        let of = |looks| {
            let cut = ExchangeCut { looks, ..forward };
            let time_loop = TimeLoop::Exchange { steps, forward: cut, backward: cut };
            Steps::random(shape, true, 1.0, 7).gpu(gpu, &time_loop).each_ref().map(bits)
        };
        assert_eq!(of(1 << 20), of(0), "{time_loop:?}");
        compared += 1;
    }
    assert!(compared > 0, "a way to exchange");
}

/// Where one workgroup has all units nobody is waited for: the exchange makes every number, the settlement none.
fn who_is_all_there_is_goes_on(gpu: &Gpu) {
    for time_loop in by_exchange(gpu) {
        let TimeLoop::Exchange { forward, .. } = time_loop else { panic!("by exchange") };
        let steps = Steps::random([2, 3, forward.tile.columns() as usize], true, 1.0, 7);
        let cut = ExchangeCut { looks: 1, ..forward };
        let time_loop = TimeLoop::Exchange { steps: 2, forward: cut, backward: cut };
        let alone = steps.gpu_with(gpu, &time_loop, |program| harness::only(program, "gru_exchange"));
        assert_eq!(alone.each_ref().map(bits), steps.gpu(gpu, &time_loop).each_ref().map(bits), "{time_loop:?}");
    }
}

/// The last bit is the flag: a NaN that has no other stays one, and an infinity stays one.
fn a_nan_of_one_bit(gpu: &Gpu) {
    let gru = Gru::new(gpu, GruConfig::new(2, 20), 1).expect("a layer");
    let mut net = gru.unroll(Unroll::inference(2, 3).schedule(Schedule::Exchange)).expect("an unroll");
    let mut h0 = vec![0.5; 3 * 20];
    (h0[7], h0[27]) = (f32::from_bits(0x7f80_0001), f32::NEG_INFINITY);
    forward(&mut net, gpu, &[0.25; 2 * 3 * 2], Some(&h0));
    let output = net.output().read_blocking().expect("the output");
    // Each unit of a row that holds it has it in its sums: NaN, or an infinity that closes a gate or makes NaN.
    let of_row = |row: usize| (0..2).flat_map(move |t| (0..20).map(move |unit| (t * 3 + row) * 20 + unit));
    assert!(of_row(0).all(|place| output[place].is_nan()), "{output:?}");
    assert!(of_row(2).all(|place| output[place].is_finite()), "{output:?}");
    let weights = pollster::block_on(gru.read_weights()).expect("the weights");
    let mut batch = Batch::random(gru.config(), 2, 3, 1);
    (batch.x, batch.h0) = (vec![0.25; 12], h0);
    let right = &expectation(gru.config(), &weights, &batch)[0].values;
    assert!(of_row(1).all(|place| output[place].is_nan() == right[place].is_nan()), "{output:?} {right:?}");
}

/// Each of a thousand passes of training makes the same bits, in every tensor that it gives.
fn many_passes(gpu: &Gpu) {
    const PASSES: usize = 1000;
    for schedule in [Schedule::Exchange, Schedule::Rows, Schedule::Step] {
        let gru = Gru::new(gpu, GruConfig::new(3, 20), 1).expect("a layer");
        let mut net = gru.unroll(Unroll::training(3, 2).schedule(schedule)).expect("an unroll");
        let x: Vec<f32> = (0..18).map(|i| (i as f32).sin()).collect();
        net.input().write(&x).expect("an input");
        net.d_output().expect("training").write(&vec![0.5; 3 * 2 * 20]).expect("a gradient");
        let gradients = net.gradients().expect("gradients").clone();
        let parameters = gradients.parameters.named(gru.config()).map(|(_, tensor)| tensor.clone());
        let mut made = vec![net.output().clone(), gradients.h0.clone(), gradients.input.clone().expect("d_input")];
        made.extend(parameters);
        let kept = made.iter().map(|tensor| Tensor::zeros(gpu, &[&[PASSES], tensor.shape()].concat()).expect("room"));
        let kept: Vec<Tensor> = kept.collect();
        for pass in 0..PASSES {
            gpu.submit(|encoder| {
                net.encode_forward(encoder)?;
                net.encode_backward(encoder)?;
                made.iter().zip(&kept).try_for_each(|(tensor, kept)| {
                    kept.outer(pass..pass + 1)?.reshape(tensor.shape())?.encode_copy_from(encoder, tensor)
                })
            })
            .expect("a pass");
            // A readback waits for all that was submitted, and not for ever: on a busy machine so many passes take longer.
            if pass % 50 == 49 {
                read(net.h_n());
            }
        }
        for (number, (tensor, kept)) in made.iter().zip(&kept).enumerate() {
            let all = bits(kept);
            let first = &all[..tensor.len()];
            assert!(first.iter().any(|&bits| bits != 0), "{schedule:?}: tensor {number} is empty");
            let other = all.chunks(tensor.len()).position(|of_pass| of_pass != first);
            assert_eq!(other, None, "{schedule:?}: tensor {number}, the first pass that is another");
        }
    }
}

/// Two layers whose passes lie in one submission, in turn: each makes what it makes alone.
fn two_layers_at_a_time(gpu: &Gpu) {
    let layers = [1, 2].map(|seed| Gru::new(gpu, GruConfig::new(3, 40), seed).expect("a layer"));
    let unroll = |layer: &Gru| layer.unroll(Unroll::inference(6, 2).schedule(Schedule::Exchange)).expect("an unroll");
    let x: Vec<f32> = (0..36).map(|i| (i as f32).cos()).collect();
    let alone = layers.each_ref().map(|layer| {
        let mut net = unroll(layer);
        forward(&mut net, gpu, &x, None);
        bits(net.output())
    });
    let mut nets = layers.each_ref().map(unroll);
    nets.iter().for_each(|net| net.input().write(&x).expect("an input"));
    gpu.submit(|encoder| {
        for _ in 0..5 {
            nets.iter_mut().try_for_each(|net| net.encode_forward(encoder))?;
        }
        Ok(())
    })
    .expect("a submission");
    assert_eq!(nets.each_ref().map(|net| bits(net.output())), alone, "as alone");
}

/// Exchanges and settlements, of one word an invocation and of several.
fn indices_in_range(gpu: &Gpu) {
    let gpu = counting(gpu);
    for (number, time_loop) in by_exchange(&gpu).enumerate().filter(|(number, _)| number % 3 == 0) {
        let steps = Steps::random([4, 3, 5], true, 1.0, number as u64);
        check_forward(&gpu, &time_loop, &steps, 1.0);
        check_backward(&gpu, &time_loop, &steps, 1);
    }
    let unroll = Unroll::training(4, 3).schedule(Schedule::Exchange).gradient_norms(true);
    check(&gpu, &GruConfig::new(2, 18).reset(Reset::Before), unroll);
    check(&gpu, &GruConfig::new(2, 20).direction(Direction::Bidirectional), unroll.f16_weights(true));
    check(&gpu, &RnnConfig::new(2, 6).clip(0.5), unroll.adapter_class(DeviceType::DiscreteGpu));
    assert_none_out_of_range(&gpu);
}
