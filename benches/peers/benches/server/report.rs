//! The table, and whether the bounds hold.

use std::{collections::BTreeMap, process::ExitCode, time::Duration};

use super::servers::{AXUM_LOGIN, COOKIE_ROW, TOKEN_ROW, TOWER_SESSIONS};

/// The most that portcullis may cost, in times of the bare router.
const BOUNDS: [(&str, f64); 2] = [(TOKEN_ROW, 1.12), (COOKIE_ROW, 1.22)];
/// Each must cost more than portcullis.
const DEARER: [&str; 2] = [TOWER_SESSIONS, AXUM_LOGIN];

/// The times of all rounds, by row.
#[derive(Default)]
pub(crate) struct Report {
    rows: BTreeMap<&'static str, Row>,
}

#[derive(Default)]
struct Row {
    microseconds: Vec<f64>,
    above_bare: Vec<f64>,
    ratios: Vec<f64>,
}

impl Report {
    /// Adds the times per request of one round.
    pub(crate) fn add(&mut self, name: &'static str, measured: Duration, bare: Duration) {
        let [measured, bare] = [measured, bare].map(|time| time.as_secs_f64() * 1e6);
        let row = self.rows.entry(name).or_default();
        row.microseconds.push(measured);
        row.above_bare.push(measured - bare);
        row.ratios.push(measured / bare);
    }

    /// Prints the table. Fails if a bound is passed.
    pub(crate) fn finish(self) -> ExitCode {
        println!("CPU time per request, medians\n");
        println!("| server | µs | above bare, µs | ratio to bare | its quartiles |");
        println!("|---|--:|--:|--:|--:|");
        let mut ratios = BTreeMap::new();
        for (name, row) in self.rows {
            let [_, time, _] = quartiles(row.microseconds);
            let [_, above, _] = quartiles(row.above_bare);
            let [lower, ratio, upper] = quartiles(row.ratios);
            println!("| {name} | {time:.2} | {above:+.2} | {ratio:.3} | {lower:.3} to {upper:.3} |");
            ratios.insert(name, ratio);
        }
        let passed: Vec<String> = BOUNDS.iter().flat_map(|bound| passed(&ratios, bound)).collect();
        passed.iter().for_each(|message| println!("\n{message}"));
        if passed.is_empty() {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        }
    }
}

/// One message for each bound that the row passes.
fn passed(ratios: &BTreeMap<&str, f64>, &(name, bound): &(&str, f64)) -> Vec<String> {
    let ratio = ratios[name];
    let too_much = (ratio > bound).then(|| format!("{name}: expected at most {bound}, found {ratio:.3}"));
    let peers = DEARER.iter().map(|peer| (peer, ratios[peer]));
    let not_below = peers
        .filter(|(_, peer_ratio)| ratio >= *peer_ratio)
        .map(|(peer, peer_ratio)| format!("{name}: expected less than {peer} ({peer_ratio:.3}), found {ratio:.3}"));
    too_much.into_iter().chain(not_below).collect()
}

/// The lower quartile, the median and the upper quartile.
fn quartiles(mut values: Vec<f64>) -> [f64; 3] {
    values.sort_by(f64::total_cmp);
    [1, 2, 3].map(|quarter| values[(values.len() - 1) * quarter / 4])
}
