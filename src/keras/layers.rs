//! What the layers of `config.json` are here.

use std::collections::BTreeMap;

use serde_json::Value;

use super::cells::{CellNames, input_size};
use super::layer::{Kind, Layer};
use super::options::{Options, short};
use super::recurrent::{Direct, bidirectional};
use crate::activation::Activation;
use crate::config::Direction;
use crate::error::{Error, Result};
use crate::weights::StateDict;

/// Bytes of the name of a layer, or of its path, at most.
const MAX_NAME: usize = 1000;

/// All layers of a model, of models in it as well, in its order.
pub(super) fn layers(model: &Value, dict: &StateDict) -> Result<Vec<Layer>, String> {
    let mut layers = Vec::new();
    add_layers(model, dict, "", "", &mut layers)?;
    Ok(layers)
}

/// JSON nests 128 levels at most, and so does this.
fn add_layers(model: &Value, dict: &StateDict, names: &str, path: &str, all: &mut Vec<Layer>) -> Result<(), String> {
    let layers = model.pointer("/config/layers").and_then(Value::as_array);
    let layers = layers.ok_or_else(|| {
        let class = short(model.get("class_name").unwrap_or(&Value::Null));
        format!(
            "a model of class {class}, neither Sequential nor Functional: its arrays alone, by StateDict::from_keras"
        )
    })?;
    // Keras names what it saves by the class, not by the name of the layer.
    let mut of_class: BTreeMap<String, usize> = BTreeMap::new();
    for layer in layers {
        let text = |value: Option<&Value>| value.and_then(Value::as_str).map(ToOwned::to_owned);
        let class = text(layer.get("class_name")).ok_or("a layer without class_name")?;
        let name = text(layer.pointer("/config/name")).ok_or("a layer without a name")?;
        let saved_as = snake_case(&class);
        let before = of_class.entry(saved_as.clone()).or_default();
        let number = if *before == 0 { String::new() } else { format!("_{before}") };
        *before += 1;
        let (name, path) = (format!("{names}{name}"), format!("{path}layers/{saved_as}{number}/"));
        // Those of a model are in the names of all its layers.
        if name.len().max(path.len()) > MAX_NAME {
            return Err(format!(
                "a layer with a name of {} bytes, expected at most {MAX_NAME}",
                name.len().max(path.len())
            ));
        }
        if matches!(class.as_str(), "Sequential" | "Functional" | "Model") {
            add_layers(layer, dict, &format!("{name}/"), &path, all)?;
        } else if class != "InputLayer" {
            all.push(read(layer, dict, name, class, path));
        }
    }
    Ok(())
}

/// Keras's `to_snake_case`.
fn snake_case(class: &str) -> String {
    let letters: Vec<char> = class.chars().filter(|&letter| letter.is_alphanumeric() || letter == '_').collect();
    let mut name = String::new();
    for (index, letter) in letters.iter().enumerate() {
        let is_lower =
            |index: Option<usize>| index.and_then(|index| letters.get(index)).is_some_and(char::is_ascii_lowercase);
        let begins = is_lower(Some(index + 1)) || is_lower(index.checked_sub(1));
        if letter.is_ascii_uppercase() && index > 0 && begins {
            name.push('_');
        }
        name.extend(letter.to_lowercase());
    }
    name
}

fn read(value: &Value, dict: &StateDict, name: String, class: String, path: String) -> Layer {
    let mut layer = Layer {
        kind: Kind::Unsupported(Error::ZeroSize { what: "layer" }),
        return_sequences: false,
        ignored: Vec::new(),
        cells: Vec::new(),
        name,
        class,
        path,
    };
    layer.kind = kind(value, dict, &mut layer).unwrap_or_else(Kind::Unsupported);
    layer
}

