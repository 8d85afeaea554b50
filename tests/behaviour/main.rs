//! What the crate does, across its rooms: a module per behaviour, its name part of a sentence.

mod cookie_properties;
mod vectors;
