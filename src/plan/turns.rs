//! Which cells take their steps together, and in which order.

use std::ops::Range;

use super::layout::Layout;
use crate::config::Config;

/// One cell over one chunk of the time axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Part {
    /// Its layer, and its direction in that layer.
    pub(crate) layer: usize,
    pub(crate) direction: usize,
    /// It runs in reverse.
    pub(crate) reverse: bool,
    /// Which chunk.
    pub(crate) chunk: usize,
}

/// Cells that take the steps of a chunk in the same dispatches. The chunks are of one length.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Turn {
    /// At least one.
    pub(crate) parts: Vec<Part>,
    /// Steps of each.
    pub(crate) steps: usize,
    /// It is the last chunk of each of them. It is of none in other turns.
    pub(crate) is_last: bool,
}

/// Layers whose turns mix: all of them in a wavefront, otherwise one. Turns are in the order of a forward pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Block {
    pub(crate) layers: Range<usize>,
    pub(crate) turns: Vec<Turn>,
}

/// The blocks of a forward pass, in order.
///
/// Without a wavefront a layer is a block: chunk by chunk, its directions in the same turn where `layout.together` says
/// so. In a wavefront turn w takes chunk w of the first layer, chunk w - 1 of the second and so on, since a layer needs
/// nothing but what lies below it. The last chunk, which may be shorter, has a turn of its own.
pub(super) fn blocks(config: &Config, layout: &Layout, chunks: &[Range<usize>]) -> Vec<Block> {
    let reversed = config.direction.reversed();
    let (layers, count) = (config.num_layers, chunks.len());
    let part = |layer: usize, direction: usize, number: usize| {
        let reverse = reversed[direction];
        Part { layer, direction, reverse, chunk: if reverse { count - 1 - number } else { number } }
    };
    let turn = |parts: Vec<Part>, number: usize| {
        let steps = chunks[parts[0].chunk].len();
        Turn { parts, steps, is_last: number + 1 == count }
    };
    if layout.wavefront {
        let mut turns = Vec::new();
        for wave in 0..count + layers - 1 {
            // The layers that are in their last chunk, and those before it.
            let last = (wave + 1).checked_sub(count).filter(|&layer| layer < layers);
            let first = last.map_or(0, |layer| layer + 1);
            turns.extend(last.map(|layer| turn(vec![part(layer, 0, count - 1)], count - 1)));
            let others: Vec<Part> = (first..layers.min(wave + 1)).map(|layer| part(layer, 0, wave - layer)).collect();
            if !others.is_empty() {
                turns.push(turn(others, 0));
            }
        }
        return vec![Block { layers: 0..layers, turns }];
    }
    let directions: Vec<usize> = (0..reversed.len()).collect();
    let of_layer = |layer: usize| {
        let of_directions = |together: &[usize]| {
            let parts = |number| together.iter().map(|&direction| part(layer, direction, number)).collect();
            (0..count).map(|number| turn(parts(number), number)).collect::<Vec<_>>()
        };
        let turns = directions.chunks(layout.together).flat_map(of_directions).collect();
        Block { layers: layer..layer + 1, turns }
    };
    (0..layers).map(of_layer).collect()
}
