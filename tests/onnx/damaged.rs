//! Files that are damaged or hostile: an answer or a typed error, in bounded time and memory.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::fs;
use std::time::{Duration, Instant};

use wgpu_gru::onnx::{Model, Op};
use wgpu_gru::rng::SplitMix64;
use wgpu_gru::{Error, Result};

use crate::support::onnx::{load, path};

thread_local! {
    /// What this thread holds, and the most that it held.
    static HELD: Cell<[isize; 2]> = const { Cell::new([0; 2]) };
}

fn note(bytes: isize) {
    HELD.with(|held| {
        let [now, most] = held.get();
        held.set([now + bytes, most.max(now + bytes)]);
    });
}

/// The system's memory, counted.
struct Counted;

#[global_allocator]
static COUNTED: Counted = Counted;

#[expect(unsafe_code, reason = "the allocator is the only place that sees all memory")]
// SAFETY: everything is handed on to the system as it came.
unsafe impl GlobalAlloc for Counted {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(layout.size() as isize);
        // SAFETY: the caller keeps what the trait asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        note(-(layout.size() as isize));
        // SAFETY: the caller keeps what the trait asks for.
        unsafe { System.dealloc(at, layout) }
    }
}

/// What a file of so many bytes may take, and what it may take of time, with room for a loaded machine.
const BYTES_PER_BYTE: usize = 200;
const BYTES: usize = 1 << 20;
const TIME: Duration = Duration::from_secs(20);

/// Reads all that there is in a file, and gives the first error. Whatever is made is a whole layer.
fn read_all(bytes: &[u8]) -> Result<usize> {
    let begin = Instant::now();
    let before = HELD.with(|held| {
        let [now, _] = held.get();
        held.set([now; 2]);
        now
    });
    let found = read(bytes);
    let most = HELD.with(Cell::get)[1] - before;
    assert!(most as usize <= BYTES + BYTES_PER_BYTE * bytes.len(), "{most} bytes for a file of {}", bytes.len());
    assert!(begin.elapsed() < TIME, "{:?} for a file of {} bytes", begin.elapsed(), bytes.len());
    found
}

fn read(bytes: &[u8]) -> Result<usize> {
    let model = Model::from_bytes(bytes)?;
    let (mut made, mut error) = (0, None);
    // Of many nodes the first ones: each is read for itself.
    for node in model.nodes().iter().take(64) {
        if matches!(node.op, Op::Gemm | Op::MatMul) {
            match model.linear(&node.name) {
                Ok(linear) => {
                    let bias = linear.bias.map_or(linear.weight.shape()[0], |bias| bias.values().len());
                    assert_eq!(linear.weight.shape()[0], bias, "a whole layer");
                    made += 1;
                }
                Err(found) => error = Some(error.unwrap_or(found)),
            }
            continue;
        }
        for layer in [model.layer(&node.name), model.single(&node.name)] {
            match layer {
                Ok(layer) => {
                    layer.weights.validate(&layer.config).expect("a whole layer");
                    assert_eq!(layer.first_states.len(), layer.config.num_layers, "a whole layer");
                    made += 1;
                }
                Err(found) => error = Some(error.unwrap_or(found)),
            }
        }
    }
    error.map_or(Ok(made), Err)
}

/// Small files of every kind.
const FILES: [&str; 7] =
    ["torchscript_gru", "dynamo_gru", "keras_gru_bidirectional", "every_attribute", "types", "refused", "branches"];

fn bytes_of(name: &str) -> Vec<u8> {
    fs::read(path(&format!("{name}.onnx"))).expect("a file")
}

