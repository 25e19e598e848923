//! Typed errors.

use wgpu_gru::Error;

/// An error is exactly this, fields and all.
#[track_caller]
pub(crate) fn assert_error<T>(result: Result<T, Error>, expected: &Error) {
    match result {
        Err(error) => assert_eq!(format!("{error:?}"), format!("{expected:?}"), "the whole error"),
        Ok(_) => panic!("no error, expected {expected:?}"),
    }
}

/// A tensor of another shape than expected.
pub(crate) fn shape(tensor: &'static str, expected: &[usize], actual: &[usize]) -> Error {
    Error::ShapeMismatch { tensor: tensor.into(), expected: expected.to_vec(), actual: actual.to_vec() }
}
