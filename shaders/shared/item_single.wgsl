// Numbers one by one, for move_rows.wgsl.

alias Item = f32;
