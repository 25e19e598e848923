//! A plan in words.

use std::fmt;

use super::cuts::{ExchangeCut, RowsCut, TileCut};
use super::feasible::WhyNot;
use super::frame::FrameCut;
use super::ops::{
    Arrange, CellSteps, F16Gates, Frame, Gather, Matmul, MoveRows, Op, Pack, Product, RecomputeGates, Steps,
    StepsBackward, SumRows,
};
use super::time_loop::TimeLoop;
use super::{Allocation, Plan, dispatches, flops};
use crate::config::Cell;
use crate::unroll::Saved;

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (config, unroll) = (&self.config, &self.unroll);
        let cell = match config.cell() {
            Cell::Gru { .. } => "GRU",
            Cell::Rnn { .. } => "RNN",
        };
        let [inputs, hidden, layers] = [config.input_size, config.hidden_size, config.num_layers];
        let (t, b) = (unroll.seq_len, unroll.batch);
        let (direction, mode) = (config.direction, unroll.mode);
        writeln!(f, "{cell} {inputs} -> {hidden}, {layers} layer(s), {direction:?}, {mode:?} over T={t} B={b}")?;
        let wavefront = if self.layout.wavefront { ", layers in a wavefront" } else { "" };
        let (schedule, chunks) = (self.time_loop.schedule(), self.chunks.len());
        let tuned = if unroll.tuning.is_some() { " as tuned" } else { "" };
        if self.layout.frame.is_some() {
            writeln!(f, "  a frame: one dispatch takes the step through all layers")?;
        } else {
            writeln!(f, "  schedule {schedule:?}{tuned}, {chunks} chunk(s) of time{wavefront}")?;
        }
        let WhyNot { rows, exchange, frame } = self.why_not;
        for (schedule, because) in [("rows", rows), ("exchange", exchange), ("frame", frame)] {
            if let Some(because) = because {
                writeln!(f, "  not by {schedule}: {because}")?;
            }
        }
        for (name, list) in [("forward", &self.forward), ("backward", &self.backward)] {
            if !list.is_empty() {
                writeln!(f, "  {name}: {} dispatches, {:.3e} FLOP", dispatches(list), flops(list) as f64)?;
                grouped(list).into_iter().try_for_each(|(line, count)| writeln!(f, "    {count:5} {line}"))?;
            }
        }
        write!(f, "  buffers: {} bytes, {} of them scratch", self.bytes(), self.scratch_bytes())?;
        for &Allocation { name, count, bytes, scratch } in &self.allocations {
            let times = if count == 1 { String::new() } else { format!("{count} x ") };
            write!(f, "\n    {name}: {times}{bytes}{}", if scratch { ", scratch" } else { "" })?;
        }
        for saved in Saved::ALL {
            if let Some(bytes) = self.bytes_with(saved) {
                let mark = if saved == unroll.saved { ", chosen" } else { "" };
                write!(f, "\n  with Saved::{saved:?} {bytes} bytes{mark}")?;
            }
        }
        Ok(())
    }
}

/// The operations in words, each kind once with the number of its dispatches, in the order in which they first come.
fn grouped(list: &[Op]) -> Vec<(String, u64)> {
    let mut lines: Vec<(String, u64)> = Vec::new();
    for op in list {
        let line = op.to_string();
        match lines.iter_mut().find(|(known, _)| *known == line) {
            Some((_, count)) => *count += op.dispatches(),
            None => lines.push((line, op.dispatches())),
        }
    }
    lines
}

