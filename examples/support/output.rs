//! Where a program writes.

use std::error::Error;
use std::fs::{OpenOptions, create_dir_all};
use std::path::Path;

/// Makes the folder of a file, and finds out whether the file can be written, before the work that is to fill it.
pub(crate) fn prepare(path: &Path) -> Result<(), Box<dyn Error>> {
    let cannot = |error| format!("{} cannot be written: {error}", path.display());
    if let Some(folder) = path.parent() {
        create_dir_all(folder).map_err(cannot)?;
    }
    OpenOptions::new().append(true).create(true).open(path).map_err(cannot)?;
    Ok(())
}
