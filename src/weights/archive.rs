//! A zip archive in memory, read with bounds: what `.npz` and `.keras` files are.

use std::collections::BTreeMap;
use std::io::Read;

use rawzip::{CompressionMethod, ZipArchive, ZipArchiveEntryWayfinder, ZipSliceArchive};

use crate::error::{Error, Result};

/// How many times its own size an archive may unfold to, beside [`SPARE`]: far more than weights ever do, and far less
/// than the thousandfold of a bomb.
const MOST_RATIO: u64 = 64;
/// What any archive may unfold to: small ones of zeros are honest.
const SPARE: u64 = 1 << 24;

struct Member {
    place: ZipArchiveEntryWayfinder,
    method: CompressionMethod,
    size: u64,
}

/// The members of an archive by their names.
pub(crate) struct Archive<'a> {
    format: &'static str,
    zip: ZipSliceArchive<&'a [u8]>,
    members: BTreeMap<String, Member>,
    /// How many bytes may still be unfolded.
    left: u64,
}

impl<'a> Archive<'a> {
    /// Reads the directory of an archive, which is a file of `format`.
    ///
    /// # Errors
    /// [`Error::InvalidFile`].
    pub(crate) fn open(bytes: &'a [u8], format: &'static str) -> Result<Self> {
        let invalid = |reason: String| Error::InvalidFile { format, reason };
        let zip = ZipArchive::from_slice(bytes).map_err(|error| invalid(error.to_string()))?;
        let mut members = BTreeMap::new();
        let mut entries = zip.entries();
        while let Some(entry) = entries.next_entry().map_err(|error| invalid(error.to_string()))? {
            let name = std::str::from_utf8(entry.file_path().as_bytes());
            let name = name.map_err(|_| invalid("the name of a member is no UTF-8".into()))?.to_owned();
            let (method, size) = (entry.compression_method(), entry.uncompressed_size_hint());
            let member = Member { place: entry.wayfinder(), method, size };
            if members.insert(name.clone(), member).is_some() {
                return Err(invalid(format!("two members are called {name}")));
            }
        }
        // A directory that is cut short ends without an error.
        if members.len() as u64 != zip.entries_hint() {
            let reason = format!("{} members, and its end tells of {}", members.len(), zip.entries_hint());
            return Err(invalid(reason));
        }
        let left = (bytes.len() as u64).saturating_mul(MOST_RATIO).saturating_add(SPARE);
        Ok(Self { format, zip, members, left })
    }

    /// All names, in the order of their letters.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.members.keys().map(String::as_str)
    }

    /// The bytes of a member, whose check sum is right.
    ///
    /// # Errors
    /// [`Error::InvalidFile`] where there is none, it is damaged or compressed in another way, or all that was read
    /// together is over what such an archive may unfold to.
    pub(crate) fn read(&mut self, name: &str) -> Result<Vec<u8>> {
        let invalid = |reason: String| Error::InvalidFile { format: self.format, reason };
        let member = self.members.get(name).ok_or_else(|| invalid(format!("it has no member {name}")))?;
        self.left = self.left.checked_sub(member.size).ok_or_else(|| {
            invalid(format!("its members unfold to more than {MOST_RATIO} times its size: {name} to {}", member.size))
        })?;
        let damaged = |error: String| invalid(format!("{name}: {error}"));
        let entry = self.zip.get_entry(member.place).map_err(|error| damaged(error.to_string()))?;
        // It has its name in two places, of which no check sum knows.
        if entry.local_header().file_path().as_bytes() != name.as_bytes() {
            return Err(damaged("it has another name where it lies".into()));
        }
        let mut bytes = Vec::new();
        // One byte more than it is to have, which the verification then refuses.
        let most = member.size.saturating_add(1);
        let done = match member.method {
            CompressionMethod::STORE => entry.verifying_reader(entry.data()).take(most).read_to_end(&mut bytes),
            CompressionMethod::DEFLATE => {
                let inflated = flate2::read::DeflateDecoder::new(entry.data());
                entry.verifying_reader(inflated).take(most).read_to_end(&mut bytes)
            }
            other => return Err(damaged(format!("compressed by {other}; stored and deflated are read"))),
        };
        done.map_err(|error| damaged(error.to_string()))?;
        if bytes.len() as u64 == member.size {
            Ok(bytes)
        } else {
            Err(damaged(format!("{} bytes, expected {}", bytes.len(), member.size)))
        }
    }
}
