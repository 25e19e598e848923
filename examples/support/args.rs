//! The command line of the examples and benches. Each lists in a table what it takes; this file reads the words by that
//! table, refuses whatever is not in it, and prints the table for `--help`.
//!
//! Exit codes: 0, 1 for a run that failed, 2 for a command line that is wrong; an error is one line on stderr.

use std::error::Error;
use std::ffi::OsString;
use std::fmt::{self, Write as _};
use std::io::Write as _;
use std::ops::RangeInclusive;
use std::process::ExitCode;
use std::str::FromStr;

/// A program, as its `--help` shows it.
#[derive(Debug)]
pub(crate) struct Program {
    /// What it does.
    pub(crate) about: &'static str,
    /// How it is started, up to its first option.
    pub(crate) start: &'static str,
    /// What it takes besides `--help`.
    pub(crate) words: &'static [Word],
    /// What it writes and how long it takes.
    pub(crate) notes: &'static str,
}

/// An option, or a positional argument, whose name has no dash. Start from [`WORD`].
#[derive(Debug)]
pub(crate) struct Word {
    /// `--steps`, or `PLOT`.
    pub(crate) name: &'static str,
    /// What stands for its value in `--help`. Empty for a flag.
    pub(crate) value: &'static str,
    /// One line for `--help`. A word without one is not shown.
    pub(crate) help: &'static str,
    /// Its value where it is not given.
    pub(crate) default: &'static str,
    /// The same with the flag `--quick`. Empty: the default.
    pub(crate) quick: &'static str,
    /// Which numbers it takes, if it takes a number.
    pub(crate) range: Option<RangeInclusive<u64>>,
    /// What else it takes, to go on after "needs".
    pub(crate) needs: &'static str,
    /// A positional argument that may come many times. Its value is all of them, with spaces between.
    pub(crate) many: bool,
}

/// A word of which nothing is said yet.
pub(crate) const WORD: Word =
    Word { name: "", value: "", help: "", default: "", quick: "", range: None, needs: "a value", many: false };

/// What was found on the command line.
#[derive(Debug)]
pub(crate) struct Args {
    words: &'static [Word],
    given: Vec<(&'static str, String)>,
}

/// What is wrong with a command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ArgsError {
    /// Not an option.
    Unknown(String),
    /// A positional argument too many.
    Extra(String),
    /// Bytes that are no text.
    NotUtf8(OsString),
    /// Given more than once.
    Twice(&'static str),
    /// A flag with a value.
    Flag(&'static str),
    /// The value is missing (then `found` is empty) or wrong.
    Value { name: &'static str, needs: String, found: String },
}

impl fmt::Display for ArgsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(word) => write!(f, "unknown option {word:?}; --help lists the options"),
            Self::Extra(word) => write!(f, "unexpected argument {word:?}; --help lists what can be given"),
            Self::NotUtf8(word) => write!(f, "the argument {word:?} is not valid UTF-8"),
            Self::Twice(name) => write!(f, "{name} is given twice"),
            Self::Flag(name) => write!(f, "{name} takes no value"),
            Self::Value { name, needs, found } if found.is_empty() => write!(f, "{name} needs {needs}"),
            Self::Value { name, needs, found } => write!(f, "{name} needs {needs}, found {found:?}"),
        }
    }
}

impl Error for ArgsError {}

/// Reads the command line of this process, then runs the program or prints its help.
pub(crate) fn main(program: &Program, run: impl FnOnce(&Args) -> Result<(), Box<dyn Error>>) -> ExitCode {
    let result = match program.read(std::env::args_os().skip(1)) {
        Ok(Some(args)) => run(&args),
        // Whoever closes the pipe has read enough.
        Ok(None) => {
            drop(std::io::stdout().write_all(program.help().as_bytes()));
            Ok(())
        }
        Err(error) => Err(error.into()),
    };
    let Err(error) = result else { return ExitCode::SUCCESS };
    drop(writeln!(std::io::stderr(), "error: {error}"));
    if error.is::<ArgsError>() { ExitCode::from(2) } else { ExitCode::FAILURE }
}

