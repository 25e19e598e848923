//! What a verification says: how each tensor compares.

use std::fmt;

use crate::tolerance::{Comparison, Tolerance};

/// How one tensor compares.
///
/// ```no_run
/// # async fn example(gpu: &wgpu_gru::Gpu) -> wgpu_gru::Result<()> {
/// let report = wgpu_gru::verify(gpu, &wgpu_gru::GruConfig::new(8, 32), 20, 4, 1).await?;
/// for tensor in &report.tensors {
///     println!("{} uses {:.1} % of its budget", tensor.tensor, 100.0 * tensor.worst.share);
/// }
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct TensorReport {
    /// Its name: `output`, `h_n`, `d_input`, `d_h0`, or `d_` and PyTorch's name of a parameter.
    pub tensor: String,
    /// The budget that was allowed.
    pub tolerance: Tolerance,
    /// The worst element, and the largest error.
    pub worst: Comparison,
}

/// How all tensors compare.
///
/// ```no_run
/// # async fn example(gpu: &wgpu_gru::Gpu) -> wgpu_gru::Result<()> {
/// let report = wgpu_gru::verify(gpu, &wgpu_gru::GruConfig::new(8, 32), 20, 4, 1).await?;
/// println!("{report}"); // a line a tensor
/// assert!(report.passed());
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// One entry a tensor: output, h_n, and the gradients.
    pub tensors: Vec<TensorReport>,
}

impl Report {
    /// The largest share of the budget that any tensor uses. At most 1 is a pass.
    #[must_use]
    pub fn worst_share(&self) -> f64 {
        self.tensors.iter().map(|tensor| tensor.worst.share).fold(0.0, f64::max)
    }

    /// Whether every element of every tensor is within its budget.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.tensors.iter().all(|tensor| tensor.worst.passed())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = |passed| if passed { "" } else { "  OVER BUDGET" };
        for (line, TensorReport { tensor, worst, .. }) in self.tensors.iter().enumerate() {
            if line > 0 {
                writeln!(f)?;
            }
            let Comparison { index, actual, expected, share, max_error } = worst;
            write!(
                f,
                "{tensor:<14} largest error {max_error:.2e}, {:6.2} % of the budget, worst [{index}] {actual:.7e} against {expected:.7e}{}",
                share * 100.0,
                mark(worst.passed())
            )?;
        }
        Ok(())
    }
}
