//! What the crate does, across its rooms: a module per behaviour, its name part of a sentence.

mod child;
mod secret_file_races;
mod vectors;
