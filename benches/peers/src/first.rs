//! The time to the first result: from before the adapter is opened until h_n, or after training the smallest gradient,
//! is on the host, with everything that has to be compiled and tuned. Each is taken in a process of its own, with the
//! caches of drivers and of cubecl empty.

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::case::{Case, Pass, Size};
use crate::command_line::FIRST_RESULT;
use crate::contestants::Kind;
use crate::measure::guarded;
use crate::reference::Reference;

/// FLOPs up to which the oracle is asked here: it was or will be asked in the measurement itself.
const ORACLE_FLOPS: u64 = 1_000_000_000;

/// In the process of its own: prints the milliseconds.
pub(crate) fn take(kind: Kind, size: Size, pass: Pass) -> Result<()> {
    let case = Case::new(size);
    let start = Instant::now();
    let (time, mut contestant, read) = guarded(|| {
        let mut contestant = kind.prepare(&case, pass)?;
        let read = contestant.run()?;
        Ok((start.elapsed(), contestant, read))
    })?;
    let reference = Reference::new(&case, ORACLE_FLOPS)?;
    match pass {
        Pass::Forward => reference.check_state(&read)?,
        Pass::Training => reference.check_gradients(&contestant.gradients()?)?,
    };
    println!("{}", 1e3 * time.as_secs_f64());
    // Whatever a library still has to put away is not waited for.
    std::io::stdout().flush()?;
    std::process::exit(0)
}

/// Starts that process and reads what it prints; None if it takes longer than the limit.
pub(crate) fn ask(kind: Kind, size: Size, pass: Pass, limit: Duration) -> Result<Option<f64>> {
    let empty = EmptyFolder::new()?;
    let [said, complaints] = ["said", "complaints"].map(|name| empty.path.join(name));
    let mut child = Command::new(std::env::current_exe()?)
        .args([FIRST_RESULT, &[kind.name(), size.name, pass.name()].join(",")])
        .current_dir(&empty.path)
        .env("XDG_CACHE_HOME", &empty.path)
        .env("MESA_SHADER_CACHE_DISABLE", "true")
        .env("__GL_SHADER_DISK_CACHE", "0")
        // The last line it says is then the reason.
        .env_remove("RUST_BACKTRACE")
        .stdin(Stdio::null())
        .stdout(File::create(&said)?)
        .stderr(File::create(&complaints)?)
        .spawn()?;
    let begin = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if begin.elapsed() > limit {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    if !status.success() {
        let text = std::fs::read(&complaints)?;
        bail!("{status}: {}", String::from_utf8_lossy(&text).lines().last().unwrap_or("no message"));
    }
    let text = std::fs::read_to_string(&said)?;
    Ok(Some(text.trim().parse().context("it prints milliseconds")?))
}

/// A folder for caches that goes when this does.
struct EmptyFolder {
    path: PathBuf,
}

impl EmptyFolder {
    fn new() -> Result<Self> {
        let path = std::env::temp_dir().join(format!("wgpu-gru-peers-{}", std::process::id()));
        std::fs::create_dir_all(&path)?;
        Ok(Self { path })
    }
}

impl Drop for EmptyFolder {
    fn drop(&mut self) {
        // A folder that stays behind does no harm.
        drop(std::fs::remove_dir_all(&self.path));
    }
}
