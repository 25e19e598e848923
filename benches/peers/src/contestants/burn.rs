//! burn's GRU, on its wgpu backend and on its CPU backend flex. Both as burn's documentation says: fusion and
//! autotuning as they come; the graphics API as burn chooses it, and on Vulkan SPIR-V where the feature `burn-spirv` is
//! on.

use std::sync::OnceLock;

use anyhow::{Context, Result, bail};
use burn::module::Param;
use burn::nn::{GateController, Gru, GruConfig};
use burn::tensor::{Device, Tensor, TensorData};
use wgpu_gru::CellWeights;

use crate::case::{Case, Pass, Size, swap_outer, transpose};
use crate::contestants::{Contestant, open_gpu};

/// The name of burn's wgpu backend here, for it is compiled for one of two shader compilers.
pub(crate) const WGPU_NAME: &str = if cfg!(feature = "burn-spirv") { "burn-spirv" } else { "burn-wgpu" };

/// The adapter that burn takes, opened at the first call.
#[derive(Debug)]
pub(crate) struct Opened {
    device: Device,
    /// The adapter's name.
    pub(crate) adapter: String,
    pub(crate) driver: String,
}

/// Opens the adapter at the first call.
///
/// # Errors
/// Where burn finds none.
pub(crate) fn open_wgpu() -> Result<&'static Opened> {
    static OPENED: OnceLock<Opened> = OnceLock::new();
    if let Some(opened) = OPENED.get() {
        return Ok(opened);
    }
    let (device, setup) = Device::wgpu_options().init_with_setup()?;
    let info = setup.adapter.get_info();
    Ok(OPENED.get_or_init(|| Opened { device, adapter: info.name, driver: info.driver_info }))
}

/// Whether burn and wgpu-gru took the same adapter.
///
/// # Errors
/// Where they did not, with what to do about it.
pub(crate) fn expect_same_adapter() -> Result<()> {
    let (burn, ours) = (&open_wgpu()?.adapter, &open_gpu()?.info().name);
    if burn != ours {
        bail!(
            "burn took {burn} and wgpu-gru {ours}: choose with CUBECL_WGPU_DEFAULT_DEVICE, such as DiscreteGpu(0), and \
             WGPU_ADAPTER_NAME"
        );
    }
    Ok(())
}

/// burn's GRU.
#[derive(Debug)]
pub(super) struct BurnGru {
    size: Size,
    pass: Pass,
    device: Device,
    gru: Gru,
    /// `[B, T, I]`
    x: Tensor<3>,
    /// `[B, H]`
    h0: Tensor<2>,
    /// `[B, T, H]`
    d_output: Tensor<3>,
    gradients: Vec<GateGradients>,
}

/// What one gate's weights got: from the input `[I, H]` and `[H]`, from the state `[H, H]` and `[H]`.
#[derive(Debug)]
struct GateGradients {
    from_input: Tensor<2>,
    from_state: Tensor<2>,
    bias_ih: Tensor<1>,
    bias_hh: Tensor<1>,
}

impl BurnGru {
    pub(super) fn on_wgpu(case: &Case, pass: Pass) -> Result<Self> {
        Ok(Self::new(case, pass, open_wgpu()?.device.clone()))
    }

    pub(super) fn on_flex(case: &Case, pass: Pass) -> Self {
        Self::new(case, pass, Device::flex())
    }

    fn new(case: &Case, pass: Pass, device: Device) -> Self {
        let device = if pass == Pass::Training { device.autodiff() } else { device };
        let Size { steps, rows, inputs, units, .. } = case.size;
        let mut gru = GruConfig::new(inputs, units, true).init(&device);
        let gates = [&mut gru.reset_gate, &mut gru.update_gate, &mut gru.new_gate];
        for (index, gate) in gates.into_iter().enumerate() {
            fill(gate, case, index, &device);
        }
        let batch_first =
            |values: &[f32], width| TensorData::new(swap_outer(values, steps, rows, width), [rows, steps, width]);
        Self {
            size: case.size,
            pass,
            gru,
            x: Tensor::from_data(batch_first(&case.batch.x, inputs), &device),
            h0: Tensor::from_data(TensorData::new(case.batch.h0.clone(), [rows, units]), &device),
            d_output: Tensor::from_data(batch_first(&case.batch.d_output, units), &device),
            gradients: Vec::new(),
            device,
        }
    }
}

/// Gives a gate its part of the weights: gate 0 is r, 1 is z, 2 is n.
fn fill(gate: &mut GateController, case: &Case, index: usize, device: &Device) {
    let Size { inputs, units, .. } = case.size;
    let cell = case.cell();
    let matrix = |weights: &[f32], width: usize| {
        let part = &weights[index * units * width..][..units * width];
        Param::from_data(TensorData::new(transpose(part, width), [width, units]), device)
    };
    let bias = |bias: &[f32]| {
        Some(Param::from_data(TensorData::new(bias[index * units..][..units].to_vec(), [units]), device))
    };
    gate.input_transform.weight = matrix(&cell.weight_ih, inputs);
    gate.hidden_transform.weight = matrix(&cell.weight_hh, units);
    gate.input_transform.bias = bias(&cell.bias_ih);
    gate.hidden_transform.bias = bias(&cell.bias_hh);
}

impl Contestant for BurnGru {
    fn run(&mut self) -> Result<Vec<f32>> {
        let Size { steps, rows, units, .. } = self.size;
        self.gradients.clear();
        let output = self.gru.forward(self.x.clone(), Some(self.h0.clone()));
        if self.pass == Pass::Forward {
            return read(output.slice([0..rows, steps - 1..steps, 0..units]));
        }
        let mut made = (output * self.d_output.clone()).sum().backward();
        for gate in [&self.gru.reset_gate, &self.gru.update_gate, &self.gru.new_gate] {
            let (input, state) = (&gate.input_transform, &gate.hidden_transform);
            let mut take = |weight: &Param<Tensor<2>>, bias: &Option<Param<Tensor<1>>>| {
                let bias = bias.as_ref().context("there is no bias")?;
                let weight = weight.val().grad_remove(&mut made).context("a weight got no gradient")?;
                anyhow::Ok((weight, bias.val().grad_remove(&mut made).context("a bias got no gradient")?))
            };
            let (from_input, bias_ih) = take(&input.weight, &input.bias)?;
            let (from_state, bias_hh) = take(&state.weight, &state.bias)?;
            self.gradients.push(GateGradients { from_input, from_state, bias_ih, bias_hh });
        }
        // Operations are held back until somebody wants them done.
        self.device.sync()?;
        read(self.gradients[2].bias_hh.clone())
    }

    fn gradients(&mut self) -> Result<CellWeights> {
        let mut cell =
            CellWeights { weight_ih: Vec::new(), weight_hh: Vec::new(), bias_ih: Vec::new(), bias_hh: Vec::new() };
        for gate in &self.gradients {
            cell.weight_ih.extend(transpose(&read(gate.from_input.clone())?, self.size.units));
            cell.weight_hh.extend(transpose(&read(gate.from_state.clone())?, self.size.units));
            cell.bias_ih.extend(read(gate.bias_ih.clone())?);
            cell.bias_hh.extend(read(gate.bias_hh.clone())?);
        }
        Ok(cell)
    }
}

/// To the host.
fn read<const D: usize>(tensor: Tensor<D>) -> Result<Vec<f32>> {
    Ok(tensor.try_into_data()?.try_into_vec()?)
}
