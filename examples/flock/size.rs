//! Width and height, as a command line has them.

use std::str::FromStr;

/// What [`Size`] takes, to go on after "needs".
pub(crate) const SIZE_NEEDS: &str = "two numbers from 16 to 8192, such as 1280x640";

/// Width and height of a picture.
#[derive(Debug)]
pub(crate) struct Size(pub(crate) [u32; 2]);

impl FromStr for Size {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (width, height) = text.split_once('x').ok_or(())?;
        let side = |text: &str| text.parse().ok().filter(|side| (16..=8192).contains(side)).ok_or(());
        Ok(Self([side(width)?, side(height)?]))
    }
}
