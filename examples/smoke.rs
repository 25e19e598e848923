use std::time::Instant;
use wgpu_gru::*;
use wgpu_gru::reference::oracle;
fn main() {
    let gpu = Gpu::new_blocking().unwrap();
    println!("{}", gpu.describe());
    for (t,b,i,h) in [(1,1,1,1),(3,2,5,7),(5,1,3,6),(4,9,17,33),(64,32,128,128)] {
        let config = GruConfig::new(i,h);
        let w = GruWeights::random(&config, 3);
        let gru = Gru::with_weights(&gpu, config.clone(), &w).unwrap();
        let mut net = gru.unroll(Unroll::training(t,b)).unwrap();
        let mut u = Uniform::new(5);
        let (x,h0,dy,dh)=(u.vec(t*b*i,1.0),u.vec(b*h,1.0),u.vec(t*b*h,1.0),u.vec(b*h,1.0));
        let f=|v:&[f32]| v.iter().map(|&x|x as f64).collect::<Vec<_>>();
        net.forward(&Tensor::from_slice(&gpu,&[t,b,i],&x).unwrap(), Some(&Tensor::from_slice(&gpu,&[b,h],&h0).unwrap())).unwrap();
        let y = net.output().read_blocking().unwrap();
        let g = net.backward(Some(&Tensor::from_slice(&gpu,&[t,b,h],&dy).unwrap()), Some(&Tensor::from_slice(&gpu,&[b,h],&dh).unwrap())).unwrap();
        let wo = oracle::Weights::from(&w);
        let fo = oracle::forward(&config,&wo,t,b,&f(&x),&f(&h0));
        let go = oracle::backward(&config,&wo,&f(&x),&fo,&f(&dy),&f(&dh));
        let e=|a:&[f32],b:&[f64]| a.iter().zip(b).map(|(a,b)|(*a as f64-b).abs()).fold(0.0,f64::max);
        let r=|t:&Tensor| t.read_blocking().unwrap();
        println!("{t} {b} {i} {h}: y {:.1e} dx {:.1e} dh0 {:.1e} wih {:.1e} whh {:.1e} bih {:.1e} bhh {:.1e}", e(&y,fo.output()), e(&r(g.input.as_ref().unwrap()),&go.d_x), e(&r(&g.h0),&go.d_h0), e(&r(&g.parameters.weight_ih),&go.d_weight_ih), e(&r(&g.parameters.weight_hh),&go.d_weight_hh), e(&r(&g.parameters.bias_ih),&go.d_bias_ih), e(&r(&g.parameters.bias_hh),&go.d_bias_hh));
        if h==128 {println!("{}", net.explain());}
    }
    for (t,b,i,h) in [(64,32,128,128),(128,32,256,256),(100,1,64,64),(480,1,64,96)] {
        let gru = Gru::new(&gpu, GruConfig::new(i,h), 1).unwrap();
        let mut net = gru.unroll(Unroll::training(t,b)).unwrap();
        let x = Tensor::zeros(&gpu,&[t,b,i]).unwrap();
        let mut tf=vec![]; let mut tb=vec![];
        for _ in 0..4 {
            let s=Instant::now(); net.forward(&x,None).unwrap(); gpu.wait_blocking().unwrap(); tf.push(s.elapsed().as_secs_f64()*1e3);
            let s=Instant::now(); net.backward(None,None).unwrap(); gpu.wait_blocking().unwrap(); tb.push(s.elapsed().as_secs_f64()*1e3);
        }
        tf.sort_by(f64::total_cmp); tb.sort_by(f64::total_cmp);
        println!("{t},{b},{i},{h} fwd {:.1} ms {:.2} GF/s, bwd {:.1} ms {:.2} GF/s", tf[1], net.plan().forward_flops() as f64/tf[1]/1e6, tb[1], net.plan().backward_flops() as f64/tb[1]/1e6);
    }
}
