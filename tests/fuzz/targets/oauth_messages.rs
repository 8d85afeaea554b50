//! The messages of OAuth: what is read is written so that it is read the same, and no error quotes a secret.

use portcullis::oauth::{
    AuthorizationRequest, AuthorizationResponse, CodeVerifier, OAuthError, TokenRequest, TokenResponse,
};

pub fn run(data: &[u8]) {
    if let Ok(request) = AuthorizationRequest::parse(data) {
        let url = request.to_url("/authorize");
        assert!(url.bytes().all(|byte| byte.is_ascii_graphic()), "{url}");
        let (_, query) = url.split_once('?').expect("a query");
        let again = AuthorizationRequest::parse(query.as_bytes()).expect("what was written");
        assert_eq!(again.client_id(), request.client_id());
        assert_eq!(again.redirect_uri(), request.redirect_uri());
        assert_eq!(again.state(), request.state());
        assert!(again.scopes().eq(request.scopes()));
        assert_eq!(again.check().is_ok(), request.check().is_ok());
    }
    if let Ok(response) = AuthorizationResponse::parse(data) {
        let url = response.to_url("/callback");
        assert!(url.bytes().all(|byte| byte.is_ascii_graphic()), "{url}");
        let (_, query) = url.split_once('?').expect("a query");
        let again = AuthorizationResponse::parse(query.as_bytes()).expect("what was written");
        assert_eq!(again.state(), response.state());
        assert_eq!(
            again.code().ok().map(|code| code.expose()),
            response.code().ok().map(|code| code.expose())
        );
    }
    if let Ok(request) = TokenRequest::parse(data) {
        let again = TokenRequest::parse(request.to_form().expose()).expect("what was written");
        assert_eq!(again.client_id(), request.client_id());
        assert_eq!(again.code().expose(), request.code().expose());
        assert_eq!(again.redirect_uri(), request.redirect_uri());
        assert_eq!(
            again.code_verifier().map(CodeVerifier::expose),
            request.code_verifier().map(CodeVerifier::expose)
        );
    }
    match TokenResponse::parse(data) {
        Ok(response) => {
            let again = TokenResponse::parse(response.to_json().expose()).expect("what was written");
            assert_eq!(again.access_token().expose(), response.access_token().expose());
            assert_eq!(again.expires_in(), response.expires_in());
            assert_eq!(again.scope(), response.scope());
        }
        Err(error) => match OAuthError::from_json(data) {
            // The other side's description of its error is reported as it is, and nothing else.
            Some(reported) => assert_eq!(error.to_string(), reported.to_string()),
            None => assert!(!error.to_string().contains("S3CRET"), "{error}"),
        },
    }
    if let Some(error) = OAuthError::from_json(data) {
        let again = OAuthError::from_json(error.to_json().as_bytes()).expect("what was written");
        assert_eq!(again.kind(), error.kind());
        assert_eq!(again.description(), error.description());
    }
}
