//! The table, for readers or for programs.

use std::process::ExitCode;

use serde_json::json;

use super::{Failure, Outcome};
use crate::case::Case;

/// The rows so far, and those that make the whole fail.
pub(super) struct Report {
    json: bool,
    lost: Vec<String>,
    missing: usize,
}

impl Report {
    pub(super) fn new(title: &str, json: bool) -> Self {
        if !json {
            println!("{title}\n");
            println!("| case | instr | above bare | budget | ok |");
            println!("|---|--:|--:|--:|---|");
        }
        Self {
            json,
            lost: Vec::new(),
            missing: 0,
        }
    }

    pub(super) fn add(&mut self, case: &Case, budget: Option<u64>, outcome: &Result<Outcome, Failure>) {
        let instructions = outcome.as_ref().ok().map(|outcome| outcome.instructions);
        let above = outcome.as_ref().ok().and_then(Outcome::above);
        let held = above
            .zip(budget)
            .map(|(above, budget)| above.saturating_sub_unsigned(budget) <= 0);
        match outcome {
            Err(Failure::Missing) => self.missing += 1,
            Err(_) => self.lost.push(case.name().to_owned()),
            Ok(_) if held == Some(false) => self.lost.push(case.name().to_owned()),
            Ok(_) => {}
        }
        if self.json {
            let row = json!({
                "case": case.name(),
                "instructions": instructions,
                "base": case.base(),
                "above": above,
                "budget": budget,
                "ok": held,
                "error": outcome.as_ref().err().map(ToString::to_string),
            });
            println!("{row}");
            return;
        }
        let result = match (outcome, held) {
            (Err(failure), _) => failure.to_string(),
            (Ok(_), Some(true)) => "yes".to_owned(),
            (Ok(_), Some(false)) => "OVER".to_owned(),
            (Ok(_), None) => String::new(),
        };
        // The base needs naming only where it is another than the inner service, sent the same request.
        let base = case.base().filter(|_| above.is_some() && !case.is_over_bare());
        println!(
            "| {} | {} | {}{} | {} | {result} |",
            case.name(),
            cell(instructions),
            above.map_or_else(String::new, |above| format!("{above:+}")),
            base.map_or_else(String::new, |base| format!(" over {base}")),
            cell(budget),
        );
    }

    /// Says that this machine lets nothing be counted, which is neither a pass nor a failure.
    pub(super) fn give_up(&self, why: &str) {
        if self.json {
            println!("{}", json!({ "error": format!("not measured: {why}") }));
        } else {
            println!("not measured: {why}");
        }
    }

    pub(super) fn end(self) -> ExitCode {
        if self.missing > 0 && !self.json {
            println!("\n{} rows have nothing to run yet", self.missing);
        }
        if self.lost.is_empty() {
            ExitCode::SUCCESS
        } else {
            eprintln!("over budget or failed: {}", self.lost.join(", "));
            ExitCode::FAILURE
        }
    }
}

fn cell(value: Option<u64>) -> String {
    value.map_or_else(String::new, |value| value.to_string())
}
