//! Files of HDF5 as Keras writes them: named arrays in groups, of the first version of the format
//! (<https://support.hdfgroup.org/documentation/hdf5/latest/_f_m_t3.html>), each in one piece, not compressed.
//!
//! A file tells where everything is in it, and a damaged or hostile one tells anything. So every place is checked, and
//! all that is read, names included, comes out of a [budget](Reader::left) in proportion to the size of the file:
//! groups that hold themselves, or many names for the same numbers, end in an error, whatever their form.

use std::collections::BTreeSet;

use super::fields::{Fields, Float, Read};
use crate::error::{Error, Result};
use crate::weights::{Array, StateDict};

const FORMAT: &str = "file of HDF5";
pub(super) const SIGNATURE: &[u8] = b"\x89HDF\r\n\x1a\n";

/// Each byte of an honest file is read about once; and a name is read as often as something lies below it.
const READS_OF_A_BYTE: usize = 4;
/// Groups in groups at most. Keras has some 10.
const MAX_DEPTH: usize = 64;
/// Dimensions of an array, of which HDF5 has 32 at most.
const MAX_RANK: usize = 32;
/// The place of what was never written.
const NOWHERE: u64 = u64::MAX;

/// The types of messages in the header of an object.
mod message {
    pub(super) const DATASPACE: u16 = 0x01;
    pub(super) const LINK_INFO: u16 = 0x02;
    pub(super) const DATATYPE: u16 = 0x03;
    pub(super) const LINK: u16 = 0x06;
    pub(super) const LAYOUT: u16 = 0x08;
    pub(super) const FILTERS: u16 = 0x0b;
    pub(super) const CONTINUATION: u16 = 0x10;
    pub(super) const SYMBOL_TABLE: u16 = 0x11;
}

/// All arrays of a file by their paths, without the slash at the beginning.
///
/// # Errors
/// [`Error::InvalidFile`].
pub(super) fn read(bytes: &[u8]) -> Result<StateDict> {
    let mut reader = Reader { bytes, left: bytes.len().saturating_mul(READS_OF_A_BYTE) };
    let mut groups = vec![(String::new(), reader.root()?, 0)];
    let mut dict = StateDict::new();
    while let Some((path, place, depth)) = groups.pop() {
        match reader.object(place).map_err(|reason| at(&path, &reason))? {
            Object::Group(members) if depth < MAX_DEPTH => {
                let mut known = BTreeSet::new();
                for (name, place) in members {
                    reader.spend(path.len() + name.len()).map_err(|reason| at(&path, &reason))?;
                    if !known.insert(name.clone()) {
                        return Err(at(&path, &format!("two members are called {name}")));
                    }
                    let path = if path.is_empty() { name } else { format!("{path}/{name}") };
                    groups.push((path, place, depth + 1));
                }
            }
            Object::Group(_) => return Err(at(&path, "groups that lie too deep in each other")),
            Object::Array(array) => dict.insert(path, array),
            Object::Other(dtype) => dict.insert_other(path, dtype),
        }
    }
    Ok(dict)
}

fn at(path: &str, reason: &str) -> Error {
    Error::InvalidFile { format: FORMAT, reason: format!("/{path}: {reason}") }
}

enum Object {
    /// Names of what is in it, and where that is.
    Group(Vec<(String, u64)>),
    Array(Array),
    /// An array of numbers of another type.
    Other(String),
}

/// What the messages in the header of an object say.
#[derive(Default)]
struct Header<'a> {
    dataspace: Option<&'a [u8]>,
    datatype: Option<&'a [u8]>,
    layout: Option<&'a [u8]>,
    symbol_table: Option<&'a [u8]>,
    is_filtered: bool,
    is_of_newer_format: bool,
}

struct Reader<'a> {
    bytes: &'a [u8],
    /// How many bytes may still be read.
    left: usize,
}

impl<'a> Reader<'a> {
    fn spend(&mut self, bytes: usize) -> Read<()> {
        self.left = self.left.checked_sub(bytes).ok_or("what it holds would be larger than the file")?;
        Ok(())
    }

