//! The kernels. [`table`] has a line for each: its file, its variant, its bindings. [`bindings`] has the bindings and
//! the uniform struct of each family of kernels, from which layouts, bind groups and uniforms come; [`source`] reads
//! the files of `shaders/`; `generated` makes the texts of kernels that are unrolled for their sizes. The tests hold
//! every line against the WGSL text.

/// A group of bindings: a struct with one named field for each storage binding, so that no call passes buffers by
/// position, and a `Pod` struct for the uniform.
macro_rules! bindings {
    (
        $(#[$doc:meta])*
        $name:ident;
        uniform(dynamic: $dynamic:literal) $uniform:ident: $params:ident { $($field:ident: $ty:ty),* $(,)? }
        storage { $($binding:ident: $kind:ident),* $(,)? }
        $(exchange { $more:ident: $kind_of_more:ident })?
    ) => {
        $(#[$doc])*
        pub(crate) struct $name<'a> {
            $(pub(crate) $binding: View<'a>,)*
        }

        #[doc = concat!("The uniform of ", stringify!($name), ".")]
        #[derive(Debug, Clone, Copy, Default, bytemuck::Pod, bytemuck::Zeroable)]
        #[repr(C)]
        pub(crate) struct $params {
            $(pub(crate) $field: $ty,)*
        }

        impl<'a> $name<'a> {
            pub(super) const BINDINGS: &'static [Binding] = &[
                Binding {
                    name: stringify!($uniform),
                    kind: BindingKind::Uniform {
                        size: size_of::<$params>() as u64,
                        fields: &[$(Field {
                            name: stringify!($field),
                            offset: std::mem::offset_of!($params, $field),
                        },)*],
                        dynamic: $dynamic,
                    },
                },
                $(Binding { name: stringify!($binding), kind: binding_kind!($kind) },)*
            ];

            $(
                /// The same and what steps by exchange have besides.
                pub(super) const OF_EXCHANGE: &'static [Binding] = &{
                    let mut all = [Self::BINDINGS[0]; Self::BINDINGS.len() + 1];
                    let mut index = 1;
                    while index < Self::BINDINGS.len() {
                        all[index] = Self::BINDINGS[index];
                        index += 1;
                    }
                    all[index] = Binding { name: stringify!($more), kind: binding_kind!($kind_of_more) };
                    all
                };
            )?

            /// The storage bindings, in order.
            pub(crate) fn storage(self) -> Vec<View<'a>> {
                vec![$(self.$binding,)*]
            }
        }
    };
}

macro_rules! binding_kind {
    (read) => {
        BindingKind::Read
    };
    (read_write) => {
        BindingKind::ReadWrite
    };
}

/// The table: of each line a static, and all of them in `ALL`.
macro_rules! kernels {
    ($($name:ident = $file:literal [$($define:ident)*] $(as $label:literal)? : $bindings:ident;)*) => {
        $(pub(crate) static $name: KernelSpec = KernelSpec::new(
            stringify!($name),
            label!($file $($label)?),
            $bindings::BINDINGS,
            || resolve(&file!($file), &[$(stringify!($define)),*]),
        );)*

        /// Every kernel of the table.
        #[cfg(any(test, feature = "harness"))]
        pub(crate) static ALL: &[&KernelSpec] = &[$(&$name),*];

        /// Of every kernel, in the same order, its file in `shaders/` and what its variant defines.
        #[cfg(any(test, feature = "harness"))]
        pub(crate) const FILES: &[(&str, &[&str])] = &[$(($file, &[$(stringify!($define)),*])),*];
    };
}

/// A kernel is called what its file is called, unless the table says otherwise.
macro_rules! label {
    ($file:literal) => {
        $file
    };
    ($file:literal $label:literal) => {
        $label
    };
}

/// A file of `shaders/`, embedded in the crate.
macro_rules! file {
    ($name:literal) => {
        File { name: $name, text: include_str!(concat!("../../shaders/", $name, ".wgsl")) }
    };
}

mod bindings;
pub(crate) mod generated;
mod source;
mod table;

pub(crate) use bindings::*;
pub(crate) use table::*;

#[cfg(test)]
mod tests;