/// Bits that flipped, ends that are missing, lengths and sizes that are something else, parts that come twice or not at
/// all: as many files, from a seed.
#[test]
fn damaged_files() {
    const ROUNDS: usize = 3000;
    let mut random = SplitMix64::new(16);
    let mut below = move |limit: usize| (random.next_u64() % limit.max(1) as u64) as usize;
    // Lengths of 2^63 and 2^64 - 1, of 2^31, and a whole number that does not end.
    let lengths: [&[u8]; 4] = [
        &[0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01],
        &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
        &[0x80, 0x80, 0x80, 0x80, 0x08],
        &[0xff; 11],
    ];
    let (mut whole, mut refused) = (0, 0);
    for name in FILES {
        let good = bytes_of(name);
        for _ in 0..ROUNDS {
            let mut bytes = good.clone();
            for _ in 0..1 + below(3) {
                let (place, other) = (below(bytes.len()), below(bytes.len()));
                match below(6) {
                    0 => bytes[place] ^= 1 << below(8),
                    1 => bytes[place] = [0, 1, 0x7f, 0x80, 0xff][below(5)],
                    2 => bytes.truncate(place.max(1)),
                    3 => drop(bytes.splice(place..place + 1, lengths[below(4)].iter().copied())),
                    4 => drop(bytes.drain(place.min(other)..place.max(other).min(place.min(other) + 64))),
                    _ => {
                        let part = bytes[place.min(other)..place.max(other).min(place.min(other) + 256)].to_vec();
                        drop(bytes.splice(place..place, part));
                    }
                }
                if bytes.is_empty() {
                    bytes.push(0);
                }
            }
            match read_all(&bytes) {
                Ok(_) => whole += 1,
                Err(_) => refused += 1,
            }
        }
    }
    assert!(whole > 100 && refused > 1000, "both come: {whole} whole, {refused} refused");
}

/// Every beginning of a file.
#[test]
fn cut_off_files() {
    for name in ["defaults", "every_attribute"] {
        let good = bytes_of(name);
        let layers = read_all(&good).expect("a whole file");
        for end in 0..good.len() {
            let found = read_all(&good[..end]);
            // What comes last is the opset, without which nothing is read.
            assert!(
                found.is_err() || found.is_ok_and(|found| found == layers && end > good.len() / 2),
                "{name} to {end}"
            );
        }
    }
}

/// A field of protobuf with bytes in it.
fn field(number: u8, bytes: impl AsRef<[u8]>) -> Vec<u8> {
    let bytes = bytes.as_ref();
    let mut made = vec![number << 3 | 2];
    let mut len = bytes.len();
    while len >= 0x80 {
        made.push(len as u8 | 0x80);
        len >>= 7;
    }
    made.push(len as u8);
    made.extend_from_slice(bytes);
    made
}

/// A field with a whole number.
fn number(field: u8, value: i64) -> Vec<u8> {
    let (mut made, mut value) = (vec![field << 3], value as u64);
    while value >= 0x80 {
        made.push(value as u8 | 0x80);
        value >>= 7;
    }
    made.push(value as u8);
    made
}

/// A node that is called as its first output.
fn node(op: &str, inputs: &[&str], outputs: &[&str], attributes: &[Vec<u8>]) -> Vec<u8> {
    named_node(outputs[0], op, inputs, outputs, attributes)
}

fn named_node(name: &str, op: &str, inputs: &[&str], outputs: &[&str], attributes: &[Vec<u8>]) -> Vec<u8> {
    let mut made: Vec<u8> = inputs.iter().flat_map(|name| field(1, name)).collect();
    made.extend(outputs.iter().flat_map(|name| field(2, name)));
    made.extend(field(3, name));
    made.extend(field(4, op));
    made.extend(attributes.iter().flat_map(|attribute| field(5, attribute)));
    field(1, made)
}

fn tensor(name: &str, dims: &[i64], data_type: i64, raw: &[u8]) -> Vec<u8> {
    let mut made: Vec<u8> = dims.iter().flat_map(|&size| number(1, size)).collect();
    made.extend(number(2, data_type));
    made.extend(field(8, name));
    made.extend(field(9, raw));
    field(5, made)
}

fn model(parts: &[Vec<u8>]) -> Vec<u8> {
    let mut made = number(1, 8);
    made.extend(field(7, parts.concat()));
    made.extend(field(8, number(2, 14)));
    made
}

/// A plain RNN of one unit that reads these.
fn rnn(x: &str, w: &str, y: &str) -> Vec<u8> {
    node("RNN", &[x, w, "R"], &[y], &[])
}

fn r() -> Vec<u8> {
    tensor("R", &[1, 1, 1], 1, &[0; 4])
}

fn axis(value: i64) -> Vec<u8> {
    [field(1, "axis"), number(3, value), [vec![0xa0, 1], vec![2]].concat()].concat()
}

