//! JWT access tokens: which are accepted, and what an attacker may try.

mod attacks;
mod fetching;
mod issuer;
mod key_sets;
mod tokens;
