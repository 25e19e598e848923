//! When each part of a buffer was last written, as far as the crate knows.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::gpu::sync::lock;

/// Stamps of writes, in the order in which they were recorded or asked for. Parts that nobody has written have stamp 0.
#[derive(Debug, Default)]
pub(super) struct Written {
    /// Parts that do not overlap, by their first element: the end of each, and its stamp.
    parts: Mutex<BTreeMap<usize, (usize, u64)>>,
}

impl Written {
    /// Notes a write. Writing the same elements again takes no memory.
    pub(super) fn mark(&self, elements: Range<usize>) {
        static LAST: AtomicU64 = AtomicU64::new(0);
        let stamp = LAST.fetch_add(1, Relaxed) + 1;
        let mut parts = lock(&self.parts);
        if let Some((end, last)) = parts.get_mut(&elements.start)
            && *end == elements.end
        {
            *last = stamp;
            return;
        }
        // What sticks out of the elements keeps its stamp; the last part that begins before their end comes first.
        while let Some((&start, &(end, last))) = parts.range(..elements.end).next_back()
            && end > elements.start
        {
            parts.remove(&start);
            if end > elements.end {
                parts.insert(elements.end, (end, last));
            }
            if start < elements.start {
                parts.insert(start, (elements.start, last));
            }
        }
        parts.insert(elements.start, (elements.end, stamp));
    }

    /// The last stamp of any of the elements.
    pub(super) fn last(&self, elements: Range<usize>) -> u64 {
        let parts = lock(&self.parts);
        let overlapping = parts.range(..elements.end).rev().take_while(|(_, (end, _))| *end > elements.start);
        overlapping.map(|(_, (_, stamp))| *stamp).max().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::Written;

    #[test]
    fn a_part_has_its_own_stamp() {
        let written = Written::default();
        assert_eq!(written.last(0..100), 0);
        written.mark(0..100);
        let whole = written.last(0..100);
        assert!(whole > 0);
        written.mark(40..60);
        let middle = written.last(40..60);
        assert!(middle > whole);
        assert_eq!([written.last(0..40), written.last(60..100)], [whole, whole]);
        assert_eq!([written.last(0..41), written.last(59..100), written.last(0..100)], [middle; 3]);
        // Over the end of one part, a whole one and the begin of the next.
        written.mark(30..70);
        let wider = written.last(50..51);
        assert!(wider > middle);
        assert_eq!([written.last(29..30), written.last(70..71)], [whole, whole]);
        assert_eq!(written.parts.lock().map(|parts| parts.len()).ok(), Some(3));
        // The same again: no further part.
        written.mark(30..70);
        assert!(written.last(30..31) > wider);
        assert_eq!(written.parts.lock().map(|parts| parts.len()).ok(), Some(3));
        written.mark(0..100);
        assert_eq!(written.parts.lock().map(|parts| parts.len()).ok(), Some(1));
        assert_eq!(written.last(100..200), 0);
    }
}
