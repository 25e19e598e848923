//! A plan executed by the twins: the very list of operations that a GPU executes, on plain arrays. So the wiring of
//! every option is held against the oracle without any GPU.
//!
//! What is scratch begins as NaN: an operation that reads it before another one has written it is found out.

use std::ops::Range;

use super::arrange::arrange;
use super::count::count;
use super::frame::{FrameLayer, FrameParams, frame};
use super::gates_f16::{f16_from_gates, gates_from_f16};
use super::gather::gather;
use super::gru_gates::gru_gates;
use super::gru_reset::gru_reset;
use super::gru_reset_backward::gru_reset_backward;
use super::gru_step::{GruOptions, GruStepParams, gru_step_with};
use super::gru_step_backward::{GruStepBackwardParams, gru_step_backward_with};
use super::matmul::{MatmulParams, matmul, matmul_without};
use super::move_rows::{move_rows, number};
use super::rnn_step::{RnnStepParams, rnn_step};
use super::rnn_step_backward::rnn_step_backward;
use super::sum_rows::sum_rows;
use super::{Real, pack};
use crate::config::{Cell, Reset};
use crate::f16::{from_f16, to_f16};
use crate::plan::TimeLoop;
use crate::plan::ops::{
    Arrange, Arrangement, CellSteps, Episodes, F16Gates, Frame, Gather, Matmul, Matrix, MoveRows, Op, Pack, Parts,
    Product, RecomputeGates, Steps, StepsBackward, SumRows, Vector,
};
use crate::plan::tensors::Id;
use crate::plan::tensors::{Owner, Placed, Tensors};
use crate::reference::dropout::dropout_factor;

/// The buffers of a plan on the host: of numbers, and of the same places as whole numbers, for tensors that hold those.
#[derive(Debug)]
pub(crate) struct Machine<'a, R> {
    list: &'a Tensors,
    numbers: Vec<Vec<R>>,
    words: Vec<Vec<u32>>,
}

impl<'a, R: Real> Machine<'a, R> {
    pub(crate) fn new(list: &'a Tensors) -> Self {
        let fill = |owner| if owner == Owner::Scratch { R::from_f64(f64::NAN) } else { R::default() };
        let numbers = list.buffers.iter().map(|buffer| vec![fill(buffer.owner); buffer.elements]).collect();
        let words = list.buffers.iter().map(|buffer| vec![0; buffer.elements]).collect();
        Self { list, numbers, words }
    }

    /// The buffer of a tensor, and where its elements lie there.
    fn place(&self, tensor: Id) -> (usize, Range<usize>) {
        let &Placed { buffer, offset, .. } = self.list.placed(tensor);
        // What is given lies in an array of its own.
        let begin = if self.list.buffers[buffer].owner == Owner::External { 0 } else { offset };
        (buffer, begin..begin + self.list.len(tensor))
    }

    /// The numbers of a tensor.
    pub(crate) fn numbers(&self, tensor: Id) -> &[R] {
        let (buffer, elements) = self.place(tensor);
        &self.numbers[buffer][elements]
    }

    pub(crate) fn numbers_mut(&mut self, tensor: Id) -> &mut [R] {
        let (buffer, elements) = self.place(tensor);
        &mut self.numbers[buffer][elements]
    }

    pub(crate) fn words_mut(&mut self, tensor: Id) -> &mut [u32] {
        let (buffer, elements) = self.place(tensor);
        &mut self.words[buffer][elements]
    }

    fn words(&self, tensor: Id) -> &[u32] {
        let (buffer, elements) = self.place(tensor);
        &self.words[buffer][elements]
    }

    fn lengths(&self, tensor: Id) -> Vec<usize> {
        self.words(tensor).iter().map(|&length| length as usize).collect()
    }

