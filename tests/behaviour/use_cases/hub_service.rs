//! A service behind a JupyterHub: the hub identifies the user.

use std::net::SocketAddr;

use axum::{Router, routing::get};
use portcullis::{AuthLayer, HubAuth, Session};
use tokio::net::TcpListener;

use super::{Outside, raw_client::ask};
use crate::hub_client_token_lookup::{Does, FakeHub, user};

/// What a hub starts a service with.
fn environment(name: &str) -> Option<String> {
    let value = match name {
        "JUPYTERHUB_API_TOKEN" => "0123456789abcdef0123456789abcdef",
        "JUPYTERHUB_API_URL" => "http://127.0.0.1:8081/hub/api",
        "JUPYTERHUB_OAUTH_ACCESS_SCOPES" => r#"["access:services!service=whoami"]"#,
        "JUPYTERHUB_SERVICE_NAME" => "whoami",
        "JUPYTERHUB_SERVICE_PREFIX" => "/services/whoami/",
        _ => return None,
    };
    Some(value.to_owned())
}

async fn whoami(session: Session) -> String {
    session.identity().username().to_owned()
}

#[tokio::test]
async fn it_accepts_users_with_access_and_redirects_others_to_the_hub() -> Outside {
    let hub = FakeHub::that(user("alice", &["access:services!service=whoami"]));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address: SocketAddr = listener.local_addr()?;
    let (environment, client) = (&environment, hub.client());

    // user:
    let auth = HubAuth::builder_from_vars(environment)?
        .http_client(client)
        .build()?; // `HubAuth::from_env()?` in a process
    let home = auth.base_url().to_string();
    let app = Router::new()
        .route(&home, get(whoami))
        .layer(AuthLayer::hub(auth));
    tokio::spawn(async { axum::serve(listener, app).await });
    // asserted:
    let by = |token: &str| {
        format!("GET /services/whoami/\naccept: application/json\nauthorization: token {token}")
    };
    let answer = ask(address, &by("hers"), "").await;
    assert_eq!((answer.status.as_u16(), &*answer.text), (200, "alice"));
    hub.now(user("bob", &["access:services!service=other"]));
    assert_eq!(ask(address, &by("his"), "").await.status, 403);
    hub.now(Does::Answers(403, b"{}".to_vec()));
    assert_eq!(ask(address, &by("nobodys"), "").await.status, 403);
    let page = ask(address, "GET /services/whoami/\naccept: text/html", "").await;
    assert_eq!(page.status, 302);
    let place = page.header("location");
    assert!(
        place.starts_with("/hub/api/oauth2/authorize?client_id=service-whoami&"),
        "{place}"
    );
    Ok(())
}
