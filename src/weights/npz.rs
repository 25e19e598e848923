//! Files of NumPy, `.npz`: a zip archive of arrays, each of them a `.npy`
//! (<https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>).

use super::archive::Archive;
use super::state_dict::{Array, StateDict};
use crate::error::{Error, Result};
use crate::f16::from_f16;

const FORMAT: &str = "file of NumPy's arrays";

impl StateDict {
    /// Out of the bytes of an `.npz` that `numpy.savez` or `savez_compressed` wrote: arrays of float32 and float16
    /// under their own names, in either order of their axes in memory. Arrays of other types are listed, and are an
    /// error for who asks for one; nothing that is pickled is run.
    ///
    /// An archive may unfold to 64 times its size, and to 16 MiB in any case.
    ///
    /// # Errors
    /// [`Error::InvalidFile`].
    pub fn from_npz(bytes: &[u8]) -> Result<Self> {
        let mut archive = Archive::open(bytes, FORMAT)?;
        let names: Vec<String> = archive.names().map(Into::into).collect();
        let mut dict = Self::new();
        for file in names {
            let Some(name) = file.strip_suffix(".npy") else {
                return Err(invalid(&file, "it has another name than an array, which ends in .npy"));
            };
            let bytes = archive.read(&file)?;
            match read(name, &bytes)? {
                Ok(array) => dict.insert(name, array),
                Err(dtype) => dict.insert_other(name, dtype),
            }
        }
        Ok(dict)
    }

    /// Reads an `.npz`: [`StateDict::from_npz`].
    ///
    /// # Errors
    /// [`Error::File`], [`Error::InvalidFile`].
    #[cfg(not(target_arch = "wasm32"))]
    pub fn load_npz(path: impl AsRef<std::path::Path>) -> Result<Self> {
        Self::from_npz(&super::file::read(path.as_ref())?)
    }
}

fn invalid(name: &str, reason: &str) -> Error {
    Error::InvalidFile { format: FORMAT, reason: format!("{name}: {reason}") }
}

/// The array in a `.npy`, or its type if that is another one.
fn read(name: &str, bytes: &[u8]) -> Result<Result<Array, String>> {
    let (header, data) = split(bytes).ok_or_else(|| invalid(name, "no header of an array"))?;
    let header = Header::parse(header).ok_or_else(|| invalid(name, "a header that NumPy does not write"))?;
    let (is_big, is_half) = match header.dtype.as_str() {
        "<f4" => (false, false),
        ">f4" => (true, false),
        "<f2" => (false, true),
        ">f2" => (true, true),
        _ => return Ok(Err(header.dtype)),
    };
    let size = if is_half { 2 } else { 4 };
    let len = header.shape.iter().try_fold(size, |len: usize, &axis| len.checked_mul(axis));
    if len != Some(data.len()) {
        let reason = format!("{} bytes of type {} in the shape {:?}", data.len(), header.dtype, header.shape);
        return Err(invalid(name, &reason));
    }
    let number = |bytes: &[u8]| {
        // Little-endian.
        let mut word = [0; 4];
        word[..size].copy_from_slice(bytes);
        if is_big {
            word[..size].reverse();
        }
        if is_half { from_f16(u16::from_le_bytes([word[0], word[1]])) } else { f32::from_le_bytes(word) }
    };
    let values: Vec<f32> = data.chunks_exact(size).map(number).collect();
    let values = if header.is_fortran { rows_first(&values, &header.shape) } else { values };
    Ok(Ok(Array::of(header.shape, values)))
}

/// The text of the header and the numbers behind it.
fn split(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let rest = bytes.strip_prefix(b"\x93NUMPY")?;
    let (&[major, _minor], rest) = rest.split_first_chunk()?;
    let (len, rest) = match major {
        1 => rest.split_first_chunk().map(|(&len, rest)| (u32::from(u16::from_le_bytes(len)), rest))?,
        2 | 3 => rest.split_first_chunk().map(|(&len, rest)| (u32::from_le_bytes(len), rest))?,
        _ => return None,
    };
    let (header, data) = rest.split_at_checked(len as usize)?;
    Some((std::str::from_utf8(header).ok()?, data))
}

/// From column-major, in which the first index runs fastest, to row-major.
fn rows_first(values: &[f32], shape: &[usize]) -> Vec<f32> {
    let mut strides: Vec<usize> = Vec::new();
    for axis in 0..shape.len() {
        strides.push(shape[..axis].iter().product());
    }
    let place = |index: usize| {
        let mut rest = index;
        let of_axis = |(&size, &stride): (&usize, &usize)| {
            let at = rest % size * stride;
            rest /= size;
            at
        };
        shape.iter().zip(&strides).rev().map(of_axis).sum::<usize>()
    };
    (0..values.len()).map(|index| values[place(index)]).collect()
}

/// What a header says: `{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }`.
#[derive(Debug, PartialEq)]
struct Header {
    dtype: String,
    is_fortran: bool,
    shape: Vec<usize>,
}

