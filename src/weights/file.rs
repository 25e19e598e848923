//! Files that are read as a whole, and written so that a failure loses nothing.

use std::{fs, path::Path};
#[cfg(any(feature = "onnx", feature = "safetensors"))]
use std::{fs::File, io::Write, path::PathBuf};

use crate::error::{Error, Result};

/// What says of an error that it was about this file.
pub(crate) fn failed(path: &Path) -> impl Fn(std::io::Error) -> Error {
    let path = path.display().to_string();
    move |error| Error::File { path: path.clone(), kind: error.kind(), reason: error.to_string() }
}

/// The bytes of a file.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).map_err(failed(path))
}

/// Writes a file beside its place under another name, brings it to the disk, and then puts it in the place of the file
/// that was there, so that whatever happens meanwhile there is the old file or the new one, whole.
#[cfg(any(feature = "onnx", feature = "safetensors"))]
pub(crate) fn save(path: &Path, bytes: &[u8]) -> Result<()> {
    let failed = failed(path);
    let mut name = path.file_name().map(ToOwned::to_owned).unwrap_or_default();
    // Of this process and no other, so that two that write at a time leave one whole file.
    name.push(format!(".{}.partial", std::process::id()));
    let partial = path.with_file_name(name);
    let written = write(&partial, bytes).and_then(|()| fs::rename(&partial, path));
    if let Err(error) = written {
        // What is left of it helps nobody, and the first error says why.
        drop(fs::remove_file(&partial));
        return Err(failed(error));
    }
    // The new name is in the folder, which is a file of its own; not every system can bring one to the disk.
    drop(File::open(folder_of(path)).and_then(|folder| folder.sync_all()));
    Ok(())
}

#[cfg(any(feature = "onnx", feature = "safetensors"))]
fn write(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// The folder that a file lies in.
#[cfg(any(feature = "onnx", feature = "safetensors"))]
pub(crate) fn folder_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.into(),
        _ => ".".into(),
    }
}
