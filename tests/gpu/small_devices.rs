//! Devices with limits below WebGPU's defaults: everything that the crate makes is made and works, or the error names
//! the limit. A panic inside wgpu would fail these tests by itself.

use wgpu_gru::train::{
    Accumulation, Adam, AdamOptions, Embedding, FirstState, Linear, Loss, LossOptions, Sgd, SgdOptions,
};
use wgpu_gru::verify::FiniteCheck;
use wgpu_gru::{Error, Gpu, Gru, GruConfig, Result, Tensor, Tolerance, Unroll, wgpu};

use crate::support::{assert_close, open, read, record, settings, tensor};

trials![devices_of_low_limits, the_message_says_what_to_do];

/// Makes an object and uses it.
type Use = fn(&Gpu) -> Result<()>;

/// Makes the limits of a device lower.
type Lower = fn(&mut wgpu::Limits);

/// What is made, with a use of it whose numbers are looked at.
const OBJECTS: [(&str, Use); 14] = [
    ("adam", use_adam),
    ("sgd", use_sgd),
    ("squared error", use_squared_error),
    ("binary cross-entropy", use_binary_cross_entropy),
    ("masked error", use_masked_error),
    ("cross-entropy", use_cross_entropy),
    ("embedding", use_embedding),
    ("linear", use_linear),
    ("linear for inference", use_linear_inference),
    ("gru", use_gru),
    ("gru for inference", use_gru_inference),
    ("sgd over several passes", use_accumulation),
    ("first state", use_first_state),
    ("finite check", use_finite_check),
];

/// Which objects work on a device, by name.
enum Works {
    All,
    None,
    Only(&'static [&'static str]),
    AllBut(&'static [&'static str]),
}

impl Works {
    fn of(&self, object: &str) -> bool {
        if let Self::Only(names) | Self::AllBut(names) = self {
            let is_known = |name: &&str| OBJECTS.iter().any(|(object, _)| object == name);
            assert!(names.iter().all(is_known), "an object of another name in {names:?}");
        }
        match self {
            Self::All => true,
            Self::None => false,
            Self::Only(names) => names.contains(&object),
            Self::AllBut(names) => !names.contains(&object),
        }
    }
}

fn pair(gpu: &Gpu) -> Result<[Tensor; 2]> {
    Ok([Tensor::from_slice(gpu, &[2], &[1.0, 2.0])?, Tensor::from_slice(gpu, &[2], &[3.0, 4.0])?])
}

fn use_adam(gpu: &Gpu) -> Result<()> {
    let [parameter, gradient] = pair(gpu)?;
    let options = AdamOptions { learning_rate: 0.5, max_norm: Some(1.0), ..AdamOptions::default() };
    let adam = Adam::new([(&parameter, &gradient)], &options)?;
    record(gpu, |encoder| adam.encode(encoder));
    let tolerance = Tolerance { abs: 1e-6, rel: 0.0 };
    assert_close("parameter", &read(&parameter), &[0.5, 1.5], tolerance);
    Ok(())
}

fn use_sgd(gpu: &Gpu) -> Result<()> {
    let [parameter, gradient] = pair(gpu)?;
    let options = SgdOptions { learning_rate: 0.5, max_norm: Some(1.0), ..SgdOptions::default() };
    let sgd = Sgd::new([(&parameter, &gradient)], &options)?;
    record(gpu, |encoder| sgd.encode(encoder));
    assert_close("parameter", &read(&parameter), &[0.7, 1.6], Tolerance { abs: 1e-6, rel: 0.0 });
    Ok(())
}

fn use_accumulation(gpu: &Gpu) -> Result<()> {
    let [parameter, gradient] = pair(gpu)?;
    let accumulate = Some(Accumulation::Sum);
    let options = SgdOptions { learning_rate: 0.125, momentum: 0.5, accumulate, ..SgdOptions::default() };
    let sgd = Sgd::new([(&parameter, &gradient)], &options)?;
    gpu.submit(|encoder| {
        sgd.encode_accumulate(encoder)?;
        sgd.encode_accumulate(encoder)?;
        sgd.encode(encoder);
        Ok(())
    })?;
    assert_close("parameter", &read(&parameter), &[0.25, 1.0], Tolerance::pointwise());
    Ok(())
}

