//! What the examples and benches make of wrong command lines: one line on stderr and exit code 2, at once, and no file.

#[path = "../benches/ablation/command_line.rs"]
mod ablation;
#[expect(dead_code, reason = "its main is for programs")]
#[path = "../examples/support/args.rs"]
mod args;
#[path = "../benches/latency/command_line.rs"]
mod latency;
#[path = "../benches/scaling/command_line.rs"]
mod scaling;
#[path = "../benches/sizes/command_line.rs"]
mod sizes;

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use args::{Args, ArgsError, Program, WORD, Word};

/// The examples, with positional arguments that each may have, if it has any.
const EXAMPLES: [(&str, &[&str]); 8] = [
    ("sunspots", &["plot.svg"]),
    ("gradient_flow", &["plot.svg"]),
    ("flock", &[]),
    ("in_your_app", &[]),
    ("adding_problem", &[]),
    ("char_model", &[]),
    ("pronounce", &["hello", "recurrent"]),
    ("denoise", &["input.wav"]),
];

/// Wrong for every example.
const WRONG: [&[&str]; 12] = [
    &["--foo"],
    &["--foo=1"],
    &["-x"],
    &["-"],
    &["--"],
    &["--step", "1"],
    &["--help=1"],
    &["a.svg", "b.svg"],
    &[""],
    &["--quick", "--quick"],
    &["--quick=yes"],
    &["--steps"],
];

/// No number that an option takes.
const NO_NUMBERS: [&str; 11] =
    ["0", "-1", "NaN", "inf", "1.5", "1e3", "0x10", "", " 1", "18446744073709551615", "99999999999999999999999"];

/// Options with a number, and other values that they refuse.
const NUMBERS: [(&str, &str, &[&str]); 15] = [
    ("sunspots", "--steps", &["1000001"]),
    ("sunspots", "--train-until", &["1799", "2007"]),
    ("sunspots", "--test-until", &["1800", "2009", "1964"]),
    ("gradient_flow", "--steps", &["100001"]),
    ("flock", "--agents", &["1000001"]),
    ("flock", "--frames", &["1000001"]),
    ("flock", "--every", &["1000001"]),
    ("flock", "--size", &["0x0", "15x16", "8193x16", "16", "axb", "16x", "-16x16"]),
    ("adding_problem", "--steps", &["1000001"]),
    ("char_model", "--steps", &["1000001"]),
    ("char_model", "--length", &["100001"]),
    ("pronounce", "--steps", &["1001"]),
    ("denoise", "--channels", &["1025"]),
    ("denoise", "--block", &["101"]),
    ("denoise", "--seconds", &["601", "65537"]),
];

/// An example that cargo has built. It lies beside the folder of this test.
fn built(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("a test knows where it is");
    let folder = test.parent().and_then(Path::parent).expect("the test lies in target/PROFILE/deps");
    let path = folder.join("examples").join(name).with_extension(std::env::consts::EXE_EXTENSION);
    assert!(
        path.is_file(),
        "{} is not built: `cargo test --release` builds it, `--test` alone does not",
        path.display()
    );
    path
}

/// A folder of the test's own, removed at its end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("wgpu-gru-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).expect("the folder for what is temporary can be written");
        Self(path)
    }

    fn files(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(&self.0).expect("it was made");
        entries.map(|entry| entry.expect("it can be read").path()).collect()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

/// Runs an example in a folder.
fn run<S: AsRef<OsStr>>(folder: &Folder, name: &str, words: &[S], env: &[(&str, &str)]) -> Output {
    let mut command = Command::new(built(name));
    command.args(words).envs(env.iter().copied()).current_dir(&folder.0);
    command.output().expect("it starts")
}

/// Holds an output to an exit code, one line of an error, and no file.
fn expect_refused(folder: &Folder, output: &Output, code: i32, what: &str) -> String {
    let [out, error] = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text).into_owned());
    assert_eq!(output.status.code(), Some(code), "{what}: {error}");
    assert_eq!(out, "", "{what}: an error goes to stderr");
    let line = error.strip_suffix('\n').filter(|line| !line.contains('\n'));
    let line = line.unwrap_or_else(|| panic!("{what}: not one line: {error:?}"));
    assert!(line.starts_with("error: ") && line.len() < 300, "{what}: {line}");
    for raw in ["NoAdapter {", "Err(", "Some(", "panicked"] {
        assert!(!line.contains(raw), "{what}: a raw value: {line}");
    }
    assert_eq!(folder.files(), Vec::<PathBuf>::new(), "{what}: it wrote files");
    line.to_owned()
}

