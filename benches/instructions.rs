//! The instructions a request costs on its way through the gate, held against a budget.
//!
//! `cargo bench --bench instructions -- --help` tells how to ask; `benches/README.md` tells what is counted.

// The allocations are counted by a test.
#[allow(dead_code)]
mod case;
mod counter;
mod paths;

use std::process::ExitCode;

fn main() -> ExitCode {
    counter::run(&paths::all())
}