impl Header {
    fn parse(text: &str) -> Option<Self> {
        let (mut dtype, mut is_fortran, mut shape) = (None, None, None);
        let mut rest = text.trim().strip_prefix('{')?.strip_suffix('}')?.trim();
        while !rest.is_empty() {
            let (key, behind) = rest.strip_prefix('\'')?.split_once('\'')?;
            let value = behind.trim_start().strip_prefix(':')?.trim_start();
            let behind = match key {
                "descr" => {
                    let (text, behind) = descr(value)?;
                    dtype.replace(text.to_owned()).is_none().then_some(behind)?
                }
                "fortran_order" => {
                    let (truth, behind) = [("True", true), ("False", false)]
                        .into_iter()
                        .find_map(|(name, truth)| Some((truth, value.strip_prefix(name)?)))?;
                    is_fortran.replace(truth).is_none().then_some(behind)?
                }
                "shape" => {
                    let (axes, behind) = value.strip_prefix('(')?.split_once(')')?;
                    let axes = axes.trim();
                    let sizes = axes.strip_suffix(',').unwrap_or(axes).split(',').filter(|_| !axes.is_empty());
                    let axes = sizes.map(|size| size.trim().parse::<usize>().ok()).collect::<Option<_>>()?;
                    shape.replace(axes).is_none().then_some(behind)?
                }
                _ => return None,
            };
            rest = behind.trim_start().strip_prefix(',').unwrap_or(behind).trim_start();
        }
        Some(Self { dtype: dtype?, is_fortran: is_fortran?, shape: shape? })
    }
}

/// The type, and what is behind it: a name in quotes, or a list of fields, which ends before the next key.
fn descr(value: &str) -> Option<(&str, &str)> {
    if let Some(rest) = value.strip_prefix('\'') {
        return rest.split_once('\'');
    }
    let end = value.find(", 'fortran_order'")?;
    value.starts_with('[').then(|| value.split_at(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers() {
        let header = |text| Header::parse(text).map(|header| (header.dtype, header.is_fortran, header.shape));
        let is = |dtype: &str, is_fortran, shape: &[usize]| Some((dtype.to_owned(), is_fortran, shape.to_vec()));
        let numpy = "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }          \n";
        assert_eq!(header(numpy), is("<f4", false, &[3, 4]));
        assert_eq!(header("{'descr':'>f2','fortran_order':True,'shape':(7,)}"), is(">f2", true, &[7]));
        assert_eq!(header("{'shape': (), 'descr': '<i8', 'fortran_order': False}"), is("<i8", false, &[]));
        let fields = "{'descr': [('a', '<f4'), ('b', '<i4', (2, 2))], 'fortran_order': False, 'shape': (1,), }";
        assert_eq!(header(fields), is("[('a', '<f4'), ('b', '<i4', (2, 2))]", false, &[1]));
        for text in [
            "",
            "{}",
            "{",
            "{'descr': '<f4', 'fortran_order': False}",
            "{'descr': '<f4', 'fortran_order': No, 'shape': (3, 4), }",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (3, -4), }",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 99999999999999999999), }",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (,), }",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), 'shape': (4, 3), }",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), 'more': 1, }",
            "{'descr': [, 'fortran_order': False, 'shape': (3, 4)",
        ] {
            assert_eq!(header(text), None, "{text}");
        }
    }

    #[test]
    fn types() {
        let file = |dtype: &str, data: &[u8]| {
            let text = format!("{{'descr': '{dtype}', 'fortran_order': False, 'shape': (2,), }}\n");
            let head = [&b"\x93NUMPY\x02\x00"[..], &(text.len() as u32).to_le_bytes()].concat();
            read("a", &[&head, text.as_bytes(), data].concat()).expect("an array")
        };
        let is = |values: [f32; 2]| Ok(Array::of(vec![2], values.to_vec()));
        let little = [1.5_f32, -3.25].map(f32::to_le_bytes).concat();
        assert_eq!(file("<f4", &little), is([1.5, -3.25]));
        let big = [1.5_f32, -3.25].map(f32::to_be_bytes).concat();
        assert_eq!(file(">f4", &big), is([1.5, -3.25]));
        assert_eq!(file("<f2", &[0x00, 0x3e, 0x80, 0xc2]), is([1.5, -3.25]));
        assert_eq!(file(">f2", &[0x3e, 0x00, 0xc2, 0x80]), is([1.5, -3.25]));
        assert_eq!(file("<f8", &[0; 16]), Err("<f8".to_owned()));
    }

    #[test]
    fn columns_first() {
        // Element (i, j, k) is i + 10 j + 100 k; in memory i runs fastest.
        let value = |[i, j, k]: [usize; 3]| (i + 10 * j + 100 * k) as f32;
        let indices =
            |[a, b, c]: [usize; 3]| (0..a).flat_map(move |x| (0..b).flat_map(move |y| (0..c).map(move |z| [x, y, z])));
        let columns: Vec<f32> = indices([4, 3, 2]).map(|[k, j, i]| value([i, j, k])).collect();
        let rows: Vec<f32> = indices([2, 3, 4]).map(value).collect();
        assert_eq!(rows_first(&columns, &[2, 3, 4]), rows);
        assert_eq!(rows_first(&[], &[2, 0]), [0.0; 0]);
    }
}