    pub(crate) fn run(&mut self, list: &[Op]) {
        for op in list {
            match op {
                Op::Matmul(args) => self.matmul(args),
                Op::SumRows(args) => self.sum_rows(args),
                Op::Arrange(args) => self.arrange(args),
                Op::MoveRows(args, _) => self.move_rows(args),
                &Op::Number { sources, rows } => number(&mut self.words_mut(sources)[..rows]),
                &Op::Count { state } => {
                    if let Ok(counter) = self.words_mut(state).try_into() {
                        count(1, counter);
                    }
                }
                Op::Pack(args) => self.pack(args),
                Op::Steps(args) => self.steps(args),
                Op::StepsBackward(args) => self.steps_backward(args),
                Op::RecomputeGates(args) => self.recompute_gates(args),
                Op::F16Gates(args) => self.f16_gates(args),
                Op::Frame(args) => self.frame(args),
                Op::Gather(args) => self.gather(args),
            }
        }
    }

    /// A matrix of so many rows and columns, without what lies between them.
    fn matrix(&self, matrix: &Matrix, [rows, columns]: [usize; 2]) -> Vec<R> {
        let tensor = self.numbers(matrix.tensor);
        (0..rows).flat_map(|row| (0..columns).map(move |column| tensor[matrix.at(row, column)])).collect()
    }

    fn set_matrix(&mut self, matrix: &Matrix, [rows, columns]: [usize; 2], values: &[R]) {
        let tensor = self.numbers_mut(matrix.tensor);
        for row in 0..rows {
            for column in 0..columns {
                tensor[matrix.at(row, column)] = values[row * columns + column];
            }
        }
    }

    fn vector(&self, vector: Vector, len: usize) -> Vec<R> {
        self.numbers(vector.tensor)[vector.begin..vector.begin + len].to_vec()
    }

    fn matmul(&mut self, args: &Matmul) {
        let product = &args.product;
        let [m, n, _] = product.size;
        if let Some(Parts { parts, range, terms }) = &args.parts {
            for (part, first) in range.clone().step_by(*terms).enumerate() {
                let c = Matrix::rows_of(*parts, part * m * n, m, n);
                self.product(product, first..range.end.min(first + terms), &c, false);
            }
            return;
        }
        for range in args.ranges() {
            let accumulate = product.accumulate || range.start > 0;
            self.product(product, range, &product.c, accumulate);
        }
    }

    /// The sums of a product over some k's.
    fn product(&mut self, product: &Product, range: Range<usize>, c: &Matrix, accumulate: bool) {
        let [m, n, _] = product.size;
        let (transpose_a, transpose_b) = (product.transpose_a, product.transpose_b);
        let (k, first) = (range.len(), range.start == 0);
        let shape = |transposed: bool, size: [usize; 2]| if transposed { [size[1], size[0]] } else { size };
        let (a_step, b_step) =
            (if transpose_a { product.a.stride } else { 1 }, if transpose_b { 1 } else { product.b.stride });
        let a = self.matrix(&product.a.clone().from(range.start * a_step), shape(transpose_a, [m, k]));
        let b = self.matrix(&product.b.clone().from(range.start * b_step), shape(transpose_b, [k, n]));
        let mut sums = self.matrix(c, [m, n]);
        let params = MatmulParams { m, n, k, transpose_a, transpose_b, accumulate };
        match product.rows {
            Some(rows) => {
                let words = self.words(rows.words);
                let is_out = |line: usize| {
                    let at = rows.further(range.start + line);
                    let (step, row) = (at.first_step, at.first_row);
                    let is_over = |step: usize| at.has_lengths && step >= words[row] as usize;
                    let start = step + usize::from(at.reverse);
                    let starts = |begin: usize| !is_over(start) && words[begin + start * at.batch + row] != 0;
                    is_over(step) || at.starts.is_some_and(starts)
                };
                matmul_without(&params, &a, &b, is_out, &mut sums);
            }
            None => {
                let bias = product.bias.filter(|_| first).map(|bias| self.vector(bias, n));
                matmul(&params, &a, &b, bias.as_deref(), &mut sums);
            }
        }
        self.set_matrix(c, [m, n], &sums);
    }

    fn sum_rows(&mut self, args: &SumRows) {
        let [rows, columns] = args.size;
        let input = self.matrix(&args.input, args.size);
        let mut total = self.vector(args.total, columns);
        sum_rows(rows, columns, args.accumulate, &input, &mut total);
        if args.root {
            total.iter_mut().for_each(|sum| *sum = sum.sqrt());
        }
        let Vector { tensor, begin } = args.total;
        self.numbers_mut(tensor)[begin..begin + columns].copy_from_slice(&total);
    }

