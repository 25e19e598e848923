//! README, the pages of `docs` and rustdoc: every link leads to a file, every test that a table names is there, and every
//! public type has an example.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// What is read on its own, and as a page of the documentation.
fn pages() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let named = ["README.md", "ARCHITECTURE.md", "CHANGELOG.md", "web/README.md", "benches/RECORD.md"];
    let docs = files(&root.join("docs"), "md");
    let paths = named.map(|name| root.join(name)).into_iter().chain(docs);
    paths.map(|path| (path.clone(), fs::read_to_string(path).expect("a page"))).collect()
}

/// All files below a folder whose names end so.
fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    let of_entry = |path: PathBuf| match path.is_dir() {
        true => files(&path, ending),
        false if path.extension().is_some_and(|found| found == ending) => vec![path],
        false => Vec::new(),
    };
    entries.flat_map(of_entry).collect()
}

#[test]
fn links_lead_to_files() {
    let mut count = 0;
    for (path, text) in pages() {
        for target in text.split("](").skip(1).map(|rest| rest.split(')').next().unwrap_or_default()) {
            let is_of_rustdoc = target.contains("::");
            if target.contains(':') || target.starts_with('#') || is_of_rustdoc {
                continue;
            }
            let file = path.parent().expect("a folder").join(target.split('#').next().unwrap_or_default());
            assert!(file.exists(), "{}: there is no {target}", path.display());
            count += 1;
        }
    }
    assert!(count > 20, "{count} links");
}

/// In a line of a table, what stands in backticks is a test, a file of tests, or a name of the crate's: every file is
/// there, and so is every name that is written as a test is, in small letters with at least one underline.
#[test]
fn tests_are_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let sources: Vec<_> = ["tests", "src", "examples", "shaders"]
        .into_iter()
        .flat_map(|folder| [files(&root.join(folder), "rs"), files(&root.join(folder), "wgsl")].concat())
        .map(|path| (path.clone(), fs::read_to_string(path).expect("a source")))
        .collect();
    let functions: BTreeSet<&str> = sources
        .iter()
        .flat_map(|(_, text)| text.split("fn ").skip(1))
        .map(|rest| rest.split(['(', '<']).next().unwrap_or_default())
        .collect();
    let mut tests = 0;
    for page in ["docs/options.md", "docs/weights.md", "docs/promises.md"] {
        let text = fs::read_to_string(root.join(page)).expect("a page");
        for line in text.lines().filter(|line| line.starts_with('|')) {
            for name in line.split('`').skip(1).step_by(2) {
                if name.ends_with(".rs") {
                    let is_there = sources.iter().any(|(path, _)| path.ends_with(name));
                    assert!(is_there, "{page}: there is no {name}");
                } else if name.contains('_') && name.chars().all(|letter| letter.is_ascii_lowercase() || letter == '_')
                {
                    let is_there = functions.contains(name) || text_has(&sources, name);
                    assert!(is_there, "{page}: there is no {name}");
                    tests += usize::from(functions.contains(name));
                }
            }
        }
    }
    assert!(tests > 40, "{tests} tests");
}

/// Options of other frameworks that the crate's sources name, such as ONNX's.
fn text_has(sources: &[(PathBuf, String)], name: &str) -> bool {
    sources.iter().any(|(path, text)| path.components().any(|part| part.as_os_str() == "src") && text.contains(name))
}

/// What only the feature `harness` hands out.
const WITHOUT: [&str; 1] = ["Program"];

#[test]
fn public_types_have_examples() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let is_public = |path: &PathBuf| {
        !["harness.rs", "kernels", "lower", "twins"].iter().any(|part| path.iter().any(|found| found == *part))
    };
    let mut count = 0;
    for path in files(&src, "rs").into_iter().filter(is_public) {
        let text = fs::read_to_string(&path).expect("a source");
        let mut has_example = false;
        for line in text.lines() {
            let of_type =
                ["pub struct ", "pub enum ", "pub trait ", "pub type "].iter().find_map(|of| line.strip_prefix(of));
            if let Some(rest) = of_type {
                let name = rest.split(|letter: char| !letter.is_alphanumeric()).next().unwrap_or_default();
                assert!(has_example || WITHOUT.contains(&name), "{}: {name} has no example", path.display());
                count += 1;
            }
            // Attributes, and the notes of a maintainer, stand between the example and its type.
            let goes_on = line.starts_with("//") || line.starts_with('#') || line.starts_with(' ') || line == ")]";
            has_example = goes_on && (has_example || line.starts_with("/// ```"));
        }
    }
    assert!(count > 80, "{count} types");
}
