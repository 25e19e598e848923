//! Where numbers stopped being finite.

use std::fmt;
use std::ops::Range;

use crate::error::{Error, Result};
use crate::gpu::{Gpu, Program, ProgramBuilder, Tensor};
use crate::kernels::{FIND_NON_FINITE, FindNonFinite, FindNonFiniteParams};
use crate::lower::reduction_workgroups;
use crate::target::in_elements;

/// Finds the first NaN or infinity of each of some tensors, on the GPU: a dispatch for each, which reads it once, and
/// one number for each to be read back. Where it is recorded behind each pass it says where a training run went wrong,
/// and costs little enough to be left on while one develops (`benches/RECORD.md`).
///
/// [`Unrolled::finite_check`](crate::Unrolled::finite_check) makes one of a whole layer, which knows of time; this is of
/// any tensors, such as those of a head, a loss or an optimiser.
///
/// ```no_run
/// # fn example(gpu: &wgpu_gru::Gpu) -> wgpu_gru::Result<()> {
/// use wgpu_gru::{Gru, GruConfig, Unroll};
/// let mut net = Gru::new(gpu, GruConfig::new(8, 32), 1)?.unroll(Unroll::training(64, 16))?;
/// let check = net.finite_check()?;
/// gpu.submit(|encoder| {
///     net.encode_forward(encoder)?;
///     net.encode_backward(encoder)?;
///     check.encode(encoder);
///     Ok(())
/// })?;
/// if let Some(first) = check.read_blocking()?.first() {
///     panic!("{first}"); // "state of layer 0 is not finite at step 17, row 3, number 5"
/// }
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct FiniteCheck {
    /// For each dispatch a number for each of its workgroups.
    found: Tensor,
    entries: Vec<Entry>,
    program: Program,
}

/// A number that is not finite.
///
/// ```
/// # fn told(first: &wgpu_gru::verify::NonFinite) {
/// println!("{first}");
/// if let Some(step) = first.step {
///     println!("from step {step} on");
/// }
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct NonFinite {
    /// What the tensor is, such as `state of layer 1, reverse` or `d_weight_hh_l0`.
    pub tensor: String,
    /// The time step, of a tensor that has steps.
    pub step: Option<usize>,
    /// Row of the batch and unit or feature of a tensor that has steps; otherwise the index in each of its axes.
    pub place: Vec<usize>,
}

impl fmt::Display for NonFinite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { tensor, step, place } = self;
        match (step, place.as_slice()) {
            (Some(step), &[row, column]) => {
                write!(f, "{tensor} is not finite at step {step}, row {row}, number {column}")
            }
            _ => write!(f, "{tensor} is not finite at {place:?}"),
        }
    }
}

/// When a tensor came to be, in a pass forward and one backward.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    /// Before both: parameters, and first states.
    Given,
    /// By the steps of the forward pass.
    Forward,
    /// By the steps of the backward pass.
    Backward,
    /// What is left when both are over.
    After,
}

/// A tensor, or some of its columns, and how time goes in it.
#[derive(Debug)]
pub(crate) struct Watched {
    pub(crate) name: String,
    pub(crate) tensor: Tensor,
    pub(crate) stage: Stage,
    /// Of `[T, B, columns]`: the columns that are looked at, and whether the last step is taken first.
    pub(crate) steps: Option<(Range<usize>, bool)>,
}

#[derive(Debug)]
struct Entry {
    name: String,
    stage: Stage,
    shape: Vec<usize>,
    /// Whether the last step is taken first, of one with steps; its shape is `[T, B, columns]`.
    reversed: Option<bool>,
    /// In the order of the steps: where the numbers of its workgroups are, and the place of its first element.
    pieces: Vec<(Range<usize>, usize)>,
}

