//! Progress on a terminal, for what takes more than two seconds.

use std::io::IsTerminal;

use indicatif::{ProgressBar, ProgressStyle};

/// A bar on stderr; hidden where that is no terminal.
pub(crate) fn bar(what: &'static str, steps: usize) -> ProgressBar {
    let bar = if std::io::stderr().is_terminal() { ProgressBar::new(steps as u64) } else { ProgressBar::hidden() };
    let style = ProgressStyle::with_template("{prefix:9} {bar:40} {pos}/{len} {msg} {eta} left");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar.with_prefix(what)
}
