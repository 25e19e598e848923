//! The example `pronounce`: its words as another program says them, the crate `grapheme_to_phoneme` on the CPU
//! (`tests/golden/pronounce` wrote them down), and its shader by itself.

use std::path::Path;

use wgpu_gru::reference::oracle::{self, CellWeights, Run, widen};
use wgpu_gru::rng::SplitMix64;
use wgpu_gru::{Config, Gpu, StateDict, Tolerance};

use crate::support::{bits, record, settings, tensor, zeros};

#[path = "../../examples/pronounce/argmax.rs"]
mod argmax;
#[path = "../../examples/pronounce/model.rs"]
mod model;
#[path = "../../examples/pronounce/symbols.rs"]
mod symbols;
#[path = "../../examples/pronounce/weights.rs"]
mod weights;

use argmax::Argmax;
use model::Model;
use symbols::{END, PHONEMES, START, letters};

trials![as_another_program_says_it, the_largest_of_a_row];

/// As g2p_en and the other program have it.
const STEPS: usize = 20;
/// A word and its phonemes a line: all 2636 words of a book, and words that are none, of its letters.
const GOLDEN: &str = include_str!("../golden/pronounce.txt");

/// Every phoneme is the same. Where one is not, the two have to be as likely to the rounding of f32, which the oracle
/// says in f64; and it agrees with some of the words that are the same.
fn as_another_program_says_it(gpu: &Gpu) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/data/g2p/checkpoint20.npz");
    let dict = weights::read(&file).expect("the weights");
    let model = Model::new(gpu, &dict).expect("the model");
    let exact = Exact::new(&dict);
    // Where a CPU plays a GPU that it is not, each word takes four times as long.
    let every = if settings::planned_as().is_some() { 4 } else { 1 };
    let lines: Vec<(&str, &str)> = GOLDEN.lines().map(|line| line.split_once(' ').expect("a word")).collect();
    assert!(lines.len() > 3000, "{} words", lines.len());
    let lines: Vec<_> = lines.into_iter().step_by(every).collect();
    let (mut ties, mut longest, mut unknown) = (0, 0, 0);
    // More than a batch at a time, and the last batch of each is not full.
    for lines in lines.chunks(700) {
        let words: Vec<&str> = lines.iter().map(|(word, _)| *word).collect();
        let said = model.pronounce(&words, STEPS).expect("phonemes");
        assert_eq!(said.len(), words.len(), "all words");
        for (place, ((word, theirs), ours)) in lines.iter().zip(&said).enumerate() {
            let theirs: Vec<usize> = theirs.split_whitespace().map(number).collect();
            longest = longest.max(ours.len());
            unknown += usize::from(word.contains('\''));
            if *ours != theirs {
                assert!(exact.is_tie(word, ours, &theirs), "{word}: {} here, {} there", names(ours), names(&theirs));
                ties += 1;
            }
            if place % 29 == 0 {
                assert!(exact.agrees(word, ours), "{word}: {} in f32", names(ours));
            }
        }
    }
    assert_eq!(longest, STEPS, "some words are cut off");
    assert!(unknown > lines.len() / 50, "{unknown} words with what is no letter");
    assert!(ties < 5, "{ties} ties among {} words", lines.len());

    // What is no tie is not taken for one.
    let hello = model.pronounce(&["hello"], STEPS).expect("phonemes").remove(0);
    assert_eq!(names(&hello), "HH EH1 L OW0", "hello");
    assert!(exact.agrees("hello", &hello) && !exact.agrees("hullo", &hello), "the oracle knows the word");
    for place in 0..hello.len() {
        let mut wrong = hello.clone();
        wrong[place] = number("AH0");
        assert!(!exact.is_tie("hello", &hello, &wrong), "{} is no tie", names(&wrong));
        assert!(!exact.is_tie("hello", &hello, &hello[..place]), "an end is no tie");
    }
    // And what is one is: two phonemes with the same weights, and biases that differ by a little.
    let [same, first] = [number("AH0"), hello[0]];
    let exact = |difference: f64| {
        let mut exact = Exact::new(&dict);
        exact.head.0[same] = exact.head.0[first].clone();
        exact.bias[same] = exact.bias[first] + difference;
        exact
    };
    for (difference, tie) in [(0.0, true), (1e-5, true), (-1e-5, true), (0.01, false), (-0.01, false)] {
        assert_eq!(exact(difference).is_tie("hello", &hello, &[same]), tie, "{difference} apart");
    }
}

fn number(name: &str) -> usize {
    PHONEMES.iter().position(|&phoneme| phoneme == name).expect("one of the phonemes")
}

fn names(said: &[usize]) -> String {
    said.iter().map(|&number| PHONEMES[number]).collect::<Vec<_>>().join(" ")
}

/// A table of vectors in f64, or the weight of the head.
struct Rows(Vec<Vec<f64>>);

impl Rows {
    fn new(dict: &StateDict, name: &str) -> Self {
        let array = dict.get(name).expect("an array");
        Self(array.values().chunks(array.shape()[1]).map(widen).collect())
    }

    fn of(&self, numbers: &[usize]) -> Vec<f64> {
        numbers.iter().flat_map(|&number| &self.0[number]).copied().collect()
    }
}

