//! The time loop of a layer: what a schedule and the cuts of its workgroups say of its dispatches.

use super::cuts::{ExchangeCut, RowsCut, TileCut};
use crate::config::Cell;
use crate::schedule::{Schedule, Tuning};

/// The time loop of a layer.
///
/// ```no_run
/// # fn example(gpu: &wgpu_gru::Gpu) -> wgpu_gru::Result<()> {
/// # use wgpu_gru::{Gru, GruConfig, Unroll};
/// # let net = Gru::new(gpu, GruConfig::new(8, 32), 1)?.unroll(Unroll::training(20, 4))?;
/// println!("{:?}", net.plan().time_loop());
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TimeLoop {
    /// [`Schedule::Step`].
    Step {
        /// The cut of the steps forward.
        forward: TileCut,
        /// The cut of the steps backward.
        backward: TileCut,
    },
    /// [`Schedule::Rows`].
    Rows {
        /// Steps of a dispatch at most.
        steps: usize,
        /// The cut of the steps forward.
        forward: RowsCut,
        /// The cut of the steps backward.
        backward: RowsCut,
    },
    /// [`Schedule::Exchange`].
    Exchange {
        /// Steps of a dispatch at most.
        steps: usize,
        /// The cut of the steps forward.
        forward: ExchangeCut,
        /// The cut of the steps backward.
        backward: ExchangeCut,
    },
}

impl TimeLoop {
    /// The steps forward of this with the steps backward of another, if both have the same schedule.
    pub(crate) fn with(self, other: &Self) -> Option<Self> {
        match (self, *other) {
            (Self::Step { forward, .. }, Self::Step { backward, .. }) => Some(Self::Step { forward, backward }),
            (Self::Rows { steps, forward, .. }, Self::Rows { backward, .. }) => {
                Some(Self::Rows { steps, forward, backward })
            }
            (Self::Exchange { steps, forward, .. }, Self::Exchange { backward, .. }) => {
                Some(Self::Exchange { steps, forward, backward })
            }
            _ => None,
        }
    }

    /// What tells it from other candidates of the same layer on the same device.
    pub(crate) fn tuning(self) -> Tuning {
        let of_tile = |cut: TileCut| [cut.slices, cut.groups, cut.splits, cut.units, cut.rows, 0];
        let of_rows = |cut: RowsCut| [cut.slices, cut.units, cut.rows, cut.ahead, 0, 0];
        let of_exchange = |ExchangeCut { tile, rows, .. }: ExchangeCut| {
            [tile.slices, tile.groups, tile.splits, tile.units, tile.rows, rows]
        };
        let cuts = match self {
            Self::Step { forward, backward } => [forward, backward].map(of_tile),
            Self::Rows { forward, backward, .. } => [forward, backward].map(of_rows),
            Self::Exchange { forward, backward, .. } => [forward, backward].map(of_exchange),
        };
        Tuning { schedule: self.schedule(), cuts }
    }

    /// How it is laid out over dispatches.
    #[must_use]
    pub fn schedule(&self) -> Schedule {
        match self {
            Self::Step { .. } => Schedule::Step,
            Self::Rows { .. } => Schedule::Rows,
            Self::Exchange { .. } => Schedule::Exchange,
        }
    }

    /// Steps of a dispatch at most.
    #[must_use]
    pub fn steps(&self) -> usize {
        match self {
            Self::Step { .. } => 1,
            &Self::Rows { steps, .. } | &Self::Exchange { steps, .. } => steps,
        }
    }

    /// The kernels of some steps of a cell in their order, with the number of dispatches of each.
    pub(crate) fn kernels(&self, cell: Cell, steps: usize, backward: bool) -> Vec<(&'static str, u64)> {
        let count = steps.div_ceil(self.steps()) as u64;
        match self {
            Self::Rows { .. } => vec![(RowsCut::label(cell, backward), count)],
            Self::Exchange { .. } => ExchangeCut::labels(cell, backward).map(|label| (label, count)).to_vec(),
            Self::Step { .. } => {
                let mut kernels: Vec<_> = TileCut::labels(cell, backward).iter().map(|&label| (label, count)).collect();
                // Backward the last product is a dispatch of its own.
                kernels[0].1 += u64::from(backward);
                kernels
            }
        }
    }

    /// Into how many workgroups steps forward, or backward, divide the units of a cell and the rows of the batch.
    pub(crate) fn parts(&self, backward: bool, batch: usize, hidden: usize) -> [u32; 2] {
        let [units, rows] = match self {
            Self::Step { forward, .. } if !backward => [forward.parts(hidden), forward.rows],
            Self::Step { backward, .. } => [backward.parts(hidden), backward.rows],
            Self::Rows { forward, .. } if !backward => [1, forward.rows],
            Self::Rows { backward, .. } => [1, backward.rows],
            Self::Exchange { forward, .. } if !backward => [forward.tile.parts(hidden), forward.rows],
            Self::Exchange { backward, .. } => [backward.tile.parts(hidden), backward.rows],
        };
        [units, u32::try_from(batch.div_ceil(rows as usize)).unwrap_or(u32::MAX)]
    }

    /// Workgroups of a dispatch of such steps over so many cells.
    pub(crate) fn workgroups(&self, backward: bool, batch: usize, hidden: usize, cells: usize) -> [u32; 3] {
        let [units, rows] = self.parts(backward, batch, hidden);
        match self {
            // Those that read the same weights follow each other.
            Self::Step { .. } => [rows, units, cells as u32],
            _ => [units, rows, cells as u32],
        }
    }

    /// Workgroups of the second kernel of some steps, if there are two, from those of the first.
    pub(crate) fn second_workgroups(&self, batch: usize, first: [u32; 3]) -> [u32; 3] {
        match self {
            Self::Exchange { .. } => [1, batch as u32, first[2]],
            Self::Step { .. } | Self::Rows { .. } => first,
        }
    }

    /// The steps backward read weight_hh transposed.
    pub(crate) fn transposes_weights(&self) -> bool {
        matches!(self, Self::Step { backward, .. } if !backward.software)
    }

    /// Words by which the workgroups of so many cells exchange an operand, forward or backward.
    pub(crate) fn exchange_words(&self, cell: Cell, batch: usize, hidden: usize, cells: usize) -> Option<usize> {
        let Self::Exchange { forward, backward, .. } = self else { return None };
        let longest = hidden.saturating_mul(ExchangeCut::longest_backward(cell));
        Some(forward.words(batch, hidden).max(backward.words(batch, longest)).saturating_mul(cells))
    }

    /// How many sums of the gradients of the biases a row of the batch has of so many steps backward, if those add them up on
    /// the way. Otherwise they are sums over the gradients of the gates: steps by exchange have no registers left, and more
    /// units than others, so that such a sum has workgroups enough; and single steps meet each number once.
    pub(crate) fn sums_of_biases(&self, steps: usize) -> Option<usize> {
        let &Self::Rows { steps: of_dispatch, backward, .. } = self else { return None };
        let of = |steps: usize| steps.div_ceil(backward.summed_steps() as usize);
        Some(steps / of_dispatch * of(of_dispatch) + of(steps % of_dispatch))
    }

    /// How many sums of squares of d_h a step of a cell has: one for each row and all workgroups that have units of it.
    pub(crate) fn groups(&self, batch: usize, hidden: usize) -> usize {
        batch.saturating_mul(match self {
            Self::Step { backward, .. } => backward.parts(hidden) as usize,
            Self::Rows { .. } => 1,
            Self::Exchange { backward, .. } => backward.tile.parts(hidden) as usize,
        })
    }
}
