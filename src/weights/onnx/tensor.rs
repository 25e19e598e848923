//! The numbers of a tensor of ONNX.

use std::collections::BTreeMap;

use prost::bytes::Bytes;
use prost::{DecodeError, Message};

use super::proto::{self, data_type};
use crate::error::{Error, Result};
use crate::f16::from_f16;

pub(super) const FORMAT: &str = "ONNX model";

pub(super) fn invalid(reason: String) -> Error {
    Error::InvalidFile { format: FORMAT, reason }
}

#[expect(clippy::needless_pass_by_value, reason = "what map_err gives")]
pub(super) fn undecodable(error: DecodeError) -> Error {
    invalid(error.to_string())
}

/// An array of any type of numbers, row-major.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Shaped<T> {
    pub(super) shape: Vec<usize>,
    pub(super) values: Vec<T>,
}

/// Files with the numbers of tensors, by the names that the model has for them.
pub(super) type Files = BTreeMap<String, Bytes>;

/// The sizes of a tensor, and how many numbers that is.
fn shape_of(tensor: &str, dims: &[i64]) -> Result<(Vec<usize>, usize)> {
    let size = |&size: &i64| usize::try_from(size).map_err(|_| invalid(format!("{tensor} has a size of {size}")));
    let shape = dims.iter().map(size).collect::<Result<Vec<_>>>()?;
    let count =
        count(&shape).ok_or_else(|| invalid(format!("{tensor} has sizes whose product overflows: {dims:?}")))?;
    Ok((shape, count))
}

/// The numbers of a tensor as f32: of FLOAT, FLOAT16, BFLOAT16, and of DOUBLE where f32 holds each of them.
pub(super) fn floats(name: &str, tensor: &proto::Tensor, files: &Files) -> Result<Shaped<f32>> {
    let (shape, count) = shape_of(name, &tensor.dims)?;
    let of_bits = |decode: fn(u16) -> f32| -> Result<Vec<f32>> {
        match bytes(name, tensor, files, &shape, count, 2)? {
            Some(bytes) => {
                Ok(bytes.chunks_exact(2).map(|pair| decode(u16::from_le_bytes([pair[0], pair[1]]))).collect())
            }
            None => typed(name, &shape, count, &tensor.int32_data)?
                .iter()
                .map(|&bits| u16::try_from(bits).map(decode))
                .collect::<Result<_, _>>()
                .map_err(|_| invalid(format!("{name} has numbers of 16 bits that have more"))),
        }
    };
    let values = match tensor.data_type {
        data_type::FLOAT => match bytes(name, tensor, files, &shape, count, 4)? {
            Some(bytes) => bytes.chunks_exact(4).map(|four| f32::from_le_bytes(array(four))).collect(),
            None => typed(name, &shape, count, &tensor.float_data)?.to_vec(),
        },
        data_type::FLOAT16 => of_bits(from_f16)?,
        data_type::BFLOAT16 => of_bits(|bits| f32::from_bits(u32::from(bits) << 16))?,
        data_type::DOUBLE => {
            let wide = match bytes(name, tensor, files, &shape, count, 8)? {
                Some(bytes) => bytes.chunks_exact(8).map(|eight| f64::from_le_bytes(array(eight))).collect(),
                None => typed(name, &shape, count, &tensor.double_data)?.to_vec(),
            };
            if wide.iter().any(|&value| f64::from(value as f32) != value && !value.is_nan()) {
                return Err(type_error(name, "DOUBLE, with numbers that f32 does not hold".into()));
            }
            wide.into_iter().map(|value| value as f32).collect()
        }
        other => return Err(type_error(name, data_type::name(other))),
    };
    Ok(Shaped { shape, values })
}

