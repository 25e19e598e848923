//! Buffers, and tensors that lie in them, by number.

use std::collections::HashMap;
use std::ops::Range;

use crate::target::{in_elements, side_by_side};

/// A tensor of a list, by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Id(pub(crate) u32);

impl Id {
    pub(crate) fn index(self) -> usize {
        self.0 as usize
    }
}

/// Whose a buffer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Owner {
    /// The layer's own: its numbers stay between passes.
    Layer,
    /// Nothing but a pass needs it while that runs: layers can share it in a [`Workspace`](crate::Workspace).
    Scratch,
    /// Given: parameters, tensors of the app, or those of another layer.
    External,
}

/// A buffer of an unrolled layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Buffer {
    pub(crate) name: &'static str,
    /// Of 4 bytes each.
    pub(crate) elements: usize,
    pub(crate) owner: Owner,
}

/// Where a tensor lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Placed {
    /// Which buffer of the list.
    pub(crate) buffer: usize,
    /// Elements before it in that buffer; of an external one, those before it beyond a multiple of four.
    pub(crate) offset: usize,
    pub(crate) shape: Vec<usize>,
}

/// Buffers, and tensors that lie in them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Tensors {
    pub(crate) buffers: Vec<Buffer>,
    pub(crate) placed: Vec<Placed>,
}

impl Tensors {
    pub(crate) fn placed(&self, tensor: Id) -> &Placed {
        &self.placed[tensor.index()]
    }

    /// The number of elements of a tensor.
    #[cfg(feature = "harness")]
    pub(crate) fn len(&self, tensor: Id) -> usize {
        elements(&self.placed(tensor).shape)
    }

    /// How many elements behind a multiple of 16 bytes a tensor begins.
    pub(crate) fn phase(&self, tensor: Id) -> usize {
        self.placed(tensor).offset % 4
    }

    fn place(&mut self, buffer: usize, offset: usize, shape: &[usize]) -> Id {
        self.placed.push(Placed { buffer, offset, shape: shape.to_vec() });
        Id((self.placed.len() - 1) as u32)
    }

    fn buffer(&mut self, name: &'static str, elements: usize, owner: Owner) -> usize {
        self.buffers.push(Buffer { name, elements, owner });
        self.buffers.len() - 1
    }

    /// A tensor with a buffer of its own.
    pub(crate) fn make(&mut self, name: &'static str, shape: &[usize], owner: Owner) -> Id {
        let buffer = self.buffer(name, elements(shape), owner);
        self.place(buffer, 0, shape)
    }

    /// A tensor that is given, so many elements behind a multiple of 16 bytes.
    pub(crate) fn external(&mut self, name: &'static str, shape: &[usize], phase: usize) -> Id {
        let buffer = self.buffer(name, elements(shape), Owner::External);
        self.place(buffer, phase, shape)
    }

    /// So many tensors of one shape in one buffer, each `before` elements behind a multiple of the alignment of
    /// bindings.
    pub(crate) fn side_by_side(
        &mut self,
        (name, owner): (&'static str, Owner),
        count: usize,
        shape: &[usize],
        before: usize,
        limits: &wgpu::Limits,
    ) -> Vec<Id> {
        let [stride, all] = side_by_side(count, &[before.saturating_add(elements(shape))], limits);
        let buffer = self.buffer(name, all, owner);
        let at = |index: usize| index.saturating_mul(stride).saturating_add(before);
        (0..count).map(|index| self.place(buffer, at(index), shape)).collect()
    }

    /// Tensors of any shapes in one buffer, each at a multiple of the alignment of bindings.
    pub(crate) fn one_by_one(
        &mut self,
        (name, owner): (&'static str, Owner),
        shapes: &[Vec<usize>],
        limits: &wgpu::Limits,
    ) -> Vec<Id> {
        let alignment = in_elements(limits);
        let mut all = 0_usize;
        let begin = |shape: &Vec<usize>| {
            let begin = all.div_ceil(alignment).saturating_mul(alignment);
            all = begin.saturating_add(elements(shape));
            begin
        };
        let begins: Vec<usize> = shapes.iter().map(begin).collect();
        let buffer = self.buffer(name, all, owner);
        begins.into_iter().zip(shapes).map(|(begin, shape)| self.place(buffer, begin, shape)).collect()
    }

    /// So many tensors of one shape, one behind the other in one buffer. They are not handed out, so they begin
    /// anywhere.
    pub(crate) fn in_a_row(&mut self, name: &'static str, owner: Owner, count: usize, shape: &[usize]) -> Vec<Id> {
        let len = elements(shape);
        let buffer = self.buffer(name, len.saturating_mul(count), owner);
        (0..count).map(|index| self.place(buffer, index.saturating_mul(len), shape)).collect()
    }

    /// Two tensors in one buffer, the second at a multiple of the alignment of bindings, and a tensor of all of it, in
    /// which the second begins at the number that is given back. Behind it there is room for `behind` elements.
    pub(crate) fn pair(
        &mut self,
        (name, owner): (&'static str, Owner),
        [first, second]: [&[usize]; 2],
        behind: usize,
        limits: &wgpu::Limits,
    ) -> ([Id; 3], usize) {
        let [begin, _] = side_by_side(2, first, limits);
        let all = begin.saturating_add(elements(second)).saturating_add(behind);
        let buffer = self.buffer(name, all, owner);
        ([self.place(buffer, 0, first), self.place(buffer, begin, second), self.place(buffer, 0, &[all])], begin)
    }

    /// The part with these indices of the outermost axis of a tensor.
    pub(super) fn outer(&mut self, tensor: Id, range: Range<usize>) -> Id {
        let Placed { buffer, offset, mut shape } = self.placed(tensor).clone();
        let row = elements(&shape[1..]);
        shape[0] = range.len();
        self.place(buffer, offset.saturating_add(range.start.saturating_mul(row)), &shape)
    }

    /// Buffers of one name, size and owner, with how many there are of each, in the order of the list; without external
    /// ones.
    pub(crate) fn grouped(&self) -> Vec<(&Buffer, usize)> {
        let mut places = HashMap::new();
        let mut groups: Vec<(&Buffer, usize)> = Vec::new();
        for buffer in self.buffers.iter().filter(|buffer| buffer.owner != Owner::External) {
            let next = groups.len();
            match *places.entry((buffer.name, buffer.elements, buffer.owner)).or_insert(next) {
                place if place == next => groups.push((buffer, 1)),
                place => groups[place].1 += 1,
            }
        }
        groups
    }
}

fn elements(shape: &[usize]) -> usize {
    shape.iter().fold(1_usize, |len, &size| len.saturating_mul(size))
}
