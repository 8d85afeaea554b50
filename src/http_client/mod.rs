//! Requests that this process sends: to a hub, to an issuer of tokens.

mod circuit_breaker;
#[cfg(any(feature = "hub-client-hyper", feature = "jwt"))]
mod ready;
#[cfg(feature = "jwt")]
mod single_flight;
#[cfg(any(feature = "hub-client-hyper", feature = "jwt"))]
mod tls;
mod transport;
#[cfg(feature = "jwt")]
mod url;

pub(crate) use self::{
    circuit_breaker::CircuitBreaker,
    transport::{ServiceTransport, Transport},
};
#[cfg(feature = "hub-client-hyper")]
pub(crate) use self::{
    ready::ready,
    tls::{public_tls, tls_builder},
};
#[cfg(feature = "jwt")]
pub(crate) use self::{
    ready::transport_or_ready, single_flight::SingleFlight, transport::describe_failure, url::check_url,
};