    /// Where the elements `[T, B, F]` of an arrangement lie in its tensor, in that order.
    fn elements(place: &Arrangement, [steps, batch, width]: [usize; 3]) -> Vec<usize> {
        let step = |t: usize| if place.reversed { steps - 1 - t } else { t };
        let at = |t: usize, b: usize| place.elements.start + step(t) * place.strides[0] + b * place.strides[1];
        let rows = (0..steps).flat_map(|t| (0..batch).map(move |b| (t, b)));
        rows.flat_map(|(t, b)| (0..width).map(move |f| at(t, b) + f)).collect()
    }

    fn arrange(&mut self, args: &Arrange) {
        let source: Vec<R> =
            Self::elements(&args.source, args.size).iter().map(|&at| self.numbers(args.source.tensor)[at]).collect();
        let lengths = args.lengths.map(|lengths| self.lengths(lengths));
        let mut copy = vec![R::default(); source.len()];
        let factor = |element: usize| match args.dropout {
            None => R::from_f64(1.0),
            Some(dropout) => {
                let [seed, pass] = [self.words(dropout.state)[0], self.words(dropout.state)[1]];
                R::from_f64(f64::from(dropout_factor(element, dropout.layer, seed, pass, dropout.rate)))
            }
        };
        arrange(args.size, [false; 2], &source, lengths.as_deref(), factor, &mut copy);
        let places = Self::elements(&args.destination, args.size);
        let destination = self.numbers_mut(args.destination.tensor);
        places.into_iter().zip(copy).for_each(|(at, value)| destination[at] = value);
    }

    fn move_rows(&mut self, args: &MoveRows) {
        let source = self.numbers(args.source.tensor)[args.source.elements.clone()].to_vec();
        let rows_there =
            |lengths: Vec<usize>| (0..).zip(lengths).map(|(row, len)| if len == 0 { u32::MAX } else { row });
        let lengths = args.lengths.map(|lengths| rows_there(self.lengths(lengths)).collect());
        let sources = args.sources.map(|sources| self.words(sources).to_vec()).or(lengths);
        let strides = [args.source.strides[1], args.destination.strides[1]];
        let destination = &mut self.numbers_mut(args.destination.tensor)[args.destination.elements.clone()];
        move_rows([args.rows, args.width], strides, &source, sources.as_deref(), destination);
    }

    fn pack(&mut self, args: &Pack) {
        let [rows, _] = args.size;
        let mut packed = self.numbers(args.source).to_vec();
        if args.transposed {
            let source = packed.clone();
            pack::transpose(rows, &source, &mut packed);
        }
        if !args.f16 {
            return self.numbers_mut(args.packed).copy_from_slice(&packed);
        }
        let f16 = |value: R| {
            let wide: f64 = value.into();
            u32::from(to_f16(wide as f32))
        };
        let words = packed.chunks_exact(2).map(|pair| f16(pair[0]) | f16(pair[1]) << 16).collect::<Vec<_>>();
        self.words_mut(args.packed).copy_from_slice(&words);
    }

    /// The recurrent weights of a cell in their own order, as the steps of one direction read them.
    fn weight_hh(&self, cell: &CellSteps, backward: bool) -> Vec<R> {
        let read = cell.transposed.filter(|_| backward).unwrap_or(cell.weight_hh);
        let numbers = if cell.f16_weights {
            let half = |word: u32| R::from_f64(f64::from(from_f16(word as u16)));
            self.words(read).iter().flat_map(|&word| [half(word), half(word >> 16)]).collect()
        } else {
            self.numbers(read).to_vec()
        };
        if read == cell.weight_hh {
            return numbers;
        }
        let mut weight_hh = numbers.clone();
        pack::transpose(cell.hidden, &numbers, &mut weight_hh);
        weight_hh
    }

    fn gather(&mut self, args: &Gather) {
        let state = self.numbers(args.state).to_vec();
        let mut gathered = vec![R::default(); state.len()];
        gather([args.rows, args.width], &state, self.words_mut(args.sources), &mut gathered);
        self.numbers_mut(args.gathered).copy_from_slice(&gathered);
    }

