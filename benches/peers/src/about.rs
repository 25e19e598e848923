//! What was measured on, and with which versions.

use anyhow::Result;

use crate::command_line::Wanted;
use crate::contestants::open_gpu;

/// The versions that this binary was built with.
const LOCK: &str = include_str!("../Cargo.lock");

/// Names and values, for the head of a report.
///
/// # Errors
/// Where an adapter is needed and there is none, or burn and wgpu-gru took different ones.
pub(crate) fn about(args: &Wanted) -> Result<Vec<(String, String)>> {
    let mut list: Vec<(String, String)> = Vec::new();
    let mut add = |name: &str, value: String| list.push((name.into(), value));
    if args.kinds.iter().any(|kind| kind.needs_adapter()) {
        add("adapter", open_gpu()?.describe());
        #[cfg(feature = "burn")]
        if args.kinds.contains(&crate::contestants::Kind::BurnWgpu) {
            use crate::contestants::burn;
            burn::expect_same_adapter()?;
            let opened = burn::open_wgpu()?;
            add("adapter of burn", format!("{}, {}", opened.adapter, opened.driver));
        }
    }
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    add("CPU", format!("{}, {threads} threads", cpu_name()));
    let clock = std::fs::read_to_string("/sys/devices/system/clocksource/clocksource0/current_clocksource");
    add("clock", format!("Instant, on {}", clock.as_deref().unwrap_or("the system's clock").trim()));
    let packages = [
        ("wgpu-gru", true),
        ("wgpu", true),
        ("burn", cfg!(feature = "burn")),
        ("cubecl", cfg!(feature = "burn")),
        ("candle-nn", cfg!(feature = "candle")),
        ("rten", cfg!(feature = "rten")),
    ];
    let versions = packages
        .into_iter()
        .filter(|(_, is_there)| *is_there)
        .filter_map(|(name, _)| Some(format!("{name} {}", version(name)?)));
    add("versions", versions.collect::<Vec<_>>().join(", "));
    let how = format!("{} rounds of everybody in turn, each at least {:?}", args.rounds, args.min_time);
    add("rounds", how);
    Ok(list)
}

/// The version of a package in the lock file.
fn version(package: &str) -> Option<&'static str> {
    let (_, after) = LOCK.split_once(&format!("name = \"{package}\"\nversion = \""))?;
    after.split('"').next()
}

/// What Linux says of the CPU.
fn cpu_name() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    name.map_or_else(|| std::env::consts::ARCH.into(), |(_, name)| name.trim().into())
}
