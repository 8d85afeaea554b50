//! Requests that this process sends: to a hub, to an identity provider, to an issuer of tokens.
//!
//! | file | what it holds |
//! |---|---|
//! | `transport` | [`Transport`]: a request, a whole response, limits on its size and time |
//! | `ready` | the client that this crate provides: hyper's |
//! | `tls` | its TLS, by rustls |
//! | `circuit_breaker` | fewer requests to a server that does not respond |
//! | `single_flight` | one request however many wait for its response |
//! | `url` | which URLs can be trusted |

#[cfg(any(feature = "hub-client", feature = "jwt"))]
mod circuit_breaker;
#[cfg(any(feature = "hub-client-hyper", feature = "jwt", feature = "openid"))]
mod ready;
#[cfg(feature = "jwt")]
mod single_flight;
#[cfg(any(feature = "hub-client-hyper", feature = "jwt", feature = "openid"))]
mod tls;
mod transport;
#[cfg(any(feature = "jwt", feature = "openid"))]
mod url;

#[cfg(any(feature = "hub-client", feature = "jwt"))]
pub(crate) use self::circuit_breaker::CircuitBreaker;
#[cfg(feature = "hub-client-hyper")]
pub(crate) use self::tls::tls_builder;
pub(crate) use self::transport::{ServiceTransport, Transport};
#[cfg(any(feature = "jwt", feature = "openid"))]
pub(crate) use self::url::check_endpoint;
#[cfg(any(feature = "hub-client-hyper", feature = "openid"))]
pub(crate) use self::{ready::ready, tls::public_tls};
#[cfg(feature = "jwt")]
pub(crate) use self::{
    ready::transport_or_ready, single_flight::SingleFlight, transport::describe_failure, url::check_url,
};
