//! What all of the app knows of its world; the shaders have it as constants.

/// Seconds of a frame.
pub(crate) const DT: f32 = 1.0 / 30.0;
/// Of so many frames an agent's eyes are open in a few.
pub(crate) const PERIOD: usize = 24;
pub(crate) const OPEN: usize = 3;
/// What an agent feels: eyes open, where the light is then and how it moves, its own velocity, the circle it likes.
pub(crate) const SENSES: usize = 8;
/// Units of a mind.
pub(crate) const HIDDEN: usize = 24;
