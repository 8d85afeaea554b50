//! A counter of instructions: cases in, a table out.
//!
//! Each case is run in a process of its own, which makes its requests first and then sends some of them; the
//! difference between sending many and sending few is what one costs.

mod callgrind;
mod outcome;
mod ptrace_step;
mod report;

use std::process::ExitCode;

use self::{
    callgrind::Callgrind,
    outcome::{Failure, Outcome},
    ptrace_step::Stepping,
    report::Report,
};
use crate::case::{Case, PREPARED};

/// How many requests the short and the long run send.
const ROUNDS: [usize; 2] = [8, PREPARED];

/// A server allocates what the next request needs from what the last one gave back. Here requests are only given
/// back, so glibc's cache is made large enough to take them; else its slow path is counted.
const TUNABLES: (&str, &str) = ("GLIBC_TUNABLES", "glibc.malloc.tcache_count=100");

const HELP: &str = "\
cargo bench --bench instructions -- [--json] [--list] [--callgrind] [NAME]...

NAME         only the cases whose name has one of these in it
--list       the names alone
--json       one JSON object a line in place of the table
--callgrind  count under valgrind, which needs no ptrace and sees neither SHA-NI nor AVX-512

Ends with 1 if a case is over its budget or fails, with 0 if nothing can be counted on this machine.";

/// Something that has a child run one case, and counts what it executes.
trait Counter {
    /// What is counted, for the head of the table.
    fn name(&self) -> &'static str;
    /// The instructions of `rounds` requests, and a constant.
    fn count(&self, case: &Case, rounds: usize) -> Result<u64, Failure>;
    /// The budget of `case` as this counter sees it.
    fn budget(&self, case: &Case) -> Option<u64>;
}

/// Runs what the command line selects.
pub(crate) fn run(cases: &[Case]) -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [flag, name, rounds] = arguments.as_slice() {
        match flag.as_str() {
            ptrace_step::CHILD => ptrace_step::child(named(cases, name), number(rounds)),
            callgrind::CHILD => callgrind::child(named(cases, name), number(rounds)),
            _ => {}
        }
    }
    let has = |flag: &str| arguments.iter().any(|argument| argument == flag);
    let filters: Vec<&String> = arguments.iter().filter(|word| !word.starts_with('-')).collect();
    let chosen = cases.iter().filter(|case| {
        case.is_listed() && (filters.is_empty() || filters.iter().any(|filter| case.name().contains(*filter)))
    });
    if has("--help") {
        println!("{HELP}");
        ExitCode::SUCCESS
    } else if has("--list") {
        chosen.for_each(|case| println!("{}", case.name()));
        ExitCode::SUCCESS
    } else if !has("--bench") {
        // `cargo test --benches`: whether every case still gives its answer, and nothing counted.
        chosen
            .filter(|case| case.is_built())
            .for_each(|case| case.run(1, &mut |send| send()));
        ExitCode::SUCCESS
    } else if cfg!(debug_assertions) {
        println!("not measured: this build is not optimised, its figures would mean nothing");
        ExitCode::SUCCESS
    } else if has("--callgrind") {
        measure(&Callgrind, cases, chosen, has("--json"))
    } else {
        measure(&Stepping, cases, chosen, has("--json"))
    }
}

fn named<'a>(cases: &'a [Case], name: &str) -> &'a Case {
    let case = cases.iter().find(|case| case.name() == name);
    case.unwrap_or_else(|| panic!("expected the name of a case, found {name}"))
}

fn number(text: &str) -> usize {
    text.parse().expect("the parent gives a number of rounds")
}

fn measure<'a>(
    counter: &dyn Counter,
    cases: &'a [Case],
    chosen: impl Iterator<Item = &'a Case>,
    json: bool,
) -> ExitCode {
    let mut measured = Measured {
        counter,
        known: Vec::new(),
    };
    let mut report = Report::new(counter.name(), json);
    for case in chosen {
        let base = case.base().map(|name| named(cases, name));
        match measured.outcome(case, base) {
            Err(Failure::Forbidden(why)) => {
                report.give_up(&why);
                break;
            }
            outcome => report.add(case, counter.budget(case), &outcome),
        }
    }
    report.end()
}

/// What has been counted so far: a base that many cases share is counted once.
struct Measured<'a> {
    counter: &'a dyn Counter,
    known: Vec<(&'a str, u64)>,
}

impl<'a> Measured<'a> {
    fn outcome(&mut self, case: &'a Case, base: Option<&'a Case>) -> Result<Outcome, Failure> {
        Ok(Outcome {
            instructions: self.per_request(case)?,
            base: base.map(|base| self.per_request(base)).transpose()?,
        })
    }

    fn per_request(&mut self, case: &'a Case) -> Result<u64, Failure> {
        if let Some((_, instructions)) = self.known.iter().find(|(name, _)| *name == case.name()) {
            return Ok(*instructions);
        }
        if !case.is_built() {
            return Err(Failure::Missing);
        }
        let [few, many] = ROUNDS;
        let more = self.counter.count(case, many)?;
        let difference = more.saturating_sub(self.counter.count(case, few)?);
        let rounds = (many - few) as u64;
        let instructions = (difference + rounds / 2) / rounds;
        self.known.push((case.name(), instructions));
        Ok(instructions)
    }
}
