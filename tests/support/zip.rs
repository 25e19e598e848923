//! Zip archives, as they should be and as they should not.

/// A member: its name, how it is compressed (0: not, 8: deflated), its bytes there, and the size that it claims.
pub(crate) struct Member {
    pub(crate) name: &'static str,
    pub(crate) method: u16,
    pub(crate) bytes: Vec<u8>,
    pub(crate) size: u32,
}

impl Member {
    pub(crate) fn stored(name: &'static str, bytes: &[u8]) -> Self {
        Self { name, method: 0, size: bytes.len() as u32, bytes: bytes.to_vec() }
    }
}

/// An archive of these members, with the check sums of their bytes as they lie there.
pub(crate) fn archive(members: &[Member]) -> Vec<u8> {
    let (mut file, mut directory) = (Vec::new(), Vec::new());
    for Member { name, method, bytes, size } in members {
        let offset = file.len() as u32;
        let mut common = vec![20, 0, 0, 0];
        common.extend(method.to_le_bytes());
        common.extend([0; 4]);
        common.extend([crc32(bytes), bytes.len() as u32, *size].into_iter().flat_map(u32::to_le_bytes));
        common.extend([name.len() as u16, 0].into_iter().flat_map(u16::to_le_bytes));
        file.extend(b"PK\x03\x04".iter().chain(&common).chain(name.as_bytes()).chain(bytes));
        directory.extend(b"PK\x01\x02\x14\x00".iter().chain(&common).chain(&[0; 10]));
        directory.extend(offset.to_le_bytes());
        directory.extend(name.as_bytes());
    }
    let (begin, count) = (file.len() as u32, members.len() as u16);
    let len = directory.len() as u32;
    file.extend(directory);
    file.extend(b"PK\x05\x06\0\0\0\0".iter().copied().chain([count, count].into_iter().flat_map(u16::to_le_bytes)));
    file.extend([len, begin].into_iter().flat_map(u32::to_le_bytes));
    file.extend([0; 2]);
    file
}

/// The check sum of zip.
fn crc32(bytes: &[u8]) -> u32 {
    let of_bit = |crc: u32, _| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 };
    !bytes.iter().fold(!0, |crc, &byte| (0..8).fold(crc ^ u32::from(byte), of_bit))
}

/// Zeros, deflated as far as a fixed code does it: 258 for every 13 bits.
pub(crate) fn bomb(zeros: usize) -> Vec<u8> {
    let mut bits: Vec<bool> = Vec::new();
    // The last block, of the fixed code; a zero; as often as needed 258 times what was one before; the end.
    let mut code = |text: &str| bits.extend(text.chars().map(|bit| bit == '1'));
    code("110");
    code("00110000");
    for _ in 0..zeros / 258 {
        code("1100010100000");
    }
    code("0000000");
    bits.chunks(8).map(|byte| byte.iter().rev().fold(0, |byte, &bit| byte << 1 | u8::from(bit))).collect()
}
