//! A frame, and what comes before it.

use super::steps::{activations_of, first_and_next, parts, whole};
use super::{On, Overrides, clip, grid};
use crate::gpu::ProgramBuilder;
use crate::kernels::{Frame, FrameParams, GATHER, GATHER_BY_ROWS, Gather, GatherParams, OptionsOfFrame, generated};
use crate::plan::ops;

/// The overrides of a frame.
fn overrides(args: &ops::Frame) -> Overrides {
    let mut overrides = vec![("ZERO_EMPTY", f64::from(args.zero_empty_rows))];
    overrides.extend(clip(args.clip));
    overrides.extend(activations_of(args.cell));
    overrides
}

pub(super) fn frame<'a>(builder: &mut ProgramBuilder<'a>, on: On<'a>, args: &ops::Frame) {
    let weights = |kind: usize| parts(on, args.layers.iter().map(|(weights, _)| whole(on, weights[kind])));
    let biases = |kind: usize| {
        let of_layers = args.layers.iter().filter_map(|(_, biases)| Some(whole(on, (*biases)?[kind])));
        // What is not there is not bound.
        let has_bias = args.layers[0].1.is_some();
        if has_bias { parts(on, of_layers) } else { (weights(0).0, vec![0]) }
    };
    let ((weight_ih, ih), (weight_hh, hh)) = (weights(0), weights(1));
    let ((bias_ih, bias_of_ih), (bias_hh, bias_of_hh)) = (biases(0), biases(1));
    let (input, input_offset) = on.whole(args.input);
    let (output, output_offset) = on.whole(args.output);
    // One binding for the states before and after, or one for each.
    let (before, (state, [before_offset, state_offset])) = if args.before_is_apart {
        let ((before, before_offset), (state, state_offset)) = (on.whole(args.before), on.whole(args.state));
        (before, (state, [before_offset, state_offset]))
    } else {
        let (both, offsets) = parts(on, [args.before, args.state].into_iter().map(|tensor| whole(on, tensor)));
        (both, (both, [offsets[0], offsets[1]]))
    };
    let [weight_ih_above, next_weight_ih] = match &ih[1..] {
        [] => [0; 2],
        above => first_and_next(above.iter().copied()),
    };
    let [[weight_hh_offset, next_weight_hh], [bias_ih_offset, next_bias_ih], [bias_hh_offset, next_bias_hh]] =
        [hh, bias_of_ih, bias_of_hh].map(|offsets| first_and_next(offsets.into_iter()));
    let cut = args.cut;
    let [x, y] = grid(builder, cut.workgroups(args.batch));
    let longest = if args.layers.len() > 1 { args.inputs.max(args.hidden) } else { args.inputs };
    let params = FrameParams {
        batch: args.batch as u32,
        hidden: args.hidden as u32,
        inputs: args.inputs as u32,
        layers: args.layers.len() as u32,
        workgroups: x,
        below_width: cut.width(longest) as u32,
        state_width: cut.width(args.hidden) as u32,
        input_offset,
        before_offset,
        state_offset,
        output_offset,
        weight_ih_offset: ih[0],
        weight_ih_above,
        next_weight_ih,
        weight_hh_offset,
        next_weight_hh,
        bias_ih_offset,
        next_bias_ih,
        bias_hh_offset,
        next_bias_hh,
    };
    // What is not there is not bound.
    let lengths = args.lengths.map_or(input, |lengths| on.whole(lengths).0);
    let options = OptionsOfFrame {
        bias: args.layers[0].1.is_some(),
        lengths: args.lengths.is_some(),
        before: args.before_is_apart,
    };
    let kernel = generated::Frame { cell: args.cell, cut, vec4: args.vec4, f16_weights: args.f16_weights, options };
    let kernel = builder.gpu().generated(&kernel, &overrides(args));
    let storage = Frame { weight_ih, weight_hh, input, state, output, bias_ih, bias_hh, lengths, before }.storage();
    builder.once(kernel, &params, options.of(storage), [x, y, 1]);
}

pub(super) fn gather<'a>(builder: &mut ProgramBuilder<'a>, on: On<'a>, args: &ops::Gather) {
    let (spec, rows) = if args.software { (&GATHER_BY_ROWS, 64) } else { (&GATHER, 8) };
    let ((state, state_offset), (gathered, gathered_offset)) = (on.whole(args.state), on.whole(args.gathered));
    let [x, y] = grid(builder, args.rows.div_ceil(rows) as u32);
    let params = GatherParams {
        layers: args.layers as u32,
        rows: args.rows as u32,
        width: args.width as u32,
        state_offset,
        gathered_offset,
        workgroups: x,
    };
    let kernel = builder.gpu().kernel(spec, &[]);
    let sources = on.whole(args.sources).0;
    builder.once(kernel, &params, Gather { state, sources, gathered }.storage(), [x, y, 1]);
}
