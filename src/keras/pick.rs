//! Ready layers out of a model.

use std::borrow::Cow;

use super::cells::weights_under;
use super::{Kind, Layer, Model};
use crate::config::{Cell, Config, Direction, GruConfig, RnnConfig};
use crate::error::{Error, Result};
use crate::gpu::Gpu;
use crate::layer::{Gru, Recurrent, Rnn};
use crate::train::{Embedding, Linear};
use crate::weights::{LoadReport, Weights};

impl Model {
    /// A GRU of the model, or several that lie on top of each other as one layer of ours: alike but for their inputs,
    /// each but the last with `return_sequences=True`. (Whether they are connected so is not looked at.) And a report
    /// of what was used.
    ///
    /// # Errors
    /// [`Error::MissingLayer`]; [`Error::UnsupportedLayer`] for one that is no GRU or has an option that is not here,
    /// or for layers that are not alike; [`Error::MissingTensor`], [`Error::TensorType`], [`Error::ShapeMismatch`];
    /// those of [`Recurrent::with_weights`].
    pub fn gru(&self, gpu: &Gpu, names: &[&str]) -> Result<(Gru, LoadReport)> {
        ready(gpu, self.gru_weights(names)?)
    }

    /// The same for plain RNNs.
    ///
    /// # Errors
    /// Those of [`Model::gru`].
    pub fn rnn(&self, gpu: &Gpu, names: &[&str]) -> Result<(Rnn, LoadReport)> {
        ready(gpu, self.rnn_weights(names)?)
    }

    /// What [`Model::gru`] is made of, on the host.
    ///
    /// # Errors
    /// Those of [`Model::gru`], but for the GPU's.
    pub fn gru_weights(&self, names: &[&str]) -> Result<(GruConfig, Weights, LoadReport)> {
        self.stacked(names, "GRU", |kind| if let Kind::Gru(config) = kind { Some(config) } else { None })
    }

    /// What [`Model::rnn`] is made of, on the host.
    ///
    /// # Errors
    /// Those of [`Model::rnn`], but for the GPU's.
    pub fn rnn_weights(&self, names: &[&str]) -> Result<(RnnConfig, Weights, LoadReport)> {
        self.stacked(names, "SimpleRNN", |kind| if let Kind::Rnn(config) = kind { Some(config) } else { None })
    }

    /// The kernel of a `Dense`, transposed, and its bias, if it has one, as a linear layer; and a report of what was
    /// used.
    ///
    /// # Errors
    /// Those of [`Model::gru`], and of [`Linear::with_weights`].
    pub fn linear(&self, gpu: &Gpu, name: &str) -> Result<(Linear, LoadReport)> {
        let layer = self.layer(name)?;
        let &Kind::Linear { in_features, out_features, bias: has_bias } = &layer.kind else {
            return Err(layer.is_no("Dense"));
        };
        let [kernel, bias] = [0, 1].map(|index| format!("{}vars/{index}", layer.path));
        let values = self.dict.get_shaped(&kernel, &[in_features, out_features])?;
        let row = |unit: usize| values.iter().skip(unit).step_by(out_features).copied();
        let weight: Vec<f32> = (0..out_features).flat_map(row).collect();
        let mut used = vec![kernel];
        // An empty one is none.
        let values = if has_bias { self.dict.get_shaped(&bias, &[out_features])? } else { &[] };
        used.extend(Some(bias).filter(|_| has_bias));
        let linear = Linear::with_weights(gpu, [out_features, in_features], &weight, values)?;
        Ok((linear, self.dict.report(&layer.path, used)))
    }