    fn frame(&mut self, args: &Frame) {
        let &Frame { cell, clip, batch, inputs, hidden, zero_empty_rows, .. } = args;
        let rounded = |weights: &[R]| {
            let round = |&weight: &R| {
                let wide: f64 = weight.into();
                R::from_f64(f64::from(from_f16(to_f16(wide as f32))))
            };
            weights.iter().map(round).collect()
        };
        let of = |&([ih, hh], biases): &([Id; 2], Option<[Id; 2]>)| {
            let hh = self.numbers(hh);
            let hh = if args.f16_weights { rounded(hh) } else { hh.to_vec() };
            let biases = biases.map(|biases| biases.map(|bias| self.numbers(bias).to_vec()));
            FrameLayer { weights: [self.numbers(ih).to_vec(), hh], biases }
        };
        let layers: Vec<_> = args.layers.iter().map(of).collect();
        let lengths = args.lengths.map(|lengths| self.lengths(lengths));
        let params = FrameParams { batch, inputs, hidden, cell, clip, lengths: lengths.as_deref(), zero_empty_rows };
        let [input, before] = [args.input, args.before].map(|tensor| self.numbers(tensor).to_vec());
        let [mut state, mut output] = [args.state, args.output].map(|tensor| self.numbers(tensor).to_vec());
        frame(&params, &layers, &input, &before, &mut state, &mut output);
        self.numbers_mut(args.state).copy_from_slice(&state);
        self.numbers_mut(args.output).copy_from_slice(&output);
    }

    /// The states of a cell before and after a step, `[2, B, H]`; before it zero where they are cut off.
    fn states(&self, cell: &CellSteps, t: usize) -> Vec<R> {
        let slots = cell.slots(t).into_iter();
        let mut states: Vec<R> =
            slots.flat_map(|slot| self.matrix(&Self::slot(cell, slot), [cell.batch, cell.hidden])).collect();
        for row in (0..cell.batch).filter(|&row| self.is_cut(cell, row, t)) {
            states[row * cell.hidden..][..cell.hidden].fill(R::default());
        }
        states
    }

    /// Whether the state of a row before a step is cut off.
    fn is_cut(&self, cell: &CellSteps, row: usize, t: usize) -> bool {
        let start = t + usize::from(cell.reverse);
        let is_over = cell.lengths.is_some_and(|lengths| start >= self.lengths(lengths)[row]);
        let starts = |episodes: Episodes| self.words(episodes.words)[episodes.begin + start * cell.batch + row] != 0;
        !is_over && cell.episodes.is_some_and(starts)
    }

    fn slot(cell: &CellSteps, slot: usize) -> Matrix {
        let begin = slot * cell.batch * cell.h_stride;
        Matrix::rows_of(cell.h, begin, cell.batch, cell.h_stride).from(cell.h_column)
    }

    /// Where the gates of a step lie in their tensor.
    fn gates(cell: &CellSteps, t: usize) -> Range<usize> {
        let begin = cell.gates_at(t) as usize;
        begin..begin + cell.batch * cell.gates_width * cell.hidden
    }

    /// What says to the twin of a single step, which is its step 0, whether each row is over at step t; or at no step.
    fn over(&self, cell: &CellSteps, t: Option<usize>) -> Option<Vec<usize>> {
        let t = t?;
        let whole = |length: usize| if t >= length { 0 } else { usize::MAX };
        Some(self.lengths(cell.lengths?).into_iter().map(whole).collect())
    }

    fn options<'b>(cell: &CellSteps, lengths: Option<&'b [usize]>, after: Option<&'b [usize]>) -> GruOptions<'b> {
        let Cell::Gru { reset, gate, candidate } = cell.cell else { return GruOptions::default() };
        GruOptions { reset, gate, candidate, clip: cell.clip, lengths, lengths_after: after }
    }

    fn steps(&mut self, args: &Steps) {
        for n in 0..args.cells[0].steps.len() {
            for cell in &args.cells {
                self.step(cell, cell.nth(n), args.save);
            }
        }
    }

