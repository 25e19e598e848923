//! ONNX's names of activations, and the order in which it lists their parameters.

use crate::activation::Activation;

/// Why there is no such list of activations here.
#[derive(Debug)]
pub(super) enum Refused {
    /// The name of one that this crate has not.
    Name(String),
    /// One whose parameters are not said, and ONNX does not say either.
    NoParameters(String),
    /// More parameters than there are activations with one, so that two readings of them differ.
    Parameters(usize),
}

/// How many of alpha and beta an activation has.
fn counts(name: &str) -> Option<[usize; 2]> {
    Some(match name {
        "sigmoid" | "tanh" | "relu" | "softsign" | "softplus" => [0, 0],
        "leakyrelu" | "thresholdedrelu" | "elu" => [1, 0],
        "hardsigmoid" | "affine" => [1, 1],
        _ => return None,
    })
}

/// The activations of a node. ONNX spells them in any case, and `alphas` and `betas` are "consumed in the order of
/// activation functions": one for each that has such a parameter, as ONNX Runtime reads it. Some exporters write one
/// for every activation, which is the same unless an earlier one of them has no parameter.
pub(super) fn read(names: &[String], alphas: &[f32], betas: &[f32]) -> Result<Vec<Activation>, Refused> {
    let known = |name: &String| {
        let lower = name.to_lowercase();
        counts(&lower).map(|counts| (lower, counts)).ok_or_else(|| Refused::Name(name.clone()))
    };
    let functions = names.iter().map(known).collect::<Result<Vec<_>, _>>()?;
    let [alphas, betas] = [(0, alphas), (1, betas)].map(|(which, values)| {
        let takers: Vec<usize> = (0..functions.len()).filter(|&at| functions[at].1[which] == 1).collect();
        let in_order = |taker: usize| values.get(taker).copied();
        if values.len() > takers.len() {
            // As many as there are activations: the reading by place has to be the same.
            let is_same = values.len() == functions.len()
                && takers.iter().enumerate().all(|(taker, &at)| values[taker].to_bits() == values[at].to_bits());
            if !is_same {
                return Err(Refused::Parameters(values.len()));
            }
        }
        let mut given = vec![None; functions.len()];
        for (taker, at) in takers.into_iter().enumerate() {
            given[at] = in_order(taker);
        }
        Ok(given)
    });
    let (alphas, betas) = (alphas?, betas?);
    let activation = |((lower, _), (alpha, beta)): (&(String, _), (Option<f32>, Option<f32>))| match lower.as_str() {
        "sigmoid" => Ok(Activation::Sigmoid),
        "tanh" => Ok(Activation::Tanh),
        "relu" => Ok(Activation::Relu),
        "softsign" => Ok(Activation::Softsign),
        "softplus" => Ok(Activation::Softplus),
        "leakyrelu" => Ok(Activation::LeakyRelu { alpha: alpha.unwrap_or(0.01) }),
        "thresholdedrelu" => Ok(Activation::ThresholdedRelu { theta: alpha.unwrap_or(1.0) }),
        "elu" => Ok(Activation::Elu { alpha: alpha.unwrap_or(1.0) }),
        "hardsigmoid" => Ok(Activation::HardSigmoid { alpha: alpha.unwrap_or(0.2), beta: beta.unwrap_or(0.5) }),
        // alpha x + beta. Without an alpha ONNX Runtime takes 0, ONNX's old operator of that name 1.
        name => match (alpha, beta.unwrap_or(0.0)) {
            (Some(alpha), beta) if alpha == 1.0 && beta == 0.0 => Ok(Activation::Linear),
            (Some(alpha), beta) => Err(Refused::Name(format!("{name} of {alpha} x + {beta}"))),
            (None, _) => Err(Refused::NoParameters(name.to_owned())),
        },
    };
    functions.iter().zip(alphas.into_iter().zip(betas)).map(activation).collect()
}

/// ONNX's name of an activation, with its alpha and beta.
pub(super) fn write(activation: Activation) -> (&'static str, Option<f32>, Option<f32>) {
    match activation {
        Activation::Sigmoid => ("Sigmoid", None, None),
        Activation::Tanh => ("Tanh", None, None),
        Activation::Relu => ("Relu", None, None),
        Activation::HardSigmoid { alpha, beta } => ("HardSigmoid", Some(alpha), Some(beta)),
        Activation::LeakyRelu { alpha } => ("LeakyRelu", Some(alpha), None),
        Activation::ThresholdedRelu { theta } => ("ThresholdedRelu", Some(theta), None),
        Activation::Softsign => ("Softsign", None, None),
        Activation::Softplus => ("Softplus", None, None),
        Activation::Linear => ("Affine", Some(1.0), Some(0.0)),
        Activation::Elu { alpha } => ("Elu", Some(alpha), None),
    }
}
