//! candle-nn's GRU on the CPU.

use std::collections::HashMap;

use anyhow::{Context, Result};
use candle_core::backprop::GradStore;
use candle_core::{DType, Device, Tensor, Var};
use candle_nn::rnn::{GRU, GRUConfig, GRUState, RNN, gru};
use candle_nn::{VarBuilder, VarMap};
use wgpu_gru::CellWeights;

use crate::case::{Case, Pass, swap_outer};
use crate::contestants::Contestant;

/// candle's names, in the order of [`CellWeights::NAMES`].
const NAMES: [&str; 4] = ["weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"];

/// candle's GRU.
pub(super) struct CandleGru {
    gru: GRU,
    /// `[B, T, I]`
    x: Tensor,
    first: GRUState,
    /// For training: the variables behind the weights, and the gradient of the output, `[B, TH]`.
    training: Option<([Var; 4], Tensor)>,
    made: Option<GradStore>,
}

impl CandleGru {
    pub(super) fn new(case: &Case, pass: Pass) -> Result<Self> {
        let size = case.size;
        let (steps, rows, inputs, units) = (size.steps, size.rows, size.inputs, size.units);
        let shapes = [vec![3 * units, inputs], vec![3 * units, units], vec![3 * units], vec![3 * units]];
        let arrays = case.cell().arrays().into_iter().zip(shapes);
        let tensors = arrays.map(|(array, shape)| Tensor::from_slice(array, shape, &Device::Cpu));
        let named: Vec<(&str, Tensor)> =
            NAMES.into_iter().zip(tensors).map(|(name, tensor)| anyhow::Ok((name, tensor?))).collect::<Result<_>>()?;

        // Without variables nothing is kept for a backward pass.
        let (builder, training) = if pass == Pass::Training {
            let map = VarMap::new();
            let vars = named.into_iter().map(|(name, tensor)| {
                let var = Var::from_tensor(&tensor)?;
                map.data().lock().map_err(|_| anyhow::anyhow!("a thread panicked"))?.insert(name.into(), var.clone());
                Ok(var)
            });
            let vars: Vec<Var> = vars.collect::<Result<_>>()?;
            let vars = <[Var; 4]>::try_from(vars).ok().context("four weights")?;
            let d_output = swap_outer(&case.batch.d_output, steps, rows, units);
            let d_output = Tensor::from_vec(d_output, (rows, steps * units), &Device::Cpu)?;
            (VarBuilder::from_varmap(&map, DType::F32, &Device::Cpu), Some((vars, d_output)))
        } else {
            let map: HashMap<String, Tensor> = named.into_iter().map(|(name, tensor)| (name.into(), tensor)).collect();
            (VarBuilder::from_tensors(map, DType::F32, &Device::Cpu), None)
        };
        let x = swap_outer(&case.batch.x, steps, rows, inputs);
        Ok(Self {
            gru: gru(inputs, units, GRUConfig::default(), builder)?,
            x: Tensor::from_vec(x, (rows, steps, inputs), &Device::Cpu)?,
            first: GRUState { h: Tensor::from_slice(&case.batch.h0, (rows, units), &Device::Cpu)? },
            training,
            made: None,
        })
    }
}

impl Contestant for CandleGru {
    fn run(&mut self) -> Result<Vec<f32>> {
        self.made = None;
        let states = self.gru.seq_init(&self.x, &self.first)?;
        let Some((vars, d_output)) = &self.training else {
            let last = states.last().context("there is a step")?;
            return to_vec(last.h());
        };
        // The states side by side: [B, TH].
        let made = (self.gru.states_to_tensor(&states)? * d_output)?.sum_all()?.backward()?;
        let small = to_vec(made.get(&vars[3]).context("a bias got no gradient")?)?;
        self.made = Some(made);
        Ok(small)
    }

    fn gradients(&mut self) -> Result<CellWeights> {
        let (vars, _) = self.training.as_ref().context("it was made for inference")?;
        let made = self.made.as_ref().context("nothing ran")?;
        let get = |index: usize| to_vec(made.get(&vars[index]).context("a weight got no gradient")?);
        Ok(CellWeights { weight_ih: get(0)?, weight_hh: get(1)?, bias_ih: get(2)?, bias_hh: get(3)? })
    }
}

fn to_vec(tensor: &Tensor) -> Result<Vec<f32>> {
    Ok(tensor.flatten_all()?.to_vec1()?)
}