    fn step(&mut self, cell: &CellSteps, t: usize, save: bool) {
        let (batch, hidden) = (cell.batch, cell.hidden);
        let weight_hh = self.weight_hh(cell, false);
        let bias_hh = cell.bias_hh.map(|bias| self.numbers(bias).to_vec());
        let bias = bias_hh.as_deref();
        let (mut h, over) = (self.states(cell, t), self.over(cell, Some(t)));
        let at = Self::gates(cell, t);
        let mut gates = self.numbers(cell.gates)[at.clone()].to_vec();
        match cell.cell {
            Cell::Rnn { nonlinearity: activation } => {
                let (clip, lengths) = (cell.clip, over.as_deref());
                let params =
                    RnnStepParams { t: 0, batch, hidden, save, activation, clip, lengths, lengths_after: None };
                rnn_step(&params, &weight_hh, bias, &mut h, &mut gates);
            }
            Cell::Gru { reset, .. } => {
                let options = Self::options(cell, over.as_deref(), None);
                // The twin has four numbers per unit if it saves, or if the reset gate acts before the product.
                let keeps = save || reset == Reset::Before;
                let width = if keeps { 4 } else { 3 };
                let mut of_twin = resized(&gates, [cell.gates_width, width], hidden);
                let params = GruStepParams { t: 0, batch, hidden, save };
                if reset == Reset::Before {
                    gru_reset(&params, &options, &weight_hh, bias, &h, &mut of_twin);
                }
                gru_step_with(&params, &options, &weight_hh, bias, &mut h, &mut of_twin);
                gates = resized(&of_twin, [width, cell.gates_width], hidden);
            }
        }
        self.numbers_mut(cell.gates)[at].copy_from_slice(&gates);
        let after = Self::slot(cell, cell.slots(t)[1]);
        self.set_matrix(&after, [batch, hidden], &h[batch * hidden..]);
    }

    fn steps_backward(&mut self, args: &StepsBackward) {
        let count = args.cells[0].steps.len();
        // One more than there are steps: the product of the last of them.
        for n in 0..=count {
            for (cell, &d_output) in args.cells.iter().zip(&args.d_outputs) {
                self.step_backward(args, cell, d_output, n);
            }
        }
        if let Some(begin) = args.biases {
            for (number, cell) in args.cells.iter().enumerate() {
                self.sum_biases(args, cell, &cell.sums_of_biases(args.sums, begin, number, &args.time_loop).0);
            }
        }
    }

    /// Adds up the gradients of the biases, so many steps of a dispatch at a time, from the last step on.
    fn sum_biases(&mut self, args: &StepsBackward, cell: &CellSteps, sums: &Matrix) {
        let TimeLoop::Rows { steps: of_dispatch, backward, .. } = args.time_loop else { return };
        let (count, summed) = (cell.steps.len(), backward.summed_steps() as usize);
        let row = cell.gates_width * cell.hidden;
        let dispatches = (0..count).step_by(of_dispatch).map(|first| first..(first + of_dispatch).min(count));
        let parts = dispatches.flat_map(|dispatch| {
            let first = dispatch.clone().step_by(summed);
            first.map(move |first| first..(first + summed).min(dispatch.end))
        });
        for (part, steps) in parts.enumerate() {
            for b in 0..cell.batch {
                let mut total = vec![R::default(); sums.stride];
                for n in steps.clone() {
                    let gates = &self.numbers(cell.gates)[Self::gates(cell, cell.nth(count - 1 - n))];
                    for (total, &d) in total.iter_mut().zip(&gates[b * row..]) {
                        *total += d;
                    }
                }
                let begin = sums.elements.start + (part * cell.batch + b) * sums.stride;
                self.numbers_mut(args.sums)[begin..begin + sums.stride].copy_from_slice(&total);
            }
        }
    }

