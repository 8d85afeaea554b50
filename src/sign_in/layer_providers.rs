//! The providers of one layer.

use std::sync::Arc;

use super::{claims::Claims, provider::Provider};
use crate::{
    cookies::CookieScope, denial::Denial, oauth::StateStore, request::base_url::BaseUrl,
    session::grant::Grant,
};

/// Maps the claims of a user to a grant.
pub(super) type ClaimsMapping = dyn Fn(&Claims) -> Result<Grant, Denial> + Send + Sync;

/// A provider of a layer.
pub(super) struct LayerProvider {
    /// The path at which a login begins.
    pub(super) path: Box<str>,
    pub(super) provider: Provider,
    pub(super) mapping: Box<ClaimsMapping>,
    /// The logins in progress at this provider. A state of one provider is none of another.
    pub(super) states: StateStore,
    /// The cookie of a browser that logged in at this provider, if a logout goes on there.
    pub(super) marker: CookieScope,
}

/// What the endpoints of a layer share.
pub(super) struct SignIn {
    pub(super) providers: Vec<Arc<LayerProvider>>,
    pub(super) base_url: BaseUrl,
    pub(super) callback_path: Box<str>,
    pub(super) login_path: Box<str>,
    pub(super) logout_path: Box<str>,
}
