//! `glue PROGRAM.wasm FOLDER` leaves in the folder PROGRAM_bg.wasm and PROGRAM.js, a module that loads it. The tool
//! wasm-bindgen does the same; as a library it is locked to the version that the programs are built with.

use std::env::args_os;
use std::process::ExitCode;

use wasm_bindgen_cli_support::Bindgen;

fn main() -> ExitCode {
    let [_, program, folder] = &args_os().collect::<Vec<_>>()[..] else {
        eprintln!("usage: glue PROGRAM.wasm FOLDER");
        return ExitCode::FAILURE;
    };
    let mut bindgen = Bindgen::new();
    let made = bindgen
        .input_path(program)
        .omit_default_module_path(false)
        .web(true)
        .and_then(|bindgen| bindgen.generate(folder));
    match made {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("glue: {error:?}");
            ExitCode::FAILURE
        }
    }
}
