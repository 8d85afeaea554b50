//! How clients authenticate themselves to the endpoints of the OAuth server: RFC 6749 §2.3.

use std::borrow::Cow;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use http::{HeaderValue, header::WWW_AUTHENTICATE};
use zeroize::Zeroizing;

use super::{
    client::OAuthClientConfig,
    registration::{PREFIX, UNUSED},
    request::HubRequest,
    response::{HubError, oauth_error},
};
use crate::{
    authenticate::token_in_authorization,
    denial::Reason,
    middleware::{error_response::FullResponse, form::UrlEncodedForm},
    oauth::OAuthErrorKind,
    request::{header_names, percent},
    token::PresentedToken,
};

/// The client that a request is from, if it is known.
type FoundClient<'a> = Result<Option<Cow<'a, OAuthClientConfig>>, HubError>;

/// The value of a field that is not empty.
pub(crate) fn one<'f>(form: &'f UrlEncodedForm, name: &str) -> Option<&'f str> {
    let text = form.field(name)?.expose_str();
    text.filter(|text| !text.is_empty())
}

impl HubRequest<'_> {
    /// The client with this id: a configured one, or one that registered itself.
    pub(crate) async fn client(&self, id: &str) -> Result<Option<Cow<'_, OAuthClientConfig>>, HubError> {
        if let Some(client) = self.hub.registry.find(id) {
            return Ok(Some(Cow::Borrowed(client)));
        }
        let registration = self.hub.registration.as_ref().filter(|_| id.starts_with(PREFIX));
        let Some(registration) = registration else {
            return Ok(None);
        };
        let record = self.hub.store.find_client(id).await?;
        let record = record.filter(|record| record.expires_at() > self.head.now());
        Ok(record
            .and_then(|record| registration.client(&record))
            .map(Cow::Owned))
    }

    /// Remembers a client that registered itself for as long as one of its tokens may be valid.
    pub(crate) async fn keep_client(&self, client: &OAuthClientConfig) -> Result<(), HubError> {
        if client.registered_itself {
            let life = self.hub.lifetime.max(self.hub.refresh_lifetime);
            let end = self.head.now().saturating_add(life.saturating_add(UNUSED));
            self.hub.store.keep_client(client.id(), end).await?;
        }
        Ok(())
    }

    /// The form that was sent to an endpoint for clients, or the error if one of `names` comes twice in it.
    pub(crate) fn client_form(&self, names: &[&str]) -> Result<UrlEncodedForm, Box<FullResponse>> {
        let wrong = |kind, text: &str| Box::new(oauth_error(kind, text));
        let form = self
            .form()
            .map_err(|_| wrong(OAuthErrorKind::InvalidRequest, UrlEncodedForm::EXPECTED_TYPE))?;
        match names.iter().find(|name| form.all(name).count() > 1) {
            Some(name) => {
                let text = format!("Duplicate {name} parameter.");
                Err(wrong(OAuthErrorKind::InvalidRequest, &text))
            }
            None => Ok(form),
        }
    }

    /// The client that a form authenticates: by its secret, or by its id alone if it has none.
    pub(crate) async fn client_of(&self, form: &UrlEncodedForm) -> FoundClient<'_> {
        match one(form, "client_id") {
            Some(id) => self.client_by(id, one(form, "client_secret")).await,
            None => Ok(None),
        }
    }

    /// The client that the form, or else the `Authorization` header authenticates: `Basic` with its id and secret, or its
    /// own token. Both are not accepted.
    pub(crate) async fn client_of_request(&self, form: &UrlEncodedForm) -> FoundClient<'_> {
        let field = match self.head.single_header(&header_names::AUTHORIZATION) {
            Ok(None) => return self.client_of(form).await,
            Ok(Some(field)) if one(form, "client_secret").is_none() => field,
            Ok(Some(_)) | Err(_) => return Ok(None),
        };
        if let Some(token) = token_in_authorization(field.as_bytes())? {
            return Ok(self.hub.registry.of_token(token).map(Cow::Borrowed));
        }
        let basic = self
            .head
            .authorization_credentials("Basic")
            .and_then(id_and_secret);
        match basic {
            Some((id, secret)) => self.client_by(&id, Some(&secret)).await,
            None => Ok(None),
        }
    }

    async fn client_by(&self, id: &str, secret: Option<&str>) -> FoundClient<'_> {
        let secret = secret.map(|secret| PresentedToken::new(secret.as_bytes()));
        let is_known = |client: &Cow<'_, OAuthClientConfig>| match secret {
            Some(secret) => secret.is_some_and(|secret| client.verify_secret(secret)),
            None => client.is_public(),
        };
        Ok(self.client(id).await?.filter(is_known))
    }

    /// The response to a client that did not authenticate itself.
    pub(crate) fn unknown_client(&self) -> FullResponse {
        self.refused(Reason::UnknownToken);
        let mut response = oauth_error(OAuthErrorKind::InvalidClient, "");
        if self.head.authorization_credentials("Basic").is_some() {
            let challenge = HeaderValue::from_static("Basic realm=\"portcullis\"");
            response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
        }
        response
    }
}

/// The id and the secret in the credentials of `Basic`, each encoded as in a form.
fn id_and_secret(credentials: &str) -> Option<(Zeroizing<String>, Zeroizing<String>)> {
    let pair = Zeroizing::new(BASE64_STANDARD.decode(credentials).ok()?);
    let colon = pair.iter().position(|byte| *byte == b':')?;
    let decoded = |half: &[u8]| {
        let bytes = percent::form_decoded(half).collect::<Option<Vec<u8>>>()?;
        String::from_utf8(bytes).ok().map(Zeroizing::new)
    };
    Some((decoded(pair.get(..colon)?)?, decoded(pair.get(colon + 1..)?)?))
}