/// Which kernel, in which form, over which sizes: a line of `explain`.
impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.kernels().into_iter().map(|(label, _)| label).collect();
        write!(f, "{}", names.join(" + "))?;
        let form = |vec4: bool| if vec4 { "vec4" } else { "scalar" };
        let step = |f: &mut fmt::Formatter<'_>, any: &CellSteps, cut: TileCut, backward: bool| {
            let form = if any.f16_weights { "f16 weights" } else { form(any.is_vec4(cut, backward)) };
            let TileCut { slices, splits, units, rows, .. } = cut;
            write!(f, " {form}, {} invocations for {rows} row(s) and {} units, ", cut.invocations(), cut.columns())?;
            write!(f, "{splits} x {slices} slices of {units} unit(s)")
        };
        let by_rows = |f: &mut fmt::Formatter<'_>, any: &CellSteps, cut: RowsCut| {
            let RowsCut { slices, units, rows, ahead, .. } = cut;
            let (form, invocations) = (if any.f16_weights { " f16 weights," } else { "" }, cut.invocations(any.hidden));
            let subgroups = if cut.subgroup.is_some() && slices > 1 { " in subgroups" } else { "" };
            write!(f, "{form} {invocations} invocations for {rows} row(s), {slices} slice(s){subgroups} of {units} ")?;
            write!(f, "unit(s), {ahead} step(s) ahead")
        };
        let by_exchange = |f: &mut fmt::Formatter<'_>, any: &CellSteps, cut: ExchangeCut| {
            let ExchangeCut { tile, rows, .. } = cut;
            let TileCut { slices, splits, units, rows: at_a_time, .. } = tile;
            let (form, invocations) = (if any.f16_weights { " f16 weights," } else { "" }, tile.invocations());
            let parts = tile.parts(any.hidden);
            write!(f, "{form} {parts} x {invocations} invocations for {rows} row(s), {at_a_time} at a time, ")?;
            write!(f, "{splits} x {slices} slices of {units} unit(s)")
        };
        let sizes = |f: &mut fmt::Formatter<'_>, cells: &[CellSteps]| {
            let any = &cells[0];
            let (steps, cells) = (any.steps.len(), cells.len());
            write!(f, ": {steps} step(s), {cells} cell(s), B {}, H {}", any.batch, any.hidden)
        };
        match self {
            Self::Matmul(matmul @ Matmul { product: Product { size: [m, n, k], .. }, kernel, .. }) => {
                let [rows, columns] = kernel.tile();
                write!(f, ", tiles of {rows} x {columns}: {m} x {n} x {k}")?;
                matmul.parts.as_ref().map_or(Ok(()), |parts| write!(f, ", {} parts", parts.count()))
            }
            Self::SumRows(SumRows { size: [rows, columns], .. }) => write!(f, ": {rows} x {columns}"),
            Self::Arrange(Arrange { size: [t, b, width], .. }) => write!(f, ": {t} x {b} x {width}"),
            Self::MoveRows(MoveRows { rows, width, .. }, vec4) => write!(f, " {}: {rows} x {width}", form(*vec4)),
            Self::Gather(Gather { layers, rows, width, .. }) => write!(f, ": {layers} x {rows} x {width}"),
            Self::Frame(Frame { batch, inputs, hidden, layers, f16_weights, cut, .. }) => {
                let FrameCut { slices, blocks, rows, ahead, .. } = *cut;
                let (form, invocations) = (if *f16_weights { " f16 weights," } else { "" }, cut.invocations());
                let subgroups = if cut.uses_subgroups() { " in subgroups" } else { "" };
                write!(
                    f,
                    "{form} {invocations} invocations for {blocks} x {rows} row(s), {slices} slice(s){subgroups}, "
                )?;
                write!(f, "{ahead} vec4 at a time: {} layer(s), B {batch}, I {inputs}, H {hidden}", layers.len())
            }
            Self::Number { rows, .. } => write!(f, ": {rows}"),
            Self::Count { .. } => Ok(()),
            Self::Pack(Pack { size: [rows, columns], f16, .. }) => {
                write!(f, "{}: {rows} x {columns}", if *f16 { " f16" } else { "" })
            }
            Self::Steps(Steps { cells, time_loop, .. }) => {
                match *time_loop {
                    TimeLoop::Step { forward, .. } => step(f, &cells[0], forward, false)?,
                    TimeLoop::Rows { forward, .. } => by_rows(f, &cells[0], forward)?,
                    TimeLoop::Exchange { forward, .. } => by_exchange(f, &cells[0], forward)?,
                }
                sizes(f, cells)
            }
            Self::StepsBackward(StepsBackward { cells, time_loop, .. }) => {
                match *time_loop {
                    TimeLoop::Step { backward, .. } => step(f, &cells[0], backward, true)?,
                    TimeLoop::Rows { backward, .. } => by_rows(f, &cells[0], backward)?,
                    TimeLoop::Exchange { backward, .. } => by_exchange(f, &cells[0], backward)?,
                }
                sizes(f, cells)
            }
            Self::RecomputeGates(RecomputeGates { steps, .. }) | Self::F16Gates(F16Gates { steps, .. }) => {
                write!(f, ": {} x {}", steps.rows(), steps.hidden)
            }
        }
    }
}
