//! Everybody who takes part, behind one trait.

mod loops;
mod ours;

#[cfg(feature = "burn")]
pub(crate) mod burn;
#[cfg(feature = "candle")]
mod candle;
#[cfg(feature = "rten")]
mod rten;

use anyhow::{Context, Result, bail};
use wgpu_gru::CellWeights;

use crate::case::{Case, Pass};
pub(crate) use ours::open_gpu;

/// A layer made ready for one pass over one case. Its input lies where it computes; what it is made of, it keeps.
pub(crate) trait Contestant {
    /// The pass, from the beginning to its end, which is a read: of h_n `[B, H]` after a forward pass, of the gradient
    /// of a bias of the candidate `[H]` after training. Then everything else is made too.
    fn run(&mut self) -> Result<Vec<f32>>;

    /// What the last training pass made.
    fn gradients(&mut self) -> Result<CellWeights> {
        bail!("it does not train")
    }
}

/// Who takes part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// wgpu-gru on the GPU.
    Gpu,
    /// wgpu-gru's CPU layer.
    Cpu,
    /// burn's GRU on the same adapter.
    #[cfg(feature = "burn")]
    BurnWgpu,
    /// burn's GRU on its CPU backend.
    #[cfg(feature = "burn")]
    BurnFlex,
    /// candle-nn's GRU on the CPU.
    #[cfg(feature = "candle")]
    Candle,
    /// rten on the CPU.
    #[cfg(feature = "rten")]
    Rten,
    /// Plain loops on one thread.
    Loops,
}

impl Kind {
    /// Everybody who was compiled in, in the order of reports.
    pub(crate) const ALL: &[Self] = &[
        Self::Gpu,
        #[cfg(feature = "burn")]
        Self::BurnWgpu,
        Self::Cpu,
        #[cfg(feature = "burn")]
        Self::BurnFlex,
        #[cfg(feature = "candle")]
        Self::Candle,
        #[cfg(feature = "rten")]
        Self::Rten,
        Self::Loops,
    ];

    /// The name on the command line and in reports.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Gpu => "gpu",
            Self::Cpu => "cpu",
            #[cfg(feature = "burn")]
            Self::BurnWgpu => burn::WGPU_NAME,
            #[cfg(feature = "burn")]
            Self::BurnFlex => "burn-flex",
            #[cfg(feature = "candle")]
            Self::Candle => "candle",
            #[cfg(feature = "rten")]
            Self::Rten => "rten",
            Self::Loops => "loops",
        }
    }

    /// The one of this name.
    pub(crate) fn named(name: &str) -> Result<Self> {
        let found = Self::ALL.iter().copied().find(|kind| kind.name() == name);
        found.with_context(|| {
            let names: Vec<_> = Self::ALL.iter().map(|kind| kind.name()).collect();
            format!("there is no contestant {name}, only {}", names.join(", "))
        })
    }

    /// Whether it needs the GPU adapter.
    pub(crate) fn needs_adapter(self) -> bool {
        match self {
            Self::Gpu => true,
            #[cfg(feature = "burn")]
            Self::BurnWgpu => true,
            _ => false,
        }
    }

    /// Whether it can do this.
    pub(crate) fn can(self, pass: Pass) -> bool {
        match self {
            Self::Loops => pass == Pass::Forward,
            #[cfg(feature = "rten")]
            Self::Rten => pass == Pass::Forward,
            _ => true,
        }
    }

    /// Makes it ready for a pass over a case. The devices are opened at the first call, and kept.
    pub(crate) fn prepare(self, case: &Case, pass: Pass) -> Result<Box<dyn Contestant>> {
        Ok(match self {
            Self::Gpu => Box::new(ours::OnGpu::new(case, pass)?),
            Self::Cpu => Box::new(ours::OnCpu::new(case, pass)?),
            #[cfg(feature = "burn")]
            Self::BurnWgpu => Box::new(burn::BurnGru::on_wgpu(case, pass)?),
            #[cfg(feature = "burn")]
            Self::BurnFlex => Box::new(burn::BurnGru::on_flex(case, pass)),
            #[cfg(feature = "candle")]
            Self::Candle => Box::new(candle::CandleGru::new(case, pass)?),
            #[cfg(feature = "rten")]
            Self::Rten => Box::new(rten::RtenGru::new(case)?),
            Self::Loops => Box::new(loops::Loops::new(case)),
        })
    }
}
