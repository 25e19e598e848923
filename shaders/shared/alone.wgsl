// Between the steps of a dispatch whose workgroups need nothing of each other.

fn may_begin(invocation: u32, workgroups: vec3<u32>) -> bool {
    return true;
}

// What one invocation of a workgroup stored, all of it see. `more`: another step comes. It cannot fail.
fn end_step(more: bool, number: u32, invocation: u32, workgroups: vec3<u32>) -> bool {
    if MANY && more {
        storageBarrier();
        workgroupBarrier();
    }
    return false;
}
