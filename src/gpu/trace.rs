//! For tests: kernels that compare every index with the length of what it points into, and count those that are out of
//! range. A device forbids such an index or not; here it shows in any case, of a number that is used or not.

use std::borrow::Cow;
use std::sync::Mutex;

use crate::error::Result;
use crate::gpu::context::Trace;
use crate::gpu::sync::lock;
use crate::gpu::{Gpu, KernelSpec, Tensor, View};

/// Kernels that can be told from each other.
const KERNELS: usize = 64;

impl Gpu {
    /// Every kernel that is made from now on counts its indices out of range, but cooperative ones. Each has one
    /// storage binding more.
    pub(crate) fn count_out_of_range(&self) -> Result<()> {
        let counts = Tensor::zeros(self, &[KERNELS])?.buffer().clone();
        self.trace().get_or_init(|| Trace { counts, labels: Mutex::default() });
        Ok(())
    }

    /// The kernels with indices out of range, and how many each had; of those that count.
    #[cfg(not(target_arch = "wasm32"))]
    pub(crate) fn out_of_range(&self) -> Result<Vec<(&'static str, u32)>> {
        let Some(Trace { counts, labels }) = self.trace().get() else { return Ok(Vec::new()) };
        let counts = Tensor::of_buffer(self, counts.clone(), &[KERNELS]).read_blocking()?;
        let counts = counts.into_iter().map(f32::to_bits);
        Ok(lock(labels).iter().copied().zip(counts).filter(|&(_, count)| count > 0).collect())
    }

    /// Where those of a kernel are counted. Cooperative kernels do not count: they may have no atomics.
    pub(super) fn counter(&self, is_cooperative: bool) -> Option<View<'_>> {
        let trace = self.trace().get().filter(|_| !is_cooperative)?;
        Some(View { buffer: &trace.counts, offset: 0, size: trace.counts.size() })
    }

    /// The text of a kernel on this device; borrowed only where it is word for word that of the table.
    pub(super) fn source_of<'a>(&self, spec: &'a KernelSpec) -> Cow<'a, str> {
        let Some(trace) = self.trace().get().filter(|_| !spec.is_cooperative()) else { return spec.source().into() };
        let mut labels = lock(&trace.labels);
        let known = labels.iter().position(|&label| label == spec.label);
        let number = known.unwrap_or_else(|| {
            labels.push(spec.label);
            labels.len() - 1
        });
        traced(spec, number.min(KERNELS - 1)).into()
    }
}

/// The text of a kernel that counts.
fn traced(spec: &KernelSpec, number: usize) -> String {
    let code: String =
        spec.source().lines().map(|line| line.split("//").next().unwrap_or_default().to_owned() + "\n").collect();
    let arrays: Vec<(&str, String)> = code.lines().filter_map(array).collect();
    let binding = spec.bindings.len();
    let counter = format!(
        "@group(0) @binding({binding}) var<storage, read_write> out_of_range: array<atomic<u32>>;\n\
         var<private> outside: u32;\n\
         fn in_range(index: u32, length: u32) -> u32 {{\n\
         outside += u32(index >= length);\n\
         return min(index, length - 1u);\n}}\n"
    );
    // Everything is done in `work`: so there is one place behind it.
    let (declared, rest) = code.split_once("@compute ").unwrap_or_default();
    let (size, rest) = rest.split_once("fn main(").unwrap_or_default();
    let (parameters, rest) = rest.split_once(") {").unwrap_or_default();
    let words = || parameters.split_whitespace();
    let unbound = |word: &&str| !word.starts_with('@');
    let typed = words().filter(unbound).collect::<Vec<_>>().join(" ");
    let names = words().filter_map(|word| word.strip_suffix(':')).collect::<Vec<_>>().join(", ");
    let main = format!(
        "@compute {size}fn main({parameters}) {{\n\
         work({names});\n\
         if outside > 0u {{ atomicAdd(&out_of_range[{number}u], outside); }}\n}}\n"
    );
    let work = format!("{declared}fn work({typed}) {{{rest}");
    indices_checked(&work, &arrays) + &counter + &main
}

/// The array that a line declares for all invocations or for those of a workgroup, and its length.
fn array(line: &str) -> Option<(&str, String)> {
    let (_, declared) = line.split_once("var<")?;
    let (space, rest) = declared.split_once("> ")?;
    let (name, of) = rest.split_once(": array<")?;
    if space.starts_with("storage") {
        return Some((name, format!("arrayLength(&{name})")));
    }
    let (_, length) = of.strip_suffix(">;")?.rsplit_once(", ")?;
    Some((name, format!("u32({length})")))
}

/// The code with every index into one of the arrays in `in_range`.
fn indices_checked(code: &str, arrays: &[(&str, String)]) -> String {
    let mut checked = String::new();
    let mut rest = code;
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    while let Some(bracket) = rest.find('[') {
        let (before, after) = rest.split_at(bracket);
        let name = &before[before.rfind(|c| !is_name(c)).map_or(0, |at| at + 1)..];
        checked += before;
        rest = &after[1..];
        let Some((_, length)) = arrays.iter().find(|(array, _)| *array == name) else {
            checked.push('[');
            continue;
        };
        let mut depth = 1;
        let end = rest.find(|c| {
            depth += i32::from(c == '[') - i32::from(c == ']');
            depth == 0
        });
        let (index, behind) = rest.split_at(end.unwrap_or(rest.len()));
        checked += &format!("[in_range({}, {length})", indices_checked(index, arrays));
        rest = behind;
    }
    checked + rest
}

#[cfg(test)]
mod tests {
    use super::{array, indices_checked};

    #[test]
    fn indices_are_found() {
        let storage = array("@group(0) @binding(2) var<storage, read_write> h: array<vec4<f32>>;");
        let workgroup = array("var<workgroup> sums: array<vec4<f32>, SUMS>;");
        assert_eq!(storage, Some(("h", "arrayLength(&h)".into())));
        assert_eq!(workgroup, Some(("sums", "u32(SUMS)".into())));
        assert_eq!(array("@group(0) @binding(0) var<uniform> params: Params;"), None);
        assert_eq!(array("var sum = array<vec4<f32>, 8>();"), None);
        let arrays = [("h", "H".to_owned()), ("sums", "S".to_owned())];
        let checked = indices_checked("h[a[1] + sums[h[i]]][j & 3u] = with_h[k];", &arrays);
        assert_eq!(checked, "h[in_range(a[1] + sums[in_range(h[in_range(i, H)], S)], H)][j & 3u] = with_h[k];");
    }
}
