// What is multiplied, in workgroup memory.

// Zeros everywhere, for what lies behind the operand's end and for rows past the batch.
fn clear_operand(invocation: u32) {
    for (var index = invocation; index < OPERAND_NUMBERS; index += WORKGROUP) {
        set_operand(index, 0.0);
    }
    workgroupBarrier();
}

#ifdef EXACT_STORES

// A store to one component of a vector leaves the others alone: so it is where the device compiles SPIR-V, which has
// pointers to components.
var<workgroup> operand: array<vec4<f32>, OPERAND_VEC4S>;

// The vec4 of this number.
fn operand_at(number: u32) -> vec4<f32> {
    return operand[number];
}

fn set_operand(index: u32, value: f32) {
    operand[index / 4u][index % 4u] = value;
}

// The same of the vec4 of this number.
fn set_component(number: u32, component: u32, value: f32) {
    operand[number][component] = value;
}

#else

// In WGSL a store to one component of a vector may write all of it.
var<workgroup> operand: array<f32, OPERAND_NUMBERS>;

// The vec4 of this number.
fn operand_at(number: u32) -> vec4<f32> {
    let index = 4u * number;
    return vec4<f32>(operand[index], operand[index + 1u], operand[index + 2u], operand[index + 3u]);
}

fn set_operand(index: u32, value: f32) {
    operand[index] = value;
}

// The same of the vec4 of this number.
fn set_component(number: u32, component: u32, value: f32) {
    operand[4u * number + component] = value;
}

#endif
