//! Requests that this process sends: to a hub, to an issuer of tokens.

#[cfg(feature = "hub-client")]
mod circuit_breaker;
#[cfg(any(feature = "hub-client-hyper", feature = "jwt"))]
mod ready;
#[cfg(any(feature = "hub-client-hyper", feature = "jwt"))]
mod tls;
mod transport;

#[cfg(feature = "hub-client")]
pub(crate) use self::circuit_breaker::CircuitBreaker;
#[cfg(feature = "hub-client-hyper")]
pub(crate) use self::tls::tls_builder;
pub(crate) use self::transport::{ServiceTransport, Transport};
#[cfg(any(feature = "hub-client-hyper", feature = "jwt"))]
pub(crate) use self::{ready::ready, tls::public_tls};