#[track_caller]
fn assert_invalid(bytes: &[u8], begin: &str) {
    let error = read_all(bytes).expect_err(begin);
    assert!(matches!(&error, Error::InvalidFile { reason, .. } if reason.contains(begin)), "{error}, expected {begin}");
}

#[test]
fn graphs_that_nobody_can_compute() {
    let w = || tensor("W", &[1, 1, 1], 1, &[0; 4]);
    assert_eq!(read_all(&model(&[w(), r(), rnn("x", "W", "Y")])).expect("a model"), 2);
    let is_read_before = "is read before";
    assert_invalid(&model(&[w(), r(), rnn("Y", "W", "Y")]), is_read_before);
    assert_invalid(&model(&[w(), r(), rnn("Y2", "W", "Y"), rnn("Y", "W", "Y2")]), is_read_before);
    let identity = |from, to| node("Identity", &[from], &[to], &[]);
    assert_invalid(&model(&[r(), identity("a", "b"), identity("b", "a"), rnn("x", "a", "Y")]), is_read_before);
    assert_invalid(&model(&[w(), r(), rnn("x", "W", "Y"), rnn("x", "W", "Y")]), "is made twice");
    assert_invalid(&model(&[w(), r(), rnn("x", "W", "W")]), "is read before");
    assert_invalid(&model(&[w(), w(), r()]), "two initialisers are called W");
    let graph = model(&[w(), r(), rnn("x", "W", "Y")]);
    assert_invalid(&[graph.clone(), graph].concat(), "it has 2 graphs");
    assert_invalid(&[], "it has 0 graphs");
    assert_invalid(&field(7, []), "version of its operators");
    // Two nodes of one name.
    let named = |output| named_node("Y", "RNN", &["x", "W", "R"], &[output], &[]);
    let model = model(&[w(), r(), named("Y"), named("Z")]);
    let error = Model::from_bytes(model).and_then(|model| model.rnn("Y")).expect_err("two of them");
    assert!(
        matches!(&error, Error::InvalidFile { reason, .. } if reason.contains("two nodes are called Y")),
        "{error}"
    );
}

#[test]
fn sizes_that_are_not_so() {
    let of = |w: Vec<u8>| read_all(&model(&[w, r(), rnn("x", "W", "Y")]));
    for dims in [&[1, 1, -1][..], &[i64::MIN, 1, 1], &[-1]] {
        let error = of(tensor("W", dims, 1, &[0; 4])).expect_err("a negative size");
        assert!(matches!(&error, Error::InvalidFile { reason, .. } if reason.contains("has a size of -")), "{error}");
    }
    for dims in [
        &[i64::MAX, 1, 1][..],
        &[1 << 32, 1 << 32, 1],
        &[1 << 62, 1 << 62, 0],
        &[0, 1 << 62, 1 << 62],
        &[1, 1 << 61, 1],
    ] {
        let error = of(tensor("W", dims, 1, &[0; 4])).expect_err("too large");
        assert!(matches!(&error, Error::InvalidFile { reason, .. } if reason.contains("overflows")), "{error}");
    }
    for dims in [&[1, 1, 1 << 59][..], &[1 << 20, 1 << 20, 1], &[1, 1, 2], &[2], &[0, 1, 1]] {
        let error = of(tensor("W", dims, 1, &[0; 4])).expect_err("other sizes");
        assert!(matches!(&error, Error::ShapeMismatch { .. }), "{dims:?}: {error}");
    }
    for data_type in [0, 2, 8, 17, 99, -1] {
        let error = of(tensor("W", &[1, 1, 1], data_type, &[0; 4])).expect_err("another type");
        assert!(matches!(&error, Error::TensorType { .. }), "{data_type}: {error}");
    }
    // A layer of no features, and one of no units.
    for (w, attribute) in [(tensor("W", &[1, 1, 0], 1, &[]), None), (tensor("W", &[1, 0, 1], 1, &[]), Some(0))] {
        let attributes: Vec<_> =
            attribute.map(|size| [field(1, "hidden_size"), number(3, size)].concat()).into_iter().collect();
        let error =
            read_all(&model(&[w, r(), node("RNN", &["x", "W", "R"], &["Y"], &attributes)])).expect_err("nothing");
        let is_typed = matches!(&error, Error::ZeroSize { .. } | Error::UnsupportedLayer { .. });
        assert!(is_typed, "{error}");
    }
    let huge = [field(1, "hidden_size"), number(3, i64::MAX)].concat();
    let w = tensor("W", &[1, 1, 1], 1, &[0; 4]);
    let error = read_all(&model(&[w, r(), node("RNN", &["x", "W", "R"], &["Y"], &[huge])])).expect_err("too large");
    assert!(matches!(&error, Error::LimitExceeded { .. }), "{error}");
}

