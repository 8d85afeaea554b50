//! What one request costs the layer before its client has proved anything, by the worst inputs known.
//!
//! `cargo bench --bench before_proof` prints the microseconds of each row next to the bound in the manual's chapter
//! `work_before_proof`, and fails if one is over it, or a row is in one of the two tables alone. A name after `--`
//! takes the rows that contain it. Without `--bench`, as `cargo test --benches` runs it, each row runs once and no time is held.

mod rows;

use std::{
    collections::BTreeMap,
    process::ExitCode,
    time::{Duration, Instant},
};

use rows::{Row, Trial};

/// The chapter with the bounds: one table row for each row here.
const CHAPTER: &str = include_str!("../../src/manual/work_before_proof.md");

/// Trials of each row. The fastest counts: what other processes took is not the layer's.
const TRIALS: usize = 40;
/// Requests in one trial.
const REQUESTS: usize = 25;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let measured = arguments.iter().any(|argument| argument == "--bench");
    let names: Vec<&String> = arguments
        .iter()
        .filter(|argument| !argument.starts_with('-'))
        .collect();
    let mut bounds = bounds();
    let mut errors = Vec::new();
    for row in rows::all() {
        let bound = bounds.remove(row.name);
        if !names.is_empty() && !names.iter().any(|name| row.name.contains(name.as_str())) {
            continue;
        }
        let Some(bound) = bound else {
            errors.push(format!("{}: no row in the chapter", row.name));
            continue;
        };
        let found = measure(&row, if measured { TRIALS } else { 1 });
        println!("{:<32} {found:>8.1} µs, at most {bound}", row.name);
        if measured && found > bound {
            errors.push(format!(
                "{}: expected at most {bound} µs, found {found:.1}",
                row.name
            ));
        }
    }
    errors.extend(
        bounds
            .keys()
            .map(|name| format!("{name}: a row of the chapter alone")),
    );
    for error in &errors {
        println!("{error}");
    }
    if errors.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// The bounds in microseconds by the row's name: the last column of each table row that begins with a name in
/// backticks.
fn bounds() -> BTreeMap<&'static str, f64> {
    let rows = CHAPTER.lines().filter_map(|line| line.strip_prefix("| `"));
    rows.map(|row| {
        let (name, rest) = row.split_once('`').expect("a name ends with a backtick");
        let bound = rest.trim_end_matches([' ', '|']).rsplit('|').next();
        let bound = bound.and_then(|bound| bound.trim().parse().ok());
        (name, bound.expect("the last column is a number of microseconds"))
    })
    .collect()
}

/// Microseconds for one request: the mean of the fastest trial.
fn measure(row: &Row, trials: usize) -> f64 {
    let times = (0..trials).map(|_| {
        let prepared: Vec<Trial> = (0..REQUESTS).map(|_| (row.prepare)()).collect();
        let start = Instant::now();
        for trial in prepared {
            assert_eq!(trial.send(), row.status, "{}", row.name);
        }
        start.elapsed()
    });
    let fastest: Duration = times.min().expect("at least one trial");
    fastest.as_secs_f64() * 1e6 / REQUESTS as f64
}