    /// Step `n` back of a chunk, or after the last one what its product adds to `d_h0`.
    fn step_backward(&mut self, args: &StepsBackward, cell: &CellSteps, d_output: Id, n: usize) {
        let (batch, hidden, state) = (cell.batch, cell.hidden, cell.batch * cell.hidden);
        let count = cell.steps.len();
        let back = |n: usize| cell.nth(count - 1 - n);
        let t = (n < count).then(|| back(n));
        let after = n.checked_sub(1).map(back);
        let own = cell.index * state..(cell.index + 1) * state;
        let weight_hh = self.weight_hh(cell, true);
        let d_h_n = self.numbers(args.d_h_n)[own.clone()].to_vec();
        let mut d_h0 = self.numbers(args.d_h0)[own.clone()].to_vec();
        let gates_of = |machine: &Self, t: usize| machine.numbers(cell.gates)[Self::gates(cell, t)].to_vec();
        // Before the first step of a chunk there is no product: that is what a step after that is over says. Nor is there
        // one where the state before it was cut off, which nothing reaches.
        let none = vec![0; batch];
        let mut over_after = if after.is_some() { self.over(cell, after) } else { Some(none) };
        for row in (0..batch).filter(|&row| after.is_some_and(|after| self.is_cut(cell, row, after))) {
            over_after.get_or_insert_with(|| vec![usize::MAX; batch])[row] = 0;
            d_h0[row * hidden..][..hidden].fill(R::default());
        }
        let over = self.over(cell, t);
        let all = vec![usize::MAX; batch];
        let (lengths, lengths_after) =
            (over.as_deref().or(Some(all.as_slice())), over_after.as_deref().or(Some(all.as_slice())));
        // The twin has this step alone, or the one after it as well.
        let is_first = args.is_first_chunk && n == 0;
        let seq_len = if is_first || t.is_none() { 1 } else { 2 };
        let mut gates: Vec<R> = t.into_iter().chain(after).flat_map(|t| gates_of(self, t)).collect();
        gates.resize(2 * state * cell.gates_width, R::default());
        let h = t.map_or_else(|| vec![R::default(); 2 * state], |t| self.states(cell, t));
        let d_output = t.map_or_else(Vec::new, |t| {
            let rows = Matrix::rows_of(d_output, t * batch * cell.h_stride, batch, cell.h_stride);
            self.matrix(&rows.from(cell.h_column), [batch, hidden])
        });
        let d_before = (d_h0.clone(), is_first);
        match cell.cell {
            Cell::Rnn { nonlinearity: activation } => {
                let clip = cell.clip;
                let params =
                    RnnStepParams { t: 0, batch, hidden, save: true, activation, clip, lengths, lengths_after };
                let is_final = t.is_none();
                rnn_step_backward(&params, seq_len, is_final, &weight_hh, &h, &d_output, &d_h_n, &mut gates, &mut d_h0);
            }
            Cell::Gru { reset, .. } => {
                let options = Self::options(cell, lengths, lengths_after);
                let params = GruStepBackwardParams { seq_len, batch, hidden, t: t.map(|_| 0) };
                gru_step_backward_with(&params, &options, &weight_hh, &h, &d_output, &d_h_n, &mut gates, &mut d_h0);
                if reset == Reset::Before && t.is_some() {
                    let params = GruStepParams { t: 0, batch, hidden, save: true };
                    gru_reset_backward(&params, &options, &weight_hh, &h, &mut gates, &mut d_h0);
                }
            }
        }
        if let (Some(squares), Some(t)) = (args.squares, t) {
            let total = self.norm(args, cell, t, after, (d_before, over_after.as_deref()), &weight_hh);
            self.set_square(args, cell, squares, t, total);
        }
        if let Some(t) = t {
            let at = Self::gates(cell, t);
            self.numbers_mut(cell.gates)[at].copy_from_slice(&gates[..state * cell.gates_width]);
        }
        self.numbers_mut(args.d_h0)[own].copy_from_slice(&d_h0);
    }

