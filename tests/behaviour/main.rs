//! What the crate does, across its rooms: a module per behaviour, its name part of a sentence.

mod canary;
mod child;
mod floors;
mod fuzzing;
mod no_secret_is_shown;
mod secret_file_races;
mod services;
mod support;
mod use_cases;
mod vectors;
mod what_happens_to_which_request;
mod wire;
