// Matrices of 8 x 8 that a subgroup holds and multiplies as a whole. Goes before shared/matmul.wgsl: what a text
// enables is its first words.

enable f16;
enable wgpu_cooperative_matrix;

const SIZE = 8u;

alias Left = coop_mat8x8<f16, A>;
alias Right = coop_mat8x8<f16, B>;
alias Sum = coop_mat8x8<f32, C>;
