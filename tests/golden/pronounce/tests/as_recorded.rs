//! `tests/golden/pronounce.txt` holds words, and their phonemes as the crate grapheme_to_phoneme says them, which is
//! g2p_en's model on the CPU, written by somebody else and with the same weights to the bit. `tests/gpu/pronounce.rs`
//! holds the GPU to that file; this holds the file to the crate itself. With `WRITE=1` the file is written instead.
//!
//! `tests/golden/README.md` says how it is run.

use std::fmt::Write;

use pronounce_golden::words;

const RECORDED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../pronounce.txt");

#[test]
fn as_recorded() {
    let model = grapheme_to_phoneme::Model::load_in_memory().expect("the weights lie in the crate");
    let mut said = String::new();
    for word in words() {
        let phonemes = model.predict_phonemes_strs(&word).expect("phonemes");
        writeln!(said, "{word} {}", phonemes.join(" ")).expect("a string");
    }
    if std::env::var("WRITE").is_ok_and(|value| value == "1") {
        std::fs::write(RECORDED, said).expect("the file");
        return;
    }
    let recorded = std::fs::read_to_string(RECORDED).expect("the file");
    assert!(recorded.lines().count() >= 2000, "{} words", recorded.lines().count());
    for (recorded, said) in recorded.lines().zip(said.lines()) {
        assert_eq!(recorded, said);
    }
    assert_eq!(recorded.lines().count(), said.lines().count());
}
