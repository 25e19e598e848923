//! What the model reads and what it says, by number, in the order of g2p_en.

/// What the encoder reads: padding, anything that is no letter, the end of a word, and from here on a to z.
const FIRST_LETTER: usize = 3;
const UNKNOWN_LETTER: usize = 1;
pub(crate) const END_OF_WORD: usize = 2;

/// What the decoder reads before its first phoneme.
pub(crate) const START: usize = 2;
/// What it says behind the last one.
pub(crate) const END: usize = 3;

/// What the decoder says: ARPAbet, vowels with their stress (0 none, 1 primary, 2 secondary).
pub(crate) const PHONEMES: [&str; 74] = [
    "<pad>", "<unk>", "<s>", "</s>", "AA0", "AA1", "AA2", "AE0", "AE1", "AE2", "AH0", "AH1", "AH2", "AO0", "AO1",
    "AO2", "AW0", "AW1", "AW2", "AY0", "AY1", "AY2", "B", "CH", "D", "DH", "EH0", "EH1", "EH2", "ER0", "ER1", "ER2",
    "EY0", "EY1", "EY2", "F", "G", "HH", "IH0", "IH1", "IH2", "IY0", "IY1", "IY2", "JH", "K", "L", "M", "N", "NG",
    "OW0", "OW1", "OW2", "OY0", "OY1", "OY2", "P", "R", "S", "SH", "T", "TH", "UH0", "UH1", "UH2", "UW", "UW0", "UW1",
    "UW2", "V", "W", "Y", "Z", "ZH",
];

/// The numbers of a word's letters, and the end of the word.
pub(crate) fn letters(word: &str) -> Vec<usize> {
    let number = |letter: char| match letter {
        'a'..='z' => FIRST_LETTER + (letter as usize - 'a' as usize),
        _ => UNKNOWN_LETTER,
    };
    word.chars().map(number).chain([END_OF_WORD]).collect()
}