    /// The table of an `Embedding`, and a report of what was used.
    ///
    /// # Errors
    /// Those of [`Model::gru`], and of [`Embedding::with_weights`].
    pub fn embedding(&self, gpu: &Gpu, name: &str) -> Result<(Embedding, LoadReport)> {
        let layer = self.layer(name)?;
        let &Kind::Embedding { num_embeddings, embedding_dim } = &layer.kind else {
            return Err(layer.is_no("Embedding"));
        };
        let table = format!("{}vars/0", layer.path);
        let shape = [num_embeddings, embedding_dim];
        let embedding = Embedding::with_weights(gpu, shape, self.dict.get_shaped(&table, &shape)?)?;
        Ok((embedding, self.dict.report(&layer.path, vec![table])))
    }

    fn stacked<C: Copy + Into<Cell> + PartialEq>(
        &self,
        names: &[&str],
        class: &'static str,
        of_kind: impl Fn(&Kind) -> Option<&Config<C>>,
    ) -> Result<(Config<C>, Weights, LoadReport)> {
        let mut layers: Vec<(&Layer, &Config<C>)> = Vec::new();
        for name in names {
            let layer = self.layer(name)?;
            let config = of_kind(&layer.kind).ok_or_else(|| layer.is_no(class))?;
            if let Some((below, under)) = layers.last() {
                expect_on_top([below, layer], [under, config])?;
            }
            layers.push((layer, config));
        }
        let Some((first, config)) = layers.first() else { return Err(Error::ZeroSize { what: "number of layers" }) };
        let config = (*config).clone().num_layers(layers.len());
        let cells: Vec<_> = layers.iter().flat_map(|(layer, _)| layer.cells.clone()).collect();
        let (weights, mut report) = weights_under(&self.dict, &first.path, &config, &cells)?;
        for (layer, _) in &layers[1..] {
            report.unused.extend(self.dict.report(&layer.path, report.used.clone()).unused);
        }
        Ok((config, weights, report))
    }
}

fn ready<C: Copy + Into<Cell>>(
    gpu: &Gpu,
    (config, weights, report): (Config<C>, Weights, LoadReport),
) -> Result<(Recurrent<C>, LoadReport)> {
    Ok((Recurrent::with_weights(gpu, config, &weights)?, report))
}

/// Checks that the second layer can be the one above the first in one layer of ours.
fn expect_on_top<C: Copy + Into<Cell> + PartialEq>(
    [below, above]: [&Layer; 2],
    [under, over]: [&Config<C>; 2],
) -> Result<()> {
    let refuse = |layer: &Layer, option, value: &str, expected| {
        let option = Cow::Borrowed(option);
        Err(Error::UnsupportedLayer { layer: layer.name.clone(), option, value: value.into(), expected })
    };
    if !below.return_sequences {
        return refuse(below, "return_sequences", "false", "true in a layer below another");
    }
    if over.input_size != under.output_size() {
        let rows = over.cell().gates() * over.hidden_size;
        let (expected, actual) = (vec![under.output_size(), rows], vec![over.input_size, rows]);
        return Err(Error::ShapeMismatch { tensor: above.cells[0].kernel.clone().into(), expected, actual });
    }
    // Its steps would go in at the end and come out in the other order, so that two of them go forward again.
    if [under, over].iter().any(|config| config.direction == Direction::Reverse) {
        return refuse(above, "go_backwards", "true", "false where layers are taken as one: take them one by one");
    }
    let differences = [
        ("units", under.hidden_size != over.hidden_size),
        ("direction", under.direction != over.direction),
        ("use_bias", under.bias != over.bias),
        (
            "activation, recurrent_activation or reset_after",
            (0..2).any(|direction| under.cell_of(direction) != over.cell_of(direction)),
        ),
    ];
    match differences.into_iter().find(|(_, differs)| *differs) {
        Some((option, _)) => refuse(above, option, "another", "that of the layer below"),
        None => Ok(()),
    }
}

impl Layer {
    /// Why it cannot be taken as another one.
    fn is_no(&self, class: &'static str) -> Error {
        match &self.kind {
            Kind::Unsupported(error) => error.clone(),
            _ => Error::UnsupportedLayer {
                layer: self.name.clone(),
                option: "class_name".into(),
                value: self.class.clone(),
                expected: class,
            },
        }
    }
}
