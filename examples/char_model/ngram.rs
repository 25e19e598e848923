//! What counting can do: an n-gram model with the interpolation of Witten and Bell (1991, "The zero-frequency problem").

use std::collections::HashMap;

/// How often each character came after each context of up to so many characters.
pub(crate) struct Ngrams {
    alphabet: usize,
    order: usize,
    counts: HashMap<Vec<usize>, HashMap<usize, f64>>,
}

impl Ngrams {
    /// Counts a text; `order` is the number of characters before the one that is to be guessed.
    pub(crate) fn new(text: &[usize], alphabet: usize, order: usize) -> Self {
        let mut counts: HashMap<Vec<usize>, HashMap<usize, f64>> = HashMap::new();
        for place in 0..text.len() {
            for context in place.saturating_sub(order)..=place {
                *counts.entry(text[context..place].to_vec()).or_default().entry(text[place]).or_default() += 1.0;
            }
        }
        Self { alphabet, order, counts }
    }

    /// The probability of a character behind a context: what was counted behind it, and for what was not, by the number
    /// of different characters that were, the probability behind the context without its first character.
    fn probability(&self, context: &[usize], character: usize) -> f64 {
        let shorter = match context {
            [] => 1.0 / self.alphabet as f64,
            [_, rest @ ..] => self.probability(rest, character),
        };
        let Some(seen) = self.counts.get(context) else { return shorter };
        let (different, all) = (seen.len() as f64, seen.values().sum::<f64>());
        (seen.get(&character).unwrap_or(&0.0) + different * shorter) / (all + different)
    }

    /// The mean of -log2 of the probability of each character of a text, bits a character.
    pub(crate) fn bits(&self, text: &[usize]) -> f64 {
        let bits = |place: usize| -self.probability(&text[place.saturating_sub(self.order)..place], text[place]).log2();
        (0..text.len()).map(bits).sum::<f64>() / text.len() as f64
    }
}