    /// Some bytes of the file.
    fn take(&mut self, place: u64, len: u64) -> Read<&'a [u8]> {
        let outside = || format!("{len} bytes at byte {place}, and the file has {}", self.bytes.len());
        let range = usize::try_from(place).ok().zip(place.checked_add(len).and_then(|end| usize::try_from(end).ok()));
        let (begin, end) = range.ok_or_else(outside)?;
        let taken = self.bytes.get(begin..end).ok_or_else(outside)?;
        self.spend(taken.len())?;
        Ok(taken)
    }

    /// Where the header of the outermost group is: the superblock says so, and of which version everything is.
    fn root(&mut self) -> Result<u64> {
        let read = |reader: &mut Self| -> Read<u64> {
            let mut fields = Fields::new(reader.take(0, 24)?);
            if fields.bytes(8)? != SIGNATURE {
                return Err("no signature of HDF5".into());
            }
            let version = fields.u8()?;
            if version > 1 {
                return Err(format!(
                    "a superblock of version {version}; Keras writes version 0, h5py's libver='earliest'"
                ));
            }
            fields.bytes(4)?;
            if [fields.u8()?, fields.u8()?] != [8, 8] {
                return Err("places of another size than 8 bytes".into());
            }
            // Version 1 has one more number and its padding.
            let mut fields = Fields::new(reader.take(24 + 4 * u64::from(version), 32 + 40)?);
            if fields.u64()? != 0 {
                return Err("it begins in the midst of another file".into());
            }
            fields.u64()?;
            let end = fields.u64()?;
            if end > reader.bytes.len() as u64 {
                return Err(format!("cut short: {} bytes of {end}", reader.bytes.len()));
            }
            fields.bytes(16)?;
            fields.u64()
        };
        read(self).map_err(|reason| Error::InvalidFile { format: FORMAT, reason })
    }

    fn object(&mut self, place: u64) -> Read<Object> {
        let header = self.header(place)?;
        if let Some(table) = header.symbol_table {
            return self.group(table).map(Object::Group);
        }
        if header.is_of_newer_format {
            return Err("a group of a newer format; Keras writes h5py's libver='earliest'".into());
        }
        let (Some(dataspace), Some(datatype)) = (header.dataspace, header.datatype) else {
            return Err("neither a group nor an array".into());
        };
        let float = match Float::of(datatype)? {
            Ok(float) => float,
            Err(dtype) => return Ok(Object::Other(dtype)),
        };
        if header.is_filtered {
            return Err("compressed, which Keras does not do".into());
        }
        let shape = shape(dataspace)?;
        let len = shape.iter().try_fold(float.size(), |len: usize, &axis| len.checked_mul(axis));
        let len = len.ok_or_else(|| format!("the shape {shape:?}"))?;
        let data = self.data(header.layout.ok_or("an array without numbers")?, len as u64)?;
        Ok(Object::Array(Array::of(shape, float.read(data))))
    }

    /// The messages of an object header, those of its continuations as well.
    fn header(&mut self, place: u64) -> Read<Header<'a>> {
        let mut fields = Fields::new(self.take(place, 16)?);
        let version = fields.u8()?;
        if version != 1 {
            return Err(format!("the header of an object of version {version} at byte {place}, expected 1"));
        }
        fields.bytes(7)?;
        let size = fields.u32()?;
        let begin = place.checked_add(16).ok_or("a place past the end")?;
        let mut blocks = vec![(begin, u64::from(size))];
        let mut header = Header::default();
        while let Some((place, size)) = blocks.pop() {
            let mut fields = Fields::new(self.take(place, size)?);
            // What is left may be too short for one more.
            while fields.len() >= 8 {
                let (kind, size, flags) = (fields.u16()?, fields.u16()?, fields.u8()?);
                fields.bytes(3)?;
                let body = fields.bytes(size.into())?;
                if kind == message::CONTINUATION {
                    let mut body = Fields::new(body);
                    blocks.push((body.u64()?, body.u64()?));
                    continue;
                }
                let slot = match kind {
                    message::DATASPACE => &mut header.dataspace,
                    message::DATATYPE => &mut header.datatype,
                    message::LAYOUT => &mut header.layout,
                    message::SYMBOL_TABLE => &mut header.symbol_table,
                    message::FILTERS => {
                        header.is_filtered = true;
                        continue;
                    }
                    message::LINK | message::LINK_INFO => {
                        header.is_of_newer_format = true;
                        continue;
                    }
                    // Times, fill values, attributes.
                    _ => continue,
                };
                // It lies elsewhere, and this is its place.
                if flags & 2 != 0 {
                    return Err("a type or shape that is shared by several arrays".into());
                }
                if slot.replace(body).is_some() {
                    return Err(format!("two messages of kind {kind}"));
                }
            }
        }
        Ok(header)
    }

    /// The members of a group: a tree whose leaves are lists of names, in alphabetic order.
    fn group(&mut self, table: &[u8]) -> Read<Vec<(String, u64)>> {
        let mut fields = Fields::new(table);
        let (root, heap) = (fields.u64()?, fields.u64()?);
        let mut fields = Fields::new(self.take(heap, 32)?);
        if fields.bytes(8)? != b"HEAP\0\0\0\0" {
            return Err(format!("no heap of names at byte {heap}"));
        }
        let (len, _, place) = (fields.u64()?, fields.u64()?, fields.u64()?);
        let names = self.take(place, len)?;
        let mut members = Vec::new();
        let mut nodes = vec![root];
        while let Some(place) = nodes.pop() {
            let mut fields = Fields::new(self.take(place, 8)?);
            match fields.bytes(4)? {
                b"TREE" => {
                    let (kind, _level, entries) = (fields.u8()?, fields.u8()?, fields.u16()?);
                    if kind != 0 {
                        return Err(format!("a tree of another kind at byte {place}"));
                    }
                    // Two siblings, then the first key; after it a child and a key in turn.
                    let place = place.checked_add(8).ok_or("a place past the end")?;
                    let mut fields = Fields::new(self.take(place, 24 + 16 * u64::from(entries))?);
                    fields.bytes(24)?;
                    let children = (0..entries).map(|_| {
                        let child = fields.u64()?;
                        fields.u64()?;
                        Ok(child)
                    });
                    let children: Vec<u64> = children.collect::<Read<_>>()?;
                    // Popped in the order in which they are.
                    nodes.extend(children.into_iter().rev());
                }
                b"SNOD" => {
                    fields.bytes(2)?;
                    let entries = fields.u16()?;
                    let place = place.checked_add(8).ok_or("a place past the end")?;
                    let mut fields = Fields::new(self.take(place, 40 * u64::from(entries))?);
                    for _ in 0..entries {
                        let (name, header, kind) = (fields.u64()?, fields.u64()?, fields.u32()?);
                        fields.bytes(20)?;
                        let name = self.name(names, name)?;
                        if kind == 2 {
                            return Err(format!("{name} is a link to another place, which Keras does not make"));
                        }
                        members.push((name, header));
                    }
                }
                _ => return Err(format!("no node of a group at byte {place}")),
            }
        }
        Ok(members)
    }

    /// A name of a heap: up to the next zero.
    fn name(&mut self, names: &[u8], place: u64) -> Read<String> {
        let rest = usize::try_from(place).ok().and_then(|place| names.get(place..)).ok_or("a name outside its heap")?;
        let len = rest.iter().position(|&byte| byte == 0).ok_or("a name without an end")?;
        self.spend(len)?;
        match std::str::from_utf8(&rest[..len]) {
            Ok(name) if !name.is_empty() && !name.contains('/') => Ok(name.into()),
            _ => Err(format!("the name {:?}", String::from_utf8_lossy(&rest[..len.min(80)]))),
        }
    }

    /// The bytes of an array that is to have so many.
    fn data(&mut self, layout: &'a [u8], len: u64) -> Read<&'a [u8]> {
        let mut fields = Fields::new(layout);
        let (version, class) = (fields.u8()?, fields.u8()?);
        if !matches!(version, 3 | 4) {
            return Err(format!("the layout of an array of version {version}, expected 3 or 4"));
        }
        let (place, size) = match class {
            0 => {
                let size = fields.u16()?;
                let data = fields.bytes(size.into())?;
                self.spend(data.len())?;
                return if data.len() as u64 == len { Ok(data) } else { Err(other_size(size.into(), len)) };
            }
            1 => (fields.u64()?, fields.u64()?),
            _ => return Err("in chunks, which Keras does not do".into()),
        };
        match (place, size) {
            // An array of no elements lies nowhere.
            (NOWHERE, 0) if len == 0 => Ok(&[]),
            (NOWHERE, _) => Err("its numbers were never written".into()),
            (_, size) if size == len => self.take(place, size),
            (_, size) => Err(other_size(size, len)),
        }
    }
}

fn other_size(size: u64, len: u64) -> String {
    format!("{size} bytes, and its type and shape make {len}")
}

/// The shape of an array.
fn shape(dataspace: &[u8]) -> Read<Vec<usize>> {
    let mut fields = Fields::new(dataspace);
    let (version, rank, _flags, kind) = (fields.u8()?, fields.u8()?, fields.u8()?, fields.u8()?);
    match (version, kind) {
        (1, _) => drop(fields.bytes(4)?),
        // A scalar, or an array.
        (2, 0 | 1) => {}
        (2, _) => return Err("an array without a shape".into()),
        _ => return Err(format!("the shape of an array of version {version}, expected 1 or 2")),
    }
    if usize::from(rank) > MAX_RANK {
        return Err(format!("an array of {rank} dimensions"));
    }
    let axes = (0..rank).map(|_| {
        let axis = fields.u64()?;
        usize::try_from(axis).map_err(|_| format!("a dimension of {axis}"))
    });
    axes.collect()
}
