#![expect(clippy::print_stdout, reason = "dev")]
mod baseline;
mod data;
mod features;
mod model;
use baseline::Autoregression;
use data::*;
use features::*;
use wgpu_gru::*;
fn env(n: &str, d: f32) -> f32 { std::env::var(n).ok().and_then(|v| v.parse().ok()).unwrap_or(d) }
fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let s = Series::load()?;
    let n_train = s.index(Month::january(env("TRAIN", 1935.0) as usize))?;
    let end = s.index(Month::january(env("TEST", 1965.0) as usize))?;
    let f = Features::new(&s.values, n_train);
    let origins: Vec<usize> = (n_train - HORIZONS..end - 1).collect();
    let tr_origins: Vec<usize> = (0..500).map(|i| 200 + i * (n_train - HORIZONS - 201) / 500).collect();
    let rmse = |name: &str, fc: &dyn Fn(usize, usize) -> f64| {
        print!("{name:20}");
        for h in [1, 6, 12, 18, 24] {
            let mut q = 0.0;
            for y in n_train..end { q += (fc(y - h, h) - f64::from(s.values[y])).powi(2); }
            print!(" {h:2}: {:6.2}", (q / (end - n_train) as f64).sqrt());
        }
        println!();
    };
    rmse("persistence", &|o, _| f64::from(s.values[o]));
    rmse("cycle", &|o, h| f64::from(s.values[o + h - 131]));
    for p in [12, 24, 36, 60, 100, 132, 144, 180] {
        let (ar, aic) = Autoregression::fit(&f.x[..n_train], p).unwrap();
        let var: Vec<f64> = { let mut v = vec![0.0; HORIZONS];
            for &o in &tr_origins { for (h, m) in ar.forecast(&f.x[..=o], HORIZONS).iter().enumerate() { v[h] += (m - f64::from(f.x[o + 1 + h])).powi(2) / tr_origins.len() as f64; } } v };
        let fcs: Vec<Vec<f64>> = origins.iter().map(|&o| ar.forecast(&f.x[..=o], HORIZONS)).collect();
        rmse(&format!("AR({p}) {aic:.0}"), &|o, h| f.scale.count(fcs[o - origins[0]][h - 1], var[h - 1]));
        let (ar, aic) = Autoregression::fit(&s.values[..n_train], p).unwrap();
        let fcs: Vec<Vec<f64>> = origins.iter().map(|&o| ar.forecast(&s.values[..=o], HORIZONS)).collect();
        rmse(&format!(" raw AR({p}) {aic:.0}"), &|o, h| fcs[o - origins[0]][h - 1].max(0.0));
    }
    let steps = env("STEPS", 400.0) as usize;
    if steps == 0 { return Ok(()); }
    let gpu = Gpu::new_blocking()?;
    let (hidden, b) = (env("H", 32.0) as usize, env("B", 32.0) as usize);
    let seeds = env("SEEDS", 1.0) as u64;
    let mut all: Vec<Vec<f64>> = vec![];
    for seed in 1..=seeds {
        let mut m = model::Trainer::new(&gpu, hidden, b, seed)?;
        let mut random = Uniform::new(seed + 1000);
        let (mut x, mut y) = (vec![], vec![]);
        let begin = std::time::Instant::now();
        let lr = env("LR", 0.005);
        for step in 0..steps {
            f.batch(n_train, &mut random, &mut x, &mut y, b);
            let p = step as f32 / steps as f32;
            let rate = lr * (0.5 * (1.0 + (std::f32::consts::PI * p).cos())).max(0.01) * ((step + 1) as f32 / 20.0).min(1.0);
            m.step(&x, &y, rate)?;
            if step % 50 == 49 {
                print!("{:.4} ", m.loss()?);
            }
            if env("EVAL", 0.0) > 0.0 && (step + 1) % (env("EVAL", 0.0) as usize) == 0 || step + 1 == steps {
                let out = m.forecast(&f.windows(&tr_origins))?;
                let mut var = vec![0.0; HORIZONS];
                for (k, &o) in tr_origins.iter().enumerate() { for h in 0..HORIZONS {
                    var[h] += f64::from(out[k * HORIZONS + h] + f.base(o, 1.0) - f.x[o + 1 + h]).powi(2) / tr_origins.len() as f64; } }
                let out = m.forecast(&f.windows(&origins))?;
                println!("{:.1}s/step {}", begin.elapsed().as_secs_f64() * 1000.0 / (step + 1) as f64, step + 1);
                let fc = |o: usize, h: usize| { let k = o - origins[0]; f.scale.count(f64::from(out[k * HORIZONS + h - 1] + f.base(o, 1.0)), var[h - 1]) };
                rmse(&format!("GRU seed {seed}"), &fc);
                if step + 1 == steps {
                    all.push((0..origins.len() * HORIZONS).map(|i| fc(origins[i / HORIZONS], i % HORIZONS + 1)).collect());
                }
            }
        }
    }
    rmse("GRU mean of seeds", &|o, h| all.iter().map(|a| a[(o - origins[0]) * HORIZONS + h - 1]).sum::<f64>() / all.len() as f64);
    Ok(())
}
