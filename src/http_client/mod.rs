//! Sends HTTP requests to a hub or to an identity provider: by any tower service, or by hyper.
//!
//! | file | what it holds |
//! |---|---|
//! | `transport` | [`Transport`]: a request, a whole response, limits on its size and time |
//! | `hyper` | the client that this crate provides |

#[cfg(any(feature = "hub-client-hyper", feature = "openid"))]
pub(crate) mod hyper;
mod transport;

pub(crate) use self::transport::{ServiceTransport, Transport};
