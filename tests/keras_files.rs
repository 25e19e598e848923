//! Files of Keras and NumPy that are damaged or hostile: a typed error, in time and memory that their size bounds; no GPU.

mod support;

use proptest::prelude::*;
use support::hdf5::{Hdf5, ROOT};
use support::keras::{ARRAYS, PATHS, RNN_WEIGHTS, SEQUENTIAL, members, model, with_members};
use support::zip::{Member, archive, bomb};
use wgpu_gru::keras::{Kind, Model};
use wgpu_gru::{Error, StateDict};

#[track_caller]
fn assert_invalid<T: std::fmt::Debug>(result: Result<T, Error>, reason: &str) {
    match result {
        Err(Error::InvalidFile { reason: found, .. }) => assert!(found.contains(reason), "{found}, expected {reason}"),
        other => panic!("{other:?}, expected {reason}"),
    }
}

/// Archives that are none, or unfold to more than anybody has.
#[test]
fn hostile_archives() {
    let npz = StateDict::from_npz;
    assert_invalid(npz(&[]), "");
    assert_invalid(npz(b"PK\x05\x06"), "");
    assert_eq!(npz(&archive(&[])).expect("an empty one"), StateDict::new());
    let header = |text: &str| [&b"\x93NUMPY\x01\x00"[..], &(text.len() as u16).to_le_bytes(), text.as_bytes()].concat();
    let array = |shape: &str, data: &[u8]| {
        let text = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}\n");
        archive(&[Member::stored("a.npy", &[&header(&text), data].concat())])
    };
    assert_eq!(npz(&array("(2,)", &[0; 8])).expect("an array").get("a").expect("it").shape(), [2]);
    assert_eq!(npz(&array("(0, 7)", &[])).expect("an array").get("a").expect("it").shape(), [0, 7]);
    for shape in ["(3,)", "(9223372036854775808,)", "(4294967296, 4294967296, 4294967296)", "()"] {
        assert_invalid(npz(&array(shape, &[0; 8])), "8 bytes of type <f4 in the shape");
    }
    assert_invalid(npz(&archive(&[Member::stored("a.npy", b"\x93NUMPY\x01\0\xff\xff")])), "no header");
    assert_invalid(npz(&archive(&[Member::stored("a.npy", b"\x93NUMPY\x02\0\xff\xff\xff\xff")])), "no header");
    assert_invalid(npz(&archive(&[Member::stored("a.txt", &[])])), "another name");
    let twice = || Member::stored("a.npy", &[]);
    assert_invalid(npz(&archive(&[twice(), twice()])), "two members are called a.npy");
    // A directory that tells of less or more than its end.
    for count in [0, 2] {
        let mut file = array("(2,)", &[0; 8]);
        let end = file.len() - 22;
        (file[end + 8], file[end + 10]) = (count, count);
        assert_invalid(npz(&file), &format!("1 members, and its end tells of {count}"));
    }
    let mut other_name = array("(2,)", &[0; 8]);
    other_name[30] = b'b';
    assert_invalid(npz(&other_name), "a.npy: it has another name where it lies");
    assert_invalid(npz(&archive(&[Member { method: 12, ..twice() }])), "stored and deflated are read");

    const ZEROS: usize = 1 << 27;
    let zeros = bomb(ZEROS);
    assert!(zeros.len() * 64 < ZEROS - (1 << 24), "a bomb");
    for size in [ZEROS as u32, u32::MAX - 1, 100] {
        let member = Member { name: "a.npy", method: 8, bytes: zeros.clone(), size };
        assert_invalid(npz(&archive(&[member])), if size == 100 { "a.npy: " } else { "unfold to more than 64 times" });
    }
    let [metadata, config, _] = members(SEQUENTIAL);
    let files = [metadata.clone(), config.clone(), vec![]];
    assert_invalid(Model::from_bytes(&with_members(&files)), "24 bytes at byte 0");
    let old = [br#"{"keras_version": "2.15.0"}"#.to_vec(), config, vec![]];
    assert_invalid(Model::from_bytes(&with_members(&old)), "version 2.15.0 of Keras wrote it, expected 3");
    let deep = [metadata.clone(), [vec![b'['; 100_000], vec![b']'; 100_000]].concat(), vec![]];
    assert_invalid(Model::from_bytes(&with_members(&deep)), "recursion limit exceeded");
    let layers = |name: &str| {
        let of_name = |name: &str| format!(r#"{{"class_name": "GRU", "config": {{"name": "{name}", "units": 1}}}}"#);
        let inner = vec![of_name("a"); 50_000].join(",");
        let inner = format!(r#"{{"class_name": "Sequential", "config": {{"name": "{name}", "layers": [{inner}]}}}}"#);
        let outer = format!(r#"{{"class_name": "Sequential", "config": {{"name": "b", "layers": [{inner}]}}}}"#);
        with_members(&[metadata.clone(), outer.into_bytes(), members(SEQUENTIAL)[2].clone()])
    };
    // Many layers of which the file has no array: errors that are small.
    let many = Model::from_bytes(&layers("c")).expect("layers");
    assert_eq!(many.layers().len(), 50_000);
    let error = many.gru_weights(&["c/a"]).expect_err("no array").to_string();
    assert!(error.starts_with("there is no tensor layers/sequential/layers/gru/cell/vars/0; there is none"), "{error}");
    assert_invalid(Model::from_bytes(&layers(&"c".repeat(1000))), "a layer with a name of 1002 bytes");
    let long = [metadata.clone(), vec![b' '; (1 << 22) + 1], vec![]];
    assert_invalid(Model::from_bytes(&with_members(&long)), "config.json has 4194305 bytes");
    let own = [metadata, br#"{"class_name": "Mine", "config": {}}"#.to_vec(), members(SEQUENTIAL)[2].clone()];
    assert_invalid(Model::from_bytes(&with_members(&own)), "a model of class Mine, neither Sequential nor Functional");
    assert!(StateDict::from_keras(&with_members(&own)).expect("arrays").names().count() > 10, "its arrays");
    assert_invalid(Model::from_bytes(ARRAYS), "it has no member metadata.json");
}

/// Files that tell of more than they hold: an error, in time and memory that their size bounds.
#[test]
fn hostile_hdf5() {
    let read = |file: Hdf5| StateDict::from_keras(&file.bytes());
    // As it should be: the header of the group is the first object, then its 40 + 32 + 2 + 48 + 48 bytes of members.
    let group = |members: &[(&str, u64)]| {
        let mut file = Hdf5::new();
        assert_eq!(file.group(members), ROOT);
        file
    };
    let place = group(&[("a", 0)]).end();
    let with_array = |shape: &[u64], data: u64, size: u64| {
        let mut file = group(&[("a", place)]);
        file.array(shape, data, size);
        file.add(&[0; 64]);
        read(file)
    };
    let end = {
        let mut file = group(&[("a", place)]);
        file.array(&[2, 3], 0, 0);
        file.end()
    };
    assert_eq!(with_array(&[2, 3], end, 24).expect("a file").get("a").expect("an array").shape(), [2, 3]);
    assert_eq!(with_array(&[2, 0], u64::MAX, 0).expect("a file").get("a").expect("an array").shape(), [2, 0]);
    for (shape, data, size, reason) in [
        (&[2, 3][..], end, 28, "/a: 28 bytes, and its type and shape make 24"),
        (&[2, 3], u64::MAX, 24, "/a: its numbers were never written"),
        (&[2, 3], u64::MAX - 8, 24, "/a: 24 bytes at byte"),
        (&[1 << 40, 1 << 40], end, 24, "/a: the shape [1099511627776, 1099511627776]"),
        (&[1 << 61], end, 24, "/a: 24 bytes, and its type and shape make 9223372036854775808"),
        (&[1 << 40], end, 1 << 42, "/a: 4398046511104 bytes at byte"),
        (&[1; 33], end, 4, "/a: an array of 33 dimensions"),
    ] {
        assert_invalid(with_array(shape, data, size), reason);
    }
    // A group in itself; one that is called twice the same; names that are none.
    assert_invalid(read(group(&[("a", ROOT)])), "would be larger than the file");
    assert_invalid(read(group(&[("a", ROOT), ("a", ROOT)])), "two members are called a");
    assert_invalid(read(group(&[("a/b", ROOT)])), "the name \"a/b\"");
    assert_invalid(read(group(&[("", ROOT)])), "the name \"\"");
    assert_invalid(read(group(&[("a", u64::MAX - 3)])), "/a: 16 bytes at byte");
    // A million names for the same numbers.
    let mut file = group(&vec![("a", place); 1000]);
    file.array(&[1000], 0, 4000);
    assert_invalid(read(file), "two members are called a");
    let names: Vec<String> = (0..10_000).map(|name| name.to_string()).collect();
    let members = |place| names.iter().map(|name| (name.as_str(), place)).collect::<Vec<_>>();
    let place = group(&members(0)).end();
    let mut file = group(&members(place));
    let data = file.end() + 200;
    file.array(&[100_000], data, 400_000);
    file.add(&vec![0; 400_200]);
    assert_invalid(read(file), "would be larger than the file");
    // A tree whose 65,535 branches are one leaf of 65,535 entries, all of one long name: 4 x 10^9 names of 64 kB.
    let mut file = Hdf5::new();
    let heap = ROOT + 40;
    let leaf = heap + 32 + (1 << 16);
    let tree = leaf + 8 + 40 * 65_535;
    file.group_of(tree, heap);
    file.heap(&[vec![b'a'; (1 << 16) - 1], vec![0]].concat());
    assert_eq!(file.leaf(&vec![[0, ROOT]; 65_535]), leaf);
    assert_eq!(file.tree(&vec![leaf; 65_535]), tree);
    assert_invalid(read(file), "would be larger than the file");
    // A tree that is its own branch.
    let mut file = Hdf5::new();
    file.group_of(heap + 32 + 1, heap);
    file.heap(&[0]);
    let tree = file.end();
    file.tree(&vec![tree; 1000]);
    assert_invalid(read(file), "would be larger than the file");
    // Groups in groups.
    let mut file = Hdf5::new();
    for depth in 0..80 {
        let next = file.end() + 40 + 32 + 2 + 48 + 48;
        assert_eq!(file.group(&[("a", next)]) == ROOT, depth == 0);
    }
    assert_invalid(read(file), "groups that lie too deep in each other");
    // Floats of 16 bits and of the other order of bytes; others are listed.
    let types: [(&[u8; 20], [u8; 8], u64); 5] = [
        (b"\x11\x20\x0f\0\x02\0\0\0\0\0\x10\0\x0a\x05\0\x0a\x0f\0\0\0", [0, 0x3e, 0x80, 0xc2, 0, 0, 0, 0], 2),
        (b"\x11\x21\x0f\0\x02\0\0\0\0\0\x10\0\x0a\x05\0\x0a\x0f\0\0\0", [0x3e, 0, 0xc2, 0x80, 0, 0, 0, 0], 2),
        (b"\x11\x20\x0f\0\x02\0\0\0\0\0\x10\0\x07\x08\0\x07\x7f\0\0\0", [0xc0, 0x3f, 0x50, 0xc0, 0, 0, 0, 0], 2),
        (b"\x11\x20\x1f\0\x04\0\0\0\0\0\x20\0\x17\x08\0\x17\x7f\0\0\0", [0, 0, 0xc0, 0x3f, 0, 0, 0x50, 0xc0], 4),
        (b"\x11\x21\x1f\0\x04\0\0\0\0\0\x20\0\x17\x08\0\x17\x7f\0\0\0", [0x3f, 0xc0, 0, 0, 0xc0, 0x50, 0, 0], 4),
    ];
    for (datatype, data, size) in types {
        let mut file = group(&[("a", group(&[("a", 0)]).end())]);
        let place = file.end() + 16 + (8 + 16) + (8 + 20) + (8 + 18);
        file.array_of(datatype, &[2], place, 2 * size);
        assert_eq!(file.add(&data), place);
        assert_eq!(read(file).expect("a file").get("a").expect("an array").values(), [1.5, -3.25], "{datatype:?}");
    }
    let float = b"\x11\x20\x1f\0\x04\0\0\0";
    let mut integers = RNN_WEIGHTS.to_vec();
    let place = integers.windows(8).position(|window| window == float).expect("a type");
    integers[place] = 0x10;
    let dict = StateDict::from_keras(&integers).expect("a file");
    let other = dict.names().filter(|name| matches!(dict.get(name), Err(Error::TensorType { .. }))).count();
    assert_eq!((other, dict.names().count()), (1, 2), "one of two");
    // Newer forms, of which Keras writes none.
    let mut newer = RNN_WEIGHTS.to_vec();
    newer[8] = 2;
    assert_invalid(StateDict::from_keras(&newer), "a superblock of version 2; Keras writes version 0");
    assert_invalid(StateDict::from_keras(&RNN_WEIGHTS[..RNN_WEIGHTS.len() - 1]), "cut short: 13639 bytes of 13640");
}

/// Bits that flip and bytes that are others, near what is not zero.
fn damage(bytes: &mut Vec<u8>, flips: &[(prop::sample::Index, u8)], cut: Option<prop::sample::Index>) {
    let hot: Vec<usize> =
        (0..bytes.len()).filter(|&at| bytes[at.saturating_sub(8)..=at].iter().any(|&byte| byte != 0)).collect();
    for (place, change) in flips {
        let at = hot[place.index(hot.len())];
        // One bit, or a byte of its own.
        bytes[at] = if change % 2 == 0 { bytes[at] ^ 1 << (change / 2 % 8) } else { change.wrapping_mul(85) };
    }
    if let Some(end) = cut {
        bytes.truncate(end.index(bytes.len()));
    }
}

fn flips() -> impl Strategy<Value = Vec<(prop::sample::Index, u8)>> {
    prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..5)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// An archive has check sums: all of it, bit by bit, or a typed error.
    #[test]
    fn damaged_files(flips in flips(), cut in any::<Option<prop::sample::Index>>(), whole: bool) {
        let mut bytes = SEQUENTIAL.to_vec();
        damage(&mut bytes, &flips, cut.filter(|_| !whole));
        match Model::from_bytes(&bytes) {
            Ok(found) => {
                let model = model(SEQUENTIAL);
                prop_assert_eq!(found.state_dict(), model.state_dict());
                prop_assert_eq!(format!("{:?}", found.layers()), format!("{:?}", model.layers()));
            }
            Err(error) => prop_assert!(matches!(error, Error::InvalidFile { .. }), "{error}"),
        }
    }

    /// The same inside of it, behind check sums that are right: arrays with their shapes, or a typed error; and a layer
    /// that was read has the weights that its config asks for.
    #[test]
    fn damaged_arrays_and_configs(flips in flips(), cut in any::<Option<prop::sample::Index>>(), whole: bool, which in 1..3_usize) {
        let mut files = members(SEQUENTIAL);
        damage(&mut files[which], &flips, cut.filter(|_| !whole));
        match Model::from_bytes(&with_members(&files)) {
            Ok(found) => for layer in found.layers() {
                let weights = match &layer.kind {
                    Kind::Gru(_) => found.gru_weights(&[&layer.name]).map(|(config, weights, _)| weights.validate(&config)),
                    Kind::Rnn(_) => found.rnn_weights(&[&layer.name]).map(|(config, weights, _)| weights.validate(&config)),
                    _ => continue,
                };
                // Two layers may have come to the same name, of which the first is found.
                if let Ok(weights) = weights {
                    prop_assert!(weights.is_ok(), "{layer}");
                }
            },
            Err(error) => prop_assert!(matches!(error, Error::InvalidFile { .. }), "{error}"),
        }
        if which == 2 {
            let arrays = StateDict::from_keras(&files[2]);
            prop_assert!(matches!(arrays, Ok(_) | Err(Error::InvalidFile { .. })), "a typed error");
        }
    }

    #[test]
    fn damaged_files_of_numpy(flips in flips(), cut in any::<Option<prop::sample::Index>>(), whole: bool) {
        let mut bytes = PATHS.to_vec();
        damage(&mut bytes, &flips, cut.filter(|_| !whole));
        match StateDict::from_npz(&bytes) {
            Ok(found) => prop_assert_eq!(found, StateDict::from_npz(PATHS).expect("a file")),
            Err(error) => prop_assert!(matches!(error, Error::InvalidFile { .. }), "{error}"),
        }
        // And a header behind a right check sum.
        let text = "{'descr': '<f4', 'fortran_order': True, 'shape': (2, 3), }\n";
        let mut array = [&b"\x93NUMPY\x01\x00"[..], &(text.len() as u16).to_le_bytes(), text.as_bytes(), &[1; 24]].concat();
        damage(&mut array, &flips, cut.filter(|_| !whole));
        let found = StateDict::from_npz(&archive(&[Member::stored("a.npy", &array)]));
        prop_assert!(matches!(found, Ok(_) | Err(Error::InvalidFile { .. })), "a typed error");
    }
}