/// Graphs that say much in few bytes.
#[test]
fn much_in_few_bytes() {
    // Each joins the one before with itself: 2^60 numbers, or none at all in as many ways.
    for dims in [[1, 1, 1], [1, 1, 0]] {
        let raw = vec![0; 4 * dims[2] as usize];
        let mut parts = vec![tensor("w0", &dims, 1, &raw), r()];
        for step in 0..60 {
            let (from, to) = (format!("w{step}"), format!("w{}", step + 1));
            parts.push(node("Concat", &[&from, &from], &[&to], &[axis(2)]));
        }
        parts.push(rnn("x", "w60", "Y"));
        assert_invalid(&model(&parts), "more numbers than it holds");
    }
    // A long way to the numbers.
    let mut parts = vec![tensor("w0", &[1, 1, 1], 1, &[0; 4]), r()];
    for step in 0..100_000 {
        parts.push(node("Identity", &[&format!("w{step}")], &[&format!("w{}", step + 1)], &[]));
    }
    parts.push(rnn("x", "w100000", "Y"));
    let error = read_all(&model(&parts)).expect_err("too far");
    assert!(matches!(&error, Error::UnsupportedLayer { .. }), "{error}");
    // As many layers as there may be, and one more.
    for (layers, is_one) in [(4096, true), (4097, false)] {
        let one = || tensor("axis", &[1], 7, &1_i64.to_le_bytes());
        let mut parts = vec![tensor("W", &[1, 1, 1], 1, &[0; 4]), r(), one()];
        for layer in 0..layers {
            let (x, y) = (format!("x{layer}"), format!("y{layer}"));
            parts.push(rnn(&x, "W", &y));
            parts.push(node("Squeeze", &[&y, "axis"], &[&format!("x{}", layer + 1)], &[]));
        }
        let model = Model::from_bytes(model(&parts)).expect("a model");
        let layer = model.rnn("y0");
        let is_refused = matches!(&layer, Err(Error::InvalidOption { option: "num_layers", .. }));
        assert!(layer.is_ok() == is_one && is_refused != is_one, "{layers} layers");
    }
    // More nodes, numbers and values than are read.
    let empty = [0x0a, 0].repeat(1 << 18 | 1);
    let names = field(1, [0x0a, 0].repeat((1 << 20) + 1));
    let numbers = [0x2a, 0].repeat(1 << 18 | 1);
    for graph in [empty, names, numbers] {
        let error = read_all(&model(&[graph])).expect_err("too many");
        assert!(matches!(&error, Error::LimitExceeded { .. }), "{error}");
    }
    // Graphs in attributes of nodes of graphs, which are not looked at, and groups, which protobuf no longer has.
    let mut nested = Vec::new();
    for _ in 0..10_000 {
        nested = node("If", &[], &["out"], &[field(6, nested)]);
    }
    assert_eq!(read_all(&model(&[nested])).expect("a model"), 0);
    assert_invalid(&model(&[[0x7b].repeat(100_000)]), "recursion limit");
}

/// A file that is none of this kind, and none at all.
#[test]
fn other_files() {
    for bytes in [&b"\x89HDF\r\n\x1a\n"[..], b"PK\x03\x04", b"{}", &[0; 1000], &[0xff; 1000]] {
        let error = read_all(bytes).expect_err("no model");
        assert!(matches!(&error, Error::InvalidFile { format: "ONNX model", .. }), "{error}");
    }
    let error = Model::load(path("no_such_file.onnx")).expect_err("no file");
    assert!(matches!(error, Error::File { kind: std::io::ErrorKind::NotFound, .. }), "{error}");
    drop(load("defaults"));
}
