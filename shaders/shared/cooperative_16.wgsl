// Matrices of 16 x 16 that a subgroup holds and multiplies as a whole. Goes before shared/matmul.wgsl: what a text
// enables is its first words.

enable f16;
enable wgpu_cooperative_matrix;

const SIZE = 16u;

alias Left = coop_mat16x16<f16, A>;
alias Right = coop_mat16x16<f16, B>;
alias Sum = coop_mat16x16<f32, C>;
