//! The weights, from NumPy's file to the names that PyTorch gives such arrays.

use std::error::Error;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use npyz::{NpyFile, Order};
use wgpu_gru::{Array, StateDict};
use zip::ZipArchive;

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

/// Reads an npz: a zip that holds a file of the format npy for each array.
pub(crate) fn read(path: &Path) -> Result<StateDict, Box<dyn Error>> {
    let file = File::open(path).map_err(|error| format!("{}: {error}", path.display()))?;
    // Of a message of several lines, such as that of a wrong header, the first one.
    let wrong = |what: &str, error: &dyn Error| {
        format!("{}, {what}: {}", path.display(), error.to_string().lines().next().unwrap_or_default())
    };
    let mut archive = ZipArchive::new(BufReader::new(file)).map_err(|error| wrong("a zip", &error))?;
    let mut dict = StateDict::new();
    for (theirs, ours) in NAMES {
        let entry = archive.by_name(&format!("{theirs}.npy")).map_err(|error| wrong(theirs, &error))?;
        dict.insert(ours, array(entry).map_err(|error| wrong(theirs, &*error))?);
    }
    Ok(dict)
}

/// An array of f32, row by row. Its layout is that of the crate and of PyTorch, so nothing is turned over.
fn array(npy: impl Read) -> Result<Array, Box<dyn Error>> {
    let npy = NpyFile::new(npy)?;
    if npy.order() != Order::C {
        return Err("the array lies column by column".into());
    }
    let shape = npy.shape().iter().map(|&size| usize::try_from(size)).collect::<Result<Vec<_>, _>>()?;
    Ok(Array::new(&shape, npy.into_vec()?)?)
}
