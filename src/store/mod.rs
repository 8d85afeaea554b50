//! What is remembered from one request to another.

mod expiring;

pub(crate) use expiring::Expiring;
