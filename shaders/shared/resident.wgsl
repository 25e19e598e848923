// Between the steps of a dispatch whose workgroups stay and meet after every step, since each needs what all of them made.
//
// Nothing says that all workgroups of a dispatch run at a time. So they meet once before the first step: whoever has looked
// for the others FIRST_LOOKS times decides that all leave, the last one to come decides that all go on, and what was decided
// first holds for all. Where they leave, nothing was done, and one dispatch behind this one, whose number of workgroups lies in
// `meeting`, does the work without meeting. Where they go on, that number becomes zero.
//
// Between two steps all of them are known to run. Should one not come in spite of that, all leave after LATER_LOOKS, and what
// is missing becomes NaN: there is nothing to begin anew with, since gates are replaced in place.

override FIRST_LOOKS: u32;
override LATER_LOOKS: u32;

// The workgroups of the dispatch behind this one, in x, y and z; how many have come, over all meetings; what was decided.
@group(0) @binding(MEETING) var<storage, read_write> meeting: array<atomic<u32>>;

const ARRIVED = 3u;
const DECISION = 4u;
const UNDECIDED = 0u;
const GO_ON = 1u;
const LEAVE = 2u;
const FAILED = 3u;

var<workgroup> decision: u32;

fn decide(what: u32) {
    loop {
        let outcome = atomicCompareExchangeWeak(&meeting[DECISION], UNDECIDED, what);
        if outcome.exchanged && what == GO_ON {
            atomicStore(&meeting[0], 0u);
        }
        if outcome.exchanged || outcome.old_value != UNDECIDED {
            return;
        }
    }
}

fn may_begin(invocation: u32, workgroups: vec3<u32>) -> bool {
    if invocation == 0u {
        if atomicAdd(&meeting[ARRIVED], 1u) + 1u == workgroups.x * workgroups.y * workgroups.z {
            decide(GO_ON);
        }
        var looks = 0u;
        while atomicLoad(&meeting[DECISION]) == UNDECIDED {
            looks++;
            if looks >= FIRST_LOOKS {
                decide(LEAVE);
            }
        }
        decision = atomicLoad(&meeting[DECISION]);
    }
    return workgroupUniformLoad(&decision) == GO_ON;
}

// Meeting number `number`, after the first one. Whether it has failed.
fn end_step(more: bool, number: u32, invocation: u32, workgroups: vec3<u32>) -> bool {
    if !more {
        return false;
    }
    // What this workgroup stored lies where others see it, before they are told.
    storageBarrier();
    if invocation == 0u {
        atomicAdd(&meeting[ARRIVED], 1u);
        let all = (number + 2u) * workgroups.x * workgroups.y * workgroups.z;
        var looks = 0u;
        while atomicLoad(&meeting[ARRIVED]) < all && atomicLoad(&meeting[DECISION]) == GO_ON {
            looks++;
            if looks >= LATER_LOOKS {
                atomicStore(&meeting[DECISION], FAILED);
            }
        }
        decision = atomicLoad(&meeting[DECISION]);
    }
    storageBarrier();
    return workgroupUniformLoad(&decision) == FAILED;
}