impl FiniteCheck {
    /// Of tensors with what they are to be called, of one device, at least one.
    ///
    /// # Errors
    /// [`Error::ZeroSize`] for no tensor at all, [`Error::ForeignDevice`], [`Error::LimitExceeded`],
    /// [`Error::OutOfMemory`], [`Error::DeviceLost`].
    pub fn new<'a>(tensors: impl IntoIterator<Item = (String, &'a Tensor)>) -> Result<Self> {
        let watched = tensors.into_iter().map(|(name, tensor)| {
            let tensor = tensor.clone();
            Watched { name, tensor, stage: Stage::After, steps: None }
        });
        let watched: Vec<_> = watched.collect();
        let first = watched.first().ok_or(Error::ZeroSize { what: "tensors to be checked" })?;
        let gpu = first.tensor.gpu().clone();
        for Watched { tensor, .. } in &watched {
            first.tensor.expect_same_device("a tensor to be checked", tensor)?;
        }
        Self::of(&gpu, &watched)
    }

    pub(crate) fn of(gpu: &Gpu, watched: &[Watched]) -> Result<Self> {
        gpu.check_kernels(&[&FIND_NON_FINITE])?;
        let cuts: Vec<Vec<Cut>> = watched.iter().map(|watched| cuts(gpu, watched)).collect();
        let places = cuts.iter().flatten().map(|cut| cut.workgroups as usize).sum();
        let found = Tensor::named(gpu, "places that are not finite", &[places], None)?;
        let mut builder = ProgramBuilder::new(gpu, "finite check");
        let mut next = 0;
        let mut entries = Vec::new();
        for (Watched { name, tensor, stage, steps }, cuts) in watched.iter().zip(&cuts) {
            let mut pieces = Vec::new();
            for cut in cuts {
                let (input, before) = tensor.view_of(cut.elements.clone());
                let params = FindNonFiniteParams {
                    offset: before + cut.first_column as u32,
                    found_offset: next as u32,
                    ..cut.params
                };
                let storage = FindNonFinite { input, found: found.view().0 };
                let kernel = gpu.kernel(&FIND_NON_FINITE, &[]);
                builder.once(kernel, &params, storage.storage(), [cut.workgroups, 1, 1]);
                let end = next + cut.workgroups as usize;
                pieces.push((next..end, cut.first_place));
                next = end;
            }
            let shape = match steps {
                Some((columns, _)) => [&tensor.shape()[..2], &[columns.len()]].concat(),
                None => tensor.shape().to_vec(),
            };
            let reversed = steps.as_ref().map(|(_, reversed)| *reversed);
            entries.push(Entry { name: name.clone(), stage: *stage, shape, reversed, pieces });
        }
        let program = builder.build()?;
        Ok(Self { found, entries, program })
    }

    /// Records the check of what the tensors hold then. It neither submits nor waits.
    pub fn encode(&self, encoder: &mut wgpu::CommandEncoder) {
        self.program.encode(encoder);
    }

    /// What the last check that was submitted has found: for each tensor the first number that is not finite, in the
    /// order in which they came to be, so that the first one is where it began; empty where all were finite. Of a tensor
    /// with steps it is the one of the first step that was taken.
    ///
    /// # Errors
    /// Those of [`Tensor::read`].
    pub async fn read(&self) -> Result<Vec<NonFinite>> {
        let words = self.found.read().await?;
        let mut all: Vec<(Stage, usize, NonFinite)> =
            self.entries.iter().filter_map(|entry| entry.found(&words)).collect();
        // Tensors of the same moment stay in the order in which they are listed.
        all.sort_by_key(|&(stage, taken, _)| (stage, taken));
        Ok(all.into_iter().map(|(_, _, found)| found).collect())
    }

    /// [`FiniteCheck::read`], blocking this thread.
    ///
    /// # Errors
    /// As [`FiniteCheck::read`].
    #[cfg(not(target_arch = "wasm32"))]
    pub fn read_blocking(&self) -> Result<Vec<NonFinite>> {
        pollster::block_on(self.read())
    }
}

impl Entry {
    /// When it was, as the number of steps before it, and where.
    fn found(&self, words: &[f32]) -> Option<(Stage, usize, NonFinite)> {
        let place = self.pieces.iter().find_map(|(workgroups, first)| {
            let ones = words[workgroups.clone()].iter().map(|word| word.to_bits() as usize);
            ones.filter(|&one| one > 0).min().map(|one| first + one - 1)
        })?;
        let mut index = vec![0; self.shape.len()];
        let mut rest = place;
        for (axis, &size) in self.shape.iter().enumerate().rev() {
            index[axis] = rest % size;
            rest /= size;
        }
        let tensor = self.name.clone();
        Some(match self.reversed {
            Some(reversed) => {
                let taken = index.remove(0);
                let step = if reversed { self.shape[0] - 1 - taken } else { taken };
                (self.stage, taken, NonFinite { tensor, step: Some(step), place: index })
            }
            None => (self.stage, 0, NonFinite { tensor, step: None, place: index }),
        })
    }
}

/// One dispatch: some steps of a tensor, or some of its elements.
struct Cut {
    elements: Range<usize>,
    first_column: usize,
    /// The place of its first element, in the order of the steps.
    first_place: usize,
    workgroups: u32,
    params: FindNonFiniteParams,
}

/// Cuts a tensor into what a binding holds.
fn cuts(gpu: &Gpu, Watched { tensor, steps, .. }: &Watched) -> Vec<Cut> {
    // Room for what lies between the alignment and the first element.
    let most = gpu.limits().max_storage_buffer_binding_size / 4;
    let most = usize::try_from(most).unwrap_or(usize::MAX).saturating_sub(in_elements(gpu.limits())).max(1);
    // Without time each element is a step.
    let (seq_len, rows, width, columns, reversed) = match steps {
        Some((columns, reversed)) => {
            let &[seq_len, rows, width] = tensor.shape() else { unreachable!("steps are the first of three axes") };
            (seq_len, rows, width, columns.clone(), *reversed)
        }
        None => (tensor.len(), 1, 1, 0..1, false),
    };
    let at_once = (most / (rows * width)).clamp(1, seq_len);
    (0..seq_len.div_ceil(at_once))
        .map(|number| {
            let taken = number * at_once..((number + 1) * at_once).min(seq_len);
            let steps = if reversed { seq_len - taken.end..seq_len - taken.start } else { taken.clone() };
            let (count, len) = (taken.len(), taken.len() * rows * columns.len());
            let workgroups = reduction_workgroups(len);
            let params = FindNonFiniteParams {
                steps: count as u32,
                rows: rows as u32,
                columns: columns.len() as u32,
                step_stride: (rows * width) as u32,
                row_stride: width as u32,
                reversed: u32::from(reversed),
                workgroups,
                ..FindNonFiniteParams::default()
            };
            Cut {
                elements: steps.start * rows * width..steps.end * rows * width,
                first_column: columns.start,
                first_place: taken.start * rows * columns.len(),
                workgroups,
                params,
            }
        })
        .collect()
}
