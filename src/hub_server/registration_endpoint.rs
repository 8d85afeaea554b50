//! Clients that register themselves: RFC 7591.
//!
//! | request | answer |
//! |---|---|
//! | JSON with redirect URIs of https, of the user's own machine or of a scheme of its own | 201, the client's id |
//! | a redirect URI is missing or another one | 400 `invalid_redirect_uri` |
//! | no JSON object; a client with a secret, or another grant than a code's | 400 `invalid_client_metadata` |
//! | too many from one address | 429 |
//! | as many clients as there may be | 503 |
//! | the hub does not register clients | 404 |

use http::{HeaderValue, StatusCode, header::RETRY_AFTER};
use serde_json::{Map, Value, json};

use super::{
    client_uri::is_public_redirect,
    registration::{PREFIX, UNUSED},
    request::{HubRequest, HubResult},
    response::{self, HubError, oauth_error},
};
use crate::{
    middleware::error_response::FullResponse,
    oauth::OAuthErrorKind,
    random::{self, BASE62},
    store::ClientRecord,
};

/// The most redirect URIs of a client.
const REDIRECT_URIS: usize = 10;
/// The longest name, in characters.
const NAME: usize = 80;

impl HubRequest<'_> {
    pub(crate) async fn register(&self) -> HubResult {
        let Some(registration) = &self.hub.registration else {
            return Err(HubError::Refused(StatusCode::NOT_FOUND, None));
        };
        let (now, address) = (self.head.now(), self.client_ip());
        if let Err(wait) = registration.count(address, self.hub.clock.monotonic_now()) {
            let text = "Too many registrations from this address.";
            let mut response = oauth_error(OAuthErrorKind::TemporarilyUnavailable, text);
            *response.status_mut() = StatusCode::TOO_MANY_REQUESTS;
            let seconds = HeaderValue::from(wait.as_secs().max(1));
            response.headers_mut().insert(RETRY_AFTER, seconds);
            return Ok(response);
        }
        let metadata = match self.client_metadata() {
            Ok(metadata) => metadata,
            Err(response) => return Ok(*response),
        };
        let id = format!("{PREFIX}{}", &*random::text(BASE62, 22));
        let record = ClientRecord::new(&id, now, now.saturating_add(UNUSED))
            .with_name(&metadata.name)
            .with_redirect_uris(metadata.redirect_uris.iter().map(String::as_str));
        if !self.hub.store.insert_client(record, registration.limit).await? {
            let text = "This hub has as many clients as it may have.";
            return Ok(oauth_error(OAuthErrorKind::TemporarilyUnavailable, text));
        }
        let scopes: Vec<&str> = registration.scopes.iter().collect();
        Ok(response::json_response(
            StatusCode::CREATED,
            &json!({
                "client_id": id,
                "client_id_issued_at": now.as_secs(),
                "client_name": metadata.name,
                "redirect_uris": metadata.redirect_uris,
                "token_endpoint_auth_method": "none",
                "grant_types": ["authorization_code", "refresh_token"],
                "response_types": ["code"],
                "scope": scopes.join(" "),
            }),
        ))
    }

    /// What the client says of itself. What the hub does not know is ignored (RFC 7591 §2).
    fn client_metadata(&self) -> Result<ClientMetadata, Box<FullResponse>> {
        let wrong = |text: &str| Box::new(oauth_error(OAuthErrorKind::InvalidClientMetadata, text));
        let is_json = self.content_type().starts_with("application/json");
        let body: Option<Map<String, Value>> =
            is_json.then(|| serde_json::from_slice(self.body).ok()).flatten();
        let body = body.ok_or_else(|| wrong("Expected a JSON object."))?;
        let names = |name: &str| match body.get(name) {
            None | Some(Value::Null) => Some(Vec::new()),
            Some(Value::Array(list)) => list.iter().map(|text| text.as_str().map(str::to_owned)).collect(),
            Some(_) => None,
        };
        if !matches!(body.get("token_endpoint_auth_method"), None | Some(Value::Null))
            && body.get("token_endpoint_auth_method").and_then(Value::as_str) != Some("none")
        {
            return Err(wrong("Expected the token_endpoint_auth_method none."));
        }
        for (name, known) in [
            ("grant_types", &["authorization_code", "refresh_token"][..]),
            ("response_types", &["code"]),
        ] {
            let listed = names(name);
            if !listed.is_some_and(|listed| listed.iter().all(|one| known.contains(&&**one))) {
                return Err(wrong(&format!("Expected the {name} {}.", known.join(" and "))));
            }
        }
        let uris = names("redirect_uris").unwrap_or_default();
        if uris.is_empty() || uris.len() > REDIRECT_URIS || !uris.iter().all(|uri| is_public_redirect(uri)) {
            let text = "Expected 1 to 10 redirect URIs of https, of http on 127.0.0.1, [::1] or localhost, or with a \
                        scheme of the application.";
            return Err(Box::new(oauth_error(OAuthErrorKind::InvalidRedirectUri, text)));
        }
        let name = body
            .get("client_name")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let name: String = name
            .chars()
            .filter(|letter| !is_hidden(*letter))
            .take(NAME)
            .collect();
        Ok(ClientMetadata {
            name: match name.trim() {
                "" => "An application without a name".to_owned(),
                name => name.to_owned(),
            },
            redirect_uris: uris,
        })
    }
}

/// Whether a page would not show the character, or would show those around it in another order.
fn is_hidden(letter: char) -> bool {
    letter.is_control()
        || matches!(letter, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}')
}

/// What a client says of itself.
struct ClientMetadata {
    name: String,
    redirect_uris: Vec<String>,
}
