//! The options of a layer as `config.json` has them.

use serde_json::Value;

use crate::activation::Activation;
use crate::error::{Error, Result};

/// What a layer was made with.
#[derive(Clone, Copy)]
pub(super) struct Options<'a> {
    /// The name of the layer, for errors.
    pub(super) layer: &'a str,
    pub(super) config: &'a Value,
}

impl<'a> Options<'a> {
    pub(super) fn unsupported(&self, option: &'static str, value: &Value, expected: &'static str) -> Error {
        Error::UnsupportedLayer { layer: self.layer.into(), option: option.into(), value: short(value), expected }
    }

    /// An option that may not be there, or be none.
    pub(super) fn get(&self, option: &str) -> Option<&'a Value> {
        self.config.get(option).filter(|value| !value.is_null())
    }

    pub(super) fn flag(&self, option: &'static str, default: bool) -> Result<bool> {
        let Some(value) = self.get(option) else { return Ok(default) };
        value.as_bool().ok_or_else(|| self.unsupported(option, value, "true or false"))
    }

    pub(super) fn size(&self, option: &'static str) -> Result<usize> {
        let value = self.config.get(option).unwrap_or(&Value::Null);
        let size = value.as_u64().and_then(|size| usize::try_from(size).ok());
        size.ok_or_else(|| self.unsupported(option, value, "a size"))
    }

    /// A number, as f32.
    fn number(&self, option: &'static str, default: f32) -> Result<f32> {
        let Some(value) = self.get(option) else { return Ok(default) };
        let number = value.as_f64().ok_or_else(|| self.unsupported(option, value, "a number"))?;
        Ok(number as f32)
    }

    /// An activation: the name of a function of Keras's, or a layer that is one.
    pub(super) fn activation(&self, option: &'static str, default: Activation) -> Result<Activation> {
        match self.config.get(option) {
            None => Ok(default),
            Some(value) => self.activation_of(option, value),
        }
    }

    fn activation_of(&self, option: &'static str, value: &'a Value) -> Result<Activation> {
        const EXPECTED: &str = "sigmoid, tanh, relu, hard_sigmoid, leaky_relu, elu, softsign, softplus or linear";
        let unsupported = || self.unsupported(option, value, EXPECTED);
        let class = match value {
            Value::Null => return Ok(Activation::Linear),
            Value::String(name) => return named(name).ok_or_else(unsupported),
            other => other.get("class_name").and_then(Value::as_str).ok_or_else(unsupported)?,
        };
        let Some(config) = value.get("config") else { return Err(unsupported()) };
        let inner = Self { layer: self.layer, config };
        match class {
            "LeakyReLU" => Ok(Activation::LeakyRelu { alpha: inner.number("negative_slope", 0.3)? }),
            "ELU" => Ok(Activation::Elu { alpha: inner.number("alpha", 1.0)? }),
            "Activation" => inner.activation_of(option, config.get("activation").unwrap_or(&Value::Null)),
            "ReLU" => {
                let [alpha, theta] = [inner.number("negative_slope", 0.0)?, inner.number("threshold", 0.0)?];
                match (inner.get("max_value"), alpha == 0.0, theta == 0.0) {
                    (None, true, true) => Ok(Activation::Relu),
                    (None, false, true) => Ok(Activation::LeakyRelu { alpha }),
                    (None, true, false) => Ok(Activation::ThresholdedRelu { theta }),
                    _ => Err(unsupported()),
                }
            }
            // A function of the user's has its name here, which nobody but its program knows.
            _ => Err(unsupported()),
        }
    }
}

/// Keras's functions that are here, with the parameters that they have by default.
fn named(name: &str) -> Option<Activation> {
    Some(match name {
        "sigmoid" => Activation::Sigmoid,
        "tanh" => Activation::Tanh,
        "relu" => Activation::Relu,
        "hard_sigmoid" => Activation::HARD_SIGMOID_KERAS,
        "leaky_relu" => Activation::LeakyRelu { alpha: 0.2 },
        "elu" => Activation::Elu { alpha: 1.0 },
        "softsign" => Activation::Softsign,
        "softplus" => Activation::Softplus,
        "linear" => Activation::Linear,
        _ => return None,
    })
}

/// A value as text that an error can hold.
pub(super) fn short(value: &Value) -> String {
    const MOST: usize = 80;
    let text = match value {
        Value::String(text) => text.clone(),
        // Of a layer in a layer, its class says enough.
        Value::Object(object) => match object.get("class_name") {
            Some(Value::String(class)) => match object.get("config") {
                Some(Value::String(name)) => format!("{class} {name}"),
                _ => class.clone(),
            },
            _ => "an object".into(),
        },
        Value::Array(_) => "a list".into(),
        other => other.to_string(),
    };
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}..", &text[..end]),
        None => text,
    }
}
