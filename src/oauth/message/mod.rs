//! The four messages of the code flow, in the standard's order.
//!
//! | message | from, to | where |
//! |---|---|---|
//! | [`AuthorizationRequest`] | client, provider | query, by the browser |
//! | [`AuthorizationResponse`] | provider, client | query, by the browser |
//! | [`TokenRequest`] | client, provider | form |
//! | [`TokenResponse`] | provider, client | JSON |

mod authorization_request;
mod authorization_response;
mod token_request;
mod token_response;

pub use self::{
    authorization_request::AuthorizationRequest, authorization_response::AuthorizationResponse,
    token_request::TokenRequest, token_response::TokenResponse,
};
