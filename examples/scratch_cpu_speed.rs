#![allow(missing_docs, clippy::print_stdout, clippy::allow_attributes_without_reason, clippy::allow_attributes)]
use std::time::Instant;
use wgpu_gru::{GruConfig, GruWeights, Uniform, Unroll, cpu::CpuGru};

fn loops(w: &GruWeights, t: usize, b: usize, i: usize, h: usize, x: &[f32], state: &mut Vec<f32>) {
    let mut gx = vec![0.0f32; 3 * h];
    let mut gh = vec![0.0f32; 3 * h];
    for s in 0..t {
        for r in 0..b {
            let xr = &x[(s * b + r) * i..][..i];
            let hr = &mut state[r * h..][..h];
            for j in 0..3 * h {
                let mut a = w.bias_ih[j];
                for (wv, xv) in w.weight_ih[j * i..][..i].iter().zip(xr) {
                    a += wv * xv;
                }
                gx[j] = a;
                let mut a = w.bias_hh[j];
                for (wv, xv) in w.weight_hh[j * h..][..h].iter().zip(hr.iter()) {
                    a += wv * xv;
                }
                gh[j] = a;
            }
            for j in 0..h {
                let rr = 1.0 / (1.0 + (-(gx[j] + gh[j])).exp());
                let z = 1.0 / (1.0 + (-(gx[h + j] + gh[h + j])).exp());
                let n = (gx[2 * h + j] + rr * gh[2 * h + j]).tanh();
                hr[j] = (1.0 - z) * n + z * hr[j];
            }
        }
    }
}

fn best(budget: f64, min: usize, mut f: impl FnMut()) -> f64 {
    f();
    let start = Instant::now();
    let (mut best, mut n) = (f64::MAX, 0);
    while n < min || start.elapsed().as_secs_f64() < budget {
        let s = Instant::now();
        f();
        best = best.min(s.elapsed().as_secs_f64());
        n += 1;
    }
    best * 1e3
}

fn main() {
    let all = [
        ("s1", 64, 32, 128, 128),
        ("s2", 128, 32, 256, 256),
        ("s3", 64, 64, 512, 512),
        ("s4", 100, 1, 64, 64),
        ("s5", 32, 64, 1024, 1024),
        ("s6", 480, 1, 64, 96),
    ];
    let only: Vec<String> = std::env::args().skip(1).collect();
    let noloops = std::env::var("NOLOOPS").is_ok();
    for (name, t, b, i, h) in all {
        if !only.is_empty() && !only.iter().any(|o| o == name) {
            continue;
        }
        let config = GruConfig::new(i, h);
        let w = GruWeights::random(&config, 1);
        let mut u = Uniform::new(2);
        let x = u.vec(t * b * i, 1.0);
        let d = u.vec(b * h, 1.0);
        let dout = u.vec(t * b * h, 1.0);
        let gru = CpuGru::new(config, &w).unwrap();
        let mut inf = gru.unroll(Unroll::inference(t, b)).unwrap();
        let fwd = best(1.0, 3, || inf.forward(&x, None).unwrap());
        let mut net = gru.unroll(Unroll::training(t, b)).unwrap();
        let bwd = best(1.0, 3, || {
            net.forward(&x, None).unwrap();
            net.backward(Some(&dout), Some(&d)).unwrap();
        });
        let mut state = vec![0.0; b * h];
        let l = if noloops {
            f64::NAN
        } else {
            best(0.5, 2, || {
                state.fill(0.0);
                loops(&w, t, b, i, h, &x, &mut state)
            })
        };
        println!("{name} ({t},{b},{i},{h}) loops {l:.2} fwd {fwd:.3} ({:.1}x) train {bwd:.3}", l / fwd);
    }
}
