//! How clients authenticate themselves to the endpoints of the OAuth server: RFC 6749 §2.3.

use base64::prelude::{BASE64_STANDARD, Engine as _};
use http::{
    HeaderValue,
    header::{AUTHORIZATION, WWW_AUTHENTICATE},
};
use zeroize::Zeroizing;

use super::{
    client::OAuthClientConfig,
    request::HubRequest,
    response::{HubError, oauth_error},
};
use crate::{
    authenticate::token_in_authorization,
    denial::Reason,
    middleware::{error_response::FullResponse, form::UrlEncodedForm},
    oauth::OAuthErrorKind,
    request::percent,
    token::PresentedToken,
};

/// The value of a field that is not empty.
pub(crate) fn one<'f>(form: &'f UrlEncodedForm, name: &str) -> Option<&'f str> {
    let text = form.field(name)?.expose_str();
    text.filter(|text| !text.is_empty())
}

impl HubRequest<'_> {
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
    pub(crate) fn client_of(&self, form: &UrlEncodedForm) -> Option<&OAuthClientConfig> {
        self.client_by(one(form, "client_id")?, one(form, "client_secret"))
    }

    /// The client that the form, or else the `Authorization` header authenticates: `Basic` with its id and secret, or its
    /// own token. Both are not accepted.
    pub(crate) fn client_of_request(
        &self,
        form: &UrlEncodedForm,
    ) -> Result<Option<&OAuthClientConfig>, HubError> {
        let Some(field) = self.head.headers().get(AUTHORIZATION) else {
            return Ok(self.client_of(form));
        };
        if one(form, "client_secret").is_some() {
            return Ok(None);
        }
        if let Some(token) = token_in_authorization(field.as_bytes())? {
            return Ok(self.hub.registry.of_token(token));
        }
        let basic = self
            .head
            .authorization_credentials("Basic")
            .and_then(id_and_secret);
        Ok(basic.and_then(|(id, secret)| self.client_by(&id, Some(&secret))))
    }

    fn client_by(&self, id: &str, secret: Option<&str>) -> Option<&OAuthClientConfig> {
        let client = self.hub.registry.find(id)?;
        let known = match secret {
            Some(secret) => {
                PresentedToken::new(secret.as_bytes()).is_some_and(|secret| client.verify_secret(secret))
            }
            None => client.is_public(),
        };
        known.then_some(client)
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