#[test]
fn examples_refuse_what_they_do_not_know() {
    let folder = Folder::new("unknown");
    for (name, _) in EXAMPLES {
        for words in WRONG {
            expect_refused(&folder, &run(&folder, name, words, &[]), 2, &format!("{name} {words:?}"));
        }
    }
}

#[test]
fn examples_refuse_numbers_out_of_range() {
    let folder = Folder::new("numbers");
    for (name, option, others) in NUMBERS {
        for value in NO_NUMBERS.iter().chain(others) {
            let line =
                expect_refused(&folder, &run(&folder, name, &[option, value], &[]), 2, &format!("{name} {value}"));
            assert!(line.contains(option) && line.contains("needs"), "{line}");
        }
    }
    for value in ["-1", "NaN", "1.5", "", "18446744073709551616"] {
        expect_refused(&folder, &run(&folder, "sunspots", &["--seed", value], &[]), 2, value);
    }
    for words in [["--out", ""], ["--out=", "--quick"]] {
        expect_refused(&folder, &run(&folder, "flock", &words, &[]), 2, "no folder");
    }
    for words in [["hello", "x1"], ["hello", "two  words"], ["hello", "\u{e9}"], ["--model", ""]] {
        expect_refused(&folder, &run(&folder, "pronounce", &words, &[]), 2, "no words");
    }
    expect_refused(
        &folder,
        &run(&folder, "gradient_flow", &["--rates", "plot.svg"], &[]),
        2,
        "a plot that is not drawn",
    );
}

#[cfg(unix)]
#[test]
fn examples_refuse_bytes_that_are_no_text() {
    use std::os::unix::ffi::OsStringExt;
    let folder = Folder::new("bytes");
    let odd = OsString::from_vec(b"plot\xff.svg".to_vec());
    for (name, _) in EXAMPLES {
        for words in [vec![odd.clone()], vec!["--steps".into(), odd.clone()], vec!["--out".into(), odd.clone()]] {
            let line = expect_refused(&folder, &run(&folder, name, &words, &[]), 2, &format!("{name} {words:?}"));
            // Not every example has both options.
            let is_unknown = words.len() > 1 && line.contains("unknown option");
            assert!(name == "in_your_app" || is_unknown || line.contains("UTF-8"), "{line}");
        }
    }
}

/// Also the name of a file that begins with a dash is an option, not a file.
#[test]
fn examples_help() {
    let folder = Folder::new("help");
    for (name, positional) in EXAMPLES {
        let words: Vec<&str> = positional.iter().copied().chain(["--help"]).collect();
        for words in [&["--help"][..], &["-h"], &words] {
            let output = run(&folder, name, words, &[]);
            let text = String::from_utf8(output.stdout).expect("help is text");
            assert!(output.status.success() && output.stderr.is_empty(), "{name} {words:?}");
            for part in ["Usage: cargo run --release --example", name, "Takes", "WGPU_BACKEND"] {
                let told = text.contains(part) || (name == "in_your_app" && text.contains("takes no options"));
                assert!(told, "{name}: {part:?} is not in {text}");
            }
            assert_eq!(folder.files(), Vec::<PathBuf>::new(), "{name}: it wrote files");
        }
    }
}

/// A backend that is none, one that the crate does not run on, no driver, and no adapter of a name: a sentence each,
/// and it advises a driver only where one is missing.
#[test]
fn examples_say_why_there_is_no_adapter() {
    let folder = Folder::new("adapter");
    let nowhere = folder.0.join("nowhere").display().to_string();
    for (name, _) in EXAMPLES {
        for backend in ["junk", "gl"] {
            let output = run(&folder, name, &[] as &[&str], &[("WGPU_BACKEND", backend)]);
            let line = expect_refused(&folder, &output, 1, &format!("{name}, WGPU_BACKEND={backend}"));
            assert!(line.contains("WGPU_BACKEND") && !line.contains("lavapipe"), "{line}");
        }
        if cfg!(target_os = "linux") {
            let env = [("VK_DRIVER_FILES", &*nowhere), ("VK_ICD_FILENAMES", &*nowhere), ("VK_LOADER_DEBUG", "")];
            let output = run(&folder, name, &[] as &[&str], &env);
            expect_refused(&folder, &output, 1, &format!("{name} without a driver"));
        }
        if name != "in_your_app" && cfg!(target_os = "linux") {
            let output = run(&folder, name, &[] as &[&str], &[("WGPU_ADAPTER_NAME", "no such adapter")]);
            let line = expect_refused(&folder, &output, 1, &format!("{name} on an adapter that is not there"));
            assert!(line.contains("no such adapter"), "{line}");
        }
    }
}

