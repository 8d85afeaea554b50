//! Sign-in with an identity provider, such as Keycloak, by OpenID Connect.
//!
//! [`OpenIdConnect`] is a provider. `AuthLayerBuilder::sign_in_with` adds it to the login page as a button, next to the
//! form for a password if there is one, and maps the [`Claims`] of a user to a [`Grant`](crate::Grant).
//!
//! | file | what it holds |
//! |---|---|
//! | `openid_connect` | [`OpenIdConnect`]: the settings of a provider |
//! | `oauth2_provider` | [`OAuth2Provider`]: a provider without ID tokens |
//! | `discovery` | the metadata and keys of a provider |
//! | `code_exchange` | the authorization request, and the exchange of a code for the claims of a user |
//! | `id_token` | the check of an ID token |
//! | `settings` | the settings of the providers of one layer or hub, and what is built from them |
//! | `configured` | the providers of one layer or hub, and their paths |
//! | `flow` | a login: where it begins, and where the provider sends browsers back to |
//! | `endpoints` | these pages in a layer |
//! | `logout` | the logout at a provider |
//! | `backchannel` | the logout that a provider sends |
//! | `logout_token` | the check of its token |
//! | `provider` | [`Provider`]: a provider of any kind |
//! | `claims` | [`Claims`]: what a provider says about a user |
//! | `http` | requests to a provider, and the URLs that are allowed |
//! | `error` | why a login failed |
//!
//! Source: OpenID Connect Core 1.0, OpenID Connect Discovery 1.0, OpenID Connect RP-Initiated Logout 1.0, RFC 6749, RFC 7636, RFC 9207, RFC 9700.

mod backchannel;
mod claims;
mod code_exchange;
mod configured;
mod discovery;
mod endpoints;
mod error;
mod flow;
mod http;
mod id_token;
mod logout;
mod logout_token;
mod oauth2_provider;
mod openid_connect;
mod provider;
mod settings;

#[cfg(feature = "hub-server")]
pub(crate) use self::flow::{SignInFailure, SignInOutcome, SignInRequest, SignInResult};
pub use self::{
    claims::Claims, oauth2_provider::OAuth2Provider, openid_connect::OpenIdConnect, provider::Provider,
};
pub(crate) use self::{
    configured::SignIn,
    settings::{SignInPages, SignInPlace, SignInSettings},
};