    /// The sum of the squares of d_h', the whole gradient of the state after a step; from what the step after left.
    fn norm(
        &self,
        args: &StepsBackward,
        cell: &CellSteps,
        t: usize,
        after: Option<usize>,
        ((d_h0, is_first), over_after): ((Vec<R>, bool), Option<&[usize]>),
        weight_hh: &[R],
    ) -> R {
        let (batch, hidden) = (cell.batch, cell.hidden);
        let over = self.over(cell, Some(t));
        let is = |over: Option<&[usize]>, row: usize| over.is_some_and(|over| over[row] == 0);
        let d_h_n = &self.numbers(args.d_h_n)[cell.index * batch * hidden..];
        let position = args.cells.iter().position(|other| other.index == cell.index).unwrap_or_default();
        let d_output = Matrix::rows_of(args.d_outputs[position], t * batch * cell.h_stride, batch, cell.h_stride);
        let d_output = self.matrix(&d_output.from(cell.h_column), [batch, hidden]);
        // Which block of weight_hh meets which column of the gates.
        let blocks: &[(usize, usize)] = match cell.cell {
            Cell::Rnn { .. } => &[(0, 0)],
            Cell::Gru { reset: Reset::After, .. } => &[(0, 0), (1, 1), (2, 3)],
            Cell::Gru { reset: Reset::Before, .. } => &[(0, 0), (1, 1)],
        };
        let mut total = R::default();
        // A row that is over has no state after this step.
        for row in (0..batch).filter(|&row| !is(over.as_deref(), row)) {
            for unit in 0..hidden {
                let own = row * hidden + unit;
                let mut d_h = d_output[own] + if is_first { d_h_n[own] } else { d_h0[own] };
                if let Some(after) = after.filter(|_| !is(over_after, row)) {
                    let gates = &self.numbers(cell.gates)[Self::gates(cell, after)];
                    for &(gate, column) in blocks {
                        for k in 0..hidden {
                            d_h += weight_hh[(gate * hidden + k) * hidden + unit]
                                * gates[(row * cell.gates_width + column) * hidden + k];
                        }
                    }
                }
                total += d_h * d_h;
            }
        }
        total
    }

    /// Leaves a sum of squares as the workgroups of a step leave theirs: all of it in the first, nothing in the others.
    fn set_square(&mut self, args: &StepsBackward, cell: &CellSteps, begin: usize, t: usize, total: R) {
        let groups = args.time_loop.groups(cell.batch, cell.hidden);
        let first = begin + cell.index * groups * args.seq_len;
        for group in 0..groups {
            let sum = if group == 0 { total } else { R::default() };
            self.numbers_mut(args.sums)[first + group * args.seq_len + t] = sum;
        }
    }

    fn recompute_gates(&mut self, args: &RecomputeGates) {
        let cell = &args.steps;
        let (rows, hidden) = (cell.rows(), cell.hidden);
        let h = self.matrix(&cell.h_before(), [rows, hidden]);
        let h_proj = self.numbers(args.h_proj)[..rows * 3 * hidden].to_vec();
        let shape = [rows, cell.gates_width * hidden];
        let mut gates = self.matrix(&cell.gates_matrix(), shape);
        gru_gates([rows, hidden], &Self::options(cell, None, None), args.pass, &h, &h_proj, &mut gates);
        self.set_matrix(&cell.gates_matrix(), shape, &gates);
    }

    fn f16_gates(&mut self, args: &F16Gates) {
        let (cell, hidden) = (&args.steps, args.steps.hidden);
        let shape = [cell.rows(), 4 * hidden];
        let mut gates: Vec<f32> =
            self.matrix(&cell.gates_matrix(), shape).into_iter().map(|value| value.into() as f32).collect();
        if args.unpack {
            gates_from_f16(hidden, self.words(args.f16), &mut gates);
            let gates: Vec<R> = gates.into_iter().map(|value| R::from_f64(f64::from(value))).collect();
            self.set_matrix(&cell.gates_matrix(), shape, &gates);
        } else {
            f16_from_gates(hidden, &gates, self.words_mut(args.f16));
        }
    }
}

/// Rows of `from` times H numbers as rows of `to` times H, with zeros where there is more room.
fn resized<R: Real>(gates: &[R], [from, to]: [usize; 2], hidden: usize) -> Vec<R> {
    let mut resized = Vec::with_capacity(gates.len() / from * to);
    for row in gates.chunks_exact(from * hidden) {
        resized.extend(&row[..row.len().min(to * hidden)]);
        resized.resize(resized.len().next_multiple_of(to * hidden), R::default());
    }
    resized
}
