//! Any layer with any options, as a strategy: for the GPU against the oracle, and for the oracle against finite
//! differences.

use proptest::prelude::*;
use proptest::sample::select;
use wgpu_gru::Schedule;
use wgpu_gru::wgpu::DeviceType;
use wgpu_gru::{Activation, Cell, Config, Direction, GruConfig, Reset, RnnConfig, Saved, Unroll};

use super::numbers::ACTIVATIONS;

/// What is drawn. Each part shrinks to what is plainest.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    pub(crate) config: Config,
    /// Mode, sizes, and what is wanted; training.
    pub(crate) unroll: Unroll,
    pub(crate) lengths: Option<Vec<usize>>,
    /// `[T, B]`
    pub(crate) episode_starts: Option<Vec<bool>>,
    /// Otherwise the first states are zeros that nobody gave.
    pub(crate) has_h0: bool,
    /// Of weights and numbers.
    pub(crate) seed: u64,
}

/// What the config of each cell has in common.
#[derive(Debug, Clone)]
struct Common {
    layers: usize,
    direction: Direction,
    bias: bool,
    batch_first: bool,
    reversed_output: bool,
    clip: Option<f32>,
    /// Of a layer that has another one above it.
    dropout: Option<f32>,
}

fn config<C>(plain: Config<C>, common: &Common) -> Config<C> {
    let &Common { layers, direction, bias, batch_first, reversed_output, clip, dropout } = common;
    let config = plain.num_layers(layers).direction(direction).bias(bias).batch_first(batch_first);
    let config = config.reversed_output(reversed_output);
    let config = match clip {
        Some(limit) => config.clip(limit),
        None => config,
    };
    match dropout {
        Some(share) if layers > 1 => config.dropout(share),
        _ => config,
    }
}

/// A layer with any options.
pub(crate) fn any_config() -> impl Strategy<Value = Config> {
    let direction = select(vec![Direction::Forward, Direction::Reverse, Direction::Bidirectional]);
    // The plain case of an option is false or `None`.
    let common = (1_usize..4, direction, any::<[bool; 3]>(), option(vec![0.5_f32, 1.5]), option(vec![0.2_f32, 0.5]));
    let common = common.prop_map(|(layers, direction, [no_bias, batch_first, reversed], clip, dropout)| Common {
        layers,
        direction,
        bias: !no_bias,
        batch_first,
        reversed_output: reversed && direction == Direction::Reverse,
        clip,
        dropout,
    });
    let activation = || option(ACTIVATIONS.to_vec());
    let cell =
        (prop::option::of(activation()), any::<bool>(), activation(), activation(), [activation(), activation()]);
    (1_usize..6, 1_usize..10, common, cell).prop_map(
        |(inputs, hidden, common, (rnn, before, gate, candidate, reverse))| {
            // Of two directions each may have activations of its own.
            let [first, second] = reverse.map(|drawn| drawn.filter(|_| common.direction == Direction::Bidirectional));
            if let Some(nonlinearity) = rnn {
                let mut plain = RnnConfig::new(inputs, hidden).nonlinearity(nonlinearity.unwrap_or(Activation::Tanh));
                if let Some(activation) = first {
                    plain = plain.reverse_nonlinearity(activation);
                }
                return config(plain, &common).erased();
            }
            let mut plain = GruConfig::new(inputs, hidden)
                .reset(if before { Reset::Before } else { Reset::After })
                .gate_activation(gate.unwrap_or(Activation::Sigmoid))
                .candidate_activation(candidate.unwrap_or(Activation::Tanh));
            if let Some(activation) = first {
                plain = plain.reverse_gate_activation(activation);
            }
            if let Some(activation) = second {
                plain = plain.reverse_candidate_activation(activation);
            }
            config(plain, &common).erased()
        },
    )
}

/// A layer with any options and what may be wanted of a run.
pub(crate) fn any_options() -> impl Strategy<Value = Options> {
    let lengths = prop::option::of(prop::collection::vec(0_usize..7, 5));
    let starts = prop::option::of(prop::collection::vec(prop::bool::weighted(0.3), 36));
    let sizes = (1_usize..7, 1_usize..6, lengths, starts);
    let schedule = option(vec![Schedule::Step, Schedule::Rows, Schedule::Exchange]);
    let planned = (any::<bool>(), schedule, any::<bool>(), any::<[bool; 2]>());
    (any_config(), sizes, any::<[bool; 4]>(), planned, any::<u64>()).prop_map(
        |(config, sizes, flags, planned, seed)| {
            let ((seq_len, batch, lengths, starts), [has_h0, states_only, norms, no_d_input]) = (sizes, flags);
            let lengths = lengths.map(|drawn| drawn[..batch].iter().map(|&length| length.min(seq_len)).collect());
            let (as_for_a_gpu, schedule, wavefront, [half_gates, half_weights]) = planned;
            let episode_starts = starts.map(|drawn| drawn[..seq_len * batch].to_vec());
            let is_recomputable = episode_starts.is_none() || matches!(config.cell(), Cell::Rnn { .. });
            let saved = match states_only {
                true if is_recomputable => Saved::Recompute,
                _ if half_gates && can_halve(&config) => Saved::F16,
                _ => Saved::Everything,
            };
            let unroll =
                Unroll::training(seq_len, batch).saved(saved).gradient_norms(norms).input_gradient(!no_d_input);
            let unroll = unroll.lengths(Option::is_some(&lengths)).episode_starts(episode_starts.is_some());
            let unroll = unroll.f16_weights(half_weights && is_smooth(&config) && config.hidden_size.is_multiple_of(4));
            let unroll = if as_for_a_gpu { unroll.adapter_class(DeviceType::DiscreteGpu) } else { unroll };
            let unroll = schedule.map_or(unroll, |schedule| unroll.schedule(schedule));
            let one_direction = config.direction != Direction::Bidirectional;
            let possible = config.num_layers > 1 && one_direction && config.dropout == 0.0 && seq_len > 1;
            let unroll = if possible { unroll.wavefront(wavefront) } else { unroll };
            Options { config, unroll, lengths, episode_starts, has_h0, seed }
        },
    )
}

/// Whether gates can be kept as halves.
fn can_halve(config: &Config) -> bool {
    matches!(config.cell(), Cell::Rnn { .. }) || is_smooth(config)
}

/// Whether no slope has a jump, which the rounding of a weight to 16 bits might cross.
fn is_smooth(config: &Config) -> bool {
    let smooth = |activation| matches!(activation, Activation::Sigmoid | Activation::Tanh | Activation::Softsign);
    let is_smooth = |direction| match config.cell_of(direction) {
        Cell::Rnn { nonlinearity } => smooth(nonlinearity),
        Cell::Gru { gate, candidate, .. } => smooth(gate) && smooth(candidate),
    };
    config.clip.is_none() && (0..config.directions()).all(is_smooth)
}

fn option<T: Clone + std::fmt::Debug + 'static>(list: Vec<T>) -> impl Strategy<Value = Option<T>> + Clone {
    prop::option::of(select(list))
}
