//! The weights, from NumPy's file to the names that PyTorch gives such arrays.

use std::path::Path;

use wgpu_gru::StateDict;

/// The arrays of g2p_en, and where they are in the state dict.
const NAMES: [(&str, &str); 12] = [
    ("enc_emb", "letters.weight"),
    ("enc_w_ih", "encoder.weight_ih_l0"),
    ("enc_w_hh", "encoder.weight_hh_l0"),
    ("enc_b_ih", "encoder.bias_ih_l0"),
    ("enc_b_hh", "encoder.bias_hh_l0"),
    ("dec_emb", "phonemes.weight"),
    ("dec_w_ih", "decoder.weight_ih_l0"),
    ("dec_w_hh", "decoder.weight_hh_l0"),
    ("dec_b_ih", "decoder.bias_ih_l0"),
    ("dec_b_hh", "decoder.bias_hh_l0"),
    ("fc_w", "head.weight"),
    ("fc_b", "head.bias"),
];

/// The layout of the arrays is that of the crate and of PyTorch, so nothing is turned over.
pub(crate) fn read(path: &Path) -> wgpu_gru::Result<StateDict> {
    let arrays = StateDict::load_npz(path)?;
    let mut dict = StateDict::new();
    for (theirs, ours) in NAMES {
        dict.insert(ours, arrays.get(theirs)?.clone());
    }
    Ok(dict)
}
