//! The command line.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::case::{Pass, SIZES, Size};
use crate::contestants::Kind;

/// What `--help` says.
pub(crate) const HELP: &str = "\
wgpu-gru side by side with other GRUs

  --sizes s1,s4        which sizes (all)
  --only gpu,burn-wgpu which contestants (all that were compiled in)
  --passes forward     forward, training (both)
  --rounds 7           how often everybody is timed, in turn
  --warmup 1           rounds before them that do not count, besides the run that is checked
  --min-ms 20          a contestant repeats its pass in a round until this time is spent
  --skip-over 60       seconds; who takes longer than this in the last warm-up is not timed further
  --first 1            how often the time to the first result is taken, each in a process of its own; 0: not
  --first-limit 600    seconds after which a process that has no first result is ended; its contestant is out
  --oracle             ask the f64 oracle at every size, also where it takes minutes
  --json FILE          where the figures go (peers.json); the tables go beside it, with the ending md
  --merge FILE         figures of python.py, for the same table; can be given more than once
  --list               names the sizes and the contestants, and ends";

/// What was asked for.
#[derive(Debug)]
pub(crate) struct Args {
    pub(crate) sizes: Vec<Size>,
    pub(crate) kinds: Vec<Kind>,
    pub(crate) passes: Vec<Pass>,
    pub(crate) rounds: usize,
    pub(crate) warmup: usize,
    pub(crate) min_time: Duration,
    pub(crate) skip_over: Duration,
    pub(crate) first: usize,
    pub(crate) first_limit: Duration,
    pub(crate) oracle: bool,
    pub(crate) json: PathBuf,
    pub(crate) merge: Vec<PathBuf>,
}

/// What is to be done.
#[derive(Debug)]
pub(crate) enum Task {
    Measure(Args),
    /// In a process of its own: the time to the first result of this one.
    FirstResult(Kind, Size, Pass),
    Help,
    List,
}

impl Task {
    /// Reads the command line without the program's name.
    ///
    /// # Errors
    /// For an option or a name that there is not.
    pub(crate) fn parse(mut words: impl Iterator<Item = String>) -> Result<Self> {
        let mut args = Args {
            sizes: SIZES.to_vec(),
            kinds: Kind::ALL.to_vec(),
            passes: vec![Pass::Forward, Pass::Training],
            rounds: 7,
            warmup: 1,
            min_time: Duration::from_millis(20),
            skip_over: Duration::from_secs(60),
            first: 1,
            first_limit: Duration::from_secs(600),
            oracle: false,
            json: "peers.json".into(),
            merge: Vec::new(),
        };
        while let Some(option) = words.next() {
            let mut value = || words.next().with_context(|| format!("{option} wants a value"));
            match option.as_str() {
                "--sizes" => args.sizes = list(&value()?, Size::named)?,
                "--only" => args.kinds = list(&value()?, Kind::named)?,
                "--passes" => args.passes = list(&value()?, pass)?,
                "--rounds" => args.rounds = number(&value()?)?,
                "--warmup" => args.warmup = number(&value()?)?,
                "--min-ms" => args.min_time = Duration::from_millis(number(&value()?)?),
                "--skip-over" => args.skip_over = Duration::from_secs(number(&value()?)?),
                "--first" => args.first = number(&value()?)?,
                "--first-limit" => args.first_limit = Duration::from_secs(number(&value()?)?),
                "--oracle" => args.oracle = true,
                "--json" => args.json = value()?.into(),
                "--merge" => args.merge.push(value()?.into()),
                // What `first.rs` calls itself with.
                "--first-result" => {
                    return Ok(Self::FirstResult(Kind::named(&value()?)?, Size::named(&value()?)?, pass(&value()?)?));
                }
                "--help" | "-h" => return Ok(Self::Help),
                "--list" => return Ok(Self::List),
                // What cargo hands to benches.
                "--bench" => {}
                _ => bail!("there is no option {option}; --help names them"),
            }
        }
        if args.rounds == 0 {
            bail!("--rounds must be at least 1");
        }
        Ok(Self::Measure(args))
    }
}

fn list<T>(value: &str, one: impl Fn(&str) -> Result<T>) -> Result<Vec<T>> {
    value.split(',').map(str::trim).filter(|name| !name.is_empty()).map(one).collect()
}

fn number<T: FromStr>(value: &str) -> Result<T> {
    value.parse().ok().with_context(|| format!("{value} is not a whole number"))
}

fn pass(name: &str) -> Result<Pass> {
    [Pass::Forward, Pass::Training]
        .into_iter()
        .find(|pass| pass.name() == name)
        .with_context(|| format!("there is no pass {name}, only forward and training"))
}