/// Any words in any order: help, or one line and no file, at once. No backend is named, so a line that is right ends
/// there.
#[test]
fn examples_take_any_words() {
    let pieces = [
        "--help",
        "--quick",
        "--steps",
        "--seed",
        "--sweep",
        "--rates",
        "--agents",
        "--frames",
        "--every",
        "--size",
        "--out",
        "--train-until",
        "--test-until",
        "--checkpoint",
        "--resume",
        "--length",
        "--model",
        "hello",
        "don't",
        "--channels",
        "--block",
        "--seconds",
        "--steps=7",
        "--size=64x64",
        "--out=dir",
        "plot.svg",
        "64x64",
        "1964",
        "0",
        "1",
        "2",
        "-1",
        "65535",
        "65536",
        "1000000",
        "4294967295",
        "4294967296",
        "18446744073709551615",
        "1e99",
        "NaN",
        "",
        "=",
        "--=",
        "--steps=",
        "\u{1f300}",
        "a b",
        "../..",
        "\n",
    ];
    let folder = Folder::new("any");
    let mut random = wgpu_gru::rng::SplitMix64::new(12);
    for (name, _) in EXAMPLES {
        let mut codes = [0; 3];
        for _ in 0..160 {
            let mut draw = |below: usize| random.next_u64() as usize % below;
            let words: Vec<&str> = (0..draw(5)).map(|_| pieces[draw(pieces.len())]).collect();
            let output = run(&folder, name, &words, &[("WGPU_BACKEND", "junk")]);
            let code = output.status.code().unwrap_or(-1);
            match code {
                0 => assert!(words.contains(&"--help") && output.stderr.is_empty(), "{name} {words:?}"),
                1 | 2 => drop(expect_refused(&folder, &output, code, &format!("{name} {words:?}"))),
                _ => panic!("{name} {words:?}: {output:?}"),
            }
            codes[code as usize] += 1;
        }
        assert!(codes.iter().all(|&count| count > 0), "{name}: help, right and wrong lines were drawn: {codes:?}");
    }
}

/// The texts of kernels, by a program that needs no GPU.
#[test]
fn kernel_texts_are_printed() {
    let folder = Folder::new("kernels");
    let text = |words: &[&str]| {
        let output = run(&folder, "kernel_text", words, &[("WGPU_BACKEND", "junk")]);
        assert!(output.status.success() && output.stderr.is_empty(), "{words:?}: {output:?}");
        String::from_utf8(output.stdout).expect("a text")
    };
    let list = text(&[]);
    for line in list.lines() {
        let name = line.split_whitespace().next().expect("a name");
        let kernel = text(&[name]);
        assert!(kernel.contains("fn main(") && !kernel.lines().any(|line| line.starts_with('#')), "{name}: {kernel}");
    }
    let has = |words: &[&str], part: &str| text(words).contains(part);
    assert!(
        has(&["gru_step", "--vec4"], "weight_hh: array<Weight>") && has(&["gru_step"], "weight_hh: array<f32>"),
        "{list}"
    );
    assert!(has(&["gru_step", "--reset-before", "--software", "--rows", "2"], "W_hn (r * h)"), "two products");
    let rows = text(&["gru_rows", "--hidden", "10", "--slices", "2", "--ahead", "3", "--subgroup", "8"]);
    assert!(
        ["HIDDEN: u32 = 10u", "let r0_1 = ", "input_2_0 = ", "subgroupShuffleXor"]
            .iter()
            .all(|part| rows.contains(part)),
        "{rows}"
    );
    let words =
        ["gru_exchange", "--hidden", "40", "--slices", "4", "--units", "2", "--subgroup", "32", "--splits", "8"];
    let exchange = text(&words);
    assert!(
        ["PARTS: u32 = 3u", "let r1_0 = ", "take_multiply(", "subgroupShuffleXor"]
            .iter()
            .all(|part| exchange.contains(part)),
        "{exchange}"
    );
    assert!(text(&["--help"]).contains("Usage: cargo run --example kernel_text"), "help");
    for words in [&["gru"][..], &[""], &["--foo"], &["gru_step", "gru_step"], &["gru_rows", "--hidden", "0"]] {
        expect_refused(&folder, &run(&folder, "kernel_text", words, &[]), 2, &format!("{words:?}"));
    }
}

