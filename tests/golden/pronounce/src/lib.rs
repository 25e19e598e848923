//! The words of `tests/golden/pronounce.txt`. What they are held to is in `tests/as_recorded.rs`.

use std::collections::BTreeSet;

const ALICE: &str = include_str!("../../../../examples/data/alice/alice29.txt");

/// All words of a book, and words that are none, of its letters as often as they come in it; short ones first.
pub fn words() -> Vec<String> {
    let book = ALICE.to_lowercase();
    let is_letter = |letter: char| letter.is_ascii_lowercase() || letter == '\'';
    let parts = book.split(|letter| !is_letter(letter)).map(|word| word.trim_matches('\''));
    let mut words: BTreeSet<String> = parts.filter(|word| !word.is_empty()).map(Into::into).collect();
    let letters: Vec<char> = book.chars().filter(char::is_ascii_lowercase).collect();
    let mut state = 1_u64;
    let mut below = |count: usize| {
        // SplitMix64, Steele et al. 2014.
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((bits ^ (bits >> 31)) % count as u64) as usize
    };
    for (count, shortest, longest) in [(400, 1, 12), (40, 13, 40)] {
        for _ in 0..count {
            let len = shortest + below(longest - shortest + 1);
            words.insert((0..len).map(|_| letters[below(letters.len())]).collect());
        }
    }
    let mut words: Vec<String> = words.into_iter().collect();
    words.sort_by_key(String::len);
    words
}
