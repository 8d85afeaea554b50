//! A small hub of your own: users with passwords, tokens that they list and revoke, an OAuth client per service.

use std::{collections::BTreeMap, net::SocketAddr};

use axum::Router;
use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use portcullis::{
    Identity, PasswordHash, Token,
    hub_server::{Hub, HubUser, OAuthClientConfig},
    store::SqliteTokenStore,
    verify::{MemoryPasswordStore, StoredPasswords},
};
use serde_json::Value;
use sha2::{Digest, Sha256};
use tokio::net::TcpListener;

use super::{Outside, raw_client::ask};
use crate::common::Answered;

const FORM: &str = "content-type: application/x-www-form-urlencoded";

/// A browser: it keeps cookies, and requests pages.
struct Browser {
    address: SocketAddr,
    cookies: BTreeMap<String, String>,
}

impl Browser {
    async fn ask(&mut self, lines: &str, body: &str) -> Answered {
        let cookies: Vec<_> = self
            .cookies
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let lines = format!(
            "{lines}\nsec-fetch-site: same-origin\ncookie: {}",
            cookies.join("; ")
        );
        let answer = ask(self.address, &lines, body).await;
        for line in answer.set_cookies() {
            let pair = line.split(';').next().and_then(|pair| pair.split_once('='));
            let (name, value) = pair.expect("a pair");
            self.cookies.insert(name.to_owned(), value.to_owned());
        }
        answer
    }

    fn xsrf(&self) -> &str {
        &self.cookies["_xsrf"]
    }
}

fn json(answer: &Answered) -> Value {
    serde_json::from_str(&answer.text).unwrap_or_else(|error| panic!("{error}: {answer:?}"))
}

#[tokio::test]
async fn its_users_log_in_keep_tokens_and_are_known_to_its_services() -> Outside {
    let folder = tempfile::tempdir()?;
    let database = folder.path().join("hub.sqlite");
    let hash = PasswordHash::hash(&"purple tricycle nine".into())?;
    let secret = Token::generate();
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;

    // user:
    let users = MemoryPasswordStore::new([(Identity::new("alice"), hash)])?;
    let alice = HubUser::new("alice")?.with_scopes(["self", "access:services!service=whoami"])?;
    let whoami = OAuthClientConfig::service("whoami", "/services/whoami/oauth_callback", &secret)?;
    let hub = Hub::builder(SqliteTokenStore::open(&database)?)
        .password_verifier(StoredPasswords::new(users))
        .user(alice)
        .client(whoami.skip_consent())
        .build()?;
    let app = Router::new().fallback_service(hub);
    tokio::spawn(async { axum::serve(listener, app).await });
    // asserted:
    let mut browser = Browser {
        address,
        cookies: BTreeMap::new(),
    };
    browser.ask("GET /hub/login\naccept: text/html", "").await;
    for (password, status) in [("wrong", 403), ("purple+tricycle+nine", 302)] {
        let body = format!("_xsrf={}&username=alice&password={password}", browser.xsrf());
        let answer = browser.ask(&format!("POST /hub/login\n{FORM}"), &body).await;
        assert_eq!(answer.status, status, "{answer:?}");
    }

    // A token for a program: made, used, listed, revoked.
    let api = |browser: &Browser, method: &str, path: &str| {
        format!(
            "{method} /hub/api/users/alice/tokens{path}\nx-xsrftoken: {}",
            browser.xsrf()
        )
    };
    let lines = format!("{}\ncontent-type: application/json", api(&browser, "POST", ""));
    let made = json(&browser.ask(&lines, r#"{"note": "laptop"}"#).await);
    let token = made["token"].as_str().expect("a token").to_owned();
    let by_token = format!("GET /hub/api/user\nauthorization: token {token}");
    assert_eq!(json(&ask(address, &by_token, "").await)["name"], "alice");
    let list = api(&browser, "GET", "");
    let listed = browser.ask(&list, "").await;
    assert!(
        listed.text.contains("\"laptop\"") && !listed.text.contains(&token),
        "{listed:?}"
    );
    let id = made["id"].as_str().expect("an id");
    let revoke = api(&browser, "DELETE", &format!("/{id}"));
    assert_eq!(browser.ask(&revoke, "").await.status, 204);
    assert_eq!(ask(address, &by_token, "").await.status, 403);

    // A service learns who she is.
    let verifier = "0123456789abcdef0123456789abcdef0123456789abcdef";
    let challenge = BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(verifier));
    let callback = "%2Fservices%2Fwhoami%2Foauth_callback";
    let asked = format!(
        "GET /hub/api/oauth2/authorize?client_id=service-whoami&redirect_uri={callback}&response_type=code&state=s\
         &code_challenge={challenge}&code_challenge_method=S256\naccept: text/html\nsec-fetch-mode: navigate"
    );
    let led_back = browser.ask(&asked, "").await;
    let place = led_back.header("location");
    let (_, code) = place
        .split_once("code=")
        .unwrap_or_else(|| panic!("{led_back:?}"));
    let code = code.split('&').next().expect("a code");
    let exchange = |secret: &str| {
        format!(
            "client_id=service-whoami&client_secret={secret}&grant_type=authorization_code&code={code}\
             &code_verifier={verifier}&redirect_uri={callback}"
        )
    };
    let lines = format!("POST /hub/api/oauth2/token\n{FORM}");
    assert_eq!(ask(address, &lines, &exchange("wrong")).await.status, 401);
    let exchanged = json(&ask(address, &lines, &exchange(secret.expose())).await);
    let access = exchanged["access_token"]
        .as_str()
        .unwrap_or_else(|| panic!("{exchanged}"));
    let who = ask(
        address,
        &format!("GET /hub/api/user\nauthorization: token {access}"),
        "",
    )
    .await;
    assert_eq!(json(&who)["name"], "alice", "{who:?}");
    Ok(())
}
