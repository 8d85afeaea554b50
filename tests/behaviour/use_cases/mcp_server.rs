//! An MCP server: bearer tokens, Host and Origin checks, and a challenge with the URL of its metadata.

use portcullis::{AllowedHosts, AllowedOrigins, AuthLayer, Secret, TokenSet, middleware::Challenge};

use super::{Outside, me};
use crate::common::{request, send};

#[tokio::test]
async fn it_guards_host_and_origin_and_points_to_its_metadata() -> Outside {
    // user:
    let metadata = "https://mcp.example.org/.well-known/oauth-protected-resource".parse()?;
    let auth = AuthLayer::builder()
        .bearer_tokens(TokenSet::from_list(&Secret::from("mcp-key"), me("client"))?)
        .allowed_hosts(AllowedHosts::from_list(["mcp.example.org"])?)
        .allowed_origins(AllowedOrigins::parse(["https://app.example.org"])?)
        .challenge(Challenge::bearer("mcp")?.with_resource_metadata(metadata))
        .build()?;
    // asserted:
    let refused = send(&auth, request("POST /mcp\nhost: mcp.example.org")).await;
    assert_eq!(
        refused.header("www-authenticate"),
        "Bearer realm=\"mcp\", resource_metadata=\"https://mcp.example.org/.well-known/oauth-protected-resource\""
    );
    let preflight =
        "OPTIONS /mcp\nhost: mcp.example.org\naccess-control-request-method: POST\norigin: https://";
    let listed = send(&auth, request(&format!("{preflight}app.example.org"))).await;
    assert_eq!(
        listed.header("access-control-allow-origin"),
        "https://app.example.org"
    );
    let other = send(&auth, request(&format!("{preflight}evil.example"))).await;
    assert_eq!(other.header("access-control-allow-origin"), "");
    for (fields, status) in [
        ("host: mcp.example.org", 200),
        ("host: mcp.example.org\norigin: https://app.example.org", 200),
        ("host: rebound.example", 403),
    ] {
        let lines = format!("POST /mcp\nauthorization: Bearer mcp-key\n{fields}");
        assert_eq!(send(&auth, request(&lines)).await.status, status, "{fields}");
    }
    Ok(())
}
