//! What passwords cost: a burst of logins, a class that logs in by the form, one hash compared with the C reference, and
//! whether users can be distinguished.
//!
//! `cargo bench --bench passwords` measures all four, `-- storm`, `-- class`, `-- reference` or `-- users` one of them, and fails
//! where a bound is passed. Without `--bench`, as `cargo test --benches` runs it, each is run once and nothing is held.

mod class_logins;
mod concurrent_logins;
mod machine;
mod reference;
mod timing_side_channel;

use std::process::ExitCode;

use portcullis::{
    PasswordHash, Secret,
    password::{HashCost, HashingPool},
};

/// The password of all users here.
const PASSWORD: &str = "correct horse battery staple";

type Outcome = Result<(), Box<dyn std::error::Error>>;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [flag, way] = arguments.as_slice()
        && flag == machine::CHILD
    {
        let way = way.clone();
        let round = async move {
            if way.contains("address") {
                class_logins::class(&way).await
            } else {
                concurrent_logins::storm(&way).await
            }
        };
        machine::child(round).expect("a runtime, and no panic");
        return ExitCode::SUCCESS;
    }
    let measured = arguments.iter().any(|argument| argument == "--bench");
    let named = |name: &str| {
        let mut names = arguments
            .iter()
            .filter(|argument| !argument.starts_with('-'))
            .peekable();
        names.peek().is_none() || names.any(|argument| argument == name)
    };
    let mut code = ExitCode::SUCCESS;
    type Part = fn(bool) -> Outcome;
    for (name, part) in [
        ("storm", concurrent_logins::run as Part),
        ("class", class_logins::run),
        ("reference", reference::run),
        ("users", timing_side_channel::run),
    ] {
        if named(name)
            && let Err(error) = part(measured)
        {
            println!("\n{name}: {error}");
            code = ExitCode::FAILURE;
        }
    }
    code
}

/// The hash of the users' password, at the default cost, by a pool that is warm then.
async fn hash(pool: &HashingPool) -> PasswordHash {
    assert_eq!(pool.cost(), HashCost::default());
    pool.hash(Secret::from(PASSWORD)).await.expect("a hash")
}

/// The value in the middle.
fn median<T: Ord + Copy>(values: &[T]) -> T {
    let mut values = values.to_vec();
    values.sort();
    values[values.len() / 2]
}

/// Fails unless `held`.
fn hold(held: bool, measured: bool, what: String) -> Outcome {
    if measured && !held {
        Err(what.into())
    } else {
        Ok(())
    }
}