fn use_squared_error(gpu: &Gpu) -> Result<()> {
    let [prediction, d_prediction] = pair(gpu)?;
    let loss = Loss::mean_squared_error(&prediction, &d_prediction)?;
    record(gpu, |encoder| loss.encode(encoder));
    assert_close("loss", &read(loss.loss()), &[2.5], Tolerance::pointwise());
    assert_close("d_prediction", &read(&d_prediction), &[1.0, 2.0], Tolerance::pointwise());
    Ok(())
}

fn use_binary_cross_entropy(gpu: &Gpu) -> Result<()> {
    let [logits, d_logits] = pair(gpu)?;
    let loss = Loss::binary_cross_entropy(&logits, &d_logits)?;
    record(gpu, |encoder| loss.encode(encoder));
    // Of labels that are 0.
    let exact = [1.0_f64, 2.0].map(|x| [x.exp().ln_1p() / 2.0, 0.5 / (1.0 + (-x).exp())]);
    assert_close("loss", &read(loss.loss()), &[exact[0][0] + exact[1][0]], Tolerance::pointwise());
    assert_close("d_logits", &read(&d_logits), &exact.map(|[_, d]| d), Tolerance::pointwise());
    Ok(())
}

fn use_masked_error(gpu: &Gpu) -> Result<()> {
    let [prediction, d_prediction] = pair(gpu)?.map(|tensor| tensor.reshape(&[2, 1]).expect("two numbers"));
    let loss = LossOptions { mask: true, ..LossOptions::default() }.mean_squared_error(&prediction, &d_prediction)?;
    loss.mask()?.write(&[0.0, 1.0])?;
    record(gpu, |encoder| loss.encode(encoder));
    assert_close("loss", &read(loss.loss()), &[4.0], Tolerance::pointwise());
    assert_close("d_prediction", &read(&d_prediction), &[0.0, 4.0], Tolerance::pointwise());
    Ok(())
}

fn use_cross_entropy(gpu: &Gpu) -> Result<()> {
    let [logits, d_logits] = pair(gpu)?.map(|tensor| tensor.reshape(&[1, 2]).expect("two numbers"));
    let loss = Loss::cross_entropy(&logits, &d_logits)?;
    record(gpu, |encoder| loss.encode(encoder));
    // Of class 0, whose logit is 1 less.
    let (exact, slope) = (1.0_f64.exp().ln_1p(), 1.0 / (1.0 + (-1.0_f64).exp()));
    assert_close("loss", &read(loss.loss()), &[exact], Tolerance::pointwise());
    assert_close("d_logits", &read(&d_logits), &[-slope, slope], Tolerance::pointwise());
    Ok(())
}

fn use_embedding(gpu: &Gpu) -> Result<()> {
    let table = Embedding::with_weights(gpu, [2, 1], &[3.0, 4.0])?;
    let layer = table.unroll(&Tensor::zeros(gpu, &[3])?)?;
    layer.write_indices(&[1, 0, 1])?;
    layer.d_output().write(&[0.5, 1.0, 2.0])?;
    gpu.submit(|encoder| {
        layer.encode_forward(encoder);
        layer.encode_backward(encoder)
    })?;
    assert_close("output", &read(layer.output()), &[4.0, 3.0, 4.0], Tolerance::EXACT);
    assert_close("d_weight", &read(layer.gradients()[0]), &[1.0, 2.5], Tolerance::EXACT);
    Ok(())
}

fn use_linear(gpu: &Gpu) -> Result<()> {
    let [x, d_x] = pair(gpu)?.map(|tensor| tensor.reshape(&[1, 2]).expect("two numbers"));
    let linear = Linear::with_weights(gpu, [1, 2], &[0.5, 0.25], &[1.0])?;
    let head = linear.unroll(&x, &d_x)?;
    head.d_output().write(&[2.0])?;
    gpu.submit(|encoder| {
        head.encode_forward(encoder);
        head.encode_backward(encoder)
    })?;
    let [d_weight, d_bias] = [0, 1].map(|number| read(head.gradients()[number]));
    let all = [read(head.output()), read(&d_x), d_weight, d_bias].concat();
    assert_close("a linear layer", &all, &[2.0, 1.0, 0.5, 2.0, 4.0, 2.0], Tolerance::pointwise());
    Ok(())
}