/// The numbers of a tensor of INT64 or INT32; `None` for those of another type.
pub(super) fn integers(name: &str, tensor: &proto::Tensor, files: &Files) -> Result<Option<Shaped<i64>>> {
    let (shape, count) = shape_of(name, &tensor.dims)?;
    let values = match tensor.data_type {
        data_type::INT64 => match bytes(name, tensor, files, &shape, count, 8)? {
            Some(bytes) => bytes.chunks_exact(8).map(|eight| i64::from_le_bytes(array(eight))).collect(),
            None => typed(name, &shape, count, &tensor.int64_data)?.to_vec(),
        },
        data_type::INT32 => match bytes(name, tensor, files, &shape, count, 4)? {
            Some(bytes) => bytes.chunks_exact(4).map(|four| i32::from_le_bytes(array(four)).into()).collect(),
            None => typed(name, &shape, count, &tensor.int32_data)?.iter().map(|&value| value.into()).collect(),
        },
        _ => return Ok(None),
    };
    Ok(Some(Shaped { shape, values }))
}

fn type_error(tensor: &str, dtype: String) -> Error {
    Error::TensorType { tensor: tensor.into(), dtype }
}

fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut array = [0; N];
    array.copy_from_slice(bytes);
    array
}

/// The numbers in the field of their type.
fn typed<'a, T>(name: &str, shape: &[usize], count: usize, values: &'a [T]) -> Result<&'a [T]> {
    if values.len() == count { Ok(values) } else { Err(mismatch(name, shape, values.len())) }
}

fn mismatch(name: &str, shape: &[usize], len: usize) -> Error {
    Error::ShapeMismatch { tensor: format!("data of {name}").into(), expected: shape.to_vec(), actual: vec![len] }
}

/// The numbers as bytes, of the file itself or of another one; `None` where they lie in the field of their type.
fn bytes(
    name: &str,
    tensor: &proto::Tensor,
    files: &Files,
    shape: &[usize],
    count: usize,
    size: usize,
) -> Result<Option<Bytes>> {
    let bytes = if tensor.data_location == 1 {
        let place = Place::of(name, &tensor.external_data)?;
        let file = files.get(&place.location);
        let file = file.ok_or_else(|| Error::ExternalData { tensor: name.into(), location: place.location.clone() })?;
        let end = place.length.map_or(Some(file.len()), |length| place.offset.checked_add(length));
        match end {
            Some(end) if place.offset <= end && end <= file.len() => file.slice(place.offset..end),
            _ => return Err(invalid(format!("{name} lies past the end of {:?}", place.location))),
        }
    } else if tensor.raw_data.is_empty() {
        return Ok(None);
    } else {
        tensor.raw_data.clone()
    };
    if bytes.len() == count * size { Ok(Some(bytes)) } else { Err(mismatch(name, shape, bytes.len() / size)) }
}

/// Where in another file the numbers of a tensor lie.
pub(super) struct Place {
    pub(super) location: String,
    offset: usize,
    /// `None`: to the end.
    length: Option<usize>,
}

impl Place {
    pub(super) fn of(tensor: &str, entries: &[Bytes]) -> Result<Self> {
        let mut place = Self { location: String::new(), offset: 0, length: None };
        for entry in entries {
            let proto::Entry { key, value } = proto::Entry::decode(entry.clone()).map_err(undecodable)?;
            let number = || value.parse::<usize>().map_err(|_| invalid(format!("{tensor} has a {key} of {value:?}")));
            match key.as_str() {
                "location" => place.location = value,
                "offset" => place.offset = number()?,
                "length" => place.length = Some(number()?),
                // A checksum, or what a tool has noted for itself.
                _ => {}
            }
        }
        Ok(place)
    }
}

/// How many numbers an array of a shape has. Sizes beside a 0 count as well: their products have to fit, in any order.
pub(super) fn count(shape: &[usize]) -> Option<usize> {
    let product = shape.iter().try_fold(1_usize, |count, &size| count.checked_mul(size.max(1)))?;
    let count = if shape.contains(&0) { 0 } else { product };
    (product <= isize::MAX as usize / 8).then_some(count)
}
