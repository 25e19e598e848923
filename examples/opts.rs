//! scratch
use wgpu_gru::verify::{Batch, verify_batch};
use wgpu_gru::*;
fn run<C: Copy + Into<Cell>>(gpu: &Gpu, name: &str, config: Config<C>, unroll: Unroll, lengths: Option<Vec<usize>>) {
    let layer = match Recurrent::new(gpu, config.clone(), 3) {
        Ok(l) => l,
        Err(e) => {
            println!("{name}: new: {e}");
            return;
        }
    };
    let mut net = match layer.unroll(unroll) {
        Ok(l) => l,
        Err(e) => {
            println!("{name}: unroll: {e}");
            return;
        }
    };
    let e = net.explain();
    let count = |k: &str| {
        e.lines()
            .filter(|l| l.contains(k))
            .flat_map(|l| l.split(':').nth(1).unwrap_or("").split(' ').filter_map(|w| w.parse::<usize>().ok()))
            .sum::<usize>()
    };
    let (f, b) = (count("recorded forward"), count("recorded backward"));
    let plan = net.plan();
    let ok = f == plan.forward_dispatches() && b == plan.backward_dispatches();
    if !ok {
        println!("   DISPATCHES {f} {} {b} {}", plan.forward_dispatches(), plan.backward_dispatches());
    }
    let mut batch = Batch::random(&config, unroll.seq_len(), unroll.batch(), 5);
    batch.lengths = lengths;
    match pollster::block_on(verify_batch(&layer, &mut net, &batch)) {
        Ok(r) => println!("{name}: ok {:.2}%", r.worst_share() * 100.0),
        Err(Error::OverBudget(r)) => {
            println!("{name}: OVER\n{r}");
            if let Some(n) = &net.gradients().unwrap().norms {
                println!("{:?} {:?}", n.shape(), n.read_blocking().unwrap());
            }
        }
        Err(e) => println!("{name}: {e}"),
    }
}
fn main() {
    let gpu = Gpu::new_blocking().unwrap();
    let g = || GruConfig::new(5, 7);
    let u = Unroll::training(6, 3);
    let l = Some(vec![6, 0, 3]);
    run(&gpu, "plain", g(), u, None);
    run(&gpu, "2 layers", g().num_layers(2), u, None);
    run(&gpu, "reverse", g().direction(Direction::Reverse), u, None);
    run(&gpu, "bi", g().direction(Direction::Bidirectional), u, None);
    run(&gpu, "bi 3 layers", g().direction(Direction::Bidirectional).num_layers(3), u, None);
    run(&gpu, "no bias", g().bias(false), u, None);
    run(&gpu, "batch first", g().batch_first(true), u, None);
    run(&gpu, "lengths", g(), u.lengths(true), l.clone());
    run(&gpu, "lengths rev", g().direction(Direction::Reverse), u.lengths(true), l.clone());
    run(
        &gpu,
        "lengths bi 2 bf",
        g().direction(Direction::Bidirectional).num_layers(2).batch_first(true),
        u.lengths(true),
        l.clone(),
    );
    run(&gpu, "before", g().reset(Reset::Before), u, None);
    run(
        &gpu,
        "before lengths bi",
        g().reset(Reset::Before).direction(Direction::Bidirectional),
        u.lengths(true),
        l.clone(),
    );
    run(&gpu, "states only", g(), u.saved(Saved::StatesOnly), None);
    run(
        &gpu,
        "states only before bi",
        g().reset(Reset::Before).direction(Direction::Bidirectional),
        Unroll::training(70, 3).saved(Saved::StatesOnly),
        None,
    );
    run(
        &gpu,
        "states only long bi 2 len",
        g().direction(Direction::Bidirectional).num_layers(2),
        Unroll::training(70, 3).saved(Saved::StatesOnly).lengths(true),
        Some(vec![70, 33, 1]),
    );
    run(&gpu, "dropout", g().num_layers(3).dropout(0.4), u, None);
    run(
        &gpu,
        "dropout bi bf len",
        g().num_layers(2).dropout(0.4).direction(Direction::Bidirectional).batch_first(true),
        u.lengths(true),
        l.clone(),
    );
    run(&gpu, "clip", g().clip(0.3), u, None);
    run(
        &gpu,
        "norms",
        g().num_layers(2).direction(Direction::Bidirectional),
        u.gradient_norms(true).lengths(true),
        l.clone(),
    );
    run(&gpu, "rnn", RnnConfig::new(5, 7), u, None);
    run(
        &gpu,
        "rnn relu bi 2 len",
        RnnConfig::new(5, 7).nonlinearity(Activation::Relu).direction(Direction::Bidirectional).num_layers(2),
        u.lengths(true).gradient_norms(true),
        l.clone(),
    );
    run(&gpu, "rnn states", RnnConfig::new(5, 7), Unroll::training(70, 3).saved(Saved::StatesOnly), None);
    for a in [
        Activation::Sigmoid,
        Activation::Tanh,
        Activation::Relu,
        Activation::HARD_SIGMOID_ONNX,
        Activation::HARD_SIGMOID_KERAS,
        Activation::LeakyRelu { alpha: 0.1 },
        Activation::ThresholdedRelu { theta: 0.1 },
        Activation::Softsign,
        Activation::Softplus,
        Activation::Linear,
    ] {
        run(&gpu, &format!("cand {a:?}"), g().candidate_activation(a), u, None);
        run(&gpu, &format!("gate {a:?}"), g().gate_activation(a), u, None);
        run(&gpu, &format!("clip cand {a:?}"), g().candidate_activation(a).gate_activation(a).clip(0.5), u, None);
        run(&gpu, &format!("rnn {a:?}"), RnnConfig::new(5, 7).nonlinearity(a), u, None);
    }
}
