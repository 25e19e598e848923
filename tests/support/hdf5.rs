//! Files of HDF5 that tell what is not so.

/// A file of the first version, whose outermost object is what is made first.
pub(crate) struct Hdf5(Vec<u8>);

/// Where the first object lies.
pub(crate) const ROOT: u64 = 96;

fn words(numbers: &[u64]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
}

impl Hdf5 {
    pub(crate) fn new() -> Self {
        let mut file = b"\x89HDF\r\n\x1a\n\0\0\0\0\0\x08\x08\0\x04\0\x10\0\0\0\0\0".to_vec();
        file.extend(words(&[0, u64::MAX, 0, u64::MAX, 0, ROOT, 0, 0, 0]));
        Self(file)
    }

    /// The bytes, with the right end in their head.
    pub(crate) fn bytes(mut self) -> Vec<u8> {
        let end = self.end();
        self.0[40..48].copy_from_slice(&end.to_le_bytes());
        self.0
    }

    /// Where the next thing is put.
    pub(crate) fn end(&self) -> u64 {
        self.0.len() as u64
    }

    pub(crate) fn add(&mut self, bytes: &[u8]) -> u64 {
        let place = self.end();
        self.0.extend(bytes);
        place
    }

    /// The header of an object, with room to be put before what it speaks of.
    fn header(&mut self, messages: &[(u16, Vec<u8>)]) -> u64 {
        let body: Vec<u8> = messages
            .iter()
            .flat_map(|(kind, body)| {
                let sizes = [*kind, body.len() as u16, 0, 0];
                let head: Vec<u8> = sizes.into_iter().flat_map(u16::to_le_bytes).collect();
                [head, body.clone()].concat()
            })
            .collect();
        let mut head = vec![1, 0];
        head.extend((messages.len() as u16).to_le_bytes());
        head.extend([1_u32, body.len() as u32, 0].into_iter().flat_map(u32::to_le_bytes));
        self.add(&[head, body].concat())
    }

    /// The header of a group whose tree and names lie there.
    pub(crate) fn group_of(&mut self, tree: u64, heap: u64) -> u64 {
        self.header(&[(0x11, words(&[tree, heap]))])
    }

    /// A group of members that lie there: its header comes first, so that it may be the outermost.
    pub(crate) fn group(&mut self, members: &[(&str, u64)]) -> u64 {
        // Of a header: 16 bytes, 8 of the message and its two places.
        let begin = self.end() + 40;
        let names: Vec<u8> = members.iter().flat_map(|(name, _)| [name.as_bytes(), &[0]].concat()).collect();
        let tree = begin + 32 + names.len() as u64;
        let place = self.group_of(tree, begin);
        self.heap(&names);
        self.tree(&[tree + 8 + 16 + 8 + 16]);
        let mut offset = 0;
        let entries: Vec<[u64; 2]> = members
            .iter()
            .map(|&(name, place)| {
                let entry = [offset, place];
                offset += name.len() as u64 + 1;
                entry
            })
            .collect();
        self.leaf(&entries);
        place
    }

    pub(crate) fn heap(&mut self, names: &[u8]) -> u64 {
        let data = self.end() + 32;
        self.add(&[b"HEAP\0\0\0\0".to_vec(), words(&[names.len() as u64, 0, data]), names.to_vec()].concat())
    }

    pub(crate) fn tree(&mut self, children: &[u64]) -> u64 {
        let mut node = b"TREE\0\0".to_vec();
        node.extend((children.len() as u16).to_le_bytes());
        node.extend(words(&[u64::MAX, u64::MAX, 0]));
        node.extend(children.iter().flat_map(|&child| words(&[child, 0])));
        self.add(&node)
    }

    /// Places of names in the heap and of headers.
    pub(crate) fn leaf(&mut self, entries: &[[u64; 2]]) -> u64 {
        let mut node = b"SNOD\x01\0".to_vec();
        node.extend((entries.len() as u16).to_le_bytes());
        node.extend(entries.iter().flat_map(|&[name, header]| words(&[name, header, 0, 0, 0])));
        self.add(&node)
    }

    /// The header of an array of f32 whose numbers lie there.
    pub(crate) fn array(&mut self, shape: &[u64], place: u64, size: u64) -> u64 {
        self.array_of(b"\x11\x20\x1f\0\x04\0\0\0\0\0\x20\0\x17\x08\0\x17\x7f\0\0\0", shape, place, size)
    }

    /// The same of another type.
    pub(crate) fn array_of(&mut self, datatype: &[u8], shape: &[u64], place: u64, size: u64) -> u64 {
        let dataspace = [vec![1, shape.len() as u8, 0, 0, 0, 0, 0, 0], words(shape)].concat();
        let layout = [vec![3, 1], words(&[place, size])].concat();
        self.header(&[(0x01, dataspace), (0x03, datatype.to_vec()), (0x08, layout)])
    }
}