fn use_linear_inference(gpu: &Gpu) -> Result<()> {
    let linear = Linear::with_weights(gpu, [1, 2], &[0.5, 0.25], &[1.0])?;
    let head = linear.unroll_inference(&Tensor::from_slice(gpu, &[1, 2], &[1.0, 2.0])?)?;
    record(gpu, |encoder| head.encode_forward(encoder));
    assert_close("output", &read(head.output()), &[2.0], Tolerance::pointwise());
    Ok(())
}

/// All weights are 0 but b_n, which is 1: h = tanh(1) / 2 after a step.
fn use_layer(gpu: &Gpu, unroll: Unroll) -> Result<()> {
    let gru = Gru::new(gpu, GruConfig::new(1, 4), 1)?;
    for parameter in gru.parameters().tensors() {
        parameter.write(&vec![0.0; parameter.len()])?;
    }
    let bias = gru.parameters().cells[0].bias_ih.as_ref().expect("a bias");
    bias.write(&[&[0.0; 8][..], &[1.0; 4]].concat())?;
    let training = unroll == Unroll::training(1, 2);
    let mut net = gru.unroll(unroll)?;
    gpu.submit(|encoder| net.encode_forward(encoder))?;
    assert_close("output", &read(net.output()), &[0.5 * 1.0_f64.tanh(); 8], Tolerance::pointwise());
    if training {
        net.d_output()?.write(&[1.0; 8])?;
        gpu.submit(|encoder| net.encode_backward(encoder))?;
        let d_bias = read(net.gradients()?.parameters.cells[0].bias_ih.as_ref().expect("a bias"));
        // Of two rows: d_n = (1 - z)(1 - tanh^2).
        let d_n = 1.0 - 1.0_f64.tanh().powi(2);
        assert_close("d_b_n", &d_bias[8..], &[d_n; 4], Tolerance::pointwise());
    }
    Ok(())
}

fn use_gru(gpu: &Gpu) -> Result<()> {
    use_layer(gpu, Unroll::training(1, 2))
}

fn use_gru_inference(gpu: &Gpu) -> Result<()> {
    use_layer(gpu, Unroll::inference(1, 2))
}

fn use_finite_check(gpu: &Gpu) -> Result<()> {
    let bad = Tensor::from_slice(gpu, &[2, 2], &[1.0, 2.0, f32::INFINITY, 4.0])?;
    let check = FiniteCheck::new([("bad".to_owned(), &bad)])?;
    record(gpu, |encoder| check.encode(encoder));
    let found = check.read_blocking()?;
    assert_eq!(found[0].to_string(), "bad is not finite at [1, 0]", "the place");
    Ok(())
}

/// All weights are 0: h = h0 / 2 after a step.
fn use_first_state(gpu: &Gpu) -> Result<()> {
    let gru = Gru::new(gpu, GruConfig::new(1, 4), 1)?;
    for parameter in gru.parameters().tensors() {
        parameter.write(&vec![0.0; parameter.len()])?;
    }
    let mut net = gru.unroll(Unroll::training(1, 1))?;
    let first = FirstState::new(&Tensor::from_slice(gpu, &[1, 1, 4], &[2.0; 4])?, &net)?;
    net.d_output()?.write(&[1.0; 4])?;
    gpu.submit(|encoder| {
        first.encode_forward(encoder);
        net.encode_forward(encoder)?;
        net.encode_backward(encoder)?;
        first.encode_backward(encoder)
    })?;
    assert_close("output", &read(net.output()), &[1.0; 4], Tolerance::pointwise());
    assert_close("gradient", &read(first.pair()?.1), &[0.5; 4], Tolerance::pointwise());
    Ok(())
}

