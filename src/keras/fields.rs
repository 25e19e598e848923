//! Numbers as a file of HDF5 has them.

use crate::error::Result;
use crate::f16::from_f16;

/// What is wrong at the place that the caller names.
pub(super) type Read<T> = Result<T, String>;

/// The types of numbers that f32 holds, and whether the first byte is the highest.
#[derive(Clone, Copy)]
pub(super) struct Float {
    kind: FloatKind,
    is_big: bool,
}

#[derive(Clone, Copy, PartialEq)]
enum FloatKind {
    F32,
    F16,
    Bf16,
}

impl Float {
    /// Or the name of another type.
    pub(super) fn of(datatype: &[u8]) -> Read<Result<Self, String>> {
        const CLASSES: [&str; 11] = [
            "integer",
            "float",
            "time",
            "text",
            "bits",
            "opaque",
            "compound",
            "reference",
            "enumeration",
            "list",
            "array",
        ];
        let mut fields = Fields::new(datatype);
        let (class, order, _, _) = (fields.u8()? & 15, fields.u8()?, fields.u8()?, fields.u8()?);
        let size = fields.u32()?;
        let name = CLASSES.get(usize::from(class)).copied().unwrap_or("unknown");
        let other = format!("{name} of {size} bytes");
        // Bit 6 is an order of bytes of its own.
        if class != 1 || order & 0x40 != 0 {
            return Ok(Err(other));
        }
        let bits = [fields.u16()?, fields.u16()?];
        let parts = [fields.u8()?, fields.u8()?, fields.u8()?, fields.u8()?];
        // Where the exponent begins and how long it is, the same of the fraction; and the exponent of 1.
        let kind = match (size, bits, parts, fields.u32()?) {
            (4, [0, 32], [23, 8, 0, 23], 127) => FloatKind::F32,
            (2, [0, 16], [10, 5, 0, 10], 15) => FloatKind::F16,
            (2, [0, 16], [7, 8, 0, 7], 127) => FloatKind::Bf16,
            _ => return Ok(Err(other)),
        };
        Ok(Ok(Self { kind, is_big: order & 1 != 0 }))
    }

    pub(super) fn size(self) -> usize {
        if self.kind == FloatKind::F32 { 4 } else { 2 }
    }

    pub(super) fn read(self, data: &[u8]) -> Vec<f32> {
        let number = |bytes: &[u8]| {
            // Little-endian.
            let mut word = [0; 4];
            word[..bytes.len()].copy_from_slice(bytes);
            if self.is_big {
                word[..bytes.len()].reverse();
            }
            let bits = u32::from_le_bytes(word);
            match self.kind {
                FloatKind::F32 => f32::from_bits(bits),
                FloatKind::F16 => from_f16(bits as u16),
                FloatKind::Bf16 => f32::from_bits(bits << 16),
            }
        };
        data.chunks_exact(self.size()).map(number).collect()
    }
}

/// Numbers one after the other, little-endian.
pub(super) struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// How many bytes are left.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn bytes(&mut self, len: usize) -> Read<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len).ok_or("a part that is too short for what it is")?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const LEN: usize>(&mut self) -> Read<[u8; LEN]> {
        let (&taken, rest) = self.0.split_first_chunk().ok_or("a part that is too short for what it is")?;
        self.0 = rest;
        Ok(taken)
    }

    pub(super) fn u8(&mut self) -> Read<u8> {
        self.array().map(|[byte]| byte)
    }

    pub(super) fn u16(&mut self) -> Read<u16> {
        self.array().map(u16::from_le_bytes)
    }

    pub(super) fn u32(&mut self) -> Read<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self) -> Read<u64> {
        self.array().map(u64::from_le_bytes)
    }
}
