//! Which sizes are measured: three lines through one middle point.

use crate::case::Size;

/// What grows along a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Axis {
    Hidden,
    Batch,
    SeqLen,
}

impl Axis {
    /// Its letter.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Hidden => "H",
            Self::Batch => "B",
            Self::SeqLen => "T",
        }
    }

    /// In words.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Hidden => "units H = I",
            Self::Batch => "rows B",
            Self::SeqLen => "steps T",
        }
    }

    /// What it is of a size.
    pub(crate) fn of(self, size: Size) -> usize {
        match self {
            Self::Hidden => size.hidden,
            Self::Batch => size.batch,
            Self::SeqLen => size.seq_len,
        }
    }

    fn at(self, middle: Size, value: usize) -> Size {
        match self {
            Self::Hidden => Size { input: value, hidden: value, ..middle },
            Self::Batch => Size { batch: value, ..middle },
            Self::SeqLen => Size { seq_len: value, ..middle },
        }
    }
}

/// A line of sizes.
#[derive(Debug)]
pub(crate) struct Sweep {
    pub(crate) axis: Axis,
    /// The smallest first.
    pub(crate) sizes: Vec<Size>,
}

/// The three lines; the middle lies on each of them.
pub(crate) fn sweeps(middle: Size, quick: bool) -> [Sweep; 3] {
    let line = |axis: Axis, values: &[usize]| {
        let mut values = values.to_vec();
        values.push(axis.of(middle));
        values.sort_unstable();
        values.dedup();
        Sweep { axis, sizes: values.into_iter().map(|value| axis.at(middle, value)).collect() }
    };
    if quick {
        [line(Axis::Hidden, &[16, 64, 128]), line(Axis::Batch, &[1, 8, 32, 128]), line(Axis::SeqLen, &[16, 64, 256])]
    } else {
        [
            line(Axis::Hidden, &[16, 32, 64, 128, 256, 512]),
            line(Axis::Batch, &[1, 2, 4, 8, 16, 32, 64, 128, 256]),
            line(Axis::SeqLen, &[16, 32, 64, 128, 256, 512, 1024]),
        ]
    }
}