fn devices_of_low_limits(gpu: &Gpu) {
    // Which objects work as planned for a software adapter; other plans have other kernels.
    let told = gpu.is_software() && settings::planned_as().is_none_or(|class| class == wgpu::DeviceType::Cpu);
    let devices: [(&str, Lower, Works); 21] = [
        ("WebGPU's defaults", |_| {}, Works::All),
        (
            "downlevel_defaults",
            |all| *all = wgpu::Limits::downlevel_defaults(),
            Works::AllBut(&["adam", "masked error", "cross-entropy", "gru", "gru for inference", "first state"]),
        ),
        ("3 storage buffers", |all| all.max_storage_buffers_per_shader_stage = 3, Works::Only(&["finite check"])),
        (
            "4 storage buffers",
            |all| all.max_storage_buffers_per_shader_stage = 4,
            Works::AllBut(&["adam", "masked error", "cross-entropy", "gru", "gru for inference", "first state"]),
        ),
        (
            "workgroups of 64",
            |all| all.max_compute_workgroup_size_x = 64,
            Works::Only(&["linear", "linear for inference"]),
        ),
        (
            "workgroups of 4 lines",
            |all| all.max_compute_workgroup_size_y = 4,
            Works::Only(&["adam", "sgd", "sgd over several passes", "linear for inference", "finite check"]),
        ),
        ("3 bindings", |all| all.max_bindings_per_bind_group = 3, Works::Only(&["finite check"])),
        (
            "128 invocations",
            |all| all.max_compute_invocations_per_workgroup = 128,
            Works::Only(&["linear for inference"]),
        ),
        (
            "1 KiB of workgroup memory",
            |all| all.max_compute_workgroup_storage_size = 1024,
            Works::AllBut(&["adam", "sgd", "sgd over several passes", "embedding"]),
        ),
        ("uniforms of 16 bytes", |all| all.max_uniform_buffer_binding_size = 16, Works::None),
        (
            "uniforms of 40 bytes",
            |all| all.max_uniform_buffer_binding_size = 40,
            Works::AllBut(&["linear", "linear for inference", "gru", "gru for inference", "first state"]),
        ),
        ("no uniform", |all| all.max_uniform_buffers_per_shader_stage = 0, Works::None),
        ("no bind group", |all| all.max_bind_groups = 0, Works::None),
        (
            "no dynamic uniform",
            |all| all.max_dynamic_uniform_buffers_per_pipeline_layout = 0,
            Works::AllBut(&["gru", "gru for inference", "first state"]),
        ),
        (
            "4 buffers",
            |all| all.max_buffers_and_acceleration_structures_per_shader_stage = 4,
            Works::Only(&["finite check"]),
        ),
        ("workgroups without depth", |all| all.max_compute_workgroup_size_z = 0, Works::None),
        ("buffers of 4 bytes", |all| all.max_buffer_size = 4, Works::None),
        ("bindings of 4 bytes", |all| all.max_storage_buffer_binding_size = 4, Works::None),
        ("no workgroup", |all| all.max_compute_workgroups_per_dimension = 0, Works::None),
        (
            "uniforms anywhere",
            |all| (all.min_uniform_buffer_offset_alignment, all.min_storage_buffer_offset_alignment) = (256, 256),
            Works::All,
        ),
        ("one workgroup", |all| all.max_compute_workgroups_per_dimension = 1, Works::AllBut(&["embedding"])),
    ];
    for (name, lower, expected) in devices {
        let mut limits = wgpu::Limits::default();
        lower(&mut limits);
        let small = open(gpu, limits);
        for (object, make) in OBJECTS {
            let works = expected.of(object);
            match make(&small) {
                Ok(()) => assert!(works || !told, "{object} on a device with {name} should have been refused"),
                Err(Error::LimitExceeded { required, available, .. }) => {
                    assert!(
                        required > available && (!works || !told),
                        "{object} on a device with {name}: {required}, {available}"
                    );
                }
                Err(error) => panic!("{object} on a device with {name}: {error}"),
            }
        }
    }
}

fn the_message_says_what_to_do(gpu: &Gpu) {
    let small = open(gpu, wgpu::Limits::downlevel_defaults());
    let (parameter, gradient) = (tensor(&small, &[1], &[1.0]), tensor(&small, &[1], &[1.0]));
    let before = small.activity();
    let error = Adam::new([(&parameter, &gradient)], &AdamOptions::default()).expect_err("5 storage buffers");
    assert_eq!(small.activity(), before, "nothing is made");
    let text = error.to_string();
    for part in ["adam needs 5", "max_storage_buffers_per_shader_stage is 4", "Config::required_limits"] {
        assert!(text.contains(part), "{part} is missing: {text}");
    }
}