/// The benches are not built for tests: these are the tables that they read their command lines by.
#[test]
fn benches_refuse_what_they_do_not_know() {
    let read =
        |program: &Program, line: &[&str]| program.read(line.iter().map(OsString::from)).map(|args| args.is_some());
    for program in [&scaling::PROGRAM, &sizes::PROGRAM, &ablation::PROGRAM, &latency::PROGRAM] {
        assert_eq!(read(program, &["--bench"]), Ok(true), "what cargo says");
        assert_eq!(read(program, &["--quick", "--bench"]), Ok(true), "quick");
        assert_eq!(read(program, &["--help", "--bench"]), Ok(false), "help");
        for part in ["Usage: cargo bench --bench", "Takes", "Writes target/", "--quick"] {
            assert!(program.help().contains(part), "{part:?} is not in {}", program.help());
        }
        assert!(
            !program.help().contains("--first-result") && !program.help().contains("  --bench"),
            "{}",
            program.help()
        );
        for words in [&["--foo"][..], &["out.md"], &["-"], &["--quick=1"], &["--bench", "--bench"]] {
            assert!(read(program, words).is_err(), "{words:?}");
        }
    }
    let middle = |value: &str| {
        let words = ["--middle", value].map(OsString::from);
        scaling::PROGRAM
            .read(words)?
            .map_or_else(|| panic!("no help is asked for"), |args: Args| scaling::middle(&args))
    };
    assert_eq!(middle("128, 64,256"), Ok([128, 64, 256]), "T, B, H");
    assert_eq!(middle("4096,16,1024"), Ok([4096, 16, 1024]), "the most");
    let only = |value: &str| {
        let words = ["--only", value].map(OsString::from);
        sizes::PROGRAM.read(words)?.map_or_else(|| panic!("no help is asked for"), |args: Args| sizes::only(&args))
    };
    assert_eq!(only("s4, s1"), Ok(vec!["s4".to_owned(), "s1".to_owned()]), "two sizes");
    for wrong in ["s9", "s1,", "", "s1 s2", "S1"] {
        assert!(only(wrong).is_err(), "{wrong:?}");
    }
    let huge = "18446744073709551615,18446744073709551615,18446744073709551615";
    for value in
        ["", "1", "1,2", "1,2,3,4", "0,1,1", "1,0,1", "1,1,0", "4097,1,1", "4096,16,1025", "a,b,c", "-1,1,1", huge]
    {
        assert!(matches!(middle(value), Err(ArgsError::Value { name: "--middle", .. })), "{value}");
    }
}

const TABLE: Program = Program {
    about: "Tests.",
    start: "program",
    words: &[
        Word { name: "--steps", value: "N", help: "Steps", default: "300", quick: "20", range: Some(1..=1000), ..WORD },
        Word { name: "--seed", value: "N", help: "Seed", default: "1", range: Some(0..=u64::MAX), ..WORD },
        Word { name: "--out", value: "DIR", help: "Where to", default: "target", needs: "a folder", ..WORD },
        Word { name: "--quick", help: "Less", ..WORD },
        Word { name: "--hidden", value: "X", ..WORD },
        Word { name: "PLOT", help: "The plot", default: "plot.svg", needs: "a file", ..WORD },
    ],
    notes: "Writes nothing.",
};

fn read(line: &str) -> Result<Option<Args>, ArgsError> {
    TABLE.read(line.split_whitespace().map(OsString::from))
}

fn value(line: &str, name: &str) -> Result<String, ArgsError> {
    read(line)?.expect("no help is asked for").get(name)
}

