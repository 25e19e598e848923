//! The operators of ONNX that only move numbers, on arrays of known sizes. `None`: it cannot be done.

use super::tensor::{Shaped, count};

impl<T: Copy> Shaped<T> {
    /// Where an axis lies; negative ones count from the end.
    fn axis(&self, axis: i64) -> Option<usize> {
        axis_of(axis, self.shape.len())
    }

    fn reshaped(self, shape: Vec<usize>) -> Option<Self> {
        (count(&shape)? == self.values.len()).then_some(Self { shape, values: self.values })
    }

    /// `Reshape`: 0 keeps a size unless `allow_zero`, -1 is what is left.
    pub(super) fn reshape(self, sizes: &[i64], allow_zero: bool) -> Option<Self> {
        let mut shape = Vec::with_capacity(sizes.len());
        for (axis, &size) in sizes.iter().enumerate() {
            shape.push(match size {
                -1 => 1,
                0 if !allow_zero => *self.shape.get(axis)?,
                size => usize::try_from(size).ok()?,
            });
        }
        if let Some(rest) = sizes.iter().position(|&size| size == -1) {
            let known = shape.iter().try_fold(1_usize, |count, &size| count.checked_mul(size))?;
            shape[rest] = self.values.len().checked_div(known)?;
        }
        self.reshaped(shape)
    }

    /// `Unsqueeze`.
    pub(super) fn unsqueeze(self, axes: &[i64]) -> Option<Self> {
        let rank = self.shape.len() + axes.len();
        let axes = axes.iter().map(|&axis| axis_of(axis, rank)).collect::<Option<Vec<_>>>()?;
        let mut sizes = self.shape.iter().copied();
        let shape = (0..rank).map(|axis| if axes.contains(&axis) { Some(1) } else { sizes.next() });
        let shape = shape.collect::<Option<Vec<_>>>()?;
        self.reshaped(shape)
    }

    /// `Squeeze`: without axes all of size 1.
    pub(super) fn squeeze(self, axes: Option<&[i64]>) -> Option<Self> {
        let axes = match axes {
            Some(axes) => axes.iter().map(|&axis| self.axis(axis)).collect::<Option<Vec<_>>>()?,
            None => (0..self.shape.len()).filter(|&axis| self.shape[axis] == 1).collect(),
        };
        let kept = self.shape.iter().enumerate().filter(|(axis, _)| !axes.contains(axis)).map(|(_, &size)| size);
        let shape = kept.collect();
        self.reshaped(shape)
    }

    /// `Transpose`: without an order the other way round.
    pub(super) fn transpose(&self, order: Option<&[i64]>) -> Option<Self> {
        let order = order_of(order, self.shape.len())?;
        let strides = self.strides();
        Some(self.strided(0, order.iter().map(|&axis| self.shape[axis]).collect(), |axis| strides[order[axis]]))
    }

    /// `Slice` along one axis, forwards: numbers past the ends are the ends.
    pub(super) fn slice(&self, axis: i64, start: i64, end: i64) -> Option<Self> {
        let axis = self.axis(axis)?;
        let (begin, end) = bounds(self.shape[axis], start, end)?;
        let strides = self.strides();
        let mut shape = self.shape.clone();
        shape[axis] = end - begin;
        Some(self.strided(begin * strides[axis], shape, |axis| strides[axis]))
    }

    /// `Concat`.
    pub(super) fn concat(parts: &[Self], axis: i64) -> Option<Self> {
        let first = parts.first()?;
        let axis = first.axis(axis)?;
        let mut shape = first.shape.clone();
        shape[axis] = 0;
        for part in parts {
            let is_alike = part.shape.len() == shape.len()
                && part.shape.iter().zip(&shape).enumerate().all(|(at, (a, b))| at == axis || a == b);
            if !is_alike {
                return None;
            }
            shape[axis] = shape[axis].checked_add(part.shape[axis])?;
        }
        let outer = if count(&shape)? == 0 { 0 } else { shape[..axis].iter().product() };
        let mut values = Vec::with_capacity(parts.iter().map(|part| part.values.len()).sum());
        for index in 0..outer {
            for part in parts {
                let run = part.values.len() / outer;
                values.extend_from_slice(&part.values[index * run..][..run]);
            }
        }
        Some(Self { shape, values })
    }

    fn strides(&self) -> Vec<usize> {
        let mut strides = vec![1; self.shape.len()];
        for axis in (1..self.shape.len()).rev() {
            strides[axis - 1] = strides[axis] * self.shape[axis];
        }
        strides
    }

    /// The numbers from `begin` on, each axis with its own stride.
    fn strided(&self, begin: usize, shape: Vec<usize>, stride: impl Fn(usize) -> usize) -> Self {
        let count = if shape.contains(&0) { 0 } else { shape.iter().product() };
        let mut values = Vec::with_capacity(count);
        let (mut place, mut at) = (begin, vec![0; shape.len()]);
        for _ in 0..count {
            values.push(self.values[place]);
            for axis in (0..shape.len()).rev() {
                (at[axis], place) = (at[axis] + 1, place + stride(axis));
                if at[axis] < shape[axis] {
                    break;
                }
                (at[axis], place) = (0, place - stride(axis) * shape[axis]);
            }
        }
        Self { shape, values }
    }
}

/// Where an axis of so many lies; negative ones count from the end.
pub(super) fn axis_of(axis: i64, rank: usize) -> Option<usize> {
    let axis = if axis < 0 { axis.checked_add(i64::try_from(rank).ok()?)? } else { axis };
    usize::try_from(axis).ok().filter(|&axis| axis < rank)
}

/// The axes in the order of a `Transpose`.
pub(super) fn order_of(order: Option<&[i64]>, rank: usize) -> Option<Vec<usize>> {
    let order = match order {
        Some(order) => order.iter().map(|&axis| axis_of(axis, rank)).collect::<Option<Vec<_>>>()?,
        None => (0..rank).rev().collect(),
    };
    let is_whole = order.len() == rank && (0..rank).all(|axis| order.contains(&axis));
    is_whole.then_some(order)
}

/// Begin and end of a slice of an axis of a size; negative ones count from the end.
pub(super) fn bounds(size: usize, start: i64, end: i64) -> Option<(usize, usize)> {
    let len = i64::try_from(size).ok()?;
    let place = |at: i64| (if at < 0 { at.saturating_add(len) } else { at }).clamp(0, len) as usize;
    let (begin, end) = (place(start), place(end));
    Some((begin, end.max(begin)))
}
