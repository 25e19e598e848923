// Four numbers at a time, for move_rows.wgsl, where everything is a multiple of four.

alias Item = vec4<f32>;