impl Program {
    /// Reads a command line without the program's name. `None`: help is wanted.
    pub(crate) fn read(&self, words: impl IntoIterator<Item = OsString>) -> Result<Option<Args>, ArgsError> {
        let mut args = Args { words: self.words, given: Vec::new() };
        let mut positional = self.words.iter().filter(|word| !word.name.starts_with('-')).peekable();
        let mut words = words.into_iter().map(|word| word.into_string().map_err(ArgsError::NotUtf8));
        while let Some(found) = words.next().transpose()? {
            if found == "--help" || found == "-h" {
                return Ok(None);
            }
            let (word, value) = if found.starts_with('-') {
                let (name, value) = match found.split_once('=') {
                    Some((name, value)) => (name, Some(value.to_owned())),
                    None => (found.as_str(), None),
                };
                let known = self.words.iter().find(|word| word.name == name);
                let word = known.ok_or_else(|| ArgsError::Unknown(name.to_owned()))?;
                match (word.value.is_empty(), value) {
                    (true, None) => (word, true.to_string()),
                    (true, Some(_)) => return Err(ArgsError::Flag(word.name)),
                    (false, Some(value)) => (word, value),
                    (false, None) => (word, words.next().transpose()?.unwrap_or_default()),
                }
            } else {
                match positional.next_if(|word| !word.many).or_else(|| positional.peek().copied()) {
                    Some(word) => (word, found),
                    None => return Err(ArgsError::Extra(found)),
                }
            };
            if value.is_empty() {
                return Err(word.wrong(value));
            }
            match args.given.iter_mut().find(|(name, _)| *name == word.name) {
                Some((_, before)) if word.many => *before = format!("{before} {value}"),
                Some(_) => return Err(ArgsError::Twice(word.name)),
                None => args.given.push((word.name, value)),
            }
        }
        Ok(Some(args))
    }

    /// What `--help` prints.
    pub(crate) fn help(&self) -> String {
        let shown = || self.words.iter().filter(|word| !word.help.is_empty());
        let many = |word: &Word| if word.many { "..." } else { "" };
        let positional = shown().filter(|word| !word.name.starts_with('-'));
        let positional: String = positional.map(|word| format!(" [{}]{}", word.name, many(word))).collect();
        let mut text = format!("{}\n\nUsage: {} [OPTIONS]{positional}\n\n", self.about, self.start);
        let lefts = |word: &Word| format!("{} {}", word.name, word.value).trim_end().to_owned();
        let width = shown().map(|word| lefts(word).len()).max().unwrap_or(0).max("--help".len());
        for word in shown() {
            let default = match (word.default, word.quick) {
                ("", _) => String::new(),
                (default, "") => format!(" [default: {default}]"),
                (default, quick) => format!(" [default: {default}; with --quick {quick}]"),
            };
            let range = word.range.as_ref().map_or(String::new(), |r| format!(", {} to {}", r.start(), r.end()));
            // Writing into a String cannot fail.
            let _ = writeln!(text, "  {:width$}  {}{range}{default}", lefts(word), word.help);
        }
        let _ = writeln!(text, "  {:width$}  Print this", "--help");
        text + "\n" + self.notes + "\n"
    }
}

impl Word {
    fn wrong(&self, found: String) -> ArgsError {
        let needs = match &self.range {
            Some(range) => format!("a whole number from {} to {}", range.start(), range.end()),
            None => self.needs.to_owned(),
        };
        ArgsError::Value { name: self.name, needs, found }
    }
}

impl Args {
    /// What the command line says of a word.
    pub(crate) fn given(&self, name: &str) -> Option<&str> {
        self.given.iter().find(|(given, _)| *given == name).map(|(_, value)| value.as_str())
    }

    /// The value of a word, or its default. A flag is `true` or `false`.
    pub(crate) fn get<T: FromStr>(&self, name: &str) -> Result<T, ArgsError> {
        let word = self.words.iter().find(|word| word.name == name);
        let word = word.ok_or_else(|| ArgsError::Unknown(name.to_owned()))?;
        let text = match self.given(name) {
            Some(value) => value,
            None if word.value.is_empty() && word.name.starts_with('-') => "false",
            None if !word.quick.is_empty() && self.given("--quick").is_some() => word.quick,
            None => word.default,
        };
        let in_range = |range: &RangeInclusive<u64>| text.parse().is_ok_and(|number| range.contains(&number));
        let fits = word.range.as_ref().is_none_or(in_range);
        text.parse().ok().filter(|_| fits).ok_or_else(|| word.wrong(text.to_owned()))
    }
}