/// The model in f64, by the oracle.
struct Exact {
    letters: Rows,
    encoder: (Config, Vec<CellWeights>),
    phonemes: Rows,
    decoder: (Config, Vec<CellWeights>),
    head: Rows,
    bias: Vec<f64>,
}

impl Exact {
    fn new(dict: &StateDict) -> Self {
        let gru = |prefix| {
            let config = dict.gru_config(prefix).expect("a GRU");
            let cells = oracle::cells(&dict.weights(prefix, &config).expect("weights"));
            (config.erased(), cells)
        };
        Self {
            letters: Rows::new(dict, "letters.weight"),
            encoder: gru("encoder."),
            phonemes: Rows::new(dict, "phonemes.weight"),
            decoder: gru("decoder."),
            head: Rows::new(dict, "head.weight"),
            bias: widen(dict.get("head.bias").expect("an array").values()),
        }
    }

    /// The logits of what may follow each of these phonemes, the first of which is the start token, and the budget of
    /// each step: of a sum of H products of the size that they have, at the end of as many steps.
    fn logits(&self, word: &str, said: &[usize]) -> Vec<(Vec<f64>, Tolerance)> {
        let word = letters(word);
        let forward = |(config, cells): &(Config, Vec<CellWeights>), x: &[f64], h0: &[f64]| {
            let seq_len = x.len() / config.input_size;
            let run = Run { seq_len, batch: 1, lengths: None, dropout: Vec::new(), episode_starts: None };
            oracle::forward(config, cells, &run, x, h0)
        };
        let units = self.encoder.0.hidden_size;
        let state = forward(&self.encoder, &self.letters.of(&word), &vec![0.0; units]).h_n;
        let states = forward(&self.decoder, &self.phonemes.of(said), &state).output;
        let step = |(step, state): (usize, &[f64])| {
            let products = |row: &Vec<f64>| row.iter().zip(state).map(|(a, b)| a * b).collect::<Vec<_>>();
            let sums = self.head.0.iter().zip(&self.bias);
            let logits = sums.clone().map(|(row, bias)| products(row).iter().sum::<f64>() + bias).collect();
            let sizes = sums.map(|(row, bias)| products(row).iter().map(|x| x.abs()).sum::<f64>() + bias.abs());
            let tolerance = Tolerance::through_time(units, word.len() + step + 1).scaled(sizes.fold(1.0, f64::max));
            (logits, tolerance)
        };
        states.chunks(units).enumerate().map(step).collect()
    }

    /// Whether each of these phonemes, and the end behind them, has the largest logit after those before it, or one
    /// that cannot be told from it.
    fn agrees(&self, word: &str, said: &[usize]) -> bool {
        let before: Vec<usize> = [START].iter().chain(said).copied().take(STEPS).collect();
        let after = said.iter().copied().chain([END]);
        self.logits(word, &before).iter().zip(after).all(|((logits, tolerance), said)| {
            let largest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            tolerance.accepts(logits[said], largest)
        })
    }

    /// Whether the two may go apart where they do.
    fn is_tie(&self, word: &str, ours: &[usize], theirs: &[usize]) -> bool {
        let with_end = |said: &[usize]| said.iter().copied().chain([END]).collect::<Vec<_>>();
        let (ours, theirs) = (with_end(ours), with_end(theirs));
        let place = ours.iter().zip(&theirs).position(|(a, b)| a != b).expect("they differ");
        let before: Vec<usize> = [START].iter().chain(&ours[..place]).copied().collect();
        let (logits, tolerance) = self.logits(word, &before).pop().expect("a step");
        tolerance.accepts(logits[ours[place]], logits[theirs[place]])
    }
}

/// The first of equal numbers; a NaN from a row of nothing else alone.
fn the_largest_of_a_row(gpu: &Gpu) {
    let (nan, inf) = (f32::NAN, f32::INFINITY);
    let mut random = SplitMix64::new(2);
    for columns in [1, 3, 63, 64, 65, 74, 200] {
        let mut rows = vec![vec![nan; columns], vec![-inf; columns], vec![0.0; columns], vec![-1.5; columns]];
        for special in [nan, -nan, inf, -inf, -0.0, 1e-40, f32::MAX, f32::MIN] {
            for place in [0, columns / 2, columns - 1] {
                for others in [nan, -inf, 0.0, -0.0, -1e-40, 3.0] {
                    let mut row = vec![others; columns];
                    row[place] = special;
                    rows.push(row);
                }
            }
        }
        // Few values, so that there are ties; and many.
        for values in [3, 1000] {
            let draw = |value: u64| (value % values) as f32 - 1.0;
            rows.extend((0..20).map(|_| (0..columns).map(|_| draw(random.next_u64())).collect::<Vec<_>>()));
        }
        let logits = tensor(gpu, &[1, rows.len(), columns], &rows.concat());
        let picked = zeros(gpu, &[1, rows.len()]);
        let argmax = Argmax::new(&logits, &picked).expect("a pipeline");
        record(gpu, |encoder| argmax.encode(encoder));
        for (row, picked) in rows.iter().zip(bits(&picked)) {
            let places = (0..columns).filter(|&place| !row[place].is_nan());
            let expected = places.reduce(|best, place| if row[place] > row[best] { place } else { best });
            assert_eq!(picked as usize, expected.unwrap_or(0), "{row:?}");
        }
    }
}
