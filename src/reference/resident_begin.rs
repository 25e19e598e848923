//! Twin of `shaders/resident_begin.wgsl`.

/// The five words before a meeting: the workgroups of the dispatch behind, nobody has come, nothing is decided.
pub fn resident_begin(workgroups: [u32; 3], meeting: &mut [u32]) {
    let [x, y, z] = workgroups;
    meeting.copy_from_slice(&[x, y, z, 0, 0]);
}
