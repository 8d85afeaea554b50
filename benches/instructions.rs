//! The instructions that a request costs in the layer, compared with a budget.
//!
//! `cargo bench --bench instructions -- --help` prints the options; `benches/README.md` explains what is counted.

// The allocations are counted by a test.
#[allow(dead_code)]
mod case;
mod counter;
mod paths;

use std::process::ExitCode;

fn main() -> ExitCode {
    counter::run(&paths::all())
}
