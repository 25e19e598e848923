//! The text of a kernel, from its file. Two kinds of lines in the files are not WGSL:
//!
//! - `#import shared/NAME` at the head of a file: `shaders/shared/NAME.wgsl` stands here. So who reads a file sees what
//!   else belongs to the kernel.
//! - `#ifdef NAME`, `#else`, `#endif`: what stands between them is in the variants of the table that define NAME, or in
//!   the others.
//!
//! That is all that is needed of a preprocessor: what a variant changes is types of bindings and what the language has
//! no `override` for. Everything else is an `override`, so that naga and drivers see one text.

use std::borrow::Cow;

/// A file of `shaders/`, or one that is made.
#[derive(Debug)]
pub(super) struct File<'a> {
    /// Its path there, without the extension.
    pub(super) name: &'a str,
    pub(super) text: &'a str,
}

macro_rules! files {
    ($($name:literal),* $(,)?) => {
        &[$(file!($name)),*]
    };
}

/// What files import.
static SHARED: &[File<'_>] = files![
    "shared/activation",
    "shared/column_sums",
    "shared/exchange",
    "shared/exchange_ring",
    "shared/exponential",
    "shared/f16",
    "shared/frame",
    "shared/gru_activations",
    "shared/gru_sequence",
    "shared/gru_sequence_backward",
    "shared/gru_unit",
    "shared/loss",
    "shared/matmul",
    "shared/mean",
    "shared/norm",
    "shared/operand",
    "shared/optimiser",
    "shared/reduce",
    "shared/rnn_sequence",
    "shared/rnn_sequence_backward",
    "shared/rnn_unit",
    "shared/rows",
    "shared/sequence",
    "shared/sequence_backward",
    "shared/settlement",
    "shared/step",
    "shared/step_backward_params",
    "shared/step_params",
    "shared/tile",
    "shared/weight",
];

/// The text of a file in the variant that has these defines.
///
/// # Panics
/// If it imports what is not in the list above, which the tests of the table find.
pub(super) fn resolve(file: &File<'_>, defines: &[&str]) -> String {
    let mut text = String::new();
    // For every block around the line, whether it is in this variant.
    let mut taken = Vec::new();
    for line in text_of(file).lines() {
        let (word, name) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            "#ifdef" => taken.push(defines.contains(&name)),
            "#else" | "#endif" => {
                let last = taken.pop();
                taken.extend(last.filter(|_| word == "#else").map(|last| !last));
            }
            _ if taken.contains(&false) => {}
            // What is left out leaves no gap.
            _ if line.is_empty() && (text.is_empty() || text.ends_with("\n\n")) => {}
            "#import" => {
                let shared = SHARED.iter().find(|shared| shared.name == name);
                text += resolve(shared.unwrap_or_else(|| panic!("{} imports {name}", file.name)), defines).trim_end();
                text += "\n\n";
            }
            _ => {
                text += line;
                text.push('\n');
            }
        }
    }
    text
}

/// The text of a file; in a build for `tests/mutants/run.py` with the place changed that its environment names. No
/// other build looks at the environment.
fn text_of<'a>(file: &File<'a>) -> Cow<'a, str> {
    let wanted = |name| option_env!("WGPU_GRU_MUTANTS").and_then(|_| std::env::var(name).ok());
    match ["FILE", "FIND", "REPLACE"].map(|part| wanted(format!("WGPU_GRU_MUTANT_{part}"))) {
        [Some(path), Some(find), Some(replace)] if path == format!("shaders/{}.wgsl", file.name) => {
            file.text.replacen(&find, &replace, 1).into()
        }
        _ => file.text.into(),
    }
}
