//! Layers that the crate wrote: read again, and run by ONNX Runtime.

use std::fs;

use proptest::prelude::*;
use wgpu_gru::onnx::{Export, FirstState, Layer, Model};
use wgpu_gru::{CellWeights, Config, Error, GruConfig, RnnConfig, Weights};

use crate::support::any_options::any_config;
use crate::support::exported;
use crate::support::numbers::to_bits;
use crate::{agrees, folder, run};

/// What was drawn, and both directions of each layer by themselves, since one activation may be told in two ways.
fn assert_same(layer: &Layer, config: &Config, weights: &Weights) {
    let bits = |weights: &Weights| -> Vec<Vec<u32>> {
        weights.cells.iter().flat_map(|cell| cell.arrays().map(to_bits)).collect()
    };
    assert_eq!(bits(&layer.weights), bits(weights), "every number");
    for direction in 0..config.directions() {
        assert_eq!(layer.config.cell_of(direction), config.cell_of(direction), "{config:?}");
    }
    let of = |config: &Config| {
        let &Config { input_size, hidden_size, num_layers, direction, bias, .. } = config;
        (
            input_size,
            hidden_size,
            num_layers,
            direction,
            bias,
            [config.batch_first, config.reversed_output],
            config.clip,
        )
    };
    assert_eq!(of(&layer.config), of(config), "every option");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Written and read, every option and number is what it was, dropout aside.
    #[test]
    fn exports_come_back(config in any_config(), seed: u64, h0: bool, lengths: bool) {
        let weights = Weights::random(&config, seed);
        let bytes = Export::default().h0(h0).lengths(lengths).to_bytes(&config, &weights).expect("a model");
        let model = Model::from_bytes(bytes).expect("a model");
        let nodes: Vec<_> = model.nodes().iter().map(|node| node.name.clone()).collect();
        let layer = model.layer(nodes.last().expect("nodes")).expect("a layer");
        assert_same(&layer, &config, &weights);
        prop_assert_eq!(&layer.nodes, &nodes);
        prop_assert_eq!(layer.input, "input");
        prop_assert_eq!(layer.output.as_deref(), Some("output"));
        prop_assert_eq!(layer.lengths.is_some(), lengths);
        prop_assert!(layer.first_states.iter().all(|state| (*state == FirstState::Zero) != h0));
        prop_assert_eq!(layer.report.unused, Vec::<String>::new());
    }
}

#[test]
fn an_export_that_fails_loses_nothing() {
    let config = GruConfig::new(2, 3);
    let weights = Weights::random(&config, 1);
    let folder = folder("export");
    let file = folder.join("model.onnx");
    Export::default().save(&file, &config, &weights).expect("a file");
    let before = fs::read(&file).expect("a file");
    assert_same(&Model::load(&file).expect("a model").layer("gru_l0").expect("a layer"), &config.erased(), &weights);
    // Other weights than the config's: nothing is written.
    let error = Export::default().save(&file, &GruConfig::new(2, 4), &weights).expect_err("other weights");
    assert!(matches!(error, Error::ShapeMismatch { .. }), "{error}");
    assert_eq!(fs::read(&file).expect("a file"), before);
    // A folder that is not empty can be replaced by no file.
    let taken = folder.join("taken.onnx");
    fs::create_dir_all(taken.join("inside")).expect("a folder");
    let error = Export::default().save(&taken, &config, &weights).expect_err("no file fits there");
    assert!(matches!(&error, Error::File { path, .. } if path.ends_with("taken.onnx")), "{error}");
    assert_eq!(fs::read_dir(&folder).expect("a folder").count(), 2, "no part of a file is left");
    let error = Export::default().save(folder.join("nowhere/model.onnx"), &config, &weights).expect_err("no folder");
    assert!(matches!(error, Error::File { kind: std::io::ErrorKind::NotFound, .. }), "{error}");
    fs::remove_dir_all(folder).expect("removed");
}

/// What one file does not hold is refused before it is made.
#[test]
fn an_export_of_2_gb_is_refused() {
    let config = RnnConfig::new(1, 30_000).bias(false);
    let weights = Weights {
        cells: vec![CellWeights {
            weight_ih: vec![0.0; 30_000],
            weight_hh: vec![0.0; 30_000 * 30_000],
            bias_ih: vec![],
            bias_hh: vec![],
        }],
    };
    let error = Export::default().to_bytes(&config, &weights).expect_err("3.6 GB");
    assert!(matches!(error, Error::LimitExceeded { required: 3_600_000_000.., .. }), "{error}");
}

/// The bytes of exports are those that ONNX Runtime ran (`check_onnx_export.py`), and the oracle makes its numbers of
/// them.
#[test]
fn exports_have_the_bytes_that_onnx_runtime_ran() {
    for (name, config, export) in exported::all() {
        let bytes = export.to_bytes(&config, &exported::weights(&config)).expect("a model");
        let file = exported::path(&format!("{name}.onnx"));
        if std::env::var_os("WGPU_GRU_WRITE_EXPORTS").is_some() {
            fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
            fs::write(&file, &bytes).expect("a file");
            continue;
        }
        assert!(fs::read(&file).expect("a golden file") == bytes, "{name}: other bytes than those that were checked");

        let (batch, expected) = exported::numbers(name, &config);
        let model = Model::from_bytes(bytes).expect("a model");
        let layer = model.layer(&model.nodes()[0].name).expect("a layer");
        let made = run(&layer, &batch);
        for (tensor, expected) in expected {
            let (_, actual) = made.iter().find(|(made, _)| *made == tensor).expect("a tensor");
            assert!(agrees(actual, &expected), "{name}: {tensor} is {actual:?}, expected {expected:?}");
        }
    }
}
