//! Files of the system.

use std::path::Path;

use crate::error::{Error, Result};

/// What says of an error that it was about this file.
pub(crate) fn failed(path: &Path) -> impl Fn(std::io::Error) -> Error {
    let path = path.display().to_string();
    move |error| Error::File { path: path.clone(), kind: error.kind(), reason: error.to_string() }
}

/// The bytes of a file.
///
/// # Errors
/// [`Error::File`].
pub(crate) fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(failed(path))
}
