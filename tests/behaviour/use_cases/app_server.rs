//! An app server with its own handling of connections, which authenticates request heads and answers by itself.

use std::{fs, os::unix::fs::PermissionsExt as _};

use portcullis::{AuthLayer, AuthMethod, FileSource, Reason, RequestHead, Token, TokenSet, token::TokenHash};

use super::{Outside, me};
use crate::common::{TOKEN, request};

#[tokio::test]
async fn it_knows_its_token_by_a_file_or_by_its_hash_alone() -> Outside {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("token");
    fs::write(&path, TOKEN)?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
    let configured = TOKEN.parse::<Token>()?.hash().to_string();
    let good = request(&format!("GET /\nauthorization: Bearer {TOKEN}"));
    let bad = request("GET /\nauthorization: Bearer wrong");

    // user:
    let by_file = AuthLayer::token(Token::load(&FileSource::new(&path))?);
    let hash: TokenHash = configured.parse()?;
    let by_hash = AuthLayer::bearer_tokens(TokenSet::from_hashes([(hash, me("editor"))])?);
    // asserted:
    for auth in [by_file, by_hash] {
        // user:
        let known = auth.authenticate(RequestHead::new(&good)).await;
        let unknown = auth.authenticate(RequestHead::new(&bad)).await;
        // asserted:
        assert_eq!(known.expect("accepted").auth_method(), AuthMethod::Token);
        assert_eq!(unknown.expect_err("rejected").reason(), Reason::UnknownToken);
        let nobody = auth.authenticate(RequestHead::new(&request("GET /"))).await;
        assert_eq!(nobody.expect_err("rejected").reason(), Reason::MissingCredential);
    }
    Ok(())
}