#[test]
fn what_is_given_comes_out() {
    assert_eq!(value("", "--steps").as_deref(), Ok("300"), "default");
    assert_eq!(value("--quick", "--steps").as_deref(), Ok("20"), "quick");
    assert_eq!(value("--steps 7 --quick", "--steps").as_deref(), Ok("7"), "what is given goes before --quick");
    assert_eq!(value("--steps=1000 a.svg", "--steps").as_deref(), Ok("1000"), "with =");
    assert_eq!(value("--steps 7 a.svg", "PLOT").as_deref(), Ok("a.svg"), "positional");
    assert_eq!(value("--quick", "--quick").as_deref(), Ok("true"), "flag");
    assert_eq!(value("", "--quick").as_deref(), Ok("false"), "no flag");
    assert_eq!(value("--seed 18446744073709551615", "--seed").as_deref(), Ok("18446744073709551615"), "u64::MAX");
}

#[test]
fn what_is_not_in_the_table_is_refused() {
    for word in ["--foo", "-x", "-", "--", "--step", "--steps7", "--foo=1"] {
        let name = word.trim_end_matches("=1").to_owned();
        assert_eq!(read(word).map(|_| ()), Err(ArgsError::Unknown(name)), "{word}");
    }
    assert_eq!(read("a.svg b.svg").map(|_| ()), Err(ArgsError::Extra("b.svg".into())), "a second plot");
    assert_eq!(read("--quick --quick").map(|_| ()), Err(ArgsError::Twice("--quick")), "twice");
    assert_eq!(read("--quick=1").map(|_| ()), Err(ArgsError::Flag("--quick")), "a flag with a value");
    let missing = ArgsError::Value { name: "--out", needs: "a folder".into(), found: String::new() };
    assert_eq!(read("--out").map(|_| ()), Err(missing.clone()), "no value");
    assert_eq!(read("--out=").map(|_| ()), Err(missing), "an empty value");
    assert!(TABLE.read([OsString::new()]).is_err(), "an empty word");
}

/// As many positional arguments as there are, behind those of which there is one.
#[test]
fn many_words_are_one_value() {
    const MANY: Program = Program {
        words: &[
            Word { name: "FIRST", ..WORD },
            Word { name: "WORD", help: "Words", default: "a b", many: true, ..WORD },
            Word { name: "--quick", ..WORD },
        ],
        ..TABLE
    };
    let read = |line: &str| MANY.read(line.split_whitespace().map(OsString::from));
    let words = |line: &str| read(line).expect("it is right").expect("no help is asked for").get::<String>("WORD");
    assert_eq!(words("x").as_deref(), Ok("a b"), "the default");
    assert_eq!(words("x c").as_deref(), Ok("c"), "one");
    assert_eq!(words("x c --quick d c").as_deref(), Ok("c d c"), "three of them");
    assert_eq!(read("--quick c --quick").map(|_| ()), Err(ArgsError::Twice("--quick")), "a flag twice");
    assert!(MANY.read(["x", "c", ""].map(OsString::from)).is_err(), "an empty word");
    assert!(MANY.help().contains("Usage: program [OPTIONS] [WORD]...\n"), "{}", MANY.help());
}

#[test]
fn numbers_are_held_to_their_range() {
    for number in ["0", "1001", "-1", "NaN", "inf", "1.5", "1e3", "18446744073709551616", "seven", "--quick"] {
        let needs = "a whole number from 1 to 1000".to_owned();
        let wrong = ArgsError::Value { name: "--steps", needs, found: number.into() };
        assert_eq!(value(&format!("--steps {number}"), "--steps"), Err(wrong), "{number}");
    }
}

#[cfg(unix)]
#[test]
fn bytes_that_are_no_text_are_named() {
    use std::os::unix::ffi::OsStringExt;
    let odd = || OsString::from_vec(b"a\xff".to_vec());
    for words in [vec![odd()], vec!["--out".into(), odd()], vec!["--quick".into(), odd()]] {
        let error = TABLE.read(words).expect_err("it is no text");
        assert_eq!(error, ArgsError::NotUtf8(odd()), "{error}");
        assert_eq!(error.to_string(), r#"the argument "a\xFF" is not valid UTF-8"#, "it is shown");
    }
}

#[test]
fn help_shows_the_table() {
    assert!(read("--steps 7 --help").expect("it is right").is_none() && read("-h").expect("it is right").is_none());
    let help = TABLE.help();
    for line in [
        "Usage: program [OPTIONS] [PLOT]",
        "  --steps N  Steps, 1 to 1000 [default: 300; with --quick 20]",
        "  PLOT       The plot [default: plot.svg]",
        "  --help     Print this",
    ] {
        assert!(help.lines().any(|shown| shown == line), "{line:?} in {help}");
    }
    assert!(!help.contains("--hidden"), "{help}");
}
