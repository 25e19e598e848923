//! The CPU references: the [`oracle`], which is written from the equations alone; and, with the feature `harness`, the
//! twins, a plain loop for each kernel, which the oracle holds.

pub mod dropout;
pub mod oracle;
#[cfg(feature = "harness")]
#[doc(hidden)]
pub mod twins;
