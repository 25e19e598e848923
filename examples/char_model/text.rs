//! The text, as numbered characters, and which part of it is held out.

/// "Alice's Adventures in Wonderland", in the public domain: see `examples/data/alice/README.md`.
const TEXT: &str = include_str!("../data/alice/alice29.txt");

/// Of so many characters the last one is held out.
const HELD_OUT: usize = 10;

/// A text whose characters have numbers.
pub(crate) struct Text {
    /// The character of each number, in the order of Unicode.
    pub(crate) alphabet: Vec<char>,
    /// What is learned from.
    pub(crate) training: Vec<usize>,
    /// What comes after it, and is not.
    pub(crate) held_out: Vec<usize>,
}

impl Text {
    pub(crate) fn load() -> Self {
        let mut alphabet: Vec<char> = TEXT.chars().collect();
        alphabet.sort_unstable();
        alphabet.dedup();
        let mut all = Self { alphabet, training: Vec::new(), held_out: Vec::new() };
        all.training = all.numbers(TEXT);
        all.held_out = all.training.split_off(all.training.len() - all.training.len() / HELD_OUT);
        all
    }

    /// The numbers of the characters that the alphabet has.
    pub(crate) fn numbers(&self, text: &str) -> Vec<usize> {
        text.chars().filter_map(|character| self.alphabet.binary_search(&character).ok()).collect()
    }

    pub(crate) fn characters(&self, numbers: &[usize]) -> String {
        numbers.iter().map(|&number| self.alphabet[number]).collect()
    }
}
