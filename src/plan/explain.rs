//! A plan in words.

use std::fmt;

use super::ops::Op;
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
        writeln!(f, "  schedule {schedule:?}, {chunks} chunk(s) of time{wavefront}")?;
        for (schedule, because) in [("rows", self.why_not.rows), ("exchange", self.why_not.exchange)] {
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