fn kind(value: &Value, dict: &StateDict, layer: &mut Layer) -> Result<Kind> {
    let name = layer.name.clone();
    let options = Options { layer: &name, config: value.get("config").unwrap_or(&Value::Null) };
    let kind = match layer.class.as_str() {
        "GRU" | "SimpleRNN" | "RNN" => {
            let one = Direct::read(&options, &layer.class, &mut layer.ignored)?;
            layer.return_sequences = one.return_sequences;
            layer.cells = vec![CellNames::saved(&format!("{}cell/", layer.path))];
            let direction = if one.go_backwards { Direction::Reverse } else { Direction::Forward };
            expect(dict, layer, one.use_bias)?;
            one.kind(value, dict, direction, &layer.cells, one.cell)?
        }
        "Bidirectional" => {
            let (forward, backward) = bidirectional(&options, &mut layer.ignored)?;
            layer.return_sequences = forward.return_sequences;
            layer.cells = ["forward_layer", "backward_layer"]
                .map(|direction| CellNames::saved(&format!("{}{direction}/cell/", layer.path)))
                .into();
            expect(dict, layer, forward.use_bias)?;
            forward.kind(value, dict, Direction::Bidirectional, &layer.cells, backward)?
        }
        "Dense" => {
            let kernel = format!("{}vars/0", layer.path);
            let bias = format!("{}vars/1", layer.path);
            dict.expect(&kernel, &layer.path)?;
            let shape = [input_size(value, dict, &kernel)?, options.size("units")?];
            dict.get_shaped(&kernel, &shape)?;
            let has_bias = options.flag("use_bias", true)?;
            if has_bias {
                dict.expect(&bias, &layer.path)?;
                dict.get_shaped(&bias, &shape[1..])?;
            }
            let activation = options.config.get("activation").unwrap_or(&Value::Null);
            if !matches!(options.activation("activation", Activation::Linear), Ok(Activation::Linear)) {
                layer.ignore("activation", &short(activation), "a linear layer has none here: it is left to the app");
            }
            let [in_features, out_features] = shape;
            Kind::Linear { in_features, out_features, bias: has_bias }
        }
        "Embedding" => {
            let shape = [options.size("input_dim")?, options.size("output_dim")?];
            let table = format!("{}vars/0", layer.path);
            dict.expect(&table, &layer.path)?;
            dict.get_shaped(&table, &shape)?;
            if options.flag("mask_zero", false)? {
                layer.ignore("mask_zero", "true", "give the rows' lengths to the recurrent layer");
            }
            let [num_embeddings, embedding_dim] = shape;
            Kind::Embedding { num_embeddings, embedding_dim }
        }
        class => {
            let expected = "GRU, SimpleRNN, RNN or Bidirectional of these, Dense or Embedding";
            return Err(options.unsupported("class_name", &Value::from(class), expected));
        }
    };
    // What Keras computes with; what it keeps the arrays say by themselves.
    let policy =
        options.get("dtype").map(|dtype| dtype.pointer("/config/name").unwrap_or(dtype)).and_then(Value::as_str);
    if let Some(policy) = policy.filter(|&policy| policy != "float32") {
        layer.ignore("dtype", policy, "computed in f32 here");
    }
    Ok(kind)
}

/// Checks that all arrays of the cells are there. (An error that lists all names of a file, for each of many layers,
/// would be larger than the file by far.)
fn expect(dict: &StateDict, layer: &Layer, use_bias: bool) -> Result<()> {
    for cell in &layer.cells {
        let bias = cell.bias.as_ref().filter(|_| use_bias);
        for name in [&cell.kernel, &cell.recurrent_kernel].into_iter().chain(bias) {
            dict.expect(name, &layer.path)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::snake_case;

    /// What `keras.src.utils.naming.to_snake_case` gives.
    #[test]
    fn names_of_classes() {
        for (class, name) in [
            ("GRU", "gru"),
            ("GRUCell", "gru_cell"),
            ("SimpleRNN", "simple_rnn"),
            ("LeakyReLU", "leaky_re_lu"),
            ("Conv1D", "conv1d"),
            ("Conv2DTranspose", "conv2d_transpose"),
            ("LayerNormalization", "layer_normalization"),
            ("RNN", "rnn"),
            ("MyOwnABCLayer", "my_own_abc_layer"),
        ] {
            assert_eq!(snake_case(class), name);
        }
    }
}
