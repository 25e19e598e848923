//! The checks that run in a browser and under Dawn.

pub mod web;
