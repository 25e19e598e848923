//! How the time loop is laid out over dispatches, and what was measured to be best.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Result};

/// How the time loop is laid out over dispatches.
///
/// ```
/// use wgpu_gru::{Schedule, Unroll};
/// let unroll = Unroll::training(64, 32).schedule(Schedule::Rows); // not left to the plan
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Schedule {
    /// One fused dispatch a step, all steps in one compute pass. Any size.
    Step,
    /// Many steps a dispatch: a workgroup owns some rows of the batch for all steps, with the recurrent weights in
    /// registers. For a hidden size whose weights a workgroup of the device holds: up to 128 of a GRU on a GPU, 180
    /// with `f16_weights`.
    Rows,
    /// Many steps a dispatch: workgroups hold the recurrent weights in their registers together, and hand the states on to
    /// each other within the dispatch. For a hidden size of up to 1024 of a GRU, 2048 with `f16_weights`. Where not all of
    /// them run at a time a slow dispatch that follows makes the same numbers: a GPU is given this schedule if it was
    /// measured there, others by name.
    Exchange,
}

impl Schedule {
    /// Every choice, with its name in a [`Tuning`].
    const NAMES: [(Self, &str); 3] = [(Self::Step, "step"), (Self::Rows, "rows"), (Self::Exchange, "exchange")];
}

/// How the steps of a layer run best on a device: what [`Recurrent::tune`](crate::Recurrent::tune) has measured, for
/// [`Unroll::tuning`](crate::Unroll::tuning). As text an app can keep it; where it does not fit the layer, the device or
/// this version of the crate it is refused.
///
/// ```
/// use wgpu_gru::Tuning;
/// let text = "wgpu-gru tuning 1: rows, 2 1 1 1 0 0, 4 2 1 4 0 0";
/// assert_eq!(text.parse::<Tuning>()?.to_string(), text);
/// # Ok::<_, wgpu_gru::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Tuning {
    pub(crate) schedule: Schedule,
    /// How the workgroups are cut, forward and backward.
    pub(crate) cuts: [[u32; 6]; 2],
}

/// With which a text begins: the version is that of what the numbers mean.
const BEGINNING: &str = "wgpu-gru tuning 1: ";

impl fmt::Display for Tuning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = Schedule::NAMES.iter().find(|(schedule, _)| *schedule == self.schedule).map_or("", |(_, name)| name);
        write!(f, "{BEGINNING}{name}")?;
        self.cuts.iter().try_for_each(|cut| write!(f, ", {}", cut.map(|number| number.to_string()).join(" ")))
    }
}

impl FromStr for Tuning {
    type Err = Error;

    /// # Errors
    /// [`Error::OptionUnavailable`] for what is no text of a [`Tuning`] of this version.
    fn from_str(text: &str) -> Result<Self> {
        let because = "the text is none of a Tuning of this version";
        parsed(text).ok_or(Error::OptionUnavailable { option: "tuning", because })
    }
}

fn parsed(text: &str) -> Option<Tuning> {
    let mut parts = text.trim().strip_prefix(BEGINNING)?.split(", ");
    let name = parts.next()?;
    let (schedule, _) = *Schedule::NAMES.iter().find(|(_, known)| *known == name)?;
    let mut cut = || -> Option<[u32; 6]> {
        let numbers: Vec<u32> = parts.next()?.split(' ').map(str::parse).collect::<std::result::Result<_, _>>().ok()?;
        numbers.try_into().ok()
    };
    let cuts = [cut()?, cut()?];
    parts.next().is_none().then_some(Tuning { schedule, cuts })
}
