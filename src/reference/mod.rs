//! CPU references.

pub mod oracle;
